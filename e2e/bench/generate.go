// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// random makes the same numbers in every run.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

var (
	defaultBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	methods       = []string{"GET", "POST", "PUT", "DELETE"}
	codes         = []string{"200", "204", "400", "404", "503"}
	regions       = []string{"eu-central-1", "eu-west-1", "us-east-1"}
)

// family makes a family of the metrics.
func family(t dto.MetricType, name, help string, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &t, Metric: metrics}
}

// labels makes labels of names and values in turn.
func labels(pairs ...string) []*dto.LabelPair {
	all := make([]*dto.LabelPair, 0, len(pairs)/2)
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, &dto.LabelPair{Name: &pair[0], Value: &pair[1]})
	}
	return all
}

func gauge(v float64, pairs ...string) *dto.Metric {
	return &dto.Metric{Label: labels(pairs...), Gauge: &dto.Gauge{Value: &v}}
}

func counter(v float64, pairs ...string) *dto.Metric {
	return &dto.Metric{Label: labels(pairs...), Counter: &dto.Counter{Value: &v}}
}

// classic makes a histogram with the default buckets of client libraries.
func classic(r *rand.Rand, pairs ...string) *dto.Metric {
	h := &dto.Histogram{}
	var count uint64
	for _, bound := range append(defaultBounds, math.Inf(1)) {
		count += r.Uint64N(200)
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(count)})
	}
	h.SampleCount, h.SampleSum = &count, new(math.Round(r.Float64()*1e9)/1e6)
	return &dto.Metric{Label: labels(pairs...), Histogram: h}
}

// jobPush is what a batch job pushes at its end: 21 series, one histogram among them.
func jobPush() []*dto.MetricFamily {
	r := random()
	return []*dto.MetricFamily{
		family(dto.MetricType_HISTOGRAM, "backup_chunk_duration_seconds", "Time to upload one chunk.", classic(r)),
		family(dto.MetricType_GAUGE, "backup_duration_seconds", "Duration of the last backup.", gauge(132.25)),
		family(dto.MetricType_COUNTER, "backup_files_total", "Files seen, by outcome.",
			counter(15231, "outcome", "copied"), counter(120482, "outcome", "unchanged"), counter(3, "outcome", "failed")),
		family(dto.MetricType_GAUGE, "backup_last_success_timestamp_seconds", "Time of the last success.", gauge(1.7538e9)),
		family(dto.MetricType_GAUGE, "backup_size_bytes", "Size of the last backup.",
			gauge(7.311e10, "stage", "read"), gauge(1.8127e10, "stage", "written")),
	}
}

// tenSeries is a small push without a histogram: ten series of five families.
func tenSeries() []*dto.MetricFamily {
	failed := family(dto.MetricType_COUNTER, "backup_errors_total", "Errors, by step.",
		counter(2, "step", "list"), counter(0, "step", "read"), counter(5, "step", "upload"))
	return append([]*dto.MetricFamily{failed}, jobPush()[1:]...)
}

// counters is one family of n counters with five labels: the page by which the decoders are judged.
func counters(n int) []*dto.MetricFamily {
	r := random()
	metrics := make([]*dto.Metric, 0, n)
	for i := range n {
		metrics = append(metrics, counter(float64(r.IntN(1e6)),
			"code", codes[r.IntN(len(codes))], "handler", fmt.Sprintf("/api/v1/items/%d", i),
			"method", methods[r.IntN(len(methods))], "region", regions[i*len(regions)/n], "user", fmt.Sprintf("u%07d", i*7919)))
	}
	return []*dto.MetricFamily{family(dto.MetricType_COUNTER, "http_requests_total", "Requests handled.", metrics...)}
}

// gauges is that many families with that many gauges of three labels each.
func gauges(families, each int) []*dto.MetricFamily {
	r := random()
	all := make([]*dto.MetricFamily, 0, families)
	for i := range families {
		metrics := make([]*dto.Metric, 0, each)
		for k := range each {
			metrics = append(metrics, gauge(math.Round(r.Float64()*1e6)/1e3,
				"namespace", fmt.Sprintf("team-%d", k/25), "pod", fmt.Sprintf("worker-%d-%05d", k/25, k*31), "zone", regions[k%3]+"a"))
		}
		all = append(all, family(dto.MetricType_GAUGE, fmt.Sprintf("pod_measurement_%d_ratio", i), "A measurement.", metrics...))
	}
	return all
}

// histograms is one family of n classic histograms with two labels.
func histograms(n int) []*dto.MetricFamily {
	r := random()
	metrics := make([]*dto.Metric, 0, n)
	for i := range n {
		metrics = append(metrics, classic(r, "handler", fmt.Sprintf("/api/v1/items/%d", i/len(methods)), "method", methods[i%len(methods)]))
	}
	return []*dto.MetricFamily{family(dto.MetricType_HISTOGRAM, "http_request_duration_seconds", "Duration of requests.", metrics...)}
}

// natives is one family of n native histograms with two labels. Each has 40 populated buckets with some gaps.
func natives(n int) []*dto.MetricFamily {
	r := random()
	metrics := make([]*dto.Metric, 0, n)
	for i := range n {
		h := &dto.Histogram{Schema: new(int32(3)), ZeroThreshold: new(0x1p-128), ZeroCount: new(r.Uint64N(3))}
		count, last := h.GetZeroCount(), int64(0)
		for _, offset := range []int32{-20, 2, 1, 3} {
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: new(uint32(10))})
		}
		for range 40 {
			population := r.Int64N(300) + 1
			h.PositiveDelta = append(h.PositiveDelta, population-last)
			count, last = count+uint64(population), population
		}
		h.SampleCount, h.SampleSum = &count, new(r.Float64()*1e3)
		metrics = append(metrics, &dto.Metric{
			Label:     labels("handler", fmt.Sprintf("/api/v1/items/%d", i/len(methods)), "method", methods[i%len(methods)]),
			Histogram: h,
		})
	}
	return []*dto.MetricFamily{family(dto.MetricType_HISTOGRAM, "rpc_duration_seconds", "Duration of calls.", metrics...)}
}

// fiveLabels is a text body of at least size bytes in the manner of counters. Its series all differ.
func fiveLabels(size int) []byte {
	body := make([]byte, 0, size+256)
	body = append(body, "# HELP http_requests_total Requests handled.\n# TYPE http_requests_total counter\n"...)
	for i := 0; len(body) < size; i++ {
		body = fmt.Appendf(body, "http_requests_total{code=%q,handler=\"/api/v1/items/%d\",method=%q,region=%q,user=\"u%07d\"} %d\n",
			codes[i%5], i, methods[i%4], regions[i/1000%3], i*7919%10_000_000, i)
	}
	return body
}

// shortLines is a text body of at least size bytes that has one sample of a family of its own in each line, in as few
// bytes as possible: what takes most memory for its size.
func shortLines(size int) []byte {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:"
	body := make([]byte, 0, size+16)
	for i := 0; len(body) < size; i++ {
		for k := i; ; k = k/len(alphabet) - 1 {
			body = append(body, alphabet[k%len(alphabet)])
			if k < len(alphabet) {
				break
			}
		}
		body = append(body, " 1\n"...)
	}
	return body
}
