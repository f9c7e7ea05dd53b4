// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package series maps pdata to the series that Prometheus creates from it, and builds stale markers for them.
//
// Names and labels are those of the remote-write exporter before escaping: job and instance from the resource, the labels
// of a scope other than this receiver's, and the point's attributes. Buckets, quantiles, sums and counts are series of
// their own.
//
// Hashes are random per process and must not be stored, except those of a [Space] with a [Key]. The functions only read
// their input, except [AppendMetrics], and can run concurrently. The package holds no state and forwards nothing.
package series

import (
	"math"
	"math/bits"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Hash identifies a series by name and labels in any order. A secret seed prevents constructed collisions.
type Hash uint64

const (
	jobLabel      = "job"
	instanceLabel = "instance"
	boundLabel    = "le"
	quantileLabel = "quantile"
	scopePrefix   = "otel_scope_"
)

// labelSet is the sum of the labels' hashes, so that order does not matter.
type labelSet uint64

func of(name uint64, labels labelSet) Hash { return Hash(combineHash(name, uint64(labels))) }

// combineHash combines two hashes in order.
func combineHash(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return high ^ low
}

// Append appends the hash of each series of md. Scopes named ownScope have no labels.
func Append(to []Hash, md pmetric.Metrics, ownScope string) []Hash {
	return Space{OwnScope: ownScope}.Append(to, md)
}

// Append appends the hash of each series of md.
func (s Space) Append(to []Hash, md pmetric.Metrics) []Hash {
	h := s.hasher()
	h.hashes = to
	for _, rm := range md.ResourceMetrics().All() {
		h.resource = h.resourceLabels(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			h.scope = h.resource + h.scopeLabels(sm)
			for _, m := range sm.Metrics().All() {
				h.metric(m)
			}
		}
	}
	return h.hashes
}

// hasher collects the hashes of series. It caches the hashes of a metric's names and of the last point's bounds.
type hasher struct {
	keyed

	ownScope        string
	resource, scope labelSet
	names           names
	bounds          boundLabels
	hashes          []Hash
}

// names are the hashes of a metric's series names.
type names struct{ plain, bucket, sum, count uint64 }

// boundLabels caches labels of bounds or quantiles.
type boundLabels struct {
	name   string
	values []float64
	labels []labelSet
}

// bound returns the label for the number at index i.
func (h *hasher) bound(name string, i int, v float64) labelSet {
	b := &h.bounds
	if b.name != name {
		*b = boundLabels{name: name, values: b.values[:0], labels: b.labels[:0]}
	}
	if i == len(b.values) {
		b.values, b.labels = append(b.values, v), append(b.labels, h.label(name, formatFloat(v)))
	} else if math.Float64bits(b.values[i]) != math.Float64bits(v) {
		b.values[i], b.labels[i] = v, h.label(name, formatFloat(v))
	}
	return b.labels[i]
}

// formatFloat formats a bound or quantile as the remote-write exporter does.
func formatFloat(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// metric collects the series of all points of a metric.
func (h *hasher) metric(m pmetric.Metric) {
	h.enter(m)
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		h.numbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		h.numbers(m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			h.histogram(dp)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			h.single(dp.Attributes())
		}
	case pmetric.MetricTypeSummary:
		for _, dp := range m.Summary().DataPoints().All() {
			h.summary(dp)
		}
	}
}

// enter makes m the current metric.
func (h *hasher) enter(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeHistogram, pmetric.MetricTypeSummary:
		h.names = names{h.name(m.Name(), ""), h.name(m.Name(), "_bucket"), h.name(m.Name(), "_sum"), h.name(m.Name(), "_count")}
	default:
		h.names = names{plain: h.name(m.Name(), "")}
	}
}

func (h *hasher) numbers(points pmetric.NumberDataPointSlice) {
	for _, dp := range points.All() {
		h.single(dp.Attributes())
	}
}

// single collects the series of a number or native histogram.
func (h *hasher) single(attributes pcommon.Map) {
	h.hashes = append(h.hashes, of(h.names.plain, h.scope+h.attributeLabels(attributes)))
}

// histogram collects the series of a classic histogram: buckets in order with +Inf last, the sum if any, and the count.
func (h *hasher) histogram(dp pmetric.HistogramDataPoint) {
	labels := h.scope + h.attributeLabels(dp.Attributes())
	bounds := dp.ExplicitBounds()
	for i := range bounds.Len() {
		h.hashes = append(h.hashes, of(h.names.bucket, labels+h.bound(boundLabel, i, bounds.At(i))))
	}
	h.hashes = append(h.hashes, of(h.names.bucket, labels+h.infinity()))
	if dp.HasSum() {
		h.hashes = append(h.hashes, of(h.names.sum, labels))
	}
	h.hashes = append(h.hashes, of(h.names.count, labels))
}

// summary collects the series of a summary: quantiles in order, sum and count.
func (h *hasher) summary(dp pmetric.SummaryDataPoint) {
	labels := h.scope + h.attributeLabels(dp.Attributes())
	for i, q := range dp.QuantileValues().All() {
		h.hashes = append(h.hashes, of(h.names.plain, labels+h.bound(quantileLabel, i, q.Quantile())))
	}
	h.hashes = append(h.hashes, of(h.names.sum, labels), of(h.names.count, labels))
}

func (h *hasher) attributeLabels(attributes pcommon.Map) (labels labelSet) {
	for k, v := range attributes.All() {
		labels += h.label(k, v.Str())
	}
	return labels
}

func (h *hasher) resourceLabels(attributes pcommon.Map) (labels labelSet) {
	for k, v := range attributes.All() {
		switch k {
		case "service.name":
			labels += h.label(jobLabel, v.Str())
		case "service.instance.id":
			labels += h.label(instanceLabel, v.Str())
		}
	}
	return labels
}

// scopeLabels hashes the pushed otel_scope_* labels.
func (h *hasher) scopeLabels(sm pmetric.ScopeMetrics) (labels labelSet) {
	scope := sm.Scope()
	if scope.Name() == h.ownScope && scope.Attributes().Len() == 0 {
		return 0
	}
	for _, l := range [...]struct{ name, value string }{
		{"name", scope.Name()}, {"version", scope.Version()}, {"schema_url", sm.SchemaUrl()},
	} {
		if l.value != "" {
			labels += h.label(scopePrefix+l.name, l.value)
		}
	}
	for k, v := range scope.Attributes().All() {
		labels += h.label(scopePrefix+k, v.Str())
	}
	return labels
}
