// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// operations are transactions of each form.
var operations = map[string]func(*testing.T, *replica) error{
	"usual push": func(t *testing.T, s *replica) error { return s.push(t, "job/j", "a 2\n") },
	"push":       func(t *testing.T, s *replica) error { return s.push(t, "job/j", "a 2\nb 2\n") },
	"failure":    func(t *testing.T, s *replica) error { return s.Fail(t.Context(), pushtest.Key(t, "job/j"), time.Now()) },
	"DELETE":     func(t *testing.T, s *replica) error { return s.Delete(t.Context(), pushtest.Key(t, "job/j")) },
}

// TestSessionsEnd while they are idle. What comes next does not fail.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	for name, operate := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			datasource := database(t)
			s := newReplica(t, datasource, "ended", "")
			g := newGate(t, datasource)
			require.NoError(t, s.push(t, "job/j", "a 1\n"))
			endIdle(t, s, g)
			require.NoError(t, operate(t, s))
			endIdle(t, s, g)
			_, err := s.Jobs(t.Context())
			require.NoError(t, err)
			endIdle(t, s, g)
			for _, err := range s.Snapshots(t.Context()) {
				require.NoError(t, err)
			}
			assert.Empty(t, s.failures.List())
		})
	}
}

// endIdle ends all sessions of a replica, which has as many as it may have and uses none.
func endIdle(t *testing.T, s *replica, g *gate) {
	t.Helper()
	fillPool(t, s.Store)
	g.end("application_name = $1", s.name)
}

// fillPool lets a store have as many connections as it may have.
func fillPool(t *testing.T, s *postgres.Store) {
	t.Helper()
	var all []*pgxpool.Conn
	for range s.Pool().Config().MaxConns {
		conn, err := s.Pool().Acquire(t.Context())
		require.NoError(t, err)
		all = append(all, conn)
	}
	for _, conn := range all {
		conn.Release()
	}
}

// TestSessionEndsDuringCommit by a message of the database, which says that nothing was committed. The transaction is tried again.
func TestSessionEndsDuringCommit(t *testing.T) {
	t.Parallel()
	for name, operate := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			datasource := database(t)
			s := newReplica(t, datasource, "ended", "")
			require.NoError(t, s.push(t, "job/j", "a 1\n"))
			g := newGate(t, datasource)
			g.onCommit("group", s.name)
			done := background(func() error { return operate(t, s) })
			g.wait()
			g.end("application_name = $1 AND wait_event = 'advisory'", s.name)
			g.open()
			require.NoError(t, <-done)
			assert.Empty(t, s.failures.List())
			assert.Equal(t, 1, s.outcomes.retried())
			counts, err := s.Recount()
			require.NoError(t, err)
			assert.Equal(t, counts, s.Counts())
		})
	}
}

// TestUncertainCommit cuts the connection during a commit, without a message of the database. The client is not told that nothing was
// changed, and nothing is tried again. A repeated request counts once.
func TestUncertainCommit(t *testing.T) {
	t.Parallel()
	for name, operate := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			datasource := database(t)
			proxy := pgtest.NewProxy(t, datasource)
			s := newReplica(t, proxy.Datasource, "cut", "")
			require.NoError(t, s.push(t, "job/j", "a 1\n"))
			g := newGate(t, datasource)
			g.onCommit("group", s.name)
			done := background(func() error { return operate(t, s) })
			g.wait()
			proxy.Use(pgtest.Rules{Admit: func() bool { return false }}) // pgx would cancel the commit
			proxy.Cut()
			var failed *store.StorageError
			err := <-done
			require.ErrorAs(t, err, &failed)
			assert.True(t, failed.Uncertain)
			require.ErrorContains(t, err, "it is unknown whether")
			assert.Zero(t, s.outcomes.retried())

			g.open()
			g.waitForNone("application_name = $1", s.name)
			proxy.Use(pgtest.Rules{})
			other := newReplica(t, datasource, "other", "")
			changed, err := other.Recount()
			require.NoError(t, err)
			require.NoError(t, operate(t, s))
			counts, err := s.Recount()
			require.NoError(t, err)
			assert.Equal(t, changed, counts, "it was committed, and is repeated")
			assert.Equal(t, counts, s.Counts())
		})
	}
}

// TestConnectionEndsAfterCommit was answered. The change is made, once.
func TestConnectionEndsAfterCommit(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, database(t))
	var ended atomic.Int64
	proxy.Use(pgtest.Rules{Commit: func() pgtest.Fate {
		if ended.Add(1) == 1 {
			return pgtest.Answered
		}
		return pgtest.Passed
	}})
	var failures storetest.Failures
	s, o := production(t, settings(proxy.Datasource), &failures)
	require.NoError(t, s.Restore(t.Context()))
	require.NoError(t, put(t, s, o, "job/j"))
	assert.EqualValues(t, 1, ended.Load())
	assert.Empty(t, failures.List())
}

// TestLostConnections has a database that ends each transaction. It is not tried again for ever.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	require.NoError(t, s.push(t, "job/j", "a 1\n"))
	g := newGate(t, datasource)
	g.execute(`CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$`)
	g.execute(`CREATE CONSTRAINT TRIGGER break AFTER UPDATE ON pushgateway_group DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION break()`)
	var failed *store.StorageError
	require.ErrorAs(t, s.push(t, "job/j", "a 2\n"), &failed)
	assert.False(t, failed.Uncertain)
	g.execute("DROP TRIGGER break ON pushgateway_group")
	require.NoError(t, s.push(t, "job/j", "a 2\n"))
}

// TestUncommitted are errors which prove that a transaction was not committed.
func TestUncommitted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"the session was ended":       {&pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01", Routine: "ProcessInterrupts"}, true},
		"a pooler ends the session":   {&pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01"}, false},
		"a pooler lost the server":    {&pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "08P01"}, false},
		"the connection ended":        {io.ErrUnexpectedEOF, false},
		"pgx had closed it":           {fmt.Errorf("wrapped: %w", pgconn.ErrConnClosed), false},
		"nothing was written":         {unsent{true}, true},
		"a part of it was written":    {unsent{false}, false},
		"the database did not answer": {context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, postgres.Uncommitted(tc.err))
			assert.Equal(t, tc.want, postgres.Uncommitted(errors.Join(errors.New("other"), tc.err)))
		})
	}
}

// unsent is an error as pgx returns it of a write.
type unsent struct{ nothing bool }

func (unsent) Error() string       { return "write failed" }
func (u unsent) SafeToRetry() bool { return u.nothing }
