// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// maxHalving limits the time of halving after a transient error, because every push of the batch waits.
const maxHalving = time.Second

// ErrBusy says that the context ended while the push waited. The push was not forwarded, or its result is unknown.
var ErrBusy = errors.New("an earlier push is still being forwarded; try again later")

// proxy forwards pushes.
type proxy struct {
	outbox *Outbox

	mu      sync.Mutex
	calls   calls
	waking  bool            // a timer will call start
	keys    map[uint64]*key // of pushes that are ready or in a call, by hash
	lanes   map[string]*lane
	waiting list.List // lanes, the longest waiting first
}

// key is a grouping key with a push that is ready or in a call.
type key struct {
	next []*push // waiting pushes in order of arrival
}

// lane holds ready pushes that can share a call: same client metadata, free keys.
type lane struct {
	client string
	ready  list.List
	at     *list.Element // in proxy.waiting
}

// push is a push being forwarded. The proxy's mu guards its state.
type push struct {
	ctx    context.Context //nolint:containedctx // A push waits no longer than its request.
	key    uint64
	client string
	push   *translate.Push
	answer chan error    // buffered; nil if the push did not wait
	ready  *list.Element // in its lane
	begun  bool          // it is in a call
	call   time.Time     // the call of a lone push
}

// Forward forwards a push and returns the next consumer's error, or ErrBusy.
func (o *Outbox) Forward(ctx context.Context, k groupingkey.Key, pushed *translate.Push) error {
	if ctx.Err() != nil {
		return ErrBusy // The client may have retried with newer values.
	}
	p := &push{ctx: ctx, key: k.Hash(), client: clientOf(ctx), push: pushed}
	if o.proxy.enter(p) {
		err := o.proxy.forwardAlone(p)
		o.proxy.leave(p)
		return err
	}
	select {
	case err := <-p.answer:
		return err
	case <-ctx.Done():
		o.proxy.withdraw(p)
		return ErrBusy
	}
}

// enter reports whether the push can be forwarded immediately. Otherwise it queues the push.
func (x *proxy) enter(p *push) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	k, busy := x.keys[p.key]
	if room, _ := x.calls.room(); room && !busy && x.waiting.Len() == 0 {
		x.keys[p.key] = &key{}
		p.call = x.calls.begin()
		p.begun = true
		return true
	}
	p.answer = make(chan error, 1)
	if busy {
		k.next = append(k.next, p)
		return false
	}
	x.keys[p.key] = &key{}
	x.makeReady(p)
	x.start()
	return false
}

// makeReady appends a push whose key is free to its lane. The lock is held.
func (x *proxy) makeReady(p *push) {
	l := x.lanes[p.client]
	if l == nil {
		l = &lane{client: p.client}
		x.lanes[p.client] = l
		l.at = x.waiting.PushBack(l)
	}
	p.ready = l.ready.PushBack(p)
}

// takeReady removes a push from its lane. The lock is held.
func (x *proxy) takeReady(p *push) {
	l := x.lanes[p.client]
	l.ready.Remove(p.ready)
	p.ready = nil
	if l.ready.Len() == 0 {
		x.waiting.Remove(l.at)
		delete(x.lanes, l.client)
	}
}

// release frees a push's key for the next push. The lock is held.
func (x *proxy) release(p *push) {
	k := x.keys[p.key]
	if len(k.next) == 0 {
		delete(x.keys, p.key)
		return
	}
	x.makeReady(k.next[0])
	k.next = k.next[1:]
}

// withdraw removes a push whose context ended, unless it is in a call.
func (x *proxy) withdraw(p *push) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case p.begun:
	case p.ready != nil:
		x.takeReady(p)
		x.release(p)
	default:
		k := x.keys[p.key]
		for i, other := range k.next {
			if other == p {
				k.next = append(k.next[:i:i], k.next[i+1:]...)
				break
			}
		}
	}
	x.start()
}

// leave ends the call of a lone push.
func (x *proxy) leave(p *push) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.release(p)
	x.calls.end(p.call)
	x.start()
}

// start starts calls while slots are free and pushes are ready. The lock is held.
func (x *proxy) start() {
	for x.waiting.Len() > 0 {
		room, in := x.calls.room()
		if !room {
			x.startIn(in)
			return
		}
		batch, call := x.nextBatch(), x.calls.begin()
		go func() {
			x.forward(batch)
			x.mu.Lock()
			defer x.mu.Unlock()
			x.calls.end(call)
			x.start()
		}()
	}
}

// startIn calls start after the given time, when in-flight calls have become slow. The lock is held.
func (x *proxy) startIn(in time.Duration) {
	if in == 0 || x.waking {
		return
	}
	x.waking = true
	time.AfterFunc(in, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.waking = false
		x.start()
	})
}

// nextBatch removes a batch from the longest waiting lane. Only a single push can exceed the limit in series. The lock is
// held.
func (x *proxy) nextBatch() (batch []*push) {
	l := x.waiting.Front().Value.(*lane)
	x.waiting.MoveToBack(l.at)
	for series := 0; l.ready.Len() > 0 && len(batch) < maxGroups; {
		p := l.ready.Front().Value.(*push)
		if len(batch) > 0 && series+p.push.Series > maxSeries {
			break
		}
		x.takeReady(p)
		p.begun = true
		series += p.push.Series
		batch = append(batch, p)
	}
	return batch
}

// forwardAlone forwards a push in its own call.
func (x *proxy) forwardAlone(p *push) error {
	if err := x.outbox.clock.await(p.ctx, p.key); err != nil {
		return ErrBusy
	}
	p.push.Stamp(x.outbox.clock.tick(p.key))
	return x.outbox.consume(p.ctx, p.push.Metrics)
}

// finish answers pushes and frees their keys.
func (x *proxy) finish(pushes []*push, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range pushes {
		p.answer <- err
		x.release(p)
	}
	x.start()
}

// forward forwards a batch without pushes whose client is gone.
func (x *proxy) forward(batch []*push) {
	batch = x.dropGone(batch)
	if len(batch) <= 1 {
		for _, p := range batch {
			x.finish(batch, x.forwardAlone(p))
		}
		return
	}
	ctx, end := x.sharedContext(batch)
	defer end()
	keys := make([]uint64, len(batch))
	for i, p := range batch {
		keys[i] = p.key
	}
	if x.outbox.clock.await(ctx, keys...) != nil {
		x.finish(batch, ErrBusy)
		return
	}
	at := x.outbox.clock.tick(keys...)
	for _, p := range batch {
		p.push.Stamp(at)
	}
	began, accepts := time.Now(), x.outbox.accepts.Load()
	d := delivery[*push]{
		call:   func(pushes []*push) error { return x.call(ctx, pushes) },
		settle: x.finish,
		divide: func(p *push) []*push { return []*push{p} },
		splits: isPermanent,
		stops:  func() bool { return time.Since(began) > maxHalving },
		taken:  func() bool { return x.outbox.accepts.Load() > accepts },
		depth:  1,
	}
	d.run(batch)
}

func (x *proxy) dropGone(batch []*push) []*push {
	left := batch[:0:0]
	for i, p := range batch {
		if p.ctx.Err() == nil {
			left = append(left, p)
		} else {
			x.finish(batch[i:i+1], ErrBusy)
		}
	}
	return left
}

// sharedContext returns the context of a call for several pushes: their common client metadata, and links to their spans. It
// ends when all their contexts have ended.
func (x *proxy) sharedContext(batch []*push) (_ context.Context, end func()) {
	links := make([]trace.Link, 0, len(batch))
	for _, p := range batch {
		if link := trace.LinkFromContext(p.ctx); link.SpanContext.IsValid() {
			links = append(links, link)
		}
	}
	of := client.FromContext(batch[0].ctx)
	of.Addr = nil // Only the address differs.
	ctx, cancel := context.WithCancel(client.NewContext(context.Background(), of))
	ctx, span := x.outbox.options.Tracer.Start(ctx, "receiver/pushgateway/batch", trace.WithLinks(links...))
	var left atomic.Int64
	left.Store(int64(len(batch)))
	var stops []func() bool
	for _, p := range batch {
		stops = append(stops, context.AfterFunc(p.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		span.End()
		cancel()
	}
}

// call forwards pushes in one call. Several pushes are copied, because the consumer owns its argument and a failed call
// is repeated.
func (x *proxy) call(ctx context.Context, pushes []*push) error {
	if len(pushes) == 1 { // It is not forwarded again.
		return x.outbox.consume(ctx, pushes[0].push.Metrics)
	}
	md := pmetric.NewMetrics()
	all := md.ResourceMetrics()
	all.EnsureCapacity(len(pushes))
	for _, p := range pushes {
		for _, rm := range p.push.Metrics.ResourceMetrics().All() {
			rm.CopyTo(all.AppendEmpty())
		}
	}
	return x.outbox.consume(ctx, md)
}
