// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// stripes is the number of locks that all grouping keys share. Two groups on one stripe wait for each other's hand-over,
// which with this many is rare among the groups being pushed at one moment; the table takes about half a megabyte.
const stripes = 4096

var errGroupBusy = errors.New("an earlier push to this group is still being handed on; try again later")

// clock gives out the times of pushes, strictly increasing in milliseconds per grouping key. A remote-write backend
// rejects a whole batch for one sample that is out of order, or that repeats a millisecond with another value, so what
// is handed on for one group must be handed on one after the other and never at the same millisecond.
//
// The table is fixed in size, since it must remember every group ever pushed, deleted ones too.
type clock struct {
	now     func() time.Time
	stripes [stripes]stripe
}

// stripe holds its one token while it is free. Its holder alone touches last.
type stripe struct {
	free chan struct{}
	last int64 // milliseconds since the epoch
}

func newClock(now func() time.Time) *clock {
	c := &clock{now: now}
	for i := range c.stripes {
		c.stripes[i].free = make(chan struct{}, 1)
		c.stripes[i].free <- struct{}{}
	}
	return c
}

// hold waits until nothing else is being handed on for the key, takes the time for this push, and keeps the key held
// until release is called. The wait ends with the context.
func (c *clock) hold(ctx context.Context, key groupingkey.Key) (t time.Time, release func(), err error) {
	s := &c.stripes[key.Hash()%stripes]
	select {
	case <-s.free:
	case <-ctx.Done():
		return time.Time{}, nil, &Refusal{Reason: ReasonOverload, Err: errGroupBusy, RetryAfter: defaultRetryAfter}
	}
	s.last = max(c.now().UnixMilli(), s.last+1)
	return time.UnixMilli(s.last), func() { s.free <- struct{}{} }, nil
}
