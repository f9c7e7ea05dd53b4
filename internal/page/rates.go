// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"sync"
	"sync/atomic"
	"time"
)

// counter is one of the numbers that are counted per second.
type counter int

const (
	countAccepted      counter = iota // pushes
	countRefused                      // pushes and deletions
	countSeries                       // of accepted pushes
	countBytes                        // of bodies that were read
	countDeleted                      // accepted deletions
	countExports                      // accepted calls of the next consumer
	countExportsFailed                // other calls
	countPoints                       // of accepted calls
	counters
)

// counterNames are the names in JSON.
var counterNames = [counters]string{"accepted", "refused", "series", "bytes", "deleted", "exports", "exportsFailed", "points"}

const (
	// shownSeconds are the seconds that the page shows.
	shownSeconds = 300
	// keptSeconds are more, so that a slot in use is never one that is shown.
	keptSeconds = 512
)

// rates counts per second. Counting takes some atomic additions.
type rates struct {
	slots [keptSeconds]slot

	mu   sync.Mutex
	past [counters]int64 // of the slots that were used again
}

// slot has the counts of one second.
type slot struct {
	second atomic.Int64
	counts [counters]atomic.Int64
}

// at returns the counts of a second. With a clock that was set back, it can be a later one.
func (r *rates) at(now time.Time) *[counters]atomic.Int64 {
	second := now.Unix()
	s := &r.slots[second%keptSeconds]
	if s.second.Load() < second {
		r.reuse(s, second)
	}
	return &s.counts
}

func (r *rates) reuse(s *slot, second int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.second.Load() >= second {
		return
	}
	for c := range s.counts {
		r.past[c] += s.counts[c].Swap(0)
	}
	s.second.Store(second)
}

// of returns the counts of a second.
func (r *rates) of(second int64) (counts [counters]int64) {
	s := &r.slots[second%keptSeconds]
	if s.second.Load() == second {
		for c := range counts {
			counts[c] = s.counts[c].Load()
		}
	}
	return counts
}

// totals returns the counts since the start.
func (r *rates) totals() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	totals := make(map[string]int64, counters)
	for c, name := range counterNames {
		totals[name] = r.past[c]
		for i := range r.slots {
			totals[name] += r.slots[i].counts[c].Load()
		}
	}
	return totals
}

// history returns the counts of the last seconds that are over, the oldest first.
func (r *rates) history(now time.Time) map[string]any {
	end := now.Unix()
	history := map[string]any{"end": end * int64(time.Second/time.Millisecond)}
	lists := make([][]int64, counters)
	for second := end - shownSeconds; second < end; second++ {
		for c, n := range r.of(second) {
			lists[c] = append(lists[c], n)
		}
	}
	for c, name := range counterNames {
		history[name] = lists[c]
	}
	return history
}
