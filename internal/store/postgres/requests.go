// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// errFull says that a pusher must be folded first.
var errFull = errors.New("there are as many pushers as allowed")

// Contribute implements store.Store.
func (s *Store) Contribute(ctx context.Context, c store.Contribution) error {
	for i := range c.Families {
		if err := checkName(c.Families[i].Name); err != nil {
			return err
		}
	}
	r := &store.PusherRequest{Push: &c, Path: pathOf(c.Pusher)}
	err := s.request(ctx, c.Key, r)
	for errors.Is(err, errFull) {
		folded := s.foldQuietest(ctx)
		// If there is none to fold, others may have folded it and made room.
		if err = s.request(ctx, c.Key, r); folded != nil && errors.Is(err, errFull) {
			return folded
		}
	}
	return err
}

// EndPusher implements store.Store.
func (s *Store) EndPusher(ctx context.Context, aggregate, pusher groupingkey.Key) error {
	return s.request(ctx, aggregate, &store.PusherRequest{Path: pathOf(pusher)})
}

// request carries out a request together with others of the aggregate. Replicas take turns by the lock of the group's row.
func (s *Store) request(ctx context.Context, key groupingkey.Key, r *store.PusherRequest) error {
	return s.queues.Do(ctx, pathOf(key), r, func(c *store.Committer[*store.PusherRequest]) {
		own := key.Clone()
		c.Write = func(ctx context.Context, all []*store.PusherRequest) []error { return s.requestAll(ctx, own, all) }
	})
}

// requestAll carries out requests in one transaction. If that fails because of one of them, each has its own.
func (s *Store) requestAll(ctx context.Context, key groupingkey.Key, all []*store.PusherRequest) []error {
	errs, err := s.tryRequests(ctx, key, all)
	for i := range all {
		switch {
		case errs[i] != nil || err == nil:
		case store.IsRefusal(err) && len(all) > 1:
			alone, failed := s.tryRequests(ctx, key, all[i:i+1])
			if errs[i] = failed; alone[0] != nil {
				errs[i] = alone[0]
			}
		default:
			errs[i] = err
		}
	}
	return errs
}

// tryRequests carries out requests in one transaction. A refused request changes nothing and has its error in errs.
func (s *Store) tryRequests(ctx context.Context, key groupingkey.Key, all []*store.PusherRequest) (errs []error, err error) {
	r := &request{key: key, create: slices.ContainsFunc(all, func(r *store.PusherRequest) bool { return r.Push != nil }), pushers: [][]byte{}}
	for _, one := range all {
		r.pushers = append(r.pushers, hashOf(one.Path))
	}
	var made *change
	r.decide = func(ctx context.Context, conn *pgxpool.Conn, g *group) (*change, error) {
		made = nil
		p := &pass{store: s, conn: conn, request: r, group: g, all: all}
		c, failed := p.decide(ctx)
		errs, made = p.errs, c
		return c, failed
	}
	errs = make([]error, len(all))
	if err := s.apply(ctx, r); err != nil {
		return errs, err
	}
	if made != nil {
		made.agg.notes.Tell(s.options.Observer, made.key, &s.returns)
	}
	return errs, s.endBeforeRule(ctx, key, all, errs)
}

// endBeforeRule deletes groups with the keys of pushers, which are from before the rule.
func (s *Store) endBeforeRule(ctx context.Context, key groupingkey.Key, all []*store.PusherRequest, errs []error) error {
	var hashes [][]byte
	for i, r := range all {
		if r.Push != nil && errs[i] == nil && r.Path != pathOf(key) {
			hashes = append(hashes, hashOf(r.Path))
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	var old []groupingkey.Key
	err := s.transact(ctx, KindRead, store.Read, func(conn *pgxpool.Conn) (err error) {
		old, err = s.list(ctx, conn, "SELECT path FROM pushgateway_group WHERE hash = ANY($1) AND plain", hashes)
		return err
	})
	for i := 0; err == nil && i < len(old); i++ {
		err = s.Delete(ctx, old[i])
	}
	return err
}

// pass computes requests one after the other.
type pass struct {
	store *Store
	conn  *pgxpool.Conn
	*request
	*group
	all  []*store.PusherRequest
	errs []error

	c       *change
	failed  error                  // of the database, in a callback
	wanted  []series.Hash          // series that requests add
	grows   bool                   // a limit may be exceeded
	looked  bool                   // holders and held are known
	holders map[series.Hash]holder // of wanted
	held    store.Counts
}

// decide computes the change. A second pass, if the requests add something, knows who has the series and what is held.
func (p *pass) decide(ctx context.Context) (*change, error) {
	p.errs = make([]error, len(p.all))
	if p.without == nil && !p.create {
		return nil, nil
	}
	err := p.run(ctx)
	if err == nil && (len(p.wanted) > 0 || p.grows) {
		if err = p.look(ctx); err == nil {
			err = p.run(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	others := p.store.others(ctx, p.conn, p.c, &p.failed)
	changed, err := p.c.finish(others)
	if err = errors.Join(err, p.failed); err != nil || !changed {
		return nil, err
	}
	if p.c.agg.over && !p.alive {
		return nil, nil
	}
	return p.c, nil
}

// look reads who has the wanted series, and what is held.
func (p *pass) look(ctx context.Context) error {
	limited, cancel := p.store.limited(ctx)
	defer cancel()
	p.looked, p.holders = true, make(map[series.Hash]holder)
	batch := &pgx.Batch{}
	batch.Queue(readHolding, bigints(p.wanted)).Query(func(rows pgx.Rows) error { return readHolders(rows, p.holders) })
	queueCounts(batch, &p.held)
	return send(limited, p.conn, batch)
}

// run carries out the requests on a new draft.
func (p *pass) run(ctx context.Context) error {
	k, err := p.store.contribute(p.group)
	if err != nil {
		return err
	}
	p.c = p.group.change(p.request)
	p.c.agg = k
	if p.without == nil {
		k.silent = p.now
	}
	if err := p.endChangedFamilies(ctx); err != nil {
		return err
	}
	for i, r := range p.all {
		p.errs[i] = p.add(ctx, r)
		if p.failed != nil {
			return p.failed
		}
	}
	return nil
}

// endChangedFamilies ends the families for which the rule of the latest push has another function. Only a replica whose rules are in
// force does so. Others leave the push to those: see add.
func (p *pass) endChangedFamilies(ctx context.Context) error {
	i := slices.IndexFunc(p.all, func(r *store.PusherRequest) bool { return r.Push != nil })
	if i < 0 {
		return nil
	}
	k := p.c.agg
	for chunk := range k.of.Chunks() {
		if chunk.Follows(p.all[i].Push.Rule) || slices.Contains(k.notes.Ended, chunk.Family) {
			continue
		}
		inForce, err := p.store.rulesInForce(ctx, p.conn)
		if err != nil || !inForce {
			return err
		}
		k.draft.EndFamily(chunk.Family)
		k.notes.Ended = append(k.notes.Ended, chunk.Family)
	}
	return nil
}

// add adds a request to the change.
func (p *pass) add(ctx context.Context, r *store.PusherRequest) error {
	k, g := p.c.agg, p.group
	if r.Push == nil {
		return k.fold(g, r.Path, store.FoldedByDelete)
	}
	push := *r.Push
	if latest := store.TimeOf(k.contributed); !push.At.After(latest) {
		push.At = latest.Add(1)
	}
	old := k.pusher(g, r.Path)
	before, err := old.contributions()
	if err != nil {
		return err
	}
	prepared, err := k.draft.Prepare(&push, before, func(family string) (store.Holder, bool) { return p.holder(ctx, family, r.Path) })
	if err != nil {
		return p.refusal(ctx, err)
	}
	after := &pusher{path: r.Path, pushed: store.Nanoseconds(push.At), ttl: push.Rule.PusherTTL.Nanoseconds(), content: prepared.Contributions.Encode()}
	plain := p.c.plain && r.Path != p.path && len(g.families) > 0
	begun, err := p.check(prepared, &push, old, after, plain)
	if err != nil {
		return err
	}
	prepared.Accept()
	k.set(g, r.Path, after)
	k.begun, k.latest = begun, push.Rule
	k.rule, k.without, k.contributed = push.Rule.Name, push.Rule.Without, after.pushed
	p.c.pushed, p.c.at = max(p.c.pushed, after.pushed), after.pushed
	if p.c.plain && !plain {
		p.c.endPlain() // It is from before the rule, or has only failed.
	}
	if old == nil && p.store.returns.Has(r.Path) {
		k.notes.Returned = append(k.notes.Returned, push.Pusher.Clone())
	}
	k.notes.Pushed(prepared)
	return nil
}

// refusal is the error of a refused push. During a change of the rules, a replica with others cannot tell what the push would do where
// they are in force, so the client is to try again.
func (p *pass) refusal(ctx context.Context, err error) error {
	if _, conflict := errors.AsType[*store.TypeConflict](err); !conflict {
		return err
	}
	switch inForce, failed := p.store.rulesInForce(ctx, p.conn); {
	case failed != nil:
		p.failed = failed
	case !inForce:
		return store.ErrBusy
	}
	return err
}

// check refuses a push whose series another group has, or that exceeds a limit together with the pushes before it. Before the look, it
// only finds out what to look for. Plain says that the group stays an ordinary one, too.
func (p *pass) check(prepared *store.Prepared, push *store.Contribution, old, after *pusher, plain bool) (store.Counts, error) {
	k := p.c.agg
	difference := store.Counts{Series: k.begun.Series, Size: k.begun.Size + after.size() - old.size()}
	if !p.alive {
		difference.Groups = 1
	}
	added := 0
	for _, chunk := range prepared.Begins() {
		difference.Size += chunk.Size
		if !p.looked {
			p.wanted = append(p.wanted, chunk.Series...)
			continue
		}
		for _, h := range chunk.Series {
			holder, held := p.holders[h]
			if !held || holder.pending {
				added++
				continue
			}
			description := func() string { return p.store.options.Space().Describe(chunk.Metrics(), h) }
			switch {
			case holder.path != p.path:
				return difference, store.SeriesConflict(description(), keyOf(holder.path))
			case plain && p.hasPlain(h):
				return difference, store.RuleConflict(description(), p.key, push.Rule)
			}
		}
	}
	difference.Series += added
	full := old == nil && p.store.options.MaxPushers > 0
	if !p.looked {
		p.grows = p.grows || full || difference.Groups > 0 || difference.Size > 0 && p.store.options.MaxBytes > 0
		return difference, nil
	}
	if err := p.store.options.CheckLimits(p.held, difference, added > 0); err != nil {
		return difference, err
	}
	if full && p.held.Pushers+int(k.pushers-p.group.pushers) >= p.store.options.MaxPushers {
		return difference, errFull
	}
	return difference, nil
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

// holder finds the pusher that pushed last among those that contribute to a family, other than one. It reads all pushers, which is
// seldom needed: when a family comes as another type.
func (p *pass) holder(ctx context.Context, family, except string) (latest store.Holder, found bool) {
	k, last := p.c.agg, int64(0)
	consider := func(candidate *pusher) {
		if candidate == nil || candidate.path == except || found && candidate.pushed <= last {
			return
		}
		cs, err := candidate.contributions()
		if err == nil && k.draft.Contributes(cs, family) {
			latest, found, last = store.Holder{Key: keyOf(candidate.path), Push: store.TimeOf(candidate.pushed)}, true, candidate.pushed
		}
	}
	rows, err := p.conn.Query(ctx, "SELECT path, pushed, ttl, content FROM pushgateway_pusher WHERE grp = $1", p.id)
	if err == nil {
		var all []*pusher
		all, err = scanPushers(rows)
		for _, stored := range all {
			if _, changed := k.changed[stored.path]; !changed {
				consider(stored)
			}
		}
	}
	if err != nil {
		p.failed = err
	}
	for _, changed := range k.changed {
		consider(changed)
	}
	return latest, found
}

// quietSince is the latest push of a pusher that can be folded early.
func (s *Store) quietSince() int64 { return store.Nanoseconds(s.options.Now().Add(-store.MinQuiet)) }
