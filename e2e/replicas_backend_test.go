// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	prometheusvalue "github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
)

// timeSeries is a backend that stores samples as Prometheus does: a request with a sample that is older than the last of its series, or as
// old with another value, is rejected. Besides, it knows that values here only grow. It keeps all requests for replay.
type timeSeries struct {
	*httptest.Server

	mu       sync.Mutex
	series   map[string]*storedSeries
	requests []writeRequest
	rejected map[string]int // requests by the last element of their path, which names a life
	faults   []string
	doubtful map[doubt]bool
	holds    map[string]*heldRequest // by life
}

// writeRequest is a request as it came, with its outcome.
type writeRequest struct {
	header   http.Header
	body     []byte
	rejected bool
}

// heldRequest is a request that the backend looks at late.
type heldRequest struct {
	arrived  chan *prompb.WriteRequest
	released chan struct{}
	release  func()
}

// await waits for the request.
func (h *heldRequest) await(t *testing.T) *prompb.WriteRequest {
	t.Helper()
	select {
	case request := <-h.arrived:
		return request
	case <-time.After(dataTimeout):
		require.Fail(t, "no request came")
		return nil
	}
}

// doubt is a value of a job in a request that may be carried out late.
type doubt struct{ job, value string }

type storedSeries struct {
	samples []storedSample // the last ones
	count   int
	value   float64 // the last one that was no stale marker
}

type storedSample struct {
	ms    int64
	value float64
}

func (s storedSample) stale() bool { return prometheusvalue.IsStaleNaN(s.value) }

func newTimeSeries(t *testing.T) *timeSeries {
	t.Helper()
	b := &timeSeries{
		series: map[string]*storedSeries{}, rejected: map[string]int{}, doubtful: map[doubt]bool{}, holds: map[string]*heldRequest{},
	}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Close)
	return b
}

func (b *timeSeries) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The process was killed while it sent.
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	request, err := readWriteRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	life := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if held := b.takeHold(life, request); held != nil {
		held.arrived <- request
		<-held.released
	}
	if err := b.write(life, request, writeRequest{header: r.Header, body: body}); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// hold holds back the next request of a life that has samples, until it is released.
func (b *timeSeries) hold(life string) *heldRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := &heldRequest{arrived: make(chan *prompb.WriteRequest, 1), released: make(chan struct{})}
	held.release = sync.OnceFunc(func() { close(held.released) })
	b.holds[life] = held
	return held
}

func (b *timeSeries) takeHold(life string, request *prompb.WriteRequest) *heldRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.holds[life]
	if held == nil || len(request.Timeseries) == 0 {
		return nil
	}
	delete(b.holds, life)
	return held
}

// overtook tells whether each series of a request has a later sample.
func (b *timeSeries) overtook(request *prompb.WriteRequest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range request.Timeseries {
		s := b.series[labelSetOf(request.Timeseries[i].Labels).String()]
		for _, sample := range request.Timeseries[i].Samples {
			if s == nil || s.last().ms <= sample.Timestamp {
				return false
			}
		}
	}
	return true
}

func (s *storedSeries) last() storedSample { return s.samples[len(s.samples)-1] }

// write stores all samples of a request or none.
func (b *timeSeries) write(life string, request *prompb.WriteRequest, raw writeRequest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.check(request)
	raw.rejected = err != nil
	b.requests = append(b.requests, raw)
	if err != nil {
		b.rejected[life]++
		return err
	}
	for i := range request.Timeseries {
		name := labelSetOf(request.Timeseries[i].Labels).String()
		for _, sample := range request.Timeseries[i].Samples {
			b.append(name, storedSample{sample.Timestamp, sample.Value})
		}
	}
	return nil
}

// check returns an error if Prometheus would reject the request. The lock is held.
func (b *timeSeries) check(request *prompb.WriteRequest) error {
	lasts := map[string]storedSample{}
	for i := range request.Timeseries {
		name := labelSetOf(request.Timeseries[i].Labels).String()
		for _, s := range request.Timeseries[i].Samples {
			sample := storedSample{s.Timestamp, s.Value}
			last, within := lasts[name]
			if stored := b.series[name]; stored != nil && !within {
				last, within = stored.last(), true
			}
			if within && (sample.ms < last.ms || sample.ms == last.ms && math.Float64bits(sample.value) != math.Float64bits(last.value)) {
				return errors.New("out of order sample: " + name)
			}
			lasts[name] = sample
		}
	}
	return nil
}

// keptSamples is how many samples of a series a report of a fault shows.
const keptSamples = 8

// append stores a sample. The lock is held.
func (b *timeSeries) append(name string, sample storedSample) {
	s := b.series[name]
	if s == nil {
		s = &storedSeries{}
		b.series[name] = s
	}
	ended := s.count > 0 && s.last().stale()
	if s.count > 0 && !sample.stale() && !isPushTime(name) && !b.doubtful[doubt{jobIn.FindStringSubmatch(name)[1], spelled(sample.value)}] {
		if sample.value < s.value {
			b.faults = append(b.faults, fmt.Sprintf("%s falls to %v after %v", name, sample, s.samples))
		} else if ended && sample.value == s.value {
			b.faults = append(b.faults, fmt.Sprintf("%s comes back with %v after %v", name, sample, s.samples))
		}
	}
	if !sample.stale() {
		s.value = sample.value
	}
	s.samples = append(slices.Clone(s.samples[max(0, len(s.samples)-keptSamples):]), sample)
	s.count++
}

func spelled(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func isPushTime(series string) bool {
	return strings.HasPrefix(series, "push_time_seconds{") || strings.HasPrefix(series, "push_failure_time_seconds{")
}

// allow lets a value come late.
func (b *timeSeries) allow(late doubt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doubtful[late] = true
}

// alive lists the series that have not ended, with their values.
func (b *timeSeries) alive() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	alive := map[string]string{}
	for name, s := range b.series {
		if last := s.last(); !last.stale() {
			alive[name] = spelled(last.value)
		}
	}
	return alive
}

// counts are the numbers of samples of the series that have not ended.
func (b *timeSeries) counts() map[string]int {
	alive := b.alive()
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[string]int{}
	for name := range alive {
		if !isAggregate(name) {
			counts[name] = b.series[name].count
		}
	}
	return counts
}

// awaitRounds waits until each series that lives now has ended or has several samples more.
func (b *timeSeries) awaitRounds(t *testing.T) {
	t.Helper()
	const rounds = 3
	before := b.counts()
	require.Eventually(t, func() bool {
		now := b.counts()
		for name, n := range before {
			if count, lives := now[name]; lives && count < n+rounds {
				return false
			}
		}
		return true
	}, dataTimeout, pollInterval, "republished")
}

// rejections is the number of requests of a life that were rejected.
func (b *timeSeries) rejections(life string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rejected[life]
}

// takeFaults returns what should not have come, and how many requests of which lives were rejected, and forgets both.
func (b *timeSeries) takeFaults() (faults []string, rejected map[string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	faults, rejected = b.faults, b.rejected
	b.faults, b.rejected = nil, map[string]int{}
	return faults, rejected
}

// replay sends all requests to a Prometheus, in their order. It must accept and reject the same ones.
func (b *timeSeries) replay(t *testing.T, server prometheusServer) {
	t.Helper()
	b.mu.Lock()
	requests := slices.Clone(b.requests)
	b.mu.Unlock()
	for i, r := range requests {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+"/api/v1/write", bytes.NewReader(r.body))
		require.NoError(t, err)
		request.Header = r.header.Clone()
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, r.rejected, response.StatusCode/100 != 2, "request %d of %d: %d %s", i+1, len(requests), response.StatusCode, answer)
	}
}
