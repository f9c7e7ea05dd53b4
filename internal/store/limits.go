// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"time"
)

// CheckLimits refuses a change beyond the limits, given the current counts and the differences that the change makes.
// Adds says that it adds series. It never refuses a change that only shrinks a group. The error is a *LimitError.
func (o *Options) CheckLimits(held, difference Counts, adds bool) error {
	maxGroups, maxSeries, maxBytes := o.MaxGroups, o.MaxSeries, o.MaxBytes
	switch total := held.Series + held.Pending + difference.Series + difference.Pending; {
	case maxGroups > 0 && difference.Groups > 0 && held.Groups >= maxGroups:
		return &LimitError{"max_groups", int64(maxGroups), fmt.Sprintf("the push makes a new group, and %d groups are held", held.Groups)}
	case maxSeries > 0 && difference.Series > 0 && held.Series+difference.Series > maxSeries:
		return &LimitError{"max_series", int64(maxSeries), fmt.Sprintf(
			"the push has %d series more than what it replaces, and %d series are held", difference.Series, held.Series)}
	case maxSeries > 0 && adds && total > 2*maxSeries:
		return &LimitError{"max_series", int64(maxSeries), fmt.Sprintf(
			"the push replaces series by others, and the stale markers of %d series have not been accepted downstream", held.Pending)}
	case maxBytes > 0 && difference.Size > 0 && held.Size+difference.Size > maxBytes:
		return &LimitError{"max_bytes", maxBytes, fmt.Sprintf(
			"the push takes %d bytes more than what it replaces, and %d bytes are held", difference.Size, held.Size)}
	case maxBytes > 0 && adds && held.Size+held.PendingSize > 2*maxBytes:
		return &LimitError{"max_bytes", maxBytes, fmt.Sprintf(
			"the push replaces series by others, and the stale markers that have not been accepted downstream take %d bytes", held.PendingSize)}
	}
	return nil
}

// Add adds differences.
func (c *Counts) Add(difference Counts) {
	c.Groups += difference.Groups
	c.Series += difference.Series
	c.Pushers += difference.Pushers
	c.Pending += difference.Pending
	c.Size += difference.Size
	c.PendingSize += difference.PendingSize
}

// MinQuiet is the time after its last push from which a pusher can be folded because MaxPushers is reached.
const MinQuiet = 5 * time.Minute

// TooManyPushers returns the error for a new pusher when MaxPushers pushers are held and none has been quiet for MinQuiet.
func (o *Options) TooManyPushers() *LimitError {
	return &LimitError{"max_pushers", int64(o.MaxPushers), fmt.Sprintf(
		"the push is one of a new pusher, and %d pushers are held, which have all pushed within %s", o.MaxPushers, MinQuiet)}
}
