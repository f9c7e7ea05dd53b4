// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"container/heap"
	"container/list"
	"time"
)

// stepsPerRound divides the republish interval. Rounds are due at whole steps only, so that the groups of a step are exported
// together.
const stepsPerRound = 64

// firstRound is the time within which all groups are exported after a restart if they are not republished.
const firstRound = time.Minute

const notScheduled = -1

// schedule is when a group is to be exported. A group is in Store.unsent, in Store.rounds or claimed, or there is nothing to export.
// Store.mu guards it.
type schedule struct {
	since time.Time // the oldest change that has not been accepted; zero if there is none
	again time.Time // the oldest change since the group was claimed; zero if there is none
	retry time.Time // when what was refused may be claimed again; zero for at once
	round time.Time // when all values are due; zero for never

	queued   *list.Element // in Store.unsent
	index    int           // in Store.rounds, or notScheduled
	at       time.Time     // when a group in Store.rounds is due
	claim    *Claim        // the claim that has the group
	waitsFor []*Claim      // claims of groups that had some of its series
}

// enqueue notes that a group has changed. Store.mu is held.
func (s *Store) enqueue(g *group, now time.Time) {
	if g.round.IsZero() && g.alive && s.options.RepublishInterval > 0 {
		g.round = s.nextRound(now)
	}
	g.retry = time.Time{}
	if g.claim != nil {
		if g.again.IsZero() {
			g.again = now
		}
		return
	}
	if _, waiting := s.waiting[g]; !waiting {
		s.waits(g, now)
	}
	s.place(g)
}

// nextRound is a republish interval later, at the whole step before.
func (s *Store) nextRound(now time.Time) time.Time {
	interval := s.options.RepublishInterval
	return now.Add(interval).Truncate(interval / stepsPerRound)
}

// place puts a group that is not claimed where its next export is due. Store.mu is held.
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

// due is the earlier of the retry and the round.
func (g *group) due() time.Time {
	if g.since.IsZero() || !g.round.IsZero() && g.round.Before(g.retry) {
		return g.round
	}
	return g.retry
}

// unschedule takes a group out of all queues. Store.mu is held.
func (s *Store) unschedule(g *group) {
	if g.queued != nil {
		s.unsent.Remove(g.queued)
		g.queued = nil
	}
	if g.index != notScheduled {
		heap.Remove(&s.rounds, g.index)
	}
}

// Changed is signaled when something may be due earlier than Claim said.
func (s *Store) Changed() <-chan struct{} { return s.changed }

func (s *Store) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// waits notes that a group has a change that has not been accepted since then. Store.mu is held.
func (s *Store) waits(g *group, since time.Time) {
	g.since = since
	s.waiting[g] = struct{}{}
}

// settled notes that everything of a group has been accepted. Store.mu is held.
func (s *Store) settled(g *group) {
	g.since = time.Time{}
	delete(s.waiting, g)
}

// Waiting tells how many groups have changes that the next consumer has not accepted, but for suspect parts, and since when the oldest
// of these waits.
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

// roundHeap orders groups by the time that they are due.
type roundHeap []*group

func (h roundHeap) Len() int           { return len(h) }
func (h roundHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h roundHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is heap.Interface's.
func (h *roundHeap) Push(g any) {
	g.(*group).index = len(*h)
	*h = append(*h, g.(*group))
}

// Pop is heap.Interface's.
func (h *roundHeap) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	g.index = notScheduled
	return g
}
