// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// foldAtOnce is the number of pushers that an expiry folds in one transaction.
const foldAtOnce = 256

// changeAggregate changes an aggregate, if it is still there.
func (s *Store) changeAggregate(ctx context.Context, key groupingkey.Key, do func(context.Context, *pgxpool.Conn, *change) error) error {
	r := &request{key: key, pushers: [][]byte{}}
	var made *change
	r.decide = func(ctx context.Context, conn *pgxpool.Conn, g *group) (*change, error) {
		made = nil
		if g.without == nil {
			return nil, nil
		}
		k, err := s.contribute(g)
		if err != nil {
			return nil, err
		}
		c := g.change(r)
		c.agg = k
		err = do(ctx, conn, c)
		if err != nil {
			return nil, err
		}
		var failed error
		changed, err := c.finish(s.others(ctx, conn, c, &failed))
		if err = errors.Join(err, failed); err != nil || !changed && k.silent == g.silent {
			return nil, err
		}
		made = c
		return c, nil
	}
	err := s.apply(ctx, r)
	if err == nil && made != nil {
		made.agg.notes.Tell(s.options.Observer, made.key, &s.returns)
	}
	return err
}

// foldQuietest folds the pusher that has been quiet longest. The error is a *LimitError if it has not been quiet for long, or one of
// EndPusher's.
func (s *Store) foldQuietest(ctx context.Context) error {
	var aggregate, quietest string
	err := s.transact(ctx, KindRead, store.Read, func(conn *pgxpool.Conn) error {
		aggregate = ""
		limited, cancel := s.limited(ctx)
		defer cancel()
		err := conn.QueryRow(limited, `SELECT g.path, p.path FROM pushgateway_group g, LATERAL (
				SELECT path, pushed FROM pushgateway_pusher WHERE grp = g.id ORDER BY pushed LIMIT 1
			) p WHERE g.without IS NOT NULL AND p.pushed <= $1 ORDER BY p.pushed LIMIT 1`, s.quietSince()).Scan(&aggregate, &quietest)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case aggregate == "":
		return s.options.TooManyPushers()
	}
	return s.changeAggregate(ctx, keyOf(aggregate), func(ctx context.Context, conn *pgxpool.Conn, c *change) error {
		return s.fold(ctx, conn, c, store.FoldedByLimit, "hash = $2 AND pushed <= $3", hashOf(quietest), s.quietSince())
	})
}

// fold folds the pushers of the aggregate that a condition selects. $1 is the group.
func (*Store) fold(ctx context.Context, conn *pgxpool.Conn, c *change, cause store.FoldCause, condition string, arguments ...any) error {
	rows, err := conn.Query(ctx, "SELECT path, pushed, ttl, content FROM pushgateway_pusher WHERE grp = $1 AND "+condition, append([]any{c.id}, arguments...)...)
	if err != nil {
		return err
	}
	all, err := scanPushers(rows)
	if err != nil {
		return err
	}
	for _, p := range all {
		c.known[p.path] = p
		if err := c.agg.fold(c.group, p.path, cause); err != nil {
			return err
		}
	}
	return nil
}

// agingAggregates lists the aggregates with pushers that have been quiet for long, or with series that no push has had for the time to
// live.
const agingAggregates = `SELECT path FROM pushgateway_group g WHERE without IS NOT NULL AND (
	EXISTS (SELECT FROM pushgateway_pusher WHERE grp = g.id AND pushed <= $1 AND pushed + ttl <= $2) OR $3 AND silent <= $4) ORDER BY hash`

func (s *Store) agingArguments(now time.Time) []any {
	return []any{store.Nanoseconds(now.Add(-s.options.Rules.ShortestTTL())), store.Nanoseconds(now), s.options.TTL > 0, store.Nanoseconds(now.Add(-s.options.TTL))}
}

// expireAggregates folds pushers that have been quiet for long, and ends series that no push has had for the time to live. Each replica
// does, by its clock.
func (s *Store) expireAggregates(ctx context.Context) error {
	now := s.options.Now()
	var keys []groupingkey.Key
	err := s.transact(ctx, KindExpire, store.Read, func(conn *pgxpool.Conn) (err error) {
		keys, err = s.list(ctx, conn, agingAggregates, s.agingArguments(now)...)
		return err
	})
	for i := 0; err == nil && i < len(keys); i++ {
		err = s.expireAggregate(ctx, keys[i], now)
	}
	return err
}

func (s *Store) expireAggregate(ctx context.Context, key groupingkey.Key, now time.Time) error {
	for folded := foldAtOnce; folded == foldAtOnce; {
		err := s.changeAggregate(ctx, key, func(ctx context.Context, conn *pgxpool.Conn, c *change) error {
			err := s.fold(ctx, conn, c, store.FoldedByTTL, "pushed <= $2 AND pushed + ttl <= $3 ORDER BY pushed LIMIT $4",
				store.Nanoseconds(now.Add(-s.options.Rules.ShortestTTL())), store.Nanoseconds(now), foldAtOnce)
			folded = len(c.agg.changed)
			s.endSilent(c, now)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// endSilent ends the series that no push has had for the time to live.
func (s *Store) endSilent(c *change, now time.Time) {
	ttl := s.options.TTL
	if ttl == 0 || c.silent > store.Nanoseconds(now.Add(-ttl)) {
		return
	}
	oldest := c.agg.draft.Expire(now.Add(-ttl))
	if oldest.IsZero() {
		oldest = now
	}
	c.agg.silent = store.Nanoseconds(oldest)
}

// rulesHash identifies the rules of this replica.
func (s *Store) rulesHash() []byte {
	sum := sha256.New()
	for i := range s.options.Rules {
		r := &s.options.Rules[i]
		fmt.Fprintf(sum, "%q %v %q\n", r.Without, r.Jobs, r.Name)
		for _, m := range r.Metrics {
			fmt.Fprintf(sum, "%v %v\n", m.Names, m.Function)
		}
	}
	return sum.Sum(nil)
}

// announceRules puts the rules of this replica in force.
func (s *Store) announceRules(ctx context.Context, conn *pgxpool.Conn) error {
	_, err := conn.Exec(ctx, "UPDATE pushgateway_meta SET rules = $1 WHERE rules IS DISTINCT FROM $1", s.rulesHash())
	return err
}

// rulesInForce reports whether no replica with other rules was started later.
func (s *Store) rulesInForce(ctx context.Context, conn *pgxpool.Conn) (inForce bool, err error) {
	err = conn.QueryRow(ctx, "SELECT rules IS NOT DISTINCT FROM $1 FROM pushgateway_meta", s.rulesHash()).Scan(&inForce)
	return inForce, err
}

// endUnruled ends the aggregates that no rule makes any more. During a change of the rules, replicas with the old ones still contribute,
// so it waits until none has for MinQuiet.
func (s *Store) endUnruled(ctx context.Context) error {
	var unruled []groupingkey.Key
	err := s.transact(ctx, KindExpire, store.Read, func(conn *pgxpool.Conn) error {
		unruled = nil
		limited, cancel := s.limited(ctx)
		defer cancel()
		inForce, err := s.rulesInForce(limited, conn)
		if err != nil || !inForce {
			return err
		}
		rows, err := conn.Query(limited, "SELECT path, without FROM pushgateway_group WHERE without IS NOT NULL AND contributed <= $1", s.quietSince())
		if err != nil {
			return err
		}
		var path string
		var without []string
		_, err = pgx.ForEachRow(rows, []any{&path, &without}, func() error {
			if key := keyOf(path); !s.ruled(key, without) {
				unruled = append(unruled, key)
			}
			return nil
		})
		return err
	})
	for i := 0; err == nil && i < len(unruled); i++ {
		key, ended := unruled[i], false
		err = s.end(ctx, key, func(g *group) (plain, aggregate bool) {
			ended = g.without != nil && g.contributed <= s.quietSince() && !s.ruled(key, g.without)
			return false, ended
		})
		if o := s.options.Observer; err == nil && ended && o != nil {
			o.AggregateEnded(key, "", "no rule of groups::aggregate takes the job with these labels under without any more")
		}
	}
	return err
}

// ruled reports whether a rule of this replica makes the aggregate.
func (s *Store) ruled(key groupingkey.Key, without []string) bool {
	return slices.ContainsFunc(s.options.Rules, func(r store.Rule) bool {
		return (r.Jobs == nil || r.Jobs.MatchString(key.Job)) && slices.Equal(r.Without, without)
	})
}
