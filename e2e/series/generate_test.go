// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// random makes the same numbers in every run.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func gather(t *testing.T, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	return families
}

// goProcess is this process as client_golang shows it, with native histograms: positive, negative and around zero, one
// without observations and one whose buckets were merged because there were too many.
func goProcess(t *testing.T) *prometheus.Registry {
	t.Helper()
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "job_step_seconds", Help: "How long a step took.", NativeHistogramBucketFactor: 1.1,
	}, []string{"step"})
	drift := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "job_clock_drift_seconds", Help: "How far clocks were apart.", NativeHistogramBucketFactor: 1.5,
		NativeHistogramZeroThreshold: 0.01,
	})
	merged := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "job_size_bytes", Help: "Sizes over many orders.", NativeHistogramBucketFactor: 1.01,
		NativeHistogramMaxBucketNumber: 20,
	})
	idle := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "job_retry_seconds", Help: "Never observed.", NativeHistogramBucketFactor: 1.1,
	})
	r := random()
	for i := range 500 {
		latency.WithLabelValues([]string{"read", "write"}[i%2]).Observe(r.ExpFloat64())
		drift.Observe(r.NormFloat64() / 10)
		merged.Observe(math.Exp(r.Float64() * 40))
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(latency, drift, merged, idle, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// batchJob has every classic type with many labels and bounds.
func batchJob() *prometheus.Registry {
	rows := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "etl_rows_total", Help: "Rows, by table and outcome."},
		[]string{"table", "outcome"})
	size := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "etl_table_bytes", Help: "Size of a table."}, []string{"table"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "etl_table_seconds", Help: "Time per table."},
		[]string{"table"})
	chunk := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "etl_chunk_bytes", Help: "Sizes from bytes to terabytes.", Buckets: prometheus.ExponentialBuckets(1, 4, 20),
	})
	wait := prometheus.NewSummaryVec(prometheus.SummaryOpts{
		Name: "etl_wait_seconds", Help: "Waits.", Objectives: map[float64]float64{0: 0, 0.5: 0.05, 0.99: 0.001, 1: 0},
	}, []string{"queue"})
	wait.WithLabelValues("idle")
	r := random()
	for i := range 3000 {
		table := fmt.Sprintf("schema_%d.table %d", i%5, i%100)
		rows.WithLabelValues(table, []string{"copied", "unchanged", "failed"}[i%3]).Add(float64(r.IntN(1e9)))
		size.WithLabelValues(table).Set(r.Float64() * 1e12)
		seconds.WithLabelValues(table).Observe(r.ExpFloat64())
		chunk.Observe(math.Exp(r.Float64() * 30))
		wait.WithLabelValues("in").Observe(r.ExpFloat64())
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(rows, size, seconds, chunk, wait)
	return registry
}

// utf8Names are metrics of every type with names and labels as OpenTelemetry has them, and in other letters.
func utf8Names(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http.requests_total", Help: "Requests."},
		[]string{"http.method", "server-name", "code"})
	temperature := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "температура", Help: "Градусы."}, []string{"город"})
	size := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "naïve.bytes", Help: "Sizes."}, []string{"x"})
	usage := prometheus.NewGauge(prometheus.GaugeOpts{Name: "disk usage", Help: "With a blank."})
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "http.server.duration", Help: "Classic.", Buckets: []float64{0.1, 1},
	})
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "rpc.latency", Help: "Native.", NativeHistogramBucketFactor: 1.5,
	})
	wait := prometheus.NewSummary(prometheus.SummaryOpts{Name: "queue.wait", Help: "Waits.", Objectives: map[float64]float64{0.5: 0.05}})
	requests.WithLabelValues("GET", "a", "200").Add(3)
	requests.WithLabelValues("PUT", "b", "500").Add(4)
	temperature.WithLabelValues("Москва").Set(-5)
	size.WithLabelValues("1").Set(6)
	usage.Set(7)
	r := random()
	for range 100 {
		duration.Observe(r.ExpFloat64())
		latency.Observe(r.ExpFloat64())
		wait.Observe(r.ExpFloat64())
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(requests, temperature, size, usage, duration, latency, wait)
	return gather(t, registry)
}

// histogramKind is a page of histograms with the same parts.
type histogramKind struct {
	name     string
	families []*dto.MetricFamily
}

// histogramKinds have classic buckets, native ones or both in one histogram, as client_java 1.x pushes by default.
func histogramKinds(t *testing.T) []histogramKind {
	t.Helper()
	var kinds []histogramKind
	for _, kind := range []struct {
		name, metric string
		buckets      []float64
		factor       float64
	}{
		{"classic histograms", "classic_seconds", prometheus.DefBuckets, 0},
		{"native histograms", "native_seconds", nil, 1.1},
		{"histograms with both", "both_seconds", prometheus.DefBuckets, 1.1},
	} {
		seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: kind.metric, Help: "Times.", Buckets: kind.buckets, NativeHistogramBucketFactor: kind.factor,
		}, []string{"step"})
		r := random()
		for i := range 500 {
			seconds.WithLabelValues([]string{"read", "write"}[i%2]).Observe(r.ExpFloat64())
		}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(seconds)
		families := gather(t, registry)
		for _, m := range families[0].GetMetric() { // As client_java does.
			m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{
				UpperBound: new(math.Inf(1)), CumulativeCount: new(m.GetHistogram().GetSampleCount()),
			})
		}
		kinds = append(kinds, histogramKind{kind.name, families})
	}
	return kinds
}

// beyondOTLP are metrics that protobuf can hold and OTLP cannot, or not as such.
func beyondOTLP() []*dto.MetricFamily {
	native := func() *dto.Histogram {
		return &dto.Histogram{
			Schema: proto.Int32(0), ZeroThreshold: new(1e-9), SampleSum: new(7.5),
			PositiveSpan: []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(2)}},
		}
	}
	fractional, gauge := native(), native()
	fractional.SampleCountFloat = new(4.0)
	fractional.ZeroCountFloat = new(0.5)
	fractional.PositiveCount = []float64{1.25, 2.25}
	gauge.SampleCount = proto.Uint64(4)
	gauge.ZeroCount = proto.Uint64(1)
	gauge.PositiveDelta = []int64{1, 1}
	return []*dto.MetricFamily{
		histogramFamily("fractional_native", dto.MetricType_HISTOGRAM, fractional),
		histogramFamily("gauge_native", dto.MetricType_GAUGE_HISTOGRAM, gauge),
	}
}

func histogramFamily(name string, kind dto.MetricType, h *dto.Histogram) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Type: &kind, Metric: []*dto.Metric{{Histogram: h}}}
}
