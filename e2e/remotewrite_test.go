// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// backend is the other end of remote write: it keeps what arrives.
type backend struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*prompb.WriteRequest
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := readWriteRequest(r)
		if !assert.NoError(t, err) {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests = append(b.requests, request)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(b.Close)
	return b
}

func readWriteRequest(r *http.Request) (*prompb.WriteRequest, error) {
	if version := r.Header.Get("X-Prometheus-Remote-Write-Version"); version != "0.1.0" {
		return nil, fmt.Errorf("remote write version %q, want 0.1.0", version)
	}
	compressed, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	body, err := snappy.Decode(nil, compressed)
	if err != nil {
		return nil, err
	}
	request := &prompb.WriteRequest{}
	err = request.Unmarshal(body)
	return request, err
}

// take waits until a push of a job has arrived and returns everything that came, forgetting it. The exporter sends the types
// and help texts of a push in a request of their own, at the same time as its series: both must be there.
func (b *backend) take(t *testing.T, job string) *written {
	t.Helper()
	var got *written
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		b.mu.Lock()
		defer b.mu.Unlock()
		got = newWritten(c, b.requests)
		assert.Contains(c, got.jobs, job)
		assert.Contains(c, got.types, "push_time_seconds")
	}, dataTimeout, pollInterval)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
	return got
}

// timesOf is the milliseconds of a series' samples, in the order in which they arrived.
func (b *backend) timesOf(series string) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var times []int64
	for _, request := range b.requests {
		for i := range request.Timeseries {
			if s := &request.Timeseries[i]; labelSetOf(s.Labels).String() == series {
				times = append(times, s.Samples[0].Timestamp)
			}
		}
	}
	return times
}

// written is what arrived, in the form in which it is compared.
type written struct {
	jobs       map[string]bool
	samples    map[string]float64   // by series
	histograms map[string]histogram // by series
	types      map[string]string    // by metric name: "counter", "gauge" and so on
	helps      map[string]string    // by metric name
	times      []time.Time          // of every sample
}

func newWritten(t require.TestingT, requests []*prompb.WriteRequest) *written {
	w := &written{
		jobs: map[string]bool{}, samples: map[string]float64{}, histograms: map[string]histogram{},
		types: map[string]string{}, helps: map[string]string{},
	}
	for _, request := range requests {
		for i := range request.Timeseries {
			w.addSeries(t, &request.Timeseries[i])
		}
		for _, metadata := range request.Metadata {
			w.types[metadata.MetricFamilyName] = strings.ToLower(metadata.Type.String())
			w.helps[metadata.MetricFamilyName] = metadata.Help
		}
	}
	return w
}

// addSeries demands that a series comes once: a second sample of it would be the value of another push.
func (w *written) addSeries(t require.TestingT, series *prompb.TimeSeries) {
	labels := labelSetOf(series.Labels)
	w.jobs[labels["job"]] = true
	key := labels.String()
	for _, sample := range series.Samples {
		assert.NotContains(t, w.samples, key, "a series came twice")
		w.samples[key] = sample.Value
		w.times = append(w.times, time.UnixMilli(sample.Timestamp))
	}
	for i := range series.Histograms {
		sample := &series.Histograms[i]
		assert.NotContains(t, w.histograms, key, "a series came twice")
		w.histograms[key] = histogramOf(sample)
		w.times = append(w.times, time.UnixMilli(sample.Timestamp))
	}
}

func labelSetOf(labels []prompb.Label) labelSet {
	set := labelSet{}
	for _, label := range labels {
		set[label.Name] = label.Value
	}
	return set
}

// histogram is a native histogram with its buckets written out, since spans may be cut in several ways.
type histogram struct {
	schema             int32
	sum                float64
	count, zero        uint64
	zeroThreshold      float64
	positive, negative map[int32]int64 // populated buckets by index
}

func histogramOf(h *prompb.Histogram) histogram {
	return histogram{
		schema: h.Schema, sum: h.Sum, count: h.GetCountInt(), zero: h.GetZeroCountInt(), zeroThreshold: h.ZeroThreshold,
		positive: buckets(h.PositiveSpans, h.PositiveDeltas), negative: buckets(h.NegativeSpans, h.NegativeDeltas),
	}
}

// buckets writes out the populated buckets of spans, whose deltas are each population less the one before.
func buckets(spans []prompb.BucketSpan, deltas []int64) map[int32]int64 {
	populated := map[int32]int64{}
	var index int32
	var population int64
	for _, span := range spans {
		index += span.Offset
		for range span.Length {
			population += deltas[0]
			deltas = deltas[1:]
			if population != 0 {
				populated[index] = population
			}
			index++
		}
	}
	return populated
}
