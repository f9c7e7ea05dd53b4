// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

func TestClockIncreasesPerGroup(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_000_000)
	wall := []time.Time{at, at, at.Add(999 * time.Microsecond), at.Add(-time.Hour), at.Add(time.Second)}
	c := newClock(func() time.Time { now := wall[0]; wall = wall[1:]; return now })

	for _, want := range []int64{1_000_000, 1_000_001, 1_000_002, 1_000_003, 1_001_000} {
		got, release, err := c.hold(t.Context(), groupingkey.Key{Job: "j"})
		require.NoError(t, err)
		assert.Equal(t, want, got.UnixMilli())
		assert.Zero(t, got.Nanosecond()%int(time.Millisecond), "whole milliseconds")
		release()
	}
}

func TestClockWaitEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now)
	key := groupingkey.Key{Job: "j"}
	_, release, err := c.hold(t.Context(), key)
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, _, err = c.hold(ctx, key)
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, ReasonOverload, refusal.Reason)
	assert.Positive(t, refusal.RetryAfter)

	release()
	_, release, err = c.hold(t.Context(), key)
	require.NoError(t, err, "free again after release")
	release()
}

func TestClockHoldsInOrderOfArrival(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now)
	key := groupingkey.Key{Job: "j"}
	_, release, err := c.hold(t.Context(), key)
	require.NoError(t, err)

	const waiting = 20
	order := make(chan int, waiting)
	for i := range waiting {
		started := make(chan struct{})
		go func() {
			close(started)
			if _, done, err := c.hold(t.Context(), key); err == nil {
				order <- i
				done()
			}
		}()
		<-started
		time.Sleep(2 * time.Millisecond) // lets it queue up before the next one
	}
	release()
	for want := range waiting {
		assert.Equal(t, want, <-order)
	}
}
