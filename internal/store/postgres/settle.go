// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Settle implements store.Store. The shards are free afterwards, whatever it returns.
func (s *Store) Settle(ctx context.Context, settling *store.Claim) error {
	c := settling.Held.(*claim)
	defer func() {
		c.conn.Release() // closes it if its transaction is still open
		s.settings.Observer.Claimed(-len(c.shards))
		<-s.claims
		s.signal()
	}()
	err := s.settle(ctx, c, settling.Parts)
	s.settings.Observer.Transaction(KindSettle, outcomeOf(context.WithoutCancel(ctx), err))
	if err == nil {
		return nil
	}
	s.rollBack(ctx, c.conn)
	masked := s.masked(err)
	s.options.StorageFailed(store.Write, masked)
	return &store.StorageError{Err: masked}
}

// settle writes the outcomes and commits, in one round trip.
func (s *Store) settle(ctx context.Context, c *claim, parts []*store.Part) error {
	if c.conn.Conn().IsClosed() || c.conn.Conn().PgConn().TxStatus() != 'T' {
		return errUnsettled
	}
	o := newOutcomes(c, parts, s.options.Now())
	batch := &pgx.Batch{}
	// The order of locks is that of changes: groups, series, counts. Families, markers and the queue are locked with their groups.
	batch.Queue("SELECT FROM pushgateway_group WHERE id = ANY($1) ORDER BY id FOR UPDATE", o.groups)
	s.settleGroups(batch, c, o)
	restoreExtras(batch, c, parts)
	s.settleMarkers(batch, o)
	s.settleFamilies(batch, o)
	if o.hidden {
		batch.Queue(dropGone, o.groups)
	}
	next := int64(0)
	if !c.more {
		next = c.now + s.settings.pause.Nanoseconds()
	}
	batch.Queue("UPDATE pushgateway_shard SET last = $2, next = $3 WHERE id = ANY($1)", c.shards, c.at, next)
	limited, cancel := s.limited(ctx)
	defer cancel()
	return commit(limited, c.conn, batch)
}

// outcomes are what a claim changes, as columns of its statements.
type outcomes struct {
	groups, versions        []int64
	rounds, roundIn, retry  []*int64 // rounds are by the database's clock, the others from now
	over, again, rest       []bool
	exported, timesAgain    []bool
	timesUntried            []bool
	refused                 map[int64][][]byte // families by group
	exemplars, untried      familyColumns
	ackedShards             []int32
	ackedMarkers, ackedHash []int64
	markers                 []int64 // all of the claim
	hidden                  bool    // a group was not visible
	now                     time.Time
}

// familyColumns identify families.
type familyColumns struct {
	groups, versions, sizes []int64
	names                   [][]byte
	shards                  []int32
}

func (c *familyColumns) add(g *claimed, f *claimedFamily) {
	c.groups, c.versions, c.names = append(c.groups, g.id), append(c.versions, f.version), append(c.names, []byte(f.name))
	c.shards, c.sizes = append(c.shards, g.shard), append(c.sizes, f.size)
}

// result is the outcome of a group's parts together.
type result struct {
	over, again bool // all but suspects were accepted; something is due again immediately
	retry       time.Time
	exported    bool            // a value may have been exported
	unsent      map[string]bool // families that were not accepted
	timesUnsent bool
	untried     bool // the first push times were not exported after all
	markersLeft bool
}

func newOutcomes(c *claim, parts []*store.Part, now time.Time) *outcomes {
	o := &outcomes{refused: make(map[int64][][]byte), now: now}
	results := make(map[*claimed]*result, len(c.groups))
	for _, g := range c.groups {
		r := &result{over: true, unsent: make(map[string]bool), timesUnsent: g.times != nil && (g.version > g.sent || g.timesRefused)}
		for _, f := range g.families {
			if f.unsent {
				r.unsent[f.name] = true
			}
		}
		results[g] = r
	}
	for _, p := range parts {
		o.part(originOf(p), p, results[originOf(p).group])
	}
	for _, g := range c.groups {
		o.group(g, results[g])
	}
	return o
}

// part adds the outcome of a part.
func (o *outcomes) part(of *origin, p *store.Part, r *result) {
	switch outcome := p.Outcome; {
	case outcome.Accepted:
	case outcome.Retry.IsZero():
		r.again = true
	case r.retry.IsZero() || outcome.Retry.Before(r.retry):
		r.retry = outcome.Retry
	}
	r.over = r.over && (p.Outcome.Accepted || p.Outcome.Suspect)
	switch {
	case of.markers != nil:
		o.markerPart(of, p, r)
	case of.family != nil:
		o.familyPart(of, p.Outcome, r)
	default:
		r.exported = r.exported || p.Outcome.Tried || p.Outcome.Accepted
		r.timesUnsent = r.timesUnsent && !p.Outcome.Accepted
		r.untried = !p.Outcome.Tried && !p.Outcome.Accepted && !of.group.timesExported
	}
}

func (o *outcomes) markerPart(of *origin, p *store.Part, r *result) {
	if !p.Outcome.Accepted {
		r.markersLeft = true
		return
	}
	for _, h := range bigints(p.Markers) {
		o.ackedMarkers, o.ackedHash = append(o.ackedMarkers, of.markers.id), append(o.ackedHash, h)
		o.ackedShards = append(o.ackedShards, of.group.shard)
	}
}

func (o *outcomes) familyPart(of *origin, outcome store.Outcome, r *result) {
	r.exported = r.exported || outcome.Tried || outcome.Accepted
	switch f := of.family; {
	case outcome.Accepted:
		delete(r.unsent, f.name)
		if f.first {
			o.exemplars.add(of.group, f)
		}
	case !outcome.Tried && !f.exported:
		o.untried.add(of.group, f)
	}
}

// group adds when a group is due next.
func (o *outcomes) group(g *claimed, r *result) {
	round, roundIn := orNull(g.round), (*int64)(nil)
	switch {
	case g.full && r.over:
		round = nil
	case g.full && !r.again:
		round, roundIn = nil, o.until(r.retry)
	}
	retry := o.until(r.retry)
	if r.again {
		retry = nil
	}
	o.groups, o.versions = append(o.groups, g.id), append(o.versions, g.version)
	o.rounds, o.roundIn, o.retry = append(o.rounds, round), append(o.roundIn, roundIn), append(o.retry, retry)
	o.over, o.again = append(o.over, r.over), append(o.again, r.again)
	o.rest = append(o.rest, len(r.unsent) > 0 || r.timesUnsent || r.markersLeft)
	o.exported, o.timesAgain, o.timesUntried = append(o.exported, r.exported), append(o.timesAgain, r.timesUnsent), append(o.timesUntried, r.untried)
	for name := range r.unsent {
		o.refused[g.id] = append(o.refused[g.id], []byte(name))
	}
	for _, m := range g.markers {
		o.markers = append(o.markers, m.id)
	}
	o.hidden = o.hidden || !g.alive || len(g.markers) > 0 // It may have been deleted since.
}

// until returns the time left, by the replica's clock.
func (o *outcomes) until(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	left := int64(max(t.Sub(o.now), 0))
	return &left
}

// settleGroups decides when the groups are due next. A group that was changed since the claim goes to the end of the queue, or is due after a
// pause if only its aggregate was.
const settleGroups = `WITH n AS (
		SELECT *, coalesce(round, now + round_in, CASE WHEN $11::bigint > 0 THEN (now + $11) / $12::bigint * $12 END) AS next
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::boolean[], $8::boolean[],
			$9::boolean[], $10::boolean[]) AS n (id, version, round, round_in, retry, over, rest, exported, times_again, untried),
			(SELECT NOW AS now) t
	), settled AS (
		UPDATE pushgateway_group g SET
			sent = n.version, refused = NULL, times_refused = n.times_again,
			times_exported = g.times_exported AND NOT (n.untried AND g.version = n.version),
			exported = CASE WHEN n.exported THEN greatest(g.exported, n.now) ELSE g.exported END,
			since = CASE WHEN g.version > n.version THEN CASE WHEN n.over THEN g.changed ELSE coalesce(g.since, g.changed) END
				WHEN n.rest THEN coalesce(g.since, n.now) END,
			suspect = n.rest AND n.over AND g.version = n.version,
			claimed = $13, paced = g.version > n.version AND g.urgent <= n.version AND NOT (n.rest AND n.retry IS NULL),
			due = CASE WHEN g.urgent > n.version OR n.rest AND n.retry IS NULL THEN CASE WHEN g.alive THEN n.next END
				WHEN g.version > n.version THEN least($13::bigint + $14::bigint, CASE WHEN g.alive THEN n.next END)
				WHEN n.rest THEN least(n.now + n.retry, CASE WHEN g.alive THEN n.next END)
				WHEN g.alive THEN n.next END,
			round = CASE WHEN g.alive THEN n.next END
		FROM n WHERE g.id = n.id
		RETURNING g.id, g.shard, n.now, g.urgent > n.version OR n.rest AND n.retry IS NULL AS stays
	), gone AS (
		DELETE FROM pushgateway_queue q USING settled s WHERE q.grp = s.id AND NOT s.stays
	)
	INSERT INTO pushgateway_queue (grp, shard, queued) SELECT id, shard, now FROM settled WHERE stays
	ON CONFLICT (grp) DO UPDATE SET queued = EXCLUDED.queued`

func (s *Store) settleGroups(batch *pgx.Batch, c *claim, o *outcomes) {
	interval := s.options.RepublishInterval
	batch.Queue(s.sql(settleGroups), o.groups, o.versions, o.rounds, o.roundIn, o.retry, o.over, o.rest, o.exported, o.timesAgain, o.timesUntried,
		interval.Nanoseconds(), (interval / stepsPerRound).Nanoseconds(), c.now, int64(minPause))
	for id, names := range o.refused {
		batch.Queue("UPDATE pushgateway_group SET refused = $2 WHERE id = $1", id, names)
	}
}

// restoreExtras gives back the extras that were not exported. A zero that may have arrived is not exported again, because it would look
// like a reset. Rows that changed during the claim get them, too.
func restoreExtras(batch *pgx.Batch, c *claim, parts []*store.Part) {
	outcomes := make(map[*claimedFamily]store.Outcome)
	for _, p := range parts {
		outcomes[originOf(p).family] = p.Outcome
	}
	for _, g := range c.groups {
		for _, f := range g.families {
			outcome, left := outcomes[f], f.extras
			if outcome.Doubtful {
				left = slices.DeleteFunc(slices.Clone(left), isZero)
			}
			if outcome.Accepted || len(left) == 0 {
				continue
			}
			batch.Queue("UPDATE pushgateway_family SET extras = $3 || coalesce(extras, '{}') WHERE grp = $1 AND name = $2", g.id, []byte(f.name), left)
		}
	}
}

func (*Store) settleFamilies(batch *pgx.Batch, o *outcomes) {
	if f := &o.untried; len(f.groups) > 0 {
		batch.Queue(`UPDATE pushgateway_family f SET exported = false FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS n (grp, name, version)
			WHERE f.grp = n.grp AND f.name = n.name AND f.version = n.version`, f.groups, f.names, f.versions)
	}
	if f := &o.exemplars; len(f.groups) > 0 {
		batch.Queue(`WITH accepted AS (
				UPDATE pushgateway_family f SET first = NULL
				FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::int[], $5::bigint[]) AS n (grp, name, version, shard, size)
				WHERE f.grp = n.grp AND f.name = n.name AND f.version = n.version AND f.first IS NOT NULL
				RETURNING n.shard, n.size
			)
			UPDATE pushgateway_counts c SET size = c.size - a.size
			FROM (SELECT shard, sum(size) AS size FROM accepted GROUP BY shard) a WHERE c.slot = a.shard`,
			f.groups, f.names, f.versions, f.shards, f.sizes)
	}
}

const (
	// dropSeries removes series whose markers were accepted, unless they were added again or taken over since.
	dropSeries = `WITH dropped AS (
			DELETE FROM pushgateway_series s USING unnest($1::int[], $2::bigint[], $3::bigint[]) AS n (shard, markers, hash)
			WHERE s.hash = n.hash AND s.pending = n.markers RETURNING n.shard
		)
		UPDATE pushgateway_counts c SET pending = c.pending - d.pending
		FROM (SELECT shard, count(*) AS pending FROM dropped GROUP BY shard) d WHERE c.slot = d.shard`
	// dropMarkers removes markers of which no series is pending.
	dropMarkers = `WITH dropped AS (
			DELETE FROM pushgateway_markers m WHERE id = ANY($1)
				AND NOT EXISTS (SELECT FROM pushgateway_series s WHERE s.hash = ANY(m.hashes) AND s.pending = m.id)
			RETURNING shard, octet_length(content) + 8 * cardinality(hashes) AS size
		)
		UPDATE pushgateway_counts c SET pending_size = c.pending_size - d.size
		FROM (SELECT shard, sum(size) AS size FROM dropped GROUP BY shard) d WHERE c.slot = d.shard`
	// prolongMarkers is for those that changes added during the claim: their series were exported until now.
	prolongMarkers = `UPDATE pushgateway_markers SET lapsed = greatest(lapsed, NOW + $3) WHERE grp = ANY($1) AND id <> ALL($2)`
)

func (s *Store) settleMarkers(batch *pgx.Batch, o *outcomes) {
	if len(o.ackedHash) > 0 {
		batch.Queue(dropSeries, o.ackedShards, o.ackedMarkers, o.ackedHash)
	}
	if len(o.markers) > 0 {
		batch.Queue(dropMarkers, o.markers)
	}
	var exported []int64
	for i, id := range o.groups {
		if o.exported[i] {
			exported = append(exported, id)
		}
	}
	if len(exported) > 0 {
		batch.Queue(s.sql(prolongMarkers), exported, append([]int64{}, o.markers...), store.Lookback.Nanoseconds())
	}
}
