// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// Limits and schema for tests.
const (
	ExpiredAtOnce = expiredAtOnce
	SchemaVersion = schemaVersion
	DefaultShards = defaultShards
	ClaimShards   = claimShards
	DatabaseClock = databaseClock
)

// Looks are the statements that find out whether there is something to do, with values for their parameters.
func (s *Store) Looks() map[string]string {
	fill := func(statement string, values ...string) string {
		for i := len(values); i > 0; i-- {
			statement = strings.ReplaceAll(statement, fmt.Sprintf("$%d", i), values[i-1])
		}
		return s.sql(statement)
	}
	return map[string]string{
		"claim":  fill(lockShards, "8", "false", "1000000000"),
		"expiry": fill(anyOver, "0", "0", "true", "0", "1", "0", "''::bytea", "5000000000000000000"),
	}
}

// ForTest sets the number of shards, the SQL expression of the time and the interval of polls.
func (s Settings) ForTest(shards int, clock string, poll time.Duration) Settings {
	s.shards, s.clock, s.poll = shards, clock, poll
	return s
}

// WithoutPause lets a shard be claimed again at once.
func (s Settings) WithoutPause() Settings {
	s.pause = -1
	return s
}

// Fresh sets the age up to which an observation is used again.
func (s Settings) Fresh(age time.Duration) Settings {
	s.fresh = age
	return s
}

// WithIdleTimeout sets the time after which the database ends a session that hangs in a transaction.
func (s Settings) WithIdleTimeout(d time.Duration) Settings {
	s.idle = d
	return s
}

// SessionOf is the process of the database that holds a claim.
func SessionOf(c *store.Claim) uint32 { return c.Held.(*claim).conn.Conn().PgConn().PID() }

// RestoredWith makes the store as ready as another one of the database.
func (s *Store) RestoredWith(other *Store) { s.shards = other.shards }

// Pool is that of the store.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// ForgetObservation lets the next observation read.
func (s *Store) ForgetObservation() { s.forgetObservation() }

// Uncommitted is uncommitted.
func Uncommitted(err error) bool { return uncommitted(err) }

// AwayFor is the time for which the database has not been reached, or 0.
func (s *Store) AwayFor() time.Duration {
	if since := s.awaySince.Load(); since != 0 {
		return time.Since(time.Unix(0, since))
	}
	return 0
}

// Changing is the number of changes of a group that have their turn or wait for it.
func (s *Store) Changing(key groupingkey.Key) int {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	if t := s.turns.byPath[pathOf(key)]; t != nil {
		return t.users
	}
	return 0
}

// Masked is masked.
func (s *Store) Masked(err error) error { return s.masked(err) }

// Held lists all groups.
func (s *Store) Held() (all []storetest.HeldGroup) {
	all, err := s.held(context.Background())
	if err != nil {
		panic(err)
	}
	return all
}

func (s *Store) held(ctx context.Context) (all []storetest.HeldGroup, err error) {
	rows, err := s.pool.Query(ctx, `SELECT g.id, path, alive, m.content, m.hashes,
			array(SELECT s.hash FROM pushgateway_series s WHERE s.hash = ANY(m.hashes) AND s.pending = m.id)
		FROM pushgateway_group g LEFT JOIN pushgateway_markers m ON m.grp = g.id ORDER BY g.id, m.id`)
	if err != nil {
		return nil, err
	}
	var id, latest int64
	var path string
	var alive bool
	var content []byte
	var hashes, left []int64
	_, err = pgx.ForEachRow(rows, []any{&id, &path, &alive, &content, &hashes, &left}, func() error {
		if len(all) == 0 || id != latest {
			g := storetest.HeldGroup{Key: keyOf(path), Alive: alive}
			if alive {
				g.Times = storetest.SortedSeries(s.options.PushTimesOf(g.Key, time.Time{}, time.Time{}))
			}
			all, latest = append(all, g), id
		}
		if len(left) > 0 {
			g := &all[len(all)-1]
			g.Pending = append(g.Pending, s.options.BuildMarkers(store.Markers{Encoded: slices.Clone(content), Series: hashesOf(hashes)}, hashesOf(left)))
		}
		return nil
	})
	return all, err
}

// rules are queries that return something if an invariant is broken.
var rules = map[string]string{
	"a group neither lives nor has markers":  `SELECT path FROM pushgateway_group g WHERE NOT alive AND NOT EXISTS (SELECT FROM pushgateway_markers WHERE grp = g.id)`,
	"a family has no visible group":          `SELECT encode(name, 'escape') FROM pushgateway_family f WHERE NOT EXISTS (SELECT FROM pushgateway_group WHERE id = f.grp AND alive)`,
	"markers have no group or another shard": `SELECT id::text FROM pushgateway_markers m WHERE NOT EXISTS (SELECT FROM pushgateway_group g WHERE g.id = m.grp AND g.shard = m.shard)`,
	"a pending series has no markers":        `SELECT hash::text FROM pushgateway_series s WHERE pending IS NOT NULL AND NOT EXISTS (SELECT FROM pushgateway_markers m WHERE m.id = s.pending AND m.grp = s.grp AND s.hash = ANY(m.hashes))`,
	"a group with something to export is not due": `SELECT path FROM pushgateway_group g WHERE due IS NULL AND NOT EXISTS (SELECT FROM pushgateway_queue WHERE grp = g.id) AND (
		EXISTS (SELECT FROM pushgateway_markers WHERE grp = g.id) OR refused IS NOT NULL OR times_refused
		OR EXISTS (SELECT FROM pushgateway_family f WHERE f.grp = g.id AND f.version > g.sent))`,
	"a changed group is not queued": `SELECT path FROM pushgateway_group g WHERE NOT paced AND NOT EXISTS (SELECT FROM pushgateway_queue WHERE grp = g.id)
		AND EXISTS (SELECT FROM pushgateway_family f WHERE f.grp = g.id AND f.version > g.sent)`,
	"the queue has another group":                               `SELECT grp::text FROM pushgateway_queue q WHERE NOT EXISTS (SELECT FROM pushgateway_group g WHERE g.id = q.grp AND g.shard = q.shard)`,
	"a group is alive if it is an ordinary one or an aggregate": `SELECT path FROM pushgateway_group WHERE alive <> (plain OR without IS NOT NULL)`,
	// The sum is modulo 2⁶⁴.
	"a group has another layout": `SELECT path FROM pushgateway_group g
		WHERE (layout - coalesce((SELECT sum(layout) FROM pushgateway_family WHERE grp = g.id), 0)) % 18446744073709551616 <> 0`,
	"pushers are counted":            `SELECT path FROM pushgateway_group g WHERE pushers <> (SELECT count(*) FROM pushgateway_pusher WHERE grp = g.id)`,
	"a pusher has an aggregate":      `SELECT path FROM pushgateway_pusher p WHERE NOT EXISTS (SELECT FROM pushgateway_group WHERE id = p.grp AND without IS NOT NULL)`,
	"a group does not expire":        `SELECT path FROM pushgateway_group WHERE plain <> (lives IS NOT NULL) OR plain <> (lives_from IS NOT NULL) OR lives_from > lives`,
	"a group that waits has no time": `SELECT path FROM pushgateway_group g WHERE since IS NULL AND EXISTS (SELECT FROM pushgateway_queue WHERE grp = g.id)`,
}

// brokenRules returns the names of rules that are broken, and what breaks them.
var brokenRules = func() string {
	var queries []string
	for rule, query := range rules {
		queries = append(queries, fmt.Sprintf("(SELECT '%s: ' || what FROM (%s LIMIT 1) AS broken (what))", rule, query))
	}
	return strings.Join(queries, " UNION ALL ")
}()

// Recount counts what is held anew and returns the first invariant that is broken.
func (s *Store) Recount() (counts store.Counts, err error) {
	ctx := context.Background()
	var broken string
	switch err = s.pool.QueryRow(ctx, brokenRules).Scan(&broken); {
	case err == nil:
		return counts, errors.New(broken)
	case !errors.Is(err, pgx.ErrNoRows):
		return counts, err
	}
	err = s.pool.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM pushgateway_group WHERE alive),
		(SELECT coalesce(sum(octet_length(series) / 8), 0) FROM pushgateway_family),
		(SELECT count(*) FROM pushgateway_series WHERE pending IS NOT NULL),
		(SELECT coalesce(sum(coalesce(size, octet_length(content) + octet_length(series) + coalesce(octet_length(first), 0))), 0) FROM pushgateway_family)
			+ (SELECT coalesce(sum(256 + octet_length(path) + octet_length(content)), 0) FROM pushgateway_pusher),
		(SELECT coalesce(sum(octet_length(content) + 8 * cardinality(hashes)), 0) FROM pushgateway_markers),
		(SELECT count(*) FROM pushgateway_pusher)`).
		Scan(&counts.Groups, &counts.Series, &counts.Pending, &counts.Size, &counts.PendingSize, &counts.Pushers)
	if err != nil {
		return counts, err
	}
	return counts, s.checkIndex(ctx)
}

// checkIndex wants the index to have exactly the series that groups show, with their group.
func (s *Store) checkIndex(ctx context.Context) error {
	want, have := make(map[series.Hash]int64), make(map[series.Hash]int64)
	var id, hash int64
	var hashes []byte
	var path string
	batch := &pgx.Batch{}
	batch.Queue("SELECT grp, series FROM pushgateway_family").Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&id, &hashes}, func() error {
			for _, h := range decodeSeries(hashes) {
				want[h] = id
			}
			return nil
		})
		return err
	})
	batch.Queue("SELECT id, path FROM pushgateway_group WHERE alive").Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&id, &path}, func() error {
			for _, h := range s.timesOf(keyOf(path)) {
				want[h] = id
			}
			return nil
		})
		return err
	})
	batch.Queue("SELECT hash, grp FROM pushgateway_series WHERE pending IS NULL").Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&hash, &id}, func() error {
			have[series.Hash(hash)] = id
			return nil
		})
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	if !maps.Equal(want, have) {
		return fmt.Errorf("the index has %v, groups have %v", have, want)
	}
	return nil
}

// Fill adds groups as pushes do, of three families of one series each, but faster and without an index of series.
func (s *Store) Fill(ctx context.Context, keys []groupingkey.Key, content []byte) error {
	var hashes, names, words [][]byte
	var paths []string
	var shards []int
	for _, key := range keys {
		path := pathOf(key)
		hashes, paths, shards = append(hashes, hashOf(path)), append(paths, path), append(shards, shardOf(key.Job, s.shards))
		names, words = append(names, store.AppendName(nil, key)), append(words, groupingkey.AppendText(nil, key))
	}
	if _, err := s.pool.Exec(ctx, `INSERT INTO pushgateway_group (hash, path, shard, name, words, alive, plain, pushed, version, sent)
		SELECT hash, path, shard, name, words, true, true, 1700000000000000000 + n, 1, 1
		FROM unnest($1::bytea[], $2::text[], $3::int[], $4::bytea[], $5::bytea[]) WITH ORDINALITY u (hash, path, shard, name, words, n)`,
		hashes, paths, shards, names, words); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, `INSERT INTO pushgateway_family (grp, name, type, pushed, version, exported, series, content, layout)
		SELECT g.id, f.name, 'gauge', g.pushed, 1, true, '\x0000000000000000', $1, 0
		FROM pushgateway_group g, unnest('{metric_a,metric_b,metric_c}'::bytea[]) f (name)`, content); err != nil {
		return err
	}
	for _, statement := range []string{
		"UPDATE pushgateway_counts SET groups = (SELECT count(*) FROM pushgateway_group) WHERE slot = 0", "VACUUM ANALYZE",
	} {
		if _, err := s.pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
