// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"errors"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// decode decodes the body in the format of its Content-Type. An invalid OpenMetrics body is decoded as text if it is valid text, as
// in a Pushgateway; decode then returns the OpenMetrics error as fault and no error. If the body is neither, the error is that of
// OpenMetrics. Memory is reserved while the batch grows. The second attempt reuses the batch and its reservation.
func (in *Ingest) decode(o *Observation, batch *exposition.Batch, r Request, reserved *reservation) (fault *exposition.ParseError, err error) {
	err = in.decodeAs(r.Format, batch, r, reserved)
	o.decoded(len(batch.Series))
	fault, ok := errors.AsType[*exposition.ParseError](err)
	if !ok || r.Format != exposition.OpenMetrics {
		return nil, err
	}
	err = in.decodeAs(exposition.Text, batch, r, reserved)
	if _, isFault := errors.AsType[*exposition.ParseError](err); isFault || err == nil && in.honorsTimestamps(batch) {
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
	estimator := &memoryEstimator{key: r.Key, body: r.Body, stored: in.groups != nil}
	options.CheckMemory = func(b *exposition.Batch) error { return reserved.upTo(estimator.extra(b)) }
	if err := batch.Decode(f, r.Body, options); err != nil {
		return err
	}
	return options.CheckMemory(batch)
}

// honorsTimestamps reports whether a batch that was decoded as text has timestamps that would be honored. They are milliseconds in text
// and seconds in OpenMetrics.
func (in *Ingest) honorsTimestamps(batch *exposition.Batch) bool {
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

// readAsText adds the OpenMetrics fault, if any, because of which the body was read as text.
func (r *Refusal) readAsText(fault *exposition.ParseError) *Refusal {
	if fault != nil {
		r.Help = "the body was read as text because of an " + truncate(fault.Error())
	}
	return r
}
