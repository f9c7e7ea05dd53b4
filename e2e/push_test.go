// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startRemoteWrite starts the distribution with the shipped remote-write example, writing to a backend of the test's.
func startRemoteWrite(t *testing.T) (*collector, *backend) {
	t.Helper()
	b := newBackend(t)
	c := startCollector(t, settings{
		config: "../configs/remote-write.yaml",
		env:    map[string]string{"REMOTE_WRITE_ENDPOINT": b.URL},
		args:   []string{"--feature-gates", "pkg.translator.prometheus.PermissiveLabelSanitization"},
	})
	return c, b
}

var (
	text        = expfmt.NewFormat(expfmt.TypeTextPlain)
	openMetrics = expfmt.NewFormat(expfmt.TypeOpenMetrics)
	protobuf    = expfmt.NewFormat(expfmt.TypeProtoDelim)
)

// TestClientGolang pushes with client_golang as it is and compares everything that reaches the backend with what the
// client's registry gathers: each series with its labels and value, each type and help text.
func TestClientGolang(t *testing.T) {
	t.Parallel()
	c, b := startRemoteWrite(t)

	for _, tc := range []struct {
		name     string
		base     string // path of the base URL
		job      string
		format   expfmt.Format
		send     func(*push.Pusher) error
		client   push.HTTPDoer
		grouping labelSet
	}{
		{name: "Push protobuf", job: "a", format: protobuf, send: (*push.Pusher).Push},
		{name: "Push text", job: "b", format: text, send: (*push.Pusher).Push},
		{name: "Push OpenMetrics", job: "c", format: openMetrics, send: (*push.Pusher).Push},
		{name: "Add protobuf", job: "d", format: protobuf, send: (*push.Pusher).Add},
		{name: "Add text", job: "e", format: text, send: (*push.Pusher).Add},
		{name: "Add OpenMetrics", job: "f", format: openMetrics, send: (*push.Pusher).Add},
		{name: "base URL with /pushgateway", base: "/pushgateway", job: "g", format: protobuf, send: (*push.Pusher).Push},
		{name: "text to /pushgateway", base: "/pushgateway", job: "h", format: text, send: (*push.Pusher).Add},
		{name: "gzip protobuf", job: "i", format: protobuf, send: (*push.Pusher).Push, client: gzipClient{}},
		{name: "gzip text", job: "j", format: text, send: (*push.Pusher).Push, client: gzipClient{}},
		{name: "gzip OpenMetrics", job: "k", format: openMetrics, send: (*push.Pusher).Push, client: gzipClient{}},
		{
			name: "grouping labels", job: "l", format: protobuf, send: (*push.Pusher).Push,
			grouping: labelSet{"instance": "host-1", "zone": "eu", "_lead": "x", "dou__ble": "y"},
		},
		{
			name: "grouping labels in base64", job: "nightly/backup", format: text, send: (*push.Pusher).Push,
			grouping: labelSet{"instance": "host/1", "path": "/var/lib", "none": ""},
		},
		{
			name: "labels beyond ASCII", base: "/pushgateway", job: "größe", format: openMetrics, send: (*push.Pusher).Add,
			grouping: labelSet{"city": "København"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			registry := newRegistry()
			pusher := push.New(c.url+tc.base, tc.job).Gatherer(registry).Format(tc.format)
			for name, value := range tc.grouping {
				pusher.Grouping(name, value)
			}
			if tc.client != nil {
				pusher.Client(tc.client)
			}
			families, err := registry.Gather()
			require.NoError(t, err)
			want := newExpected(families, group(tc.job, tc.grouping), tc.format == protobuf)

			before := time.Now().Truncate(time.Millisecond)
			require.NoError(t, tc.send(pusher))
			after := time.Now()

			got := b.take(t, tc.job)
			checkPushTime(t, got, want, before, after)
			assert.Equal(t, want.samples, got.samples)
			assert.Equal(t, want.histograms, got.histograms)
			assert.Equal(t, want.types, got.types)
			assert.Equal(t, want.helps, got.helps)
		})
	}
}

// group is the labels of a group as they stay on its series: an empty value is no label.
func group(job string, grouping labelSet) labelSet {
	labels := maps.Clone(grouping)
	if labels == nil {
		labels = labelSet{}
	}
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	labels["job"] = job
	return labels
}

// checkPushTime looks at what the receiver adds, push_time_seconds and the time of every sample, and takes that metric out
// of what arrived.
func checkPushTime(t *testing.T, got *written, want *expected, before, after time.Time) {
	t.Helper()
	labels := maps.Clone(want.group)
	labels["__name__"] = "push_time_seconds"
	require.Contains(t, got.samples, labels.String())
	assert.InDelta(t, float64(before.UnixMilli())/1e3, got.samples[labels.String()], after.Sub(before).Seconds()+0.001)
	assert.Equal(t, "gauge", got.types["push_time_seconds"])
	delete(got.samples, labels.String())
	delete(got.types, "push_time_seconds")
	delete(got.helps, "push_time_seconds")

	for _, at := range got.times {
		assert.WithinRange(t, at, before, after)
	}
}

// newRegistry has a metric of every type, with names and labels that a translation could spoil.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "jobs_done_total", Help: "Jobs done."}, []string{"result"})
	requests.WithLabelValues("ok").Add(42)
	requests.WithLabelValues(`a "quoted" \ one`).Add(0.5)
	duration := prometheus.NewGauge(prometheus.GaugeOpts{Name: "job_duration_seconds", Help: "Duration.\nIn seconds."})
	duration.Set(-1.5e-7)
	ratio := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "job:ratio", Help: "With a colon."}, []string{"_odd", "o__dd"})
	ratio.WithLabelValues("1", "2").Set(1e21)
	sizes := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "file_size_bytes", Help: "Sizes.", Buckets: []float64{0.5, 1, 1024, 1e6, 2.5e9},
	}, []string{"kind"})
	for i := range 20 {
		sizes.WithLabelValues("data").Observe(float64(i * i * 500))
	}
	latency := prometheus.NewSummary(prometheus.SummaryOpts{
		Name: "query_latency_seconds", Help: "Latencies.", Objectives: map[float64]float64{0.5: 0.05, 0.99: 0.001, 1: 0},
	})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "step_seconds", Help: "Steps.", NativeHistogramBucketFactor: 1.1,
	})
	for i := range 50 {
		latency.Observe(float64(i) / 100)
		native.Observe(float64(i-10) * 0.37)
	}
	legacy := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "legacy_value", Help: "No type."}, func() float64 { return 7 })
	registry.MustRegister(requests, duration, ratio, sizes, latency, native, legacy)
	return registry
}

// gzipClient compresses the bodies of its requests.
type gzipClient struct{}

func (gzipClient) Do(r *http.Request) (*http.Response, error) {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := io.Copy(w, r.Body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	r.Body, r.ContentLength = io.NopCloser(&compressed), int64(compressed.Len())
	r.Header.Set("Content-Encoding", "gzip")
	return http.DefaultClient.Do(r)
}

// TestRefusedPushForwardsNothing sends bad pushes and then a good one: that is all that arrives.
func TestRefusedPushForwardsNothing(t *testing.T) {
	t.Parallel()
	c, b := startRemoteWrite(t)
	const good = "# TYPE a gauge\na 1\n"

	for _, tc := range []struct {
		name, path, body string
		status           int
		message          string
	}{
		{"bad last line", "/metrics/job/bad", good + "b{ 2\n", http.StatusBadRequest, "line 3"},
		{"series twice", "/metrics/job/bad", good + "a 2\n", http.StatusBadRequest, "a"},
		{"explicit timestamp", "/metrics/job/bad", "a 1 1700000000000\n", http.StatusBadRequest, "timestamp"},
		{"label of the group reserved", "/metrics/job/bad/__x/y", good, http.StatusBadRequest, "__x"},
		{"no such path", "/metric/job/bad", good, http.StatusNotFound, ""},
	} {
		status, body := send(t, http.MethodPut, c.url+tc.path, tc.body)
		assert.Equal(t, tc.status, status, tc.name)
		assert.Contains(t, body, tc.message, tc.name)
	}

	status, body := send(t, http.MethodPut, c.url+"/metrics/job/good", good)
	require.Equal(t, http.StatusOK, status, body)
	got := b.take(t, "good")
	assert.Equal(t, map[string]bool{"good": true}, got.jobs)
	assert.Contains(t, got.samples, `a{job="good"}`)
}

// TestClientGolangDelete is told why there is nothing to delete.
func TestClientGolangDelete(t *testing.T) {
	t.Parallel()
	c, _ := startRemoteWrite(t)
	err := push.New(c.url, "nightly").Delete()
	require.ErrorContains(t, err, "unexpected status code 405")
	require.ErrorContains(t, err, "ignore_delete")
}

// TestTimesOfOneGroupIncrease pushes one group from many clients at once: a remote-write backend refuses a sample that is
// not newer than the one before it.
func TestTimesOfOneGroupIncrease(t *testing.T) {
	t.Parallel()
	c, b := startRemoteWrite(t)
	const clients, pushes = 8, 25
	var pushing sync.WaitGroup
	for range clients {
		pushing.Go(func() {
			for i := range pushes {
				assert.NoError(t, push.New(c.url, "busy").Collector(gauge("n", float64(i))).Push())
			}
		})
	}
	pushing.Wait()

	const series = `n{job="busy"}`
	require.Eventually(t, func() bool { return len(b.timesOf(series)) == clients*pushes }, dataTimeout, pollInterval)
	times := b.timesOf(series)
	for i := range times[1:] {
		require.Less(t, times[i], times[i+1], "sample %d of %d", i+1, len(times))
	}
}

func gauge(name string, value float64) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name})
	g.Set(value)
	return g
}

func send(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(answer)
}
