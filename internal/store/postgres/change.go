// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// group is the row of a group, which the transaction has locked.
type group struct {
	id, version    int64
	layout         int64 // the sum of its families'
	alive          bool
	pushed, failed int64
	exported       int64
	timesExported  bool
	round, lives   *int64
	now            int64 // the database's time
	families       map[string]*family

	plain bool // it is an ordinary group
	aggregated
}

// family is what a change needs of a stored family.
type family struct {
	name, typ string
	series    []series.Hash
	exported  bool
	size      int64
	layout    int64

	state  []byte   // of a chunk
	extras [][]byte // of a chunk
}

func newGroup() *group {
	g := &group{families: make(map[string]*family)}
	g.chunks, g.known = make(map[string]*family), make(map[string]*pusher)
	return g
}

// row returns a stored family or chunk by the name of its row, or nil.
func (g *group) row(name string) *family {
	if isChunk(name) {
		return g.chunks[name]
	}
	return g.families[name]
}

// request is a change as it is asked for.
type request struct {
	key    groupingkey.Key
	path   string
	create bool
	names  [][]byte // families to read; nil for all
	// pushers are the hashes of pushers to read, with the state of the aggregate. Nil reads none.
	pushers [][]byte
	// plan decides what changes. It returns nil for nothing.
	plan func(*group) (*change, error)
	// decide is a plan that can read more.
	decide func(context.Context, *pgxpool.Conn, *group) (*change, error)
}

// change is an atomic change of one group.
type change struct {
	*request
	*group

	hide     bool
	plain    bool // the group is an ordinary one
	add      []*store.Family
	drop     []*family
	at       int64 // of the push
	pushed   int64
	failed   int64
	lives    *int64
	newTimes bool // the group becomes visible

	outgoing []*family // dropped families and push times that are not replaced by the same series
	incoming []incoming
	store.Difference
	inherits bool // some series may have been exported before
	pending  bool // some added series were pending
	markers  []store.Markers
	counts   store.Counts // differences

	agg *contribution // nil if the aggregate does not change
}

// incoming is an added family that does not replace the same series, or the push times.
type incoming struct {
	family *store.Family // nil for push times
	series []series.Hash
}

// Push implements store.Store.
func (s *Store) Push(
	ctx context.Context, key groupingkey.Key, families []*store.Family, replace bool, at time.Time, emptied ...string,
) error {
	r := &request{key: key, path: pathOf(key), create: true}
	for _, f := range families {
		if err := checkName(f.Name); err != nil {
			return err
		}
	}
	if len(emptied) == 0 {
		if err := s.share(ctx, r.path, families, store.Nanoseconds(at)); !errors.Is(err, errAlone) {
			return err
		}
	}
	if !replace {
		r.names = namesOf(families, emptied)
	}
	r.plan = func(g *group) (*change, error) {
		c := g.change(r)
		c.add, c.at, c.pushed, c.lives, c.plain = families, store.Nanoseconds(at), store.Nanoseconds(at), orNull(store.Nanoseconds(at)), true
		if replace {
			c.drop = slices.Collect(maps.Values(g.families))
			return c, nil
		}
		for _, f := range families {
			c.dropFamily(f.Name)
		}
		for _, name := range emptied {
			c.dropFamily(name)
		}
		if err := c.checkCollisions(); err != nil {
			return nil, err
		}
		return c, nil
	}
	return s.apply(ctx, r)
}

// maxName is the number of bytes of a metric's name that an index of the database holds for certain: a third of a page, less the rest of
// the row.
const maxName = 2048

// checkName refuses a name that the database cannot hold, for a push would fail each time.
func checkName(name string) error {
	if len(name) <= maxName {
		return nil
	}
	return store.NameConflict(name, maxName)
}

// namesOf lists the families that a POST replaces or could collide with.
func namesOf(families []*store.Family, emptied []string) [][]byte {
	names := [][]byte{}
	add := func(name string) string {
		names = append(names, []byte(name))
		return ""
	}
	for _, f := range families {
		add(f.Name)
	}
	for _, name := range emptied {
		add(name)
	}
	_ = store.CheckCollisions(families, add) // It asks for each name that matters.
	return names
}

// Fail implements store.Store.
func (s *Store) Fail(ctx context.Context, key groupingkey.Key, at time.Time) error {
	r := &request{key: key, create: true, names: [][]byte{}}
	r.plan = func(g *group) (*change, error) {
		c := g.change(r)
		c.failed = store.Nanoseconds(at)
		if c.pushed == 0 {
			c.lives, c.plain = orNull(c.failed), true
		}
		return c, nil
	}
	return s.apply(ctx, r)
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key groupingkey.Key) error {
	_, err := s.deleteIf(ctx, key, func(g *group) bool { return g.plain })
	return err
}

// deleteIf removes an ordinary group if the condition holds, and reports whether it did. Its aggregate stays.
func (s *Store) deleteIf(ctx context.Context, key groupingkey.Key, condition func(*group) bool) (deleted bool, err error) {
	r := &request{key: key}
	r.plan = func(g *group) (*change, error) {
		if deleted = g.plain && condition(g); !deleted {
			return nil, nil
		}
		c := g.change(r)
		c.endPlain()
		c.hideIfOver()
		return c, nil
	}
	err = s.apply(ctx, r)
	return deleted && err == nil, err
}

// Wipe implements store.Store.
func (s *Store) Wipe(ctx context.Context) error {
	var keys []groupingkey.Key
	err := s.transact(ctx, KindRead, store.Read, func(conn *pgxpool.Conn) (err error) {
		keys, err = s.list(ctx, conn, "SELECT path FROM pushgateway_group WHERE alive ORDER BY hash")
		return err
	})
	for i := 0; err == nil && i < len(keys); i++ {
		err = s.end(ctx, keys[i], func(*group) (plain, aggregate bool) { return true, true })
	}
	return err
}

// list returns the keys of groups.
func (s *Store) list(ctx context.Context, conn *pgxpool.Conn, query string, arguments ...any) ([]groupingkey.Key, error) {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	rows, err := conn.Query(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (groupingkey.Key, error) {
		var path string
		err := row.Scan(&path)
		return keyOf(path), err
	})
}

// change returns a change that changes nothing yet but makes the group visible.
func (g *group) change(r *request) *change {
	return &change{request: r, group: g, pushed: g.pushed, failed: g.failed, lives: g.lives, plain: g.plain, newTimes: !g.alive}
}

// endPlain ends the group as an ordinary one.
func (c *change) endPlain() {
	c.plain, c.lives = false, nil
	c.drop = slices.AppendSeq(c.drop, maps.Values(c.families))
}

// hideIfOver makes the group invisible if nothing of it stays.
func (c *change) hideIfOver() {
	if !c.plain && (c.without == nil && c.agg == nil || c.agg.ends()) {
		c.hide, c.newTimes, c.pushed, c.failed = true, false, 0, 0
	}
}

func (c *change) dropFamily(name string) {
	if f := c.families[name]; f != nil {
		c.drop = append(c.drop, f)
	}
}

// checkCollisions refuses a POST whose families collide with those that it keeps.
func (c *change) checkCollisions() error {
	replaced := make(map[string]bool, len(c.drop))
	for _, f := range c.drop {
		replaced[f.name] = true
	}
	return store.CheckCollisions(c.add, func(name string) string {
		if f := c.families[name]; f != nil && !replaced[name] {
			return f.typ
		}
		return ""
	})
}

// apply makes a change completely or not at all.
func (s *Store) apply(ctx context.Context, r *request) error {
	r.path = pathOf(r.key)
	end, busy := s.turns.take(ctx, r.path, s.settings.StatementTimeout/2)
	if busy != nil {
		s.settings.Observer.Transaction(KindChange, OutcomeBusy)
		return busy
	}
	defer end()
	changed := false
	err := s.transact(ctx, KindChange, store.Write, func(conn *pgxpool.Conn) error {
		g, err := s.lock(ctx, conn, r)
		if err != nil {
			return err
		}
		if g == nil {
			if r.create {
				return errRetry // It was removed after it was found.
			}
			return s.rollback(ctx, conn)
		}
		limited, cancel := s.limited(ctx)
		defer cancel()
		c, err := r.change(limited, conn, g)
		if err != nil {
			return err
		}
		if c == nil {
			return s.rollback(ctx, conn)
		}
		s.compare(c)
		if err := s.prepare(ctx, conn, c); err != nil {
			return err
		}
		changed = true
		return s.write(ctx, conn, c)
	})
	if err == nil && changed {
		s.signal()
	}
	return err
}

// change decides what changes.
func (r *request) change(ctx context.Context, conn *pgxpool.Conn, g *group) (*change, error) {
	if r.decide != nil {
		return r.decide(ctx, conn, g)
	}
	return r.plan(g)
}

// rollback ends a transaction that changes nothing.
func (*Store) rollback(ctx context.Context, conn *pgxpool.Conn) error {
	_, err := conn.Exec(ctx, "ROLLBACK")
	return err
}

const (
	addGroup = `INSERT INTO pushgateway_group (hash, path, shard, name, words) SELECT $1, $2, $3, $4, $5
		WHERE NOT EXISTS (SELECT FROM pushgateway_group WHERE hash = $1) ON CONFLICT (hash) DO NOTHING`
	lockGroup = `SELECT id, version, layout, alive, pushed, failed, exported, times_exported, round, lives, NOW,
			plain, coalesce(rule, ''), without, contributed, next, pushers, silent, claimed
		FROM pushgateway_group WHERE hash = $1 FOR UPDATE`
	// readFamilies reads the states of chunks only for changes of the aggregate. Those read all of them, since the series of a push are
	// found by labels: that is about 40 bytes a series, and 64 series a row.
	readFamilies = `SELECT f.name, f.type, f.series, f.exported, f.layout,
			coalesce(f.size, octet_length(f.content) + octet_length(f.series) + coalesce(octet_length(f.first), 0)),
			CASE WHEN $3 AND f.size IS NOT NULL THEN f.content END, CASE WHEN $3 THEN f.extras END
		FROM pushgateway_family f JOIN pushgateway_group g ON f.grp = g.id WHERE g.hash = $1 AND ($2::bytea[] IS NULL OR f.name = ANY($2))`
)

// lock begins a transaction, locks the group's row and reads what the change needs. It returns nil if there is no group.
func (s *Store) lock(ctx context.Context, conn *pgxpool.Conn, r *request) (*group, error) {
	limited, cancel := context.WithTimeout(ctx, s.settings.StatementTimeout+s.settings.ConnectTimeout)
	defer cancel()
	hash := hashOf(r.path)
	var g *group
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	if r.create {
		batch.Queue(addGroup, hash, r.path, shardOf(r.key.Job, s.shards), store.AppendName(nil, r.key), groupingkey.AppendText(nil, r.key))
	}
	batch.Queue(s.sql(lockGroup), hash).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			g = newGroup()
			if err := rows.Scan(&g.id, &g.version, &g.layout, &g.alive, &g.pushed, &g.failed, &g.exported, &g.timesExported, &g.round, &g.lives, &g.now,
				&g.plain, &g.rule, &g.without, &g.contributed, &g.next, &g.pushers, &g.silent, &g.claimed); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	batch.Queue(readFamilies, hash, r.names, r.pushers != nil).Query(func(rows pgx.Rows) error {
		for g != nil && rows.Next() {
			var f family
			var name, hashes []byte
			if err := rows.Scan(&name, &f.typ, &hashes, &f.exported, &f.layout, &f.size, &f.state, &f.extras); err != nil {
				return err
			}
			f.name, f.series = string(name), decodeSeries(hashes)
			if isChunk(f.name) {
				g.chunks[f.name] = &f
			} else {
				g.families[f.name] = &f
			}
		}
		return rows.Err()
	})
	if len(r.pushers) > 0 {
		queuePushers(batch, hash, r.pushers, func() *group { return g })
	}
	err := send(limited, conn, batch)
	return g, err
}

// timesOf returns the series of a group's push times.
func (s *Store) timesOf(key groupingkey.Key) []series.Hash {
	return s.options.Space().Append(nil, s.options.PushTimesOf(key, time.Time{}, time.Time{}))
}

// compare determines which series are added and which end. It skips families that are replaced by the same series, the
// common case.
func (s *Store) compare(c *change) {
	again := make(map[string]bool, len(c.add))
	for _, f := range c.add {
		if old := c.row(f.Name); old != nil && slices.Equal(old.series, f.Series) {
			again[f.Name] = true
			continue
		}
		c.incoming = append(c.incoming, incoming{f, f.Series})
	}
	for _, f := range c.drop {
		c.inherits = c.inherits || f.exported
		if !again[f.name] {
			c.outgoing = append(c.outgoing, f)
		}
	}
	switch {
	case c.hide:
		c.inherits = c.inherits || c.timesExported
		c.outgoing = append(c.outgoing, &family{series: s.timesOf(c.key), exported: c.timesExported})
	case c.newTimes:
		c.incoming = append(c.incoming, incoming{series: s.timesOf(c.key)})
	}
	var old, added []store.Content
	for _, f := range c.outgoing {
		old = append(old, store.Content{Series: f.series, Exported: f.exported})
	}
	for _, in := range c.incoming {
		added = append(added, store.Content{Series: in.series})
	}
	c.Difference = store.Compare(old, added)
	c.count()
}

// count computes the change's differences.
func (c *change) count() {
	for _, f := range c.drop {
		c.counts.Series -= len(f.series)
		c.counts.Size -= f.size
	}
	for _, f := range c.add {
		c.counts.Series += len(f.Series)
		c.counts.Size += c.sizeOf(f)
	}
	c.countPushers(&c.counts)
	c.counts.Pending = len(c.Marked)
	switch {
	case c.newTimes:
		c.counts.Groups = 1
	case c.hide:
		c.counts.Groups = -1
	}
}

// prepare reads what a change of series or a growing one needs: the contents that markers are made of, who has the added
// series, and the counts. The error is a *ConflictError, a *LimitError or the database's.
func (s *Store) prepare(ctx context.Context, conn *pgxpool.Conn, c *change) error {
	batch := &pgx.Batch{}
	contents := make(map[string][]byte)
	if names := c.endingFamilies(); len(names) > 0 {
		batch.Queue("SELECT name, content FROM pushgateway_family WHERE grp = $1 AND name = ANY($2)", c.id, names).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var name, content []byte
				if err := rows.Scan(&name, &content); err != nil {
					return err
				}
				contents[string(name)] = content
			}
			return rows.Err()
		})
	}
	holders := make(map[series.Hash]holder)
	if len(c.Added) > 0 {
		batch.Queue(readHolding, bigints(c.Added)).Query(func(rows pgx.Rows) error { return readHolders(rows, holders) })
	}
	var held store.Counts
	grows := c.counts.Groups > 0 || c.counts.Series > 0 || c.counts.Size > 0 || len(c.Added) > 0
	if grows && (s.options.MaxGroups > 0 || s.options.MaxSeries > 0 || s.options.MaxBytes > 0) {
		queueCounts(batch, &held)
	}
	if batch.Len() > 0 {
		limited, cancel := s.limited(ctx)
		defer cancel()
		if err := send(limited, conn, batch); err != nil {
			return err
		}
	}
	adds, err := s.checkHolders(c, holders)
	if err == nil && grows {
		err = s.options.CheckLimits(held, c.counts, adds)
	}
	if err == nil && len(c.Marked) > 0 {
		c.markers, err = s.options.NewMarkers(s.ending(c, contents), func(h series.Hash) bool { return c.Marked[h] })
	}
	return err
}

const readHolding = `SELECT s.hash, s.pending IS NOT NULL, g.path FROM pushgateway_series s JOIN pushgateway_group g ON g.id = s.grp
	WHERE s.hash = ANY($1)`

// holder is who has a series.
type holder struct {
	pending bool
	path    string
}

func readHolders(rows pgx.Rows, holders map[series.Hash]holder) error {
	for rows.Next() {
		var hash int64
		var h holder
		if err := rows.Scan(&hash, &h.pending, &h.path); err != nil {
			return err
		}
		holders[series.Hash(hash)] = h
	}
	return rows.Err()
}

// checkHolders refuses series that another group has, or this one twice. It reports whether any is new to the group.
func (s *Store) checkHolders(c *change, holders map[series.Hash]holder) (adds bool, err error) {
	if c.Twice != nil {
		return false, store.SeriesConflict(s.describe(c, *c.Twice), c.key)
	}
	for _, h := range c.Added {
		has, held := holders[h]
		if held && !has.pending {
			if has.path == c.path { // as the other of an ordinary group and an aggregate
				return false, store.RuleConflict(s.describe(c, h), c.key, c.ruleOf())
			}
			return false, store.SeriesConflict(s.describe(c, h), keyOf(has.path))
		}
		c.pending = c.pending || held
		adds = adds || !held || has.path != c.path
	}
	return adds, nil
}

// describe names a series of an incoming content.
func (s *Store) describe(c *change, h series.Hash) string {
	from := slices.IndexFunc(c.incoming, func(in incoming) bool { return slices.Contains(in.series, h) })
	md := s.options.PushTimesOf(c.key, store.TimeOf(c.pushed), store.TimeOf(c.failed))
	if f := c.incoming[from].family; f != nil {
		md = s.options.ForwardedPart(decodeRow(f.Name, f.Encoded))
	}
	return s.options.Space().Describe(md, h)
}

// endingFamilies names the families with series that end with a marker.
func (c *change) endingFamilies() (names [][]byte) {
	if len(c.Marked) == 0 {
		return nil
	}
	for _, f := range c.outgoing {
		if f.exported && f.name != "" && slices.ContainsFunc(f.series, func(h series.Hash) bool { return c.Marked[h] }) {
			names = append(names, []byte(f.name))
		}
	}
	return names
}

// ending decodes the contents with series that end with a marker, one at a time.
func (s *Store) ending(c *change, contents map[string][]byte) func(func(pmetric.Metrics) bool) {
	return func(yield func(pmetric.Metrics) bool) {
		for _, f := range c.outgoing {
			md := pmetric.NewMetrics()
			switch content, read := contents[f.name]; {
			case read:
				md = decodeRow(f.name, content)
			case f.name == "" && f.exported:
				md = s.options.PushTimesOf(c.key, store.TimeOf(c.group.pushed), store.TimeOf(c.group.failed))
			}
			if !yield(md) {
				return
			}
		}
	}
}

// write writes and commits a change in one round trip.
func (s *Store) write(ctx context.Context, conn *pgxpool.Conn, c *change) error {
	limited, cancel := s.limited(ctx)
	defer cancel()
	batch := &pgx.Batch{}
	s.writeFamilies(batch, c)
	s.writeGroup(batch, c)
	s.writePushers(batch, c)
	s.writeSeries(batch, c)
	if c.hide {
		batch.Queue(dropGone, []int64{c.id})
	}
	return commit(limited, conn, batch)
}

func (*Store) writeFamilies(batch *pgx.Batch, c *change) {
	var dropped [][]byte
	added := make(map[string]bool, len(c.add))
	var names, hashes, contents, firsts [][]byte
	var types []string
	var exported []bool
	var sizes []*int64
	var pushed, layouts []int64
	for _, f := range c.add {
		added[f.Name] = true
		if c.agg != nil && c.agg.quiet[f.Name] {
			batch.Queue("UPDATE pushgateway_family SET content = $3 WHERE grp = $1 AND name = $2", c.id, []byte(f.Name), f.Encoded)
			continue
		}
		old := c.row(f.Name)
		size, at, layout := c.rowOf(f)
		sizes, pushed, layouts = append(sizes, size), append(pushed, at), append(layouts, layout)
		c.layout += layout
		names, types = append(names, []byte(f.Name)), append(types, f.Type)
		hashes, contents, firsts = append(hashes, encodeSeries(f.Series)), append(contents, f.Encoded), append(firsts, f.First)
		exported = append(exported, c.inherited(old, f))
	}
	for _, f := range c.drop {
		c.layout -= f.layout
		if !added[f.name] {
			dropped = append(dropped, []byte(f.name))
		}
	}
	if len(dropped) > 0 {
		batch.Queue("DELETE FROM pushgateway_family WHERE grp = $1 AND name = ANY($2)", c.id, dropped)
	}
	if len(names) > 0 {
		batch.Queue(`INSERT INTO pushgateway_family (grp, version, pushed, name, type, exported, series, content, first, size, layout)
			SELECT $1, $2, * FROM unnest($3::bigint[], $4::bytea[], $5::text[], $6::boolean[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bigint[], $11::bigint[])
			ON CONFLICT (grp, name) DO UPDATE SET version = EXCLUDED.version, pushed = EXCLUDED.pushed, type = EXCLUDED.type,
				exported = EXCLUDED.exported, series = EXCLUDED.series, content = EXCLUDED.content, first = EXCLUDED.first,
				size = EXCLUDED.size, extras = NULL, layout = EXCLUDED.layout`,
			c.id, c.version+1, pushed, names, types, exported, hashes, contents, firsts, sizes, layouts)
	}
}

// inherited reports whether a series of an added family may have been exported.
func (c *change) inherited(old *family, f *store.Family) bool {
	if old != nil && slices.Equal(old.series, f.Series) {
		return old.exported
	}
	return c.inherits || c.pending
}

func (s *Store) writeGroup(batch *pgx.Batch, c *change) {
	timesExported, exported := c.timesExported, int64(0)
	if c.newTimes {
		timesExported = c.inherits || c.pending
	}
	if c.pending {
		exported = c.now
	}
	round := c.round
	switch {
	case c.hide:
		round, timesExported = nil, false
	case round == nil && s.options.RepublishInterval > 0:
		round = orNull(s.nextRound(c.now))
	}
	paced := int64(0)
	// If the last claim is later than now, the clock has jumped back.
	if pause := c.claimed + int64(minPause); c.pacedChange() && c.claimed > 0 && c.claimed <= c.now && pause > c.now {
		paced = pause
	}
	a := c.after()
	batch.Queue(writeGroup, c.id, !c.hide, c.pushed, c.failed, c.version+1, timesExported, exported, c.now, round, c.lives,
		c.plain, a.rule, a.without, a.contributed, a.next, a.pushers, a.silent, paced, c.pacedChange(), c.layout)
	if paced == 0 {
		batch.Queue("INSERT INTO pushgateway_queue (grp, shard, queued) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", c.id, shardOf(c.key.Job, s.shards), c.now)
	}
}

const (
	// writeGroup lets a group be due after the pause ($18) if only its aggregate changed, unless it is in the queue.
	writeGroup = `UPDATE pushgateway_group SET alive = $2, pushed = $3, failed = $4, version = $5, times_exported = $6,
			exported = greatest(exported, $7), since = CASE WHEN since IS NULL OR suspect THEN $8 ELSE since END, suspect = false, changed = $8,
			due = CASE WHEN $18::bigint > 0 THEN least($18, due, $9) WHEN $2 THEN coalesce(due, $9) END, paced = $18 > 0,
			urgent = CASE WHEN $19 THEN urgent ELSE $5 END, round = $9,
			lives = $10, lives_from = CASE WHEN $10::bigint IS NOT NULL THEN least(lives_from, $10) END,
			plain = $11, rule = $12, without = $13, contributed = $14, next = $15, pushers = $16, silent = $17, layout = $20
		WHERE id = $1`
	// dropGone removes groups that are not visible any more and have no markers.
	dropGone = `WITH gone AS (
			DELETE FROM pushgateway_group g WHERE id = ANY($1) AND NOT alive
				AND NOT EXISTS (SELECT FROM pushgateway_markers WHERE grp = g.id) RETURNING id
		)
		DELETE FROM pushgateway_queue WHERE grp IN (SELECT id FROM gone)`
)

const (
	addMarkers = `WITH m AS (INSERT INTO pushgateway_markers (grp, shard, lapsed, hashes, content) VALUES ($1, $2, $3, $4, $5) RETURNING id)
		UPDATE pushgateway_series s SET pending = m.id FROM m WHERE s.hash = ANY($4)`
	// The division fails if a series is no longer free, or has become pending: then the change must be tried again.
	addSeries = `WITH added AS (
			INSERT INTO pushgateway_series AS s (hash, grp) SELECT hash, $2 FROM unnest($3::bigint[]) hash
			ON CONFLICT (hash) DO UPDATE SET grp = EXCLUDED.grp, pending = NULL, taken = true WHERE s.pending IS NOT NULL
			RETURNING taken
		), n AS (SELECT count(*) AS added, count(*) FILTER (WHERE taken) AS taken FROM added)
		UPDATE pushgateway_counts SET groups = groups + $5, series = series + $6,
			pending = pending + $7 - n.taken / (n.added = $4 AND (n.taken = 0 OR $11))::int,
			size = size + $8, pending_size = pending_size + $9, pushers = pushers + $10
		FROM n WHERE slot = $1`
	addCounts = `UPDATE pushgateway_counts SET groups = groups + $2, series = series + $3, pending = pending + $4,
			size = size + $5, pending_size = pending_size + $6, pushers = pushers + $7
		WHERE slot = $1`
)

// writeSeries updates the index and the counts. The counts come last, because other pushes wait for them.
func (s *Store) writeSeries(batch *pgx.Batch, c *change) {
	shard, slot := shardOf(c.key.Job, s.shards), shardOf(c.path, s.shards)
	for _, m := range c.markers {
		c.counts.PendingSize += int64(len(m.Encoded) + 8*len(m.Series))
		batch.Queue(addMarkers, c.id, shard, c.exported+int64(store.Lookback), bigints(m.Series), m.Encoded)
	}
	if len(c.Ended) > 0 {
		batch.Queue("DELETE FROM pushgateway_series WHERE hash = ANY($1)", bigints(slices.Collect(maps.Keys(c.Ended))))
	}
	d := c.counts
	switch {
	case len(c.Added) > 0:
		added := bigints(c.Added)
		slices.Sort(added) // the order in which all transactions lock them
		batch.Queue(addSeries, slot, c.id, added, len(added), d.Groups, d.Series, d.Pending, d.Size, d.PendingSize, d.Pushers, c.pending)
	case d != store.Counts{}:
		batch.Queue(addCounts, slot, d.Groups, d.Series, d.Pending, d.Size, d.PendingSize, d.Pushers)
	}
}
