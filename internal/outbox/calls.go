// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"slices"
	"time"
)

const (
	// usualCalls bounds the calls under way at once. More would make smaller batches, and so more requests to the backend.
	usualCalls = 2
	// slowCall is how long a call counts towards usualCalls. A slow one must not hold up the others.
	slowCall = 100 * time.Millisecond
	// maxCalls bounds the calls under way at once, slow ones included.
	maxCalls = 8
)

// calls are the calls under way, by the times that they began. It is not safe for concurrent use.
type calls []time.Time

// begin notes a call. The time that it returns ends it.
func (c *calls) begin() time.Time {
	now := time.Now()
	*c = append(*c, now)
	return now
}

func (c *calls) end(began time.Time) {
	i := slices.Index(*c, began)
	*c = slices.Delete(*c, i, i+1)
}

// room tells whether another call may begin, or else when that may be so without the end of a call, 0 if never.
func (c calls) room() (ok bool, in time.Duration) {
	if len(c) < usualCalls {
		return true, 0
	}
	if len(c) == maxCalls {
		return false, 0
	}
	// They began one after the other: the last ones are not slow, if any.
	in = slowCall - time.Since(c[len(c)-usualCalls])
	return in <= 0, max(in, 0)
}
