// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/heap"
	"container/list"
	"slices"
	"time"
)

// stepsPerRound divides the republish interval. Rounds are due at whole steps, so that the groups of a step share
// requests.
const stepsPerRound = 64

// firstRound is the time in which all groups are exported after a restart without republishing.
const firstRound = time.Minute

const notScheduled = -1

// schedule says when a group is exported. A group is in Store.unsent, in Store.rounds, claimed, or idle. Guarded by
// Store.mu.
type schedule struct {
	since time.Time // oldest unaccepted change, or zero
	again time.Time // oldest change since the claim, or zero
	retry time.Time // earliest claim of refused parts; zero for immediately
	round time.Time // when all values are due; zero for never

	// An aggregate changes with each push of many pushers. So its changes wait until minPause has passed since its last claim.
	paced   bool      // retry is set for no other reason
	urgent  bool      // there are other changes, which do not wait
	claimed time.Time // the last claim

	queued   *list.Element // in Store.unsent
	index    int           // in Store.rounds, or notScheduled
	at       time.Time     // due time in Store.rounds
	claim    *claim        // the claim with this group
	waitsFor []*claim      // claims of groups that had some of its series
}

// enqueue schedules a changed group. Store.mu is held.
func (s *Store) enqueue(g *group, now time.Time, paced bool) {
	g.urgent = g.urgent || !paced
	if g.round.IsZero() && g.alive && s.options.RepublishInterval > 0 {
		g.round = s.nextRound(now)
	}
	g.pace(now)
	if g.claim != nil {
		if g.again.IsZero() {
			g.again = now
		}
		return
	}
	if _, waiting := s.waiting[g]; !waiting {
		s.markWaiting(g, now)
	}
	s.place(g)
}

// minPause is the pause between exports of an aggregate whose values change.
const minPause = 10 * time.Second

// pace makes changes due: now, or later if all are of an aggregate that was exported a short time ago.
func (g *group) pace(now time.Time) {
	g.retry, g.paced = time.Time{}, false
	if due := g.claimed.Add(minPause); !g.urgent && !g.claimed.IsZero() && due.After(now) {
		g.retry, g.paced = due, true
	}
}

// hurry makes paced changes due. Store.mu is held.
func (s *Store) hurry() {
	for _, g := range slices.Clone(s.rounds) {
		if g.paced {
			g.retry, g.paced = time.Time{}, false
			s.place(g)
		}
	}
}

// nextRound is one republish interval from now, rounded down to a step.
func (s *Store) nextRound(now time.Time) time.Time {
	interval := s.options.RepublishInterval
	return now.Add(interval).Truncate(interval / stepsPerRound)
}

// place schedules a group that is not claimed. Store.mu is held.
func (s *Store) place(g *group) {
	if !g.since.IsZero() && g.retry.IsZero() {
		if g.queued == nil {
			s.unschedule(g)
			g.queued = s.unsent.PushBack(g)
		}
		s.signal()
		return
	}
	s.unschedule(g)
	if g.at = g.due(); !g.at.IsZero() {
		heap.Push(&s.rounds, g)
		if s.rounds[0] == g {
			s.signal()
		}
	}
}

// due returns the earlier of retry and round.
func (g *group) due() time.Time {
	if g.since.IsZero() || !g.round.IsZero() && g.round.Before(g.retry) {
		return g.round
	}
	return g.retry
}

// unschedule removes a group from all queues. Store.mu is held.
func (s *Store) unschedule(g *group) {
	if g.queued != nil {
		s.unsent.Remove(g.queued)
		g.queued = nil
	}
	if g.index != notScheduled {
		heap.Remove(&s.rounds, g.index)
	}
}

// Changed receives when something may be due earlier than Claim returned.
func (s *Store) Changed() <-chan struct{} { return s.changed }

func (s *Store) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// markWaiting records a group's oldest unaccepted change. Store.mu is held.
func (s *Store) markWaiting(g *group, since time.Time) {
	g.since = since
	s.waiting[g] = struct{}{}
}

// clearWaiting records that everything of a group was accepted. Store.mu is held.
func (s *Store) clearWaiting(g *group) {
	g.since = time.Time{}
	delete(s.waiting, g)
}

// Waiting returns the number of groups with unaccepted changes, and the time of the oldest change. It does not count
// suspects.
func (s *Store) Waiting() (groups int, oldest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.waiting {
		if oldest.IsZero() || g.since.Before(oldest) {
			oldest = g.since
		}
	}
	return len(s.waiting), oldest
}

// roundHeap orders groups by due time.
type roundHeap []*group

func (h roundHeap) Len() int           { return len(h) }
func (h roundHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h roundHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *roundHeap) Push(g any) {
	g.(*group).index = len(*h)
	*h = append(*h, g.(*group))
}

// Pop implements heap.Interface.
func (h *roundHeap) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	g.index = notScheduled
	return g
}
