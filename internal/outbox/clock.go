// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"sync"
	"time"
)

// maxLead is the maximum lead of a call's time over the system clock. Calls with the same key are at least a millisecond
// apart, so more than a thousand calls a second gain on the clock. Backends refuse samples that are minutes ahead.
const maxLead = time.Second / 2

// maxCatchUp is the maximum wait of a shutdown until the system clock passes all issued times. They are further ahead
// only if the clock was set back.
const maxCatchUp = 2 * maxLead

// allGroups is the key of every claim of groups, because series pass from one group to another.
const allGroups = 0

// clock issues the times of calls. A remote-write backend rejects a whole request for one sample that is out of order or
// repeats a millisecond with another value.
type clock struct {
	now func() time.Time

	mu   sync.Mutex
	last int64               // milliseconds since the epoch
	used map[uint64]struct{} // keys that used that time

	latest time.Time // see monotonicNow
	read   time.Time // when latest was read
}

func newClock(now func() time.Time) *clock {
	return &clock{now: now, used: make(map[uint64]struct{}), latest: now().Round(0), read: time.Now()}
}

// await waits until the next time for the keys is within maxLead, or until the context ends.
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

// excess returns by how much the next time for the keys exceeds maxLead.
func (c *clock) excess(keys []uint64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.repeats(keys) {
		return 0
	}
	return time.UnixMilli(c.last+1).Sub(c.monotonicNow()) - maxLead
}

// repeats reports whether one of the keys used the last time. The lock is held.
func (c *clock) repeats(keys []uint64) bool {
	for _, key := range keys {
		if _, used := c.used[key]; used {
			return true
		}
	}
	return false
}

// tick issues a time that is not earlier than any before, and later than those of the keys.
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
		clear(c.used)
		c.last = next
	}
	for _, key := range keys {
		c.used[key] = struct{}{}
	}
	return time.UnixMilli(next)
}

// monotonicNow returns the system clock, but never goes back. After the clock was set back, it advances at half speed until
// both agree. Otherwise pushes would wait until all issued times have passed. The lock is held.
func (c *clock) monotonicNow() time.Time {
	passed := time.Since(c.read)
	c.read = c.read.Add(passed)
	c.latest = c.latest.Add(passed / 2)
	if now := c.now().Round(0); now.After(c.latest) {
		c.latest = now
	}
	return c.latest
}

// waitForClock waits until the system clock has passed all issued times. After a reload within milliseconds, the next clock
// must issue later times.
func (c *clock) waitForClock(ctx context.Context) {
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
