// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"math"
	"slices"
	"strconv"

	dto "github.com/prometheus/client_model/go"
)

// A Pushgateway refuses a push whose families conflict with another group's. This receiver stores both and exposes
// conflicting families as untyped series, which never conflict.

// merger merges families by name.
type merger map[string]*merged

// merged is the union of all groups' families of one name.
type merged struct {
	*dto.MetricFamily
	mixed bool // has several types
}

// add adds a family and takes ownership of it.
func (m merger) add(f *dto.MetricFamily) {
	to, ok := m[f.GetName()]
	if !ok {
		m[f.GetName()] = &merged{MetricFamily: f}
		return
	}
	to.mixed = to.mixed || to.GetType() != f.GetType()
	to.Metric = append(to.Metric, f.Metric...)
	if to.Help == nil {
		to.Help = f.Help
	}
}

// resolveConflicts splits conflicting families until no conflict is left. A split can only add conflicts with families
// that are not split yet, so it terminates.
func (m merger) resolveConflicts() {
	for names := m.conflicting(); len(names) > 0; names = m.conflicting() {
		for _, name := range names {
			m.breakUp(name)
		}
	}
}

// conflicting returns the names of families with several types, and of those with a series named like another family.
func (m merger) conflicting() (names []string) {
	for name, f := range m {
		if f.mixed || m.collides(f) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// suffixes are those of the series of histograms. Summaries have the first two.
var suffixes = []string{"_sum", "_count", "_bucket"}

// collides follows checkSuffixCollisions of client_golang's registry.
func (m merger) collides(f *merged) bool {
	taken := suffixes
	switch f.GetType() {
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
	case dto.MetricType_SUMMARY:
		taken = suffixes[:2]
	default:
		return false
	}
	return slices.ContainsFunc(taken, func(suffix string) bool { return m[f.GetName()+suffix] != nil })
}

// breakUp replaces a family by untyped families, one for each series name in the text format.
func (m merger) breakUp(name string) {
	f := m[name]
	delete(m, name)
	add := func(suffix string, labels []*dto.LabelPair, v float64) {
		m.add(&dto.MetricFamily{
			Name: new(name + suffix), Help: f.Help, Type: dto.MetricType_UNTYPED.Enum(),
			Metric: []*dto.Metric{{Label: labels, Untyped: &dto.Untyped{Value: &v}}},
		})
	}
	var natives []*dto.Metric
	for _, metric := range f.Metric {
		if isNative(metric) {
			natives = append(natives, metric)
		} else {
			eachSeries(metric, add)
		}
	}
	if natives != nil {
		m.addHidden(name, natives, add)
	}
}

// addHidden adds the series of native histograms that no other histogram of that name has.
func (m merger) addHidden(name string, natives []*dto.Metric, add func(string, []*dto.LabelPair, float64)) {
	taken := map[string]bool{}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		for _, metric := range m.metrics(name + suffix) {
			taken[suffix+identity(metric.Label)] = true
		}
	}
	for _, metric := range natives {
		eachSeries(metric, func(suffix string, labels []*dto.LabelPair, v float64) {
			if !taken[suffix+identity(labels)] {
				add(suffix, labels, v)
			}
		})
	}
}

// metrics returns the metrics of the family of that name.
func (m merger) metrics(name string) []*dto.Metric {
	if f := m[name]; f != nil {
		return f.Metric
	}
	return nil
}

// isNative reports whether a histogram has only a native part. Another group can have a classic one with the same name
// and labels. Readers of classic buckets, such as the text format, would then see duplicate series, so the native one is
// hidden.
func isNative(m *dto.Metric) bool {
	return m.Histogram != nil && m.Histogram.Schema != nil && len(m.Histogram.Bucket) == 0
}

// withoutHidden removes native histograms with the labels of a classic one.
func withoutHidden(metrics []*dto.Metric) []*dto.Metric {
	if !slices.ContainsFunc(metrics, isNative) {
		return metrics
	}
	classic := map[string]bool{}
	for _, m := range metrics {
		if !isNative(m) {
			classic[identity(m.Label)] = true
		}
	}
	return slices.DeleteFunc(metrics, func(m *dto.Metric) bool { return isNative(m) && classic[identity(m.Label)] })
}

// identity returns a unique key for sorted labels.
func identity(labels []*dto.LabelPair) string {
	var id []byte
	for _, l := range labels {
		// 0xff separates texts: it never occurs in UTF-8.
		id = append(append(append(append(id, l.GetName()...), 0xff), l.GetValue()...), 0xff)
	}
	return string(id)
}

// eachSeries lists the series of an element of a family with their suffixes.
func eachSeries(m *dto.Metric, put func(suffix string, labels []*dto.LabelPair, v float64)) {
	switch {
	case m.Histogram != nil:
		h := m.Histogram
		count := floatCount(h.GetSampleCount(), h.GetSampleCountFloat())
		infinite := false
		for _, b := range h.Bucket {
			infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
			put("_bucket", withLabel(m.Label, "le", b.GetUpperBound()), floatCount(b.GetCumulativeCount(), b.GetCumulativeCountFloat()))
		}
		if !infinite {
			put("_bucket", withLabel(m.Label, "le", math.Inf(1)), count)
		}
		put("_sum", m.Label, h.GetSampleSum())
		put("_count", m.Label, count)
	case m.Summary != nil:
		for _, q := range m.Summary.Quantile {
			put("", withLabel(m.Label, "quantile", q.GetQuantile()), q.GetValue())
		}
		put("_sum", m.Label, m.Summary.GetSampleSum())
		put("_count", m.Label, float64(m.Summary.GetSampleCount()))
	default:
		put("", m.Label, value(m))
	}
}

// value returns the value of a counter, gauge or untyped series.
func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	default:
		return m.Untyped.GetValue()
	}
}

// floatCount returns a count as a float. A float other than 0 overrides the integer.
func floatCount(count uint64, float float64) float64 {
	if float != 0 {
		return float
	}
	return float64(count)
}

// withLabel returns the labels plus one number label as the text format writes it, where -0 is 0.
func withLabel(labels []*dto.LabelPair, name string, v float64) []*dto.LabelPair {
	return sortLabels(append(slices.Clone(labels), pair(name, formatFloat(v+0))))
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
