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
	if conflict != nil {
		// Decode without the lock: only a refused push needs the description.
		description := series.Describe(s.metricsOf(c, conflict.from), s.options.Scope, conflict.series)
		own := conflict.holder == c.group && (c.contribution == nil || c.group.hasPlain(conflict.series))
		if rule := c.rule(); own && rule != nil {
			return store.RuleConflict(description, c.group.key, rule)
		}
		return store.SeriesConflict(description, conflict.holder.key)
	}
	return err
}

// conflict is a series that cannot be added.
type conflict struct {
	from   *content
	series series.Hash
	holder *group
}

func (s *Store) tryReserve(c *change) (*conflict, error) {
	c.readded = make(map[series.Hash]bool)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range c.incoming {
		for _, h := range from.series {
			if holder := s.add(c, h); holder != nil {
				s.release(c)
				return &conflict{from, h, holder}, nil
			}
		}
	}
	c.count()
	if err := s.options.CheckLimits(s.counts, c.counts, len(c.added)+len(c.taken) > 0); err != nil {
		s.release(c)
		return nil, err
	}
	s.counts.Add(increase(c.counts))
	c.group.readding = c.readded
	return nil, nil
}

// add classifies an added series as new, pending, taken over or kept. It returns the group that has the series if it
// cannot be added; for a duplicate in one push this is its own group. Store.mu is held.
func (s *Store) add(c *change, h series.Hash) (holder *group) {
	number, held := s.series[h]
	own := held && int(number) == c.group.number
	switch {
	case !held:
		s.series[h] = int32(c.group.number)
		c.added = append(c.added, h)
	case own && c.group.pendingSeries[h] != nil && !c.readded[h]:
		c.readded[h] = true
	case own && c.oldSeries[h]:
		c.oldSeries[h] = false
	case !own && s.byNumber[number].onlyPending(h):
		s.series[h] = int32(c.group.number)
		c.taken = append(c.taken, takeover{h, s.byNumber[number]})
	default:
		return s.byNumber[number]
	}
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
	for _, content := range c.outgoing {
		dropping := c.group.isDropping(content)
		for _, h := range content.series {
			switch {
			case !c.oldSeries[h]:
			case dropping:
				c.ended = append(c.ended, h)
			default:
				c.counts.Pending++
			}
		}
	}
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
	for _, h := range c.added {
		delete(s.series, h)
	}
	for _, t := range c.taken {
		t.from.mu.Lock()
		pending := t.from.pendingSeries[t.series] != nil
		t.from.mu.Unlock()
		if pending {
			s.series[t.series] = int32(t.from.number)
		} else {
			delete(s.series, t.series)
		}
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
