// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"iter"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Accumulator is the state of one series of an aggregate: the combined value of many contributions. Accumulators are immutable.
//
// An accumulator that fails returns the error and stays valid. All contributions must be of the accumulator's function.
type Accumulator interface {
	// Push replaces a pusher's contribution by a new push. Old is nil if the pusher has no contribution yet.
	Push(old *Contribution, s Sample) (Result, error)
	// Add adds a contribution as it is.
	Add(c *Contribution) (Accumulator, error)
	// Withdraw removes a contribution whose pusher has ended or has left out the series. If the function outlives the pusher,
	// Withdraw changes nothing.
	Withdraw(c *Contribution) (Accumulator, error)
	// Empty tells whether there is no value. The series has ended, or has not begun.
	Empty() bool
	// Known is false if the value can only be found by Rebuild, because the pusher with the smallest or largest one has left.
	Known() bool
	// Zero is the value of a total before its first push, in the shape that it has now. It is nil for other functions.
	Zero() Accumulator
	// AppendPoint appends a point without time to a metric made by Describe. A gauge gets no start time. The value must be known
	// and the accumulator must not be empty.
	AppendPoint(to pmetric.Metric, attributes pcommon.Map, start pcommon.Timestamp)
	// Encode appends the accumulator in the form that DecodeAccumulator reads.
	Encode(b []byte) []byte

	function() Function
}

// Result is the state after a push.
type Result struct {
	Accumulator  Accumulator
	Contribution *Contribution
	Outcome      Outcome
	// Capped tells that the push has bounds for which the classic histogram of the aggregate has no room.
	Capped bool
}

// New is the accumulator of a series without contributions.
func New(f Function) Accumulator {
	switch f {
	case Total:
		return total{}
	case Last:
		return last{}
	case Min, Max:
		return extreme{of: f}
	default:
		return sum{of: f}
	}
}

// Fold ends a pusher. Base accumulates the ended pushers. Value accumulates the ended and the remembered pushers. If the
// function outlives the pusher, its contribution is added to the base and the value stays unchanged. Otherwise it is removed
// from the value.
func Fold(base, value Accumulator, c *Contribution) (newBase, newValue Accumulator, err error) {
	if value.function().OutlivesPusher() {
		newBase, err = base.Add(c)
		return newBase, value, err
	}
	newValue, err = value.Withdraw(c)
	return base, newValue, err
}

// Rebuild computes the value from the base and the contributions of all remembered pushers, in any order. It restores the value
// after a restart and finds the next smallest or largest value. Its cost is proportional to the number of contributions.
func Rebuild(base Accumulator, all iter.Seq[*Contribution]) (value Accumulator, err error) {
	value = base
	for c := range all {
		if value, err = value.Add(c); err != nil {
			return nil, err
		}
	}
	return value, nil
}

// point is what all points have in common.
type point interface {
	Attributes() pcommon.Map
	SetStartTimestamp(pcommon.Timestamp)
}

// finish completes a point that was appended to a metric.
func finish(p point, of pmetric.Metric, attributes pcommon.Map, start pcommon.Timestamp) {
	attributes.CopyTo(p.Attributes())
	if of.Type() != pmetric.MetricTypeGauge {
		p.SetStartTimestamp(start)
	}
}

// putNumber appends a point with a value.
func putNumber(to pmetric.Metric, v float64) point {
	var points pmetric.NumberDataPointSlice
	if to.Type() == pmetric.MetricTypeGauge {
		points = to.Gauge().DataPoints()
	} else {
		points = to.Sum().DataPoints()
	}
	dp := points.AppendEmpty()
	dp.SetDoubleValue(v)
	return dp
}
