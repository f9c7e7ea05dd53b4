// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// reserve adds the change's series to the index and updates the counts. It reserves all or nothing.
func (s *Store) reserve(c *change) error {
	conflict, err := s.tryReserve(c)
	if conflict != nil {
		// Decode without the lock: only a refused push needs the description.
		description := series.Describe(s.metricsOf(c, conflict.from), s.options.Scope, conflict.series)
		return conflictError(description, conflict.holder.key)
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
	if err := s.checkLimits(c); err != nil {
		s.release(c)
		return nil, err
	}
	s.counts.add(c.counts.increase())
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
func (g *group) waitFor(c *Claim) {
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
	switch {
	case c.create:
		c.counts.Groups = 1
	case c.hide:
		c.counts.Groups = -1
	}
}

// checkLimits refuses a change beyond the limits. It never refuses a change that only shrinks a group. Store.mu is held.
func (s *Store) checkLimits(c *change) error {
	maxGroups, maxSeries, maxBytes := s.options.MaxGroups, s.options.MaxSeries, s.options.MaxBytes
	adds := len(c.added)+len(c.taken) > 0
	switch total := s.counts.Series + s.counts.Pending + c.counts.Series + c.counts.Pending; {
	case maxGroups > 0 && c.create && s.counts.Groups >= maxGroups:
		return &LimitError{"max_groups", int64(maxGroups), fmt.Sprintf("the push makes a new group, and %d groups are held", s.counts.Groups)}
	case maxSeries > 0 && c.counts.Series > 0 && s.counts.Series+c.counts.Series > maxSeries:
		return &LimitError{"max_series", int64(maxSeries), fmt.Sprintf(
			"the push has %d series more than what it replaces, and %d series are held", c.counts.Series, s.counts.Series)}
	case maxSeries > 0 && adds && total > 2*maxSeries:
		return &LimitError{"max_series", int64(maxSeries), fmt.Sprintf(
			"the push replaces series by others, and the stale markers of %d series have not been accepted downstream", s.counts.Pending)}
	case maxBytes > 0 && c.counts.Size > 0 && s.counts.Size+c.counts.Size > maxBytes:
		return &LimitError{"max_bytes", maxBytes, fmt.Sprintf(
			"the push takes %d bytes more than what it replaces, and %d bytes are held", c.counts.Size, s.counts.Size)}
	case maxBytes > 0 && adds && s.counts.Size+s.counts.PendingSize > 2*maxBytes:
		return &LimitError{"max_bytes", maxBytes, fmt.Sprintf(
			"the push replaces series by others, and the stale markers that have not been accepted downstream take %d bytes", s.counts.PendingSize)}
	}
	return nil
}

func (c *Counts) add(other Counts) {
	c.Groups += other.Groups
	c.Series += other.Series
	c.Pending += other.Pending
	c.Size += other.Size
	c.PendingSize += other.PendingSize
}

// increase returns the growing counts. Growth is counted at the reservation and shrinkage at publication, because the
// change can still fail in between.
func (c Counts) increase() Counts {
	return Counts{Groups: max(0, c.Groups), Series: max(0, c.Series), Pending: max(0, c.Pending), Size: max(0, c.Size)}
}

func (c Counts) decrease() Counts {
	return Counts{Groups: min(0, c.Groups), Series: min(0, c.Series), Pending: min(0, c.Pending), Size: min(0, c.Size)}
}

// unreserve undoes reserve.
func (s *Store) unreserve(c *change) {
	s.abandon(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(c)
	c.group.readding = nil
	up := c.counts.increase()
	s.counts.add(Counts{Groups: -up.Groups, Series: -up.Series, Pending: -up.Pending, Size: -up.Size})
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

// checkCollisions refuses a POST whose family is named like a series of a kept family, or the reverse. Readers of the exposition
// could not tell them apart, even with other labels.
func (c *change) checkCollisions() error {
	replaced := make(map[string]bool, len(c.drop))
	for _, f := range c.drop {
		replaced[f.Name] = true
	}
	kept := func(name string) *Family {
		if replaced[name] {
			return nil
		}
		return c.group.families[name]
	}
	for _, f := range c.add {
		for _, suffix := range suffixesOf("gaugehistogram") {
			base, ok := strings.CutSuffix(f.Name, suffix)
			if owner := kept(base); ok && owner != nil && emits(owner.Type, suffix) {
				return collisionError(f.Name, owner)
			}
		}
		for _, suffix := range suffixesOf(f.Type) {
			if kept(f.Name+suffix) != nil {
				return collisionError(f.Name+suffix, f)
			}
		}
	}
	return nil
}

// suffixesOf returns the suffixes of a type's series.
func suffixesOf(typ string) []string {
	switch typ {
	case "gaugehistogram": // OpenMetrics has other suffixes than the other formats.
		return []string{"_bucket", "_sum", "_count", "_gsum", "_gcount"}
	case "histogram":
		return []string{"_bucket", "_sum", "_count"}
	case "summary":
		return []string{"_sum", "_count"}
	default:
		return nil
	}
}

func emits(typ, suffix string) bool { return slices.Contains(suffixesOf(typ), suffix) }
