// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"fmt"
	"sync/atomic"
)

// InFlight bounds the decompressed bytes of all pushes in progress (limits::in_flight_bytes). The memory limiter processor acts only
// after a push is decoded. It is safe for concurrent use.
type InFlight struct {
	limit int64 // bytes; 0 = no limit
	bytes atomic.Int64
}

// NewInFlight returns a bound of limit bytes. 0 means no limit.
func NewInFlight(limit int64) *InFlight { return &InFlight{limit: limit} }

// Reserve reserves n bytes or refuses at once. It never waits.
func (f *InFlight) Reserve(n int64) error {
	if n == 0 {
		return nil // This succeeds even if the limit is reached.
	}
	total := f.bytes.Add(n)
	if f.limit == 0 || total <= f.limit {
		return nil
	}
	f.bytes.Add(-n)
	if n > f.limit {
		return f.tooLarge(n)
	}
	return &Refusal{Reason: ReasonOverload, RetryAfter: defaultRetryAfter, Err: fmt.Errorf(
		"limits::in_flight_bytes (%d) is reached: %d bytes of pushes are in progress and this push needs %d more; nothing was kept, try again later",
		f.limit, total-n, n)}
}

// tooLarge refuses a push that needs more bytes than the limit.
func (f *InFlight) tooLarge(n int64) error {
	return Refuse(ReasonTooLarge, fmt.Errorf(
		"the push needs at least %d bytes, more than limits::in_flight_bytes (%d) allows for all pushes together", n, f.limit))
}

// Release releases n reserved bytes.
func (f *InFlight) Release(n int64) { f.bytes.Add(-n) }

// Bytes returns the reserved bytes.
func (f *InFlight) Bytes() int64 { return f.bytes.Load() }

// reservation is the reservation of one push beyond its body.
type reservation struct {
	inFlight *InFlight
	body     int64 // bytes reserved for the body
	bytes    int64
}

// upTo raises the reservation to at least so many bytes.
func (r *reservation) upTo(bytes int64) error { return r.more(bytes - r.bytes) }

// more adds bytes to the reservation.
func (r *reservation) more(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	if err := r.inFlight.Reserve(bytes); err != nil {
		if whole := r.body + r.bytes + bytes; whole > r.inFlight.limit {
			return r.inFlight.tooLarge(whole)
		}
		return err
	}
	r.bytes += bytes
	return nil
}

// release releases the whole reservation.
func (r *reservation) release() { r.inFlight.Release(r.bytes) }
