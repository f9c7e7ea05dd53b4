// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// shares is into how many parts a round over all groups is divided.
	shares = 256
	// atOnce is how many groups are handed on at once: a consumer that waits for its backend would need more than an interval
	// for many groups one after the other.
	atOnce = 8
	// ends bounds how many groups are ended beside those that are due, so that many that end together do not hold the others
	// up. What is left ends soon after, when it is due itself at the latest.
	ends = 64
	// markerInterval is how often owed markers are tried again if nothing is republished.
	markerInterval = time.Minute
	// visitTimeout bounds a visit to a group, for the others wait for the slowest one. Prometheus shows a series for five
	// minutes after its last sample: together with the longest interval, and a visit of their own, these must not pass.
	visitTimeout = 30 * time.Second
)

// sweep goes through all groups once in each interval, one group in each call and spread over it: it hands their values on
// again with the time that it is then, tries markers that are still owed again, and ends groups whose time is over. It never
// runs twice at once, and what it misses while the consumer is slow it does not make up for.
type sweep struct {
	restored chan struct{} // closed when groups are restored
	stop     context.CancelFunc
	done     chan struct{} // closed when the sweep has ended
	ended    sync.Once

	mu sync.Mutex
	// soon are groups to visit whether they are due or not, by the hashes of their keys: they were busy when they were due, or
	// owe more markers to a consumer that takes them.
	soon map[uint64]due
	// endAfter is when groups may be ended again, after the storage has failed.
	endAfter time.Time
}

// due is a group to visit, and since when.
type due struct {
	key   groupingkey.Key
	since time.Time
}

// comeSoon has the sweep visit a group as soon as it can.
func (s *sweep) comeSoon(d due) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, already := s.soon[d.key.Hash()]; !already {
		s.soon[d.key.Hash()] = d
	}
}

// takeSoon gives the groups to visit whether they are due or not.
func (s *sweep) takeSoon() map[uint64]due {
	s.mu.Lock()
	defer s.mu.Unlock()
	soon := s.soon
	s.soon = make(map[uint64]due)
	return soon
}

// endLater leaves groups whose time is over alone for a while. To find out anew at each tick that the storage is away costs the
// encoding of all their markers.
func (s *sweep) endLater(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endAfter = now.Add(defaultRetryAfter)
}

func (s *sweep) mayEnd(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !now.Before(s.endAfter)
}

// Start restores the groups of the store and begins to sweep them. Until they are restored, requests wait.
func (in *Ingest) Start(s *store.Store) error {
	ctx, cancel := context.WithCancel(context.Background())
	g := &groups{in: in, store: s, sweep: sweep{
		stop: cancel, restored: make(chan struct{}), done: make(chan struct{}), soon: make(map[uint64]due),
	}}
	in.groups = g
	go func() {
		defer close(g.sweep.done)
		if err := s.Restore(ctx); err != nil {
			return // Shut down before it was done.
		}
		close(g.sweep.restored)
		g.run(ctx)
	}()
	return in.telemetry.observeGroups(s.Counts)
}

var errStuck = errors.New("a consumer did not return before the shutdown's deadline; what it was given may be lost")

// shutdown ends the sweep and the use of the storage, once.
func (g *groups) shutdown(ctx context.Context) (err error) {
	g.sweep.ended.Do(func() {
		g.sweep.stop()
		select {
		case <-g.sweep.done:
		case <-ctx.Done():
			select {
			case <-g.sweep.done: // Requests may have used up all the time, long after the sweep was stopped.
			default:
				err = errStuck
			}
		}
		err = errors.Join(err, g.store.Close(context.WithoutCancel(ctx)))
	})
	return err
}

func (g *groups) interval() time.Duration {
	if g.in.options.Groups.RepublishInterval == 0 {
		return markerInterval
	}
	return g.in.options.Groups.RepublishInterval
}

// run sweeps each share at its time. Those whose time came while others were swept are swept together, so that a slow consumer
// is given more groups at once, and not each share after the one before.
func (g *groups) run(ctx context.Context) {
	pause := g.interval() / shares
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	started, next := time.Now(), 0
	var round time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		due := int(time.Since(started) / pause)
		next = max(next, due-shares)
		began := time.Now()
		g.sweepShares(ctx, next, due)
		round += time.Since(began)
		if due/shares > next/shares {
			g.in.telemetry.republished(ctx, round)
			round = 0
		}
		next = due
	}
}

// sweepShares visits the groups of shares, those to which it is to come soon, and some whose time is over.
func (g *groups) sweepShares(ctx context.Context, first, end int) {
	all, now := g.sweep.takeSoon(), g.in.clock.now()
	add := func(keys []groupingkey.Key) {
		for _, key := range keys {
			if _, already := all[key.Hash()]; !already {
				all[key.Hash()] = due{key, now}
			}
		}
	}
	if g.sweep.mayEnd(now) {
		add(g.store.Expired(now, ends))
	}
	for share := first; share < end; share++ {
		add(g.store.Keys(share%shares, shares))
	}
	eachOf(ctx, maps.Values(all), func(d due) { g.visit(ctx, d) })
}

// eachOf does something for each of some groups, for some at once, until the context ends.
func eachOf[E any](ctx context.Context, all iter.Seq[E], do func(E)) {
	var working sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for each := range all {
		if ctx.Err() != nil {
			break
		}
		free <- struct{}{}
		working.Go(func() {
			do(each)
			<-free
		})
	}
	working.Wait()
}

// visit ends a group whose time is over, and hands the current values of others on, after what they owe. A group that is
// busy is passed over, until soon: it may be about to live on, and who has its turn hands on newer values.
func (g *groups) visit(ctx context.Context, d due) {
	ctx, cancel := context.WithTimeout(ctx, g.patience())
	defer cancel()
	turn, free := g.turnOf(ctx, d)
	if !free {
		g.sweep.comeSoon(d)
		return
	}
	defer turn.release()
	if g.expire(ctx, turn, d.key) {
		return
	}
	g.endOwed(ctx, turn, d.key, causeRepublish)
	if g.in.options.Groups.RepublishInterval > 0 {
		_ = g.handOn(ctx, turn, d.key, store.Markers{}, g.store.Current(d.key), causeRepublish) // It is counted, and repeated.
	}
}

// turnOf takes a group's turn if it is free, or waits for the next one if the group has been busy for as long as a visit may take:
// those who push to it all the time need not name all that it holds. It goes ahead of them, or a long line would take the time
// that the visit has.
func (g *groups) turnOf(ctx context.Context, d due) (_ *turn, free bool) {
	if t, free := g.in.clock.turnIfFree(d.key); free || g.in.clock.now().Sub(d.since) < g.patience() {
		return t, free
	}
	return g.in.clock.turnAhead(ctx, d.key)
}

// patience bounds a visit.
func (g *groups) patience() time.Duration { return min(g.interval(), visitTimeout) }

// expire ends a group if its time is over. As long as it cannot be ended it lives, and its values are handed on.
func (g *groups) expire(ctx context.Context, turn *turn, key groupingkey.Key) (ended bool) {
	now := g.in.clock.now()
	if !g.store.HasExpired(key, now) || !g.sweep.mayEnd(now) {
		return false
	}
	if err := g.end(ctx, turn, key, causeExpire); err != nil {
		g.sweep.endLater(now)
		return false
	}
	g.in.telemetry.expired(ctx)
	return true
}

// StorageFailed reports a failure of the storage, as store.Options has it.
func (in *Ingest) StorageFailed(operation store.Operation, err error) {
	in.telemetry.storageFailed(string(operation), err)
}
