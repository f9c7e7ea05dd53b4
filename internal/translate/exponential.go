// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

const (
	minSchema     = -4
	maxSchema     = 8
	customBuckets = -53
)

// OTLP lists the empty buckets between spans, and a span of a few bytes can start two billion buckets later. Real
// histograms have some hundred buckets.
const (
	maxNativeBuckets = 1 << 16 // from the first to the last of a side
	maxGaps          = 1 << 20 // empty buckets added to one push, 8 bytes each
)

// nativeBucket is a populated bucket of one side of a native histogram.
type nativeBucket struct {
	index int32 // Prometheus' index: the absolute upper bound is base^index
	whole uint64
	float float64
	exact bool // whole is valid; otherwise the population is negative or fractional
}

// isNative follows Prometheus (model/textparse): a histogram without observations is native if it has a span or a
// threshold.
func (t *translator) isNative(h *exposition.HistogramValue) bool {
	if h.Native == exposition.NoIndex {
		return false
	}
	n := &t.batch.Natives[h.Native]
	return length(n.PositiveSpans)+length(n.NegativeSpans) > 0 ||
		n.ZeroThreshold > 0 || n.ZeroCount > 0 || n.ZeroCountFloat > 0
}

func length(r exposition.Range) int { return int(r.End - r.Start) }

// expandNative collects the buckets into t.positive and t.negative. The problem continues a description, as in refuse.
func (t *translator) expandNative(h *exposition.HistogramValue) (problem string) {
	n := &t.batch.Natives[h.Native]
	switch {
	case n.Schema == customBuckets:
		return fmt.Sprintf("has custom buckets (schema %d), whose bounds the protobuf format does not carry", n.Schema)
	case n.Schema < minSchema || n.Schema > maxSchema:
		return fmt.Sprintf("has native buckets of schema %d; only %d to %d can be mapped to OTLP", n.Schema, minSchema, maxSchema)
	case max(length(n.PositiveDeltas), length(n.PositiveCounts), length(n.NegativeDeltas), length(n.NegativeCounts)) > maxNativeBuckets:
		return fmt.Sprintf("has more than %d native buckets on one side", maxNativeBuckets)
	case !(n.ZeroThreshold >= 0) || math.IsInf(n.ZeroThreshold, 1):
		return fmt.Sprintf("has an invalid zero threshold: %v", n.ZeroThreshold)
	}
	return t.collectNative(n)
}

// collectNative collects both sides.
func (t *translator) collectNative(n *exposition.NativeBuckets) (problem string) {
	if t.positive, problem = t.side(t.positive[:0], n.PositiveSpans, n.PositiveDeltas, n.PositiveCounts); problem != "" {
		return problem
	}
	t.negative, problem = t.side(t.negative[:0], n.NegativeSpans, n.NegativeDeltas, n.NegativeCounts)
	return problem
}

// side appends the buckets of one side. If there are counts, the histogram is a float histogram and deltas are ignored.
func (t *translator) side(to []nativeBucket, spans, deltas, counts exposition.Range) (buckets []nativeBucket, problem string) {
	values := length(deltas)
	if length(counts) > 0 {
		values = length(counts)
	}
	var next, population int64
	for i, span := range t.batch.Spans[spans.Start:spans.End] {
		if i > 0 && span.Offset < 0 {
			return to, "has native buckets whose spans overlap"
		}
		next += int64(span.Offset)
		if int64(span.Length) > int64(values-len(to)) {
			return to, "has more native buckets in its spans than counts"
		}
		for range span.Length {
			b := nativeBucket{index: int32(next)}
			if int64(b.index) != next || next == math.MinInt32 {
				return to, "has a native bucket beyond the range of a float64"
			}
			if k := int32(len(to)); length(counts) > 0 {
				b.float = t.batch.Counts[counts.Start+k]
				b.whole, b.exact = wholeCount(0, b.float)
			} else {
				population += t.batch.Deltas[deltas.Start+k]
				b.whole, b.float, b.exact = uint64(population), float64(population), population >= 0
			}
			to = append(to, b)
			next++
		}
	}
	if len(to) < values {
		return to, "has fewer native buckets in its spans than counts"
	}
	return to, ""
}

// shapeNative chooses the points for a histogram with native buckets only.
func (t *translator) shapeNative(f *exposition.Family, s *exposition.Series, h *exposition.HistogramValue) (pointKinds, error) {
	fits, problem := t.fitNative(f, h)
	switch {
	case problem != "":
		return pointKinds{}, t.refuse(f, s, "%s", problem)
	case fits:
		return pointKinds{kind: exponential}, nil
	default:
		t.flatNative(h)
		return pointKinds{kind: flattened}, nil
	}
}

// fitNative collects the native buckets and reports whether an exponential point can represent them. On a problem, the
// histogram cannot be flattened either.
func (t *translator) fitNative(f *exposition.Family, h *exposition.HistogramValue) (fits bool, problem string) {
	if problem = t.expandNative(h); problem != "" {
		return false, problem
	}
	if f.Type == exposition.GaugeHistogram || !t.fitsExponential(h) {
		return false, ""
	}
	problem = t.takeGaps()
	return problem == "", problem
}

// takeGaps counts the empty buckets to add and refuses too many.
func (t *translator) takeGaps() (problem string) {
	total := t.gaps
	for _, side := range [][]nativeBucket{t.positive, t.negative} {
		gaps := width(side) - len(side)
		total += gaps
		if width(side) > maxNativeBuckets || total > maxGaps {
			return fmt.Sprintf("has native buckets too far apart: %d empty ones between them", gaps)
		}
	}
	t.gaps = total
	return ""
}

// width returns the number of buckets from the first to the last.
func width(side []nativeBucket) int {
	if len(side) == 0 {
		return 0
	}
	return int(side[len(side)-1].index) - int(side[0].index) + 1
}

// fitsExponential reports whether an OTLP ExponentialHistogram can represent the collected buckets. All populations must
// be whole and their sum at most the count. The sum can be less, because NaN observations are in no bucket.
func (t *translator) fitsExponential(h *exposition.HistogramValue) bool {
	n := &t.batch.Natives[h.Native]
	count, ok := wholeCount(h.Count, h.CountFloat)
	sum, zeroOk := wholeCount(n.ZeroCount, n.ZeroCountFloat)
	if !ok || !zeroOk {
		return false
	}
	var carry uint64
	for _, side := range [][]nativeBucket{t.positive, t.negative} {
		for i := range side {
			sum, carry = bits.Add64(sum, side[i].whole, 0)
			if !side[i].exact || carry != 0 {
				return false
			}
		}
	}
	return sum <= count || isStale(h.Sum)
}

// openExponentials creates the metric for n native histograms.
func (s *scope) openExponentials(d metricDescription, n int) pmetric.ExponentialHistogramDataPointSlice {
	h := s.metric(d).SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	h.DataPoints().EnsureCapacity(n)
	return h.DataPoints()
}

// buildExponential writes a point of a native histogram from t.positive and t.negative. A stale marker has no counts.
func (t *translator) buildExponential(s *exposition.Series, dp pmetric.ExponentialHistogramDataPoint) {
	begin(t, s, dp)
	dp.SetStartTimestamp(startTime(s))
	h := &t.batch.Histograms[s.ValueIndex]
	n := &t.batch.Natives[h.Native]
	t.collectBuckets(h) // for their exemplars
	t.putExemplars(dp.Exemplars(), s.Exemplar, t.buckets)
	dp.SetScale(n.Schema)
	dp.SetZeroThreshold(n.ZeroThreshold)
	if isStale(h.Sum) {
		dp.SetFlags(noRecordedValue)
		dp.SetSum(0)
		return
	}
	count, _ := wholeCount(h.Count, h.CountFloat)
	zero, _ := wholeCount(n.ZeroCount, n.ZeroCountFloat)
	dp.SetCount(count)
	dp.SetSum(h.Sum)
	dp.SetZeroCount(zero)
	t.putSide(dp.Positive(), t.positive)
	t.putSide(dp.Negative(), t.negative)
}

// putSide writes one side's buckets, including the empty ones. The offset of 1 is because OTLP identifies a bucket by its
// lower bound and Prometheus by its upper bound.
func (t *translator) putSide(to pmetric.ExponentialHistogramDataPointBuckets, side []nativeBucket) {
	if len(side) == 0 {
		return
	}
	first, n := side[0].index, width(side)
	to.SetOffset(first - 1)
	t.counts = slices.Grow(t.counts[:0], n)[:n]
	clear(t.counts)
	for i := range side {
		t.counts[side[i].index-first] = side[i].whole
	}
	to.BucketCounts().FromRaw(t.counts)
}
