// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"errors"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// foldAtOnce is the number of pushers that an expiry folds in one change.
const foldAtOnce = 256

// errFull says that a pusher of another aggregate must be folded first.
var errFull = errors.New("there are as many pushers as allowed")

// fold ends a pusher. One that is not known is no error.
func (k *contribution) fold(path string, cause store.FoldCause) error {
	p := k.pusher(path)
	if p == nil {
		return nil
	}
	if err := k.draft.Fold(p.contributions()); err != nil {
		return err
	}
	k.set(path, nil)
	k.folded = append(k.folded, p.id)
	k.notes.Folded(path, cause)
	return nil
}

// makeRoom makes room for a new pusher. At the limit, it folds the pusher of this aggregate that has been quiet longest. The error is
// errFull if there is none that has been quiet for long.
func (s *Store) makeRoom(k *contribution) (folded bool, err error) {
	most := s.options.MaxPushers
	if most == 0 {
		return false, nil
	}
	s.mu.Lock()
	held := s.counts.Pushers
	s.mu.Unlock()
	if held+k.remembered()-len(k.of.pushers) < most {
		return false, nil
	}
	for e := k.of.byPush.Front(); e != nil; e = e.Next() {
		p := e.Value.(*pusher)
		if _, changed := k.pushers[p.path]; changed {
			continue
		}
		if s.options.Now().Sub(p.pushed) < store.MinQuiet {
			break
		}
		return true, k.fold(p.path, store.FoldedByLimit)
	}
	return false, errFull
}

// foldQuietest folds the pusher that has been quiet longest. The error is a *LimitError if it has not been quiet for long, or one of
// EndPusher's.
func (s *Store) foldQuietest(ctx context.Context) error {
	s.mu.Lock()
	var quietest *group
	oldest := s.options.Now().Add(-store.MinQuiet)
	for g := range s.aggregates {
		if first := g.firstPusher(); first != nil && !first.pushed.After(oldest) {
			quietest, oldest = g, first.pushed
		}
	}
	s.mu.Unlock()
	if quietest == nil {
		return s.options.TooManyPushers()
	}
	return s.changeAggregate(ctx, quietest, func(c *change) error {
		p := c.group.firstPusher()
		if p == nil || p.pushed.After(oldest) {
			return nil
		}
		return c.contribution.fold(p.path, store.FoldedByLimit)
	})
}

// firstPusher returns the pusher that has been quiet longest, or nil.
func (g *group) firstPusher() *pusher {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.aggregate == nil || g.aggregate.byPush.Len() == 0 {
		return nil
	}
	return g.aggregate.byPush.Front().Value.(*pusher)
}

// changeAggregate changes the aggregate of a group, if it is still there.
func (s *Store) changeAggregate(ctx context.Context, g *group, do func(*change) error) error {
	g, err := s.lock(ctx, g.key, false)
	if g == nil || err != nil {
		return err
	}
	defer g.unlock()
	if g.aggregate == nil {
		return nil
	}
	c := newChange(g)
	k := c.contribute(s, g.aggregate.rule)
	changed := false
	if err = do(c); err == nil {
		changed, err = k.finish(c)
	}
	if err == nil && changed {
		err = s.apply(ctx, c)
	}
	if err != nil {
		return err
	}
	k.notes.Tell(s.options.Observer, g.key, &s.returns)
	g.mu.Lock()
	defer g.mu.Unlock()
	k.of.oldest = later(k.of.oldest, k.oldest)
	return nil
}

// expireAggregates folds pushers that have been quiet for long, and ends series that no push has had for the time to live.
func (s *Store) expireAggregates(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	var all []*group
	for g := range s.aggregates {
		if s.hasExpiring(g, now) {
			all = append(all, g)
		}
	}
	s.mu.Unlock()
	return forEach(all, func(g *group) error {
		if err := s.endUnruledAggregate(ctx, g); err != nil {
			return err
		}
		for {
			folded := 0
			err := s.changeAggregate(ctx, g, func(c *change) error {
				var err error
				folded, err = s.foldQuiet(c, now)
				s.endSilent(c, now)
				return err
			})
			if err != nil || folded < foldAtOnce {
				return err
			}
		}
	})
}

// hasExpiring reports whether something of the group's aggregate may have expired.
func (s *Store) hasExpiring(g *group, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.aggregate
	if a == nil {
		return false
	}
	first := a.byPush.Front()
	return a.why != "" || first != nil && now.Sub(first.Value.(*pusher).pushed) >= s.options.Rules.ShortestTTL() ||
		s.options.TTL > 0 && len(a.chunks) > 0 && now.Sub(a.oldest) >= s.options.TTL
}

// endSilent ends the series that no push has had for the time to live.
func (s *Store) endSilent(c *change, now time.Time) {
	ttl, a := s.options.TTL, c.group.aggregate
	if ttl == 0 || now.Sub(a.oldest) < ttl {
		return
	}
	k := c.contribution
	if k.oldest = k.draft.Expire(now.Add(-ttl)); k.oldest.IsZero() {
		k.oldest = now
	}
}

// foldQuiet folds some pushers that have not pushed for the time that their rule allows.
func (s *Store) foldQuiet(c *change, now time.Time) (folded int, err error) {
	shortest := s.options.Rules.ShortestTTL()
	for e := c.group.aggregate.byPush.Front(); e != nil && folded < foldAtOnce; e = e.Next() {
		p := e.Value.(*pusher)
		quiet := now.Sub(p.pushed)
		if quiet < shortest {
			break
		}
		if quiet < p.ttl {
			continue
		}
		if err := c.contribution.fold(p.path, store.FoldedByTTL); err != nil {
			return folded, err
		}
		folded++
	}
	return folded, nil
}
