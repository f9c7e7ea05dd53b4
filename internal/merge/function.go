// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Function says how the values of many pushers become the value of one series.
type Function uint8

// The functions. Their numbers are part of the encoding.
const (
	// Total adds up all pushers that ever were. It never falls.
	Total Function = iota + 1
	// Last is the value of the push that came last and had the series.
	Last
	// Sum, Min, Max and Avg are taken over the pushers that are remembered.
	Sum
	Min
	Max
	Avg
	// Drop keeps nothing.
	Drop
)

var functionNames = [...]string{
	Total: "total", Last: "last", Sum: "sum", Min: "min", Max: "max", Avg: "avg", Drop: "drop",
}

// String is the function's name in the configuration.
func (f Function) String() string { return functionNames[f] }

// ParseFunction finds a function by its name in the configuration.
func ParseFunction(name string) (Function, bool) {
	for f := Total; f <= Drop; f++ {
		if functionNames[f] == name {
			return f, true
		}
	}
	return 0, false
}

// OutlivesPusher tells whether a contribution stays in the value after its pusher has ended or left out the series.
func (f Function) OutlivesPusher() bool { return f == Total || f == Last }

// family is a class of Prometheus types that have the same functions.
type family uint8

const (
	cumulative family = iota // counter, histogram, summary
	gauge
	untyped
	state // info, stateset
)

// familyOf classifies a metric as translate makes it.
func familyOf(m pmetric.Metric) family {
	switch {
	case m.Type() == pmetric.MetricTypeGauge && prometheusType(m) == "gauge":
		return gauge
	case m.Type() == pmetric.MetricTypeGauge:
		return untyped
	case m.Type() == pmetric.MetricTypeSum && !m.Sum().IsMonotonic():
		return state
	default:
		return cumulative
	}
}

const typeKey = "prometheus.type"

func prometheusType(m pmetric.Metric) string {
	t, _ := m.Metadata().Get(typeKey)
	return t.AsString()
}

// DefaultFunction is the function of a metric for which no rule names one. The suffix _total is reserved for counters, and
// _info for constants that describe a pusher.
func DefaultFunction(m pmetric.Metric) Function {
	switch f := familyOf(m); {
	case f == cumulative, f == untyped && strings.HasSuffix(m.Name(), "_total"):
		return Total
	case f == state, f == gauge && strings.HasSuffix(m.Name(), "_info"):
		return Max
	default:
		return Last
	}
}

// Allows tells whether the function has a meaning for the metric.
func (f Function) Allows(m pmetric.Metric) bool {
	switch of := familyOf(m); f {
	case Drop:
		return true
	case Total:
		return of != state
	default:
		return of != cumulative
	}
}

// Describe makes to the metric, still without points, in which the series of an aggregate leave: from without its data. A
// total of gauges or of untyped values is a counter.
func (f Function) Describe(from, to pmetric.Metric) {
	to.SetName(from.Name())
	to.SetDescription(from.Description())
	to.SetUnit(from.Unit())
	from.Metadata().CopyTo(to.Metadata())
	switch from.Type() {
	case pmetric.MetricTypeGauge:
		if f == Total {
			to.Metadata().PutStr(typeKey, "counter")
			setSum(to, true)
			return
		}
		to.SetEmptyGauge()
	case pmetric.MetricTypeSum:
		setSum(to, from.Sum().IsMonotonic())
	case pmetric.MetricTypeHistogram:
		to.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	case pmetric.MetricTypeExponentialHistogram:
		to.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	case pmetric.MetricTypeSummary:
		to.SetEmptySummary()
	}
}

func setSum(to pmetric.Metric, monotonic bool) {
	sum := to.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	sum.SetIsMonotonic(monotonic)
}
