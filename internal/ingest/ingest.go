// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package ingest implements the use cases push, delete and wipe. It knows neither HTTP nor the grammar of a format.
//
// A push is decoded, checked and translated completely first. A proxy then forwards it and returns the result of the next consumer.
// With groups it is stored, and the result says whether it is stored. The outbox exports groups independently of requests.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/outbox"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// Options are the settings that the use cases depend on.
type Options struct {
	Exposition exposition.Options
	Translate  translate.Options
	// Groups enables groups. It is nil for a proxy.
	Groups *GroupOptions
	// InFlightBytes bounds the decompressed bytes of all pushes in progress. 0 means no limit.
	InFlightBytes int64
	// Watcher is told about requests. It may be nil.
	Watcher Watcher

	_ struct{}
}

// Ingest processes requests. All methods are safe for concurrent use, except Start.
type Ingest struct {
	InFlight *InFlight

	options   Options
	outbox    *outbox.Outbox
	telemetry *telemetry

	stopping atomic.Bool
	groups   *groups // nil for a proxy
}

// New returns an Ingest that forwards to next. Call Shutdown at the end.
func New(set receiver.Settings, options Options, next consumer.Metrics) (*Ingest, error) {
	inFlight := NewInFlight(options.InFlightBytes)
	t, err := newTelemetry(set, inFlight)
	if err != nil {
		return nil, err
	}
	t.groups, t.watcher, t.store = options.Groups != nil, options.Watcher, "storage"
	if t.groups && options.Groups.Database {
		t.store = "database"
	}
	out := outbox.Options{
		Next: next, Observer: t, Now: time.Now,
		Tracer:    set.TracerProvider.Tracer(metadata.ScopeName),
		ErrorText: func(err error) string { return refuseDownstream(err).Error() },
	}
	if options.Groups != nil {
		out.RepublishInterval = options.Groups.RepublishInterval
	}
	in := &Ingest{InFlight: inFlight, options: options, outbox: outbox.New(out), telemetry: t}
	in.options.Translate.Held = options.Groups != nil
	return in, nil
}

// Stopping makes Ready return false and stops republishing. Requests in flight continue.
func (in *Ingest) Stopping() {
	in.stopping.Store(true)
	if in.groups != nil {
		in.groups.stop()
	}
	in.outbox.Stop()
}

// Ready reports whether pushes are accepted.
func (in *Ingest) Ready() bool {
	return !in.stopping.Load() && in.isRestored()
}

// Shutdown exports the remaining changes of groups, waits for calls of the next consumer and until the timestamps in use have passed,
// and closes the store. Calls are cancelled when the context ends.
func (in *Ingest) Shutdown(ctx context.Context) error {
	in.Stopping()
	if in.groups != nil {
		in.groups.wait()
	}
	err := in.outbox.Shutdown(ctx)
	if in.groups != nil {
		err = errors.Join(err, in.groups.close(ctx))
	}
	in.telemetry.shutdown()
	return err
}

// Begin starts the observation of a request to push or delete a group. Use the returned context for the request, and end the
// observation exactly once.
func (in *Ingest) Begin(ctx context.Context, method string) (context.Context, *Observation) {
	return in.telemetry.begin(ctx, method)
}

// Request is a request to push.
type Request struct {
	Key    groupingkey.Key
	Format exposition.Format
	// Body is decompressed. It is not used after Push returns.
	Body []byte
	// Reserved are the bytes in flight that are reserved for Body.
	Reserved int64
	// Replace is true for PUT, which replaces the group, and false for POST, which replaces the families in the body. A proxy ignores it.
	Replace bool
}

// Push decodes the body and forwards the push, or stores it if groups are enabled. The error is a *Refusal. A refused push is not
// forwarded, unless the next consumer refused it. It changes no group, except for the time of the last failure.
func (in *Ingest) Push(ctx context.Context, o *Observation, r Request) error {
	if err := in.awaitGroups(ctx); err != nil {
		return err
	}
	pusher := r.Key
	rule, group := in.ruleOf(pusher)
	r.Key = group
	reserved := &reservation{inFlight: in.InFlight, body: r.Reserved}
	defer reserved.release()
	push, err := in.translate(o, r, reserved)
	if err != nil {
		in.noteFailure(ctx, r.Key, err)
		return err
	}
	o.translated(push.Series, push.DataPoints)
	in.peek(o, r.Key, push)
	switch {
	case rule != nil:
		return in.groups.contribute(ctx, r, rule, pusher, push)
	case in.groups != nil:
		return in.groups.push(ctx, r, push)
	default:
		return in.forward(ctx, r.Key, push)
	}
}

// translate decodes the body and translates it into pdata without timestamps. It releases the batch, so that a waiting push holds only
// pdata. Memory is reserved while batch and pdata grow.
func (in *Ingest) translate(o *Observation, r Request, reserved *reservation) (*translate.Push, error) {
	batch := exposition.GetBatch()
	defer exposition.PutBatch(batch)
	fault, err := in.decode(o, batch, r, reserved)
	if err != nil {
		return nil, refuseUndecoded(err)
	}
	translating := in.options.Translate
	translating.Reserve = func(bytes int64) error { return reserved.more(bytes / memoryPerByte) }
	push, err := translate.Translate(batch, r.Key, translating)
	if err != nil {
		return nil, refuseUntranslated(err).readAsText(fault)
	}
	return push, nil
}

func refuseUndecoded(err error) error {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	return Refuse(ReasonParse, err)
}

func refuseUntranslated(err error) *Refusal {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	if _, ok := errors.AsType[*translate.LimitError](err); ok {
		return Refuse(ReasonLimit, err)
	}
	return Refuse(ReasonInconsistent, err)
}

// forward forwards the push and waits for the result.
func (in *Ingest) forward(ctx context.Context, key groupingkey.Key, push *translate.Push) error {
	if push.DataPoints == 0 {
		return nil // An empty body, and push_time_seconds is off.
	}
	switch err := in.outbox.Forward(ctx, key, push); {
	case err == nil:
		return nil
	case errors.Is(err, outbox.ErrBusy):
		return &Refusal{Reason: ReasonOverload, Err: err, RetryAfter: defaultRetryAfter}
	default:
		return refuseForwarding(err)
	}
}

// What a proxy adds to an error of the next consumer, for the owner of the job.
const (
	helpRetry   = "nothing was kept, and a retry is safe"
	helpNoRetry = "nothing was kept, and a retry fails too unless the cause is removed"
)

// refuseForwarding refuses a push that the next consumer did not accept, and says whether the client may retry.
func refuseForwarding(err error) *Refusal {
	refusal := refuseDownstream(err)
	refusal.Err = fmt.Errorf("the backend did not accept the push: %w", err)
	refusal.Help = helpRetry
	if refusal.Reason == ReasonPermanent {
		refusal.Help = helpNoRetry
	}
	return refusal
}

// refuseDownstream classifies an error of the next consumer.
func refuseDownstream(err error) *Refusal {
	switch verdict, delay := outbox.Judge(err); verdict {
	case outbox.Permanent:
		return Refuse(ReasonPermanent, err)
	case outbox.Exhausted:
		return &Refusal{Reason: ReasonExhausted, Err: err, RetryAfter: cmp.Or(delay, defaultRetryAfter)}
	default:
		return &Refusal{Reason: ReasonUnavailable, Err: err, RetryAfter: cmp.Or(delay, defaultRetryAfter)}
	}
}
