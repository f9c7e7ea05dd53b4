// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/heap"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// markers are stale markers of a group from one change. Their series can be added again or taken over; group.pendingSeries has
// those that are still pending.
type markers struct {
	content

	group  *group
	lapsed time.Time // when they become useless
	// Guarded by Store.mu.
	index int  // in Store.lapses, or notScheduled
	gone  bool // no longer pending
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// left lists the series that are still pending. The group's mu is held.
func (m *markers) left() []series.Hash {
	return slices.DeleteFunc(slices.Clone(m.series), func(h series.Hash) bool { return m.group.pendingSeries[h] != m })
}

// build builds the markers of some of their series.
func (m *markers) build(o *store.Options, left []series.Hash) pmetric.Metrics {
	return o.BuildMarkers(store.Markers{Encoded: m.encoded, Series: m.series}, left)
}

// addMarkers adds pending markers. Store.mu and the group's mu are held.
func (s *Store) addMarkers(m *markers) {
	g := m.group
	if len(g.pendingSeries) == 0 {
		g.pendingSeries = make(map[series.Hash]*markers, len(m.series)) // A new map, because maps never shrink.
	}
	g.pending = append(g.pending, m)
	for _, h := range m.series {
		g.pendingSeries[h] = m
	}
	s.counts.PendingSize += m.size()
	heap.Push(&s.lapses, m)
}

// dropMarkers removes pending markers of a group. Store.mu and the group's mu are held.
func (s *Store) dropMarkers(g *group, all []*markers) {
	for _, m := range all {
		m.gone = true
		if m.index != notScheduled {
			heap.Remove(&s.lapses, m.index)
		}
		s.dropSeries(m, m.series)
		s.counts.PendingSize -= m.size()
	}
	g.pending = slices.DeleteFunc(g.pending, func(m *markers) bool { return m.gone })
}

// dropSeries removes series from pending markers and reports whether none is left. A restart restores them unless all are
// stored as dropped. Store.mu and the group's mu are held.
func (s *Store) dropSeries(m *markers, hashes []series.Hash) (none bool) {
	g := m.group
	for _, h := range hashes {
		if g.pendingSeries[h] != m || g.readding[h] {
			continue
		}
		delete(g.pendingSeries, h)
		s.counts.Pending--
		if s.series[h] == int32(g.number) {
			delete(s.series, h)
		}
	}
	return !slices.ContainsFunc(m.series, func(h series.Hash) bool { return g.pendingSeries[h] == m })
}
