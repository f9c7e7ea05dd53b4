// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startObserved starts the distribution and serves its own metrics.
func startObserved(t *testing.T, s settings) *watched {
	t.Helper()
	telemetry := freeEndpoint(t)
	host, port, err := net.SplitHostPort(telemetry)
	require.NoError(t, err)
	s.args = append(s.args,
		"--config", "yaml:service::telemetry::metrics::level: normal",
		"--config", "yaml:service::telemetry::metrics::readers: [{pull: {exporter: {prometheus: {host: "+host+", port: "+port+"}}}}]")
	return &watched{collector: startCollector(t, s), telemetry: "http://" + telemetry + "/metrics"}
}

// pushBesideNative pushes a counter, and beside it a native histogram. Their series are the same from job/moves/zone/a with the
// label instance="1" and from job/moves/instance/1 with the label zone="a".
func pushBesideNative(url, grouping, groupingValue, label, labelValue string, rows float64) error {
	labels := prometheus.Labels{label: labelValue}
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "rows_total", ConstLabels: labels})
	counter.Add(rows)
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "latency_seconds", NativeHistogramBucketFactor: 1.1, ConstLabels: labels,
	})
	latency.Observe(0.5)
	return push.New(url, "moves").Grouping(grouping, groupingValue).Collector(counter).Collector(latency).Push()
}

const (
	quarantineLine = "A part of a group is refused"
	failedExports  = `otelcol_receiver_pushgateway_exports{outcome="unavailable"}`
)

// TestFamilyThatIsNeverTaken pushes a native histogram beside a counter while the backend has no native histograms and answers 500
// to the whole request. Only that family is missing: the counter arrives, ends and passes to another group, and other groups do not
// notice.
func TestFamilyThatIsNeverTaken(t *testing.T) {
	t.Parallel()
	server := startPrometheusWith(t, debiansPrometheus(t), prometheusFile(t, ""), takesRemoteWrite)
	w := startObserved(t, withGroups(t, server.url))
	arrives := func(series, value string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.Equal(c, map[string]string{series: value}, server.instant(c, series))
		}, dataTimeout, pollInterval, "%s", w.output)
	}
	require.NoError(t, pushBesideNative(w.url, "zone", "a", "instance", "1", 1))
	pushRows(t, w.url)
	const moves, rows = `rows_total{instance="1",job="moves",zone="a"}`, `rows_total{job="rows"}`
	arrives(moves, "1")
	arrives(rows, "1")

	t.Run("the family is quarantined", func(t *testing.T) {
		require.Eventually(t, func() bool {
			return w.metric(t, "otelcol_receiver_pushgateway_quarantined_families") == 1
		}, dataTimeout, pollInterval, "%s", w.output)
		failed := w.metric(t, failedExports)
		require.Eventually(t, func() bool { return w.metric(t, failedExports) >= failed+2 }, dataTimeout, pollInterval, "it is retried each round")
		lines := linesWith(w.output.String(), quarantineLine)
		require.Len(t, lines, 1, "it is logged once")
		assert.Contains(t, lines[0], "latency_seconds")
		assert.Contains(t, lines[0], "moves")
		assert.Contains(t, w.output.String(), "native histograms are disabled", "the backend's words")
		require.Eventually(t, func() bool { return w.metric(t, "otelcol_receiver_pushgateway_unsent_groups") == 0 }, dataTimeout, pollInterval,
			"it is counted by itself")
	})
	t.Run("later values arrive", func(t *testing.T) {
		require.NoError(t, pushBesideNative(w.url, "zone", "a", "instance", "1", 2))
		arrives(moves, "2")
		assert.Len(t, linesWith(w.output.String(), quarantineLine), 1, "it is the same family")
	})
	t.Run("another group takes over the series", func(t *testing.T) {
		status, answer := send(t, http.MethodDelete, w.url+"/metrics/job/moves/zone/a", "")
		require.Equal(t, http.StatusAccepted, status, answer)
		require.NoError(t, pushBesideNative(w.url, "instance", "1", "zone", "a", 3))
		arrives(moves, "3")
	})
	t.Run("DELETE ends them", func(t *testing.T) {
		status, answer := send(t, http.MethodDelete, w.url+"/metrics/job/moves/instance/1", "")
		require.Equal(t, http.StatusAccepted, status, answer)
		require.Eventually(t, func() bool { return len(server.instant(t, moves)) == 0 }, dataTimeout, pollInterval, "%s", w.output)
		arrives(rows, "1")
	})
}

func linesWith(text, part string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			lines = append(lines, line)
		}
	}
	return lines
}

// hanging is a backend that answers no request until it is released. Then it passes requests on.
type hanging struct {
	*gate
	released chan struct{}
	release  func()
	arrived  atomic.Int64 // requests
	gone     atomic.Int64 // of these, the ones whose sender gave up
}

func newHanging(t *testing.T, to string) *hanging {
	t.Helper()
	behind := newGate(t, to)
	h := &hanging{gate: behind, released: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.released) })
	inner := behind.Config.Handler
	behind.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.arrived.Add(1)
		select {
		case <-h.released:
		case <-r.Context().Done():
		}
		if r.Context().Err() != nil {
			h.gone.Add(1)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(behind.Close)
	t.Cleanup(h.release) // runs first
	return h
}

// patient lets the exporter wait for longer than a test. The receiver itself ends a call of groups after 30 seconds.
var patient = []string{
	"exporters::prometheus_remote_write::timeout: 10m",
	"exporters::prometheus_remote_write::http::timeout: 10m",
}

// TestGroupsWhileTheBackendHangs pushes, deletes and reads while every request to the backend hangs. All that is answered before any
// request to the backend has ended. Once the backend answers, Prometheus has the newest values.
func TestGroupsWhileTheBackendHangs(t *testing.T) {
	t.Parallel()
	const jobs = 20
	server := startPrometheus(t, prometheusFile(t, ""))
	backend := newHanging(t, server.url)
	w := startObserved(t, withGroups(t, backend.URL, patient...))
	change := func(method string, job int, body string, want int) {
		t.Helper()
		status, answer := send(t, method, fmt.Sprintf("%s/metrics/job/job_%d", w.url, job), body)
		require.Equal(t, want, status, answer)
	}
	change(http.MethodPut, 0, "a 0\n", http.StatusOK)
	require.Eventually(t, func() bool { return backend.arrived.Load() > 0 }, dataTimeout, pollInterval)

	for _, value := range []int{1, 2} {
		for job := range jobs {
			change(http.MethodPut, job, fmt.Sprintf("a %d\n", value), http.StatusOK)
			change(http.MethodPost, job, fmt.Sprintf("b %d\n", value), http.StatusOK)
		}
	}
	change(http.MethodDelete, 1, "", http.StatusAccepted)
	held := shown(t, w.url+"/metrics")
	assert.Equal(t, "2", held[`a{job="job_0"}`])
	assert.Empty(t, ofJob(held, "job_1"))
	assert.GreaterOrEqual(t, w.metric(t, "otelcol_receiver_pushgateway_unsent_groups"), int64(jobs-1))
	require.Zero(t, backend.gone.Load(), "no request to the backend has ended meanwhile")

	backend.release()
	for job := range jobs {
		assertShownIn(t, server, w.url, fmt.Sprintf("job_%d", job))
	}
	require.Eventually(t, func() bool { return w.metric(t, "otelcol_receiver_pushgateway_unsent_groups") == 0 }, dataTimeout, pollInterval)
}

// TestKilledRightAfterTheAnswer kills the collector as soon as a push and a DELETE were answered. The backend has seen nothing of
// them, or has a request that it does not answer. After the restart Prometheus shows what was answered.
func TestKilledRightAfterTheAnswer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		wait func(*hanging) bool
	}{
		{"before the export", func(*hanging) bool { return true }},
		{"during the export", func(h *hanging) bool { return h.arrived.Load() > 0 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startPrometheus(t, prometheusFile(t, ""))
			start := withGroups(t, server.url, patient...)
			backend := newHanging(t, server.url)
			away := start
			away.env = map[string]string{
				"REMOTE_WRITE_ENDPOINT": backend.URL + "/api/v1/write", "STORAGE_DIRECTORY": start.env["STORAGE_DIRECTORY"],
			}

			c := startCollector(t, start)
			status, answer := send(t, http.MethodPut, c.url+"/metrics/job/deleted", "a 1\n")
			require.Equal(t, http.StatusOK, status, answer)
			assertShownIn(t, server, c.url, "deleted")
			c.stop(t)

			c = startCollector(t, away)
			for _, job := range []string{"x", "y", "z"} {
				status, answer = send(t, http.MethodPut, c.url+"/metrics/job/"+job, "a 1\nb 2\n")
				require.Equal(t, http.StatusOK, status, answer)
			}
			status, answer = send(t, http.MethodDelete, c.url+"/metrics/job/deleted", "")
			require.Equal(t, http.StatusAccepted, status, answer)
			require.Eventually(t, func() bool { return tc.wait(backend) }, dataTimeout, pollInterval)
			c.kill(t)
			require.Contains(t, server.instant(t, `{job="deleted"}`), `a{job="deleted"}`)
			require.Empty(t, server.instant(t, `{job="x"}`))

			c = startCollector(t, start)
			for _, job := range []string{"x", "y", "z", "deleted"} {
				assertShownIn(t, server, c.url, job)
			}
			assert.Len(t, ofJob(shown(t, c.url+"/metrics"), "x"), 4, "a, b and both push times")
			assert.Empty(t, ofJob(shown(t, c.url+"/metrics"), "deleted"))
		})
	}
}

// TestShutdownExportsWhatIsLeft stops a collector whose groups are in memory only, right after its pushes were answered. Prometheus
// has the last values of all groups then.
func TestShutdownExportsWhatIsLeft(t *testing.T) {
	t.Parallel()
	const jobs = 50
	server := startPrometheus(t, prometheusFile(t, ""))
	c := startCollector(t, withGroups(t, server.url, "receivers::pushgateway::groups::storage: null"))
	for _, value := range []int{1, 2} {
		for job := range jobs {
			status, answer := send(t, http.MethodPut, fmt.Sprintf("%s/metrics/job/job_%d", c.url, job), fmt.Sprintf("a %d\n", value))
			require.Equal(t, http.StatusOK, status, answer)
		}
	}
	c.stop(t)
	assert.Equal(t, []string{strconv.Itoa(jobs)}, server.query(t, `count(a == 2)`))
}

// TestNeighboursOfARefusedPush lets many jobs push at once to a proxy, so that pushes share requests to the backend. One job pushes a
// native histogram, which makes the backend answer 500 to the whole request. Only that job is told so.
func TestNeighboursOfARefusedPush(t *testing.T) {
	t.Parallel()
	assertNeighbours := func(t *testing.T, c *collector) {
		t.Helper()
		const jobs, pushes = 40, 5
		var pushing sync.WaitGroup
		for job := range jobs {
			pushing.Go(func() {
				for value := range pushes {
					got := put(t, c.url, fmt.Sprintf("neighbor_%d", job), fmt.Appendf(nil, "a %d\n", value))
					assert.Equal(t, http.StatusOK, got.status, got.body)
				}
			})
		}
		pushing.Go(func() {
			for range pushes {
				err := pushBesideNative(c.url, "zone", "a", "instance", "1", 1)
				assert.ErrorContains(t, err, "503")
			}
		})
		pushing.Wait()
	}
	t.Run("a backend that answers 500", func(t *testing.T) {
		t.Parallel()
		b := newWithoutNative(t)
		c := startExample(t, "remote-write.yaml", b.URL)
		assertNeighbours(t, c)
		assert.True(t, b.has("a"))
		assert.False(t, b.has("rows_total"), "all or nothing")
		assert.Positive(t, b.refusals())
	})
	t.Run("Prometheus 2.42", func(t *testing.T) {
		t.Parallel()
		server := startPrometheusWith(t, debiansPrometheus(t), prometheusFile(t, ""), takesRemoteWrite)
		c := startExample(t, "remote-write.yaml", server.url+"/api/v1/write")
		assertNeighbours(t, c)
		assert.Equal(t, []string{"40"}, server.query(t, `count(a == 4)`))
		assert.Empty(t, server.instant(t, `{job="moves"}`))
	})
}
