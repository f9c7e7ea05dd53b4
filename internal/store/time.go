// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import "time"

// Nanoseconds returns a time as it is stored: in nanoseconds since the epoch, or 0 if it is zero.
func Nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// TimeOf returns the time of Nanoseconds.
func TimeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
