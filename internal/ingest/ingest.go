// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package ingest holds the use cases of the receiver: what happens to a push between the request and the pipeline. It
// knows neither HTTP nor the grammar of a format.
//
// A push is decoded, checked and translated as a whole first. A proxy then forwards it, and the next consumer's answer is
// the answer to the push. With groups the push is stored, and the answer says that it is stored; the outbox exports the
// groups independently of requests.
package ingest

import (
	"cmp"
	"context"
	"errors"
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
	// Groups keep what is pushed; nil for a proxy that stores nothing.
	Groups *GroupOptions
	// InFlightBytes bounds the decompressed bytes of all pushes being worked on; 0 means no limit.
	InFlightBytes int64

	_ struct{}
}

// Ingest takes pushes. All methods are safe for concurrent use.
type Ingest struct {
	InFlight *InFlight

	options   Options
	outbox    *outbox.Outbox
	telemetry *telemetry

	stopping atomic.Bool
	groups   *groups // nil for a proxy
}

// New makes an Ingest that forwards to next. Shutdown must be called when it is no longer used.
func New(set receiver.Settings, options Options, next consumer.Metrics) (*Ingest, error) {
	inFlight := NewInFlight(options.InFlightBytes)
	t, err := newTelemetry(set, inFlight)
	if err != nil {
		return nil, err
	}
	t.groups = options.Groups != nil
	out := outbox.Options{
		Next: next, Observer: t, Now: time.Now,
		Tracer: set.TracerProvider.Tracer(metadata.ScopeName),
	}
	if options.Groups != nil {
		out.RepublishInterval = options.Groups.RepublishInterval
	}
	in := &Ingest{InFlight: inFlight, options: options, outbox: outbox.New(out), telemetry: t}
	in.options.Translate.Held = options.Groups != nil
	return in, nil
}

// Stopping makes Ready false from now on and ends the republishing. Requests in flight are finished.
func (in *Ingest) Stopping() {
	in.stopping.Store(true)
	if in.groups != nil {
		in.groups.stop()
	}
	in.outbox.Stop()
}

// Ready tells whether pushes are taken.
func (in *Ingest) Ready() bool {
	return !in.stopping.Load() && in.isRestored()
}

// Shutdown exports the changes of groups that are left, closes the store, and waits for calls under way and until the times
// that were given out have passed. Calls are cancelled when the context ends.
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

// Begin opens the observation of a request to push or delete a group. The returned context belongs to the request from
// then on. The observation must be ended exactly once, whatever becomes of the request.
func (in *Ingest) Begin(ctx context.Context, method string) (context.Context, *Observation) {
	return in.telemetry.begin(ctx, method)
}

// Request is a request to push.
type Request struct {
	Key    groupingkey.Key
	Format exposition.Format
	// Body is decompressed. It is not used after the push.
	Body []byte
	// Reserved is how many bytes in flight are reserved for Body.
	Reserved int64
	// Replace tells PUT, which replaces the group, from POST, which replaces the families it names. They mean the same where
	// nothing is stored.
	Replace bool
}

// Push decodes the body and forwards the push, or stores it if there are groups. The error is a *Refusal. If a proxy refuses a
// push, it has forwarded nothing, unless the next consumer itself refused. If groups refuse one, nothing has changed but perhaps
// the time of the last failure.
func (in *Ingest) Push(ctx context.Context, o *Observation, r Request) error {
	if err := in.awaitGroups(ctx); err != nil {
		return err
	}
	reserved := &reservation{inFlight: in.InFlight, body: r.Reserved}
	defer reserved.release()
	push, err := in.translate(o, r, reserved)
	if err != nil {
		in.noteFailure(ctx, r.Key, err)
		return err
	}
	o.translated(push.Series, push.DataPoints)
	if in.groups != nil {
		return in.groups.push(ctx, r, push)
	}
	return in.forward(ctx, r.Key, push)
}

// translate brings the body into pdata that is complete but for its time. The decoded batch is given back here, so that
// a push waiting for its consumer holds pdata alone. The memory for both is reserved while they grow.
func (in *Ingest) translate(o *Observation, r Request, reserved *reservation) (*translate.Push, error) {
	batch := exposition.GetBatch()
	defer exposition.PutBatch(batch)
	fault, err := in.decode(o, batch, r, reserved)
	if err != nil {
		return nil, refuseUndecoded(err)
	}
	translating := in.options.Translate
	translating.Reserve = func(bytes int64) error { return reserved.more(bytes / usualWeight) }
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

// forward forwards the push. Its memory stays reserved as long as the request waits.
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
		return refuseDownstream(err)
	}
}

// refuseDownstream turns an error of the next consumer into a refusal.
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
