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

// Limits limit a claim. The last group may exceed them.
type Limits struct {
	Groups int
	Series int
	Bytes  int64 // encoded
}

// Claim is a batch of groups to export. Each group is in at most one unsettled claim.
type Claim struct {
	// At is the timestamp of all points.
	At time.Time
	// Parts can be accepted or refused independently. Parts of one group are adjacent, with markers first.
	Parts []*Part

	now     time.Time
	scope   string // Options.Scope
	groups  map[*group]*claimed
	blocked []*group // groups that wait for this claim
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

// Part is a family, the push times, or some stale markers of a group.
type Part struct {
	Key groupingkey.Key
	// Family is the family's name, or empty for push times and markers.
	Family string
	// Series is the number of series.
	Series int
	// Outcome must be set before Settle.
	Outcome Outcome

	group          *group
	content        *content
	family         *Family       // nil for push times and markers
	markers        *markers      // nil for values
	left           []series.Hash // the markers' series
	exported       time.Time     // previous export time of the content
	pushed, failed time.Time     // the push times
	metrics        func() pmetric.Metrics
}

// Outcome is the result of exporting a part.
type Outcome struct {
	// Tried says that the part was exported. Even with an error, the next consumer may have accepted it.
	Tried bool
	// Accepted says that the next consumer accepted the part.
	Accepted bool
	// Err is the error of a call with this part alone, if any.
	Err error
	// Retry is the earliest next claim of a refused part, or zero for immediately.
	Retry time.Time
	// Suspect says that the part was refused while others were accepted. It does not keep its group's round open.
	Suspect bool
}

// Metrics builds new pdata of the part, without times.
func (p *Part) Metrics() pmetric.Metrics { return p.metrics() }

// Name describes the part for logs.
func (p *Part) Name() string {
	switch {
	case p.markers != nil:
		return "stale markers"
	case p.family != nil:
		return "family " + p.Family
	default:
		return "push times"
	}
}

// SameGroup reports whether both parts are of one group.
func (p *Part) SameGroup(other *Part) bool { return p.group == other.group }

// PartID identifies a part across claims. Among markers, only a single marker has one.
type PartID struct {
	path, family string
	values       bool
	series       series.Hash
}

// ID identifies the part. It is empty for several markers.
func (p *Part) ID() PartID {
	switch {
	case p.markers == nil:
		return PartID{path: p.group.path, family: p.Family, values: true}
	case len(p.left) == 1:
		return PartID{path: p.group.path, series: p.left[0]}
	default:
		return PartID{}
	}
}

// Divide splits a part of several markers into two parts and returns them. Other parts are returned unchanged.
func (c *Claim) Divide(p *Part) []*Part {
	if len(p.left) < 2 {
		return []*Part{p}
	}
	middle := len(p.left) / 2
	return c.replace(p, p.left[:middle], p.left[middle:])
}

// Separate gives each picked marker its own part.
func (c *Claim) Separate(pick func(PartID) bool) {
	for _, p := range slices.Clone(c.Parts) {
		if len(p.left) < 2 {
			continue
		}
		rest := make([]series.Hash, 0, len(p.left))
		var parts [][]series.Hash
		for _, h := range p.left {
			if pick(PartID{path: p.group.path, series: h}) {
				parts = append(parts, []series.Hash{h})
			} else {
				rest = append(rest, h)
			}
		}
		if len(rest) > 0 && len(parts) > 0 {
			parts = append(parts, rest)
		}
		if len(parts) > 0 {
			c.replace(p, parts...)
		}
	}
}

// replace splits a part of markers by series.
func (c *Claim) replace(p *Part, by ...[]series.Hash) (parts []*Part) {
	for _, left := range by {
		part := *p
		part.Series, part.left = len(left), left
		part.metrics = func() pmetric.Metrics { return part.markers.build(left, c.scope) }
		parts = append(parts, &part)
	}
	i := slices.Index(c.Parts, p)
	c.Parts = slices.Concat(c.Parts[:i], parts, c.Parts[i+1:]) // Callers iterate over the old slice.
	return parts
}

// Claim returns the groups that are due. If there are none, it returns nil and the next due time, zero for never. It
// alternates between the oldest changes and due rounds, so that neither starves.
func (s *Store) Claim(limits Limits) (*Claim, time.Time) {
	c := &Claim{now: s.options.Now(), scope: s.options.Scope, groups: make(map[*group]*claimed)}
	s.mu.Lock()
	defer s.mu.Unlock()
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
	c.At = s.options.Tick()
	s.claims[c] = struct{}{}
	return c, time.Time{}
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
func (s *Store) claimGroup(c *Claim, g *group) {
	if earlier := s.claimBefore(g); earlier != nil {
		earlier.blocked = append(earlier.blocked, g)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	of := &claimed{over: true, full: !g.round.IsZero() && !g.round.After(c.now)}
	parts := s.parts(g, of)
	if len(parts) == 0 && len(of.acked) == 0 && (of.lapsing || len(g.dropping) > 0) {
		return // The current change or expiry calls place.
	}
	for _, p := range parts {
		p.exported, p.content.exported = p.content.exported, c.now
		c.series += p.Series
		c.bytes += p.content.size()
	}
	c.Parts = append(c.Parts, parts...)
	c.groups[g], g.claim, g.again = of, c, time.Time{}
}

// claimBefore returns a claim that the group must wait for, or nil. Store.mu is held.
func (s *Store) claimBefore(g *group) *Claim {
	g.waitsFor = slices.DeleteFunc(g.waitsFor, func(c *Claim) bool {
		_, active := s.claims[c]
		return !active
	})
	if len(g.waitsFor) == 0 {
		return nil
	}
	return g.waitsFor[0]
}

// parts lists a group's pending markers and its unsent values, or all values in a round. The group's mu is held.
func (s *Store) parts(g *group, of *claimed) []*Part {
	parts := append(s.markerParts(g, of), s.familyParts(g, of.full)...)
	if g.alive && len(g.times.series) > 0 && (of.full || !g.timesSent) && !g.dropping[&g.times] {
		pushed, failed := g.pushed, g.failed
		parts = append(parts, &Part{
			Series: len(g.times.series), content: &g.times, pushed: pushed, failed: failed,
			metrics: func() pmetric.Metrics { return s.pushTimes(g.key, pushed, failed) },
		})
	}
	for _, p := range parts {
		p.Key, p.group = g.key, g
	}
	return parts
}

// markerParts lists a group's pending markers, and records those that are lapsing or have no pending series left.
func (s *Store) markerParts(g *group, of *claimed) (parts []*Part) {
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
		parts = append(parts, &Part{
			Series: len(left), content: &m.content, markers: m, left: left,
			metrics: func() pmetric.Metrics { return m.build(left, s.options.Scope) },
		})
	}
	return parts
}

// familyParts lists a group's unsent families, or all of them, by name.
func (s *Store) familyParts(g *group, all bool) (parts []*Part) {
	families := slices.Collect(maps.Keys(g.unsent))
	if all {
		families = slices.Collect(maps.Values(g.families))
	}
	slices.SortFunc(families, byName)
	for _, f := range families {
		if g.dropping[&f.content] {
			continue
		}
		encoded := f.encoded
		if f.first != nil {
			encoded = f.first
		}
		parts = append(parts, &Part{
			Family: f.Name, Series: len(f.series), content: &f.content, family: f,
			metrics: func() pmetric.Metrics { return s.forwarded(decode(encoded)) },
		})
	}
	return parts
}

// Settle ends a claim. All parts must have their outcomes. After a *StorageError, accepted markers are still pending and
// will be exported again.
func (s *Store) Settle(ctx context.Context, c *Claim) error {
	s.settleParts(c)
	var acked []*group
	for g, of := range c.groups {
		if len(of.acked) > 0 {
			acked = append(acked, g)
		}
	}
	err := forEach(acked, func(g *group) error { return s.ack(ctx, g, c.groups[g].acked) })
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claims, c)
	now := s.options.Now()
	for g, of := range c.groups {
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
func (s *Store) settleParts(c *Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	for _, p := range c.Parts {
		of := c.groups[p.group]
		switch {
		case p.Outcome.Accepted:
		case p.Outcome.Retry.IsZero():
			of.refused = true
		default:
			of.delay(p.Outcome.Retry)
		}
		of.over = of.over && (p.Outcome.Accepted || p.Outcome.Suspect)
		p.group.mu.Lock()
		switch {
		case p.markers != nil && p.Outcome.Accepted:
			if s.dropSeries(p.markers, p.left) {
				of.acked = append(of.acked, p.markers)
			}
		case p.markers == nil:
			s.settleValues(p, c.now, now)
		}
		p.group.mu.Unlock()
	}
}

// settleValues records the outcome of values. Store.mu and the group's mu are held.
func (s *Store) settleValues(p *Part, claimed, now time.Time) {
	switch g := p.group; {
	case p.Outcome.Accepted:
		p.content.exported = now
		if p.family != nil {
			delete(g.unsent, p.family)
			s.dropFirst(p.family)
		} else if p.pushed.Equal(g.pushed) && p.failed.Equal(g.failed) {
			g.timesSent = true
		}
	case !p.Outcome.Tried && p.content.exported.Equal(claimed):
		p.content.exported = p.exported
	}
}

// dropFirst drops the exemplars of a family. Store.mu and the group's mu are held.
func (s *Store) dropFirst(f *Family) {
	s.counts.Size -= int64(len(f.first))
	f.first = nil
}

// ack stores that markers are no longer pending, then drops them. The error is a *StorageError or ErrBusy.
func (s *Store) ack(ctx context.Context, g *group, acked []*markers) error {
	select {
	case g.changing <- struct{}{}:
	case <-ctx.Done():
		return ErrBusy
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
	g.retry = of.retry
	if of.refused || !g.again.IsZero() {
		g.retry = time.Time{}
	}
	s.place(g)
}
