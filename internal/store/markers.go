// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"container/heap"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

const (
	// maxMarkers is how many series one part of pending markers ends at most, unless a single histogram or summary has more.
	// Backends bound the size of a request: 4 MiB is the default of OTLP over gRPC.
	maxMarkers = 1000

	// lookback is how long Prometheus shows a series after its last sample. After that time it needs no marker.
	lookback = 5 * time.Minute
)

// markers are stale markers of a group that are pending together. Some of their series may have been added again, or taken over
// by another group: the group's ending tells which are still pending.
type markers struct {
	content

	group  *group
	lapsed time.Time // when they need not be exported any more
	// Guarded by Store.mu.
	index int  // in Store.lapses, or notScheduled
	gone  bool // They are not pending any more.
}

// newMarkers encodes the markers of those series of contents that are ended. Only one content is decoded at a time.
func (s *Store) newMarkers(c *change, contents []*content, ended func(series.Hash) bool) error {
	decoded := func(yield func(pmetric.Metrics) bool) {
		for _, content := range contents {
			if !yield(s.metricsOf(c, content)) {
				return
			}
		}
	}
	for md := range series.Markers(decoded, s.options.Scope, ended, maxMarkers) {
		encoded, err := s.newContent(md, md)
		if err != nil {
			return &StorageError{err}
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
	return slices.DeleteFunc(slices.Clone(m.series), func(h series.Hash) bool { return m.group.ending[h] != m })
}

// of makes the markers of the given series anew.
func (m *markers) of(left []series.Hash, scope string) pmetric.Metrics {
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
		series.Join(rest, part)
	}
	return rest
}

// addMarkers makes markers pending. Store.mu and the group's mu are held.
func (s *Store) addMarkers(m *markers) {
	g := m.group
	if len(g.ending) == 0 {
		g.ending = make(map[series.Hash]*markers, len(m.series)) // A map never shrinks.
	}
	g.pending = append(g.pending, m)
	for _, h := range m.series {
		g.ending[h] = m
	}
	s.counts.PendingSize += m.size()
	heap.Push(&s.lapses, m)
}

// dropMarkers makes markers of a group not pending. Store.mu and the group's mu are held.
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

// dropSeries makes series of markers not pending, and tells whether none is left. Until that is stored for all of them, they are
// pending again after a restart. Store.mu and the group's mu are held.
func (s *Store) dropSeries(m *markers, hashes []series.Hash) (none bool) {
	g := m.group
	for _, h := range hashes {
		if g.ending[h] != m || g.reviving[h] {
			continue
		}
		delete(g.ending, h)
		s.counts.Pending--
		if s.series[h] == int32(g.number) {
			delete(s.series, h)
		}
	}
	return !slices.ContainsFunc(m.series, func(h series.Hash) bool { return g.ending[h] == m })
}
