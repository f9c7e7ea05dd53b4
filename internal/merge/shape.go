// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// SameSeries tells whether two states of one series of an aggregate are the same series of Prometheus: whether classic histograms
// have the same bounds.
func SameSeries(a, b Accumulator) bool {
	before, isTotal := a.(total)
	after, areTotals := b.(total)
	if !isTotal || !areTotals {
		return isTotal == areTotals
	}
	x, isHistogram := before.value.(histogram)
	y, areHistograms := after.value.(histogram)
	return isHistogram == areHistograms && slices.Equal(x.bounds, y.bounds)
}

// Shaped is the base in a shape that has room for the value. A total that is rebuilt from it has the value's shape, even if the limit
// of bounds or of native buckets was reached.
func Shaped(base, value Accumulator) Accumulator {
	of, isTotal := value.(total)
	b, isBase := base.(total)
	if !isTotal || !isBase || of.value == nil {
		return base
	}
	if b.value == nil {
		return total{of.value.zero()}
	}
	if b.takes(of.value) {
		b.value, _ = b.value.widened(of.value)
	}
	return b
}

// Makes tells whether an accumulator is one of the function for points of a kind.
func (f Function) Makes(a Accumulator, points pmetric.MetricType) bool {
	t, isTotal := a.(total)
	switch {
	case a.function() != f:
		return false
	case !isTotal:
		return points == pmetric.MetricTypeGauge || points == pmetric.MetricTypeSum
	case t.value == nil:
		return points != pmetric.MetricTypeEmpty && points != pmetric.MetricTypeGauge
	default:
		return kindOf[t.value.kind()] == points
	}
}

var kindOf = [...]pmetric.MetricType{
	Number: pmetric.MetricTypeSum, Histogram: pmetric.MetricTypeHistogram, ExponentialHistogram: pmetric.MetricTypeExponentialHistogram,
	Summary: pmetric.MetricTypeSummary,
}
