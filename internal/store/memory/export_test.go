// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"slices"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// Names of records, and how they are framed.
var (
	NumbersName = numbersName
	OwnerName   = ownerName
	GroupName   = groupName
	SlotName    = slotName
	Frame       = frame
	FrameAs     = frameAs
	Unframe     = unframe
	PusherName  = pusherName
	PushersName = pushersName
)

// Bounds of a batch of changes, of a part of markers, of an expiry, and of the time that markers are pending.
const (
	MaxCommitChanges = store.MaxCommitItems
	MaxCommitBytes   = store.MaxCommitBytes
	MaxMarkers       = store.MaxMarkers
	ExpiredAtOnce    = expiredAtOnce
	ChangesAtOnce    = changesAtOnce
	Lookback         = store.Lookback
	FirstRound       = firstRound
	AckRetry         = ackRetry
	OwnerInterval    = ownerInterval
)

// Held lists all groups.
func (s *Store) Held() (all []storetest.HeldGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		g.mu.Lock()
		held := storetest.HeldGroup{Key: g.key, Alive: g.alive}
		if g.alive {
			held.Times = slices.Sorted(slices.Values(g.times.series))
		}
		for _, m := range g.pending {
			held.Stored = append(held.Stored, m.series...)
			if left := m.left(); len(left) > 0 {
				held.Pending = append(held.Pending, m.build(&s.options, left))
			}
		}
		g.mu.Unlock()
		all = append(all, held)
	}
	return all
}

// Queued is how many changes wait to be written, those of a batch that is being written left out.
func (s *Store) Queued() int {
	return s.commits.Waiting()
}

// QueuedRequests is how many requests of pushers wait for the aggregate of that path, those of a change that is being made left out.
func (s *Store) QueuedRequests(path string) int { return s.queues.Waiting(path) }

// Recount counts what is held anew and returns the first rule that is broken. The index has exactly the series that groups show,
// have pending markers for or have as push times, each once and with its group. Each group with something to export is queued, claimed
// or waits for a claim. Nobody may be changing a group meanwhile.
func (s *Store) Recount() (store.Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := recount{s: s, seen: make(map[series.Hash]bool)}
	for path, g := range s.groups {
		if path != g.path || s.byNumber[g.number] != g {
			r.fail("%s is not where its path and its number lead", g.path)
		}
		g.mu.Lock()
		r.group(g)
		r.schedule(g)
		g.mu.Unlock()
	}
	if len(r.seen) != len(s.series) {
		r.fail("the index has %d series, groups have %d", len(s.series), len(r.seen))
	}
	r.numbers()
	r.queues()
	return r.counts, r.err
}

type recount struct {
	s      *Store
	seen   map[series.Hash]bool
	counts store.Counts
	err    error

	waiting, unsent, rounds, claimed, lapses int // what groups have of the store's queues
}

func (r *recount) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *recount) numbers() {
	free := 0
	for _, g := range r.s.byNumber {
		if g == nil {
			free++
		} else if r.s.groups[g.path] != g {
			r.fail("the number %d is that of a removed group", g.number)
		}
	}
	if r.s.storage == nil && free != len(r.s.freeNumbers) {
		r.fail("%d numbers are free, and %d are listed", free, len(r.s.freeNumbers))
	}
}

// queues compares the store's queues with what groups say.
func (r *recount) queues() {
	claimed := 0
	for c := range r.s.claims {
		for g := range c.groups {
			if g.claim == c && r.s.groups[g.path] == g {
				claimed++
			}
		}
	}
	for _, q := range []struct {
		name      string
		has, want int
	}{
		{"Store.waiting", len(r.s.waiting), r.waiting},
		{"Store.unsent", r.s.unsent.Len(), r.unsent},
		{"Store.rounds", len(r.s.rounds), r.rounds},
		{"Store.claims", claimed, r.claimed},
		{"Store.lapses", len(r.s.lapses), r.lapses},
	} {
		if q.has != q.want {
			r.fail("%s has %d entries, and groups say %d", q.name, q.has, q.want)
		}
	}
	for i, g := range r.s.rounds {
		if g.index != i || i > 0 && g.at.Before(r.s.rounds[(i-1)/2].at) {
			r.fail("Store.rounds is not a heap at %d", i)
		}
	}
	for i, m := range r.s.lapses {
		if m.index != i || m.gone || i > 0 && m.lapsed.Before(r.s.lapses[(i-1)/2].lapsed) {
			r.fail("Store.lapses is not a heap of pending markers at %d", i)
		}
	}
}

func (r *recount) group(g *group) {
	if len(g.changing) > 0 || len(g.dropping) > 0 || len(g.readding) > 0 {
		r.fail("%s is left as if it were being changed", g.path)
	}
	if !g.alive && len(g.pending) == 0 {
		r.fail("%s neither lives nor has pending markers", g.path)
	}
	if g.alive {
		r.counts.Groups++
		r.content(g, &g.times)
	}
	if g.plain != (g.expiry != nil) && r.s.options.TTL > 0 {
		r.fail("%s is to expire: %t, is an ordinary group: %t", g.path, g.expiry != nil, g.plain)
	}
	if g.alive != (g.plain || g.aggregate != nil) {
		r.fail("%s lives: %t, is an ordinary group: %t, an aggregate: %t", g.path, g.alive, g.plain, g.aggregate != nil)
	}
	if _, listed := r.s.aggregates[g]; listed != (g.aggregate != nil) {
		r.fail("%s is listed as one with an aggregate: %t", g.path, listed)
	}
	if g.aggregate != nil {
		r.aggregate(g)
	}
	for name, f := range g.families {
		if name != f.name || !g.alive {
			r.fail("%s has %s as %s", g.path, f.name, name)
		}
		r.counts.Series += len(f.series)
		r.counts.Size += f.size() + int64(len(f.first))
		r.content(g, &f.content)
	}
	for f := range g.unsent {
		if g.current(f) != f {
			r.fail("%s has %s unsent and does not have it", g.path, f.name)
		}
	}
	r.markers(g)
}

// aggregate holds the state of an aggregate to the contributions of its pushers.
func (r *recount) aggregate(g *group) {
	a := g.aggregate
	r.counts.Pushers += len(a.pushers)
	if len(a.pushers) != a.byPush.Len() {
		r.fail("%s has %d pushers and lists %d", g.path, len(a.pushers), a.byPush.Len())
	}
	if len(a.pushers) == 0 && len(a.chunks) == 0 {
		r.fail("the aggregate of %s has nothing", g.path)
	}
	for path, p := range a.pushers {
		if p.path != path || p.element.Value != p {
			r.fail("%s has the pusher %s as %s", g.path, p.path, path)
		}
		r.counts.Size += p.size()
	}
	n := 0
	for c := range a.state.Chunks() {
		n++
		f := a.chunks[c.Number]
		if f == nil || f.chunk != c {
			r.fail("%s does not show the chunk %d of %s as it is", g.path, c.Number, c.Family)
			continue
		}
		r.counts.Series += len(f.series)
		r.counts.Size += f.size()
		r.content(g, &f.content)
		if got := series.Append(nil, c.Metrics(), r.s.options.Scope); !slices.Equal(got, c.Series) {
			r.fail("the chunk %d of %s has other series than it lists", c.Number, c.Family)
		}
		for _, m := range c.Members {
			r.value(a, m)
		}
	}
	if n != len(a.chunks) {
		r.fail("%s shows %d chunks and has %d", g.path, len(a.chunks), n)
	}
	for number := range a.zeros {
		if !a.state.Has(number) {
			r.fail("%s owes a zero for a series that it does not have", g.path)
		}
	}
	for number := range a.exemplars {
		if !a.state.Has(number) {
			r.fail("%s has exemplars for a series that it does not have", g.path)
		}
	}
}

// value computes the value of a series anew.
func (r *recount) value(a *aggregate, m store.Member) {
	want, err := merge.Rebuild(m.Base, func(yield func(*merge.Contribution) bool) {
		for _, p := range a.pushers {
			for _, share := range p.contributions() {
				if share.Number == m.Number && !yield(share.Contribution) {
					return
				}
			}
		}
	})
	if err != nil || !slices.Equal(want.Encode(nil), m.Value.Encode(nil)) {
		r.fail("the series %d has the value %v instead of %v (%v)", m.Number, m.Value, want, err)
	}
}

func (r *recount) markers(g *group) {
	left := 0
	for _, m := range g.pending {
		if m.gone || m.group != g {
			r.fail("%s has markers that are gone or not its own", g.path)
		}
		r.counts.PendingSize += m.size()
		r.lapses++
		left += len(m.left())
	}
	if left != len(g.pendingSeries) {
		r.fail("%s has pending markers of %d series, and %d end", g.path, left, len(g.pendingSeries))
	}
	r.counts.Pending += len(g.pendingSeries)
	for h := range g.pendingSeries {
		r.series(g, h)
	}
}

func (r *recount) content(g *group, c *content) {
	for _, h := range c.series {
		r.series(g, h)
	}
}

func (r *recount) series(g *group, h series.Hash) {
	owner, held := r.s.series[h]
	if !held || int(owner) != g.number {
		r.fail("a series of %s belongs to %d (%t)", g.path, owner, held)
	}
	if r.seen[h] {
		r.fail("a series of %s is there twice", g.path)
	}
	r.seen[h] = true
}

// schedule looks for a group in all places where it may wait.
func (r *recount) schedule(g *group) {
	places := 0
	count := func(there bool, n *int) {
		if there {
			places++
			*n++
		}
	}
	count(g.queued != nil, &r.unsent)
	count(g.index != notScheduled, &r.rounds)
	count(g.claim != nil, &r.claimed)
	if places > 1 {
		r.fail("%s is in %d places", g.path, places)
	}
	_, waiting := r.s.waiting[g]
	if waiting && g.since.IsZero() {
		r.fail("%s waits: %t, since %s", g.path, waiting, g.since)
	}
	if waiting {
		r.waiting++
	}
	unsent := len(g.unsent) > 0 || len(g.pending) > 0 || g.alive && !g.timesSent && len(g.times.series) > 0
	rounds := g.alive && r.s.options.RepublishInterval > 0
	if (unsent || rounds) && places == 0 && !r.blocked(g) {
		r.fail("%s has something to export and is nowhere", g.path)
	}
	if rounds && g.round.IsZero() && g.claim == nil {
		r.fail("%s has no round", g.path)
	}
}

// blocked tells whether a group waits for a claim that is not settled.
func (r *recount) blocked(g *group) bool {
	for c := range r.s.claims {
		if slices.Contains(c.blocked, g) {
			return true
		}
	}
	return false
}

// Encoded are the records of the groups, encoded anew.
func (s *Store) Encoded() map[string][]byte {
	all := map[string][]byte{NumbersName: encodeJSON(numbersRecord{End: s.storage.end})}
	for _, g := range s.groups {
		all[groupName(g.number)] = encodeJSON(newGroupRecord(g, g.alive, g.pushed, g.failed, &g.slots))
		for _, f := range g.families {
			header := contentHeader{ID: g.id, Name: f.name, Type: f.typ, Pushed: store.Nanoseconds(f.pushTime)}
			all[slotName(g.number, f.slot)] = encodeContent(header, f.reencoded())
		}
		for _, m := range g.pending {
			all[slotName(g.number, m.slot)] = encodeContent(contentHeader{ID: g.id}, m.reencoded())
		}
	}
	return all
}

// reencoded is the content decoded and encoded again.
func (c *content) reencoded() []byte {
	again, err := store.Encode(c.Metrics())
	if err != nil {
		panic(err)
	}
	return again
}
