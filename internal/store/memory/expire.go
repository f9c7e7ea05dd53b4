// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Expire implements store.Store.
func (s *Store) Expire(ctx context.Context) (store.Expired, error) {
	now := s.options.Now()
	var e store.Expired
	var mu sync.Mutex
	err := forEach(s.expiredGroups(now), func(key groupingkey.Key) error {
		expired := false
		err := s.end(ctx, key, func(g *group) (plain, aggregate bool) {
			expired = s.hasExpired(g, now)
			return expired, false
		})
		if err == nil && expired {
			mu.Lock()
			defer mu.Unlock()
			e.Groups = append(e.Groups, key)
		}
		return err
	})
	if err == nil {
		err = s.expireAggregates(ctx, now)
	}
	if err == nil {
		err = s.dropLapsed(ctx, now, &e)
	}
	if s.owner != nil {
		s.owner.check(ctx, now)
	}
	return e, err
}

// dropLapsed drops lapsed markers.
func (s *Store) dropLapsed(ctx context.Context, now time.Time, e *store.Expired) error {
	lapsed := s.popLapsed(now)
	err := forEach(lapsed, func(m lapse) error { return s.ack(ctx, m.group, []*markers{m.markers}) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range lapsed {
		if !m.gone {
			heap.Push(&s.lapses, m.markers)
		} else if m.lost > 0 {
			e.LapsedSeries += m.lost
			e.Lapsed = append(e.Lapsed, m.group.key)
		}
		if s.groups[m.group.path] == m.group && m.group.claim == nil {
			s.place(m.group) // claimGroup skipped the group.
		}
	}
	return err
}

// lapse is lapsed markers and the number of their pending series.
type lapse struct {
	*markers
	lost int
}

// popLapsed removes the lapsed markers from claims. Markers of a claimed group stay until Settle, because a group that
// adds their series must not be exported at the same time.
func (s *Store) popLapsed(now time.Time) (lapsed []lapse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var claimed []*markers
	for len(s.lapses) > 0 && !s.lapses[0].lapsed.After(now) {
		m := heap.Pop(&s.lapses).(*markers)
		if m.group.claim != nil {
			claimed = append(claimed, m)
			continue
		}
		m.group.mu.Lock()
		lapsed = append(lapsed, lapse{m, len(m.left())})
		m.group.mu.Unlock()
	}
	for _, m := range claimed {
		heap.Push(&s.lapses, m)
	}
	return lapsed
}

// expiredAtOnce limits the groups that one expiry removes.
const expiredAtOnce = 1000

// expiredGroups lists groups whose time to live has passed, by oldest push.
func (s *Store) expiredGroups(now time.Time) (keys []groupingkey.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.pushes.Front(); e != nil && len(keys) < expiredAtOnce && s.isOver(e.Value.(*expiring), now); e = e.Next() {
		keys = append(keys, e.Value.(*expiring).group.key)
	}
	return keys
}

// expiring is a group and the start of its time to live.
type expiring struct {
	group *group
	since time.Time
}

func (s *Store) isOver(e *expiring, now time.Time) bool { return now.Sub(e.since) >= s.options.TTL }

// hasExpired rechecks a group's time to live, because a push may have come since it was listed.
func (s *Store) hasExpired(g *group, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return g.expiry != nil && s.isOver(g.expiry.Value.(*expiring), now)
}

// touch restarts the group's time to live at since. Store.mu is held.
func (s *Store) touch(g *group, since time.Time) {
	if s.options.TTL == 0 {
		return
	}
	if g.expiry == nil {
		g.expiry = s.pushes.PushBack(&expiring{g, since})
		return
	}
	g.expiry.Value.(*expiring).since = since
	s.pushes.MoveToBack(g.expiry)
}

// removeExpiry removes a group from Store.pushes. Store.mu is held.
func (s *Store) removeExpiry(g *group) {
	if g.expiry != nil {
		s.pushes.Remove(g.expiry)
		g.expiry = nil
	}
}

// lapseHeap orders pending markers by lapse time.
type lapseHeap []*markers

func (h lapseHeap) Len() int           { return len(h) }
func (h lapseHeap) Less(i, j int) bool { return h[i].lapsed.Before(h[j].lapsed) }
func (h lapseHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *lapseHeap) Push(m any) {
	m.(*markers).index = len(*h)
	*h = append(*h, m.(*markers))
}

// Pop implements heap.Interface.
func (h *lapseHeap) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	m.index = notScheduled
	return m
}
