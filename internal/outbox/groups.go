// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

const (
	// callTimeout is the timeout of a call for groups, for which no client waits. Halving a batch halves it, down to
	// partTimeout.
	callTimeout = 30 * time.Second
	// partTimeout is also the timeout for all suspects of a claim together.
	partTimeout = 5 * time.Second
	// settleTimeout is the timeout for storing acknowledged markers.
	settleTimeout = 10 * time.Second
	// stuckTimeout is the maximum time for a cancelled call to return.
	stuckTimeout = time.Second
	// probeInterval is the time between calls while everything is refused, and the minimum pause of a refused part.
	probeInterval = time.Second
	// probeGroups is the number of groups per call while everything is refused.
	probeGroups = 16
	// defaultRound is the maximum pause without republishing.
	defaultRound = time.Minute
)

var errStuck = errors.New("the next consumer did not return before the shutdown deadline; data in in-flight calls may be lost")

// Source provides the groups to export.
type Source interface {
	// Claim returns what is due. If nothing is, it returns nil and the next due time, zero for never.
	Claim(context.Context, store.Limits) (*store.Claim, time.Time)
	// Settle ends a claim whose parts have their outcomes.
	Settle(context.Context, *store.Claim) error
	// Changed receives when something may be due earlier than Claim returned.
	Changed() <-chan struct{}
}

// groups exports what a source has due.
type groups struct {
	outbox      *Outbox
	source      Source
	suspects    suspects
	stop        context.CancelFunc // ends claiming
	cancel      context.CancelFunc // ends calls
	context     context.Context    //nolint:containedctx // It is that of the calls, not of a request.
	claiming    sync.WaitGroup
	exporting   sync.WaitGroup
	freed       chan struct{} // receives when a call ends
	loneRefusal atomic.Int64  // 1 + Outbox.accepts at the last permanent refusal of a claim's only part

	mu     sync.Mutex
	calls  calls
	pause  time.Duration // of refused parts; 0 if the last export was accepted in part
	paused time.Time     // when the next probe is due
}

// Serve starts to export what the source has due, until Shutdown.
func (o *Outbox) Serve(source Source) {
	claims, stop := context.WithCancel(context.Background())
	calls, cancel := context.WithCancel(context.Background())
	g := &groups{
		outbox: o, source: source, suspects: suspects{known: make(map[store.PartID]*suspect)},
		stop: stop, cancel: cancel, context: calls, freed: make(chan struct{}, 1),
	}
	o.groups.Store(g)
	g.claiming.Go(func() { g.run(claims) })
}

// Stop stops claiming. In-flight calls continue.
func (o *Outbox) Stop() {
	if g := o.groups.Load(); g != nil {
		g.stop()
	}
}

// shutdown exports the remaining changes, unless everything is refused, and waits for in-flight calls. When the context
// ends, it cancels them.
func (g *groups) shutdown(ctx context.Context) error {
	g.stop()
	defer g.cancel()
	defer context.AfterFunc(ctx, g.cancel)()
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.claiming.Wait()
		for g.context.Err() == nil && g.probesIn() == 0 {
			limits := g.limits()
			limits.Last = true
			claim, _ := g.source.Claim(ctx, limits)
			if claim == nil {
				break
			}
			g.export(claim)
		}
		g.exporting.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	select { // A consumer that observes its context returns now.
	case <-done:
		return nil
	case <-time.After(stuckTimeout):
		return errStuck
	}
}

// run claims and exports what is due until the context ends.
func (g *groups) run(ctx context.Context) {
	for g.await(ctx) {
		claim, due := g.source.Claim(ctx, g.limits())
		if claim == nil {
			if !g.awaitDue(ctx, due) {
				return
			}
			continue
		}
		call := g.begin()
		g.exporting.Go(func() {
			defer g.end(call)
			g.export(claim)
		})
	}
}

// await waits until the next groups can be claimed. It returns false if the context ends.
func (g *groups) await(ctx context.Context) bool {
	if pause := g.probesIn(); pause > 0 && !sleep(ctx, pause) {
		return false
	}
	if g.outbox.clock.await(ctx, allGroups) != nil {
		return false
	}
	for {
		room, in := g.room()
		if room {
			return ctx.Err() == nil
		}
		var slow <-chan time.Time
		if in > 0 {
			slow = time.After(in)
		}
		select {
		case <-g.freed:
		case <-slow:
		case <-ctx.Done():
			return false
		}
	}
}

func (g *groups) room() (ok bool, in time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls.room()
}

func (g *groups) begin() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls.begin()
}

func (g *groups) end(call time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls.end(call)
	select {
	case g.freed <- struct{}{}:
	default:
	}
}

// limits returns the limits of the next claim. While everything is refused, it allows a few groups each probeInterval,
// even if earlier calls hang.
func (g *groups) limits() store.Limits {
	limits := store.Limits{Groups: maxGroups, Series: maxSeries, Bytes: maxBytes}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pause > 0 {
		limits.Groups, g.paused = probeGroups, g.outbox.options.Now().Add(probeInterval)
	}
	return limits
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitDue waits until something may be due.
func (g *groups) awaitDue(ctx context.Context, due time.Time) bool {
	var later <-chan time.Time
	if !due.IsZero() {
		timer := time.NewTimer(due.Sub(g.outbox.options.Now()))
		defer timer.Stop()
		later = timer.C
	}
	select {
	case <-g.source.Changed():
	case <-later:
	case <-ctx.Done():
		return false
	}
	return true
}

// probesIn returns the time until the next probe, or 0 if the last export was accepted in part.
func (g *groups) probesIn() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pause == 0 {
		return 0
	}
	return max(g.paused.Sub(g.outbox.options.Now()), time.Millisecond)
}

// accepted records that something was accepted.
func (g *groups) accepted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pause = 0
}

// refused records that everything was refused, and returns when to retry.
func (g *groups) refused(err error) time.Time {
	_, asked := Judge(err)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.outbox.options.Now()
	g.pause = min(max(2*g.pause, probeInterval), g.round())
	g.paused = now.Add(min(probeInterval, g.pause))
	return now.Add(max(g.pause, asked))
}

// round returns the republish interval.
func (g *groups) round() time.Duration {
	if interval := g.outbox.options.RepublishInterval; interval > 0 {
		return interval
	}
	return defaultRound
}

// export exports the parts of a claim and settles it.
func (g *groups) export(claim *store.Claim) {
	e := export{groups: g, claim: claim, accepts: g.outbox.accepts.Load(), context: g.context, timeout: callTimeout}
	if !claim.Until.IsZero() {
		var cancel context.CancelFunc
		e.context, cancel = context.WithDeadline(g.context, claim.Until)
		defer cancel()
		e.timeout = min(callTimeout, time.Until(claim.Until)/2) // Leave time for halving.
	}
	normal, suspects := g.suspects.sort(claim, g.outbox.options.Now())
	for len(normal) > 0 && (e.failed == nil || e.isUp()) {
		n := batchSize(normal)
		e.deliver(normal[:n])
		normal = normal[n:]
	}
	e.judge()
	e.trySuspects(suspects)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.context), settleTimeout)
	defer cancel()
	_ = g.source.Settle(ctx, claim) // The source reports storage failures itself.
}

// batchSize returns the number of leading parts that fit a batch. At least one does.
func batchSize(parts []*store.Part) int {
	n, count := 1, parts[0].Series
	for n < len(parts) && count+parts[n].Series <= maxSeries {
		count += parts[n].Series
		n++
	}
	return n
}

// export is the state of exporting a claim.
type export struct {
	*groups

	claim           *store.Claim
	context         context.Context //nolint:containedctx // It is that of the calls, not of a request.
	timeout         time.Duration   // of a call with all parts
	accepts         int64           // the outbox's accepts when the export began
	failed          error           // the last refusal
	refusedAlone    []*store.Part   // parts refused alone
	refusedTogether []*store.Part   // parts refused together
}

// isUp reports whether the next consumer has accepted anything since the export began.
func (e *export) isUp() bool { return e.outbox.accepts.Load() > e.accepts }

func (e *export) deliver(parts []*store.Part) {
	began := time.Now()
	d := delivery[*store.Part]{
		call: func(some []*store.Part) error {
			timeout := max(e.timeout*time.Duration(len(some))/time.Duration(len(parts)), partTimeout)
			ctx, cancel := context.WithTimeout(e.context, timeout)
			defer cancel()
			return e.call(ctx, some)
		},
		settle: e.settle,
		divide: e.claim.Divide,
		// For a claim of a single group, nothing else may ever be accepted, and most of its families may be refused.
		splits: func(error) bool { return parts[0].SameGroup(parts[len(parts)-1]) && time.Since(began) < maxHalving },
		stops:  func() bool { return e.context.Err() != nil },
		taken:  e.isUp,
		depth:  1 << 10, // No client waits.
	}
	d.run(parts)
}

// call exports parts in one call. Parts of a group share a resource.
func (e *export) call(ctx context.Context, parts []*store.Part) error {
	md := pmetric.NewMetrics()
	for first := 0; first < len(parts); {
		group, last := parts[first].Metrics(), first+1
		for ; last < len(parts) && parts[last].SameGroup(parts[first]); last++ {
			series.AppendMetrics(group, parts[last].Metrics())
		}
		group.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
		first = last
	}
	translate.Stamp(md, e.claim.At)
	err := e.outbox.consume(ctx, md)
	for _, p := range parts {
		p.Outcome.Tried = true
		p.Outcome.Doubtful = p.Outcome.Doubtful || isDoubtful(err)
	}
	return err
}

func (e *export) settle(parts []*store.Part, err error) {
	switch {
	case err == nil:
		for _, p := range parts {
			p.Outcome.Accepted = true
		}
		return
	case len(parts) == 1:
		p := parts[0]
		p.Outcome.Err = err
		e.refusedAlone = append(e.refusedAlone, p)
	default:
		e.refusedTogether = append(e.refusedTogether, parts...)
	}
	e.failed = err
}

// judge decides when refused parts are retried. A part refused while others were accepted is a suspect.
func (e *export) judge() {
	switch {
	case e.groups.context.Err() != nil: // calls were cancelled
	case e.isUp():
		e.accepted()
		for _, p := range e.refusedAlone {
			e.suspects.refuse(e.groups, p)
		}
		for _, p := range e.refusedTogether {
			p.Outcome.Retry = e.outbox.options.Now().Add(probeInterval)
		}
	case e.failed == nil:
	case len(e.refusedTogether) == 0 && len(e.refusedAlone) == 1 && isPermanent(e.failed) && e.loneRefusal.Swap(e.accepts+1) != e.accepts+1:
		// A second refusal before anything is accepted suggests that everything is refused.
		e.suspects.refuse(e.groups, e.refusedAlone[0])
	default:
		retry := e.refused(e.failed)
		for _, p := range e.claim.Parts {
			if p.Outcome.Tried {
				p.Outcome.Retry = retry
			}
		}
	}
}

// trySuspects exports each suspect alone. If some hang, the others are left to a later claim, because the groups of this
// claim wait.
func (e *export) trySuspects(parts []*store.Part) {
	ctx, cancel := context.WithTimeout(e.context, partTimeout)
	defer cancel()
	for _, p := range parts {
		if ctx.Err() == nil {
			e.trySuspect(ctx, p)
		} else {
			p.Outcome.Retry, p.Outcome.Suspect = e.outbox.options.Now().Add(probeInterval), true
		}
	}
}

func (e *export) trySuspect(ctx context.Context, p *store.Part) {
	err := e.call(ctx, []*store.Part{p})
	if err == nil {
		p.Outcome.Accepted = true
		e.accepted()
		e.suspects.accept(e.groups, p)
		return
	}
	p.Outcome.Err = err
	e.suspects.refuse(e.groups, p)
}
