// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// runningClock is a test's time and the time that has passed since the database was made.
const runningClock = "(SELECT now + ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint - started) * 1000 FROM test_clock)"

// TestReplicas has two replicas on one database change, export and expire the groups that share series, and count the pushes of
// aggregates, also those that are repeated at the other replica. Then it compares what a backend shows with what is held, and that
// with what was answered. Some of the runs lose connections at any moment, and replicas hang in claims until the database ends their sessions.
func TestReplicas(t *testing.T) {
	t.Parallel()
	for seed, lossy := range []bool{false, true, true} {
		t.Run(fmt.Sprintf("seed %d, lossy %t", seed, lossy), func(t *testing.T) {
			t.Parallel()
			replicas(t, uint64(seed), lossy)
		})
	}
}

func replicas(t *testing.T, seed uint64, lossy bool) {
	t.Helper()
	ground := newGround(t)
	t.Cleanup(func() { assert.NoError(t, ground.conn.Close(context.WithoutCancel(t.Context()))) })
	datasource, clock := ground.datasource, ground.clock(t)
	set := settings(datasource).ForTest(4, runningClock, 0)
	b, o := storetest.NewBackend(), storetest.ModelOptions()
	judge := openWith(t, set, clock, o) // It loses nothing.
	if lossy {
		o.StorageFailed = func(store.Operation, error) {}
		set = settings(datasource+"&application_name="+lossyName(t, datasource)).ForTest(4, runningClock, 0).WithIdleTimeout(hangsFor)
		loseConnections(t, b, datasource)
	}
	stores := []*storetest.Store{openWith(t, set, clock, o), openWith(t, set, clock, o)}
	var pushers storetest.Pushers
	for round := range 3 {
		b.Wipes = round == 2
		var all sync.WaitGroup
		all.Go(func() { pushers.Push(t, b, seed, round, stores...) })
		all.Go(func() { storetest.Concurrently(t, b, seed, round, stores...) })
		all.Wait()
		require.NoError(t, b.Broken)
		_, err := judge.Expire(t.Context()) // the pushers of the round before
		require.NoError(t, err)
		requireExported(t, judge, b)
		if !b.Wipes {
			pushers.RequireCounted(t, judge, b)
		}
		clock.Pass(storetest.ForgetPushersAfter)
		requireExported(t, judge, b) // a round of all values, so that no marker lapses because its series was last exported before
	}
	require.NoError(t, judge.Wipe(t.Context()))
	requireExported(t, judge, b)
	assert.Zero(t, judge.Counts())
}

// requireExported exports all that is due. The backend then shows what is held.
func requireExported(t *testing.T, judge *storetest.Store, b *storetest.Backend) {
	t.Helper()
	storetest.RequireSound(t, judge)
	storetest.Drain(t, judge, b)
	require.NoError(t, b.Broken)
	storetest.RequireShown(t, judge, b)
}

// hangsFor is the time after which the database ends the session of a replica that hangs. A slow machine ends others too, which does no
// harm.
const hangsFor = 250 * time.Millisecond

func lossyName(t *testing.T, datasource string) string {
	t.Helper()
	config, err := pgx.ParseConfig(datasource)
	require.NoError(t, err)
	return config.RuntimeParams["application_name"] + "_lossy"
}

// loseConnections lets the backend end sessions of the replicas, and wait in a claim until its session has ended.
func loseConnections(t *testing.T, b *storetest.Backend, datasource string) {
	t.Helper()
	name := lossyName(t, datasource)
	conn, err := pgx.Connect(t.Context(), datasource)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	var mu sync.Mutex
	b.Lossy = true
	b.Kill = func() {
		mu.Lock()
		defer mu.Unlock()
		_, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1
			AND state <> 'idle' ORDER BY random() LIMIT 1`, name)
		assert.NoError(t, err)
	}
	b.Hang = func(claim *store.Claim) {
		assert.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			var holds bool
			err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND application_name = $2)",
				postgres.SessionOf(claim), name).Scan(&holds)
			return assert.NoError(t, err) && !holds
		}, time.Minute, 10*time.Millisecond)
	}
}
