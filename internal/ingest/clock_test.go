// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// turns is how many keys have a turn now.
func (c *clock) turns() (n int) {
	for i := range c.stripes {
		c.stripes[i].mu.Lock()
		n += len(c.stripes[i].turns)
		c.stripes[i].mu.Unlock()
	}
	return n
}

// take takes a turn that must be had.
func take(t *testing.T, c *clock, key groupingkey.Key) *turn {
	t.Helper()
	turn, err := c.turn(t.Context(), key)
	require.NoError(t, err)
	return turn
}

func TestTimesIncreasePerGroup(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_000_000)
	now := at
	c := newClock(func() time.Time { return now })

	for _, step := range []struct {
		now  time.Time
		want int64
	}{
		{at, 1_000_000},
		{at, 1_000_001},
		{at.Add(999 * time.Microsecond), 1_000_002},
		{at.Add(-time.Hour), 1_000_003},
		{at.Add(time.Second), 1_001_000},
	} {
		now = step.now
		turn := take(t, c, groupingkey.Key{Job: "j"})
		got := turn.next(time.Time{})
		assert.Equal(t, step.want, got.UnixMilli())
		assert.Zero(t, got.Nanosecond()%int(time.Millisecond), "whole milliseconds")
		turn.release()
	}
	assert.Zero(t, c.turns())
}

func TestTimesIncreaseWithinATurn(t *testing.T) {
	t.Parallel()
	c := newClock(func() time.Time { return time.UnixMilli(7) })
	turn := take(t, c, groupingkey.Key{Job: "j"})
	defer turn.release()
	for want := range int64(10) {
		assert.Equal(t, want+7, turn.next(time.Time{}).UnixMilli())
	}
}

func TestTimesExceedTheGivenOne(t *testing.T) {
	t.Parallel()
	c := newClock(func() time.Time { return time.UnixMilli(7) })
	turn := take(t, c, groupingkey.Key{Job: "j"})
	defer turn.release()
	assert.EqualValues(t, 101, turn.next(time.UnixMilli(100)).UnixMilli())
	assert.EqualValues(t, 102, turn.next(time.UnixMilli(50)).UnixMilli())
	other := take(t, c, groupingkey.Key{Job: "k"})
	defer other.release()
	assert.EqualValues(t, 7, other.next(time.Time{}).UnixMilli(), "other keys are left alone")
}

// TestTimesDoNotRunAway pushes to one key, and then to another one of its stripe, as fast as nobody can.
func TestTimesDoNotRunAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClock(time.Now)
		start := time.Now()
		key := groupingkey.Key{Job: "j"}
		for _, key := range []groupingkey.Key{key, neighbor(key)} {
			for range 2500 {
				turn := take(t, c, key)
				ahead := time.Until(turn.next(time.Time{}))
				turn.release()
				require.LessOrEqual(t, ahead, maxLead+time.Millisecond)
			}
		}
		assert.InDelta(t, 5*time.Second-maxLead, time.Since(start), float64(5*time.Millisecond), "no more waiting than it takes")
		before := time.Now()
		take(t, c, groupingkey.Key{Job: "k"}).release()
		assert.Zero(t, time.Since(before), "other stripes do not wait")
	})
}

// TestWaitForTheTimeOfDayEndsWithTheRequest and leaves the turn to the next one.
func TestWaitForTheTimeOfDayEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClock(time.Now)
		key := groupingkey.Key{Job: "j"}
		first := take(t, c, key)
		first.next(time.Now().Add(maxLead + time.Second))
		first.release()

		_, free := c.turnIfFree(key)
		assert.False(t, free, "republishing passes it over")
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		_, err := c.turn(ctx, key)
		var refusal *Refusal
		require.ErrorAs(t, err, &refusal)
		assert.Equal(t, ReasonOverload, refusal.Reason)
		assert.Positive(t, refusal.RetryAfter)
		assert.Zero(t, c.turns())

		start := time.Now()
		take(t, c, key).release()
		assert.Less(t, time.Since(start), 200*time.Millisecond, "what was left of it")
		turn, free := c.turnIfFree(key)
		require.True(t, free)
		turn.release()
	})
}

// TestTimeOfDaySetBack keeps nobody waiting who pushes now and then, and others until the time of day has made up for the step.
func TestTimeOfDaySetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var step time.Duration
		c := newClock(func() time.Time { return time.Now().Add(step) })
		key := groupingkey.Key{Job: "j"}
		push := func() (waited, ahead time.Duration) {
			start := time.Now()
			turn := take(t, c, key)
			defer turn.release()
			return time.Since(start), turn.next(time.Time{}).Sub(c.now())
		}
		push()
		step = -10 * time.Second
		for range 100 {
			waited, ahead := push()
			assert.Zero(t, waited)
			assert.Greater(t, ahead, 9*time.Second, "later than what was given out before")
			time.Sleep(5 * time.Millisecond)
		}
		for range 1000 {
			waited, _ := push()
			require.LessOrEqual(t, waited, 3*time.Millisecond, "half the pace at worst")
		}
		time.Sleep(20 * time.Second)
		for range 1000 {
			_, ahead := push()
			require.LessOrEqual(t, ahead, maxLead+time.Millisecond)
		}
	})
}

// TestNextClockGivesOutLaterTimes has many times given out within a millisecond, as before a reload of the configuration.
func TestNextClockGivesOutLaterTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key := groupingkey.Key{Job: "j"}
		var last time.Time
		for given := range 20 {
			c := newClock(time.Now)
			turn := take(t, c, key)
			for range given {
				next := turn.next(time.Time{})
				assert.Greater(t, next, last)
				last = next
			}
			turn.release()
			c.catchUp(t.Context())
			assert.Greater(t, time.Now(), last)
		}
	})
}

// TestCatchUpIsBounded has times far ahead, as after the time of day was set back, and a shutdown that must end.
func TestCatchUpIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for ahead, want := range map[time.Duration]time.Duration{
			maxCatchUp - time.Millisecond: 10 * time.Millisecond,
			time.Hour:                     0,
		} {
			c := newClock(time.Now)
			turn := take(t, c, groupingkey.Key{Job: "j"})
			turn.next(time.Now().Add(ahead - time.Millisecond))
			turn.release()
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			c.catchUp(ctx)
			cancel()
			assert.Equal(t, want, time.Since(start))
		}
	})
}

func TestWaitEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now)
	key := groupingkey.Key{Job: "j"}
	first := take(t, c, key)

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := c.turn(ctx, key)
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, ReasonOverload, refusal.Reason)
	assert.Positive(t, refusal.RetryAfter)

	first.release()
	assert.Zero(t, c.turns())
	take(t, c, key).release()
	assert.Zero(t, c.turns(), "free again after release")
}

// TestNoTurnAfterTheRequest has a request that is over come to a group that is free: what its client sent since must win.
func TestNoTurnAfterTheRequest(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.turn(ctx, groupingkey.Key{Job: "j"})
	require.Error(t, err)
	assert.Zero(t, c.turns())
}

func TestTurnIfFree(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now)
	key := groupingkey.Key{Job: "j"}
	turn, free := c.turnIfFree(key)
	require.True(t, free)
	_, free = c.turnIfFree(key)
	assert.False(t, free)
	other, free := c.turnIfFree(groupingkey.Key{Job: "k"})
	assert.True(t, free)
	other.release()
	turn.release()
	assert.Zero(t, c.turns(), "who found it taken does not wait")
	turn, free = c.turnIfFree(key)
	require.True(t, free)
	turn.release()
}

// TestTurnsInOrderOfArrival has some of those that wait give up, before and in the middle of the others.
func TestTurnsInOrderOfArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClock(time.Now)
		key := groupingkey.Key{Job: "j"}
		first := take(t, c, key)
		const waiting = 30
		order := make(chan int, waiting)
		for i := range waiting {
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				ctx, cancel = context.WithTimeout(ctx, time.Second)
			}
			go func() {
				defer cancel()
				if turn, err := c.turn(ctx, key); err == nil {
					order <- i
					turn.release()
				}
			}()
			synctest.Wait() // It waits now.
		}
		time.Sleep(2 * time.Second)
		first.release()
		for want := range waiting {
			if want%3 != 0 {
				assert.Equal(t, want, <-order)
			}
		}
		synctest.Wait()
		assert.Zero(t, c.turns())
	})
}

// TestTurnAhead is had before those that wait already, unless it is given up.
func TestTurnAhead(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"waits": time.Minute, "gives up": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, key := newClock(time.Now), groupingkey.Key{Job: "j"}
				first := take(t, c, key)
				order := make(chan string, 3)
				wait := func(name string, turn func() (*turn, bool)) {
					go func() {
						if turn, ok := turn(); ok {
							order <- name
							turn.release()
						} else {
							order <- "none"
						}
					}()
					synctest.Wait() // It waits now.
				}
				inLine := func() (*turn, bool) {
					turn, err := c.turn(t.Context(), key)
					return turn, err == nil
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				wait("second", inLine)
				wait("ahead", func() (*turn, bool) { return c.turnAhead(ctx, key) })
				wait("third", inLine)
				time.Sleep(2 * time.Second)
				first.release()
				want := []string{"ahead", "second", "third"}
				if patience < 2*time.Second {
					want[0] = "none"
				}
				for _, w := range want {
					assert.Equal(t, w, <-order)
				}
				synctest.Wait()
				assert.Zero(t, c.turns())

				turn, ok := c.turnAhead(t.Context(), key)
				require.True(t, ok, "nobody waits")
				turn.release()
			})
		})
	}
}

// TestTurnPassedInVain has the only one that waits give up when the turn may have been passed to it already.
func TestTurnPassedInVain(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now)
	key := groupingkey.Key{Job: "j"}
	for range 2000 {
		first := take(t, c, key)
		ctx, cancel := context.WithCancel(t.Context())
		var waiters sync.WaitGroup
		for range 3 {
			waiters.Go(func() {
				if turn, err := c.turn(ctx, key); err == nil {
					turn.release()
				}
			})
		}
		go cancel()
		first.release()
		waiters.Wait()
		require.Zero(t, c.turns())
	}
}

// TestKeysOfOneStripeDoNotWaitForEachOther shares the time alone.
func TestKeysOfOneStripeDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	c := newClock(func() time.Time { return time.UnixMilli(7) })
	key := groupingkey.Key{Job: "j"}
	a, b := take(t, c, key), take(t, c, neighbor(key))
	defer a.release()
	defer b.release()
	assert.Less(t, a.next(time.Time{}), b.next(time.Time{}))
	assert.Less(t, b.next(time.Time{}), a.next(time.Time{}))
}

// neighbor is another key of the same stripe.
func neighbor(key groupingkey.Key) groupingkey.Key {
	other := key
	for i := 0; other.Hash() == key.Hash() || other.Hash()%stripes != key.Hash()%stripes; i++ {
		other = groupingkey.Key{Job: strconv.Itoa(i)}
	}
	return other
}

// TestTurnsUnderContention has many take turns of few keys, half of them impatient and one of each key ahead of the others, and
// holds each key to one turn at a time and to times that increase.
func TestTurnsUnderContention(t *testing.T) {
	t.Parallel()
	const goroutines, rounds, keys = 32, 300, 3
	c := newClock(time.Now)
	var (
		all    sync.WaitGroup
		taken  [keys]atomic.Int32
		last   [keys]time.Time // guarded by the turn
		passed atomic.Int32
	)
	for n := range goroutines {
		all.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(n)))
			for range rounds {
				k, contend := r.IntN(keys), contend
				if n < keys {
					k, contend = n, goAhead
				}
				turn, ok := contend(t, c, r, groupingkey.Key{Job: strconv.Itoa(k)})
				if !ok {
					continue
				}
				assert.EqualValues(t, 1, taken[k].Add(1))
				at := turn.next(time.Time{})
				assert.Greater(t, at, last[k])
				last[k] = at
				taken[k].Add(-1)
				turn.release()
				passed.Add(1)
			}
		})
	}
	all.Wait()
	assert.Zero(t, c.turns())
	assert.Positive(t, passed.Load())
}

// goAhead tries to take a turn ahead of others.
func goAhead(t *testing.T, c *clock, r *rand.Rand, key groupingkey.Key) (*turn, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(50))*time.Microsecond)
	defer cancel()
	return c.turnAhead(ctx, key)
}

// contend tries to take a turn in one way or another.
func contend(t *testing.T, c *clock, r *rand.Rand, key groupingkey.Key) (*turn, bool) {
	switch r.IntN(3) {
	case 0:
		return c.turnIfFree(key)
	case 1:
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(50))*time.Microsecond)
		defer cancel()
		turn, err := c.turn(ctx, key)
		return turn, err == nil
	default:
		turn, err := c.turn(t.Context(), key)
		return turn, err == nil
	}
}
