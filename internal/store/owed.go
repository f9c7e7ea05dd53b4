// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"iter"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

const (
	// EnoughMarkers is how many series the markers that are handed on together end at most, unless a single histogram or summary
	// has more. Backends bound what they take in a request: 4 MiB is the default of OTLP over gRPC.
	EnoughMarkers = 1000

	// lookback is how long Prometheus shows a series after its last sample. Then it has ended with or without a marker.
	lookback = 5 * time.Minute
)

// Markers are some of those that a group owes, to be handed on together.
type Markers struct {
	owed    []*content
	refused bool // for good, all of them
}

// Metrics makes the markers anew, without times.
func (m Markers) Metrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, owed := range m.owed {
		series.Join(md, owed.Metrics())
	}
	return md
}

// IsEmpty tells that there are none.
func (m Markers) IsEmpty() bool { return len(m.owed) == 0 }

// Owed gives the markers that a group owes in parts of enough markers, those of its last change first. Markers that were
// refused for good are in no part with those that were not. Parts may be settled meanwhile.
func (s *Store) Owed(key groupingkey.Key) iter.Seq[Markers] {
	return func(yield func(Markers) bool) {
		g := s.find(key)
		if g == nil {
			return
		}
		g.mu.Lock()
		owed := g.owed
		g.mu.Unlock()
		for len(owed) > 0 {
			part := g.lastPart(owed)
			if !yield(part) {
				return
			}
			owed = owed[:len(owed)-len(part.owed)]
		}
	}
}

// Latest gives the first part of what a group owes, or none if it was refused for good.
func (s *Store) Latest(key groupingkey.Key) (latest Markers) {
	s.Owed(key)(func(first Markers) bool {
		if !first.refused {
			latest = first
		}
		return false
	})
	return latest
}

// lastPart is as much of the end of what is owed as may be handed on together.
func (g *group) lastPart(owed []*content) Markers {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := len(owed) - 1
	_, refused := g.refused[owed[first]]
	for ended := len(owed[first].series); first > 0; first-- {
		ended += len(owed[first-1].series)
		if _, other := g.refused[owed[first-1]]; other != refused || ended > EnoughMarkers {
			break
		}
	}
	return Markers{owed[first:], refused}
}

// Settle notes that markers were accepted with that time: their series are free for others, at later times. A group that is
// deleted is forgotten with the last of them. The error is a *StorageError; the markers are owed still then.
func (s *Store) Settle(ctx context.Context, key groupingkey.Key, markers Markers, at time.Time) error {
	g := s.find(key)
	if g == nil || markers.IsEmpty() {
		return nil
	}
	c := &change{group: g, pushed: g.pushed, failed: g.failed, times: g.times, paid: markers.owed}
	c.die = !g.alive
	if err := s.write(ctx, c); err != nil {
		return err
	}
	s.show(c)
	s.free(c.paid, at)
	s.tidy(g)
	return nil
}

// GiveUp notes that markers, and nothing beside them, were refused for good with that time. Those that have been for so long
// that their series have ended without them are owed no longer, or what a backend never takes would be owed for ever; it tells
// how many series these are. The error is one of Settle's.
func (s *Store) GiveUp(ctx context.Context, key groupingkey.Key, markers Markers, at time.Time) (given int, err error) {
	g := s.find(key)
	if g == nil {
		return 0, nil
	}
	var hopeless Markers
	for _, owed := range markers.owed {
		if g.refuse(owed, at) {
			hopeless.owed = append(hopeless.owed, owed)
			given += len(owed.series)
		}
	}
	return given, s.Settle(ctx, key, hopeless, at)
}

// refuse notes that something that is owed was refused, and tells whether it has been for long.
func (g *group) refuse(owed *content, at time.Time) (long bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	since, again := g.refused[owed]
	if again {
		return at.Sub(since) >= lookback
	}
	if g.refused == nil {
		g.refused = make(map[*content]time.Time)
	}
	g.refused[owed] = at
	return false
}
