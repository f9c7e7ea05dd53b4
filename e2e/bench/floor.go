// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// values are all that pdata is made of, at hand as plain Go strings and numbers. Building pdata from them, everything at
// its exact size, is the least that any decoder of the same metrics has to do.
type values struct {
	resource []label
	scope    string
	version  string
	metrics  []metric
}

type label struct{ name, value string }

type metric struct {
	name, description, unit, prometheusType string

	of           pmetric.MetricType
	monotonic    bool
	numbers      []number
	histograms   []histogram
	exponentials []exponential
	summaries    []summary
}

type point struct {
	labels    []label
	start, at pcommon.Timestamp
}

type number struct {
	point
	value float64
}

type histogram struct {
	point
	count  uint64
	sum    float64
	bounds []float64
	counts []uint64
}

type exponential struct {
	point
	count, zeroCount   uint64
	sum, zeroThreshold float64
	scale              int32
	positive, negative side
}

type side struct {
	offset int32
	counts []uint64
}

type summary struct {
	point
	count     uint64
	sum       float64
	quantiles []quantile
}

type quantile struct{ quantile, value float64 }

// build makes the pdata.
func (v *values) build() pmetric.Metrics {
	md := pmetric.NewMetrics()
	md.ResourceMetrics().EnsureCapacity(1)
	rm := md.ResourceMetrics().AppendEmpty()
	putLabels(rm.Resource().Attributes(), v.resource)
	rm.ScopeMetrics().EnsureCapacity(1)
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(v.scope)
	sm.Scope().SetVersion(v.version)
	metrics := sm.Metrics()
	metrics.EnsureCapacity(len(v.metrics))
	for i := range v.metrics {
		v.metrics[i].build(metrics.AppendEmpty())
	}
	return md
}

func putLabels(to pcommon.Map, labels []label) {
	to.EnsureCapacity(len(labels))
	for i := range labels {
		to.PutStr(labels[i].name, labels[i].value)
	}
}

func (m *metric) build(to pmetric.Metric) {
	to.SetName(m.name)
	to.SetDescription(m.description)
	to.SetUnit(m.unit)
	to.Metadata().EnsureCapacity(1)
	to.Metadata().PutStr("prometheus.type", m.prometheusType)
	switch m.of {
	case pmetric.MetricTypeGauge:
		buildNumbers(m.numbers, to.SetEmptyGauge().DataPoints())
	case pmetric.MetricTypeSum:
		sum := to.SetEmptySum()
		sum.SetIsMonotonic(m.monotonic)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		buildNumbers(m.numbers, sum.DataPoints())
	case pmetric.MetricTypeHistogram:
		h := to.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		buildHistograms(m.histograms, h.DataPoints())
	case pmetric.MetricTypeExponentialHistogram:
		h := to.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		buildExponentials(m.exponentials, h.DataPoints())
	case pmetric.MetricTypeSummary:
		buildSummaries(m.summaries, to.SetEmptySummary().DataPoints())
	}
}

func buildNumbers(points []number, to pmetric.NumberDataPointSlice) {
	to.EnsureCapacity(len(points))
	for i := range points {
		p, dp := &points[i], to.AppendEmpty()
		putLabels(dp.Attributes(), p.labels)
		dp.SetStartTimestamp(p.start)
		dp.SetTimestamp(p.at)
		dp.SetDoubleValue(p.value)
	}
}

func buildHistograms(points []histogram, to pmetric.HistogramDataPointSlice) {
	to.EnsureCapacity(len(points))
	for i := range points {
		p, dp := &points[i], to.AppendEmpty()
		putLabels(dp.Attributes(), p.labels)
		dp.SetStartTimestamp(p.start)
		dp.SetTimestamp(p.at)
		dp.SetCount(p.count)
		dp.SetSum(p.sum)
		dp.ExplicitBounds().FromRaw(p.bounds)
		dp.BucketCounts().FromRaw(p.counts)
	}
}

func buildExponentials(points []exponential, to pmetric.ExponentialHistogramDataPointSlice) {
	to.EnsureCapacity(len(points))
	for i := range points {
		p, dp := &points[i], to.AppendEmpty()
		putLabels(dp.Attributes(), p.labels)
		dp.SetStartTimestamp(p.start)
		dp.SetTimestamp(p.at)
		dp.SetCount(p.count)
		dp.SetSum(p.sum)
		dp.SetScale(p.scale)
		dp.SetZeroThreshold(p.zeroThreshold)
		dp.SetZeroCount(p.zeroCount)
		dp.Positive().SetOffset(p.positive.offset)
		dp.Positive().BucketCounts().FromRaw(p.positive.counts)
		dp.Negative().SetOffset(p.negative.offset)
		dp.Negative().BucketCounts().FromRaw(p.negative.counts)
	}
}

func buildSummaries(points []summary, to pmetric.SummaryDataPointSlice) {
	to.EnsureCapacity(len(points))
	for i := range points {
		p, dp := &points[i], to.AppendEmpty()
		putLabels(dp.Attributes(), p.labels)
		dp.SetStartTimestamp(p.start)
		dp.SetTimestamp(p.at)
		dp.SetCount(p.count)
		dp.SetSum(p.sum)
		quantiles := dp.QuantileValues()
		quantiles.EnsureCapacity(len(p.quantiles))
		for _, q := range p.quantiles {
			v := quantiles.AppendEmpty()
			v.SetQuantile(q.quantile)
			v.SetValue(q.value)
		}
	}
}
