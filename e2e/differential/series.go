// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// exposed are series as Prometheus tells them apart, without empty labels. Each maps to its type and value. A series that
// comes again is listed with a mark behind its name.
type exposed map[string]string

// again marks a series that is the same as another one.
const again = " again"

// pushTime is the metric whose values are times, which cannot be compared.
const pushTime = "push_time_seconds"

func (e exposed) add(name string, labels map[string]string, kind, value string) {
	var key strings.Builder
	key.WriteString(strconv.Quote(name))
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if labels[label] != "" {
			fmt.Fprintf(&key, " %q=%q", label, labels[label])
		}
	}
	if name == pushTime {
		value = "a time"
	}
	for _, ok := e[key.String()]; ok; _, ok = e[key.String()] {
		key.WriteString(again)
	}
	e[key.String()] = kind + " " + value
}

// adder adds a series of a metric: its suffix, its value and further labels.
type adder func(suffix, value string, further ...string)

func (e exposed) adder(name, kind string, labels map[string]string) adder {
	return func(suffix, value string, further ...string) {
		all := maps.Clone(labels)
		for i := 0; i < len(further); i += 2 {
			all[further[i]] = further[i+1]
		}
		e.add(name+suffix, all, kind, value)
	}
}

// spell writes a value. All NaNs but the stale marker are alike.
func spell(f float64) string {
	if isStale(f) {
		return "stale"
	}
	return number(f)
}

// number writes a bound or quantile as the text format does.
func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// staleNaN are the bits of Prometheus's stale marker (model/value).
const staleNaN uint64 = 0x7ff0000000000002

func isStale(f float64) bool { return math.Float64bits(f) == staleNaN }

// count is a count of the protobuf format, where the float goes first unless it is 0.
func count(whole uint64, float float64) float64 {
	if float != 0 {
		return float
	}
	return float64(whole)
}

// seriesOf lists the series of the families that a Pushgateway exposes.
func seriesOf(families []*dto.MetricFamily) exposed {
	e := exposed{}
	for _, family := range families {
		kind := strings.ToLower(family.GetType().String())
		for _, m := range family.GetMetric() {
			addMetric(e.adder(family.GetName(), kind, labelsOf(m)), m)
		}
	}
	return e
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

func addMetric(add adder, m *dto.Metric) {
	switch {
	case m.Counter != nil:
		add("", spell(m.Counter.GetValue()))
	case m.Gauge != nil:
		add("", spell(m.Gauge.GetValue()))
	case m.Untyped != nil:
		add("", spell(m.Untyped.GetValue()))
	case m.Summary != nil:
		for _, q := range m.Summary.GetQuantile() {
			add("", spell(q.GetValue()), "quantile", number(q.GetQuantile()))
		}
		add("_sum", spell(m.Summary.GetSampleSum()))
		add("_count", spell(float64(m.Summary.GetSampleCount())))
	case m.Histogram != nil:
		addHistogram(add, m.Histogram)
	}
}

func addHistogram(add adder, h *dto.Histogram) {
	native := isNative(h)
	if native {
		add("", nativeOf(h).String())
	}
	infinite := native && len(h.GetBucket()) == 0
	for _, b := range h.GetBucket() {
		infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
		add("_bucket", spell(count(b.GetCumulativeCount(), b.GetCumulativeCountFloat())), "le", number(b.GetUpperBound()))
	}
	if !infinite {
		add("_bucket", spell(count(h.GetSampleCount(), h.GetSampleCountFloat())), "le", "+Inf")
	}
	if !native || len(h.GetBucket()) > 0 {
		add("_sum", spell(h.GetSampleSum()))
		add("_count", spell(count(h.GetSampleCount(), h.GetSampleCountFloat())))
	}
}

// isNative follows Prometheus (model/textparse).
func isNative(h *dto.Histogram) bool {
	return len(h.GetPositiveSpan())+len(h.GetNegativeSpan()) > 0 ||
		h.GetZeroThreshold() > 0 || h.GetZeroCount() > 0 || h.GetZeroCountFloat() > 0
}

// native is a native histogram with its populated buckets by index, since spans may be cut in several ways.
type native struct {
	schema                          int32
	count, sum, zero, zeroThreshold string
	positive, negative              map[int32]float64
}

func (n native) String() string {
	return fmt.Sprintf("schema %d count %s sum %s zero %s to %s positive %v negative %v",
		n.schema, n.count, n.sum, n.zero, n.zeroThreshold, n.positive, n.negative)
}

func nativeOf(h *dto.Histogram) native {
	positive, _ := populations(h.GetPositiveSpan(), h.GetPositiveDelta(), h.GetPositiveCount())
	negative, _ := populations(h.GetNegativeSpan(), h.GetNegativeDelta(), h.GetNegativeCount())
	return native{
		schema: h.GetSchema(), count: spell(count(h.GetSampleCount(), h.GetSampleCountFloat())), sum: spell(h.GetSampleSum()),
		zero: spell(count(h.GetZeroCount(), h.GetZeroCountFloat())), zeroThreshold: spell(h.GetZeroThreshold()),
		positive: positive, negative: negative,
	}
}

// populations writes out the populated buckets of spans, and tells whether the spans are as long as the counts.
func populations(spans []*dto.BucketSpan, deltas []int64, counts []float64) (buckets map[int32]float64, ok bool) {
	buckets = map[int32]float64{}
	if len(counts) == 0 {
		var sum int64
		for _, delta := range deltas {
			sum += delta
			counts = append(counts, float64(sum))
		}
	}
	var index int64
	for i, span := range spans {
		if i > 0 && span.GetOffset() < 0 || int64(span.GetLength()) > int64(len(counts)) {
			return buckets, false
		}
		index += int64(span.GetOffset())
		for range span.GetLength() {
			if index <= math.MinInt32 || index > math.MaxInt32 {
				return buckets, false
			}
			if counts[0] != 0 {
				buckets[int32(index)] = counts[0]
			}
			counts = counts[1:]
			index++
		}
	}
	return buckets, len(counts) == 0
}

// seriesIn lists the series that metrics are in Prometheus.
func seriesIn(metrics []pmetric.Metrics) exposed {
	e := exposed{}
	for _, md := range metrics {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					e.addPoints(pointLabels{rm.Resource().Attributes(), sm.Scope()}, m)
				}
			}
		}
	}
	return e
}

// pointLabels turns attributes back into labels.
type pointLabels struct {
	resource pcommon.Map
	scope    pcommon.InstrumentationScope
}

func (p pointLabels) with(attributes pcommon.Map) map[string]string {
	labels := map[string]string{}
	for name, v := range attributes.All() {
		labels[name] = v.Str()
	}
	for attribute, name := range map[string]string{"service.name": "job", "service.instance.id": "instance"} {
		if v, ok := p.resource.Get(attribute); ok {
			labels[name] = v.Str()
		}
	}
	if name := p.scope.Name(); name != receiverScope {
		labels["otel_scope_name"], labels["otel_scope_version"] = name, p.scope.Version()
		for name, v := range p.scope.Attributes().All() {
			labels["otel_scope_"+name] = v.Str()
		}
	}
	return labels
}

// receiverScope names the scope of points that name none.
const receiverScope = "github.com/otelcol-pushgateway/pushgatewayreceiver"

func (e exposed) addPoints(labels pointLabels, m pmetric.Metric) {
	kind := "untyped"
	if v, ok := m.Metadata().Get("prometheus.type"); ok && v.Str() != "unknown" {
		kind = v.Str()
	}
	adderOf := func(attributes pcommon.Map) adder { return e.adder(m.Name(), kind, labels.with(attributes)) }
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		addNumbers(adderOf, m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		addNumbers(adderOf, m.Sum().DataPoints())
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			addSummaryPoint(adderOf(p.Attributes()), p)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			addHistogramPoint(adderOf(p.Attributes()), p)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			value := nativeIn(p).String()
			if p.Flags().NoRecordedValue() {
				value = "stale"
			}
			adderOf(p.Attributes())("", value)
		}
	}
}

// spellUnless spells the values of a point, all of which are stale markers if it has no value.
func spellUnless(flags pmetric.DataPointFlags) func(float64) string {
	if flags.NoRecordedValue() {
		return func(float64) string { return "stale" }
	}
	return spell
}

func addNumbers(adderOf func(pcommon.Map) adder, points pmetric.NumberDataPointSlice) {
	for _, p := range points.All() {
		adderOf(p.Attributes())("", spellUnless(p.Flags())(p.DoubleValue()))
	}
}

func addSummaryPoint(add adder, p pmetric.SummaryDataPoint) {
	value := spellUnless(p.Flags())
	for _, q := range p.QuantileValues().All() {
		add("", value(q.Value()), "quantile", number(q.Quantile()))
	}
	add("_sum", value(p.Sum()))
	add("_count", value(float64(p.Count())))
}

func addHistogramPoint(add adder, p pmetric.HistogramDataPoint) {
	value := spellUnless(p.Flags())
	var cumulative uint64
	for i, bound := range append(p.ExplicitBounds().AsRaw(), math.Inf(1)) {
		cumulative += p.BucketCounts().At(i)
		add("_bucket", value(float64(cumulative)), "le", number(bound))
	}
	add("_sum", value(p.Sum()))
	add("_count", value(float64(p.Count())))
}

func nativeIn(p pmetric.ExponentialHistogramDataPoint) native {
	return native{
		schema: p.Scale(), count: spell(float64(p.Count())), sum: spell(p.Sum()),
		zero: spell(float64(p.ZeroCount())), zeroThreshold: spell(p.ZeroThreshold()),
		positive: populationsIn(p.Positive()), negative: populationsIn(p.Negative()),
	}
}

// populationsIn counts buckets as Prometheus does, by the upper bound and not by the lower one.
func populationsIn(b pmetric.ExponentialHistogramDataPointBuckets) map[int32]float64 {
	buckets := map[int32]float64{}
	for i, n := range b.BucketCounts().All() {
		if n != 0 {
			buckets[b.Offset()+int32(i)+1] = float64(n)
		}
	}
	return buckets
}
