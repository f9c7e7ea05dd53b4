// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Push implements store.Store.
func (s *Store) Push(
	ctx context.Context, key groupingkey.Key, families []*store.Family, replace bool, at time.Time, emptied ...string,
) error {
	g, err := s.lock(ctx, key, true)
	if err != nil {
		return err
	}
	defer g.unlock()
	c := newChange(g)
	c.pushed, c.since, c.plain = at, at, true
	for _, f := range families {
		f.PushTime = at
		c.add = append(c.add, newFamily(f))
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
		c.drop = g.sortedFamilies()
	} else if err := c.checkCollisions(families); err != nil {
		s.removeIfEmpty(g)
		return err
	}
	return s.apply(ctx, c)
}

// Fail implements store.Store.
func (s *Store) Fail(ctx context.Context, key groupingkey.Key, at time.Time) error {
	g, err := s.lock(ctx, key, true)
	if err != nil {
		return err
	}
	defer g.unlock()
	c := newChange(g)
	c.failed = at
	if c.pushed.IsZero() {
		c.since, c.plain = at, true
	}
	return s.apply(ctx, c)
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key groupingkey.Key) error {
	return s.end(ctx, key, func(*group) (plain, aggregate bool) { return true, false })
}

// end ends the parts of a group that are there and selected. The group ends with the last of them.
func (s *Store) end(ctx context.Context, key groupingkey.Key, selected func(*group) (plain, aggregate bool)) error {
	g, err := s.lock(ctx, key, false)
	if g == nil || err != nil {
		return err
	}
	defer g.unlock()
	plain, aggregate := selected(g)
	plain, aggregate = plain && g.plain, aggregate && g.aggregate != nil
	if !plain && !aggregate {
		return nil
	}
	c := newChange(g)
	if plain {
		c.endPlain()
	}
	if aggregate {
		c.endAggregate()
	}
	c.hideIfOver()
	return s.apply(ctx, c)
}

// changesAtOnce is the number of concurrent changes of a wipe or an expiry. Concurrent changes share writes.
const changesAtOnce = 64

// Wipe implements store.Store.
func (s *Store) Wipe(ctx context.Context) error {
	var keys []groupingkey.Key
	for snapshot := range s.Snapshots(ctx) {
		keys = append(keys, snapshot.Key)
	}
	return forEach(keys, func(key groupingkey.Key) error {
		return s.end(ctx, key, func(*group) (plain, aggregate bool) { return true, true })
	})
}

// forEach calls do concurrently for each element until a call fails. It returns the first error.
func forEach[E any](all []E, do func(E) error) (failed error) {
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

// change is an atomic change of one group. The group is locked.
type change struct {
	group  *group
	create bool // the group becomes visible
	hide   bool // the group becomes invisible
	drop   []*family
	add    []*family
	acked  []*markers // markers that are no longer pending
	pushed time.Time
	failed time.Time
	since  time.Time // new start of the group's time to live, or zero
	plain  bool      // the group is an ordinary one

	contribution *contribution // what changes of the aggregate, or nil

	outgoing []*content // dropped contents that are not replaced by the same series
	incoming []*content // added contents that do not replace the same series

	store.Difference                      // of outgoing and incoming
	reserved         int                  // the first of Added, which are in the index
	readded          map[series.Hash]bool // added series that are pending
	taken            []takeover           // added series that are pending elsewhere

	times   content // push times of a created group
	markers []*markers
	counts  store.Counts // differences
}

// takeover is a series with a pending marker in another group.
type takeover struct {
	series series.Hash
	from   *group
}

func newChange(g *group) *change {
	return &change{group: g, create: !g.alive, pushed: g.pushed, failed: g.failed, plain: g.plain}
}

// endPlain ends the group as an ordinary one.
func (c *change) endPlain() {
	c.plain = false
	c.drop = append(c.drop, c.group.sortedFamilies()...)
}

// hideIfOver makes the group invisible if nothing of it stays.
func (c *change) hideIfOver() {
	if !c.plain && (c.group.aggregate == nil || c.contribution.ends()) {
		c.create, c.hide, c.pushed, c.failed = false, true, time.Time{}, time.Time{}
	}
}

// apply makes the change completely or not at all.
func (s *Store) apply(ctx context.Context, c *change) error {
	defer s.removeIfEmpty(c.group)
	s.compare(c)
	if err := s.reserve(c); err != nil {
		s.abandon(c)
		return err
	}
	err := s.endSeries(c)
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

// compare determines which series are added and which end. It skips families that are replaced by the same series, the
// common case.
func (s *Store) compare(c *change) {
	g := c.group
	if c.create {
		c.times = s.timesOf(g.key)
	}
	c.outgoing, c.incoming = c.findOutgoing(), c.findIncoming()
	var few [2][8]store.Content // Most changes have no more.
	old, added := few[0][:0], few[1][:0]
	g.mu.Lock()
	for _, content := range c.outgoing {
		exported := !content.exported.IsZero()
		if !exported {
			g.drops(content)
		}
		old = append(old, store.Content{Series: content.series, Exported: exported})
	}
	g.mu.Unlock()
	for _, content := range c.incoming {
		added = append(added, store.Content{Series: content.series})
	}
	c.Difference = store.Compare(old, added)
}

// drops withholds a content that was never exported from claims. The group's mu is held.
func (g *group) drops(c *content) {
	if g.dropping == nil {
		g.dropping = make(map[*content]bool)
	}
	g.dropping[c] = true
}

// abandon lets claims use the contents that the change would have dropped.
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

// timesOf returns the series of a group's push times.
func (s *Store) timesOf(key groupingkey.Key) content {
	return content{series: series.Append(nil, s.options.PushTimesOf(key, time.Time{}, time.Time{}), s.options.Scope), slot: noSlot}
}

func (c *change) findOutgoing() []*content {
	again := make(map[*family]bool, len(c.add))
	for _, f := range c.add {
		old := c.group.current(f)
		again[old] = old != nil && slices.Equal(old.series, f.series)
	}
	var contents []*content
	for _, f := range c.drop {
		if !again[f] {
			contents = append(contents, &f.content)
		}
	}
	if c.hide {
		contents = append(contents, &c.group.times)
	}
	return contents
}

func (c *change) findIncoming() []*content {
	var contents []*content
	for _, f := range c.add {
		if old := c.group.current(f); old == nil || !slices.Equal(old.series, f.series) {
			contents = append(contents, &f.content)
		}
	}
	if c.create {
		contents = append(contents, &c.times)
	}
	return contents
}

// endSeries builds the markers for ending series that were exported. It decodes one content at a time.
func (s *Store) endSeries(c *change) error {
	if len(c.Marked) == 0 {
		return nil
	}
	marked := func(h series.Hash) bool { return c.Marked[h] }
	ending := func(yield func(pmetric.Metrics) bool) {
		for _, content := range c.outgoing {
			if slices.ContainsFunc(content.series, marked) && !yield(s.metricsOf(c, content)) {
				return
			}
		}
	}
	all, err := s.options.NewMarkers(ending, marked)
	if err != nil {
		return &store.StorageError{Err: err}
	}
	for _, m := range all {
		c.markers = append(c.markers, &markers{content: content{encoded: m.Encoded, series: m.Series, slot: noSlot}, group: c.group})
	}
	return nil
}

// metricsOf decodes a content of the change. Push times are not stored encoded and are built.
func (s *Store) metricsOf(c *change, content *content) pmetric.Metrics {
	if content == &c.group.times || content == &c.times {
		return s.options.PushTimesOf(c.group.key, c.pushed, c.failed)
	}
	return content.Metrics()
}

// publish makes the change visible and schedules its export.
func (s *Store) publish(c *change) {
	now, g := s.options.Now(), c.group
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Add(decrease(c.counts))
	for _, t := range c.taken {
		s.takeOver(g, t)
	}
	for h := range c.Ended {
		delete(s.series, h)
	}
	g.readding = nil
	if !c.plain {
		s.removeExpiry(g)
	} else if !c.since.IsZero() {
		s.touch(g, c.since)
	}
	s.publishGroup(c, now)
	if len(c.acked) == 0 { // An acknowledgement needs no export.
		s.enqueue(g, now, c.contribution != nil && !c.contribution.over)
	}
}

// publishGroup updates what readers and claims see of the group. Store.mu is held.
func (s *Store) publishGroup(c *change, now time.Time) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	exported := c.inherit(now)
	c.contribution.begin(g)
	sent := make(map[*family]bool)
	for _, f := range c.add {
		if old := g.current(f); f.unchanged && old != nil {
			_, unsent := g.unsent[old]
			sent[f] = !unsent
		}
	}
	for _, f := range c.drop {
		s.dropFirst(f)
		delete(g.unsent, f)
		g.remove(f)
	}
	for _, f := range c.add {
		g.put(f)
		if g.unsent == nil {
			g.unsent = make(map[*family]struct{}, len(c.add))
		}
		if !sent[f] {
			g.unsent[f] = struct{}{}
		}
	}
	if c.contribution != nil {
		c.contribution.publish(g)
		s.listAggregate(g)
	}
	s.counts.Pending -= len(c.readded)
	for h := range c.readded {
		delete(g.pendingSeries, h)
	}
	s.dropMarkers(g, c.acked)
	for _, m := range c.markers {
		m.lapsed = exported.Add(store.Lookback)
		s.addMarkers(m)
	}
	if c.create {
		g.times = c.times
	}
	if c.create || !c.pushed.Equal(g.pushed) || !c.failed.Equal(g.failed) {
		g.timesSent = false
	}
	g.alive, g.plain = !c.hide && (c.create || g.alive), c.plain
	g.pushed, g.failed, g.dropping = c.pushed, c.failed, nil
}

// inherit gives added contents the last export time of their series. It returns the latest export time of the dropped
// contents. The group's mu is held.
func (c *change) inherit(now time.Time) (dropped time.Time) {
	for _, f := range c.drop {
		dropped = later(dropped, f.exported)
	}
	if c.hide {
		dropped = later(dropped, c.group.times.exported)
	}
	latest := dropped
	if len(c.readded)+len(c.taken) > 0 {
		latest = now
	}
	for _, added := range c.incoming {
		added.exported = latest
	}
	for _, f := range c.add {
		if old := c.group.current(f); old != nil && f.exported.IsZero() {
			f.exported = old.exported
		}
	}
	return dropped
}

// checkCollisions refuses a POST whose families collide with those that it keeps.
func (c *change) checkCollisions(families []*store.Family) error {
	replaced := make(map[string]bool, len(c.drop))
	for _, f := range c.drop {
		replaced[f.name] = true
	}
	return store.CheckCollisions(families, func(name string) string {
		if f := c.group.families[name]; f != nil && !replaced[name] {
			return f.typ
		}
		return ""
	})
}
