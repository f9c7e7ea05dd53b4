// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"iter"
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

var noRecordedValue = pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

// Markers makes the stale markers that end exactly the series of all that are gone, markers among them. A point all of whose
// series are gone is ended as a whole; of one that goes on with other buckets or quantiles, each series that is gone is ended
// by a gauge of that series' name. All are of one group, so that there is one resource.
//
// They come in parts, each of which ends at most most series, unless a single point has more: so many may have gone at once
// that no backend would take their markers in one request. Each marker stands in a metric of its own, because the prometheus
// exporter reads no further in a metric than to its first point without a value. The markers have no time yet.
func Markers(all iter.Seq[pmetric.Metrics], ownScope string, gone func(Hash) bool, most int) iter.Seq[pmetric.Metrics] {
	return func(yield func(pmetric.Metrics) bool) {
		m := marking{walker: walker{ownScope: ownScope}, gone: gone, most: most, yield: yield, markers: pmetric.NewMetrics()}
		for md := range all {
			m.metrics(md)
			if m.stopped {
				return
			}
		}
		m.flush()
	}
}

// marking makes the markers of one change.
type marking struct {
	walker

	gone    func(Hash) bool
	most    int
	yield   func(pmetric.Metrics) bool
	stopped bool // Nobody wants further parts.

	rm pmetric.ResourceMetrics // where the current metric stands
	sm pmetric.ScopeMetrics

	markers pmetric.Metrics     // the current part
	ending  int                 // how many series it ends
	to      pmetric.MetricSlice // of the current scope, once it has markers in the part
}

// metrics makes the markers of all points of md.
func (m *marking) metrics(md pmetric.Metrics) {
	for _, m.rm = range md.ResourceMetrics().All() {
		m.resource = resourceLabels(m.rm.Resource().Attributes())
		for _, m.sm = range m.rm.ScopeMetrics().All() {
			m.scope, m.to = m.resource+scopeLabels(m.sm, m.ownScope), pmetric.MetricSlice{}
			for _, metric := range m.sm.Metrics().All() {
				m.metric(metric)
			}
		}
	}
}

// flush ends the current part.
func (m *marking) flush() {
	if m.ending > 0 && !m.stopped {
		m.stopped = !m.yield(m.markers)
	}
	m.markers, m.ending, m.to = pmetric.NewMetrics(), 0, pmetric.MetricSlice{}
}

// open gives the current scope a place in the current part.
func (m *marking) open() pmetric.MetricSlice {
	if m.to != (pmetric.MetricSlice{}) {
		return m.to
	}
	resources := m.markers.ResourceMetrics()
	if resources.Len() == 0 {
		m.rm.Resource().CopyTo(resources.AppendEmpty().Resource())
	}
	scopes := resources.At(0).ScopeMetrics()
	if last := scopes.Len() - 1; last >= 0 && sameScope(scopes.At(last), m.sm) {
		m.to = scopes.At(last).Metrics()
		return m.to
	}
	scope := scopes.AppendEmpty()
	m.sm.Scope().CopyTo(scope.Scope())
	scope.SetSchemaUrl(m.sm.SchemaUrl())
	m.to = scope.Metrics()
	return m.to
}

// metric makes the markers of a metric's points.
func (m *marking) metric(from pmetric.Metric) {
	m.enter(from)
	switch from.Type() {
	case pmetric.MetricTypeGauge:
		m.numbers(from, from.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		m.numbers(from, from.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, dp := range from.Histogram().DataPoints().All() {
			m.histogram(from, dp)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, dp := range from.ExponentialHistogram().DataPoints().All() {
			m.exponential(from, dp)
		}
	case pmetric.MetricTypeSummary:
		for _, dp := range from.Summary().DataPoints().All() {
			m.summary(from, dp)
		}
	}
}

// ended collects the series of a point and counts those that are gone. Their markers have room in the current part then.
func (m *marking) ended(collect func()) (gone, all int) {
	m.hashes = m.hashes[:0]
	collect()
	for _, h := range m.hashes {
		if m.gone(h) {
			gone++
		}
	}
	if m.ending+gone > m.most {
		m.flush()
	}
	m.ending += gone
	return gone, len(m.hashes)
}

// describe appends a metric that is identified as another one. It has no description, which nobody reads in a marker and of
// which there would be a copy for each series.
func (m *marking) describe(from pmetric.Metric) pmetric.Metric {
	to := m.open().AppendEmpty()
	to.SetName(from.Name())
	to.SetUnit(from.Unit())
	from.Metadata().CopyTo(to.Metadata())
	return to
}

func (m *marking) numbers(from pmetric.Metric, points pmetric.NumberDataPointSlice) {
	for _, dp := range points.All() {
		if gone, _ := m.ended(func() { m.single(dp.Attributes()) }); gone == 0 {
			continue
		}
		to := m.describe(from)
		var marker pmetric.NumberDataPoint
		if from.Type() == pmetric.MetricTypeSum {
			sum := to.SetEmptySum()
			sum.SetAggregationTemporality(from.Sum().AggregationTemporality())
			sum.SetIsMonotonic(from.Sum().IsMonotonic())
			marker = sum.DataPoints().AppendEmpty()
		} else {
			marker = to.SetEmptyGauge().DataPoints().AppendEmpty()
		}
		dp.Attributes().CopyTo(marker.Attributes())
		marker.SetFlags(noRecordedValue)
	}
}

// histogram ends a classic histogram. Its marker keeps the bounds, whose series it ends, and the sum, because the remote
// write exporter ends the series of the sum only if there is one.
func (m *marking) histogram(from pmetric.Metric, dp pmetric.HistogramDataPoint) {
	gone, all := m.ended(func() { m.walker.histogram(dp) })
	switch gone {
	case 0:
		return
	case all:
		h := m.describe(from).SetEmptyHistogram()
		h.SetAggregationTemporality(from.Histogram().AggregationTemporality())
		marker := h.DataPoints().AppendEmpty()
		dp.Attributes().CopyTo(marker.Attributes())
		dp.ExplicitBounds().CopyTo(marker.ExplicitBounds())
		marker.BucketCounts().FromRaw(make([]uint64, dp.ExplicitBounds().Len()+1))
		if dp.HasSum() {
			marker.SetSum(0)
		}
		marker.SetFlags(noRecordedValue)
		return
	}
	bounds := dp.ExplicitBounds()
	for i := range bounds.Len() + 1 {
		bound := math.Inf(1)
		if i < bounds.Len() {
			bound = bounds.At(i)
		}
		m.endSeries(i, from.Name()+"_bucket", dp.Attributes(), boundLabel, spell(bound))
	}
	m.endSumAndCount(from, dp.Attributes(), dp.HasSum())
}

// exponential ends a native histogram.
func (m *marking) exponential(from pmetric.Metric, dp pmetric.ExponentialHistogramDataPoint) {
	if gone, _ := m.ended(func() { m.single(dp.Attributes()) }); gone == 0 {
		return
	}
	h := m.describe(from).SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(from.ExponentialHistogram().AggregationTemporality())
	marker := h.DataPoints().AppendEmpty()
	dp.Attributes().CopyTo(marker.Attributes())
	marker.SetScale(dp.Scale())
	marker.SetZeroThreshold(dp.ZeroThreshold())
	marker.SetSum(0)
	marker.SetFlags(noRecordedValue)
}

// summary ends a summary. Its marker keeps the quantiles, whose series it ends.
func (m *marking) summary(from pmetric.Metric, dp pmetric.SummaryDataPoint) {
	gone, all := m.ended(func() { m.walker.summary(dp) })
	switch gone {
	case 0:
		return
	case all:
		marker := m.describe(from).SetEmptySummary().DataPoints().AppendEmpty()
		dp.Attributes().CopyTo(marker.Attributes())
		for _, q := range dp.QuantileValues().All() {
			marker.QuantileValues().AppendEmpty().SetQuantile(q.Quantile())
		}
		marker.SetFlags(noRecordedValue)
		return
	}
	for i, q := range dp.QuantileValues().All() {
		m.endSeries(i, from.Name(), dp.Attributes(), quantileLabel, spell(q.Quantile()))
	}
	m.endSumAndCount(from, dp.Attributes(), true)
}

// endSumAndCount ends the last series of a histogram or summary, its sum if it has one and its count, as far as they are gone.
func (m *marking) endSumAndCount(from pmetric.Metric, attributes pcommon.Map, hasSum bool) {
	last := len(m.hashes) - 1
	if hasSum {
		m.endSeries(last-1, from.Name()+"_sum", attributes, "", "")
	}
	m.endSeries(last, from.Name()+"_count", attributes, "", "")
}

// endSeries ends the i-th of the collected series, if it is gone, under its own name and with one further label.
func (m *marking) endSeries(i int, name string, attributes pcommon.Map, label, value string) {
	if !m.gone(m.hashes[i]) {
		return
	}
	to := m.open().AppendEmpty()
	to.SetName(name)
	to.Metadata().PutStr("prometheus.type", "unknown")
	marker := to.SetEmptyGauge().DataPoints().AppendEmpty()
	attributes.CopyTo(marker.Attributes())
	if label != "" {
		marker.Attributes().PutStr(label, value)
	}
	marker.SetFlags(noRecordedValue)
}
