// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package outbox is the only way to the next consumer.
//
// It forwards whatever is there, many groups in one call, and never has two calls under way for one grouping key. A lone push
// is forwarded at once. Whatever arrives while calls are under way waits, and is forwarded together in the next call, so batches
// grow with the load and need no timer. Usually two calls are under way at once. A slow one makes room for another, up to maxCalls, so
// that it does not hold up the others. Batches are bounded in groups and in series.
//
// # Proxy
//
// Forward returns what became of the push itself. If a batch is refused permanently, it is halved until each push at fault stands
// alone. If it is refused transiently, it is halved as well, because some backends answer 500 for a single series: but only as long
// as calls fail fast, and deeper than once only if the consumer has accepted something in the meantime. If it accepts nothing, all
// pushes of the batch are refused. A push whose context ends while it waits is not forwarded. Only pushes with the same client
// metadata share a call. Nothing is kept and nothing is retried.
//
// # Groups
//
// Serve exports what a Source has due, and tells it what became of each part. Nobody waits for that. If everything is refused, parts stay
// as they are and are tried again with a growing pause, and meanwhile only a few groups are tried at a time. If some parts are accepted, the
// others are found by halving, down to a single family, and are tried by themselves from then on. A part that is refused again and again
// is quarantined: it is tried once a round, is logged once and counted, and holds up nothing else.
//
// # Times
//
// The time of a call is taken when it begins, in whole milliseconds. It is later than that of every earlier call with the same
// grouping key, never earlier than that of any earlier call, and at most maxLead ahead of the time of day. With groups it is later than
// that of every earlier call. Parts of a halved batch keep the time of the batch, so that samples which the backend has stored
// already are the same samples again.
//
// All methods are safe for concurrent use.
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
	// maxGroups, maxSeries and maxBytes bound a batch. A backend bounds the size of a request: 4 MiB is the default of OTLP over gRPC.
	maxGroups = 1000
	maxSeries = 10_000
	maxBytes  = 2 << 20
)

// Options are the settings of an Outbox.
type Options struct {
	Next     consumer.Metrics
	Observer Observer
	Tracer   trace.Tracer
	// RepublishInterval is how often groups are exported again, and the longest pause after refusals; 0 means never.
	RepublishInterval time.Duration
	// Now is the time of day.
	Now func() time.Time

	_ struct{}
}

// Observer is told what the outbox does, for telemetry. It may be called concurrently.
type Observer interface {
	// Called is told of each call of the next consumer, with its data points and the error that it returned.
	Called(ctx context.Context, points int, err error)
	// Quarantined is told of each part that is quarantined, and why it was refused.
	Quarantined(part *store.Part, err error)
	// Accepted is told of each quarantined part that is accepted again.
	Accepted(part *store.Part)
}

// Outbox hands metrics to the next consumer.
type Outbox struct {
	options Options
	clock   *clock
	accepts atomic.Int64 // calls that the next consumer accepted

	proxy  proxy
	groups atomic.Pointer[groups] // nil for a proxy
}

// New makes an Outbox. Shutdown must be called when it is no longer used.
func New(options Options) *Outbox {
	o := &Outbox{options: options, clock: newClock(options.Now)}
	o.proxy = proxy{outbox: o, keys: make(map[uint64]*key), lanes: make(map[string]*lane)}
	return o
}

// Tick returns the time of a claim of groups: a whole millisecond, later than all before.
func (o *Outbox) Tick() time.Time { return o.clock.tick(allGroups) }

// Shutdown exports the changes of groups that have not been exported, unless the backend is away, and waits until all calls have ended and
// the times that were given out have passed. When the context ends, calls are cancelled. The error is errStuck.
func (o *Outbox) Shutdown(ctx context.Context) (err error) {
	if g := o.groups.Load(); g != nil {
		err = g.shutdown(ctx)
	}
	o.clock.catchUp(ctx)
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
