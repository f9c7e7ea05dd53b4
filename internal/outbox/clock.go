// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"sync"
	"time"
)

// maxLead is how far times may be ahead of the time of day. Each call with the same key is a millisecond later than the one
// before, so a key with more than a thousand calls a second gains on the time of day. A backend refuses samples that are minutes ahead.
const maxLead = time.Second / 2

// maxCatchUp is how long a shutdown waits at most for the time of day to pass the times that were given out. If they are further ahead,
// the time of day was set back.
const maxCatchUp = 2 * maxLead

// allGroups is the key of every claim of groups: series pass from one group to another.
const allGroups = 0

// clock gives out the times of calls. A remote-write backend rejects a whole request for one sample that is out of order or that repeats a
// millisecond with another value.
type clock struct {
	now func() time.Time

	mu   sync.Mutex
	last int64               // milliseconds since the epoch
	said map[uint64]struct{} // the keys that have had that time

	today time.Time // see reference
	read  time.Time // when today was found
}

func newClock(now func() time.Time) *clock {
	return &clock{now: now, said: make(map[uint64]struct{}), today: now().Round(0), read: time.Now()}
}

// await waits until tick gives out a time for the keys that is not too far ahead, or until the context ends.
func (c *clock) await(ctx context.Context, keys ...uint64) error {
	for {
		excess := c.excess(keys)
		if excess <= 0 {
			return ctx.Err()
		}
		select {
		case <-time.After(max(excess, time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// excess is how much further ahead than maxLead the next time for the keys is.
func (c *clock) excess(keys []uint64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.repeats(keys) {
		return 0
	}
	return time.UnixMilli(c.last).Sub(c.reference()) - maxLead
}

// repeats tells whether one of the keys has had the last time. The lock is held.
func (c *clock) repeats(keys []uint64) bool {
	for _, key := range keys {
		if _, said := c.said[key]; said {
			return true
		}
	}
	return false
}

// tick gives out a time that is not earlier than any before, and later than those of the keys.
func (c *clock) tick(keys ...uint64) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.now().UnixMilli()
	if next <= c.last {
		next = c.last
		if c.repeats(keys) {
			next++
		}
	}
	if next > c.last {
		clear(c.said)
		c.last = next
	}
	for _, key := range keys {
		c.said[key] = struct{}{}
	}
	return time.UnixMilli(next)
}

// reference is the time of day as leads are measured by it, which never goes back. After the time of day was set back, it goes
// on at half the pace until the two meet: nobody is to wait until the times that were given out before have passed. The lock is held.
func (c *clock) reference() time.Time {
	passed := time.Since(c.read)
	c.read = c.read.Add(passed)
	c.today = c.today.Add(passed / 2)
	if now := c.now().Round(0); now.After(c.today) {
		c.today = now
	}
	return c.today
}

// catchUp waits until the time of day has passed all times that were given out. The next clock, which a reload of the configuration
// makes within milliseconds, must give out later times.
func (c *clock) catchUp(ctx context.Context) {
	c.mu.Lock()
	ahead := time.UnixMilli(c.last + 1).Sub(c.now())
	c.mu.Unlock()
	if ahead <= 0 || ahead > maxCatchUp {
		return
	}
	passed := time.NewTimer(ahead)
	defer passed.Stop()
	select {
	case <-passed.C:
	case <-ctx.Done():
	}
}
