// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// condition is how the far end answers.
type condition int

const (
	serving    condition = iota
	slow                 // after slowness
	failing              // 503
	throttling           // 429
	choosy               // 400 to what the first client pushes, while the rest is taken
	refusing             // no listener at all
)

// slowness stays well below the five seconds that the remote-write exporter waits for an answer.
const slowness = 500 * time.Millisecond

// farEnd is the backend: it takes remote write and OTLP, and keeps every sample that it answered with success.
type farEnd struct {
	t        *testing.T
	endpoint string
	next     string // a server that each request is passed on to, and whose answer counts; empty: none

	mu        sync.Mutex
	condition condition
	server    *http.Server
	history   history
	refused   []string // answers of next that were not success
}

func newFarEnd(t *testing.T, next string) *farEnd {
	t.Helper()
	f := &farEnd{t: t, endpoint: freeEndpoint(t), next: next, condition: refusing, history: history{series: map[string]*series{}}}
	f.become(serving)
	t.Cleanup(func() { f.become(refusing) })
	return f
}

func (f *farEnd) url(path string) string { return "http://" + f.endpoint + path }

// become changes how requests are answered from now on. Those at work when the far end stops listening get no answer,
// although what they brought is kept.
func (f *farEnd) become(c condition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.condition
	f.condition = c
	switch {
	case c == refusing && before != refusing:
		_ = f.server.Close()
	case c != refusing && before == refusing:
		listener := listen(f.t, f.endpoint)
		f.server = &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
		go func(server *http.Server) { _ = server.Serve(listener) }(f.server)
	}
}

// listen waits until the address is free. It was free when it was chosen, but a process that another test started at that
// moment has the socket too, until it runs its program.
func listen(t *testing.T, endpoint string) (listener net.Listener) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		listener, err = net.Listen("tcp", endpoint)
		assert.NoError(c, err)
	}, 10*time.Second, 20*time.Millisecond)
	return listener
}

func (f *farEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	samples, err := decode(r.URL.Path, r.Header.Get("Content-Encoding"), body)
	if !assert.NoError(f.t, err) {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !f.takes(w, r, samples) {
		return
	}
	if status, answer := f.passOn(r, body); status/100 != 2 {
		f.mu.Lock()
		f.refused = append(f.refused, answer)
		f.mu.Unlock()
		http.Error(w, answer, status)
		return
	}
	f.mu.Lock()
	f.history.add(samples)
	f.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// takes tells whether the samples of a request are to be kept. Those whose sender is gone in the meantime are not.
func (f *farEnd) takes(w http.ResponseWriter, r *http.Request, samples []sample) bool {
	f.mu.Lock()
	now := f.condition
	f.mu.Unlock()
	switch {
	case now == failing:
		http.Error(w, "away for a moment", http.StatusServiceUnavailable)
		return false
	case now == throttling:
		http.Error(w, "too much for a moment", http.StatusTooManyRequests)
		return false
	case now == choosy && ofFirstClient(samples):
		http.Error(w, "not this", http.StatusBadRequest)
		return false
	case now == slow:
		time.Sleep(slowness)
	}
	return r.Context().Err() == nil
}

func ofFirstClient(samples []sample) bool {
	return len(samples) > 0 && strings.Contains(samples[0].series, `client="0"`)
}

// passOn does as a reverse proxy does, for a request whose body has been read.
func (f *farEnd) passOn(r *http.Request, body []byte) (status int, answer string) {
	if f.next == "" {
		return http.StatusOK, ""
	}
	request, err := http.NewRequest(r.Method, f.next+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return http.StatusInternalServerError, err.Error()
	}
	request.Header = r.Header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// counts is what arrived so far, in numbers.
func (f *farEnd) counts() counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.history.counts
}

// refusals are the answers of the server behind that were not success.
func (f *farEnd) refusals() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// values are those that a series had at some time.
func (f *farEnd) values(series string) map[float64]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.history.valuesOf(series)
}
