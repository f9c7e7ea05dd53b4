// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// overloaded is the distribution in front of a backend that can be told to fail.
func overloaded(t *testing.T, set ...string) (*watched, *otlpBackend) {
	t.Helper()
	b := newOTLPBackend(t)
	w := startWatched(t, settings{config: "testdata/overload.yaml", set: set, env: map[string]string{"OTLP_ENDPOINT": b.URL}})
	return w, b
}

// put pushes a body for a job and returns the answer.
func put(t *testing.T, url, job string, body []byte) answer {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/metrics/job/"+job, bytes.NewReader(body))
	if !assert.NoError(t, err) {
		return answer{}
	}
	response, err := client.Do(request)
	if !assert.NoError(t, err) {
		return answer{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	assert.NoError(t, err)
	return answer{response.StatusCode, response.Header, string(text)}
}

// refusedBody is what is pushed while everything is refused: of a size that shows if it is kept.
var refusedBody = page(100<<10, counter)

// TestFailingBackend passes on what a backend says, without a queue in between, for as long as it says so.
func TestFailingBackend(t *testing.T) {
	t.Parallel()
	w, b := overloaded(t)
	for _, tc := range []struct {
		name       string
		status     int
		header     map[string]string
		want       int
		retryAfter string
	}{
		{name: "unavailable", status: 503, want: 503, retryAfter: "5"},
		{name: "unavailable for a while", status: 503, header: map[string]string{"Retry-After": "17"}, want: 503, retryAfter: "5"}, // which the exporter keeps to itself
		{name: "too many requests", status: 429, want: 429, retryAfter: "5"},
		{name: "bad gateway", status: 502, want: 503, retryAfter: "5"},
		{name: "refused for good", status: 400, want: 500},
		{name: "broken", status: 500, want: 500},
	} {
		b.answer(tc.status, tc.header)
		w.assertNothingGrows(t, func() {
			together(20, func() {
				got := put(t, w.url, "j", refusedBody)
				assert.Equal(t, tc.want, got.status, "%s: %s", tc.name, got.body)
				assert.Equal(t, tc.retryAfter, got.header.Get("Retry-After"), tc.name)
			})
		})
	}
	b.answer(http.StatusOK, nil)
	w.assertSettled(t)
}

// TestFailingRemoteWrite passes on what the remote write exporter makes of a backend's answers, without a queue and without retries.
func TestFailingRemoteWrite(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer b.Close()
	c := startCollector(t, settings{
		config: "../configs/remote-write.yaml", env: map[string]string{"REMOTE_WRITE_ENDPOINT": b.URL}, args: permissive,
		set: []string{
			"exporters::prometheus_remote_write::remote_write_queue: {enabled: false}",
			"exporters::prometheus_remote_write::retry_on_failure: {enabled: false}",
		},
	})
	for _, tc := range []struct {
		status     int32
		want       int
		retryAfter string
	}{
		{http.StatusInternalServerError, http.StatusServiceUnavailable, "5"},
		{http.StatusBadGateway, http.StatusServiceUnavailable, "5"},
		{http.StatusServiceUnavailable, http.StatusServiceUnavailable, "5"},
		{http.StatusTooManyRequests, http.StatusInternalServerError, ""},
		{http.StatusBadRequest, http.StatusInternalServerError, ""},
		{http.StatusNoContent, http.StatusOK, ""},
	} {
		status.Store(tc.status)
		got := put(t, c.url, "j", refusedBody)
		assert.Equal(t, tc.want, got.status, "%d: %s", tc.status, got.body)
		assert.Equal(t, tc.retryAfter, got.header.Get("Retry-After"), tc.status)
	}
}

// TestBackendThatIsAway refuses while nobody listens at the backend's address, and not any more once somebody does.
func TestBackendThatIsAway(t *testing.T) {
	t.Parallel()
	endpoint := freeEndpoint(t)
	w := startWatched(t, settings{config: "testdata/overload.yaml", env: map[string]string{"OTLP_ENDPOINT": "http://" + endpoint}})
	w.assertNothingGrows(t, func() {
		together(20, func() {
			got := put(t, w.url, "j", refusedBody)
			assert.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
			assert.NotEmpty(t, got.header.Get("Retry-After"))
		})
	})
	b := newOTLPBackendAt(t, endpoint)
	w.assertSettled(t)
	assert.Len(t, b.take(t, 1), 1)
}

// TestSlowBackend pushes to a backend that answers nobody. Whoever waits gets 503 when the exporter's timeout has passed,
// jobs behind one that waits for the same group included, and those that have gone leave nothing behind.
func TestSlowBackend(t *testing.T) {
	t.Parallel()
	const jobs = 30
	w, b := overloaded(t)
	b.hold()
	w.assertNothingGrows(t, func() {
		var pushing sync.WaitGroup
		for i := range jobs {
			pushing.Go(func() {
				start := time.Now()
				got := put(t, w.url, strconv.Itoa(i), refusedBody)
				assert.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
				assert.NotEmpty(t, got.header.Get("Retry-After"))
				assert.Less(t, time.Since(start), 50*time.Second, "the exporter's timeout is 2s, the receiver's are 60s and 90s")
			})
		}
		for range jobs {
			pushing.Go(func() { // These hang up first.
				client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
				response, err := client.Post(w.url+"/metrics/job/gone", "text/plain", bytes.NewReader(refusedBody))
				if err == nil {
					_ = response.Body.Close()
				}
				assert.Error(t, err)
			})
		}
		pushing.Wait()
	})
	b.answer(http.StatusOK, nil)
	w.assertSettled(t)
}

// TestFullQueue fills an exporter's queue in front of a backend that answers nobody. What was answered with 200 arrives once
// the backend is back.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	const size = 10
	w, b := overloaded(t, "exporters::otlp_http::sending_queue: {enabled: true, queue_size: "+strconv.Itoa(size)+", num_consumers: 1}",
		"exporters::otlp_http::retry_on_failure: {enabled: true, initial_interval: 100ms, max_interval: 100ms, max_elapsed_time: 0s}")
	b.hold()
	accepted, refused := 0, 0
	for i := range 10 * size {
		switch got := put(t, w.url, strconv.Itoa(i), []byte("a 1\n")); got.status {
		case http.StatusOK:
			accepted++
		case http.StatusServiceUnavailable:
			refused++
			assert.Contains(t, got.body, "sending queue is full")
			assert.NotEmpty(t, got.header.Get("Retry-After"))
		default:
			assert.Fail(t, "Unexpected answer", "%+v", got)
		}
	}
	assert.LessOrEqual(t, accepted, size+1, "what is in the queue, and with its consumer")
	assert.GreaterOrEqual(t, refused, 9*size-1)
	w.assertNothingGrows(t, func() {
		together(20, func() { assert.Equal(t, http.StatusServiceUnavailable, put(t, w.url, "more", refusedBody).status) })
	})
	b.answer(http.StatusOK, nil)
	require.Len(t, jobsOf(b.take(t, accepted)), accepted)
	w.assertSettled(t)
}

// TestMemoryLimiter fills the heap through a queue in front of a backend that answers nobody, until memory_limiter refuses.
// It takes pushes again once the queue has drained.
func TestMemoryLimiter(t *testing.T) {
	t.Parallel()
	const limit, spike = 150, 50 // MiB
	w, b := overloaded(t,
		"processors::memory_limiter: {check_interval: 100ms, limit_mib: "+strconv.Itoa(limit)+", spike_limit_mib: "+strconv.Itoa(spike)+"}",
		"service::pipelines::metrics::processors: [memory_limiter]",
		"exporters::otlp_http::timeout: 30s",
		"exporters::otlp_http::sending_queue: {enabled: true, queue_size: 100000, num_consumers: 1}")
	b.hold()
	body := page(1<<20, counter)
	refused := answer{}
	// What refuses at first is garbage. Only if the queue alone takes too much, nothing is let in any more.
	require.Eventually(t, func() bool {
		refused = put(t, w.url, "filling", body)
		return refused.status != http.StatusOK && w.liveHeap(t)>>20 >= limit-spike
	}, settleTimeout, pollInterval)
	assert.Equal(t, http.StatusServiceUnavailable, refused.status)
	assert.Contains(t, refused.body, "data refused due to high memory usage")
	assert.NotEmpty(t, refused.header.Get("Retry-After"))
	w.assertNothingGrows(t, func() {
		for range 10 {
			together(4, func() { put(t, w.url, "more", body) })
		}
	})
	heap, _ := w.peaks(t)
	assert.Less(t, heap>>20, int64(4*limit), "MiB of heap")

	b.answer(http.StatusOK, nil)
	require.Eventually(t, func() bool {
		return w.liveHeap(t)>>20 < (limit-spike)/2 && put(t, w.url, "back", []byte("a 1\n")).status == http.StatusOK
	}, settleTimeout, pollInterval)
	w.assertSettled(t)
}
