// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Sample is the value of one push for one series of an aggregate. Samples are immutable.
type Sample struct {
	created int64  // when the count began, in milliseconds since the epoch; 0 if unknown
	amount  amount // of Total
	value   float64
	values  uint64 // how many series of the push are in value
	order   int64  // of Last
}

// Read reads the i-th point of a metric for a function that is not Drop and allows the metric. The time is that of the push.
// For Last it must increase from push to push of an aggregate.
//
// The point is not there (false) if it is a stale marker, or NaN and the function skips NaN. The error is for the pusher: a
// phrase that follows the name of the series.
func (f Function) Read(m pmetric.Metric, i int, at time.Time) (s Sample, ok bool, err error) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return f.readNumber(m.Gauge().DataPoints().At(i), at)
	case pmetric.MetricTypeSum:
		return f.readNumber(m.Sum().DataPoints().At(i), at)
	case pmetric.MetricTypeHistogram:
		dp := m.Histogram().DataPoints().At(i)
		return readTotal(dp, at, func() (amount, error) { return readHistogram(dp) })
	case pmetric.MetricTypeExponentialHistogram:
		dp := m.ExponentialHistogram().DataPoints().At(i)
		return readTotal(dp, at, func() (amount, error) { return readExponential(dp) })
	default:
		dp := m.Summary().DataPoints().At(i)
		return readTotal(dp, at, func() (amount, error) { return readSummary(dp) })
	}
}

// cumulativePoint is what the points have in common that can be added up.
type cumulativePoint interface {
	Flags() pmetric.DataPointFlags
	StartTimestamp() pcommon.Timestamp
}

func readTotal(dp cumulativePoint, at time.Time, read func() (amount, error)) (s Sample, ok bool, err error) {
	if dp.Flags().NoRecordedValue() {
		return Sample{}, false, nil
	}
	a, err := read()
	if err != nil {
		return Sample{}, false, err
	}
	return Sample{created: createdAt(dp.StartTimestamp(), at), amount: a}, true, nil
}

func (f Function) readNumber(dp pmetric.NumberDataPoint, at time.Time) (s Sample, ok bool, err error) {
	if f == Total {
		return readTotal(dp, at, func() (amount, error) { return readNumber(numberOf(dp)) })
	}
	v := numberOf(dp)
	if dp.Flags().NoRecordedValue() || f != Last && math.IsNaN(v) {
		return Sample{}, false, nil
	}
	return Sample{value: v, values: 1, order: at.UnixNano()}, true, nil
}

// createdAt is a start time in milliseconds. One that is not positive or later than the push is none.
func createdAt(start pcommon.Timestamp, at time.Time) int64 {
	ms := int64(start / pcommon.Timestamp(time.Millisecond))
	if ms > at.UnixMilli() {
		return 0
	}
	return ms
}

// Join joins two series of one push that are one series of the aggregate, in the order of the push.
//
// The joined series began when the first of the two did. So a series that joins later does not look like a restart.
func (f Function) Join(a, b Sample) (Sample, error) {
	switch f {
	case Total:
		return joinTotals(a, b)
	case Min:
		a.value = min(a.value, b.value)
	case Max:
		a.value = max(a.value, b.value)
	case Sum, Avg:
		sum := a.value + b.value
		if math.IsInf(sum, 0) && !math.IsInf(a.value, 0) && !math.IsInf(b.value, 0) {
			return Sample{}, ErrOverflow
		}
		a.value, a.values = sum, a.values+b.values
	default:
		return b, nil
	}
	return a, nil
}

func joinTotals(a, b Sample) (Sample, error) {
	if a.amount.kind() != b.amount.kind() {
		return Sample{}, ErrKind
	}
	joined, err := add(a.amount, b.amount)
	if err != nil {
		return Sample{}, err
	}
	return Sample{created: min(a.created, b.created), amount: joined}, nil
}
