// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimesIncreasePerKey(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_000_000)
	now := at
	c := newClock(func() time.Time { return now })
	for _, step := range []struct {
		now  time.Time
		keys []uint64
		want int64
	}{
		{at, []uint64{1}, 1_000_000},
		{at, []uint64{2}, 1_000_000},
		{at, []uint64{1}, 1_000_001},
		{at, []uint64{2}, 1_000_001},
		{at, []uint64{2, 3}, 1_000_002},
		{at, []uint64{4, 1}, 1_000_002},
		{at, []uint64{5, 4}, 1_000_003},
		{at, nil, 1_000_003},
		{at.Add(999 * time.Microsecond), []uint64{5}, 1_000_004},
		{at.Add(-time.Hour), []uint64{6}, 1_000_004},
		{at.Add(-time.Hour), []uint64{6}, 1_000_005},
		{at.Add(time.Second), []uint64{6}, 1_001_000},
	} {
		now = step.now
		got := c.tick(step.keys...)
		assert.Equal(t, step.want, got.UnixMilli())
		assert.Zero(t, got.Nanosecond()%int(time.Millisecond), "whole milliseconds")
	}
}

// TestTimesOfGroupsIncrease, each after all others, since series pass from one group to another.
func TestTimesOfGroupsIncrease(t *testing.T) {
	t.Parallel()
	o := New(Options{Now: func() time.Time { return time.UnixMilli(7) }})
	for want := range int64(10) {
		assert.Equal(t, want+7, o.Tick().UnixMilli())
	}
}

// TestTimesUnderContention has many take times, and holds them to what the clock promises.
func TestTimesUnderContention(t *testing.T) {
	t.Parallel()
	const goroutines, rounds, keys = 16, 300, 5
	var now atomic.Int64
	c := newClock(func() time.Time { return time.UnixMilli(now.Load()) })
	var (
		all   sync.WaitGroup
		locks [keys]sync.Mutex
		last  [keys]time.Time
	)
	for n := range goroutines {
		all.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(n)))
			var before time.Time
			for range rounds {
				key := r.IntN(keys)
				locks[key].Lock()
				at := c.tick(uint64(key))
				assert.Greater(t, at, last[key])
				last[key] = at
				locks[key].Unlock()
				assert.False(t, at.Before(before), "later calls never have earlier times")
				before = at
				now.Add(int64(r.IntN(3) - 1))
			}
		})
	}
	all.Wait()
}

// TestTimesDoNotRunAway takes times for one key faster than the time of day passes.
func TestTimesDoNotRunAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClock(time.Now)
		start := time.Now()
		for range 5000 {
			require.NoError(t, c.await(t.Context(), 1))
			require.LessOrEqual(t, time.Until(c.tick(1)), maxLead+time.Millisecond)
		}
		assert.InDelta(t, 5*time.Second-maxLead, time.Since(start), float64(5*time.Millisecond), "no more waiting than it takes")
		before := time.Now()
		require.NoError(t, c.await(t.Context(), 2))
		assert.Zero(t, time.Since(before), "another key shares the last time")
		assert.LessOrEqual(t, time.Until(c.tick(2)), maxLead+time.Millisecond)
	})
}

func TestWaitForTheTimeOfDayEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClock(time.Now)
		for range 1500 {
			c.tick(1)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, c.await(ctx, 1), context.DeadlineExceeded)
		assert.Equal(t, 900*time.Millisecond, time.Since(start))
		require.ErrorIs(t, c.await(ctx, 2), context.DeadlineExceeded, "also if it need not wait")
		require.NoError(t, c.await(t.Context(), 1))
		assert.Less(t, time.Since(start), 1010*time.Millisecond)
	})
}

// TestTimeOfDaySetBack keeps a key waiting no longer than two milliseconds for each call.
func TestTimeOfDaySetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var step time.Duration
		c := newClock(func() time.Time { return time.Now().Add(step) })
		take := func() (waited, ahead time.Duration) {
			start := time.Now()
			require.NoError(t, c.await(t.Context(), 1))
			return time.Since(start), c.tick(1).Sub(c.now())
		}
		take()
		step = -10 * time.Second
		for range 100 {
			waited, ahead := take()
			assert.Zero(t, waited)
			assert.Greater(t, ahead, 9*time.Second, "later than what was given out before")
			time.Sleep(5 * time.Millisecond)
		}
		for range 1000 {
			waited, _ := take()
			require.LessOrEqual(t, waited, 3*time.Millisecond, "half the pace at worst")
		}
		time.Sleep(20 * time.Second)
		for range 1000 {
			_, ahead := take()
			require.LessOrEqual(t, ahead, maxLead+time.Millisecond)
		}
	})
}

// TestNextClockGivesOutLaterTimes has many times given out within a millisecond, as before a reload of the configuration.
func TestNextClockGivesOutLaterTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		for given := range 20 {
			c := newClock(time.Now)
			for range given {
				next := c.tick(1)
				assert.Greater(t, next, last)
				last = next
			}
			c.waitForClock(t.Context())
			assert.Greater(t, time.Now(), last)
		}
	})
}

// TestCatchUpIsBounded by its context, and waits for nothing that is far ahead, as after the time of day was set back.
func TestCatchUpIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for ahead, want := range map[time.Duration]time.Duration{
			0:                             time.Millisecond,
			maxCatchUp - time.Millisecond: 10 * time.Millisecond,
			time.Hour:                     0,
		} {
			start := time.Now()
			c := newClock(func() time.Time { return time.Now().Add(ahead) })
			c.tick(1)
			c.now = time.Now
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			c.waitForClock(ctx)
			cancel()
			assert.Equal(t, want, time.Since(start))
		}
	})
}
