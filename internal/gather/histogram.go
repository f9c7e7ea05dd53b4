// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"math"
	"strconv"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// putClassic writes the classic part of a histogram: cumulative buckets up to +Inf. A stale marker ends all of its
// series.
func putClassic(h *dto.Histogram, p pmetric.HistogramDataPoint) {
	sum := recorded(p.Sum(), p.Flags())
	h.SampleSum, h.CreatedTimestamp = &sum, created(p.StartTimestamp())
	h.SampleCount, h.SampleCountFloat = splitCount(recorded(float64(p.Count()), p.Flags()))
	h.Bucket = make([]*dto.Bucket, 0, p.BucketCounts().Len())
	var cumulative uint64
	for i, c := range p.BucketCounts().All() {
		cumulative += c
		bound := math.Inf(1)
		if i < p.ExplicitBounds().Len() {
			bound = p.ExplicitBounds().At(i)
		}
		h.Bucket = append(h.Bucket, bucket(bound, recorded(float64(cumulative), p.Flags())))
	}
}

func bucket(bound, cumulative float64) *dto.Bucket {
	b := &dto.Bucket{UpperBound: &bound}
	b.CumulativeCount, b.CumulativeCountFloat = splitCount(cumulative)
	return b
}

// splitCount returns a count for its protobuf field: the float field only if it is not whole.
func splitCount(v float64) (whole *uint64, float *float64) {
	if v >= 0 && v < 1<<64 && v == math.Trunc(v) {
		return new(uint64(v)), nil
	}
	return nil, &v
}

// putNative writes the native part of a histogram. As in Prometheus, a stale sum ends it.
func putNative(h *dto.Histogram, p pmetric.ExponentialHistogramDataPoint) {
	sum, count, zero := recorded(p.Sum(), p.Flags()), p.Count(), p.ZeroCount()
	schema, threshold := p.Scale(), p.ZeroThreshold()
	h.SampleSum, h.SampleCount, h.CreatedTimestamp = &sum, &count, created(p.StartTimestamp())
	h.Schema, h.ZeroThreshold, h.ZeroCount = &schema, &threshold, &zero
	h.PositiveSpan, h.PositiveDelta = spans(p.Positive())
	h.NegativeSpan, h.NegativeDelta = spans(p.Negative())
	if len(h.PositiveSpan)+len(h.NegativeSpan) == 0 && threshold == 0 && zero == 0 {
		// A span distinguishes it from an empty classic histogram.
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32), Length: new(uint32)}}
	}
}

// maxGap is the number of empty buckets that take no more room than a span, as in client_golang.
const maxGap = 2

// spans returns the spans and deltas of one side. The offset of 1 is because OTLP identifies a bucket by its lower bound
// and Prometheus by its upper bound.
func spans(b pmetric.ExponentialHistogramDataPointBuckets) (spans []*dto.BucketSpan, deltas []int64) {
	var next int32 // the bucket after the last one
	var last int64
	for i, count := range b.BucketCounts().All() {
		if count == 0 {
			continue
		}
		gap := b.Offset() + 1 + int32(i) - next
		if len(spans) == 0 || gap > maxGap {
			spans = append(spans, &dto.BucketSpan{Offset: new(gap), Length: new(uint32)})
			next, gap = next+gap, 0
		}
		for range gap {
			deltas = append(deltas, -last)
			last = 0
		}
		deltas = append(deltas, int64(count)-last)
		last = int64(count)
		*spans[len(spans)-1].Length += uint32(gap) + 1
		next += gap + 1
	}
	return spans, deltas
}

// join adds a series of a flattened histogram to the histogram of the same labels.
func (b *builder) join(attributes pcommon.Map, suffix string, v float64) {
	h := b.histogramOf(attributes)
	switch suffix {
	case "_bucket":
		le, _ := attributes.Get("le")
		bound, _ := strconv.ParseFloat(le.AsString(), 64) // always valid: formatted from a number
		h.Bucket = append(h.Bucket, bucket(bound, v))
	case "_sum", "_gsum":
		h.SampleSum = &v
	case "_count", "_gcount":
		h.SampleCount, h.SampleCountFloat = splitCount(v)
	}
}

// histogram returns the histogram of a point and creates it if needed.
func (b *builder) histogram(attributes pcommon.Map) *dto.Histogram {
	if b.parts {
		return b.histogramOf(attributes)
	}
	m := b.add(attributes)
	m.Histogram = &dto.Histogram{}
	return m.Histogram
}

// histogramOf returns the histogram that a series is a part of and creates it if needed.
func (b *builder) histogramOf(attributes pcommon.Map) *dto.Histogram {
	m := b.wholeOf(attributes, "le")
	if m.Histogram == nil {
		m.Histogram = &dto.Histogram{}
	}
	return m.Histogram
}

// joinSummary adds a series of a flattened summary to its summary.
func (b *builder) joinSummary(attributes pcommon.Map, suffix string, v float64) {
	m := b.wholeOf(attributes, "quantile")
	if m.Summary == nil {
		m.Summary = &dto.Summary{}
	}
	switch suffix {
	case "":
		q, _ := attributes.Get("quantile")
		quantile, _ := strconv.ParseFloat(q.AsString(), 64) // always valid: formatted from a number
		m.Summary.Quantile = append(m.Summary.Quantile, &dto.Quantile{Quantile: &quantile, Value: &v})
	case "_sum":
		m.Summary.SampleSum = &v
	case "_count":
		m.Summary.SampleCount = new(uint64(v))
	}
}

// wholeOf returns the histogram or summary that a series is a part of and creates it if needed. The label belongs to the
// part only.
func (b *builder) wholeOf(attributes pcommon.Map, label string) *dto.Metric {
	labels := b.labels(attributes, label)
	id := identity(labels)
	if m, ok := b.whole[id]; ok {
		return m
	}
	if b.whole == nil {
		b.whole = map[string]*dto.Metric{}
	}
	m := &dto.Metric{Label: labels}
	b.whole[id] = m
	b.family.Metric = append(b.family.Metric, m)
	return m
}
