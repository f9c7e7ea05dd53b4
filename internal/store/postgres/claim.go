// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// claimShards limits the shards of a claim. More would make larger batches, and stall more if the replica hangs.
	claimShards = 8
	// stepsPerRound divides the republish interval. Rounds are due at whole steps, so that the groups of a step share
	// requests.
	stepsPerRound = 64
	// looksPerPause is how often Claim looks for something due during the pause between claims of a shard.
	looksPerPause = 20
)

// claim is the store's part of a store.Claim.
type claim struct {
	conn   *pgxpool.Conn // in the transaction that holds the shards
	shards []int32
	at     int64     // milliseconds
	zero   int64     // milliseconds; 0 if no series begins with a zero
	now    int64     // the database's time, when it had locked the shards
	over   time.Time // when at is over by the database's clock, or zero if at is committed
	groups []*claimed
	parts  []*store.Part
	series int
	bytes  int64
	more   bool // the limits left something
	marked bool // the last claim of a shard committed marks and was lost
}

// claimed is a group in a claim.
type claimed struct {
	id, version, sent int64
	path              string
	key               groupingkey.Key
	shard             int32
	alive             bool
	pushed, failed    int64
	timesExported     bool
	refused           map[string]bool
	timesRefused      bool
	round             int64
	change            bool // not only a due round
	full              bool // a round: the claim has all values
	families          []*claimedFamily
	markers           []*claimedMarkers
	times             *store.Part
}

// claimedFamily is a family that can be in a claim.
type claimedFamily struct {
	name            string
	version         int64
	exported, first bool
	series          int
	size            int64
	unsent          bool
	content         []byte   // with exemplars, if first
	extras          [][]byte // of a chunk; the claim has taken them from the row
	extra           bool     // the row had extras
	found           bool     // the content was read
}

// claimedMarkers are markers with the series that are still pending.
type claimedMarkers struct {
	id   int64
	size int64
	left []series.Hash
	all  store.Markers
}

// origin is what a part is made of.
type origin struct {
	group   *claimed
	family  *claimedFamily  // nil for push times and markers
	markers *claimedMarkers // nil for values
}

func originOf(p *store.Part) *origin { return p.Origin.(*origin) }

var errTaken = errors.New("another replica took the shards")

// Claim implements store.Store. It alternates between the oldest changes and due rounds, so that neither starves. It does not look
// again right after it found nothing: under load, each push asks it to.
func (s *Store) Claim(ctx context.Context, limits store.Limits) (*store.Claim, time.Time) {
	if rest := time.Until(time.Unix(0, s.lookAgain.Load())); rest > 0 && !limits.Last {
		return nil, s.options.Now().Add(rest)
	}
	select {
	case s.claims <- struct{}{}:
	default:
		return nil, s.options.Now().Add(retryPause) // Settle signals earlier.
	}
	until := time.Now().Add(exportTimeout)
	c, due, err := s.tryClaim(ctx, limits)
	if c != nil {
		s.settings.Observer.Claimed(len(c.shards))
		claimed := &store.Claim{At: time.UnixMilli(c.at), Until: until, Parts: c.parts, Held: c}
		if c.zero > 0 {
			claimed.Zero = time.UnixMilli(c.zero)
		}
		return claimed, time.Time{}
	}
	<-s.claims
	if err != nil {
		if classify(err) == fatal && ctx.Err() == nil && !errors.Is(err, store.ErrBusy) && !errors.Is(err, errTaken) {
			s.options.StorageFailed(store.Read, s.masked(err))
		}
		s.settings.Observer.Transaction(KindClaim, outcomeOf(ctx, err))
		return nil, s.options.Now().Add(retryPause)
	}
	s.lookAgain.Store(time.Now().Add(s.settings.pause / looksPerPause).UnixNano())
	return nil, due
}

// tryClaim returns nil and the next due time if nothing is due.
func (s *Store) tryClaim(ctx context.Context, limits store.Limits) (_ *claim, due time.Time, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, due, err
	}
	c := &claim{conn: conn}
	defer func() {
		if err != nil || len(c.groups) == 0 {
			s.leave(conn, err)
			s.rollBack(ctx, conn)
			conn.Release()
		}
	}()
	limited, cancel := s.limited(ctx)
	defer cancel()
	if limits.Last {
		if _, err = conn.Exec(limited, s.sql(hurry)); err != nil {
			return nil, due, err
		}
	}
	if due, err = s.lockShards(limited, c, limits.Last); err != nil || len(c.shards) == 0 {
		return nil, due, err
	}
	err = s.readGroups(limited, c, limits)
	if err != nil {
		return nil, due, err
	}
	if len(c.groups) == 0 {
		return nil, s.options.Now(), nil // A change was undone between the statements.
	}
	err = s.markExported(limited, c)
	if err != nil {
		return nil, due, err
	}
	err = s.readContents(limited, c)
	if err != nil {
		return nil, due, err
	}
	c.build(s)
	if len(c.parts) == 0 {
		c.groups = nil
		return nil, s.options.Now(), nil // Changes have removed all of it since.
	}
	time.Sleep(time.Until(c.over)) // A millisecond or two. If this claim is lost, the next one has a later time.
	return c, due, nil
}

// stamp gives the claim a time by the database's clock, which must have been read after the shards were locked, and just now. The time is
// later than that of every claim before: of those that were settled because at is, and of those that were lost because they waited
// until their time was over.
func (c *claim) stamp(now int64) {
	first := c.at
	if c.zero > 0 {
		first = c.zero
	}
	if later := now/int64(time.Millisecond) - first; later > 0 {
		c.at += later
		if c.zero > 0 {
			c.zero += later
		}
	}
	c.over = time.Now().Add(time.Duration((c.at+1)*int64(time.Millisecond) - now))
}

const (
	// The shard with the oldest claim comes first, so that none starves. If the pause ($3) ends later than after its length, the clock has
	// jumped back, so it is over.
	lockShards = `SELECT id, last, next = 1 FROM pushgateway_shard s
		WHERE (next <= (SELECT NOW) OR next > (SELECT NOW) + $3 OR $2) AND (EXISTS (SELECT FROM pushgateway_queue WHERE shard = s.id)
			OR EXISTS (SELECT FROM pushgateway_group g WHERE g.shard = s.id AND g.due <= (SELECT NOW)))
		ORDER BY last LIMIT $1 FOR UPDATE SKIP LOCKED`
	// hurry makes changes due that only wait for the pause.
	hurry = `UPDATE pushgateway_group SET due = NOW
		WHERE id IN (SELECT id FROM pushgateway_group WHERE paced ORDER BY id FOR UPDATE)`
	readClock = "SELECT NOW"
	nextDue   = `SELECT min(CASE WHEN EXISTS (SELECT FROM pushgateway_queue WHERE shard = s.id) THEN next
			ELSE (SELECT greatest(due, s.next) FROM pushgateway_group g WHERE g.shard = s.id AND due IS NOT NULL ORDER BY due LIMIT 1) END), NOW
		FROM pushgateway_shard s`
)

// lockShards begins a transaction and locks shards with something due. It returns the next due time if there are none.
func (s *Store) lockShards(ctx context.Context, c *claim, all bool) (due time.Time, err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(s.sql(lockShards), claimShards, all, max(s.settings.pause, 0).Nanoseconds()).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id int32
			var last int64
			var marked bool
			if err := rows.Scan(&id, &last, &marked); err != nil {
				return err
			}
			c.shards, c.at, c.marked = append(c.shards, id), max(c.at, last+1), c.marked || marked
		}
		return rows.Err()
	})
	s.queueClock(batch, &c.now) // In a statement of its own: another claim can begin and be lost before the first one has its locks.
	if err := send(ctx, c.conn, batch); err != nil {
		return due, err
	}
	if len(c.shards) > 0 {
		c.stamp(c.now)
		return due, nil
	}
	var next *int64
	var now int64
	batch = &pgx.Batch{}
	batch.Queue(s.sql(nextDue)).QueryRow(func(row pgx.Row) error { return row.Scan(&next, &now) })
	batch.Queue("ROLLBACK")
	if err := send(ctx, c.conn, batch); err != nil {
		return due, err
	}
	return s.dueTime(next, now), nil
}

func (s *Store) queueClock(batch *pgx.Batch, now *int64) {
	batch.Queue(s.sql(readClock)).QueryRow(func(row pgx.Row) error { return row.Scan(now) })
}

// dueTime converts the next due time from the database's clock to the replica's. Shards that are due now are in others'
// claims.
func (s *Store) dueTime(next *int64, now int64) time.Time {
	var in time.Duration
	switch {
	case next == nil && s.settings.poll == 0:
		return time.Time{}
	case next == nil:
		in = s.settings.poll
	case *next <= now:
		in = retryPause
	default:
		in = time.Duration(*next - now)
	}
	if s.settings.poll > 0 {
		in = min(in, s.settings.poll)
	}
	return s.options.Now().Add(in)
}

// readGroups reads the groups of the locked shards that are due. One statement reads all of a group, so that its families
// and markers fit together.
func (s *Store) readGroups(ctx context.Context, c *claim, limits store.Limits) error {
	most := min(limits.Groups, math.MaxInt32)
	rows, err := c.conn.Query(ctx, s.sql(readGroups), c.shards, most, c.now, s.roundNext.Load())
	if err != nil {
		return err
	}
	defer rows.Close()
	for c.more = true; len(c.groups) < limits.Groups && c.series < limits.Series && c.bytes < limits.Bytes; {
		if c.more = rows.Next(); !c.more {
			s.roundNext.Store(false) // Nothing waits.
			break
		}
		g, err := scanGroup(rows)
		if err != nil {
			return err
		}
		g.full = g.round != 0 && g.round <= c.now
		s.roundNext.Store(g.change)
		c.groups = append(c.groups, g)
		s.addParts(c, g)
	}
	rows.Close()
	return rows.Err()
}

// readGroups lists changed and due groups in turn. Of the families it reads the unsent ones, or all in a round. It does not sort what a
// group has: that would be half of its cost.
const readGroups = `WITH candidate AS (SELECT * FROM (
		(SELECT q.grp AS id, true AS change, row_number() OVER (ORDER BY q.queued, q.grp) AS n
			FROM unnest($1::int[]) shard, LATERAL (
				SELECT grp, queued FROM pushgateway_queue WHERE pushgateway_queue.shard = shard.shard ORDER BY queued LIMIT $2
			) q ORDER BY n LIMIT $2)
		UNION ALL
		(SELECT g.id, false, row_number() OVER (ORDER BY g.due, g.id) AS n
			FROM unnest($1::int[]) shard, LATERAL (
				SELECT id, due FROM pushgateway_group WHERE pushgateway_group.shard = shard.shard AND due <= $3
					AND NOT EXISTS (SELECT FROM pushgateway_queue WHERE grp = id) ORDER BY due LIMIT $2
			) g ORDER BY n LIMIT $2)
		) candidate ORDER BY n, change = $4 LIMIT $2
	)
	SELECT g.id, g.version, g.sent, g.path, g.shard, g.alive, g.pushed, g.failed, g.times_exported, g.refused, g.times_refused,
		coalesce(g.round, 0), candidate.change, f.names, f.versions, f.exported, f.first, f.extra, f.series, f.sizes, m.ids, m.sizes, m.hashes
	FROM candidate JOIN pushgateway_group g ON g.id = candidate.id
	LEFT JOIN LATERAL (
		SELECT array_agg(name) AS names, array_agg(version) AS versions, array_agg(exported) AS exported, array_agg(first) AS first,
			array_agg(extra) AS extra, array_agg(series) AS series, array_agg(size) AS sizes
		FROM (
			SELECT name, version, exported, first IS NOT NULL AS first, extras IS NOT NULL AS extra, octet_length(series) / 8 AS series,
				octet_length(coalesce(first, content)) AS size
			FROM pushgateway_family WHERE grp = g.id AND (g.round <= $3 OR version > g.sent OR name = ANY(g.refused))
		) f
	) f ON true
	LEFT JOIN LATERAL (
		SELECT array_agg(id) AS ids, array_agg(size) AS sizes, array_agg(hash) AS hashes
		FROM (
			SELECT m.id, octet_length(m.content) AS size, s.hash FROM pushgateway_markers m
			LEFT JOIN LATERAL (SELECT hash FROM pushgateway_series WHERE grp = g.id AND pending = m.id AND hash = ANY(m.hashes)) s ON true
			WHERE m.grp = g.id
		) m
	) m ON true
	ORDER BY candidate.n, candidate.change = $4`

// scanGroup reads a row of readGroups.
func scanGroup(rows pgx.Rows) (*claimed, error) {
	g := &claimed{refused: make(map[string]bool)}
	var names, refused [][]byte
	var versions, sizes, counts, ids, markerSizes []int64
	var exported, first, extra []bool
	var hashes []*int64
	err := rows.Scan(&g.id, &g.version, &g.sent, &g.path, &g.shard, &g.alive, &g.pushed, &g.failed, &g.timesExported, &refused, &g.timesRefused,
		&g.round, &g.change, &names, &versions, &exported, &first, &extra, &counts, &sizes, &ids, &markerSizes, &hashes)
	if err != nil {
		return nil, err
	}
	g.key = keyOf(g.path)
	for _, name := range refused {
		g.refused[string(name)] = true
	}
	for i, name := range names {
		g.families = append(g.families, &claimedFamily{
			name: string(name), version: versions[i], exported: exported[i], first: first[i], extra: extra[i], series: int(counts[i]), size: sizes[i],
			unsent: versions[i] > g.sent || g.refused[string(name)],
		})
	}
	slices.SortFunc(g.families, func(a, b *claimedFamily) int { return strings.Compare(a.name, b.name) })
	for i, id := range ids {
		at := slices.IndexFunc(g.markers, func(m *claimedMarkers) bool { return m.id == id })
		if at < 0 {
			at, g.markers = len(g.markers), append(g.markers, &claimedMarkers{id: id, size: markerSizes[i]})
		}
		if hashes[i] != nil {
			g.markers[at].left = append(g.markers[at].left, series.Hash(*hashes[i]))
		}
	}
	for _, m := range g.markers {
		slices.Sort(m.left)
	}
	slices.SortFunc(g.markers, func(a, b *claimedMarkers) int { return cmp.Compare(a.id, b.id) })
	return g, nil
}

// addParts lists a group's pending markers and its unsent values, or all values in a round.
func (s *Store) addParts(c *claim, g *claimed) {
	first := len(c.parts)
	for _, m := range g.markers {
		if len(m.left) > 0 {
			c.bytes += m.size
			c.parts = append(c.parts, &store.Part{Series: len(m.left), Markers: m.left, Origin: &origin{g, nil, m}})
		}
	}
	for _, f := range g.families {
		c.bytes += f.size
		family, chunk := familyOf(f.name)
		c.parts = append(c.parts, &store.Part{Family: family, Chunk: chunk, Series: f.series, Origin: &origin{g, f, nil}})
	}
	if times := len(s.timesOf(g.key)); g.alive && times > 0 && (g.full || g.version > g.sent || g.timesRefused) {
		g.times = &store.Part{Series: times, Origin: &origin{group: g}}
		c.parts = append(c.parts, g.times)
	}
	for _, p := range c.parts[first:] {
		p.Key, p.Group = g.key, g.path
		c.series += p.Series
	}
}

// markExported commits that values are exported whose series never were before, takes the extras of chunks, and locks the shards again. It also
// commits a time that is ahead of the clock, since the next claim could have it too if this one were lost.
//
// The claim after a lost one that had committed marks commits all its groups, although they are marked: values are exported later than the
// marks say, so markers must not lapse too early. And if the other claim was not lost, but has not locked the shards again yet, it must find
// that they were taken: its marks are not its own any more.
func (s *Store) markExported(ctx context.Context, c *claim) error {
	var groups, times, families, versions []int64
	var names [][]byte
	var taking []*claimedFamily
	var takenGroups, takenVersions []int64
	var takenNames [][]byte
	for _, g := range c.groups {
		marked := c.marked
		if g.times != nil && !g.timesExported {
			times = append(times, g.id)
			marked = true
		}
		for _, f := range g.families {
			if f.extra {
				taking = append(taking, f)
				takenGroups, takenNames, takenVersions = append(takenGroups, g.id), append(takenNames, []byte(f.name)), append(takenVersions, f.version)
				marked = true
			}
			if !f.exported {
				families, names, versions = append(families, g.id), append(names, []byte(f.name)), append(versions, f.version)
				marked = true
			}
		}
		if marked {
			groups = append(groups, g.id)
		}
	}
	if len(taking) > 0 { // Zeros come before the values.
		c.zero = c.at
		c.at++
	}
	if len(groups) == 0 && c.at <= c.now/int64(time.Millisecond) {
		return nil
	}
	batch := &pgx.Batch{}
	alive := make(map[int64]bool)
	if len(groups) > 0 {
		batch.Queue("SELECT id, alive FROM pushgateway_group WHERE id = ANY($1) ORDER BY id FOR UPDATE", groups).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var id int64
				var lives bool
				if err := rows.Scan(&id, &lives); err != nil {
					return err
				}
				alive[id] = lives
			}
			return rows.Err()
		})
		// If the claim is lost, markers must not lapse as if nothing had been exported.
		batch.Queue(`UPDATE pushgateway_group SET times_exported = times_exported OR alive AND id = ANY($2), exported = greatest(exported, $3)
			WHERE id = ANY($1)`, groups, append([]int64{}, times...), c.now)
		batch.Queue(`UPDATE pushgateway_family f SET exported = true FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS n (grp, name, version)
			WHERE f.grp = n.grp AND f.name = n.name AND f.version = n.version`, families, names, versions)
		queueExtras(batch, taking, takenGroups, takenNames, takenVersions)
	}
	batch.Queue("UPDATE pushgateway_shard SET last = $2, next = 1 WHERE id = ANY($1)", c.shards, c.at)
	batch.Queue("COMMIT")
	batch.Queue("BEGIN")
	locked := 0
	batch.Queue("SELECT id FROM pushgateway_shard WHERE id = ANY($1) AND last = $2 FOR UPDATE SKIP LOCKED", c.shards, c.at).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			locked++
		}
		return rows.Err()
	})
	var now int64
	s.queueClock(batch, &now)
	if err := send(ctx, c.conn, batch); err != nil {
		return err
	}
	if locked < len(c.shards) {
		return errTaken
	}
	c.dropTimes(func(g *claimed) bool { return !g.timesExported && !alive[g.id] })
	committed := c.at
	c.stamp(now)
	if c.at == committed {
		c.over = time.Time{}
	}
	return nil
}

// dropTimes leaves out the push times of groups that were removed since they were read. Nothing would end them.
func (c *claim) dropTimes(removed func(*claimed) bool) {
	c.parts = slices.DeleteFunc(c.parts, func(p *store.Part) bool {
		g := originOf(p).group
		if p != g.times || !removed(g) {
			return false
		}
		g.times = nil
		return true
	})
}

// queueExtras takes extras from their rows.
func queueExtras(batch *pgx.Batch, taking []*claimedFamily, groups []int64, names [][]byte, versions []int64) {
	if len(taking) == 0 {
		return
	}
	batch.Queue(`SELECT n.i, f.extras FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) WITH ORDINALITY AS n (grp, name, version, i)
		JOIN pushgateway_family f ON f.grp = n.grp AND f.name = n.name AND f.version = n.version`, groups, names, versions).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var i int
			var extras [][]byte
			if err := rows.Scan(&i, &extras); err != nil {
				return err
			}
			taking[i-1].extras = extras
		}
		return rows.Err()
	})
	batch.Queue(`UPDATE pushgateway_family f SET extras = NULL FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS n (grp, name, version)
		WHERE f.grp = n.grp AND f.name = n.name AND f.version = n.version`, groups, names, versions)
}

// readContents reads the contents of the claim. Families that have changed since are left to the next claim.
func (*Store) readContents(ctx context.Context, c *claim) error {
	var groups, versions, ids []int64
	var names [][]byte
	var families []*claimedFamily
	markers := make(map[int64]*claimedMarkers)
	for _, g := range c.groups {
		for _, f := range g.families {
			families = append(families, f)
			groups, names, versions = append(groups, g.id), append(names, []byte(f.name)), append(versions, f.version)
		}
		for _, m := range g.markers {
			markers[m.id] = m
			ids = append(ids, m.id)
		}
	}
	batch := &pgx.Batch{}
	if len(names) > 0 {
		batch.Queue(`SELECT n.i, coalesce(f.first, f.content)
			FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) WITH ORDINALITY AS n (grp, name, version, i)
			JOIN pushgateway_family f ON f.grp = n.grp AND f.name = n.name AND f.version = n.version`, groups, names, versions).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					var i int
					var content []byte
					if err := rows.Scan(&i, &content); err != nil {
						return err
					}
					families[i-1].content, families[i-1].found = content, true
				}
				return rows.Err()
			})
	}
	if len(ids) > 0 {
		batch.Queue("SELECT id, hashes, content FROM pushgateway_markers WHERE id = ANY($1)", ids).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var id int64
				var hashes []int64
				var content []byte
				if err := rows.Scan(&id, &hashes, &content); err != nil {
					return err
				}
				markers[id].all = store.Markers{Encoded: content, Series: hashesOf(hashes)}
			}
			return rows.Err()
		})
	}
	if batch.Len() == 0 {
		return nil
	}
	return send(ctx, c.conn, batch)
}

// build completes the parts with what was read.
func (c *claim) build(s *Store) {
	c.parts = slices.DeleteFunc(c.parts, func(p *store.Part) bool {
		of := originOf(p)
		return of.family != nil && !of.family.found
	})
	for _, p := range c.parts {
		switch of := originOf(p); {
		case of.markers != nil:
			p.Build = func(left []series.Hash) pmetric.Metrics { return s.options.BuildMarkers(of.markers.all, left) }
		case of.family != nil:
			if p.Chunk != 0 {
				p.Build = c.buildChunk(p, of.family)
				continue
			}
			p.Build = func([]series.Hash) pmetric.Metrics { return s.options.ForwardedPart(store.Decode(of.family.content)) }
		default:
			pushed, failed := store.TimeOf(of.group.pushed), store.TimeOf(of.group.failed)
			p.Build = func([]series.Hash) pmetric.Metrics { return s.options.PushTimesOf(of.group.key, pushed, failed) }
		}
	}
}

// buildChunk returns the function that builds the values of a chunk.
func (c *claim) buildChunk(p *store.Part, f *claimedFamily) func([]series.Hash) pmetric.Metrics {
	e := decodeExtras(f.extras)
	zero := time.UnixMilli(c.zero)
	return func([]series.Hash) pmetric.Metrics {
		chunk, err := store.DecodeState(f.content)
		switch {
		case err != nil: // Only a damaged row has such a content.
			return pmetric.NewMetrics()
		case p.Outcome.Doubtful: // The zeros may have arrived, and values after them.
			return chunk.Render(zero, nil, e.exemplars)
		default:
			return chunk.Render(zero, e.zeros, e.exemplars)
		}
	}
}

// nextRound is one republish interval from now, rounded down to a step.
func (s *Store) nextRound(now int64) int64 {
	interval := s.options.RepublishInterval
	return store.TimeOf(now).Add(interval).Truncate(interval / stepsPerRound).UnixNano()
}
