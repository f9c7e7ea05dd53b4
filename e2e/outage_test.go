// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// synchronousExamples answer a push with what the backend makes of it.
var synchronousExamples = []string{"remote-write.yaml", "prometheus3.yaml", "tenants.yaml"}

// startExample starts an example as it is shipped, with the feature gates that its comment names.
func startExample(t *testing.T, example, backend string, set ...string) *collector {
	t.Helper()
	path := filepath.Join("..", "configs", example)
	return startCollector(t, settings{
		config: path, set: set, args: gatesOf(t, path),
		env: map[string]string{"REMOTE_WRITE_ENDPOINT": backend, "LOOPBACK_ENDPOINT": freeEndpoint(t), "STORAGE_DIRECTORY": t.TempDir()},
	})
}

// TestAcceptedIsStored looks into Prometheus as soon as a push was answered with 200.
func TestAcceptedIsStored(t *testing.T) {
	t.Parallel()
	for _, example := range synchronousExamples {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			server := startPrometheus(t, prometheusFile(t, ""))
			c := startExample(t, example, server.url+"/api/v1/write")
			for _, value := range []string{"1", "2", "3"} {
				got := put(t, c.url, "nightly", []byte("rows "+value+"\n"))
				require.Equal(t, http.StatusOK, got.status, got.body)
				assert.Equal(t, []string{value}, server.query(t, `rows{job="nightly"}`))
			}
		})
	}
}

// TestBackendIsAway pushes while nobody listens at the backend's address. Such a push is answered with 503, and nothing of it
// arrives later.
func TestBackendIsAway(t *testing.T) {
	t.Parallel()
	for _, example := range synchronousExamples {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			endpoint := freeEndpoint(t)
			c := startExample(t, example, "http://"+endpoint+"/api/v1/write")
			got := put(t, c.url, "nightly", []byte("rows 1\n"))
			assert.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
			assert.Equal(t, "5", got.header.Get("Retry-After"))

			server := startPrometheusWith(t, builtPrometheus(t), prometheusFile(t, ""), "--web.listen-address="+endpoint, takesRemoteWrite)
			got = put(t, c.url, "nightly", []byte("rows 2\n"))
			require.Equal(t, http.StatusOK, got.status, got.body)
			assert.Equal(t, []string{"2"}, server.query(t, `rows`))
			assert.Equal(t, []string{"1"}, server.query(t, `count_over_time(rows[1h])`), "the first push was not kept")
		})
	}
}

// TestBackendWithoutRemoteWrite pushes to a Prometheus that was started without the flag for remote write. The job learns that
// trying again does not help; Prometheus' own words, which name the flag, are in the log.
func TestBackendWithoutRemoteWrite(t *testing.T) {
	t.Parallel()
	server := startPrometheusWith(t, builtPrometheus(t), prometheusFile(t, ""))
	for _, example := range synchronousExamples {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			c := startExample(t, example, server.url+"/api/v1/write")
			got := put(t, c.url, "nightly", []byte("rows 1\n"))
			assert.Equal(t, http.StatusInternalServerError, got.status)
			assert.Contains(t, got.body, "remote write request failed")
			assert.Empty(t, got.header.Get("Retry-After"))
			require.Eventually(t, func() bool {
				return strings.Contains(c.output.String(), "remote write receiver needs to be enabled with "+takesRemoteWrite)
			}, settleTimeout, pollInterval, "%s", c.output)
		})
	}
}

// TestDurableGoesOn pushes a native histogram to a backend that has none and answers 500, and then a counter of another job.
// The counter arrives once the histogram was given up.
func TestDurableGoesOn(t *testing.T) {
	t.Parallel()
	const bound = "exporters::otlp_http::retry_on_failure: {max_elapsed_time: 2s, max_interval: 500ms}"
	t.Run("a backend that answers 500", func(t *testing.T) {
		t.Parallel()
		b := newWithoutNative(t)
		c := startExample(t, "durable.yaml", b.URL, bound)
		pushNative(t, c.url)
		pushRows(t, c.url)
		require.Eventually(t, func() bool { return b.has("rows_total") }, settleTimeout, pollInterval, "%s", c.output)
		assert.False(t, b.has("latency_seconds"))
		assert.Positive(t, b.refusals())
		assert.Contains(t, c.output.String(), "no more retries left", "the log says what is lost")
	})
	t.Run("Prometheus 2.42", func(t *testing.T) {
		t.Parallel()
		server := startPrometheusWith(t, debiansPrometheus(t), prometheusFile(t, ""), takesRemoteWrite)
		c := startExample(t, "durable.yaml", server.url+"/api/v1/write", bound)
		pushNative(t, c.url)
		pushRows(t, c.url)
		require.Eventually(t, func() bool { return len(server.query(t, "rows_total")) == 1 }, settleTimeout, pollInterval, "%s", c.output)
		var series []labelSet
		server.get(t, "series", url.Values{"match[]": {"latency_seconds"}}, &series)
		assert.Empty(t, series)
	})
}

// TestDurableIsBounded reads the bound that is shipped: without one the test above would wait for ever.
func TestDurableIsBounded(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../configs/durable.yaml")
	require.NoError(t, err)
	setting := regexp.MustCompile(`\n {6}max_elapsed_time: (\S+)\n`).FindSubmatch(content)
	require.NotNil(t, setting)
	bound, err := time.ParseDuration(string(setting[1]))
	require.NoError(t, err)
	assert.Positive(t, bound)
	assert.LessOrEqual(t, bound, time.Hour)
}

// debiansPrometheus is the server of Debian 12's package, which knows native histograms only behind a flag.
func debiansPrometheus(t *testing.T) string {
	t.Helper()
	const path = "/usr/bin/prometheus"
	version, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(version), "version 2.42.0") {
		t.Skip("Debian 12's Prometheus is not installed: run make clients as root on Debian 12")
	}
	return path
}

// pushNative pushes a histogram that has native buckets alone.
func pushNative(t *testing.T, url string) {
	t.Helper()
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", NativeHistogramBucketFactor: 1.1})
	latency.Observe(0.5)
	require.NoError(t, push.New(url, "native").Collector(latency).Push())
}

func pushRows(t *testing.T, url string) {
	t.Helper()
	rows := prometheus.NewCounter(prometheus.CounterOpts{Name: "rows_total"})
	rows.Inc()
	require.NoError(t, push.New(url, "rows").Collector(rows).Push())
}

// withoutNative is a backend without native histograms: like Prometheus 2.42 it answers 500 to the whole request that has one.
type withoutNative struct {
	*httptest.Server
	mu      sync.Mutex
	names   map[string]bool
	refused int
}

func newWithoutNative(t *testing.T) *withoutNative {
	t.Helper()
	b := &withoutNative{names: map[string]bool{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := readWriteRequest(r)
		if !assert.NoError(t, err) {
			return
		}
		if !b.take(request) {
			http.Error(w, "native histograms are disabled", http.StatusInternalServerError)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// take keeps the names of a request's series, or refuses it.
func (b *withoutNative) take(request *prompb.WriteRequest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range request.Timeseries {
		if len(request.Timeseries[i].Histograms) > 0 {
			b.refused++
			return false
		}
	}
	for i := range request.Timeseries {
		b.names[labelSetOf(request.Timeseries[i].Labels)["__name__"]] = true
	}
	return true
}

func (b *withoutNative) has(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.names[name]
}

func (b *withoutNative) refusals() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}
