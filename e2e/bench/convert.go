// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// convert is what a first version of this receiver would do: it makes pdata of what expfmt returns. It checks nothing, so
// it does less than package translate.
func convert(families []*dto.MetricFamily, at time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", key.Job)
	if instance, ok := key.Get("instance"); ok {
		rm.Resource().Attributes().PutStr("service.instance.id", instance)
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(options.ScopeName)
	sm.Scope().SetVersion(options.ScopeVersion)
	sm.Metrics().EnsureCapacity(len(families) + 1)
	c := converter{at: pcommon.NewTimestampFromTime(at)}
	for _, f := range families {
		c.family(f, sm.Metrics().AppendEmpty())
	}
	c.pushTime(sm.Metrics().AppendEmpty(), at)
	return md
}

type converter struct{ at pcommon.Timestamp }

// prometheusTypes spells the types as OpenMetrics does.
var prometheusTypes = map[dto.MetricType]string{
	dto.MetricType_COUNTER: "counter", dto.MetricType_GAUGE: "gauge", dto.MetricType_SUMMARY: "summary",
	dto.MetricType_UNTYPED: "unknown", dto.MetricType_HISTOGRAM: "histogram",
}

// units spells those of the pages as OpenTelemetry does.
var units = map[string]string{"bytes": "By", "seconds": "s", "percent": "%"}

func (c converter) family(f *dto.MetricFamily, to pmetric.Metric) {
	to.SetName(f.GetName())
	to.SetDescription(f.GetHelp())
	to.SetUnit(cmp.Or(units[f.GetUnit()], f.GetUnit()))
	to.Metadata().PutStr("prometheus.type", prometheusTypes[f.GetType()])
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		c.counters(f.GetMetric(), to.SetEmptySum())
	case dto.MetricType_GAUGE:
		c.gauges(f.GetMetric(), to.SetEmptyGauge(), func(m *dto.Metric) float64 { return m.GetGauge().GetValue() })
	case dto.MetricType_UNTYPED:
		c.gauges(f.GetMetric(), to.SetEmptyGauge(), func(m *dto.Metric) float64 { return m.GetUntyped().GetValue() })
	case dto.MetricType_SUMMARY:
		c.summaries(f.GetMetric(), to.SetEmptySummary())
	case dto.MetricType_HISTOGRAM:
		if isNative(f.GetMetric()[0].GetHistogram()) {
			c.natives(f.GetMetric(), to.SetEmptyExponentialHistogram())
		} else {
			c.histograms(f.GetMetric(), to.SetEmptyHistogram())
		}
	}
}

// attributes puts the grouping labels, and those of the series that the grouping key does not set.
func (converter) attributes(m *dto.Metric, to pcommon.Map) {
	to.EnsureCapacity(len(key.Labels) + len(m.GetLabel()))
	for _, l := range key.Labels {
		if l.Name != "instance" {
			to.PutStr(l.Name, l.Value)
		}
	}
	for _, l := range m.GetLabel() {
		if _, grouping := key.Get(l.GetName()); !grouping && l.GetName() != "job" && l.GetValue() != "" {
			to.PutStr(l.GetName(), l.GetValue())
		}
	}
}

func (c converter) counters(metrics []*dto.Metric, to pmetric.Sum) {
	to.SetIsMonotonic(true)
	to.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	to.DataPoints().EnsureCapacity(len(metrics))
	for _, m := range metrics {
		dp := to.DataPoints().AppendEmpty()
		c.attributes(m, dp.Attributes())
		dp.SetTimestamp(c.at)
		if created := m.GetCounter().GetCreatedTimestamp(); created != nil {
			dp.SetStartTimestamp(pcommon.NewTimestampFromTime(created.AsTime()))
		}
		dp.SetDoubleValue(m.GetCounter().GetValue())
	}
}

func (c converter) gauges(metrics []*dto.Metric, to pmetric.Gauge, value func(*dto.Metric) float64) {
	to.DataPoints().EnsureCapacity(len(metrics))
	for _, m := range metrics {
		dp := to.DataPoints().AppendEmpty()
		c.attributes(m, dp.Attributes())
		dp.SetTimestamp(c.at)
		dp.SetDoubleValue(value(m))
	}
}

func (c converter) summaries(metrics []*dto.Metric, to pmetric.Summary) {
	to.DataPoints().EnsureCapacity(len(metrics))
	for _, m := range metrics {
		dp, s := to.DataPoints().AppendEmpty(), m.GetSummary()
		c.attributes(m, dp.Attributes())
		dp.SetTimestamp(c.at)
		if created := s.GetCreatedTimestamp(); created != nil {
			dp.SetStartTimestamp(pcommon.NewTimestampFromTime(created.AsTime()))
		}
		dp.SetCount(s.GetSampleCount())
		dp.SetSum(s.GetSampleSum())
		for _, q := range s.GetQuantile() {
			v := dp.QuantileValues().AppendEmpty()
			v.SetQuantile(q.GetQuantile())
			v.SetValue(q.GetValue())
		}
	}
}

func (c converter) histograms(metrics []*dto.Metric, to pmetric.Histogram) {
	to.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	to.DataPoints().EnsureCapacity(len(metrics))
	for _, m := range metrics {
		dp, h := to.DataPoints().AppendEmpty(), m.GetHistogram()
		c.attributes(m, dp.Attributes())
		dp.SetTimestamp(c.at)
		if created := h.GetCreatedTimestamp(); created != nil {
			dp.SetStartTimestamp(pcommon.NewTimestampFromTime(created.AsTime()))
		}
		dp.SetCount(h.GetSampleCount())
		dp.SetSum(h.GetSampleSum())
		putBuckets(h, dp)
	}
}

// putBuckets turns cumulative counts into those of each bucket. There is one for +Inf, pushed or not.
func putBuckets(h *dto.Histogram, dp pmetric.HistogramDataPoint) {
	last := uint64(0)
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			break
		}
		dp.ExplicitBounds().Append(b.GetUpperBound())
		dp.BucketCounts().Append(b.GetCumulativeCount() - last)
		last = b.GetCumulativeCount()
	}
	dp.BucketCounts().Append(h.GetSampleCount() - last)
}

// isNative follows Prometheus: zero observations are native too if there is a span or a threshold.
func isNative(h *dto.Histogram) bool {
	return len(h.GetPositiveSpan())+len(h.GetNegativeSpan()) > 0 || h.GetZeroThreshold() > 0 || h.GetZeroCount() > 0
}

func (c converter) natives(metrics []*dto.Metric, to pmetric.ExponentialHistogram) {
	to.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	to.DataPoints().EnsureCapacity(len(metrics))
	for _, m := range metrics {
		dp, h := to.DataPoints().AppendEmpty(), m.GetHistogram()
		c.attributes(m, dp.Attributes())
		dp.SetTimestamp(c.at)
		if created := h.GetCreatedTimestamp(); created != nil {
			dp.SetStartTimestamp(pcommon.NewTimestampFromTime(created.AsTime()))
		}
		dp.SetCount(h.GetSampleCount())
		dp.SetSum(h.GetSampleSum())
		dp.SetScale(h.GetSchema())
		dp.SetZeroThreshold(h.GetZeroThreshold())
		dp.SetZeroCount(h.GetZeroCount())
		putSide(h.GetPositiveSpan(), h.GetPositiveDelta(), dp.Positive())
		putSide(h.GetNegativeSpan(), h.GetNegativeDelta(), dp.Negative())
	}
}

// putSide turns deltas into counts, with empty buckets where spans leave a gap.
func putSide(spans []*dto.BucketSpan, deltas []int64, to pmetric.ExponentialHistogramDataPointBuckets) {
	if len(deltas) == 0 {
		return
	}
	to.SetOffset(spans[0].GetOffset() - 1)
	population := int64(0)
	for i, span := range spans {
		if i > 0 {
			to.BucketCounts().Append(slices.Repeat([]uint64{0}, int(span.GetOffset()))...)
		}
		for range span.GetLength() {
			population += deltas[0]
			deltas = deltas[1:]
			to.BucketCounts().Append(uint64(population))
		}
	}
}

func (c converter) pushTime(to pmetric.Metric, at time.Time) {
	to.SetName("push_time_seconds")
	to.SetDescription("Last Unix time when changing this group in the Pushgateway succeeded.")
	to.Metadata().PutStr("prometheus.type", "gauge")
	dp := to.SetEmptyGauge().DataPoints().AppendEmpty()
	c.attributes(nil, dp.Attributes())
	dp.SetTimestamp(c.at)
	dp.SetDoubleValue(float64(at.UnixNano()) / float64(time.Second))
}
