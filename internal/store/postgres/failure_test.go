// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// production opens a store as a receiver does, with the database's clock. It does not restore it.
func production(tb testing.TB, s postgres.Settings, failures *storetest.Failures) (*postgres.Store, store.Options) {
	tb.Helper()
	o := storetest.DefaultOptions()
	o.Now, o.SeriesKey, o.StorageFailed = time.Now, new(series.Key), failures.Report
	opened, err := postgres.New(o, s.WithoutPause())
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, opened.Close(context.WithoutCancel(tb.Context()))) })
	return opened, o
}

// put pushes one metric.
func put(t *testing.T, s *postgres.Store, o store.Options, path string) error {
	t.Helper()
	push := storetest.FamiliesOf(t, &storetest.Store{Options: o}, pushtest.Text(t, path, "a 1\n"))
	return s.Push(t.Context(), pushtest.Key(t, path), push, true, time.Now())
}

// TestDatabaseRestarts has a server of its own. While that is away, changes fail and nothing is claimed; then all goes on.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	_ = database(t)
	own, err := pgtest.Start()
	require.NoError(t, err)
	t.Cleanup(own.Stop)
	datasource := own.Database(t)
	own.Terminate()

	var failures storetest.Failures
	s, o := production(t, settings(datasource), &failures)
	restored := make(chan error, 1)
	go func() { restored <- s.Restore(t.Context()) }()
	require.Eventually(t, func() bool { return failures.Count() > 0 }, time.Minute, time.Millisecond)
	assert.Empty(t, restored, "it waits for the database")
	require.NoError(t, own.Launch())
	require.NoError(t, <-restored)
	require.NoError(t, put(t, s, o, "job/j"))
	claim, _ := s.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim)

	own.Terminate()
	var failed *store.StorageError
	require.ErrorAs(t, put(t, s, o, "job/j"), &failed)
	require.ErrorAs(t, s.Delete(t.Context(), pushtest.Key(t, "job/j")), &failed)
	require.ErrorAs(t, s.Wipe(t.Context()), &failed)
	_, err = s.Expire(t.Context())
	require.ErrorAs(t, err, &failed)
	for _, err := range s.Snapshots(t.Context()) {
		require.ErrorAs(t, err, &failed)
	}
	require.ErrorAs(t, s.Settle(t.Context(), claim), &failed)
	claim, due := s.Claim(t.Context(), storetest.All)
	assert.Nil(t, claim)
	assert.False(t, due.IsZero(), "it is tried again")
	s.Counts()
	s.Waiting()

	require.NoError(t, own.Launch())
	require.NoError(t, put(t, s, o, "job/k"))
	claim, _ = s.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim, "what could not be settled is exported again")
	assert.Len(t, claim.Parts, 4)
	for _, p := range claim.Parts {
		p.Outcome = storetest.Accepted
	}
	require.NoError(t, s.Settle(t.Context(), claim))
	s.ForgetObservation()
	assert.Equal(t, 2, s.Counts().Groups)
	groups, _ := s.Waiting()
	assert.Zero(t, groups)

	fillPool(t, s)
	unused, err := s.Pool().Acquire(t.Context())
	require.NoError(t, err)
	require.NoError(t, own.Shutdown())
	require.ErrorAs(t, put(t, s, o, "job/j"), &failed)
	assert.False(t, failed.Uncertain, "nothing was changed")
	unused.Release()
	require.NoError(t, own.Launch())
	before := failures.Count()
	for range 2 {
		require.NoError(t, put(t, s, o, "job/j"), "with connections of the time before the restart")
	}
	assert.Equal(t, before, failures.Count())
	for _, text := range failures.List() {
		requireNoSecret(t, datasource, text)
	}
}

// TestBusyGroup ends the wait for a change that takes long, by the database's timeout or with the request.
func TestBusyGroup(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	var failures storetest.Failures
	first, _ := production(t, settings(datasource), &failures)
	require.NoError(t, first.Restore(t.Context())) // Schemas of other tests delay that.
	config := settings(datasource)
	config.StatementTimeout = 200 * time.Millisecond
	s, o := production(t, config, &failures)
	require.NoError(t, s.Restore(t.Context()))
	require.NoError(t, put(t, s, o, "job/j"))
	conn, err := pgx.Connect(t.Context(), datasource)
	require.NoError(t, err)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM pushgateway_group FOR UPDATE")
	require.NoError(t, err)
	require.ErrorIs(t, put(t, s, o, "job/j"), store.ErrBusy)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Delete(ended, pushtest.Key(t, "job/j")), store.ErrBusy)
	require.NoError(t, put(t, s, o, "job/k"), "another group does not wait")
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, put(t, s, o, "job/j"))
	require.NoError(t, conn.Close(t.Context()))
	assert.Empty(t, failures.List(), "nothing has failed")
}

// TestBusyPool lets changes wait for a connection, and no longer than the timeout.
func TestBusyPool(t *testing.T) {
	t.Parallel()
	config := settings(database(t))
	config.MaxConnections, config.ConnectTimeout = 2, 5*time.Second
	var failures storetest.Failures
	s, o := production(t, config, &failures)
	require.NoError(t, s.Restore(t.Context()))
	before := failures.Count()
	require.NoError(t, put(t, s, o, "job/j"))
	claim, _ := s.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim)
	second, _ := s.Claim(t.Context(), storetest.All)
	assert.Nil(t, second, "one connection is left for changes")
	taken, err := s.Pool().Acquire(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, put(t, s, o, "job/j"), store.ErrBusy)
	taken.Release()
	require.NoError(t, put(t, s, o, "job/j"))
	require.NoError(t, s.Settle(t.Context(), claim))
	assert.Equal(t, before, failures.Count())
}

// TestHungReplica loses its claim when the database ends its session. The other replica exports later, and what the first one
// settles has no effect.
func TestHungReplica(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	var failures storetest.Failures
	hung, o := production(t, settings(datasource), &failures)
	require.NoError(t, hung.Restore(t.Context()))
	other, _ := production(t, settings(datasource), &failures)
	require.NoError(t, other.Restore(t.Context()))
	require.NoError(t, put(t, hung, o, "job/j"))
	first, _ := hung.Claim(t.Context(), storetest.All)
	require.NotNil(t, first)
	none, _ := other.Claim(t.Context(), storetest.All)
	require.Nil(t, none, "one claim at a time has a shard")
	require.NoError(t, put(t, other, o, "job/j"), "changes do not wait")

	// As idle_in_transaction_session_timeout does.
	_, err := other.Pool().Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = current_setting('application_name') AND state = 'idle in transaction'`)
	require.NoError(t, err)
	var second *store.Claim
	require.Eventually(t, func() bool {
		second, _ = other.Claim(t.Context(), storetest.All)
		return second != nil
	}, time.Minute, time.Millisecond)
	assert.Greater(t, second.At, first.At)
	for _, c := range []*store.Claim{first, second} {
		for _, p := range c.Parts {
			p.Outcome = storetest.Accepted
		}
	}
	require.NoError(t, other.Settle(t.Context(), second))
	var failed *store.StorageError
	require.ErrorAs(t, hung.Settle(t.Context(), first), &failed)
	groups, _ := hung.Waiting()
	assert.Zero(t, groups)
	_, err = hung.Recount()
	require.NoError(t, err)
}

// TestStartTogether makes the schema once, with one key.
func TestStartTogether(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	var failures storetest.Failures
	var all sync.WaitGroup
	stores := make([]*postgres.Store, 5)
	options := make([]store.Options, len(stores))
	for i := range stores {
		stores[i], options[i] = production(t, settings(datasource), &failures)
		all.Go(func() { assert.NoError(t, stores[i].Restore(t.Context())) })
	}
	all.Wait()
	assert.Empty(t, failures.List())
	for i, s := range stores {
		require.NoError(t, put(t, s, options[i], "job/j"), "the series are those that the others pushed")
	}
	counts, err := stores[0].Recount()
	require.NoError(t, err)
	assert.Equal(t, 1, counts.Series)
	assert.Zero(t, counts.Pending)
}

// TestSchemaOfAnotherRelease is used while it is compatible.
func TestSchemaOfAnotherRelease(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	var failures storetest.Failures
	s, _ := production(t, settings(datasource), &failures)
	require.NoError(t, s.Restore(t.Context()))
	_, err := s.Pool().Exec(t.Context(), "UPDATE pushgateway_meta SET version = $1", postgres.SchemaVersion+1)
	require.NoError(t, err)
	old, _ := production(t, settings(datasource), &failures)
	require.NoError(t, old.Restore(t.Context()))
	assert.Empty(t, failures.List())

	_, err = s.Pool().Exec(t.Context(), "UPDATE pushgateway_meta SET compatible = $1", postgres.SchemaVersion+1)
	require.NoError(t, err)
	older, _ := production(t, settings(datasource), &failures)
	ctx, cancel := context.WithCancel(t.Context())
	restored := make(chan error, 1)
	go func() { restored <- older.Restore(ctx) }()
	require.Eventually(t, func() bool { return failures.Count() > 0 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-restored, context.Canceled)
	assert.Contains(t, failures.List()[0], "newer release")
}

// TestDatabaseRefuses what a replica asks for. Each push fails as one to be tried again.
func TestDatabaseRefuses(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	ready := newReplica(t, datasource, "", "")
	g := newGate(t, datasource)
	var schema string
	require.NoError(t, g.conn.QueryRow(t.Context(), "SELECT current_schema()").Scan(&schema))
	for _, role := range []string{"reader CONNECTION LIMIT 10", "limited CONNECTION LIMIT 0"} {
		g.execute("CREATE ROLE " + schema + "_" + role + " LOGIN PASSWORD '" + pgtest.Password + "'")
	}
	g.execute("GRANT USAGE ON SCHEMA " + schema + " TO " + schema + "_reader")
	g.execute("GRANT SELECT ON ALL TABLES IN SCHEMA " + schema + " TO " + schema + "_reader")
	as := func(role string) string { return strings.Replace(datasource, pgtest.User, schema+"_"+role, 1) }
	for name, tc := range map[string]struct{ datasource, want string }{
		"a standby":            {datasource + "&options=-cdefault_transaction_read_only%3Don", "(SQLSTATE 25006)"},
		"no permission":        {as("reader"), "(SQLSTATE 42501)"},
		"too many connections": {as("limited"), "(SQLSTATE 53300)"},
		"it is starting":       {strings.Replace(datasource, server.Endpoint(), startingServer(t), 1), "(SQLSTATE 57P03)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var failures storetest.Failures
			s, o := production(t, settings(tc.datasource), &failures)
			o.SeriesKey.Set(make([]byte, series.KeySize))
			s.RestoredWith(ready.Store)
			for _, err := range []error{put(t, s, o, "job/j"), s.Delete(t.Context(), pushtest.Key(t, "job/j")), s.Wipe(t.Context())} {
				if failed, ok := errors.AsType[*store.StorageError](err); ok { // A DELETE or a wipe of nothing can succeed.
					assert.False(t, failed.Uncertain)
					assert.ErrorContains(t, err, tc.want)
					requireNoSecret(t, tc.datasource, err.Error())
				}
			}
			require.Error(t, put(t, s, o, "job/j"))
			claim, due := s.Claim(t.Context(), storetest.All)
			assert.Nil(t, claim)
			assert.False(t, due.IsZero())
			if name == "a standby" {
				assert.Eventually(t, func() bool { return s.Pool().Stat().TotalConns() == 0 }, time.Minute, time.Millisecond, "the next connection may be to the primary")
			}
		})
	}
}

// startingServer answers as a PostgreSQL that starts or stops. It returns its address.
func startingServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			backend := pgproto3.NewBackend(client, client)
			if _, err := backend.ReceiveStartupMessage(); err == nil {
				backend.Send(&pgproto3.ErrorResponse{
					Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P03", Message: "the database system is starting up",
				})
				_ = backend.Flush()
			}
			_ = client.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

// TestFullDisk of the database, during a change and at its commit. Nothing is changed, and nothing has to be restarted.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for when, trigger := range map[string]string{
		"change": "CREATE TRIGGER full_disk BEFORE UPDATE ON pushgateway_group",
		"commit": "CREATE CONSTRAINT TRIGGER full_disk AFTER UPDATE ON pushgateway_group DEFERRABLE INITIALLY DEFERRED",
	} {
		for name, operate := range operations {
			t.Run(when+" of a "+name, func(t *testing.T) {
				t.Parallel()
				datasource := database(t)
				s := newReplica(t, datasource, "", "")
				require.NoError(t, s.push(t, "job/j", "a 1\n"))
				before, err := s.Recount()
				require.NoError(t, err)
				g := newGate(t, datasource)
				g.execute(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`)
				g.execute(trigger + " FOR EACH ROW EXECUTE FUNCTION full_disk()")
				var failed *store.StorageError
				err = operate(t, s)
				require.ErrorAs(t, err, &failed)
				assert.False(t, failed.Uncertain)
				require.ErrorContains(t, err, "(SQLSTATE 53100)")
				after, err := s.Recount()
				require.NoError(t, err)
				assert.Equal(t, before, after)
				g.execute("DROP TRIGGER full_disk ON pushgateway_group")
				require.NoError(t, operate(t, s))
			})
		}
	}
}

// requireNoSecret wants a text to have nothing of a datasource.
func requireNoSecret(t *testing.T, datasource, text string) {
	t.Helper()
	config, err := pgx.ParseConfig(datasource)
	require.NoError(t, err)
	for _, secret := range []string{datasource, config.Password, config.User, config.Host, strconv.Itoa(int(config.Port))} {
		assert.NotContains(t, text, secret)
	}
}

// TestErrorsHideTheDatasource whatever goes wrong with it.
func TestErrorsHideTheDatasource(t *testing.T) {
	t.Parallel()
	good := database(t)
	config, err := pgx.ParseConfig(good)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", config.Port)
	for name, tc := range map[string]struct{ datasource, want string }{
		"wrong password": {"postgres://" + pgtest.User + ":wrong_secret@" + address + "/postgres?sslmode=disable", "SQLSTATE 28P01"},
		"no such user":   {"postgres://nobody_secret:x_secret@" + address + "/postgres?sslmode=disable", "SQLSTATE 28P01"},
		"no database":    {"postgres://" + pgtest.User + ":" + pgtest.Password + "@" + address + "/missing_secret?sslmode=disable", "SQLSTATE 3D000"},
		"no server":      {"postgres://some_user:some_secret@127.0.0.1:1/some_database?sslmode=disable", "cannot reach the database: connection refused"},
		"no host":        {"postgres://some_user:some_secret@host.invalid/some_database?sslmode=disable", "cannot reach the database: its host name is not found"},
		"no TLS":         {"postgres://" + pgtest.User + ":" + pgtest.Password + "@" + address + "/postgres?sslmode=require", "it does not offer TLS, which sslmode of the datasource demands"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var failures storetest.Failures
			s, _ := production(t, settings(tc.datasource), &failures)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			restored := make(chan error, 1)
			go func() { restored <- s.Restore(ctx) }()
			require.Eventually(t, func() bool { return failures.Count() > 0 }, time.Minute, time.Millisecond)
			cancel()
			<-restored
			for _, text := range failures.List() {
				assert.Contains(t, text, tc.want)
				requireNoSecret(t, tc.datasource, text)
			}
			err := s.Delete(t.Context(), groupingkey.Key{Job: "j"})
			requireNoSecret(t, tc.datasource, err.Error())
			requireNoSecret(t, tc.datasource, fmt.Sprint(errors.Unwrap(err)))
		})
	}
	for _, bad := range []string{"postgres://user:secret@host:port/", "postgres://user:secret@host/?sslmode=maybe", "secret"} {
		err := postgres.CheckDatasource(bad)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
		_, err = postgres.New(storetest.DefaultOptions(), settings(bad))
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// TestErrorsName what is not a secret: a user's name is often the beginning of the tables' names. Passwords are hidden everywhere.
func TestErrorsName(t *testing.T) {
	t.Parallel()
	var failures storetest.Failures
	s, _ := production(t, settings("postgres://pushgateway:some%2Fsecret@/some.host/x?host=/var/run/x,host.invalid"), &failures)
	for message, want := range map[string]string{
		`relation "pushgateway_group" does not exist`:                     `relation "pushgateway_group" does not exist`,
		`permission denied for user pushgateway`:                          `permission denied for user ***`,
		`"pushgateway" has no database "some.host/x"`:                     `"***" has no database "***"`,
		`some/secretive at host.invalid:5432 or /var/run/x/.s.PGSQL.5432`: `***ive at ***:5432 or ***/.s.PGSQL.5432`,
	} {
		assert.EqualError(t, s.Masked(&pgconn.PgError{Message: message, Code: "42P01"}), "the database refused: "+want+" (SQLSTATE 42P01)")
	}
	assert.EqualError(t, s.Masked(fmt.Errorf("host.invalid: %w", &tls.CertificateVerificationError{Err: errors.New("for host.invalid")})),
		"cannot reach the database: its certificate is not trusted: see sslmode and sslrootcert of the datasource")
	assert.EqualError(t, postgres.CheckDatasource("postgres://user:secret@host/?sslmode=verify-ca&sslrootcert=/missing/secret"),
		"a file that the datasource names cannot be read: no such file or directory")
}

// reached notes the times for which the database was away.
type reached struct {
	noObserver

	after chan time.Duration
}

func (r reached) Reached(after time.Duration) { r.after <- after }

// TestDatabaseIsReachedAgain once for each time that it was away for more than a second.
func TestDatabaseIsReachedAgain(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, database(t))
	var gone atomic.Bool
	proxy.Use(pgtest.Rules{Admit: func() bool { return !gone.Load() }})
	var failures storetest.Failures
	config := settings(proxy.Datasource)
	observer := reached{after: make(chan time.Duration, 10)}
	config.Observer = observer
	s, o := production(t, config, &failures)
	require.NoError(t, s.Restore(t.Context()))
	require.NoError(t, put(t, s, o, "job/j"))
	assert.Empty(t, observer.after, "it was never away")

	gone.Store(true)
	proxy.Cut()
	require.Eventually(t, func() bool { return put(t, s, o, "job/j") != nil && s.AwayFor() > time.Second }, time.Minute, time.Millisecond)
	assert.Empty(t, observer.after)
	gone.Store(false)
	require.Eventually(t, func() bool { return put(t, s, o, "job/j") == nil }, time.Minute, time.Millisecond)
	assert.Greater(t, <-observer.after, time.Second)
	require.NoError(t, put(t, s, o, "job/j"))
	assert.Empty(t, observer.after, "it says so once")
}

// TestChangesOfALockedGroup wait with one connection, so that changes of other groups have the others.
func TestChangesOfALockedGroup(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	var failures storetest.Failures
	config := settings(datasource)
	config.StatementTimeout = time.Hour
	s, o := production(t, config, &failures)
	require.NoError(t, s.Restore(t.Context()))
	require.NoError(t, put(t, s, o, "job/locked"))
	other, err := pgx.Connect(t.Context(), datasource)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close(context.WithoutCancel(t.Context()))) }()
	_, err = other.Exec(t.Context(), "BEGIN; SELECT FROM pushgateway_group FOR UPDATE")
	require.NoError(t, err)

	var pushes sync.WaitGroup
	for range 20 {
		pushes.Go(func() { assert.NoError(t, put(t, s, o, "job/locked")) })
	}
	require.Eventually(t, func() bool { return s.Changing(pushtest.Key(t, "job/locked")) == 20 }, time.Minute, time.Millisecond)
	require.NoError(t, put(t, s, o, "job/other"))
	assert.LessOrEqual(t, s.Pool().Stat().AcquiredConns(), int32(1))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Delete(canceled, pushtest.Key(t, "job/locked")), store.ErrBusy)
	_, err = other.Exec(t.Context(), "COMMIT")
	require.NoError(t, err)
	pushes.Wait()
	assert.Zero(t, s.Changing(pushtest.Key(t, "job/locked")))
	assert.Empty(t, failures.List())
}

// TestLongNames pushes the longest name that an index holds, and a longer one, neither of which can be compressed.
func TestLongNames(t *testing.T) {
	t.Parallel()
	var failures storetest.Failures
	s, o := production(t, settings(database(t)), &failures)
	require.NoError(t, s.Restore(t.Context()))
	r := rand.New(rand.NewPCG(1, 2))
	name := make([]byte, 2049)
	for i := range name {
		name[i] = byte('a' + r.IntN(26))
	}
	push := func(name []byte) error {
		families := storetest.FamiliesOf(t, &storetest.Store{Options: o}, pushtest.Text(t, "job/j", string(name)+" 1\n"))
		return s.Push(t.Context(), pushtest.Key(t, "job/j"), families, true, time.Now())
	}
	require.NoError(t, push(name[:2048]))
	err := push(name)
	require.ErrorAs(t, err, new(*store.ConflictError))
	assert.ErrorContains(t, err, "has 2049 bytes; groups::postgres holds names of 2048 bytes at most")
	assert.Zero(t, failures.Count())
}
