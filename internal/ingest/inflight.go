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
	if n == 0 {
		return nil // However much others have reserved.
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
		"limits::in_flight_bytes (%d) is reached: %d bytes of pushes are being worked on and this push needs %d more; try again later",
		f.limit, total-n, n)}
}

// tooLarge refuses a push that needs n bytes: trying again would not help.
func (f *InFlight) tooLarge(n int64) error {
	return Refuse(ReasonTooLarge, fmt.Errorf(
		"the push needs at least %d bytes, more than limits::in_flight_bytes (%d) allows for all pushes together", n, f.limit))
}

// Release gives back n reserved bytes.
func (f *InFlight) Release(n int64) { f.bytes.Add(-n) }

// Bytes is what is reserved now.
func (f *InFlight) Bytes() int64 { return f.bytes.Load() }

// reservation is what one push has reserved beyond its body.
type reservation struct {
	inFlight *InFlight
	body     int64 // bytes that whoever read the body has reserved
	bytes    int64
}

// upTo reserves what is missing to so many bytes.
func (r *reservation) upTo(bytes int64) error { return r.more(bytes - r.bytes) }

// more reserves further bytes.
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

// release gives everything back.
func (r *reservation) release() { r.inFlight.Release(r.bytes) }
