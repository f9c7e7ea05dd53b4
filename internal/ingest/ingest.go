// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package ingest holds the use cases of the receiver: what happens to a push between the request and the pipeline. It
// knows neither HTTP nor the grammar of a format.
//
// A push is decoded, checked and translated whole before anything is handed on; then its group is held, the time is
// taken, and the next consumer's answer is the push's answer.
package ingest

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// Options are the settings that the use cases depend on.
type Options struct {
	Exposition exposition.Options
	Translate  translate.Options
	// InFlightBytes bounds the decompressed bytes of all pushes being worked on; 0 means no limit.
	InFlightBytes int64

	_ struct{}
}

// Ingest takes pushes and hands them to the next consumer.
type Ingest struct {
	InFlight *InFlight

	options   Options
	next      consumer.Metrics
	clock     *clock
	telemetry *telemetry
}

// New makes an Ingest that hands on to next. Shutdown must be called when it is no longer used.
func New(set receiver.Settings, options Options, next consumer.Metrics) (*Ingest, error) {
	inFlight := NewInFlight(options.InFlightBytes)
	t, err := newTelemetry(set, inFlight)
	if err != nil {
		return nil, err
	}
	return &Ingest{
		InFlight:  inFlight,
		options:   options,
		next:      next,
		clock:     newClock(time.Now),
		telemetry: t,
	}, nil
}

// Shutdown ends the telemetry.
func (in *Ingest) Shutdown() { in.telemetry.shutdown() }

// Begin opens the observation of a request to push or delete a group. The returned context belongs to the request from
// then on. The observation must be ended exactly once, whatever becomes of the request.
func (in *Ingest) Begin(ctx context.Context, method string) (context.Context, *Observation) {
	return in.telemetry.begin(ctx, method)
}

// Push decodes the body and hands the push to the next consumer. The body is not used after the return. The error is a
// *Refusal; nothing has been handed on then unless the next consumer itself refused.
func (in *Ingest) Push(ctx context.Context, o *Observation, key groupingkey.Key, format exposition.Format, body []byte) error {
	push, reserved, err := in.translate(o, key, format, body)
	if err != nil {
		return err
	}
	defer in.InFlight.Release(reserved)
	o.translated(push.Series, push.DataPoints)
	return in.forward(ctx, key, push)
}

// translate brings the body into pdata that is complete but for its time. The decoded batch is given back here, so that
// a push waiting for its consumer holds pdata alone. What was reserved for the pdata is the caller's to release.
func (in *Ingest) translate(
	o *Observation, key groupingkey.Key, format exposition.Format, body []byte,
) (push *translate.Push, reserved int64, err error) {
	batch := exposition.GetBatch()
	defer exposition.PutBatch(batch)
	err = batch.Decode(format, body, in.options.Exposition)
	o.decoded(len(batch.Series))
	if err != nil {
		return nil, 0, Refuse(ReasonParse, err)
	}
	reserved = surplus(batch, key, body)
	err = in.InFlight.Reserve(reserved)
	if err != nil {
		return nil, 0, err
	}
	push, err = translate.Translate(batch, key, in.options.Translate)
	if err != nil {
		in.InFlight.Release(reserved)
		return nil, 0, refuseUntranslated(err)
	}
	return push, reserved, nil
}

func refuseUntranslated(err error) error {
	if _, ok := errors.AsType[*translate.LimitError](err); ok {
		return Refuse(ReasonLimit, err)
	}
	return Refuse(ReasonInconsistent, err)
}

// forward hands the push to the next consumer. The group stays held until the consumer returns: what was taken first
// must arrive first.
func (in *Ingest) forward(ctx context.Context, key groupingkey.Key, push *translate.Push) error {
	if push.DataPoints == 0 {
		return nil // Nothing to say: an empty body, and push_time_seconds is off.
	}
	now, release, err := in.clock.hold(ctx, key)
	if err != nil {
		return err
	}
	defer release()
	push.Stamp(now)
	if err := in.next.ConsumeMetrics(ctx, push.Metrics); err != nil {
		return refuseDownstream(err)
	}
	return nil
}
