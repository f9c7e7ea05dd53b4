// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/prompb"
)

// labelSet holds the labels of a series, __name__ included.
type labelSet map[string]string

// String is the series as text, labels in order.
func (l labelSet) String() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if name != "__name__" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, l[name]))
		}
	}
	return l["__name__"] + "{" + strings.Join(pairs, ",") + "}"
}

// expected is what remote write should bring for the families that a registry gathered: the series that Prometheus makes of
// them, with the labels of the group, numbers in le and quantile spelled as the exporter does.
type expected struct {
	group      labelSet
	native     bool // the format carries native histograms
	samples    map[string]float64
	histograms map[string]histogram
	types      map[string]string
	helps      map[string]string
}

func newExpected(families []*dto.MetricFamily, group labelSet, native bool) *expected {
	e := &expected{
		group: group, native: native, samples: map[string]float64{}, histograms: map[string]histogram{},
		types: map[string]string{}, helps: map[string]string{},
	}
	for _, family := range families {
		kind := strings.ToLower(family.GetType().String())
		if kind == "untyped" {
			kind = "unknown"
		}
		e.types[family.GetName()] = kind
		e.helps[family.GetName()] = family.GetHelp()
		for _, metric := range family.GetMetric() {
			e.addMetric(family.GetName(), metric)
		}
	}
	return e
}

func (e *expected) addMetric(name string, m *dto.Metric) {
	switch {
	case m.Counter != nil:
		e.add(name, m, m.Counter.GetValue())
	case m.Gauge != nil:
		e.add(name, m, m.Gauge.GetValue())
	case m.Untyped != nil:
		e.add(name, m, m.Untyped.GetValue())
	case m.Summary != nil:
		for _, q := range m.Summary.GetQuantile() {
			e.add(name, m, q.GetValue(), "quantile", number(q.GetQuantile()))
		}
		e.add(name+"_sum", m, m.Summary.GetSampleSum())
		e.add(name+"_count", m, float64(m.Summary.GetSampleCount()))
	case m.Histogram != nil && m.Histogram.Schema != nil && e.native:
		e.histograms[e.labels(name, m).String()] = nativeHistogram(m.Histogram)
	case m.Histogram != nil:
		for _, b := range m.Histogram.GetBucket() {
			e.add(name+"_bucket", m, float64(b.GetCumulativeCount()), "le", number(b.GetUpperBound()))
		}
		e.add(name+"_bucket", m, float64(m.Histogram.GetSampleCount()), "le", "+Inf")
		e.add(name+"_sum", m, m.Histogram.GetSampleSum())
		e.add(name+"_count", m, float64(m.Histogram.GetSampleCount()))
	}
}

func (e *expected) add(name string, m *dto.Metric, value float64, extra ...string) {
	labels := e.labels(name, m)
	for i := 0; i < len(extra); i += 2 {
		labels[extra[i]] = extra[i+1]
	}
	e.samples[labels.String()] = value
}

func (e *expected) labels(name string, m *dto.Metric) labelSet {
	labels := maps.Clone(e.group)
	labels["__name__"] = name
	for _, label := range m.GetLabel() {
		labels[label.GetName()] = label.GetValue()
	}
	return labels
}

func nativeHistogram(h *dto.Histogram) histogram {
	return histogram{
		schema: h.GetSchema(), sum: h.GetSampleSum(), count: h.GetSampleCount(),
		zero: h.GetZeroCount(), zeroThreshold: h.GetZeroThreshold(),
		positive: buckets(spans(h.GetPositiveSpan()), h.GetPositiveDelta()),
		negative: buckets(spans(h.GetNegativeSpan()), h.GetNegativeDelta()),
	}
}

func spans(of []*dto.BucketSpan) []prompb.BucketSpan {
	var all []prompb.BucketSpan
	for _, span := range of {
		all = append(all, prompb.BucketSpan{Offset: span.GetOffset(), Length: span.GetLength()})
	}
	return all
}

// number spells a bound or quantile as the remote-write exporter does.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
