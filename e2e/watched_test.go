// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// inFlightBytes is limits::in_flight_bytes in testdata/hostile.yaml.
	inFlightBytes = 32 << 20

	// patience is how long a push of somebody else may take while the collector is under attack. It usually takes a millisecond;
	// if it waited for an attacker's request it would take as long as that, up to read_timeout.
	patience = 30 * time.Second

	settleTimeout = 60 * time.Second

	// spareGoroutines may be left over: connections of the test's that are kept open.
	spareGoroutines = 10
)

// memoryBound is what docs/operating.md derives from limits::in_flight_bytes: eight bytes of memory for each byte that is
// counted, half more for what is allocated while garbage is collected, twice that before it is collected again (GOGC=100), and
// the process itself.
func memoryBound(inFlight int64) int64 { return 8*inFlight*3/2*2 + 64<<20 }

// watched is a running distribution whose memory, goroutines and own metrics can be asked for.
type watched struct {
	*collector
	telemetry, profiles string // URLs

	goroutines int   // before anything was pushed
	bound      int64 // of memory, in bytes
}

// startWatched starts the distribution. The configuration must have the pprof extension.
func startWatched(t *testing.T, s settings) *watched {
	t.Helper()
	telemetry, profiles := freeEndpoint(t), freeEndpoint(t)
	host, port, err := net.SplitHostPort(telemetry)
	require.NoError(t, err)
	s.set = append(s.set, "extensions::pprof::endpoint: "+profiles)
	s.args = append(s.args,
		"--config", "yaml:service::telemetry::metrics::level: normal",
		"--config", "yaml:service::telemetry::metrics::readers: [{pull: {exporter: {prometheus: {host: "+host+", port: "+port+"}}}}]")
	w := &watched{
		collector: startCollector(t, s),
		telemetry: "http://" + telemetry + "/metrics", profiles: "http://" + profiles + "/debug/pprof/",
		bound: memoryBound(inFlightBytes),
	}
	w.goroutines = w.countGoroutines(t)
	return w
}

// ask reads a page of the collector's on a connection of its own, which leaves no goroutine behind.
func ask(t require.TestingT, url string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: settleTimeout}
	response, err := client.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(page)
}

// numberOn finds the number behind a text on a page, or returns -1.
func numberOn(t require.TestingT, page, behind string) int64 {
	found := regexp.MustCompile(`(?m)` + regexp.QuoteMeta(behind) + `\s*([0-9.e+]+)`).FindStringSubmatch(page)
	if found == nil {
		return -1
	}
	n, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	return int64(n)
}

func (w *watched) countGoroutines(t require.TestingT) int {
	return int(numberOn(t, ask(t, w.profiles+"goroutine?debug=1"), "goroutine profile: total"))
}

// metric is the value of the first series of the collector's own metrics that starts with a text.
func (w *watched) metric(t require.TestingT, series string) int64 {
	return numberOn(t, ask(t, w.telemetry), "\n"+series)
}

// peaks are the most bytes that the heap ever had, used or not, and the most that were resident.
func (w *watched) peaks(t *testing.T) (heap, resident int64) {
	t.Helper()
	heap = numberOn(t, ask(t, w.profiles+"heap?debug=1"), "# HeapSys =")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	require.NoError(t, err, "the peak of resident memory is read from Linux")
	return heap, numberOn(t, string(status), "VmHWM:") << 10
}

// withstand runs an attack and demands that a bystander's pushes are answered all the while and cost no more than before
// afterwards, that memory stays below the bound, and that nothing is left of the attack.
func (w *watched) withstand(t *testing.T, attack func()) {
	t.Helper()
	before := w.cheapest(t)
	by := w.startBystander()
	attack()
	by.stop(t)
	assert.Less(t, by.worst, patience, "the slowest of %d pushes of a bystander", by.pushes)
	w.assertBounded(t)
	w.assertSettled(t)
	w.assertAsCheap(t, before)
	heap, resident := w.peaks(t)
	t.Logf("heap %d MiB, resident %d MiB, slowest push of a bystander %s, %d of %d told to try again",
		heap>>20, resident>>20, by.worst.Round(time.Millisecond), by.refused, by.pushes)
}

// cheapest is the least that one of some pushes costs, in the processor's time, which does not depend on what else the machine
// does.
func (w *watched) cheapest(t *testing.T) time.Duration {
	t.Helper()
	cheapest := settleTimeout
	for range 20 {
		var b bystander
		before := w.processorTime(t)
		b.push(w.url + "/metrics/job/bystander")
		require.NoError(t, b.fault)
		cheapest = min(cheapest, w.processorTime(t)-before)
	}
	return cheapest
}

// processorTime is what all threads of the process have run.
func (w *watched) processorTime(t *testing.T) (ran time.Duration) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", w.cmd.Process.Pid))
	require.NoError(t, err)
	require.NotEmpty(t, threads, "the processor's time is read from Linux")
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // It has ended.
		}
		require.NoError(t, err)
		var nanoseconds int64
		_, err = fmt.Sscan(string(stat), &nanoseconds)
		require.NoError(t, err)
		ran += time.Duration(nanoseconds)
	}
	return ran
}

// assertAsCheap demands that pushes cost no more than before the attack, but for what other work of the process adds.
func (w *watched) assertAsCheap(t *testing.T, before time.Duration) {
	t.Helper()
	const added = 3 * time.Millisecond
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Less(c, w.cheapest(t), 3*before+added, "a bystander's push, which cost %s before", before)
	}, settleTimeout, pollInterval)
}

// liveHeap is what is left of the heap, in bytes, once garbage and pools have been collected.
func (w *watched) liveHeap(t require.TestingT) int64 {
	const collected = "heap?gc=1&debug=1"
	ask(t, w.profiles+collected) // A pool lets go of what it has at the second time.
	return numberOn(t, ask(t, w.profiles+collected), "# HeapAlloc =")
}

// assertNothingGrows does the same again and again and demands that neither goroutines nor memory are left over. What is
// done must push much more than the spare heap.
func (w *watched) assertNothingGrows(t *testing.T, do func()) {
	t.Helper()
	const times, spareHeap = 5, 4 << 20
	do()
	heap := w.liveHeap(t)
	for range times {
		do()
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.LessOrEqual(c, w.countGoroutines(c), w.goroutines+spareGoroutines, "goroutines")
		assert.Less(c, w.liveHeap(c), heap+spareHeap, "bytes of live heap")
	}, settleTimeout, pollInterval)
}

func (w *watched) assertBounded(t *testing.T) {
	t.Helper()
	heap, resident := w.peaks(t)
	assert.LessOrEqual(t, heap>>20, w.bound>>20, "MiB of heap at most")
	assert.LessOrEqual(t, resident>>20, w.bound>>20, "MiB resident at most")
}

// assertSettled demands that nothing of what was pushed is held or worked on any more, and that pushes are taken.
func (w *watched) assertSettled(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Zero(c, w.metric(c, "otelcol_receiver_pushgateway_in_flight_size"), "bytes in flight")
		assert.LessOrEqual(c, w.countGoroutines(c), w.goroutines+spareGoroutines, "goroutines")
	}, settleTimeout, pollInterval)
	status, body := send(t, http.MethodPut, w.url+"/metrics/job/after", "a 1\n")
	require.Equal(t, http.StatusOK, status, body)
	assert.NotContains(t, w.output.String(), "panic")
}

// bystander pushes small pushes, one after the other.
type bystander struct {
	done    chan struct{}
	ended   chan struct{}
	pushes  int
	worst   time.Duration
	refused int
	fault   error
}

func (w *watched) startBystander() *bystander {
	b := &bystander{done: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(b.ended)
		for b.fault == nil {
			b.push(w.url + "/metrics/job/bystander")
			select {
			case <-b.done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return b
}

// push may be told to try again, which is what in_flight_bytes is for, but nothing else.
func (b *bystander) push(url string) {
	start := time.Now()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: settleTimeout}
	response, err := client.Post(url, "text/plain", strings.NewReader("a 1\n"))
	took := time.Since(start)
	b.pushes++
	b.worst = max(b.worst, took)
	if err != nil {
		b.fault = err
		return
	}
	defer response.Body.Close()
	switch answer, err := io.ReadAll(response.Body); {
	case err != nil:
		b.fault = err
	case response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != "":
		b.refused++
	case response.StatusCode != http.StatusOK:
		b.fault = fmt.Errorf("%s: %s", response.Status, answer)
	}
}

func (b *bystander) stop(t *testing.T) {
	t.Helper()
	close(b.done)
	<-b.ended
	require.NoError(t, b.fault, "a bystander's push")
}
