// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// A histogram that OTLP cannot hold is flattened: it becomes the series that a Pushgateway would show, as gauges named
// after the family with a suffix, so that nothing of it is lost or changed.

// flatMetrics takes the series of the flattened histograms of a family.
type flatMetrics struct {
	buckets, sums, counts pmetric.NumberDataPointSlice
}

// flatBucket is a cumulative bucket as a Pushgateway would show it.
type flatBucket struct{ bound, count float64 }

// flatClassic collects the buckets in t.flat, in the order pushed and with their counts as pushed. A Pushgateway shows a
// bucket for +Inf in any case.
func (t *translator) flatClassic(h *exposition.HistogramValue) {
	t.flat = t.flat[:0]
	infinite := false
	for i := h.FirstBucket; i != exposition.None; i = t.batch.Buckets[i].Next {
		b := &t.batch.Buckets[i]
		t.flat = append(t.flat, flatBucket{b.UpperBound, floatCount(b.Count, b.CountFloat)})
		infinite = infinite || math.IsInf(b.UpperBound, 1)
	}
	if !infinite {
		t.flat = append(t.flat, flatBucket{math.Inf(1), floatCount(h.Count, h.CountFloat)})
	}
}

// flatNative turns the collected native buckets into classic ones at the same bounds, in t.flat.
func (t *translator) flatNative(h *exposition.HistogramValue) {
	n := &t.batch.Natives[h.Native]
	t.flat = t.flat[:0]
	for _, b := range t.negative {
		t.flat = append(t.flat, flatBucket{-nativeBound(int(b.index)-1, n.Schema), b.float})
	}
	t.flat = append(t.flat, flatBucket{n.ZeroThreshold, floatCount(n.ZeroCount, n.ZeroCountFloat)})
	for _, b := range t.positive {
		t.flat = append(t.flat, flatBucket{nativeBound(int(b.index), n.Schema), b.float})
	}
	t.accumulate()
	t.flat = append(t.flat, flatBucket{math.Inf(1), floatCount(h.Count, h.CountFloat)})
}

// accumulate makes the populations in t.flat cumulative. Bounds that a float64 cannot tell apart become one bucket, and
// those beyond it are left to that for +Inf.
func (t *translator) accumulate() {
	slices.SortStableFunc(t.flat, func(a, b flatBucket) int { return cmp.Compare(a.bound, b.bound) })
	kept, sum := t.flat[:0], 0.0
	for _, b := range t.flat {
		sum += b.count
		switch last := len(kept) - 1; {
		case math.IsInf(b.bound, 1):
		case last >= 0 && kept[last].bound == b.bound:
			kept[last].count = sum
		default:
			kept = append(kept, flatBucket{b.bound + 0, sum}) // Adding 0 makes 0 of -0.
		}
	}
	t.flat = kept
}

// nativeBound is the upper bound of the bucket with that index: 2^(index·2^-schema).
func nativeBound(index int, schema int32) float64 {
	if schema <= 0 {
		return math.Ldexp(1, index<<-schema)
	}
	part := index & (1<<schema - 1)
	return math.Ldexp(math.Exp2(float64(part)/float64(int(1)<<schema)), index>>schema)
}

// openFlattened makes the three metrics for n flattened histograms of a family. For Prometheus their type is unknown, as
// that of any series whose family is not described.
func (s *scope) openFlattened(f *exposition.Family, d metricDescription, n int) flatMetrics {
	sum, count := sumSuffix(f), countSuffix(f)
	gauges := func(suffix string, n int) pmetric.NumberDataPointSlice {
		points := s.metric(metricDescription{name: d.name + suffix, help: d.help}).SetEmptyGauge().DataPoints()
		points.EnsureCapacity(n)
		return points
	}
	return flatMetrics{buckets: gauges("_bucket", n), sums: gauges(sum, n), counts: gauges(count, n)}
}

// buildFlattened makes the series of a flattened histogram, whose buckets are in t.flat.
func (t *translator) buildFlattened(s *exposition.Series, to *flatMetrics) {
	h := &t.batch.Histograms[s.Complex]
	t.buildFlat(s, to.sums.AppendEmpty(), h.Sum)
	t.buildFlat(s, to.counts.AppendEmpty(), floatCount(h.Count, h.CountFloat))
	for _, b := range t.flat {
		t.buildFlat(s, to.buckets.AppendEmpty(), b.count, exposition.Label{Name: boundLabel, Value: spell(b.bound)})
	}
	t.push.DataPoints += len(t.flat) + 1 // One point was counted before.
}

// buildFlat fills in a point of one of the series. All of them end with the histogram.
func (t *translator) buildFlat(s *exposition.Series, dp pmetric.NumberDataPoint, v float64, further ...exposition.Label) {
	if sum := t.batch.Histograms[s.Complex].Sum; isStale(sum) {
		v = sum
	}
	begin(t, s, dp, further...)
	setNumber(dp, v)
}

// spell writes a number as the text format does, which is how a Pushgateway shows le and quantile.
func spell(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
