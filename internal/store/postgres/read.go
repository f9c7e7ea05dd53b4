// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// readTimeout limits each statement that reads all groups. The first one sorts them.
	readTimeout = time.Minute
	// readMemory is the memory of the database in which it sorts, before it uses files. A few requests read all groups at once.
	readMemory = "64MB"
	// rowsAtOnce is the number of rows that are fetched at once.
	rowsAtOnce = 200
)

// wholeTables lets the rest of a transaction, or of a batch, read tables as a whole: see prepareSession.
const wholeTables = `SELECT set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)`

const (
	readShown = `SELECT 0, g.path, g.pushed, g.failed, g.rule, g.without, g.pushers, l.path, l.pushed, f.name, f.type, f.pushed, f.content
		FROM pushgateway_group g LEFT JOIN pushgateway_family f ON f.grp = g.id
		LEFT JOIN LATERAL (SELECT path, pushed FROM pushgateway_pusher WHERE g.without IS NOT NULL AND grp = g.id ORDER BY pushed DESC LIMIT 1) l ON true
		WHERE g.alive`
	// familyName is the name of a family. The name of a chunk's row has it before the byte that is no UTF-8.
	familyName = `CASE WHEN position('\xff'::bytea IN f.name) > 0 THEN substring(f.name FOR position('\xff'::bytea IN f.name) - 1) ELSE f.name END`
	readNames  = "SELECT DISTINCT " + familyName + ", f.type FROM pushgateway_family f"
	// readFragments also has a row without a family for each group in the set $3, if that is not negative.
	readFragments = `SELECT w.set, g.path COLLATE "C", g.pushed, g.failed, NULL::text, NULL::text[], 0::bigint, NULL::text, NULL::bigint,
			f.name, f.type, f.pushed, f.content
		FROM pushgateway_family f JOIN pushgateway_group g ON g.id = f.grp
		JOIN unnest($1::bytea[], $2::int[]) w (name, set) ON w.name = ` + familyName + `
		WHERE g.alive
		UNION ALL SELECT $3::int, g.path COLLATE "C", g.pushed, g.failed, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL
		FROM pushgateway_group g WHERE g.alive AND $3 >= 0
		ORDER BY 1, 2, 10`
)

// Snapshots implements store.Store.
func (s *Store) Snapshots(ctx context.Context) iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) {
		more := true
		err := s.atOneMoment(ctx, func(conn *pgxpool.Conn) error {
			return stream(ctx, conn, "pushgateway_groups", readShown+` ORDER BY g.path COLLATE "C", f.name`, nil, func(f store.Fragment) bool {
				more = yield(f.Snapshot, nil)
				return more
			})
		})
		if err != nil && more {
			yield(store.Snapshot{}, err)
		}
	}
}

// Families implements store.Store. The database sorts the families of all groups.
func (s *Store) Families(ctx context.Context, plan func(types map[string][]string) [][]string) iter.Seq2[store.Fragment, error] {
	return func(yield func(store.Fragment, error) bool) {
		more := true
		err := s.atOneMoment(ctx, func(conn *pgxpool.Conn) error {
			types, err := typesOf(ctx, conn)
			if err != nil {
				return err
			}
			return stream(ctx, conn, "pushgateway_families", readFragments, setsOf(plan(types)), func(f store.Fragment) bool {
				more = yield(f, nil)
				return more
			})
		})
		if err != nil && more {
			yield(store.Fragment{}, err)
		}
	}
}

// atOneMoment runs a transaction that only reads, and sees all groups at one moment. It is not tried again once it has begun, since it may
// have passed on some of them. The error is a *StorageError or ErrBusy.
func (s *Store) atOneMoment(ctx context.Context, read func(*pgxpool.Conn) error) error {
	return s.transact(ctx, KindRead, store.Read, func(conn *pgxpool.Conn) error {
		batch := &pgx.Batch{}
		batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
		batch.Queue("SELECT set_config('statement_timeout', $1, true), set_config('work_mem', '"+readMemory+"', true)",
			strconv.FormatInt(max(readTimeout, s.settings.StatementTimeout).Milliseconds(), 10))
		batch.Queue(wholeTables)
		if err := send(ctx, conn, batch); err != nil {
			return err
		}
		if err := read(conn); err != nil {
			return &begunError{err}
		}
		if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
			return &begunError{err}
		}
		return nil
	})
}

// typesOf reads the types of all families by name.
func typesOf(ctx context.Context, conn *pgxpool.Conn) (map[string][]string, error) {
	rows, err := conn.Query(ctx, readNames)
	if err != nil {
		return nil, err
	}
	types := make(map[string][]string)
	var name []byte
	var typ string
	_, err = pgx.ForEachRow(rows, []any{&name, &typ}, func() error {
		types[string(name)] = append(types[string(name)], typ)
		return nil
	})
	return types, err
}

// setsOf returns the arguments of readFragments.
func setsOf(sets [][]string) []any {
	names, numbers, every := [][]byte{}, []int{}, -1
	for i, set := range sets {
		for _, name := range set {
			if name == store.EveryGroup {
				every = i
				continue
			}
			names, numbers = append(names, []byte(name)), append(numbers, i)
		}
	}
	return []any{names, numbers, every}
}

// stream yields what a query reads, until yield returns false. Only a few rows are in memory, and a slow reader does not use up the time
// of a statement.
func stream(ctx context.Context, conn *pgxpool.Conn, cursor, query string, arguments []any, yield func(store.Fragment) bool) error {
	if _, err := conn.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR "+query, arguments...); err != nil {
		return err
	}
	a := assembler{yield: yield}
	for read := int64(rowsAtOnce); read == rowsAtOnce && !a.stopped; {
		rows, err := conn.Query(ctx, "FETCH "+strconv.Itoa(rowsAtOnce)+" FROM "+cursor)
		if err != nil {
			return err
		}
		if err := a.addAll(rows); err != nil {
			return err
		}
		read = rows.CommandTag().RowsAffected()
	}
	a.flush()
	return nil
}

// observation is what telemetry and the page read last. It stays while the database is away.
type observation struct {
	counts  store.Counts
	waiting int
	oldest  time.Time
	tried   time.Time // zero before the first try
	err     error     // of the last try, without secrets
}

// observer reads what telemetry and the page show, at most once in Settings.fresh.
type observer struct {
	mu   sync.Mutex
	last observation // guarded by mu
}

const (
	// observeTimeout limits what telemetry and the page wait for a database that hangs, once in observeInterval.
	observeTimeout = time.Second
	// observeInterval is the age up to which an observation is used again. Each reads the rows of all groups.
	observeInterval = time.Second
)

// queueCounts reads the counts of all shards.
func queueCounts(batch *pgx.Batch, to *store.Counts) {
	batch.Queue(`SELECT sum(groups)::bigint, sum(series)::bigint, sum(pending)::bigint, sum(size)::bigint, sum(pending_size)::bigint, sum(pushers)::bigint
		FROM pushgateway_counts`).QueryRow(func(row pgx.Row) error {
		return row.Scan(&to.Groups, &to.Series, &to.Pending, &to.Size, &to.PendingSize, &to.Pushers)
	})
}

// Counts implements store.Store. The size can be some seconds old. While the database cannot be reached, it is the last known one.
func (s *Store) Counts() store.Counts { return s.observe().counts }

// Waiting implements store.Store. The changes can be some seconds old. While the database cannot be reached, they are the last known
// ones.
func (s *Store) Waiting() (groups int, oldest time.Time) {
	o := s.observe()
	return o.waiting, o.oldest
}

// Database implements store.Replicated.
func (s *Store) Database() store.Database {
	o, pool := s.observe(), s.pool.Stat()
	return store.Database{
		Err: o.err, Synchronous: s.synchronous.Load(), Connections: int(pool.AcquiredConns()), MaxConnections: int(pool.MaxConns()),
	}
}

// observe reads the size of the store and what waits, if the last observation is too old. Other callers wait for it.
func (s *Store) observe() observation {
	s.observer.mu.Lock()
	defer s.observer.mu.Unlock()
	last := &s.observer.last
	if !last.tried.IsZero() && time.Since(last.tried) < s.settings.fresh {
		return *last
	}
	now, err := s.readObservation()
	if err == nil {
		*last = now
	} else {
		last.err = s.masked(err)
	}
	last.tried = time.Now()
	return *last
}

func (s *Store) readObservation() (o observation, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), observeTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return o, err
	}
	defer conn.Release()
	var since *int64
	var now int64
	batch := &pgx.Batch{}
	queueCounts(batch, &o.counts)
	batch.Queue(s.sql("SELECT count(*), min(since), NOW FROM pushgateway_group WHERE since IS NOT NULL AND NOT suspect")).QueryRow(func(row pgx.Row) error {
		return row.Scan(&o.waiting, &since, &now)
	})
	if err := send(ctx, conn, batch); err != nil {
		return o, err
	}
	if since != nil {
		o.oldest = s.options.Now().Add(time.Duration(min(*since-now, 0))) // by the replica's clock; not later than now if the database's has jumped back
	}
	return o, nil
}

// forgetObservation lets the next observation read.
func (s *Store) forgetObservation() {
	s.observer.mu.Lock()
	defer s.observer.mu.Unlock()
	s.observer.last.tried = time.Time{}
}
