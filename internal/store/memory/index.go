// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"slices"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// reserve adds the change's series to the index and updates the counts. It reserves all or nothing.
func (s *Store) reserve(c *change) error {
	conflict, err := s.tryReserve(c)
	if conflict == nil {
		return err
	}
	// Decode without the lock: only a refused push needs the description.
	from := slices.IndexFunc(c.incoming, func(from *content) bool { return slices.Contains(from.series, conflict.series) })
	description := series.Describe(s.metricsOf(c, c.incoming[from]), s.options.Scope, conflict.series)
	own := conflict.holder == c.group && (c.contribution == nil || c.group.hasPlain(conflict.series))
	if rule := c.rule(); own && rule != nil {
		return store.RuleConflict(description, c.group.key, rule)
	}
	return store.SeriesConflict(description, conflict.holder.key)
}

// conflict is a series that cannot be added.
type conflict struct {
	series series.Hash
	holder *group
}

func (s *Store) tryReserve(c *change) (*conflict, error) {
	if c.Twice != nil {
		return &conflict{*c.Twice, c.group}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range c.Added {
		if holder := s.add(c, h); holder != nil {
			s.release(c)
			return &conflict{h, holder}, nil
		}
	}
	c.count()
	if err := s.options.CheckLimits(s.counts, c.counts, len(c.Added) > len(c.readded)); err != nil {
		s.release(c)
		return nil, err
	}
	s.counts.Add(increase(c.counts))
	c.group.readding = c.readded
	return nil, nil
}

// add classifies an added series as new, pending or taken over. It returns the group that has the series if it cannot be
// added. Store.mu is held.
func (s *Store) add(c *change, h series.Hash) (holder *group) {
	number, held := s.series[h]
	if !held {
		s.series[h] = int32(c.group.number)
		c.reserved++
		return nil
	}
	switch holder = s.byNumber[number]; {
	case !holder.onlyPending(h):
		return holder
	case holder == c.group:
		if c.readded == nil {
			c.readded = make(map[series.Hash]bool, len(c.Added))
		}
		c.readded[h] = true
	default:
		s.series[h] = int32(c.group.number)
		c.taken = append(c.taken, takeover{h, holder})
	}
	c.reserved++
	return nil
}

// onlyPending reports whether the group has only a pending marker for the series. Store.mu is held.
func (g *group) onlyPending(h series.Hash) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pendingSeries[h] != nil && !g.readding[h]
}

// takeOver drops another group's pending marker for a series. If a previous group of the series is being exported, the
// new group waits for that claim. Store.mu is held.
func (s *Store) takeOver(g *group, t takeover) {
	t.from.mu.Lock()
	if t.from.pendingSeries[t.series] != nil {
		delete(t.from.pendingSeries, t.series)
		s.counts.Pending--
	}
	t.from.mu.Unlock()
	g.waitFor(t.from.claim)
	for _, c := range t.from.waitsFor {
		g.waitFor(c)
	}
}

// waitFor makes the group wait until a claim is settled. Store.mu is held.
func (g *group) waitFor(c *claim) {
	if c != nil && !slices.Contains(g.waitsFor, c) {
		g.waitsFor = append(g.waitsFor, c)
	}
}

// count computes the change's differences.
func (c *change) count() {
	c.counts.Pending = len(c.Marked)
	for _, f := range c.drop {
		c.counts.Series -= len(f.series)
		c.counts.Size -= f.size()
	}
	for _, f := range c.add {
		c.counts.Series += len(f.series)
		c.counts.Size += f.size() + int64(len(f.first))
	}
	c.contribution.count(&c.counts)
	switch {
	case c.create:
		c.counts.Groups = 1
	case c.hide:
		c.counts.Groups = -1
	}
}

// unreserve undoes reserve.
func (s *Store) unreserve(c *change) {
	s.abandon(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(c)
	c.group.readding = nil
	up := increase(c.counts)
	s.counts.Add(store.Counts{
		Groups: -up.Groups, Series: -up.Series, Pushers: -up.Pushers, Pending: -up.Pending, Size: -up.Size,
	})
}

// release removes the change's series from the index. Store.mu is held.
func (s *Store) release(c *change) {
	for _, h := range c.Added[:c.reserved] {
		if !c.readded[h] {
			delete(s.series, h)
		}
	}
	for _, t := range c.taken {
		t.from.mu.Lock()
		if t.from.pendingSeries[t.series] != nil {
			s.series[t.series] = int32(t.from.number)
		}
		t.from.mu.Unlock()
	}
}

// increase returns the growing counts. Growth is counted at the reservation and shrinkage at publication, because the
// change can still fail in between.
func increase(c store.Counts) store.Counts {
	return store.Counts{
		Groups: max(0, c.Groups), Series: max(0, c.Series), Pushers: max(0, c.Pushers), Pending: max(0, c.Pending), Size: max(0, c.Size),
	}
}

func decrease(c store.Counts) store.Counts {
	return store.Counts{
		Groups: min(0, c.Groups), Series: min(0, c.Series), Pushers: min(0, c.Pushers), Pending: min(0, c.Pending), Size: min(0, c.Size),
	}
}
