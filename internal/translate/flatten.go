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

// A histogram or summary that OTLP cannot represent is flattened into the series that a Pushgateway exposes: gauges named
// by family and suffix. No value is lost or changed.

// flatBucket is a cumulative bucket as a Pushgateway exposes it, or a quantile and its value.
type flatBucket struct{ bound, count float64 }

// flatParts are the other parts of a flattened series.
type flatParts struct {
	sum, count             float64
	hasSum, hasCount, ends bool // ends: stale marker
}

// flatParts returns the parts of a histogram or summary. A missing part is 0 unless the format says absent.
func (t *translator) flatParts(f *exposition.Family, s *exposition.Series) (p flatParts) {
	if f.Type == exposition.Summary {
		v := &t.batch.Summaries[s.ValueIndex]
		p = flatParts{v.Sum, float64(v.Count), v.HasSum, v.HasCount, isStale(v.Sum)}
	} else {
		h := &t.batch.Histograms[s.ValueIndex]
		p = flatParts{h.Sum, floatCount(h.Count, h.CountFloat), h.HasSum, h.HasCount, isStale(h.Sum)}
	}
	p.hasSum = p.hasSum || !t.batch.OnlyPushed
	p.hasCount = p.hasCount || !t.batch.OnlyPushed
	return p
}

// flatClassic collects the buckets into t.flat in the pushed order. A Pushgateway always exposes a +Inf bucket with the
// count.
func (t *translator) flatClassic(h *exposition.HistogramValue) {
	t.flat = t.flat[:0]
	infinite := false
	for i := h.FirstBucket; i != exposition.NoIndex; i = t.batch.Buckets[i].Next {
		b := &t.batch.Buckets[i]
		t.flat = append(t.flat, flatBucket{b.UpperBound, floatCount(b.Count, b.CountFloat)})
		infinite = infinite || math.IsInf(b.UpperBound, 1)
	}
	if !infinite && (h.HasCount || !t.batch.OnlyPushed) {
		t.flat = append(t.flat, flatBucket{math.Inf(1), floatCount(h.Count, h.CountFloat)})
	}
}

// flatNative converts the collected native buckets into classic ones in t.flat.
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

// accumulate makes the populations in t.flat cumulative. Bounds that are equal as float64 become one bucket; infinite
// ones are left to the +Inf bucket.
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
			kept = append(kept, flatBucket{b.bound + 0, sum}) // + 0 turns -0 into 0.
		}
	}
	t.flat = kept
}

// nativeBound returns the upper bound of a bucket: 2^(index·2^-schema).
func nativeBound(index int, schema int32) float64 {
	if schema <= 0 {
		return math.Ldexp(1, index<<-schema)
	}
	part := index & (1<<schema - 1)
	return math.Ldexp(math.Exp2(float64(part)/float64(int(1)<<schema)), index>>schema)
}

// flatSummary collects the quantiles into t.flat.
func (t *translator) flatSummary(v *exposition.SummaryValue) {
	t.flat = t.flat[:0]
	for i := v.FirstQuantile; i != exposition.NoIndex; i = t.batch.Quantiles[i].Next {
		q := &t.batch.Quantiles[i]
		t.flat = append(t.flat, flatBucket{quantileOf(q), q.Value})
	}
}

// flatKinds returns the kinds of points for the flattened series in t.flat.
func (t *translator) flatKinds(p flatParts) []kind {
	t.kinds = t.kinds[:0]
	if len(t.flat) > 0 {
		t.kinds = append(t.kinds, flattened)
	}
	if p.hasSum {
		t.kinds = append(t.kinds, flatSum)
	}
	if p.hasCount {
		t.kinds = append(t.kinds, flatCount)
	}
	return t.kinds
}

// flatSuffix returns the metric name's suffix for a kind of point.
func flatSuffix(f *exposition.Family, k kind) string {
	switch {
	case k == flatSum:
		return sumSuffix(f)
	case k == flatCount:
		return countSuffix(f)
	case f.Type == exposition.Summary:
		return ""
	default:
		return "_bucket"
	}
}

// openFlat creates a metric for n flattened series. Its Prometheus type is unknown, as for any series without metadata.
func (s *scope) openFlat(d metricDescription, suffix string, n int) pmetric.NumberDataPointSlice {
	points := s.metric(metricDescription{name: d.name + suffix, help: d.help}).SetEmptyGauge().DataPoints()
	points.EnsureCapacity(n)
	return points
}

// buildFlattened writes the series of a flattened histogram or summary from t.flat. A stale sum ends all of them.
func (t *translator) buildFlattened(f *exposition.Family, s *exposition.Series) {
	p := t.flatParts(f, s)
	for _, k := range t.flatKinds(p) {
		scope := t.open(f, k)
		switch k {
		case flatSum:
			t.buildFlat(s, scope.flatSums.AppendEmpty(), p, p.sum)
		case flatCount:
			t.buildFlat(s, scope.flatCounts.AppendEmpty(), p, p.count)
		default:
			label := boundaryLabel(f)
			for _, b := range t.flat {
				t.buildFlat(s, scope.flattened.AppendEmpty(), p, b.count, exposition.Label{Name: label, Value: formatFloat(b.bound)})
			}
		}
	}
}

// buildFlat writes a point of one of the series.
func (t *translator) buildFlat(s *exposition.Series, dp pmetric.NumberDataPoint, p flatParts, v float64, further ...exposition.Label) {
	if p.ends {
		v = p.sum
	}
	begin(t, s, dp, further...)
	setNumber(dp, v)
	t.push.DataPoints++
}

func boundaryLabel(f *exposition.Family) string {
	if f.Type == exposition.Summary {
		return quantileLabel
	}
	return boundLabel
}

// formatFloat formats a number as the text format does, which a Pushgateway uses for le and quantile.
func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
