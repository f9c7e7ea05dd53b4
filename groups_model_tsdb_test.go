// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// stale is the value of the sample that ends a series.
const stale = "stale"

// sample is a point of a Prometheus series.
type sample struct {
	series string // its name and its labels, see seriesName
	ms     int64
	value  string
	total  bool           // The value must not fall.
	start  int64          // in milliseconds, 0 for none
	native *nativeBuckets // nil unless it is a native histogram
}

// seriesName writes a series as a text exposition does, labels sorted and without empty ones.
func seriesName(name string, labels map[string]string) string {
	var pairs []string
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if labels[label] != "" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", label, labels[label]))
		}
	}
	return name + "{" + strings.Join(pairs, ",") + "}"
}

func spellNumber(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// spellNative stands for the value of a native histogram.
func spellNative(count, sum float64) string {
	return "native histogram " + spellNumber(count) + " " + spellNumber(sum)
}

// remoteWrite lists the samples that the remote write exporter makes of pdata, in their order. It is written from the
// exporter's rules, without the receiver's own knowledge of them.
func remoteWrite(md pmetric.Metrics) (samples []sample) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				w := writer{resource: rm.Resource().Attributes(), name: m.Name()}
				w.metric(m)
				samples = append(samples, w.samples...)
			}
		}
	}
	return samples
}

// writer makes the samples of one metric.
type writer struct {
	resource pcommon.Map
	name     string
	total    bool // The points are those of a counter.
	samples  []sample
}

// point is what all kinds of points have.
type point interface {
	Attributes() pcommon.Map
	Timestamp() pcommon.Timestamp
	StartTimestamp() pcommon.Timestamp
	Flags() pmetric.DataPointFlags
}

func (w *writer) put(p point, suffix, value string, further ...string) {
	labels := map[string]string{}
	for name, v := range p.Attributes().All() {
		labels[name] = v.AsString()
	}
	for attribute, label := range map[string]string{"service.name": "job", "service.instance.id": "instance"} {
		if v, ok := w.resource.Get(attribute); ok {
			labels[label] = v.AsString()
		}
	}
	if len(further) == 2 {
		labels[further[0]] = further[1]
	}
	if p.Flags().NoRecordedValue() {
		value = stale
	}
	w.samples = append(w.samples, sample{
		series: seriesName(w.name+suffix, labels),
		ms:     p.Timestamp().AsTime().UnixMilli(),
		value:  value,
		total:  w.total || suffix == "_count" || suffix == "_bucket",
		start:  int64(p.StartTimestamp() / pcommon.Timestamp(time.Millisecond)),
	})
}

func (w *writer) metric(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		w.numbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		w.total = m.Sum().IsMonotonic()
		w.numbers(m.Sum().DataPoints())
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			w.put(p, "_sum", spellNumber(p.Sum()))
			w.put(p, "_count", spellNumber(float64(p.Count())))
			for _, q := range p.QuantileValues().All() {
				w.put(p, "", spellNumber(q.Value()), "quantile", spellBound(q.Quantile()))
			}
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			w.histogram(p)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			w.put(p, "", spellNative(float64(p.Count()), p.Sum()))
			w.samples[len(w.samples)-1].native = nativeOf(p)
		}
	}
}

// spellBound spells le and quantile as the exporter does.
func spellBound(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (w *writer) numbers(points pmetric.NumberDataPointSlice) {
	for _, p := range points.All() {
		w.put(p, "", spellNumber(p.DoubleValue()))
	}
}

func (w *writer) histogram(p pmetric.HistogramDataPoint) {
	if p.HasSum() {
		w.put(p, "_sum", spellNumber(p.Sum()))
	}
	w.put(p, "_count", spellNumber(float64(p.Count())))
	var cumulative uint64
	for i, bound := range p.ExplicitBounds().All() {
		if i < p.BucketCounts().Len() {
			cumulative += p.BucketCounts().At(i)
			w.put(p, "_bucket", spellNumber(float64(cumulative)), "le", spellBound(bound))
		}
	}
	w.put(p, "_bucket", spellNumber(float64(p.Count())), "le", spellBound(math.Inf(1)))
}

// tsdb stores samples as Prometheus does: one that is older than the last of its series, or as old with another value, is
// rejected.
type tsdb struct {
	mu       sync.Mutex
	series   map[string][]sample // the last ones of each
	rejected []string
}

// keptSamples is how many samples of a series a report of a rejected one shows.
const keptSamples = 8

// maxAhead is how far the time of a sample may be ahead of the clock.
const maxAhead = 500 * time.Millisecond

func (db *tsdb) append(samples []sample) {
	db.mu.Lock()
	defer db.mu.Unlock()
	latest := time.Now().Add(maxAhead).UnixMilli()
	for _, s := range samples {
		kept := db.series[s.series]
		if s.ms > latest {
			db.reject("ahead of time by %d ms: %v", s.ms-latest+maxAhead.Milliseconds(), s)
		}
		if len(kept) > 0 {
			if last := kept[len(kept)-1]; s.ms < last.ms || s.ms == last.ms && s.value != last.value {
				db.reject("out of order: %v after %v", s, kept)
				continue
			}
			kept = kept[max(0, len(kept)-keptSamples):]
		}
		db.series[s.series] = append(slices.Clone(kept), s)
	}
}

// reject notes a sample that no Prometheus would take. The lock is held.
func (db *tsdb) reject(format string, args ...any) {
	db.rejected = append(db.rejected, fmt.Sprintf(format, args...))
}

// alive lists the series that have not ended, with their values. Those whose last sample is from before since are "old".
func (db *tsdb) alive(since time.Time) map[string]string {
	db.mu.Lock()
	defer db.mu.Unlock()
	alive := map[string]string{}
	for name, samples := range db.series {
		last := samples[len(samples)-1]
		if last.value == stale {
			continue
		}
		name = canonical(name)
		if _, twice := alive[name]; twice {
			name += " again"
		}
		alive[name] = last.value
		if last.ms < since.UnixMilli() {
			alive[name] += " old"
		}
	}
	return alive
}

// faults lists what was rejected, and forgets it.
func (db *tsdb) faults() []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	faults := db.rejected
	db.rejected = nil
	return faults
}

// history shows the last samples of a series.
func (db *tsdb) history(name string) string {
	db.mu.Lock()
	defer db.mu.Unlock()
	var b strings.Builder
	for series, samples := range db.series {
		if canonical(series) == name {
			fmt.Fprintf(&b, "  %s\n", series)
			for _, s := range samples {
				fmt.Fprintf(&b, "    %d %s\n", s.ms, s.value)
			}
		}
	}
	return b.String()
}

// canonical spells the bound of a bucket and the quantile of a summary in one way.
func canonical(name string) string {
	for _, label := range []string{`le="`, `quantile="`} {
		before, rest, ok := strings.Cut(name, label)
		value, after, closed := strings.Cut(rest, `"`)
		if number, err := strconv.ParseFloat(value, 64); ok && closed && err == nil {
			return before + label + spellNumber(number) + `"` + after
		}
	}
	return name
}
