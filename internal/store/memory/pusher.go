// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// pusher is a remembered pusher of an aggregate. It is immutable, but for the element.
type pusher struct {
	key    groupingkey.Key
	path   string
	id     uint64 // unique
	number int    // of its record
	pushed time.Time
	ttl    time.Duration
	blob   []byte // encoded contributions

	element *list.Element // in aggregate.byPush
}

// pusherSize is the estimated memory of a pusher in bytes, less its contributions.
const pusherSize = 256

// size is the memory of a pusher in bytes, which counts for the limit.
func (p *pusher) size() int64 {
	if p == nil {
		return 0
	}
	return pusherSize + int64(len(p.path)+len(p.blob))
}

func (p *pusher) contributions() store.Contributions {
	if p == nil {
		return nil
	}
	cs, err := store.DecodeContributions(p.blob)
	if err != nil {
		panic(err) // A blob is checked when it is read from the storage.
	}
	return cs
}

// setPusher replaces or forgets a pusher.
func (a *aggregate) setPusher(path string, p *pusher) {
	old := a.pushers[path]
	switch {
	case p == nil && old != nil:
		a.byPush.Remove(old.element)
		delete(a.pushers, path)
	case p == nil:
	case old != nil:
		p.element = old.element
		p.element.Value = p
		a.byPush.MoveToBack(p.element)
		a.pushers[path] = p
	default:
		p.element = a.byPush.PushBack(p)
		a.pushers[path] = p
	}
}

// pusher returns a pusher as the change leaves it, or nil.
func (k *contribution) pusher(path string) *pusher {
	if p, changed := k.pushers[path]; changed {
		return p
	}
	return k.of.pushers[path]
}

// set changes a pusher; nil forgets it.
func (k *contribution) set(path string, p *pusher) {
	if _, again := k.pushers[path]; again {
		k.order = slices.DeleteFunc(k.order, func(earlier string) bool { return earlier == path })
	}
	k.pushers[path] = p
	k.order = append(k.order, path)
}

// request carries out a request together with others of the aggregate.
func (s *Store) request(ctx context.Context, key groupingkey.Key, r *store.PusherRequest) error {
	return s.queues.Do(ctx, path(key), r, func(c *store.Committer[*store.PusherRequest]) {
		own := key.Clone()
		var g *group // locked by the leader
		c.Lock = func(ctx context.Context) (err error) {
			g, err = s.lock(ctx, own, true)
			return err
		}
		c.Write = func(ctx context.Context, all []*store.PusherRequest) []error { return s.requestAll(ctx, g, all) }
	})
}

// Contribute implements store.Store.
func (s *Store) Contribute(ctx context.Context, c store.Contribution) error {
	r := &store.PusherRequest{Push: &c, Path: path(c.Pusher)}
	err := s.request(ctx, c.Key, r)
	for errors.Is(err, errFull) {
		if err = s.foldQuietest(ctx); err == nil {
			err = s.request(ctx, c.Key, r)
		}
	}
	if err != nil || r.Path == path(c.Key) {
		return err
	}
	return s.Delete(ctx, c.Pusher) // A group from before the rule.
}

// EndPusher implements store.Store.
func (s *Store) EndPusher(ctx context.Context, aggregate, key groupingkey.Key) error {
	return s.request(ctx, aggregate, &store.PusherRequest{Path: path(key)})
}

// EndAggregate implements store.Store.
func (s *Store) EndAggregate(ctx context.Context, key groupingkey.Key) error {
	return s.end(ctx, key, func(*group) (plain, aggregate bool) { return false, true })
}

// requestAll carries out requests in one change. Requests that it cannot make together are made one by one.
func (s *Store) requestAll(ctx context.Context, g *group, all []*store.PusherRequest) []error {
	key := g.key
	errs, apart := s.tryRequests(ctx, g, all)
	g.unlock()
	for _, i := range apart {
		g, err := s.lock(ctx, key, true)
		if err == nil {
			var alone []error
			alone, _ = s.tryRequests(ctx, g, all[i:i+1])
			g.unlock()
			err = alone[0]
		}
		errs[i] = err
	}
	return errs
}

// tryRequests carries out requests in one change. A refused request changes nothing. If the change fails because of one of them, it
// returns all that are to be made alone. The group is locked.
func (s *Store) tryRequests(ctx context.Context, g *group, all []*store.PusherRequest) (errs []error, apart []int) {
	c := newChange(g)
	errs = make([]error, len(all))
	if g.aggregate == nil && !slices.ContainsFunc(all, func(r *store.PusherRequest) bool { return r.Push != nil }) {
		s.removeIfEmpty(g)
		return errs, nil
	}
	k := c.contribute(s, ruleOf(g, all))
	var made []int
	for i, r := range all {
		if errs[i] = s.addRequest(c, r); errs[i] == nil {
			made = append(made, i)
		}
	}
	changed, err := k.finish(c)
	if err == nil && changed {
		err = s.apply(ctx, c)
	} else {
		s.removeIfEmpty(g)
	}
	switch {
	case err == nil && changed:
		k.notes.Tell(s.options.Observer, g.key, &s.returns)
	case store.IsRefusal(err) && len(made) > 1:
		return errs, made
	case err != nil:
		for _, i := range made {
			errs[i] = err
		}
	}
	return errs, nil
}

func ruleOf(g *group, all []*store.PusherRequest) *store.Rule {
	for _, r := range all {
		if r.Push != nil {
			return r.Push.Rule
		}
	}
	return g.aggregate.rule
}

// addRequest adds a request to a change.
func (s *Store) addRequest(c *change, r *store.PusherRequest) error {
	if r.Push == nil {
		return c.contribution.fold(r.Path, store.FoldedByDelete)
	}
	k, old := c.contribution, c.contribution.pusher(r.Path)
	push := *r.Push
	if !push.At.After(k.last) {
		push.At = k.last.Add(1)
	}
	prepared, err := s.prepare(c, &push, r.Path)
	if err == nil && old == nil { // Only a push that is accepted makes room.
		var folded bool
		if folded, err = s.makeRoom(k); folded {
			prepared, err = s.prepare(c, &push, r.Path)
		}
	}
	if err != nil {
		return err
	}
	plain := c.staysPlain(r.Path)
	prepared.Accept()
	p := prepared.after
	k.begun = prepared.begun
	k.set(p.path, p)
	k.rule, k.last, c.pushed = push.Rule, push.At, later(c.pushed, push.At)
	if c.plain && !plain {
		c.endPlain() // It is from before the rule, or has only failed.
	}
	if old == nil && s.returns.Has(p.path) {
		k.notes.Returned = append(k.notes.Returned, p.key)
	}
	k.notes.Pushed(prepared.Prepared)
	return nil
}

// prepared is what a push would do to a change.
type prepared struct {
	*store.Prepared

	after *pusher
	begun store.Counts // contribution.begun
}

// prepare computes what a push would do, and refuses it if it must not.
func (s *Store) prepare(c *change, push *store.Contribution, path string) (p prepared, err error) {
	k, old := c.contribution, c.contribution.pusher(path)
	holder := func(family string) (store.Holder, bool) { return k.holder(family, path) }
	if p.Prepared, err = k.draft.Prepare(push, old.contributions(), holder); err != nil {
		return p, err
	}
	p.after = pusherAfter(old, push, path, p.Contributions.Encode())
	p.begun, err = s.check(c, p.Prepared, p.after.size()-old.size(), c.staysPlain(path))
	return p, err
}

// staysPlain reports whether the group stays an ordinary one after a push of a pusher.
func (c *change) staysPlain(pusher string) bool {
	return c.plain && pusher != c.group.path && len(c.group.families) > 0
}

// pusherAfter is the pusher after a push.
func pusherAfter(old *pusher, push *store.Contribution, path string, blob []byte) *pusher {
	p := &pusher{path: path, pushed: push.At, ttl: push.Rule.PusherTTL, blob: blob}
	if old != nil {
		p.key, p.id, p.number = old.key, old.id, old.number
		return p
	}
	p.key, p.id, p.number = push.Pusher.Clone(), newID(), noSlot
	return p
}

// holder finds the pusher that pushed last among those that contribute to a family, other than one.
func (k *contribution) holder(family, except string) (store.Holder, bool) {
	holds := func(p *pusher) bool {
		return p != nil && p.path != except && k.draft.Contributes(p.contributions(), family)
	}
	if p := k.pusher(k.of.holders[family]); holds(p) {
		return store.Holder{Key: p.key, Push: p.pushed}, true
	}
	for _, path := range slices.Backward(k.order) {
		if p := k.pushers[path]; holds(p) {
			return store.Holder{Key: p.key, Push: p.pushed}, true
		}
	}
	for e := k.of.byPush.Back(); e != nil; e = e.Prev() {
		p := e.Value.(*pusher)
		if _, changed := k.pushers[p.path]; !changed && holds(p) {
			k.of.holders[family] = p.path
			return store.Holder{Key: p.key, Push: p.pushed}, true
		}
	}
	delete(k.of.holders, family)
	return store.Holder{}, false
}

// check refuses a push whose series another group has, or that exceeds a limit together with the pushes before it in the change.
// Plain says that the group stays an ordinary one, too. Reserving the whole change decides; here the push that is to blame is found.
func (s *Store) check(c *change, p *store.Prepared, size int64, plain bool) (begun store.Counts, err error) {
	k, begins := c.contribution, p.Begins()
	difference := store.Counts{Series: k.begun.Series, Size: k.begun.Size + size}
	if c.create {
		difference.Groups = 1
	}
	added := 0
	for _, chunk := range begins {
		held, n := s.firstConflict(c.group, plain, chunk.Series)
		if held != nil {
			h := chunk.Series[n]
			description := series.Describe(chunk.Metrics(), s.options.Scope, h)
			if held == c.group {
				return begun, store.RuleConflict(description, held.key, k.rule)
			}
			return begun, store.SeriesConflict(description, held.key)
		}
		added += n
		difference.Size += chunk.Size
	}
	difference.Series += added
	s.mu.Lock()
	defer s.mu.Unlock()
	return difference, s.options.CheckLimits(s.counts, difference, added > 0)
}

// firstConflict finds a series that another group has, or the own one as an ordinary group, and its index. If there is none, it returns
// how many nobody has.
func (s *Store) firstConflict(own *group, plain bool, hashes []series.Hash) (holder *group, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := 0
	for i, h := range hashes {
		number, held := s.series[h]
		switch {
		case !held:
			added++
		case s.byNumber[number].onlyPending(h):
			added++
		case int(number) != own.number:
			return s.byNumber[number], i
		case plain && own.hasPlain(h):
			return own, i
		}
	}
	return nil, added
}

// hasPlain reports whether the ordinary part of the group has a series.
func (g *group) hasPlain(h series.Hash) bool {
	for _, f := range g.families {
		if slices.Contains(f.series, h) {
			return true
		}
	}
	return false
}
