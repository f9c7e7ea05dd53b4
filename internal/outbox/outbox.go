// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package outbox is the only way to the next consumer.
//
// It batches by load and needs no timer: a lone push is forwarded immediately. Pushes that arrive during in-flight calls
// wait and share the next call. A grouping key has at most one in-flight call. Usually two calls are in flight. A slow
// call makes room for another, up to maxCalls, so that it does not block the others. Batches are limited in groups and
// series.
//
// # Proxy
//
// Forward returns the result of its own push. A batch with a permanent error is halved until each refused push is alone.
// A batch with a transient error is also halved, because some backends answer 500 for a single series: only while calls
// fail fast, and beyond the first level only if the consumer accepts something. If it accepts nothing, all pushes of the
// batch fail. A push whose context ends while it waits is not forwarded. Only pushes with the same client metadata share
// a call. Nothing is stored or retried.
//
// # Groups
//
// Serve exports what a Source has due and reports an outcome for each part. No client waits. If everything is refused, a
// few groups at a time are retried with a growing pause. If some parts are accepted, refused ones are found by halving,
// down to a family, and are retried alone. After repeated refusals a part is quarantined: it is retried once per round,
// logged once and counted. It blocks nothing else.
//
// # Times
//
// A call's time is taken when it begins, in whole milliseconds. It is never earlier than that of an earlier call, and
// later than that of earlier calls with the same grouping key. With groups, it is later than that of every earlier call.
// It is at most maxLead ahead of the system clock. The parts of a halved batch keep its time, so that samples that the
// backend already stored stay the same.
//
// # Contract
//
// All methods are safe for concurrent use. Shutdown waits for in-flight calls. The outbox does not store groups, does not
// decide what is due and writes no log.
package outbox

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// maxGroups, maxSeries and maxBytes limit a batch. Backends limit requests: OTLP over gRPC to 4 MiB by default.
	maxGroups = 1000
	maxSeries = 10_000
	maxBytes  = 2 << 20
)

// Options are the settings of an Outbox.
type Options struct {
	Next     consumer.Metrics
	Observer Observer
	Tracer   trace.Tracer
	// RepublishInterval is the interval between exports of a group, and the maximum pause after refusals. 0 means never.
	RepublishInterval time.Duration
	// Now returns the current time.
	Now func() time.Time
	// ErrorText returns the text of an error of the next consumer that may be shown: without secrets.
	ErrorText func(error) string

	_ struct{}
}

// Observer receives events for telemetry. Its methods can be called concurrently.
type Observer interface {
	// Called reports a call of the next consumer with its data points and error.
	Called(ctx context.Context, points int, err error)
	// Quarantined reports a quarantined part and the error.
	Quarantined(part *store.Part, err error)
	// Accepted reports that a quarantined part was accepted again.
	Accepted(part *store.Part)
}

// Outbox forwards metrics to the next consumer.
type Outbox struct {
	options Options
	clock   *clock
	accepts atomic.Int64 // accepted calls

	proxy  proxy
	groups atomic.Pointer[groups] // nil in proxy mode
}

// New creates an Outbox. Call Shutdown when it is no longer used.
func New(options Options) *Outbox {
	o := &Outbox{options: options, clock: newClock(options.Now)}
	o.proxy = proxy{outbox: o, keys: make(map[uint64]*key), lanes: make(map[string]*lane)}
	return o
}

// Tick returns the time of a claim of groups: a whole millisecond, later than all before.
func (o *Outbox) Tick() time.Time { return o.clock.tick(allGroups) }

// Shutdown exports the remaining changes of groups, unless everything is refused. It waits until all calls have ended and
// the system clock has passed all issued times. When the context ends, it cancels calls. The error is errStuck.
func (o *Outbox) Shutdown(ctx context.Context) (err error) {
	if g := o.groups.Load(); g != nil {
		err = g.shutdown(ctx)
	}
	o.clock.waitForClock(ctx)
	return err
}

// consume calls the next consumer.
func (o *Outbox) consume(ctx context.Context, md pmetric.Metrics) error {
	points := md.DataPointCount() // The consumer may change md.
	err := o.options.Next.ConsumeMetrics(ctx, md)
	o.options.Observer.Called(ctx, points, err)
	if err == nil {
		o.accepts.Add(1)
	}
	return err
}
