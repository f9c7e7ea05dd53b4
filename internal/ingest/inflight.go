// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"fmt"
	"sync/atomic"
)

// InFlight bounds the decompressed bytes of all pushes being worked on (limits::in_flight_bytes). The memory limiter
// acts on what has been decoded already, so what is being read and decoded needs a bound of its own.
type InFlight struct {
	limit int64 // bytes; 0 = no limit
	bytes atomic.Int64
}

// NewInFlight makes a bound of so many bytes; 0 means none.
func NewInFlight(limit int64) *InFlight { return &InFlight{limit: limit} }

// Reserve takes n bytes, or refuses at once: it never waits, so that a push in progress cannot block another.
func (f *InFlight) Reserve(n int64) error {
	total := f.bytes.Add(n)
	if f.limit == 0 || total <= f.limit {
		return nil
	}
	f.bytes.Add(-n)
	if n > f.limit {
		return Refuse(ReasonTooLarge, fmt.Errorf(
			"the push needs %d bytes, more than limits::in_flight_bytes (%d) allows for all pushes together", n, f.limit))
	}
	return &Refusal{Reason: ReasonOverload, RetryAfter: defaultRetryAfter, Err: fmt.Errorf(
		"limits::in_flight_bytes (%d) is reached: %d bytes of pushes are being worked on and this push needs %d more; try again later",
		f.limit, total-n, n)}
}

// Release gives back n reserved bytes.
func (f *InFlight) Release(n int64) { f.bytes.Add(-n) }

// Bytes is what is reserved now.
func (f *InFlight) Bytes() int64 { return f.bytes.Load() }
