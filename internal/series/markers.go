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

// Markers yields stale markers for exactly the series of all for which gone is true. A point whose series are all gone is
// ended as a whole. If some series remain, such as other buckets, each gone series gets a gauge of its own name. All
// metrics are of one group and thus one resource.
//
// Each part ends at most `most` series, unless a single point has more, because backends limit requests. Each marker has
// a metric of its own: the prometheus exporter stops reading a metric at its first point without a value. Markers have no
// time yet.
func Markers(all iter.Seq[pmetric.Metrics], ownScope string, gone func(Hash) bool, most int) iter.Seq[pmetric.Metrics] {
	return Space{OwnScope: ownScope}.Markers(all, gone, most)
}

// Markers yields stale markers like the function of that name.
func (s Space) Markers(all iter.Seq[pmetric.Metrics], gone func(Hash) bool, most int) iter.Seq[pmetric.Metrics] {
	return func(yield func(pmetric.Metrics) bool) {
		m := markerBuilder{hasher: s.hasher(), gone: gone, most: most, yield: yield, markers: pmetric.NewMetrics()}
		for md := range all {
			m.metrics(md)
			if m.stopped {
				return
			}
		}
		m.flush()
	}
}

// markerBuilder builds the markers of one change.
type markerBuilder struct {
	hasher

	gone    func(Hash) bool
	most    int
	yield   func(pmetric.Metrics) bool
	stopped bool // the consumer stopped the iteration

	rm pmetric.ResourceMetrics // resource of the current metric
	sm pmetric.ScopeMetrics

	markers pmetric.Metrics     // the current part
	ending  int                 // number of series that it ends
	to      pmetric.MetricSlice // of the current scope, if it has markers in the part
}

// metrics builds the markers for all points of md.
func (m *markerBuilder) metrics(md pmetric.Metrics) {
	for _, m.rm = range md.ResourceMetrics().All() {
		m.resource = m.resourceLabels(m.rm.Resource().Attributes())
		for _, m.sm = range m.rm.ScopeMetrics().All() {
			m.scope, m.to = m.resource+m.scopeLabels(m.sm), pmetric.MetricSlice{}
			for _, metric := range m.sm.Metrics().All() {
				m.metric(metric)
			}
		}
	}
}

// flush yields the current part.
func (m *markerBuilder) flush() {
	if m.ending > 0 && !m.stopped {
		m.stopped = !m.yield(m.markers)
	}
	m.markers, m.ending, m.to = pmetric.NewMetrics(), 0, pmetric.MetricSlice{}
}

// open adds the current scope to the current part.
func (m *markerBuilder) open() pmetric.MetricSlice {
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

// metric builds the markers for a metric's points.
func (m *markerBuilder) metric(from pmetric.Metric) {
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

// ended collects the series of a point and counts those that are gone. It flushes the current part if their markers do
// not fit.
func (m *markerBuilder) ended(collect func()) (gone, all int) {
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

// describe appends a metric with the identity of another. It omits the description, which would be copied for each
// series.
func (m *markerBuilder) describe(from pmetric.Metric) pmetric.Metric {
	to := m.open().AppendEmpty()
	to.SetName(from.Name())
	to.SetUnit(from.Unit())
	from.Metadata().CopyTo(to.Metadata())
	return to
}

func (m *markerBuilder) numbers(from pmetric.Metric, points pmetric.NumberDataPointSlice) {
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

// histogram ends a classic histogram. The marker keeps the bounds, to end the bucket series, and the sum, because the
// remote-write exporter ends the sum series only if a sum is set.
func (m *markerBuilder) histogram(from pmetric.Metric, dp pmetric.HistogramDataPoint) {
	gone, all := m.ended(func() { m.hasher.histogram(dp) })
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
		m.endSeries(i, from.Name()+"_bucket", dp.Attributes(), boundLabel, formatFloat(bound))
	}
	m.endSumAndCount(from, dp.Attributes(), dp.HasSum())
}

// exponential ends a native histogram.
func (m *markerBuilder) exponential(from pmetric.Metric, dp pmetric.ExponentialHistogramDataPoint) {
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

// summary ends a summary. The marker keeps the quantiles, to end their series.
func (m *markerBuilder) summary(from pmetric.Metric, dp pmetric.SummaryDataPoint) {
	gone, all := m.ended(func() { m.hasher.summary(dp) })
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
		m.endSeries(i, from.Name(), dp.Attributes(), quantileLabel, formatFloat(q.Quantile()))
	}
	m.endSumAndCount(from, dp.Attributes(), true)
}

// endSumAndCount ends the sum, if any, and the count of a histogram or summary, if they are gone.
func (m *markerBuilder) endSumAndCount(from pmetric.Metric, attributes pcommon.Map, hasSum bool) {
	last := len(m.hashes) - 1
	if hasSum {
		m.endSeries(last-1, from.Name()+"_sum", attributes, "", "")
	}
	m.endSeries(last, from.Name()+"_count", attributes, "", "")
}

// endSeries ends the i-th collected series, if it is gone, as a gauge of that name with one more label.
func (m *markerBuilder) endSeries(i int, name string, attributes pcommon.Map, label, value string) {
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
