// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// requireText wants a refusal for now that says what happened and what to do, without anything of the datasource.
func (r *remembering) requireText(err error, reason Reason, text string) {
	r.Helper()
	r.requireRefused(err, reason)
	require.ErrorContains(r, err, text)
	r.requireNoSecret(err.Error())
}

func (r *remembering) requireNoSecret(text string) {
	r.Helper()
	for _, secret := range []string{pgtest.User, pgtest.Password, "127.0.0.1", "pgtest_schema", "postgres://"} {
		require.NotContains(r, text, secret)
	}
}

// TestDatabaseIsAway at start, and later. Requests are refused for now, and what waited goes out when the database is back.
func TestDatabaseIsAway(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, pgtest.Database(t))
	var gone atomic.Bool
	gone.Store(true)
	proxy.Use(pgtest.Rules{Admit: func() bool { return !gone.Load() }})
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		r := newRememberingIn(t, zap.New(core, zap.AddStacktrace(zapcore.ErrorLevel)), inDatabase(store.Options{}), func(in *Ingest, o store.Options) (store.Store, error) {
			return openDatabase(in, o, proxy.Datasource)
		})
		key := pushtest.Key(t, "job/j")
		began := time.Now()
		const starting = "the database of groups has not answered since the start; "
		r.requireText(r.put(t.Context(), "j", "a 1\n"), ReasonStarting, starting+"nothing was changed; try again in some seconds")
		assert.Equal(t, defaultRetryAfter, time.Since(began))
		_, _, err := r.Group(t.Context(), key)
		r.requireText(err, ReasonStarting, starting+"try again in some seconds")
		assert.False(t, r.Ready())
		state, restored := r.State()
		assert.False(t, restored)
		require.Error(t, state.Database.Err, "it says why")
		r.requireNoSecret(state.Database.Err.Error())
		gone.Store(false)
		time.Sleep(2 * time.Second)
		assert.True(t, r.Ready())
		require.NoError(t, r.put(t.Context(), "j", "a 1\n"))

		gone.Store(true)
		proxy.Cut()
		const unstored = "the push could not be stored, so nothing was changed; try again later: "
		for range 2 { // The first requests may find connections that were cut: then a push may have been stored.
			err := r.put(t.Context(), "j", "b 1\n")
			r.requireText(err, ReasonStorage, "")
			assert.Regexp(t, "^("+unstored+"|it is unknown whether the change is stored; repeat the request: )", err.Error())
			r.requireText(r.Delete(t.Context(), key), ReasonStorage, unstored)
			var unread error
			for _, err := range r.Groups(t.Context()) {
				unread = err
			}
			r.requireText(unread, ReasonStorage, "the groups could not be read; try again later: ")
		}
		time.Sleep(time.Minute)
		gone.Store(false)
		require.NoError(t, r.put(t.Context(), "k", "b 1\n"))
		assert.Equal(t, []string{"j", "k"}, r.held())
		assert.Equal(t, "a", r.group("j").Families[0].Name)
		time.Sleep(2 * time.Minute)
		assert.NotEmpty(t, r.values("k"))
		require.NoError(t, r.Shutdown(t.Context()))

		failed := logs.FilterMessage("The database of groups failed")
		assert.NotZero(t, failed.Len())
		for _, line := range failed.All() {
			assert.Empty(t, line.Stack)
		}
		assert.NotZero(t, logs.FilterMessage("The database of groups is reached again").Len())
		for _, line := range logs.All() {
			r.requireNoSecret(fmt.Sprint(line.Message, line.ContextMap()))
		}
	})
}

// TestAnswerOfTheDatabaseIsLost after a commit, or the commit itself. The client repeats its push.
func TestAnswerOfTheDatabaseIsLost(t *testing.T) {
	t.Parallel()
	for name, fate := range map[string]pgtest.Fate{"the commit": pgtest.Lost, "the answer": pgtest.Unanswered} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := pgtest.NewProxy(t, pgtest.Database(t))
			var next atomic.Int64
			proxy.Use(pgtest.Rules{Commit: func() pgtest.Fate { return pgtest.Fate(next.Swap(int64(pgtest.Passed))) }})
			synctest.Test(t, func(t *testing.T) {
				r := newRememberingOn(t, proxy.Datasource, zap.NewNop(), store.Options{})
				r.refuse(away)
				next.Store(int64(fate))
				r.requireText(r.put(t.Context(), "j", "a 1\n"), ReasonStorage, "it is unknown whether the change is stored; repeat the request: ")
				synctest.Wait()
				assert.Equal(t, fate == pgtest.Unanswered, len(r.held()) > 0)
				require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
				assert.Equal(t, []string{"j"}, r.held())
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}

// TestBusyDatabase has another session lock a group. A request for it that ends meanwhile is refused for now, and those for other groups
// do not wait.
func TestBusyDatabase(t *testing.T) {
	t.Parallel()
	datasource := pgtest.Database(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRememberingOn(t, datasource, zap.NewNop(), store.Options{})
		require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
		synctest.Wait()
		conn, err := pgx.Connect(t.Context(), datasource)
		require.NoError(t, err)
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SELECT FROM pushgateway_group FOR UPDATE")
		require.NoError(t, err)

		ctx, cancel := context.WithCancel(t.Context())
		refused := make(chan error, 1)
		go func() { refused <- r.put(ctx, "j", "b 1\n") }()
		for waiting := 0; waiting == 0; {
			require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))").Scan(&waiting))
		}
		cancel()
		r.requireText(<-refused, ReasonOverload, "the store of groups is busy with earlier requests, so nothing was changed; try again later")
		require.NoError(t, r.put(t.Context(), "k", "b 1\n"))
		require.NoError(t, tx.Rollback(t.Context()))
		require.NoError(t, r.put(t.Context(), "j", "b 1\n"))
		require.NoError(t, conn.Close(t.Context()))
		require.NoError(t, r.Shutdown(t.Context()))
	})
}
