// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// TestMarksOfALostClaim do not make the markers of values lapse that a later claim exported before it was lost too.
func TestMarksOfALostClaim(t *testing.T) {
	t.Parallel()
	ground := newGround(t)
	t.Cleanup(func() { assert.NoError(t, ground.conn.Close(context.WithoutCancel(t.Context()))) })
	o := storetest.DefaultOptions()
	o.StorageFailed = func(store.Operation, error) {}
	s := openWith(t, settings(ground.datasource).ForTest(1, testClock, 0), ground.clock(t), o)
	g := newGate(t, ground.datasource)
	require.NoError(t, storetest.Change(t, s, 0, "PUT job/j a"))
	for range 2 { // The first one is lost before it exports.
		s.Pass(2 * store.Lookback)
		claim, _ := s.Claim(t.Context(), storetest.All)
		require.NotNil(t, claim)
		g.end("pid = $1", int64(postgres.SessionOf(claim)))
		require.Error(t, s.Settle(t.Context(), claim))
	}
	require.NoError(t, s.Delete(t.Context(), pushtest.Key(t, "job/j")))
	e, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Zero(t, e.LapsedSeries)
	claim, _ := s.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim)
	storetest.SettleAll(t, s, claim, storetest.Accepted)
	assert.Zero(t, s.Counts())
}

// TestClaimLosesItsMarks to another one that has the shards, exports and is lost before the first one has locked them again. The first one
// must not take back what the other one exported.
func TestClaimLosesItsMarks(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	proxy := pgtest.NewProxy(t, datasource)
	holding, release := make(chan struct{}), make(chan struct{})
	first := newReplica(t, proxy.Datasource, "first", postgres.DatabaseClock)
	first.Pool().Reset()
	var commits atomic.Int64
	proxy.Use(pgtest.Rules{
		Commit: func() pgtest.Fate {
			if commits.Add(1) == 1 {
				return pgtest.Held
			}
			return pgtest.Passed
		},
		Hold: func() {
			close(holding)
			<-release
		},
	})
	second := newReplica(t, datasource, "second", postgres.DatabaseClock)
	require.NoError(t, second.push(t, "job/j", "a 1\n"))
	claimed := background(func() *store.Claim {
		claim, _ := first.Claim(t.Context(), storetest.All)
		return claim
	})
	<-holding
	var claim *store.Claim
	require.Eventually(t, func() bool { // after the COMMIT has ended the locks
		claim, _ = second.Claim(t.Context(), storetest.All)
		return claim != nil
	}, time.Minute, time.Millisecond)
	kill(t, newGate(t, datasource), second.name)
	close(release)
	if late := <-claimed; late != nil { // It has exported nothing.
		require.NoError(t, first.settle(t, late, store.Outcome{}))
	}
	require.Error(t, second.settle(t, claim, storetest.Accepted))
	require.NoError(t, second.Delete(t.Context(), pushtest.Key(t, "job/j")))
	assert.NotZero(t, storetest.PendingOf(&storetest.Store{Held: second.Held}, "job/j").DataPointCount())
}
