// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// expiredAtOnce limits the groups, and the markers, that one expiry removes.
const expiredAtOnce = 1000

// Expire implements store.Store. Each replica expires, and reports only what it removed itself.
func (s *Store) Expire(ctx context.Context) (e store.Expired, err error) {
	over, err := s.findOver(ctx)
	if err == nil && over.ahead {
		err = s.moveDue(ctx)
	}
	if err == nil && over.groups {
		err = s.expireGroups(ctx, &e)
	}
	if err == nil && over.unruled {
		err = s.endUnruled(ctx)
	}
	if err == nil && over.aggregates {
		err = s.expireAggregates(ctx)
	}
	if err == nil && over.lapsed {
		err = s.dropLapsed(ctx, &e)
	}
	return e, err
}

// over is what an expiry has to do.
type over struct{ groups, unruled, aggregates, lapsed, ahead bool }

// anyOver has the parameters of agingAggregates ($1 to $4). Then come the time to live of groups, the start of the quiet time of aggregates,
// the hash of the rules, and the time after which groups are due at the latest.
const anyOver = `SELECT
	$5::bigint > 0 AND EXISTS (SELECT FROM pushgateway_group WHERE lives_from <= (SELECT NOW) - $5),
	EXISTS (SELECT FROM pushgateway_group g WHERE g.without IS NOT NULL AND g.contributed <= $6) AND (SELECT rules IS NOT DISTINCT FROM $7 FROM pushgateway_meta),
	EXISTS (` + agingAggregates + `),
	EXISTS (SELECT FROM pushgateway_markers WHERE lapsed <= (SELECT NOW)),
	EXISTS (SELECT FROM pushgateway_shard s WHERE EXISTS (SELECT FROM pushgateway_group g WHERE g.shard = s.id AND g.due > (SELECT NOW) + $8))`

// findOver finds out what an expiry has to do, which is nothing most of the time.
func (s *Store) findOver(ctx context.Context) (found over, err error) {
	err = s.transact(ctx, KindExpire, store.Read, func(conn *pgxpool.Conn) error {
		arguments := append(s.agingArguments(s.options.Now()), s.options.TTL.Nanoseconds(), s.quietSince(), s.rulesHash(), s.latestDue().Nanoseconds())
		return conn.QueryRow(ctx, s.sql(anyOver), arguments...).Scan(&found.groups, &found.unruled, &found.aggregates, &found.lapsed, &found.ahead)
	})
	return found, err
}

// latestDue is the time after which a group is due at the latest: its next round. Without rounds, only what the backend has refused waits.
func (s *Store) latestDue() time.Duration {
	if s.options.RepublishInterval > 0 {
		return s.options.RepublishInterval
	}
	return store.Lookback
}

// moveDue brings forward what is due later than anything can be, because the database's clock has jumped back. Otherwise it would wait until
// the clock has caught up. Groups stay spread over the time of a round ($1). A group without rounds waits for what the backend has refused.
const moveDue = `UPDATE pushgateway_group g SET
		due = CASE WHEN g.due > n.now + $1 THEN n.now + (g.due - n.now) % $1 ELSE g.due END,
		round = CASE WHEN g.round > n.now + $1 THEN n.now + (g.round - n.now) % $1 ELSE g.round END
	FROM (SELECT NOW AS now) n
	WHERE g.id IN (
		SELECT g.id FROM pushgateway_shard s JOIN pushgateway_group g ON g.shard = s.id
		WHERE g.due > (SELECT NOW) + $1 AND (g.round IS NOT NULL OR g.due > (SELECT NOW) + $2) LIMIT $3 FOR UPDATE OF g SKIP LOCKED
	)`

// moveDue moves some groups at a time. It leaves those that are being changed to the next expiry.
func (s *Store) moveDue(ctx context.Context) error {
	for moved := int64(expiredAtOnce); moved == expiredAtOnce; {
		err := s.transact(ctx, KindExpire, store.Write, func(conn *pgxpool.Conn) error {
			limited, cancel := s.limited(ctx)
			defer cancel()
			tag, err := conn.Exec(limited, s.sql(moveDue), s.latestDue().Nanoseconds(), store.Lookback.Nanoseconds(), expiredAtOnce)
			moved = tag.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
	}
	s.signal()
	return nil
}

// expireGroups removes groups whose time to live has passed, by oldest push.
func (s *Store) expireGroups(ctx context.Context, e *store.Expired) error {
	var keys []groupingkey.Key
	err := s.transact(ctx, KindExpire, store.Read, func(conn *pgxpool.Conn) (err error) {
		if _, err = conn.Exec(ctx, s.sql(moveLives), s.options.TTL.Nanoseconds()); err != nil {
			return err
		}
		keys, err = s.list(ctx, conn, s.sql(`SELECT path FROM pushgateway_group WHERE lives_from <= (SELECT NOW) - $1 AND lives <= (SELECT NOW) - $1
			ORDER BY lives_from LIMIT $2`), s.options.TTL.Nanoseconds(), expiredAtOnce)
		return err
	})
	for i := 0; err == nil && i < len(keys); i++ {
		var deleted bool
		// A push may have come since the group was listed.
		deleted, err = s.deleteIf(ctx, keys[i], func(g *group) bool { return g.lives != nil && *g.lives <= g.now-s.options.TTL.Nanoseconds() })
		if deleted {
			e.Groups = append(e.Groups, keys[i])
		}
	}
	return err
}

const (
	// moveLives finds that groups were pushed again.
	moveLives = `UPDATE pushgateway_group SET lives_from = lives WHERE id IN (
			SELECT id FROM pushgateway_group WHERE lives_from <= (SELECT NOW) - $1 AND lives > (SELECT NOW) - $1 FOR UPDATE SKIP LOCKED
		)`
	// findLapsed lists lapsed markers of locked shards.
	findLapsed = `SELECT m.id, m.grp FROM pushgateway_markers m WHERE lapsed <= (SELECT NOW) AND shard = ANY($1) ORDER BY lapsed LIMIT $2`
	// lockLapsed locks the shards: markers of a claim must stay until it is settled, because a group that adds their series
	// must not be exported at the same time.
	lockLapsed = `SELECT id FROM pushgateway_shard s
		WHERE EXISTS (SELECT FROM (SELECT shard FROM pushgateway_markers WHERE lapsed <= (SELECT NOW) ORDER BY lapsed LIMIT $1) m WHERE m.shard = s.id)
		FOR UPDATE SKIP LOCKED`
	// deleteLapsed removes markers, if they are still lapsed, and their pending series.
	deleteLapsed = `WITH lapsed AS (
			DELETE FROM pushgateway_markers WHERE id = ANY($1) AND lapsed <= (SELECT NOW)
			RETURNING id, grp, shard, hashes, octet_length(content) + 8 * cardinality(hashes) AS size
		), series AS (
			DELETE FROM pushgateway_series s USING (SELECT id, shard, unnest(hashes) AS hash FROM lapsed) l
			WHERE s.hash = l.hash AND s.pending = l.id RETURNING l.id, l.shard
		), counts AS (
			UPDATE pushgateway_counts c SET pending = c.pending - coalesce(p.pending, 0), pending_size = c.pending_size - z.size
			FROM (SELECT shard, sum(size) AS size FROM lapsed GROUP BY shard) z
			LEFT JOIN (SELECT shard, count(*) AS pending FROM series GROUP BY shard) p ON p.shard = z.shard
			WHERE c.slot = z.shard
		)
		SELECT g.path, (SELECT count(*) FROM series s WHERE s.id = l.id) FROM lapsed l JOIN pushgateway_group g ON g.id = l.grp`
)

// dropLapsed drops lapsed markers of shards that are in no claim.
func (s *Store) dropLapsed(ctx context.Context, e *store.Expired) error {
	var lapsed []groupingkey.Key
	var lost int
	err := s.transact(ctx, KindExpire, store.Write, func(conn *pgxpool.Conn) error {
		lapsed, lost = nil, 0
		limited, cancel := s.limited(ctx)
		defer cancel()
		shards, err := s.lockLapsed(limited, conn)
		if err != nil {
			return err
		}
		if len(shards) == 0 {
			return s.rollback(limited, conn)
		}
		markers, groups, err := s.findLapsed(limited, conn, shards)
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		// The order of locks is that of changes: groups, series, counts.
		batch.Queue("SELECT FROM pushgateway_group WHERE id = ANY($1) ORDER BY id FOR UPDATE", groups)
		batch.Queue(s.sql(deleteLapsed), markers).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var path string
				var n int
				if err := rows.Scan(&path, &n); err != nil {
					return err
				}
				if n > 0 {
					lapsed, lost = append(lapsed, keyOf(path)), lost+n
				}
			}
			return rows.Err()
		})
		batch.Queue(dropGone, groups)
		return commit(limited, conn, batch)
	})
	if err == nil {
		e.Lapsed, e.LapsedSeries = append(e.Lapsed, lapsed...), e.LapsedSeries+lost
	}
	return err
}

// lockLapsed begins a transaction and locks shards with lapsed markers.
func (s *Store) lockLapsed(ctx context.Context, conn *pgxpool.Conn) (shards []int32, err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(s.sql(lockLapsed), expiredAtOnce).Query(func(rows pgx.Rows) (err error) {
		shards, err = pgx.CollectRows(rows, pgx.RowTo[int32])
		return err
	})
	err = send(ctx, conn, batch)
	return shards, err
}

// findLapsed returns lapsed markers of the shards, and their groups. It locks neither, so that nothing waits while this process hangs.
func (s *Store) findLapsed(ctx context.Context, conn *pgxpool.Conn, shards []int32) (markers, groups []int64, err error) {
	rows, err := conn.Query(ctx, s.sql(findLapsed), shards, expiredAtOnce)
	if err != nil {
		return nil, nil, err
	}
	var id, group int64
	_, err = pgx.ForEachRow(rows, []any{&id, &group}, func() error {
		markers, groups = append(markers, id), append(groups, group)
		return nil
	})
	return markers, groups, err
}
