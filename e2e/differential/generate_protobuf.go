// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"bytes"
	"math"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
)

// protobuf draws delimited families.
func (g generator) protobuf() []byte {
	var b bytes.Buffer
	var before []*dto.MetricFamily
	for range g.IntN(4) {
		family := g.family()
		if len(before) > 0 && g.often(15) {
			g.repeat(family, before[g.IntN(len(before))])
		}
		before = append(before, family)
		_, _ = protodelim.MarshalTo(&b, family) // A bytes.Buffer takes everything.
	}
	return b.Bytes()
}

// repeat lets a family be one that came before, mostly with the same type, and now and then with one of its series.
func (g generator) repeat(family, before *dto.MetricFamily) {
	family.Name = before.Name
	if g.often(20) {
		return
	}
	family.Type = before.Type
	for i := range family.Metric {
		family.Metric[i] = g.metric(before.GetType())
	}
	if len(before.Metric) > 0 && g.often(20) {
		family.Metric = append(family.Metric, before.Metric[g.IntN(len(before.Metric))])
	}
}

func (g generator) family() *dto.MetricFamily {
	family := &dto.MetricFamily{Name: new(g.metricName())}
	if family.GetName() == "" && g.often(50) {
		family.Name = nil
	}
	if g.often(50) {
		family.Help = new(g.rarely(20, "Some help.", "", "a\nb", `\n`, "é"))
	}
	kind := dto.MetricType(g.IntN(6))
	family.Type = kind.Enum()
	if g.often(3) {
		family.Type = nil
	}
	if g.often(5) {
		family.Unit = new(g.oneOf("seconds", "", "x"))
	}
	for range 1 + g.IntN(3)*g.IntN(2) - g.IntN(20)/19 {
		if g.often(1) {
			kind = dto.MetricType(g.IntN(6))
		}
		family.Metric = append(family.Metric, g.metric(kind))
	}
	return family
}

func (g generator) metric(kind dto.MetricType) *dto.Metric {
	m := &dto.Metric{}
	for range g.IntN(3) {
		name := g.rarely(10, g.oneOf("x", "y", "z", "instance", "job", "a", "code"),
			"le", "quantile", "__x", "__name__", "1x", "x-y", "", "otel_scope_name", "é", "x.y", "\xff")
		m.Label = append(m.Label, &dto.LabelPair{Name: new(name), Value: new(g.rarely(6, g.value(), "", "\xff", "\x00"))})
	}
	if g.often(1) {
		m.TimestampMs = new(int64(g.IntN(3)) - 1)
	}
	if g.often(1) {
		return m
	}
	switch kind {
	case dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: g.double()}
	case dto.MetricType_GAUGE:
		m.Gauge = &dto.Gauge{Value: g.double()}
	case dto.MetricType_UNTYPED:
		m.Untyped = &dto.Untyped{Value: g.double()}
	case dto.MetricType_SUMMARY:
		m.Summary = g.summary()
	default:
		m.Histogram = g.histogram()
	}
	return m
}

// double draws a value, which may be missing.
func (g generator) double() *float64 {
	choices := []float64{1, 2, 3.5, 0, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.Float64frombits(staleNaN)}
	if g.often(3) {
		return nil
	}
	return new(choices[g.IntN(len(choices))])
}

func (g generator) summary() *dto.Summary {
	s := &dto.Summary{SampleSum: g.double()}
	if !g.often(5) {
		s.SampleCount = new(uint64(g.IntN(10)))
	}
	for range g.IntN(4) {
		q := []float64{0.5, 0.9, 0.99, 1, 0, math.NaN()}[g.IntN(6)]
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: &q, Value: g.double()})
	}
	return s
}

func (g generator) histogram() *dto.Histogram {
	h := &dto.Histogram{SampleSum: g.double()}
	native := g.often(40)
	if !native || g.often(40) {
		g.classic(h)
	}
	if native {
		g.native(h)
	}
	return h
}

// classic draws buckets whose counts mostly rise to the histogram's count.
func (g generator) classic(h *dto.Histogram) {
	var total uint64
	for _, bound := range []float64{0.1, 1, 2.5, 10, math.Inf(1)}[g.IntN(3) : 3+g.IntN(3)] {
		total += uint64(g.IntN(4))
		b := &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(total)}
		switch g.IntN(40) {
		case 0:
			b.UpperBound = g.double()
		case 1:
			b.CumulativeCount, b.CumulativeCountFloat = nil, g.double()
		case 2:
			b.CumulativeCount = new(uint64(g.IntN(5)))
		case 3:
			b.CumulativeCountFloat = new(float64(total))
		}
		h.Bucket = append(h.Bucket, b)
	}
	if g.often(5) {
		g.Shuffle(len(h.Bucket), func(i, j int) { h.Bucket[i], h.Bucket[j] = h.Bucket[j], h.Bucket[i] })
	}
	h.SampleCount = new(total)
	if g.often(5) {
		h.SampleCount = new(uint64(g.IntN(10)))
	}
	if g.often(4) {
		h.SampleCount, h.SampleCountFloat = nil, new(float64(total)+0.5*float64(g.IntN(2)))
	}
}

// native draws native buckets, which are sometimes fractional, negative or at odds with their spans.
func (g generator) native(h *dto.Histogram) {
	h.Schema = new(int32(g.IntN(13)) - 4)
	if g.often(4) {
		h.Schema = new([]int32{-5, 9, -53, 52, 100}[g.IntN(5)])
	}
	h.ZeroThreshold = new([]float64{0, 0.001, 1, 2.938735877055719e-39}[g.IntN(4)])
	if g.often(2) {
		h.ZeroThreshold = g.double()
	}
	total := uint64(g.IntN(3))
	fractional := g.often(15)
	if fractional {
		h.ZeroCountFloat = new(float64(total) + 0.5)
	} else {
		h.ZeroCount = new(total)
	}
	if g.often(80) {
		h.PositiveSpan, h.PositiveDelta, h.PositiveCount = g.side(fractional, &total)
	}
	if g.often(30) {
		h.NegativeSpan, h.NegativeDelta, h.NegativeCount = g.side(fractional, &total)
	}
	h.SampleCount = new(total)
	if fractional {
		h.SampleCount, h.SampleCountFloat = nil, new(float64(total)+1.5)
	}
	if g.often(2) {
		h.SampleCount = new(uint64(g.IntN(9)))
	}
}

// side draws one side of a native histogram and adds its populations to total.
func (g generator) side(fractional bool, total *uint64) (spans []*dto.BucketSpan, deltas []int64, counts []float64) {
	var last int64
	for range 1 + g.IntN(3) {
		length := g.IntN(4)
		offset := g.IntN(5)
		if len(spans) == 0 || g.often(1) {
			offset -= 2
		}
		spans = append(spans, &dto.BucketSpan{Offset: new(int32(offset)), Length: new(uint32(length))})
		for range length {
			population := int64(g.IntN(5))
			if g.often(1) {
				population = -population
			}
			*total += uint64(max(population, 0))
			deltas = append(deltas, population-last)
			counts = append(counts, float64(population)+0.25)
			last = population
		}
	}
	if g.often(2) {
		deltas, counts = append(deltas, 1), append(counts, 1)
	}
	if fractional {
		return spans, nil, counts
	}
	return spans, deltas, nil
}
