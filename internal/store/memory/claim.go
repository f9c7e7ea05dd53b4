// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// claim is the store's part of a store.Claim.
type claim struct {
	now     time.Time
	zero    time.Time // that of the store.Claim
	zeros   bool      // series of aggregates begin
	groups  map[*group]*claimed
	order   []*group // the groups, the oldest change first
	blocked []*group // groups that wait for this claim
	parts   []*store.Part
	series  int
	bytes   int64
}

// claimed is a group in a claim.
type claimed struct {
	full    bool       // a republishing round: the claim has all values
	acked   []*markers // markers to drop in Settle
	lapsing bool       // Expire is dropping some markers
	// Refused parts are due immediately (refused) or later (retry). The round is complete if only suspects were refused.
	refused bool
	retry   time.Time
	over    bool
}

// origin is what a part is made of.
type origin struct {
	group          *group
	content        *content
	family         *family   // nil for push times and markers
	markers        *markers  // nil for values
	exported       time.Time // previous export time of the content
	pushed, failed time.Time // the push times

	zeros     map[uint64]bool // series of the chunk that begin
	exemplars map[uint64]pmetric.ExemplarSlice
}

func originOf(p *store.Part) *origin { return p.Origin.(*origin) }

// Claim implements store.Store. It alternates between the oldest changes and due rounds, so that neither starves.
func (s *Store) Claim(_ context.Context, limits store.Limits) (*store.Claim, time.Time) {
	c := &claim{now: s.options.Now(), groups: make(map[*group]*claimed)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if limits.Last {
		s.hurry()
	}
	for len(c.groups) < limits.Groups && c.series < limits.Series && c.bytes < limits.Bytes {
		g := s.next(c.now)
		if g == nil {
			break
		}
		s.claimGroup(c, g)
	}
	if len(c.groups) == 0 {
		return nil, s.firstDue()
	}
	s.claims[c] = struct{}{}
	if c.zeros {
		c.zero = s.options.Tick()
	}
	return &store.Claim{At: s.options.Tick(), Zero: c.zero, Parts: c.parts, Held: c}, time.Time{}
}

// next removes the next group from its queue, alternating between changes and due rounds. Store.mu is held.
func (s *Store) next(now time.Time) (g *group) {
	if s.roundNext {
		g = s.nextDue(now)
	}
	if g == nil {
		g = s.nextChange()
		s.roundNext = g != nil
	} else {
		s.roundNext = false
	}
	if g == nil {
		g = s.nextDue(now)
	}
	return g
}

// nextChange removes the group with the oldest change from its queue. Store.mu is held.
func (s *Store) nextChange() *group {
	first := s.unsent.Front()
	if first == nil {
		return nil
	}
	g := first.Value.(*group)
	s.unschedule(g)
	return g
}

// nextDue removes the group that is overdue the longest from its queue. Store.mu is held.
func (s *Store) nextDue(now time.Time) *group {
	if len(s.rounds) == 0 || s.rounds[0].at.After(now) {
		return nil
	}
	g := s.rounds[0]
	s.unschedule(g)
	return g
}

// firstDue returns the earliest due time in Store.rounds. Store.mu is held.
func (s *Store) firstDue() time.Time {
	if len(s.rounds) == 0 {
		return time.Time{}
	}
	return s.rounds[0].at
}

// claimGroup adds a group to the claim, unless it must wait or has nothing to export. Store.mu is held.
func (s *Store) claimGroup(c *claim, g *group) {
	if earlier := s.claimBefore(g); earlier != nil {
		earlier.blocked = append(earlier.blocked, g)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	of := &claimed{over: true, full: !g.round.IsZero() && !g.round.After(c.now)}
	parts := s.parts(c, g, of)
	if len(parts) == 0 && len(of.acked) == 0 && (of.lapsing || len(g.dropping) > 0) {
		return // The current change or expiry calls place.
	}
	for _, p := range parts {
		of := originOf(p)
		of.exported, of.content.exported = of.content.exported, c.now
		c.series += p.Series
		c.bytes += of.content.size()
	}
	c.parts = append(c.parts, parts...)
	c.order = append(c.order, g)
	c.groups[g], g.claim, g.again = of, c, time.Time{}
	g.claimed, g.urgent, g.paced = c.now, false, false
}

// claimBefore returns a claim that the group must wait for, or nil. Store.mu is held.
func (s *Store) claimBefore(g *group) *claim {
	g.waitsFor = slices.DeleteFunc(g.waitsFor, func(c *claim) bool {
		_, active := s.claims[c]
		return !active
	})
	if len(g.waitsFor) == 0 {
		return nil
	}
	return g.waitsFor[0]
}

// parts lists a group's pending markers and its unsent values, or all values in a round. The group's mu is held.
func (s *Store) parts(c *claim, g *group, of *claimed) []*store.Part {
	parts := append(s.markerParts(g, of), s.familyParts(c, g, of.full)...)
	if g.alive && len(g.times.series) > 0 && (of.full || !g.timesSent) && !g.dropping[&g.times] {
		pushed, failed := g.pushed, g.failed
		parts = append(parts, &store.Part{
			Series: len(g.times.series), Origin: &origin{content: &g.times, pushed: pushed, failed: failed},
			Build: func([]series.Hash) pmetric.Metrics { return s.options.PushTimesOf(g.key, pushed, failed) },
		})
	}
	for _, p := range parts {
		p.Key, p.Group, originOf(p).group = g.key, g.path, g
	}
	return parts
}

// markerParts lists a group's pending markers, and records those that are lapsing or have no pending series left.
func (s *Store) markerParts(g *group, of *claimed) (parts []*store.Part) {
	for _, m := range g.pending {
		if m.index == notScheduled {
			of.lapsing = true
			continue
		}
		left := m.left()
		if len(left) == 0 {
			of.acked = append(of.acked, m)
			continue
		}
		parts = append(parts, &store.Part{
			Series: len(left), Markers: left, Origin: &origin{content: &m.content, markers: m},
			Build: func(left []series.Hash) pmetric.Metrics { return m.build(&s.options, left) },
		})
	}
	return parts
}

// familyParts lists a group's unsent families and chunks, or all of them, by name.
func (s *Store) familyParts(c *claim, g *group, all bool) (parts []*store.Part) {
	families := slices.Collect(maps.Keys(g.unsent))
	if all {
		families = slices.Collect(maps.Values(g.families))
		if g.aggregate != nil {
			families = slices.AppendSeq(families, maps.Values(g.aggregate.chunks))
		}
	}
	slices.SortFunc(families, byName)
	for _, f := range families {
		if g.dropping[&f.content] {
			continue
		}
		if f.chunk != nil {
			parts = append(parts, g.aggregate.part(c, f))
			continue
		}
		encoded := f.encoded
		if f.first != nil {
			encoded = f.first
		}
		parts = append(parts, &store.Part{
			Family: f.name, Series: len(f.series), Origin: &origin{content: &f.content, family: f},
			Build: func([]series.Hash) pmetric.Metrics { return s.options.ForwardedPart(store.Decode(encoded)) },
		})
	}
	return parts
}

// Settle implements store.Store.
func (s *Store) Settle(ctx context.Context, settled *store.Claim) error {
	c := settled.Held.(*claim)
	s.settleParts(c, settled.Parts)
	var acked []*group
	for _, g := range c.order {
		of := c.groups[g]
		if len(of.acked) > 0 {
			acked = append(acked, g)
		}
	}
	err := forEach(acked, func(g *group) error { return s.ack(ctx, g, c.groups[g].acked) })
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claims, c)
	now := s.options.Now()
	for _, g := range c.order {
		of := c.groups[g]
		if err != nil && len(of.acked) > 0 {
			of.delay(now.Add(ackRetry))
		}
		s.requeue(g, of, now)
	}
	for _, g := range c.blocked {
		if s.groups[g.path] == g && g.claim == nil {
			s.place(g)
		}
	}
	return err
}

// ackRetry is the delay before markers are exported again whose acknowledgement was not stored.
const ackRetry = 5 * time.Second

// delay records a later due time.
func (of *claimed) delay(until time.Time) {
	if of.retry.IsZero() || until.Before(of.retry) {
		of.retry = until
	}
}

// settleParts records all outcomes except acknowledged markers, which must be stored first.
func (s *Store) settleParts(c *claim, parts []*store.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	for _, p := range parts {
		part := originOf(p)
		of := c.groups[part.group]
		switch {
		case p.Outcome.Accepted:
		case p.Outcome.Retry.IsZero():
			of.refused = true
		default:
			of.delay(p.Outcome.Retry)
		}
		of.over = of.over && (p.Outcome.Accepted || p.Outcome.Suspect)
		part.group.mu.Lock()
		switch {
		case part.markers != nil && p.Outcome.Accepted:
			if s.dropSeries(part.markers, p.Markers) {
				of.acked = append(of.acked, part.markers)
			}
		case part.markers == nil:
			s.settleValues(part, p.Outcome, c.now, now)
		}
		part.group.mu.Unlock()
	}
}

// settleValues records the outcome of values. Store.mu and the group's mu are held.
func (s *Store) settleValues(p *origin, outcome store.Outcome, claimed, now time.Time) {
	switch g := p.group; {
	case outcome.Accepted:
		g.aggregate.settleExtras(p, outcome)
		p.content.exported = now
		if p.family != nil {
			delete(g.unsent, p.family)
			s.dropFirst(p.family)
		} else if p.pushed.Equal(g.pushed) && p.failed.Equal(g.failed) {
			g.timesSent = true
		}
	case !outcome.Tried && p.content.exported.Equal(claimed):
		p.content.exported = p.exported
	default:
		g.aggregate.settleExtras(p, outcome)
	}
}

// dropFirst drops the exemplars of a family. Store.mu and the group's mu are held.
func (s *Store) dropFirst(f *family) {
	s.counts.Size -= int64(len(f.first))
	f.first = nil
}

// ack stores that markers are no longer pending, then drops them. The error is a *StorageError or ErrBusy.
func (s *Store) ack(ctx context.Context, g *group, acked []*markers) error {
	select {
	case g.changing <- struct{}{}:
	case <-ctx.Done():
		return store.ErrBusy
	}
	defer g.unlock()
	c := newChange(g)
	c.create, c.hide, c.acked = false, !g.alive, s.stillPending(acked)
	if len(c.acked) == 0 {
		return nil
	}
	if err := s.write(ctx, c); err != nil {
		return err
	}
	s.publish(c)
	s.removeIfEmpty(g)
	return nil
}

// stillPending returns the markers that are still pending, without duplicates.
func (s *Store) stillPending(all []*markers) (pending []*markers) {
	listed := make(map[*markers]bool, len(all))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range all {
		if !m.gone && !listed[m] {
			listed[m] = true
			pending = append(pending, m)
		}
	}
	return pending
}

// requeue schedules a group after its claim. Store.mu is held.
func (s *Store) requeue(g *group, of *claimed, now time.Time) {
	g.claim = nil
	if s.groups[g.path] != g {
		return
	}
	g.mu.Lock()
	rest := len(g.unsent) > 0 || len(g.pending) > 0 || g.alive && !g.timesSent && len(g.times.series) > 0
	alive := g.alive
	g.mu.Unlock()
	if of.full && of.over {
		g.round = time.Time{}
	} else if of.full && !of.refused {
		g.round = of.retry
	}
	if g.round.IsZero() && alive && s.options.RepublishInterval > 0 {
		g.round = s.nextRound(now)
	}
	switch {
	case !rest:
		s.clearWaiting(g)
	case !g.again.IsZero() && of.over:
		s.markWaiting(g, g.again) // All older changes were accepted, except suspects.
	case g.since.IsZero():
		s.markWaiting(g, now)
	}
	if of.over && g.again.IsZero() {
		delete(s.waiting, g) // Suspects are counted separately.
	}
	g.retry, g.paced = of.retry, false
	if !g.again.IsZero() {
		g.pace(now)
	}
	if of.refused {
		g.retry, g.paced = time.Time{}, false
	}
	s.place(g)
}
