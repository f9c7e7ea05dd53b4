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

const (
	// maxMarkers is the maximum number of series in one part of pending markers, unless a single histogram or summary has
	// more. Backends limit requests: OTLP over gRPC to 4 MiB by default.
	maxMarkers = 1000

	// lookback is the time for which Prometheus returns a series after its last sample. Afterwards a marker is useless.
	lookback = 5 * time.Minute
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

// newMarkers encodes markers for the ended series of contents. It decodes one content at a time.
func (s *Store) newMarkers(c *change, contents []*content, ended func(series.Hash) bool) error {
	decoded := func(yield func(pmetric.Metrics) bool) {
		for _, content := range contents {
			if !yield(s.metricsOf(c, content)) {
				return
			}
		}
	}
	for md := range series.Markers(decoded, s.options.Scope, ended, maxMarkers) {
		encoded, err := s.newContent(md)
		if err != nil {
			return &store.StorageError{Err: err}
		}
		c.markers = append(c.markers, &markers{content: encoded, group: c.group})
	}
	return nil
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

// build rebuilds the markers of the given series.
func (m *markers) build(left []series.Hash, scope string) pmetric.Metrics {
	md := m.Metrics()
	if len(left) == len(m.series) {
		return md
	}
	wanted := make(map[series.Hash]bool, len(left))
	for _, h := range left {
		wanted[h] = true
	}
	rest := pmetric.NewMetrics()
	only := slices.Values([]pmetric.Metrics{md})
	for part := range series.Markers(only, scope, func(h series.Hash) bool { return wanted[h] }, len(m.series)) {
		series.AppendMetrics(rest, part)
	}
	return rest
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
