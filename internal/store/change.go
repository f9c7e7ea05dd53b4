// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Push adds the families to the group. If replace is set (PUT), they replace all families of the group, otherwise (POST)
// those of the same names and those of the emptied names, which differ. The error is a *ConflictError, a *LimitError, a
// *StorageError or ErrBusy.
func (s *Store) Push(
	ctx context.Context, key groupingkey.Key, families []*Family, replace bool, at time.Time, emptied ...string,
) error {
	g, err := s.lock(ctx, key, true)
	if err != nil {
		return err
	}
	defer g.unlock()
	c := newChange(g)
	c.add, c.pushed, c.since = families, at, at
	for _, f := range families {
		f.PushTime = at
		if old := g.families[f.Name]; old != nil && !replace {
			c.drop = append(c.drop, old)
		}
	}
	for _, name := range emptied {
		if old := g.families[name]; old != nil {
			c.drop = append(c.drop, old)
		}
	}
	if replace {
		c.drop = slices.Collect(maps.Values(g.families))
	} else if err := c.collide(); err != nil {
		s.removeIfEmpty(g)
		return err
	}
	return s.apply(ctx, c)
}

// Fail notes that a push to the group failed. It makes the group if there is none, as a Pushgateway does. A group without a successful
// push lives since its last failure. The error is one of Push's.
func (s *Store) Fail(ctx context.Context, key groupingkey.Key, at time.Time) error {
	g, err := s.lock(ctx, key, true)
	if err != nil {
		return err
	}
	defer g.unlock()
	c := newChange(g)
	c.failed = at
	if c.pushed.IsZero() {
		c.since = at
	}
	return s.apply(ctx, c)
}

// Delete removes the group, if there is one. The error is a *StorageError or ErrBusy.
func (s *Store) Delete(ctx context.Context, key groupingkey.Key) error {
	return s.deleteIf(ctx, key, func(*group) bool { return true })
}

func (s *Store) deleteIf(ctx context.Context, key groupingkey.Key, condition func(*group) bool) error {
	g, err := s.lock(ctx, key, false)
	if g == nil || err != nil {
		return err
	}
	defer g.unlock()
	if !g.alive || !condition(g) {
		return nil
	}
	c := newChange(g)
	c.die, c.drop = true, slices.Collect(maps.Values(g.families))
	c.pushed, c.failed = time.Time{}, time.Time{}
	return s.apply(ctx, c)
}

// changesAtOnce is how many groups a wipe or an expiry changes concurrently, so that they are written together.
const changesAtOnce = 64

// Wipe removes all groups that there are now. The error is one of Delete's; some groups are removed then.
func (s *Store) Wipe(ctx context.Context) error {
	var keys []groupingkey.Key
	for snapshot := range s.Snapshots() {
		keys = append(keys, snapshot.Key)
	}
	return eachOf(keys, func(key groupingkey.Key) error { return s.Delete(ctx, key) })
}

// eachOf calls do for each of all, concurrently, until one call fails. It returns the first error.
func eachOf[E any](all []E, do func(E) error) (failed error) {
	var mu sync.Mutex
	next := func() (E, bool) {
		mu.Lock()
		defer mu.Unlock()
		var none E
		if len(all) == 0 || failed != nil {
			return none, false
		}
		first := all[0]
		all = all[1:]
		return first, true
	}
	var working sync.WaitGroup
	for range min(changesAtOnce, len(all)) {
		working.Go(func() {
			for e, ok := next(); ok; e, ok = next() {
				if err := do(e); err != nil {
					mu.Lock()
					failed = cmp.Or(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	working.Wait()
	return failed
}

// change is what happens to one group at once. The group is locked.
type change struct {
	group  *group
	create bool // A reader sees the group from now on,
	die    bool // or no longer.
	drop   []*Family
	add    []*Family
	acked  []*markers // pending no longer
	pushed time.Time
	failed time.Time
	since  time.Time // when the life of the group begins anew; zero if it does not

	outgoing []*content // what is dropped and not replaced by the same series
	incoming []*content // what is added and was not there with the same series

	before  map[series.Hash]bool // series of what is dropped, and whether they end
	revived map[series.Hash]bool // pending series that are added again
	added   []series.Hash        // series that no group had before
	taken   []takeover
	ended   []series.Hash // series that end without a marker
	times   content       // of a group that is created
	markers []*markers
	counts  Counts // by how much they change
}

// takeover is a series that another group had a pending marker for.
type takeover struct {
	series series.Hash
	from   *group
}

func newChange(g *group) *change {
	return &change{group: g, create: !g.alive, pushed: g.pushed, failed: g.failed}
}

// apply carries the change out, or leaves everything as it was.
func (s *Store) apply(ctx context.Context, c *change) error {
	defer s.removeIfEmpty(c.group)
	s.compare(c)
	if err := s.reserve(c); err != nil {
		s.abandon(c)
		return err
	}
	err := s.end(c)
	if err == nil {
		err = s.write(ctx, c)
	}
	if err != nil {
		s.unreserve(c)
		return err
	}
	s.publish(c)
	return nil
}

// compare finds the series that come and go. Families that are replaced by the same series, as most are, are passed over.
func (s *Store) compare(c *change) {
	g := c.group
	if c.create {
		c.times = s.timesOf(g.key)
	}
	c.outgoing, c.incoming = c.findOutgoing(), c.findIncoming()
	c.before = make(map[series.Hash]bool)
	for _, content := range c.outgoing {
		for _, h := range content.series {
			c.before[h] = true
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, old := range c.outgoing {
		if old.exported.IsZero() {
			if g.dropping == nil {
				g.dropping = make(map[*content]bool)
			}
			g.dropping[old] = true
		}
	}
}

// abandon lets claims have again what the change would have dropped.
func (s *Store) abandon(c *change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := c.group
	g.mu.Lock()
	dropping := len(g.dropping) > 0
	g.dropping = nil
	g.mu.Unlock()
	if dropping && g.claim == nil {
		s.place(g)
	}
}

// timesOf is what the push times of a group are as series.
func (s *Store) timesOf(key groupingkey.Key) content {
	return content{series: series.Append(nil, s.pushTimes(key, time.Time{}, time.Time{}), s.options.Scope), slot: noSlot}
}

func (c *change) findOutgoing() []*content {
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

func (c *change) findIncoming() []*content {
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

// end makes the markers of the series that end and were exported.
func (s *Store) end(c *change) error {
	if len(c.before) == 0 {
		return nil
	}
	var exported []*content
	for _, content := range c.outgoing {
		if c.group.isDropping(content) {
			continue
		}
		exported = append(exported, content)
	}
	return s.newMarkers(c, exported, func(h series.Hash) bool { return c.before[h] })
}

// isDropping tells whether the change in progress drops the content without a marker.
func (g *group) isDropping(c *content) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dropping[c]
}

// metricsOf decodes a content of the change. Push times are made, since they are not held encoded.
func (s *Store) metricsOf(c *change, content *content) pmetric.Metrics {
	if content == &c.group.times || content == &c.times {
		return s.pushTimes(c.group.key, c.pushed, c.failed)
	}
	return content.Metrics()
}

// publish makes the change visible, and due.
func (s *Store) publish(c *change) {
	now, g := s.options.Now(), c.group
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.add(c.counts.decrease())
	for _, t := range c.taken {
		s.takeOver(g, t)
	}
	for _, h := range c.ended {
		delete(s.series, h)
	}
	g.reviving = nil
	if c.die {
		s.removeExpiry(g)
	} else if !c.since.IsZero() {
		s.touch(g, c.since)
	}
	s.publishGroup(c, now)
	if len(c.acked) == 0 { // An acknowledgement leaves nothing to export.
		s.enqueue(g, now)
	}
}

// publishGroup changes what readers and claims see of the group. Store.mu is held.
func (s *Store) publishGroup(c *change, now time.Time) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	exported := c.inherit(now)
	for _, f := range c.drop {
		s.dropFirst(f)
		delete(g.unsent, f)
		delete(g.families, f.Name)
	}
	for _, f := range c.add {
		g.families[f.Name] = f
		if g.unsent == nil {
			g.unsent = make(map[*Family]struct{}, len(c.add))
		}
		g.unsent[f] = struct{}{}
	}
	s.counts.Pending -= len(c.revived)
	for h := range c.revived {
		delete(g.ending, h)
	}
	s.dropMarkers(g, c.acked)
	for _, m := range c.markers {
		m.lapsed = exported.Add(lookback)
		s.addMarkers(m)
	}
	if c.create {
		g.times = c.times
	}
	if c.create || !c.pushed.Equal(g.pushed) || !c.failed.Equal(g.failed) {
		g.timesSent = false
	}
	g.alive = !c.die && (c.create || g.alive)
	g.pushed, g.failed, g.dropping = c.pushed, c.failed, nil
}

// inherit notes when values of the added series were last exported, before they were added. It returns the latest time of what is dropped.
// The group's mu is held.
func (c *change) inherit(now time.Time) (dropped time.Time) {
	for _, f := range c.drop {
		dropped = later(dropped, f.exported)
	}
	if c.die {
		dropped = later(dropped, c.group.times.exported)
	}
	latest := dropped
	if len(c.revived)+len(c.taken) > 0 {
		latest = now
	}
	for _, added := range c.incoming {
		added.exported = latest
	}
	for _, f := range c.add {
		if old := c.group.families[f.Name]; old != nil && f.exported.IsZero() {
			f.exported = old.exported
		}
	}
	return dropped
}
