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

// maxLead is how far the times of a stripe may be ahead before its keys wait. Each time is a millisecond later than the last one,
// so that who pushes to one group more often than a thousand times a second gains on the time of day without end, and a backend
// refuses what is minutes ahead.
const maxLead = time.Second / 2

// maxCatchUp is how long a shutdown waits at most for the time of day to pass the times that were given out. What is further
// ahead is not waited for: the time of day was set back.
const maxCatchUp = 2 * maxLead

var errGroupBusy = errors.New("an earlier push to this group is still being handed on; try again later")

// clock gives out turns and times. A remote-write backend rejects a whole batch for one sample that is out of order, or
// that repeats a millisecond with another value, so what is handed on for one group must be handed on one after the other,
// in order of arrival, and never at the same millisecond.
type clock struct {
	now     func() time.Time
	stripes [stripes]stripe

	mu    sync.Mutex
	today time.Time // see reference
	read  time.Time // when today was found
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
	ahead  chan struct{} // closed to pass it on to the one who goes ahead of all others; nil if there is none; guarded by the stripe
}

func newClock(now func() time.Time) *clock {
	c := &clock{now: now, today: now().Round(0), read: time.Now()}
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
	if ctx.Err() != nil || !t.awaitLead(ctx) {
		t.release()
		return nil, refuseBusy()
	}
	return t, nil
}

// turnAhead waits for the key's turn ahead of all others who do, until the context ends. Only one at a time may.
func (c *clock) turnAhead(ctx context.Context, key groupingkey.Key) (*turn, bool) {
	t, mine := c.enter(key.Hash(), true)
	if mine {
		return t, true
	}
	ahead := make(chan struct{})
	t.goAhead(ahead)
	select {
	case <-t.free: // It was passed on before.
		t.goAhead(nil)
		return t, true
	case <-ahead:
		return t, true
	case <-ctx.Done():
	}
	if t.stepBack(ahead) {
		t.leave()
	} else {
		t.release() // It has just been passed on.
	}
	return nil, false
}

func (t *turn) goAhead(ahead chan struct{}) {
	t.stripe.mu.Lock()
	defer t.stripe.mu.Unlock()
	t.ahead = ahead
}

// stepBack gives up going ahead, and tells whether that is not too late.
func (t *turn) stepBack(ahead chan struct{}) bool {
	t.stripe.mu.Lock()
	defer t.stripe.mu.Unlock()
	if t.ahead != ahead {
		return false
	}
	t.ahead = nil
	return true
}

// takeAhead is who goes ahead, for the last time.
func (t *turn) takeAhead() chan struct{} {
	t.stripe.mu.Lock()
	defer t.stripe.mu.Unlock()
	ahead := t.ahead
	t.ahead = nil
	return ahead
}

// awaitLead waits, in the turn, until the key's stripe is no more than maxLead ahead, and tells whether it is. The wait ends
// with the context.
func (t *turn) awaitLead(ctx context.Context) bool {
	for {
		excess := t.excess()
		if excess <= 0 {
			return true
		}
		select {
		case <-time.After(max(excess, time.Millisecond)):
		case <-ctx.Done():
			return false
		}
	}
}

// excess is how much further ahead than maxLead the key's stripe is.
func (t *turn) excess() time.Duration {
	t.stripe.mu.Lock()
	last := t.stripe.last
	t.stripe.mu.Unlock()
	return time.UnixMilli(last).Sub(t.clock.reference()) - maxLead
}

// reference is the time of day as leads are measured by it, which never goes back. After the time of day was set back, it goes on
// at half the pace until the two meet: the times given out before are far ahead then, through no fault of who pushes now, and
// nobody is to wait until they have passed.
func (c *clock) reference() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	passed := time.Since(c.read)
	c.read = c.read.Add(passed)
	c.today = c.today.Add(passed / 2)
	if now := c.now().Round(0); now.After(c.today) {
		c.today = now
	}
	return c.today
}

func refuseBusy() error {
	return &Refusal{Reason: ReasonOverload, Err: errGroupBusy, RetryAfter: defaultRetryAfter}
}

// turnIfFree takes the key's turn if nobody has it, and nobody would have to wait for it.
func (c *clock) turnIfFree(key groupingkey.Key) (*turn, bool) {
	t, mine := c.enter(key.Hash(), false)
	if mine && t.excess() > 0 {
		t.release()
		return nil, false
	}
	return t, mine
}

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
	if t.leave() == 0 {
		return
	}
	if ahead := t.takeAhead(); ahead != nil {
		close(ahead)
		return
	}
	t.free <- struct{}{}
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
