// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package postgres holds groups in a PostgreSQL database, for any number of replicas. Package store has the contract.
//
// Replicas hold nothing and do not know each other. Row locks are all the coordination:
//
//   - A usual push has the same families as the group: the same series and sizes, other values. It is one statement, which
//     such pushes that wait share. It skips groups that are locked, so it waits for none.
//   - Another change is one transaction that locks the row of its group, in two pipelined round trips: lock and read
//     what the push replaces; write and commit. A change that adds or ends series has one more in between, to read what it
//     needs of them. Nothing that other groups need is locked while the transaction waits for this process. Changes of one
//     group take turns in a replica, so that they wait for the lock with one connection.
//   - A claim is one transaction that locks the rows of some shards, and skips those of others' claims. It stays open
//     until Settle, which writes the outcomes and commits. If the replica dies, the database ends the transaction and
//     others claim the groups. If it hangs, the database ends the session after idleTimeout. A shard rests for claimPause
//     after a claim that left nothing, so that groups that are pushed all the time cost less.
//   - Groups, series and markers of a job are in one shard, so one claim at a time exports a series, and each gets a
//     later time, by the database's clock.
//
// Series and families whose first value a claim exports are marked as exported in a transaction of their own before the
// claim is returned. Otherwise a change during the claim, or after a crash, would end them without a marker.
//
// Deadlocks and serialization failures are retried. So are changes whose connection is lost before the commit, or ended by the database
// with a message, as at a restart: they were not committed. A connection that is lost without a message during a commit leaves open
// whether it took effect. Errors of the database never contain the datasource.
package postgres

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// idleTimeout ends the session of a replica that hangs during a transaction.
	idleTimeout = 15 * time.Second
	// exportTimeout limits the export of a claim. It leaves time to settle before idleTimeout.
	exportTimeout = 10 * time.Second
	// pollInterval is the time after which changes of other replicas are found.
	pollInterval = time.Second
	// claimPause is the least time between claims of a shard that leave nothing. Groups that are pushed more often are exported less often.
	claimPause = time.Second
	// retryPause is the time after which a failed claim or start is retried.
	retryPause = time.Second
	// closeTimeout limits the wait for connections in use. They belong to a claim whose consumer hangs.
	closeTimeout = time.Second
	// defaultShards is the number of shards of a new schema. It is more than enough for a few replicas with some claims each.
	defaultShards = 64
)

// Settings are the settings of the database.
type Settings struct {
	// Datasource is a connection string or URL. It is a secret.
	Datasource string
	// MaxConnections limits the connections. At most half of them are in use by claims.
	MaxConnections int
	// ConnectTimeout limits the wait for a connection.
	ConnectTimeout time.Duration
	// StatementTimeout limits each statement. Waiting for a lock is limited to half of it, and waiting for the turn of a group too.
	StatementTimeout time.Duration
	// Observer receives events for telemetry.
	Observer Observer
	// Clock replaces the clock of the database. With it, changes of other replicas are not polled for. Only tests have one.
	Clock func() time.Time

	shards int           // of a new schema
	clock  string        // SQL expression of the current time in nanoseconds
	poll   time.Duration // 0 means never
	fresh  time.Duration // the age up to which an observation is used again
	idle   time.Duration // after which the database ends a session that hangs in a transaction
	pause  time.Duration // between claims of a shard; none if it is negative
}

// Store holds groups in PostgreSQL.
type Store struct {
	options  store.Options
	settings Settings
	pool     *pgxpool.Pool
	secrets  []*regexp.Regexp // values of the datasource
	changed  chan struct{}
	claims   chan struct{} // holds a token for each unsettled claim
	closed   sync.Once

	lanes     [shareLanes]store.Committer[*sharedPush]
	shards    int // known after Restore
	roundNext atomic.Bool
	lookAgain atomic.Int64 // when Claim looks again, in nanoseconds since the epoch
	observer  observer
	awaySince atomic.Int64 // when the database could not be reached first, in nanoseconds since the epoch, or 0
	// synchronous says that commits wait for a standby.
	synchronous atomic.Bool

	turns   turns         // of changes
	queues  store.Queues  // requests of pushers
	returns store.Returns // pushers that were folded here
}

var _ store.Store = (*Store)(nil)

// New creates a store. It does not connect: Restore does. The error says that the datasource is invalid.
func New(o store.Options, settings Settings) (*Store, error) {
	config, err := pgxpool.ParseConfig(settings.Datasource)
	if err != nil {
		return nil, datasourceError(err)
	}
	if settings.shards == 0 {
		settings.shards, settings.clock, settings.poll, settings.fresh = defaultShards, databaseClock, pollInterval, observeInterval
	}
	if settings.Clock != nil {
		settings.poll, settings.pause = 0, -1 // The clock may stand still.
	}
	if settings.pause == 0 {
		settings.pause = claimPause
	}
	if settings.idle == 0 {
		settings.idle = idleTimeout
	}
	config.MaxConns = int32(settings.MaxConnections)
	config.ConnConfig.ConnectTimeout = settings.ConnectTimeout
	s := &Store{
		options: o, settings: settings, secrets: secretsOf(settings.Datasource, config.ConnConfig),
		changed: make(chan struct{}, 1), claims: make(chan struct{}, max(1, settings.MaxConnections/2)),
	}
	for i := range s.lanes {
		s.lanes[i].Write = s.shareAll
	}
	config.AfterConnect = s.prepareSession
	s.pool, err = pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, errDatasource
	}
	return s, nil
}

// CheckDatasource refuses a datasource that cannot be parsed. The error has no part of it.
func CheckDatasource(datasource string) error {
	if _, err := pgxpool.ParseConfig(datasource); err != nil {
		return datasourceError(err)
	}
	return nil
}

// databaseClock is the database's clock in nanoseconds. It has microseconds.
const databaseClock = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"

// sql replaces NOW in a statement by the clock. A condition has (SELECT NOW), which is read once: the database does not search an index for a
// value that changes during the statement, but would read it as a whole.
func (s *Store) sql(statement string) string {
	clock := s.settings.clock
	if s.settings.Clock != nil {
		clock = strconv.FormatInt(store.Nanoseconds(s.settings.Clock()), 10) + "::bigint"
	}
	return strings.ReplaceAll(statement, "NOW", clock)
}

// prepareSession sets the timeouts of a new connection. Keepalives end the session of a replica whose machine is gone. Statements find rows
// by an index. Without statistics, or with those of a table that has grown since, the planner would rather read tables as a whole. To compile
// statements would cost a hundred times what they do.
func (s *Store) prepareSession(ctx context.Context, conn *pgx.Conn) error {
	var list []string
	for name, value := range map[string]string{
		"statement_timeout":                   milliseconds(s.settings.StatementTimeout),
		"lock_timeout":                        milliseconds(s.settings.StatementTimeout / 2),
		"idle_in_transaction_session_timeout": milliseconds(s.settings.idle),
		"tcp_keepalives_idle":                 "5",
		"tcp_keepalives_interval":             "2",
		"tcp_keepalives_count":                "3",
		"default_transaction_isolation":       "read committed",
		"enable_bitmapscan":                   "off",
		"enable_hashjoin":                     "off",
		"enable_mergejoin":                    "off",
		"enable_seqscan":                      "off",
		"jit":                                 "off",
	} {
		list = append(list, "set_config('"+name+"', '"+value+"', false)")
	}
	_, err := conn.Exec(ctx, "SELECT "+strings.Join(list, ", "))
	return err
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Restore implements store.Store. It waits for the database and makes or migrates the schema.
func (s *Store) Restore(ctx context.Context) error {
	for {
		err := s.start(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		s.options.StorageFailed(store.Read, s.masked(err))
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
}

func (s *Store) start(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err = s.startOn(ctx, conn); err != nil {
		s.hangUp(conn) // The next one may be to another server.
	}
	return err
}

func (s *Store) startOn(ctx context.Context, conn *pgxpool.Conn) error {
	key, err := s.migrate(ctx, conn.Conn())
	if err != nil {
		return err
	}
	if s.options.SeriesKey == nil {
		return errors.New("the store has no key for series")
	}
	s.options.SeriesKey.Set(key)
	ctx, cancel := s.limited(ctx)
	defer cancel()
	err = s.announceRules(ctx, conn)
	if err != nil {
		return err
	}
	var standby string
	err = conn.QueryRow(ctx, "SELECT count(*), current_setting('synchronous_standby_names') FROM pushgateway_shard").Scan(&s.shards, &standby)
	if err == nil {
		s.synchronous.Store(standby != "")
		s.forgetObservation()
		s.settings.Observer.Started(standby != "")
	}
	return err
}

// Changed implements store.Store. It does not receive for changes of other replicas: Claim returns the time of the next
// poll.
func (s *Store) Changed() <-chan struct{} { return s.changed }

func (s *Store) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Close implements store.Store.
func (s *Store) Close(context.Context) error {
	s.closed.Do(func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.pool.Close()
		}()
		select {
		case <-done:
		case <-time.After(closeTimeout):
		}
	})
	return nil
}
