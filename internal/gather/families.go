// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// builder builds the families of one group.
type builder struct {
	options Options
	key     []*dto.LabelPair // grouping labels, including empty ones
	scope   []*dto.LabelPair // labels of the current scope
	family  *dto.MetricFamily
	parts   bool                   // the family has native histograms and possibly their classic parts
	whole   map[string]*dto.Metric // histograms and summaries being reassembled, by labels
}

func newBuilder(key groupingkey.Key, o Options) *builder {
	b := &builder{options: o, key: []*dto.LabelPair{pair("job", key.Job)}}
	for _, l := range key.Labels {
		b.key = append(b.key, pair(b.escapeName(l.Name), l.Value))
	}
	return b
}

// escapeName returns the name as the reader understands it.
func (b *builder) escapeName(name string) string {
	if b.options.Escape == nil {
		return name
	}
	return b.options.Escape(name)
}

// pair creates a label with one allocation.
func pair(name, value string) *dto.LabelPair {
	p := &struct {
		dto.LabelPair
		name, value string
	}{name: name, value: value}
	p.Name, p.Value = &p.name, &p.value
	return &p.LabelPair
}

// build converts a stored family.
func (b *builder) build(f *Family) *dto.MetricFamily {
	b.family = &dto.MetricFamily{Name: new(b.escapeName(f.Name)), Type: protobufType(f.Type).Enum()}
	b.whole = nil
	md := f.Metrics()
	b.parts = hasParts(md)
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			b.scope = b.scopeLabels(sm)
			for _, m := range sm.Metrics().All() {
				b.addMetric(m, strings.TrimPrefix(m.Name(), f.Name))
			}
		}
	}
	return b.family
}

// hasParts reports whether a family has native histograms and metrics of other kinds.
func hasParts(md pmetric.Metrics) bool {
	native, other := false, false
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				isNative := m.Type() == pmetric.MetricTypeExponentialHistogram
				native, other = native || isNative, other || !isNative
			}
		}
	}
	return native && other
}

// protobufType returns the protobuf format's type, or the nearest one.
func protobufType(prometheusType string) dto.MetricType {
	switch prometheusType {
	case "counter":
		return dto.MetricType_COUNTER
	case "gauge", "info", "stateset":
		return dto.MetricType_GAUGE
	case "summary":
		return dto.MetricType_SUMMARY
	case "histogram":
		return dto.MetricType_HISTOGRAM
	case "gaugehistogram":
		return dto.MetricType_GAUGE_HISTOGRAM
	default:
		return dto.MetricType_UNTYPED
	}
}

// addMetric adds the points of a metric named by family and suffix.
func (b *builder) addMetric(m pmetric.Metric, suffix string) {
	if help := m.Description(); help != "" && b.family.Help == nil {
		b.family.Help = &help
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		b.addNumbers(m.Gauge().DataPoints(), suffix)
	case pmetric.MetricTypeSum:
		b.addNumbers(m.Sum().DataPoints(), suffix)
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			b.add(p.Attributes()).Summary = summary(p)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			putClassic(b.histogram(p.Attributes()), p)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			putNative(b.histogram(p.Attributes()), p)
		}
	}
}

// add adds a series without a value.
func (b *builder) add(attributes pcommon.Map) *dto.Metric {
	m := &dto.Metric{Label: b.labels(attributes, "")}
	b.family.Metric = append(b.family.Metric, m)
	return m
}

func (b *builder) addNumbers(points pmetric.NumberDataPointSlice, suffix string) {
	b.family.Metric = slices.Grow(b.family.Metric, points.Len())
	for _, p := range points.All() {
		v := recorded(p.DoubleValue(), p.Flags())
		switch b.family.GetType() {
		case dto.MetricType_COUNTER:
			b.add(p.Attributes()).Counter = &dto.Counter{Value: &v, CreatedTimestamp: created(p.StartTimestamp())}
		case dto.MetricType_GAUGE:
			b.add(p.Attributes()).Gauge = &dto.Gauge{Value: &v}
		case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
			b.join(p.Attributes(), suffix, v)
		case dto.MetricType_SUMMARY:
			b.joinSummary(p.Attributes(), suffix, v)
		default:
			b.add(p.Attributes()).Untyped = &dto.Untyped{Value: &v}
		}
	}
}

// staleNaN is the bit pattern of Prometheus' stale marker (model/value).
const staleNaN uint64 = 0x7ff0000000000002

// recorded returns a point's value, or a stale marker if it has none.
func recorded(v float64, flags pmetric.DataPointFlags) float64 {
	if flags.NoRecordedValue() {
		return math.Float64frombits(staleNaN)
	}
	return v
}

// created returns the created timestamp, or nil if unknown.
func created(start pcommon.Timestamp) *timestamppb.Timestamp {
	if start == 0 {
		return nil
	}
	return timestamppb.New(start.AsTime())
}

func summary(p pmetric.SummaryDataPoint) *dto.Summary {
	count, sum := p.Count(), recorded(p.Sum(), p.Flags())
	s := &dto.Summary{SampleCount: &count, SampleSum: &sum, CreatedTimestamp: created(p.StartTimestamp())}
	for _, q := range p.QuantileValues().All() {
		quantile, v := q.Quantile(), recorded(q.Value(), p.Flags())
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: &quantile, Value: &v})
	}
	return s
}

// labels returns a series' labels sorted by name, except the one named without. As in a Pushgateway, grouping labels
// override others and every series has an instance, possibly empty.
func (b *builder) labels(attributes pcommon.Map, without string) []*dto.LabelPair {
	labels := make([]*dto.LabelPair, 0, len(b.key)+len(b.scope)+attributes.Len()+1)
	labels = append(append(labels, b.key...), b.scope...)
	for name, v := range attributes.All() {
		if name != without {
			labels = append(labels, pair(b.escapeName(name), v.AsString()))
		}
	}
	return sortLabels(append(labels, noInstance))
}

var noInstance = pair("instance", "")

// sortLabels sorts labels by name in place and keeps the first of each name.
func sortLabels(labels []*dto.LabelPair) []*dto.LabelPair {
	slices.SortStableFunc(labels, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return slices.CompactFunc(labels, func(a, b *dto.LabelPair) bool { return a.GetName() == b.GetName() })
}

// scopeLabels returns the labels that a scope was built from. The receiver's own scope has none.
func (b *builder) scopeLabels(sm pmetric.ScopeMetrics) []*dto.LabelPair {
	scope := sm.Scope()
	if scope.Name() == b.options.ScopeName && sm.SchemaUrl() == "" && scope.Attributes().Len() == 0 {
		return nil
	}
	var labels []*dto.LabelPair
	put := func(name, value string) {
		if value != "" {
			labels = append(labels, pair(b.escapeName("otel_scope_"+name), value))
		}
	}
	put("name", scope.Name())
	put("version", scope.Version())
	put("schema_url", sm.SchemaUrl())
	for name, v := range scope.Attributes().All() {
		put(name, v.AsString())
	}
	return labels
}

// The metrics that a Pushgateway adds to each group, with their HELP.
const (
	pushTimeName        = "push_time_seconds"
	pushTimeHelp        = "Last Unix time when changing this group in the Pushgateway succeeded."
	pushFailureTimeName = "push_failure_time_seconds"
	pushFailureTimeHelp = "Last Unix time when changing this group in the Pushgateway failed."
)

func isPushTime(name string) bool { return name == pushTimeName || name == pushFailureTimeName }

// pushTime builds the family for one of the group's push times. A time that never was dates from the other time.
func (b *builder) pushTime(name, help string, at, other time.Time) family {
	seconds, set := 0.0, other
	if !at.IsZero() {
		seconds, set = float64(at.UnixNano())/float64(time.Second), at
	}
	b.family = &dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum()}
	b.add(pcommon.NewMap()).Gauge = &dto.Gauge{Value: &seconds}
	return family{b.family, set}
}
