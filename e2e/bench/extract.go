// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// extract takes pdata with one resource and one scope apart. Every string is a copy of its own.
func extract(md pmetric.Metrics) *values {
	rm := md.ResourceMetrics().At(0)
	sm := rm.ScopeMetrics().At(0)
	v := &values{resource: extractLabels(rm.Resource().Attributes()), scope: sm.Scope().Name(), version: sm.Scope().Version()}
	for _, m := range sm.Metrics().All() {
		v.metrics = append(v.metrics, extractMetric(m))
	}
	return v
}

func extractLabels(from pcommon.Map) []label {
	labels := make([]label, 0, from.Len())
	for name, value := range from.All() {
		labels = append(labels, label{strings.Clone(name), strings.Clone(value.Str())})
	}
	return labels
}

func extractMetric(m pmetric.Metric) metric {
	t, _ := m.Metadata().Get("prometheus.type")
	to := metric{
		name: strings.Clone(m.Name()), description: strings.Clone(m.Description()), unit: strings.Clone(m.Unit()),
		prometheusType: t.Str(), of: m.Type(),
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		to.numbers = extractNumbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		to.monotonic = m.Sum().IsMonotonic()
		to.numbers = extractNumbers(m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		to.histograms = extractHistograms(m.Histogram().DataPoints())
	case pmetric.MetricTypeExponentialHistogram:
		to.exponentials = extractExponentials(m.ExponentialHistogram().DataPoints())
	case pmetric.MetricTypeSummary:
		to.summaries = extractSummaries(m.Summary().DataPoints())
	}
	return to
}

// dataPoint is what all kinds of points have in common.
type dataPoint interface {
	Attributes() pcommon.Map
	StartTimestamp() pcommon.Timestamp
	Timestamp() pcommon.Timestamp
}

func extractPoint(dp dataPoint) point {
	return point{labels: extractLabels(dp.Attributes()), start: dp.StartTimestamp(), at: dp.Timestamp()}
}

func extractNumbers(points pmetric.NumberDataPointSlice) []number {
	to := make([]number, 0, points.Len())
	for _, dp := range points.All() {
		to = append(to, number{extractPoint(dp), dp.DoubleValue()})
	}
	return to
}

func extractHistograms(points pmetric.HistogramDataPointSlice) []histogram {
	to := make([]histogram, 0, points.Len())
	for _, dp := range points.All() {
		to = append(to, histogram{
			point: extractPoint(dp), count: dp.Count(), sum: dp.Sum(),
			bounds: dp.ExplicitBounds().AsRaw(), counts: dp.BucketCounts().AsRaw(),
		})
	}
	return to
}

func extractExponentials(points pmetric.ExponentialHistogramDataPointSlice) []exponential {
	to := make([]exponential, 0, points.Len())
	for _, dp := range points.All() {
		to = append(to, exponential{
			point: extractPoint(dp), count: dp.Count(), sum: dp.Sum(), scale: dp.Scale(),
			zeroCount: dp.ZeroCount(), zeroThreshold: dp.ZeroThreshold(),
			positive: side{dp.Positive().Offset(), dp.Positive().BucketCounts().AsRaw()},
			negative: side{dp.Negative().Offset(), dp.Negative().BucketCounts().AsRaw()},
		})
	}
	return to
}

func extractSummaries(points pmetric.SummaryDataPointSlice) []summary {
	to := make([]summary, 0, points.Len())
	for _, dp := range points.All() {
		s := summary{point: extractPoint(dp), count: dp.Count(), sum: dp.Sum()}
		for _, q := range dp.QuantileValues().All() {
			s.quantiles = append(s.quantiles, quantile{q.Quantile(), q.Value()})
		}
		to = append(to, s)
	}
	return to
}
