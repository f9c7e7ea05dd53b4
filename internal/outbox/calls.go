// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"slices"
	"time"
)

const (
	// usualCalls limits in-flight calls. More calls would mean smaller batches and more requests to the backend.
	usualCalls = 2
	// slowCall is the time for which a call counts towards usualCalls. A slow call must not block the others.
	slowCall = 100 * time.Millisecond
	// maxCalls limits all in-flight calls, including slow ones.
	maxCalls = 8
)

// calls are the start times of in-flight calls. It is not safe for concurrent use.
type calls []time.Time

// begin adds a call and returns its start time, which end needs.
func (c *calls) begin() time.Time {
	now := time.Now()
	*c = append(*c, now)
	return now
}

func (c *calls) end(began time.Time) {
	i := slices.Index(*c, began)
	*c = slices.Delete(*c, i, i+1)
}

// room reports whether another call may begin. If not, it returns the time until one may, even if no call ends, or 0 for
// never.
func (c calls) room() (ok bool, in time.Duration) {
	if len(c) < usualCalls {
		return true, 0
	}
	if len(c) == maxCalls {
		return false, 0
	}
	// In order of start: only the last ones can be fast.
	in = slowCall - time.Since(c[len(c)-usualCalls])
	return in <= 0, max(in, 0)
}
