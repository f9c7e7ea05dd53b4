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

// OTLP lists the empty buckets between two spans, and a span of a few bytes may lie two billion buckets from the last one.
// Real histograms have some hundred buckets.
const (
	maxNativeBuckets = 1 << 16 // from the first to the last one of a side
	maxGaps          = 1 << 20 // empty buckets filled in for one push, 8 bytes each
)

// nativeBucket is a populated bucket of one side of a native histogram.
type nativeBucket struct {
	index int32 // as Prometheus counts: its absolute upper bound is base^index
	whole uint64
	float float64
	exact bool // whole is the population; otherwise it is negative or no whole number
}

// isNative follows Prometheus (model/textparse): zero observations are native too if there is a span or a threshold.
func (t *translator) isNative(h *exposition.HistogramValue) bool {
	if h.Native == exposition.None {
		return false
	}
	n := &t.batch.Natives[h.Native]
	return length(n.PositiveSpans)+length(n.NegativeSpans) > 0 ||
		n.ZeroThreshold > 0 || n.ZeroCount > 0 || n.ZeroCountFloat > 0
}

func length(r exposition.Range) int { return int(r.End - r.Start) }

// expandNative collects the histogram's buckets in t.positive and t.negative, unless they make no sense. The problem is a phrase
// like those of refuse.
func (t *translator) expandNative(h *exposition.HistogramValue) (problem string) {
	n := &t.batch.Natives[h.Native]
	switch {
	case n.Schema == customBuckets:
		return fmt.Sprintf("has custom buckets (schema %d), whose bounds the protobuf format does not hold", n.Schema)
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

// side appends the buckets of one side. Where there are counts, the deltas are left out: the histogram is one of floats.
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
				return to, "has a native bucket beyond all numbers"
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

// shapeNative finds the kind of point that holds a histogram of native buckets only.
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

// fitNative collects the native buckets and tells whether an exponential point holds them. If there is a problem, no point does, not
// even a flattened one.
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

// takeGaps counts the empty buckets to be filled in, unless they are too many.
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

// width is the number of buckets from the first to the last one.
func width(side []nativeBucket) int {
	if len(side) == 0 {
		return 0
	}
	return int(side[len(side)-1].index) - int(side[0].index) + 1
}

// fitsExponential tells whether an OTLP ExponentialHistogram can hold the histogram whose buckets were collected: all
// populations must be whole, and not more together than the count. They may be less: observations of NaN are counted, but
// are in no bucket.
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

// openExponentials makes the metric for n native histograms.
func (s *scope) openExponentials(d metricDescription, n int) pmetric.ExponentialHistogramDataPointSlice {
	h := s.metric(d).SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	h.DataPoints().EnsureCapacity(n)
	return h.DataPoints()
}

// buildExponential fills in a point of a native histogram, whose buckets are in t.positive and t.negative. A stale marker
// has no counts.
func (t *translator) buildExponential(s *exposition.Series, dp pmetric.ExponentialHistogramDataPoint) {
	begin(t, s, dp)
	dp.SetStartTimestamp(started(s))
	h := &t.batch.Histograms[s.Complex]
	n := &t.batch.Natives[h.Native]
	t.collectBuckets(h) // For their exemplars.
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

// putSide fills in the buckets of one side, empty ones in the gaps between them. An OTLP bucket is named by its lower
// bound, one of Prometheus by its upper one: hence the difference of 1.
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
