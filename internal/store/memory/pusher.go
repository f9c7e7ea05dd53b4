// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/list"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
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

// request is a push of a pusher, or its end if push is nil.
type request struct {
	push *store.Contribution
	path string
}

// queue combines the requests of the pushers of one aggregate: those that arrive during a change are the next change.
type queue struct {
	committer[*request]

	key   groupingkey.Key
	users int    // guarded by Store.mu
	group *group // locked by the leader
}

// request carries out a request together with others of the aggregate.
func (s *Store) request(ctx context.Context, key groupingkey.Key, r *request) error {
	p := path(key)
	s.mu.Lock()
	q := s.queues[p]
	if q == nil {
		q = &queue{key: key.Clone()}
		q.lock = func(ctx context.Context) (err error) {
			q.group, err = s.lock(ctx, q.key, true)
			return err
		}
		q.write = func(ctx context.Context, all []*request) []error { return s.requestAll(ctx, q, all) }
		s.queues[p] = q
	}
	q.users++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		q.users--
		if q.users == 0 {
			delete(s.queues, p)
		}
	}()
	return q.commit(ctx, r, r.size())
}

// size is the estimated size of a request in bytes.
func (r *request) size() (n int) {
	if r.push == nil {
		return 0
	}
	for _, f := range r.push.Families {
		n += 64 * f.Metrics.DataPointCount()
	}
	return n
}

// Contribute implements store.Store.
func (s *Store) Contribute(ctx context.Context, c store.Contribution) error {
	r := &request{push: &c, path: path(c.Pusher)}
	err := s.request(ctx, c.Key, r)
	for errors.Is(err, errFull) {
		if err = s.foldQuietest(ctx); err == nil {
			err = s.request(ctx, c.Key, r)
		}
	}
	if err != nil || r.path == path(c.Key) {
		return err
	}
	return s.Delete(ctx, c.Pusher) // A group from before the rule.
}

// EndPusher implements store.Store.
func (s *Store) EndPusher(ctx context.Context, aggregate, key groupingkey.Key) error {
	return s.request(ctx, aggregate, &request{path: path(key)})
}

// EndAggregate implements store.Store.
func (s *Store) EndAggregate(ctx context.Context, key groupingkey.Key) error {
	return s.end(ctx, key, func(*group) (plain, aggregate bool) { return false, true })
}

// requestAll carries out requests in one change. Requests that it cannot make together are made one by one.
func (s *Store) requestAll(ctx context.Context, q *queue, all []*request) []error {
	errs, apart := s.tryRequests(ctx, q.group, all)
	q.group.unlock()
	for _, i := range apart {
		g, err := s.lock(ctx, q.key, true)
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
func (s *Store) tryRequests(ctx context.Context, g *group, all []*request) (errs []error, apart []int) {
	c := newChange(g)
	errs = make([]error, len(all))
	if g.aggregate == nil && !slices.ContainsFunc(all, func(r *request) bool { return r.push != nil }) {
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
		s.note(c)
	case isRefusal(err) && len(made) > 1:
		return errs, made
	case err != nil:
		for _, i := range made {
			errs[i] = err
		}
	}
	return errs, nil
}

func ruleOf(g *group, all []*request) *store.Rule {
	for _, r := range all {
		if r.push != nil {
			return r.push.Rule
		}
	}
	return g.aggregate.rule
}

// isRefusal reports whether a change failed because of what was pushed.
func isRefusal(err error) bool {
	_, conflict := errors.AsType[*store.ConflictError](err)
	_, limit := errors.AsType[*store.LimitError](err)
	return conflict || limit
}

// addRequest adds a request to a change.
func (s *Store) addRequest(c *change, r *request) error {
	if r.push == nil {
		return c.contribution.fold(r.path, store.FoldedByDelete)
	}
	k, old := c.contribution, c.contribution.pusher(r.path)
	push := *r.push
	if !push.At.After(k.last) {
		push.At = k.last.Add(1)
	}
	prepared, err := s.prepare(c, &push, r.path)
	if err == nil && old == nil { // Only a push that is accepted makes room.
		var folded bool
		if folded, err = s.makeRoom(k); folded {
			prepared, err = s.prepare(c, &push, r.path)
		}
	}
	if err != nil {
		return err
	}
	plain := c.staysPlain(r.path)
	prepared.Accept()
	p := prepared.after
	k.begun = prepared.begun
	k.set(p.path, p)
	k.rule, k.last, c.pushed = push.Rule, push.At, later(c.pushed, push.At)
	if c.plain && !plain {
		c.endPlain() // It is from before the rule, or has only failed.
	}
	if old == nil && s.returns.has(p.path) {
		k.notes.returned = append(k.notes.returned, p.key)
	}
	k.notes.resets += prepared.Resets
	k.notes.capped += prepared.Capped
	k.notes.replaced = append(k.notes.replaced, prepared.Replaced...)
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

// note tells the observer about a change that was made.
func (s *Store) note(c *change) {
	n := &c.contribution.notes
	s.returns.add(n.quiet)
	o := s.options.Observer
	if o == nil {
		return
	}
	for cause, pushers := range n.folded {
		o.PusherFolded(cause, pushers)
	}
	if n.resets > 0 {
		o.PusherReset(n.resets)
	}
	if n.capped > 0 {
		o.BoundsCapped(n.capped)
	}
	for _, key := range n.returned {
		o.PusherReturned(key)
	}
	for _, r := range n.replaced {
		o.TypeReplaced(c.group.key, r.Family, r.From, r.To)
	}
}

// returnsSize is the number of folded pushers that are known, at most.
const returnsSize = 1 << 16

// returns knows most of the pushers that were folded last without DELETE. It takes at most 512 KiB.
type returns struct {
	mu     sync.Mutex
	seed   maphash.Seed
	hashes []uint64
}

func (r *returns) add(paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, path := range paths {
		if r.hashes == nil {
			r.seed, r.hashes = maphash.MakeSeed(), make([]uint64, returnsSize)
		}
		h := maphash.String(r.seed, path)
		r.hashes[h%returnsSize] = h
	}
}

func (r *returns) has(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hashes == nil {
		return false
	}
	h := maphash.String(r.seed, path)
	return r.hashes[h%returnsSize] == h
}
