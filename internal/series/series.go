// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package series knows which series Prometheus makes of pdata, and how to end them.
//
// The names and labels are those that the remote write exporter writes, less what it does to characters: job and instance
// from the resource, the labels of the scope if it is not this receiver's own, the attributes of the point, and of histograms
// and summaries the buckets, quantiles, sum and count as series of their own.
package series

import (
	"hash/maphash"
	"math"
	"math/bits"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Hash stands for a series within this process: its name and its labels, in whatever order. The seed differs from process
// to process, so that nobody can choose series that collide.
type Hash uint64

var seed = maphash.MakeSeed()

const (
	jobLabel      = "job"
	instanceLabel = "instance"
	boundLabel    = "le"
	quantileLabel = "quantile"
	scopePrefix   = "otel_scope_"
)

// labelSet is the hash of labels in whatever order: the sum of their hashes.
type labelSet uint64

func label(name, value string) labelSet {
	return labelSet(mix(maphash.String(seed, name), maphash.String(seed, value)))
}

func of(name uint64, labels labelSet) Hash { return Hash(mix(name, uint64(labels))) }

// mix depends on each bit of both and on their order.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return high ^ low
}

// name hashes the name of a series that consists of a metric's name and a suffix.
func name(metric, suffix string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.WriteString(metric) // Writing to a maphash never fails.
	_, _ = h.WriteString(suffix)
	return h.Sum64()
}

// Append appends the hash of each series of md. Scopes of the name ownScope have no labels.
func Append(to []Hash, md pmetric.Metrics, ownScope string) []Hash {
	w := walker{hashes: to, ownScope: ownScope}
	for _, rm := range md.ResourceMetrics().All() {
		w.resource = resourceLabels(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			w.scope = w.resource + scopeLabels(sm, ownScope)
			for _, m := range sm.Metrics().All() {
				w.metric(m)
			}
		}
	}
	return w.hashes
}

// walker collects the hashes of series. What it knows of a metric's names and of the last point's bounds spares hashing
// them for each point.
type walker struct {
	ownScope        string
	resource, scope labelSet
	names           names
	bounds          boundLabels
	hashes          []Hash
}

// names are the hashes of the names of a metric's series.
type names struct{ plain, bucket, sum, count uint64 }

// boundLabels are labels made of numbers, bounds or quantiles.
type boundLabels struct {
	name   string
	values []float64
	labels []labelSet
}

// at is the label for the number at index i.
func (b *boundLabels) at(name string, i int, v float64) labelSet {
	if b.name != name {
		*b = boundLabels{name: name, values: b.values[:0], labels: b.labels[:0]}
	}
	if i == len(b.values) {
		b.values, b.labels = append(b.values, v), append(b.labels, label(name, spell(v)))
	} else if math.Float64bits(b.values[i]) != math.Float64bits(v) {
		b.values[i], b.labels[i] = v, label(name, spell(v))
	}
	return b.labels[i]
}

// spell writes a bound or a quantile as the remote write exporter does.
func spell(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

var infinity = label(boundLabel, spell(math.Inf(1)))

// metric collects the series of all points of a metric.
func (w *walker) metric(m pmetric.Metric) {
	w.enter(m)
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		w.numbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		w.numbers(m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			w.histogram(dp)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			w.single(dp.Attributes())
		}
	case pmetric.MetricTypeSummary:
		for _, dp := range m.Summary().DataPoints().All() {
			w.summary(dp)
		}
	}
}

// enter makes m the current metric.
func (w *walker) enter(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeHistogram, pmetric.MetricTypeSummary:
		w.names = names{name(m.Name(), ""), name(m.Name(), "_bucket"), name(m.Name(), "_sum"), name(m.Name(), "_count")}
	default:
		w.names = names{plain: name(m.Name(), "")}
	}
}

func (w *walker) numbers(points pmetric.NumberDataPointSlice) {
	for _, dp := range points.All() {
		w.single(dp.Attributes())
	}
}

// single collects the one series of a number or of a native histogram.
func (w *walker) single(attributes pcommon.Map) {
	w.hashes = append(w.hashes, of(w.names.plain, w.scope+attributeLabels(attributes)))
}

// histogram collects the series of a classic histogram: its buckets in order, +Inf last, its sum if it has one and its count.
func (w *walker) histogram(dp pmetric.HistogramDataPoint) {
	labels := w.scope + attributeLabels(dp.Attributes())
	bounds := dp.ExplicitBounds()
	for i := range bounds.Len() {
		w.hashes = append(w.hashes, of(w.names.bucket, labels+w.bounds.at(boundLabel, i, bounds.At(i))))
	}
	w.hashes = append(w.hashes, of(w.names.bucket, labels+infinity))
	if dp.HasSum() {
		w.hashes = append(w.hashes, of(w.names.sum, labels))
	}
	w.hashes = append(w.hashes, of(w.names.count, labels))
}

// summary collects the series of a summary: its quantiles in order, its sum and its count.
func (w *walker) summary(dp pmetric.SummaryDataPoint) {
	labels := w.scope + attributeLabels(dp.Attributes())
	for i, q := range dp.QuantileValues().All() {
		w.hashes = append(w.hashes, of(w.names.plain, labels+w.bounds.at(quantileLabel, i, q.Quantile())))
	}
	w.hashes = append(w.hashes, of(w.names.sum, labels), of(w.names.count, labels))
}

func attributeLabels(attributes pcommon.Map) (labels labelSet) {
	for k, v := range attributes.All() {
		labels += label(k, v.Str())
	}
	return labels
}

func resourceLabels(attributes pcommon.Map) (labels labelSet) {
	for k, v := range attributes.All() {
		switch k {
		case "service.name":
			labels += label(jobLabel, v.Str())
		case "service.instance.id":
			labels += label(instanceLabel, v.Str())
		}
	}
	return labels
}

// scopeLabels are the otel_scope_* labels that were pushed.
func scopeLabels(sm pmetric.ScopeMetrics, ownScope string) (labels labelSet) {
	scope := sm.Scope()
	if scope.Name() == ownScope && scope.Attributes().Len() == 0 {
		return 0
	}
	for _, l := range [...]struct{ name, value string }{
		{"name", scope.Name()}, {"version", scope.Version()}, {"schema_url", sm.SchemaUrl()},
	} {
		if l.value != "" {
			labels += label(scopePrefix+l.name, l.value)
		}
	}
	for k, v := range scope.Attributes().All() {
		labels += label(scopePrefix+k, v.Str())
	}
	return labels
}
