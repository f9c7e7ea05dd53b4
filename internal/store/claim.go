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

// Limits bound a claim. Its last group may exceed them.
type Limits struct {
	Groups int
	Series int
	Bytes  int64 // encoded
}

// Claim is a batch of groups to export. No other claim has one of them until it is settled.
type Claim struct {
	// At is the time of all points of the claim.
	At time.Time
	// Parts are what can be accepted or refused by itself. Those of one group are adjacent, markers first.
	Parts []*Part

	now     time.Time
	scope   string // Options.Scope
	groups  map[*group]*claimed
	blocked []*group // groups that wait for the claim
	series  int
	bytes   int64
}

// claimed is a group in a claim.
type claimed struct {
	full    bool       // A round is due: all values are in the claim.
	acked   []*markers // those that are to be dropped when the claim is settled
	lapsing bool       // Expire is dropping some markers.
	// What was not accepted is due at once (refused) or later (retry). If that is not only suspects, a round is not over.
	refused bool
	retry   time.Time
	over    bool
}

// Part is a family, the push times or some stale markers of a group.
type Part struct {
	Key groupingkey.Key
	// Family is the name of the family; empty for push times and markers.
	Family string
	// Series is how many series the part has.
	Series int
	// Outcome is what became of the part. It is set before the claim is settled.
	Outcome Outcome

	group          *group
	content        *content
	family         *Family       // nil for push times and markers
	markers        *markers      // nil for values
	left           []series.Hash // the series of markers
	exported       time.Time     // when the content was exported before
	pushed, failed time.Time     // the push times
	metrics        func() pmetric.Metrics
}

// Outcome is what became of a part.
type Outcome struct {
	// Tried tells that it was exported. The next consumer may have accepted it even if it returned an error.
	Tried bool
	// Accepted tells that the next consumer accepted it.
	Accepted bool
	// Err is why it was refused by itself, if it was.
	Err error
	// Retry is when the part may be claimed again, if it was not accepted; zero for at once.
	Retry time.Time
	// Suspect tells that the part is refused while others are accepted, so that the rest of its group has had its round.
	Suspect bool
}

// Metrics makes new pdata of the part, without times.
func (p *Part) Metrics() pmetric.Metrics { return p.metrics() }

// Name describes the part, for logs.
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

// SameGroup tells whether both parts are of one group.
func (p *Part) SameGroup(other *Part) bool { return p.group == other.group }

// PartID identifies a part over claims. Only single markers have one.
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

// Divide replaces a part by two, if it is of several markers, and returns them, or else the part.
func (c *Claim) Divide(p *Part) []*Part {
	if len(p.left) < 2 {
		return []*Part{p}
	}
	middle := len(p.left) / 2
	return c.replace(p, p.left[:middle], p.left[middle:])
}

// Separate gives each marker that is picked a part of its own.
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

// replace replaces a part of markers by parts of some of its series each.
func (c *Claim) replace(p *Part, by ...[]series.Hash) (parts []*Part) {
	for _, left := range by {
		part := *p
		part.Series, part.left = len(left), left
		part.metrics = func() pmetric.Metrics { return part.markers.of(left, c.scope) }
		parts = append(parts, &part)
	}
	i := slices.Index(c.Parts, p)
	c.Parts = slices.Concat(c.Parts[:i], parts, c.Parts[i+1:]) // Callers iterate over the old slice.
	return parts
}

// Claim returns what is due now, or nil and when something will be due, zero if nothing will. It alternates between the
// oldest changes and the groups whose round is due, so that neither starves the other.
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

// next takes the next group out of its queue: after one with a change one whose round is due, if there is one, and the other way
// round. Store.mu is held.
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

// nextChange takes the group with the oldest change out of the queue. Store.mu is held.
func (s *Store) nextChange() *group {
	first := s.unsent.Front()
	if first == nil {
		return nil
	}
	g := first.Value.(*group)
	s.unschedule(g)
	return g
}

// nextDue takes the group that has been due for longest out of the queue. Store.mu is held.
func (s *Store) nextDue(now time.Time) *group {
	if len(s.rounds) == 0 || s.rounds[0].at.After(now) {
		return nil
	}
	g := s.rounds[0]
	s.unschedule(g)
	return g
}

// firstDue is when the first group in Store.rounds is due. Store.mu is held.
func (s *Store) firstDue() time.Time {
	if len(s.rounds) == 0 {
		return time.Time{}
	}
	return s.rounds[0].at
}

// claimGroup adds a group to the claim, unless it has to wait or has nothing to export. Store.mu is held.
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
		return // The change or the expiry in progress places it.
	}
	for _, p := range parts {
		p.exported, p.content.exported = p.content.exported, c.now
		c.series += p.Series
		c.bytes += p.content.size()
	}
	c.Parts = append(c.Parts, parts...)
	c.groups[g], g.claim, g.again = of, c, time.Time{}
}

// claimBefore is a claim that the group has to wait for. Store.mu is held.
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

// parts lists what is to be exported of a group: its pending markers, and its unsent values or, in a round, all. The group's mu is held.
func (s *Store) parts(g *group, of *claimed) (parts []*Part) {
	add := func(p Part) {
		p.Key, p.group = g.key, g
		parts = append(parts, &p)
	}
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
		add(Part{
			Series: len(left), content: &m.content, markers: m, left: left,
			metrics: func() pmetric.Metrics { return m.of(left, s.options.Scope) },
		})
	}
	families := slices.Collect(maps.Keys(g.unsent))
	if of.full {
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
		add(Part{
			Family: f.Name, Series: len(f.series), content: &f.content, family: f,
			metrics: func() pmetric.Metrics { return s.forwarded(decode(encoded)) },
		})
	}
	if g.alive && len(g.times.series) > 0 && (of.full || !g.timesSent) && !g.dropping[&g.times] {
		pushed, failed := g.pushed, g.failed
		add(Part{
			Series: len(g.times.series), content: &g.times, pushed: pushed, failed: failed,
			metrics: func() pmetric.Metrics { return s.pushTimes(g.key, pushed, failed) },
		})
	}
	return parts
}

// Settle ends a claim, whose parts have their outcomes. The error is a *StorageError: markers that were accepted are
// still pending then, and will be exported again.
func (s *Store) Settle(ctx context.Context, c *Claim) error {
	s.settleParts(c)
	var acked []*group
	for g, of := range c.groups {
		if len(of.acked) > 0 {
			acked = append(acked, g)
		}
	}
	err := eachOf(acked, func(g *group) error { return s.ack(ctx, g, c.groups[g].acked) })
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

// ackRetry is when markers are exported again whose acknowledgement could not be stored.
const ackRetry = 5 * time.Second

// delay notes that something is due later.
func (of *claimed) delay(until time.Time) {
	if of.retry.IsZero() || until.Before(of.retry) {
		of.retry = until
	}
}

// settleParts takes down the outcomes, but for the acknowledgement of markers, which has to be stored.
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

// settleValues takes down the outcome of values. Store.mu and the group's mu are held.
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

// dropFirst forgets the exemplars of a family. Store.mu and the group's mu are held.
func (s *Store) dropFirst(f *Family) {
	s.counts.Size -= int64(len(f.first))
	f.first = nil
}

// ack drops markers that need not be exported any more, and stores that. The error is a *StorageError or ErrBusy.
func (s *Store) ack(ctx context.Context, g *group, acked []*markers) error {
	select {
	case g.changing <- struct{}{}:
	case <-ctx.Done():
		return ErrBusy
	}
	defer g.unlock()
	c := newChange(g)
	c.create, c.die, c.acked = false, !g.alive, s.stillPending(acked)
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

// stillPending are those markers that nothing else has dropped, each once.
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

// requeue places a group after its claim. Store.mu is held.
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
		s.settled(g)
	case !g.again.IsZero() && of.over:
		s.waits(g, g.again) // All older changes were accepted, but for suspects.
	case g.since.IsZero():
		s.waits(g, now)
	}
	if of.over && g.again.IsZero() {
		delete(s.waiting, g) // Suspects are counted by themselves.
	}
	g.retry = of.retry
	if of.refused || !g.again.IsZero() {
		g.retry = time.Time{}
	}
	s.place(g)
}
