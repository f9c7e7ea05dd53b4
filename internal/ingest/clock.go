// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// stripes is the number of last times that all grouping keys share. The table is fixed in size, since it must remember
// every group ever pushed, deleted ones too.
const stripes = 4096

// maxCatchUp is how long a shutdown waits at most for the time of day to pass the times that were given out. What is further
// ahead is not waited for: the time of day was set back, or one group was pushed to more often than once a millisecond for long.
const maxCatchUp = time.Second

var errGroupBusy = errors.New("an earlier push to this group is still being handed on; try again later")

// clock gives out turns and times. A remote-write backend rejects a whole batch for one sample that is out of order, or
// that repeats a millisecond with another value, so what is handed on for one group must be handed on one after the other,
// in order of arrival, and never at the same millisecond.
type clock struct {
	now     func() time.Time
	stripes [stripes]stripe
}

// stripe is what the keys of one hash modulo stripes share. A key waits for itself alone; the time of a stripe runs for all
// of its keys.
type stripe struct {
	mu    sync.Mutex
	last  int64            // milliseconds since the epoch
	turns map[uint64]*turn // of the keys that have one now, by their hash
}

// turn is the right of one request at a time to change a group and to hand on what is said of it.
type turn struct {
	clock  *clock
	stripe *stripe
	hash   uint64
	users  int           // who has it or waits for it; guarded by the stripe
	free   chan struct{} // passes it on
}

func newClock(now func() time.Time) *clock {
	c := &clock{now: now}
	for i := range c.stripes {
		c.stripes[i].turns = make(map[uint64]*turn)
	}
	return c
}

// turn waits for the key's turn, which the caller has until release. The wait ends with the context, and a context that has
// ended already has no turn: whoever gave up may have sent something newer since.
func (c *clock) turn(ctx context.Context, key groupingkey.Key) (*turn, error) {
	t, mine := c.enter(key.Hash(), true)
	if !mine {
		select {
		case <-t.free:
		case <-ctx.Done():
			t.leave()
			return nil, refuseBusy()
		}
	}
	if ctx.Err() != nil {
		t.release()
		return nil, refuseBusy()
	}
	return t, nil
}

func refuseBusy() error {
	return &Refusal{Reason: ReasonOverload, Err: errGroupBusy, RetryAfter: defaultRetryAfter}
}

// turnIfFree takes the key's turn if nobody has it.
func (c *clock) turnIfFree(key groupingkey.Key) (*turn, bool) { return c.enter(key.Hash(), false) }

// enter finds or makes the turn of a hash, and tells whether the caller has it at once. If not, the caller counts as waiting
// if it waits.
func (c *clock) enter(hash uint64, wait bool) (t *turn, mine bool) {
	s := &c.stripes[hash%stripes]
	s.mu.Lock()
	defer s.mu.Unlock()
	t, busy := s.turns[hash]
	if !busy {
		t = &turn{clock: c, stripe: s, hash: hash, users: 1}
		s.turns[hash] = t
		return t, true
	}
	if wait {
		t.users++
		if t.free == nil {
			t.free = make(chan struct{}, 1)
		}
	}
	return t, false
}

// release passes the turn on.
func (t *turn) release() {
	if t.leave() > 0 {
		t.free <- struct{}{}
	}
}

// leave takes one user away and returns how many are left. Who waits and leaves as the last one has been passed the turn
// in vain.
func (t *turn) leave() (left int) {
	t.stripe.mu.Lock()
	defer t.stripe.mu.Unlock()
	t.users--
	if t.users == 0 {
		delete(t.stripe.turns, t.hash)
	}
	return t.users
}

// next is a time later than all that were given out for the key before, and later than the given one.
func (t *turn) next(after time.Time) time.Time {
	t.stripe.mu.Lock()
	defer t.stripe.mu.Unlock()
	t.stripe.last = max(t.clock.now().UnixMilli(), t.stripe.last+1, after.UnixMilli()+1)
	return time.UnixMilli(t.stripe.last)
}

// catchUp waits until the time of day has passed all times that were given out. A group that is pushed to several times in a
// millisecond, or that owes markers, gets ahead of it, and the clock's memory ends with the clock: the next one, which a reload
// of the configuration makes within milliseconds, must give out later times.
func (c *clock) catchUp(ctx context.Context) {
	ahead := time.UnixMilli(c.last() + 1).Sub(c.now())
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

// last is the latest of all times that were given out, in milliseconds since the epoch.
func (c *clock) last() (last int64) {
	for i := range c.stripes {
		s := &c.stripes[i]
		s.mu.Lock()
		last = max(last, s.last)
		s.mu.Unlock()
	}
	return last
}
