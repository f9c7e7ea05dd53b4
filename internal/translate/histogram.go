// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// shapeHistogram chooses the points for a histogram. OTLP has no gauge histograms.
func (t *translator) shapeHistogram(f *exposition.Family, s *exposition.Series) (pointKinds, error) {
	h := &t.batch.Histograms[s.ValueIndex]
	if t.isNative(h) {
		if h.FirstBucket == exposition.NoIndex {
			return t.shapeNative(f, s, h)
		}
		return t.shapeParts(f, s, h)
	}
	if err := t.sortBuckets(f, s, h); err != nil {
		return pointKinds{}, err
	}
	return t.shapeClassic(f, h), nil
}

// shapeClassic chooses the point for the classic buckets in t.buckets.
func (t *translator) shapeClassic(f *exposition.Family, h *exposition.HistogramValue) pointKinds {
	if f.Type == exposition.Histogram && (h.HasCount || !t.batch.OnlyPushed) && t.fitsClassic(h) {
		return pointKinds{kind: classic}
	}
	t.flatClassic(h)
	return pointKinds{kind: flattened}
}

// sortBuckets collects the classic buckets into t.buckets, sorted by bound, and refuses duplicate bounds.
func (t *translator) sortBuckets(f *exposition.Family, s *exposition.Series, h *exposition.HistogramValue) error {
	t.collectBuckets(h)
	if t.rising {
		return nil
	}
	for i := 1; i < len(t.buckets); i++ {
		if b := t.buckets[i].UpperBound; compareBounds(t.buckets[i-1].UpperBound, b) == 0 {
			return t.refuseStructural(f.Name+"_bucket", s, boundLabel, b)
		}
	}
	return nil
}

// collectBuckets collects the classic buckets into t.buckets, sorted by bound. Most are sorted already.
func (t *translator) collectBuckets(h *exposition.HistogramValue) {
	t.buckets, t.rising = t.buckets[:0], true
	last := math.Inf(-1)
	for i := h.FirstBucket; i != exposition.NoIndex; i = t.batch.Buckets[i].Next {
		b := &t.batch.Buckets[i]
		t.rising = t.rising && last < b.UpperBound
		last = b.UpperBound
		t.buckets = append(t.buckets, *b)
	}
	if !t.rising {
		slices.SortFunc(t.buckets, func(a, b exposition.Bucket) int { return compareBounds(a.UpperBound, b.UpperBound) })
	}
}

// compareBounds orders bounds and quantiles. Bounds are equal if their label values are: -0 and 0 differ, all NaNs are
// equal.
func compareBounds(a, b float64) int {
	if c := cmp.Compare(a, b); c != 0 || a != 0 {
		return c
	}
	return cmp.Compare(math.Copysign(1, a), math.Copysign(1, b))
}

// fitsClassic reports whether an OTLP Histogram can represent t.buckets: whole, non-decreasing counts and strictly
// increasing bounds. A stale marker has no counts.
func (t *translator) fitsClassic(h *exposition.HistogramValue) bool {
	if !t.rising && !increasing(finite(t.buckets)) {
		return false
	}
	return isStale(h.Sum) || t.countsAddUp(h)
}

// increasing reports whether the bounds of sorted buckets increase strictly.
func increasing(sorted []exposition.Bucket) bool {
	for i := range sorted {
		if b := sorted[i].UpperBound; math.IsNaN(b) || i > 0 && sorted[i-1].UpperBound == b {
			return false
		}
	}
	return true
}

// countsAddUp reports whether the cumulative counts do not decrease up to the histogram's count. A missing count is 0,
// and then all buckets must be empty.
func (t *translator) countsAddUp(h *exposition.HistogramValue) bool {
	count, ok := wholeCount(h.Count, h.CountFloat)
	if !ok {
		return false
	}
	var last uint64
	for i := range t.buckets {
		b := &t.buckets[i]
		c, ok := wholeCount(b.Count, b.CountFloat)
		if !ok || c < last || c != count && math.IsInf(b.UpperBound, 1) {
			return false
		}
		last = c
	}
	return last <= count
}

// finite removes the +Inf bucket, which is last if it was pushed.
func finite(sorted []exposition.Bucket) []exposition.Bucket {
	if last := len(sorted) - 1; last >= 0 && math.IsInf(sorted[last].UpperBound, 1) {
		return sorted[:last]
	}
	return sorted
}

// wholeCount returns a count as an integer, if it is one. A float other than 0 overrides the integer, as in protobuf.
func wholeCount(count uint64, float float64) (uint64, bool) {
	switch {
	case float == 0:
		return count, true
	case float > 0 && float < 1<<64 && float == math.Trunc(float):
		return uint64(float), true
	default:
		return 0, false
	}
}

// floatCount returns a count as a float.
func floatCount(count uint64, float float64) float64 {
	if float != 0 {
		return float
	}
	return float64(count)
}

// openHistograms creates the metric for n histograms.
func (s *scope) openHistograms(d metricDescription, n int) pmetric.HistogramDataPointSlice {
	h := s.metric(d).SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	h.DataPoints().EnsureCapacity(n)
	return h.DataPoints()
}

// buildHistogram writes a point of a classic histogram from t.buckets. A missing sum is 0, as in a Pushgateway, unless
// the format says absent.
//
// A stale marker keeps its bounds, so that all bucket series end. It gets a sum, because the remote-write exporter ends
// the sum series only if a sum is set.
func (t *translator) buildHistogram(s *exposition.Series, dp pmetric.HistogramDataPoint) {
	begin(t, s, dp)
	dp.SetStartTimestamp(startTime(s))
	h := &t.batch.Histograms[s.ValueIndex]
	t.putExemplars(dp.Exemplars(), s.Exemplar, t.buckets)
	if isStale(h.Sum) {
		dp.SetFlags(noRecordedValue)
		dp.SetSum(0)
		t.putBuckets(dp, 0, true)
		return
	}
	count, _ := wholeCount(h.Count, h.CountFloat)
	if h.HasSum || !t.batch.OnlyPushed {
		dp.SetSum(h.Sum)
	}
	dp.SetCount(count)
	t.putBuckets(dp, count, false)
}

// putBuckets converts cumulative counts to counts per bucket.
func (t *translator) putBuckets(dp pmetric.HistogramDataPoint, count uint64, stale bool) {
	buckets := finite(t.buckets)
	n := len(buckets)
	t.bounds, t.counts = slices.Grow(t.bounds[:0], n)[:n], slices.Grow(t.counts[:0], n+1)[:n+1]
	var last uint64
	for i := range buckets {
		b := &buckets[i]
		var c uint64
		if !stale {
			c, _ = wholeCount(b.Count, b.CountFloat)
		}
		t.bounds[i], t.counts[i] = b.UpperBound, c-last
		last = c
	}
	t.counts[n] = count - last
	dp.ExplicitBounds().FromRaw(t.bounds)
	dp.BucketCounts().FromRaw(t.counts)
}
