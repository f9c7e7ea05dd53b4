// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"errors"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// decode reads the body into the batch, in the format that its Content-Type names. An OpenMetrics body with a fault is read as
// text if it is text, since a Pushgateway reads all of them so; then the fault is returned beside no error. What neither
// grammar takes has the fault of OpenMetrics. The memory for the batch is reserved while it grows: what the first attempt has
// reserved is kept for the second, as the batch keeps its memory.
func (in *Ingest) decode(o *Observation, batch *exposition.Batch, r Request, reserved *reservation) (fault *exposition.ParseError, err error) {
	err = in.decodeAs(r.Format, batch, r, reserved)
	o.decoded(len(batch.Series))
	fault, ok := errors.AsType[*exposition.ParseError](err)
	if !ok || r.Format != exposition.OpenMetrics {
		return nil, err
	}
	err = in.decodeAs(exposition.Text, batch, r, reserved)
	if _, isFault := errors.AsType[*exposition.ParseError](err); isFault || err == nil && in.mistakesTimestamps(batch) {
		return nil, fault
	}
	o.decoded(len(batch.Series))
	if err == nil {
		o.readAsText(fault)
	}
	return fault, err
}

func (in *Ingest) decodeAs(f exposition.Format, batch *exposition.Batch, r Request, reserved *reservation) error {
	options := in.options.Exposition
	weight := &scale{key: r.Key, body: r.Body, held: in.groups != nil}
	options.Weigh = func(b *exposition.Batch) error { return reserved.upTo(weight.surplus(b)) }
	if err := batch.Decode(f, r.Body, options); err != nil {
		return err
	}
	return options.Weigh(batch)
}

// mistakesTimestamps tells whether timestamps that are honored would come from an OpenMetrics body that was read as text. They
// are seconds there and milliseconds here. A Pushgateway honors none.
func (in *Ingest) mistakesTimestamps(batch *exposition.Batch) bool {
	if in.options.Translate.Timestamps != translate.Honor {
		return false
	}
	for i := range batch.Series {
		if batch.Series[i].HasTimestamp {
			return true
		}
	}
	return false
}

// readAsText adds to a refusal the fault in OpenMetrics for which the body was read as text, if it was.
func (r *Refusal) readAsText(fault *exposition.ParseError) *Refusal {
	if fault != nil {
		r.Help = "the body was read as text because of an " + cut(fault.Error())
	}
	return r
}
