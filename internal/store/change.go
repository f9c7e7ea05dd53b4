// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Push makes the families part of the group, to which they belong from then on: instead of all others if replace is set
// (PUT), otherwise instead of those of the same names (POST) and of the emptied names, which differ. The error is a
// *ConflictError, a *LimitError or a *StorageError.
func (s *Store) Push(
	ctx context.Context, key groupingkey.Key, families []*Family, replace bool, at time.Time, emptied ...string,
) error {
	c := s.begin(key)
	c.add, c.pushed, c.since = families, at, at
	for _, f := range families {
		f.PushTime = at
		if old := c.group.families[f.Name]; old != nil && !replace {
			c.drop = append(c.drop, old)
		}
	}
	for _, name := range emptied {
		if old := c.group.families[name]; old != nil {
			c.drop = append(c.drop, old)
		}
	}
	if replace {
		c.drop = slices.Collect(maps.Values(c.group.families))
	} else if err := c.collide(); err != nil {
		s.tidy(c.group)
		return err
	}
	return s.apply(ctx, c)
}

// Fail notes that a push to the group failed. It makes the group if there is none, as a Pushgateway does; one that was never
// pushed to successfully lives since its last failure. The error is one of Push's.
func (s *Store) Fail(ctx context.Context, key groupingkey.Key, at time.Time) error {
	c := s.begin(key)
	c.failed = at
	if c.pushed.IsZero() {
		c.since = at
	}
	return s.apply(ctx, c)
}

// Delete forgets the group, and tells whether there was one. Its series are owed markers from then on. The error is a
// *StorageError.
func (s *Store) Delete(ctx context.Context, key groupingkey.Key) (bool, error) {
	if g := s.find(key); g == nil || !g.alive {
		return false, nil
	}
	c := s.begin(key)
	c.die, c.drop = true, slices.Collect(maps.Values(c.group.families))
	c.pushed, c.failed = time.Time{}, time.Time{}
	return true, s.apply(ctx, c)
}

// change is what happens to one group at once.
type change struct {
	group  *group
	create bool // the group begins to live
	die    bool // it ends
	drop   []*Family
	add    []*Family
	pushed time.Time
	failed time.Time
	since  time.Time // when the life of the group begins anew; zero if it does not

	before   map[series.Hash]bool // series of what is dropped, and whether they are gone
	gone     []series.Hash
	fresh    []series.Hash // series that nobody held before
	revived  map[series.Hash]bool
	times    content    // of the group afterwards
	paid     []*content // owed no longer
	incurred []*content // owed from now on
	counts   Counts     // by how much they change
}

// begin prepares a change that changes nothing yet. The group is entered for the first of its changes.
func (s *Store) begin(key groupingkey.Key) *change {
	p := path(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[p]
	if g == nil {
		g = &group{key: key.Clone(), path: p, number: s.number(), id: newID(), families: map[string]*Family{}}
		s.groups[p], s.numbers[g.number] = g, g
	}
	return &change{group: g, create: !g.alive, pushed: g.pushed, failed: g.failed, times: g.times}
}

// number finds a free number.
func (s *Store) number() int {
	if last := len(s.vacant) - 1; last >= 0 {
		n := s.vacant[last]
		s.vacant = s.vacant[:last]
		return n
	}
	s.numbers = append(s.numbers, nil)
	return len(s.numbers) - 1
}

// apply carries the change out, or leaves everything as it was.
func (s *Store) apply(ctx context.Context, c *change) error {
	defer s.tidy(c.group)
	s.compare(c)
	err := s.claim(c)
	if err != nil {
		return err
	}
	err = s.mark(c)
	if err == nil {
		err = s.write(ctx, c)
	}
	if err != nil {
		s.unclaim(c)
		return err
	}
	s.show(c)
	return nil
}

// compare finds the series that come and go. Families that come again with the same series, as most do, are passed over.
func (s *Store) compare(c *change) {
	if c.create {
		c.times = s.timesOf(c.group.key)
	}
	c.before = make(map[series.Hash]bool)
	for _, f := range c.outgoing() {
		for _, h := range f.series {
			c.before[h] = true
		}
	}
}

// timesOf is what the push times of a group are as series.
func (s *Store) timesOf(key groupingkey.Key) content {
	return content{series: series.Append(nil, s.pushTimes(key, time.Time{}, time.Time{}), s.options.Scope), slot: noSlot}
}

// outgoing is what is dropped and does not come again as it was.
func (c *change) outgoing() []*content {
	again := make(map[string]bool, len(c.add))
	for _, f := range c.add {
		old := c.group.families[f.Name]
		again[f.Name] = old != nil && slices.Equal(old.series, f.series)
	}
	var contents []*content
	for _, f := range c.drop {
		if !again[f.Name] {
			contents = append(contents, &f.content)
		}
	}
	if c.die {
		contents = append(contents, &c.group.times)
	}
	return contents
}

// incoming is what comes and was not there as it is.
func (c *change) incoming() []*content {
	var contents []*content
	for _, f := range c.add {
		if old := c.group.families[f.Name]; old == nil || !slices.Equal(old.series, f.series) {
			contents = append(contents, &f.content)
		}
	}
	if c.create {
		contents = append(contents, &c.times)
	}
	return contents
}

// mark takes back the markers of what has come again, and makes those of what is gone, which come last.
func (s *Store) mark(c *change) error {
	if len(c.revived) > 0 {
		if err := s.takeBack(c); err != nil {
			return err
		}
	}
	if len(c.gone) == 0 {
		return nil
	}
	return s.incur(c, c.outgoing(), func(h series.Hash) bool { return c.before[h] })
}

// takeBack takes back the markers of series that have come again.
func (s *Store) takeBack(c *change) error {
	for _, owed := range c.group.owed {
		if slices.ContainsFunc(owed.series, func(h series.Hash) bool { return c.revived[h] }) {
			c.paid = append(c.paid, owed)
		}
	}
	return s.incur(c, c.paid, func(h series.Hash) bool { return !c.revived[h] })
}

// metricsOf decodes a content of the change. Push times are made, since they are not held encoded.
func (s *Store) metricsOf(c *change, content *content) pmetric.Metrics {
	if content == &c.group.times || content == &c.times {
		return s.pushTimes(c.group.key, c.pushed, c.failed)
	}
	return content.Metrics()
}

// incur notes that the group owes the markers of those series of contents that are gone. However many these are, only one
// content is decoded at a time, and a later change decodes no more than the markers that it takes back.
func (s *Store) incur(c *change, contents []*content, gone func(series.Hash) bool) error {
	decoded := func(yield func(pmetric.Metrics) bool) {
		for _, content := range contents {
			if !yield(s.metricsOf(c, content)) {
				return
			}
		}
	}
	for markers := range series.Markers(decoded, s.options.Scope, gone, EnoughMarkers) {
		owed, err := s.encode(markers, markers)
		if err != nil {
			return &StorageError{err}
		}
		c.incurred = append(c.incurred, &owed)
	}
	return nil
}

// show makes the change visible.
func (s *Store) show(c *change) {
	g := c.group
	s.mu.Lock()
	fall := c.counts.fall()
	fall.OwedSize = c.owedSize()
	s.add(fall)
	if c.die {
		s.die(g)
	} else if !c.since.IsZero() {
		s.live(g, c.since)
	}
	s.mu.Unlock()

	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range c.drop {
		delete(g.families, f.Name)
	}
	for _, f := range c.add {
		g.families[f.Name] = f
	}
	g.owed = c.owing()
	for _, owed := range c.paid {
		delete(g.refused, owed)
		for _, h := range owed.series {
			delete(g.ending, h)
		}
	}
	for _, owed := range c.incurred {
		g.owe(owed)
	}
	g.alive, g.pushed, g.failed, g.times = !c.die && (c.create || g.alive), c.pushed, c.failed, c.times
}

// owedSize is by how many bytes what the group owes becomes larger.
func (c *change) owedSize() (size int64) {
	for _, owed := range c.incurred {
		size += owed.size()
	}
	for _, owed := range c.paid {
		size -= owed.size()
	}
	return size
}

// owing is what the group owes afterwards.
func (c *change) owing() []*content {
	owed := c.group.owed
	if len(c.paid) > 0 {
		paid := make(map[*content]bool, len(c.paid))
		for _, o := range c.paid {
			paid[o] = true
		}
		owed = slices.DeleteFunc(slices.Clone(owed), func(o *content) bool { return paid[o] })
	}
	return append(owed, c.incurred...) // Behind what anybody reads.
}

// owe notes the series of a content that is owed. The group's lock is held, or nobody else has the group yet.
func (g *group) owe(owed *content) {
	if len(g.ending) == 0 {
		g.ending = make(map[series.Hash]bool, len(owed.series)) // Maps do not shrink.
	}
	for _, h := range owed.series {
		g.ending[h] = true
	}
}
