// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// jumpBack sets the database's clock back. The replicas' clocks go on.
func (g *ground) jumpBack(tb testing.TB) {
	tb.Helper()
	g.execute(tb, "UPDATE test_clock SET now = now - $1", time.Hour.Nanoseconds())
}

// TestPauseAfterTheClockJumpedBack is over at once. Times of exports do not go back.
func TestPauseAfterTheClockJumpedBack(t *testing.T) {
	t.Parallel()
	g := borrowGround(t)
	clock, o := g.clock(t), storetest.DefaultOptions()
	o.Now, o.SeriesKey, o.StorageFailed = clock.Now, new(series.Key), func(_ store.Operation, err error) { t.Error(err) }
	s, err := postgres.New(o, settings(g.datasource).ForTest(1, testClock, 0)) // with pauses
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(t.Context()))) })
	require.NoError(t, s.Restore(t.Context()))
	claimed := func() *store.Claim {
		require.NoError(t, put(t, s, o, "job/j"))
		var claim *store.Claim
		require.Eventually(t, func() bool { // A store does not look again right after it found nothing.
			claim, _ = s.Claim(t.Context(), storetest.All)
			return claim != nil
		}, time.Minute, time.Millisecond)
		for _, p := range claim.Parts {
			p.Outcome = storetest.Accepted
		}
		require.NoError(t, s.Settle(t.Context(), claim))
		return claim
	}
	first := claimed()
	g.jumpBack(t)
	second := claimed()
	assert.Equal(t, first.At.Add(time.Millisecond), second.At)
}

// TestRoundsAfterTheClockJumpedBack come after their interval, as before.
func TestRoundsAfterTheClockJumpedBack(t *testing.T) {
	t.Parallel()
	o := storetest.DefaultOptions()
	o.RepublishInterval = 64 * time.Second
	g := borrowGround(t)
	s := openWith(t, settings(g.datasource).ForTest(1, testClock, 0), g.clock(t), o)
	for step, path := range []string{"job/j", "job/k"} {
		require.NoError(t, storetest.Change(t, s, step, "PUT "+path+" a"))
		s.Pass(o.RepublishInterval / 2)
		storetest.ExportValues(t, s)
	}
	require.NoError(t, storetest.Change(t, s, 2, "PUT job/l a"))
	g.jumpBack(t)
	_, oldest := s.Waiting()
	assert.False(t, oldest.After(s.Now()))
	storetest.ExportValues(t, s) // what waited
	_, err := s.Expire(t.Context())
	require.NoError(t, err)
	claim, _ := s.Claim(t.Context(), storetest.All)
	assert.Nil(t, claim, "rounds stay spread over the interval")
	seen := make(map[string]bool)
	for range 64 {
		g.execute(t, "UPDATE test_clock SET now = now + 1000000000")
		if claim, _ := s.Claim(t.Context(), storetest.All); claim != nil {
			for _, p := range claim.Parts {
				seen[p.Key.Job] = true
			}
			storetest.SettleAll(t, s, claim, storetest.Accepted)
		}
	}
	assert.Equal(t, map[string]bool{"j": true, "k": true, "l": true}, seen)
}

// TestMarkersAfterTheClockJumpedBack that the backend had refused are exported soon, without rounds too.
func TestMarkersAfterTheClockJumpedBack(t *testing.T) {
	t.Parallel()
	g := borrowGround(t)
	s := openWith(t, settings(g.datasource).ForTest(1, testClock, 0), g.clock(t), storetest.DefaultOptions())
	require.NoError(t, storetest.Change(t, s, 0, "PUT job/j a"))
	storetest.ExportValues(t, s)
	require.NoError(t, s.Delete(t.Context(), pushtest.Key(t, "job/j")))
	refused := storetest.Refused
	refused.Retry = s.Now().Add(time.Minute)
	require.NoError(t, storetest.Export(t, s, func(*store.Part) store.Outcome { return refused }))
	g.jumpBack(t)
	_, err := s.Expire(t.Context())
	require.NoError(t, err)
	g.execute(t, "UPDATE test_clock SET now = now + $1", store.Lookback.Nanoseconds())
	claim, _ := s.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim)
	storetest.SettleAll(t, s, claim, storetest.Accepted)
	assert.Zero(t, s.Counts())
}

// TestAggregateAfterTheClockJumpedBack does not wait for a pause after an export that seems to be in the future.
func TestAggregateAfterTheClockJumpedBack(t *testing.T) {
	t.Parallel()
	g := borrowGround(t)
	s := openWith(t, settings(g.datasource).ForTest(1, testClock, 0), g.clock(t), storetest.Aggregating())
	require.NoError(t, storetest.Contribute(t, s, "PUT a c 5"))
	storetest.ExportValues(t, s)
	g.jumpBack(t)
	require.NoError(t, s.Contribute(t.Context(), storetest.ContributionOf(t, s, "PUT", "job/X/job_id/b", "# TYPE c counter\nc 1\n")))
	claim, _ := s.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim)
	storetest.SettleAll(t, s, claim, storetest.Accepted)
}
