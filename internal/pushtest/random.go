// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushtest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// Random returns a random push to the group. Names, labels, bounds and quantiles are few, so that pushes overlap and
// sometimes conflict.
func Random(r *rand.Rand, key groupingkey.Key) *translate.Push {
	for {
		if push, err := Translate(key, exposition.Protobuf, randomBody(r)); err == nil {
			return push
		}
	}
}

func randomBody(r *rand.Rand) []byte {
	var body bytes.Buffer
	for _, name := range some(r, []string{"a", "b", "c", "a_sum", "ns:d.e"}, 0.4) {
		if _, err := protodelim.MarshalTo(&body, randomFamily(r, name)); err != nil {
			panic(err)
		}
	}
	return body.Bytes()
}

var types = []dto.MetricType{
	dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_UNTYPED, dto.MetricType_SUMMARY,
	dto.MetricType_HISTOGRAM, dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM,
}

func randomFamily(r *rand.Rand, name string) *dto.MetricFamily {
	f := &dto.MetricFamily{Name: &name, Help: new(name), Type: pick(r, types).Enum()}
	// Histograms of a family are mostly of one kind.
	kind := r.IntN(3)
	for _, labels := range randomLabels(r) {
		m := &dto.Metric{Label: labels}
		v := math.Trunc(r.Float64() * 100)
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			m.Counter = &dto.Counter{Value: &v}
		case dto.MetricType_GAUGE:
			m.Gauge = &dto.Gauge{Value: &v}
		case dto.MetricType_UNTYPED:
			m.Untyped = &dto.Untyped{Value: &v}
		case dto.MetricType_SUMMARY:
			m.Summary = randomSummary(r, v)
		default:
			if r.IntN(5) == 0 {
				kind = r.IntN(3)
			}
			m.Histogram = randomHistogram(r, kind)
		}
		f.Metric = append(f.Metric, m)
	}
	return f
}

// randomLabels returns distinct label sets.
func randomLabels(r *rand.Rand) (sets [][]*dto.LabelPair) {
	seen := map[string]bool{}
	for range 1 + r.IntN(3) {
		var labels []*dto.LabelPair
		for _, name := range some(r, []string{"x", "y.z", "instance", "otel_scope_name", "otel_scope_attr"}, 0.25) {
			labels = append(labels, &dto.LabelPair{Name: &name, Value: new(pick(r, []string{"1", "2", Scope}))})
		}
		if id := fmt.Sprint(labels); !seen[id] {
			seen[id] = true
			r.Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
			sets = append(sets, labels)
		}
	}
	return sets
}

func randomSummary(r *rand.Rand, sum float64) *dto.Summary {
	s := &dto.Summary{SampleSum: &sum, SampleCount: new(uint64(r.IntN(9)))}
	for _, q := range some(r, []float64{0, 0.5, 0.99, 1, 1e-7, math.NaN()}, 0.5) {
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: &q, Value: new(r.Float64())})
	}
	return s
}

// randomHistogram returns a classic or native histogram, or one that OTLP cannot represent.
func randomHistogram(r *rand.Rand, kind int) *dto.Histogram {
	h := &dto.Histogram{SampleSum: new(r.Float64()), SampleCount: new(uint64(4))}
	if kind == 1 {
		h.Schema, h.ZeroThreshold, h.ZeroCount = new(int32(r.IntN(9))), new(1e-9), new(uint64(1))
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(r.IntN(5))), Length: new(uint32(2))}}
		h.PositiveDelta = []int64{1, 1}
		return h
	}
	for i, bound := range some(r, []float64{-1, 0, 0.1, 1, 1e21, math.Inf(1)}, 0.5) {
		b := &dto.Bucket{UpperBound: &bound, CumulativeCount: new(uint64(i)/2 + 1)}
		if kind == 2 {
			b.CumulativeCountFloat = new(float64(i)/2 + 0.25)
		}
		if math.IsInf(bound, 1) {
			b.CumulativeCount, b.CumulativeCountFloat = h.SampleCount, nil
		}
		h.Bucket = append(h.Bucket, b)
	}
	return h
}

func pick[E any](r *rand.Rand, from []E) E { return from[r.IntN(len(from))] }

// some selects each element with probability p.
func some[E any](r *rand.Rand, from []E, p float64) []E {
	return slices.DeleteFunc(slices.Clone(from), func(E) bool { return r.Float64() >= p })
}
