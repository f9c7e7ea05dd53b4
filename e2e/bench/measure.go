// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// result is what one column costs for one page.
type result struct {
	time   time.Duration // for one reading
	allocs uint64        // for one reading
}

// measure times all columns of a page in turns, so that whatever else the machine does hits them alike. Each turn of a
// column starts with the garbage of the others collected, and reads the page as often as the floor takes the given time
// for: columns that allocate alike then have as many collections in their turns. The least of a column's times is its
// result, since noise only ever adds.
func measure(s *subject, rounds int, turn time.Duration) [columns]result {
	var results [columns]result
	for c, read := range s.read {
		results[c] = result{time: 1<<63 - 1, allocs: allocations(read)}
	}
	repeats := repeatsFor(s.read[floor], turn)
	for round := range rounds {
		for i := range columns {
			c := (i + column(round)) % columns
			results[c].time = min(results[c].time, timed(s.read[c], repeats))
		}
	}
	return results
}

// repeatsFor is how often a reading has to be repeated to take the given time.
func repeatsFor(read func() error, turn time.Duration) int {
	once := timed(read, 1)
	return int(turn/max(once, 1)) + 1
}

// timed is the time of one reading, as the average of n. The reading before them fills the pools, which the collection of
// garbage has emptied.
func timed(read func() error, n int) time.Duration {
	runtime.GC()
	_ = read() // It succeeded when the subject was made.
	start := time.Now()
	for range n {
		_ = read()
	}
	return time.Since(start) / time.Duration(n)
}

// allocations is the number of allocations of one reading once the pools are full: the median of a few, because the
// runtime allocates now and then, too.
func allocations(read func() error) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	_ = read()
	counts := make([]uint64, 5)
	for i := range counts {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = read()
		runtime.ReadMemStats(&after)
		counts[i] = after.Mallocs - before.Mallocs
	}
	slices.Sort(counts)
	return counts[len(counts)/2]
}
