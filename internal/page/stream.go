// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

const (
	// maxStream is the duration of a stream. Browsers reconnect.
	maxStream = 10 * time.Minute
	// writeTimeout is the time for sending some events. It replaces the write_timeout of the server, which is that of a whole response.
	writeTimeout = 5 * time.Second
	// stopTimeout is the time for sending the end of a stream when the receiver stops.
	stopTimeout = 200 * time.Millisecond
	// rateInterval is the time between two events with rates, which also keep proxies from closing a silent stream.
	rateInterval = time.Second
	// reconnectAfter is the delay before a browser reconnects, in milliseconds.
	reconnectAfter = "2000"
)

var (
	errViewers  = &unavailable{"16 event streams are open, which is the maximum; close another page, then try again"}
	errStopping = &unavailable{"the receiver is stopping; try again in some seconds"}
	errPeek     = &badRequest{"peek: values are not shown unless page::peek is set on the pushgateway receiver"}
	errOutcome  = &badRequest{`outcome: must be "all", "accepted" or "refused"`}
)

// events serves the stream of pushes.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	v, err := p.viewer(r)
	if err != nil {
		p.writeError(w, err)
		return
	}
	if r.Method == http.MethodHead {
		streamHeaders(w, r)
		return
	}
	if err := p.feed.enter(v); err != nil {
		p.writeError(w, err)
		return
	}
	defer p.feed.leave(v)
	streamHeaders(w, r)
	s := &stream{w: w, control: http.NewResponseController(w), feed: p.feed, viewer: v}
	defer s.hurryOnStop()()
	s.run(r)
}

func (p *Page) viewer(r *http.Request) (*viewer, error) {
	q := query{values: r.URL.Query()}
	v := &viewer{filter: groupingkey.NewFilter(q.words()), peek: q.values.Get("peek")}
	switch outcome := q.values.Get("outcome"); outcome {
	case "", outcomeAll:
	case outcomeAccepted, outcomeRefused:
		v.outcome = outcome
	default:
		return nil, errOutcome
	}
	if v.peek != "" && !p.options.Peek {
		return nil, errPeek
	}
	return v, q.err
}

func streamHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would collect events.
	if r.ProtoMajor == 1 {
		h.Set("Connection", "close") // The deadlines of the stream must not be those of the next request.
	}
}

// stream is the response with events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	feed    *Feed
	viewer  *viewer

	mu       sync.Mutex
	hurrying bool
}

// hurryOnStop shortens the deadline of a write in progress when the receiver stops, so that a client that does not read does not
// delay it. The returned function ends the watch.
func (s *stream) hurryOnStop() (end func()) {
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-s.feed.stopping:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.hurrying = true
			_ = s.control.SetWriteDeadline(time.Now().Add(stopTimeout)) // The next write fails otherwise.
		case <-ended:
		}
	})
	return func() {
		close(ended)
		watching.Wait()
	}
}

// extend sets the deadline of the next write.
func (s *stream) extend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hurrying {
		return nil // It is set.
	}
	return s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
}

// run sends events until the client leaves, does not read, or the stream is over.
func (s *stream) run(r *http.Request) {
	if s.send([]byte("retry: "+reconnectAfter+"\n"), encodeEvent("hello", 0, map[string]any{
		"now": time.Now().UnixMilli(), "viewers": len(*s.feed.viewers.Load()),
	})) != nil {
		return
	}
	over := time.NewTimer(maxStream)
	defer over.Stop()
	second := time.NewTicker(rateInterval)
	defer second.Stop()
	for {
		var err error
		select {
		case first := <-s.viewer.events:
			err = s.send(s.queued(first)...)
		case now := <-second.C:
			err = s.send(s.report(now)...)
		case <-over.C:
			_ = s.send(bye("time")) // It ends anyway.
			return
		case <-s.feed.stopping:
			_ = s.send(bye("stopping")) // It ends anyway.
			return
		case <-r.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func bye(reason string) []byte { return encodeEvent("bye", 0, map[string]string{"reason": reason}) }

// queued returns an event and those that wait behind it.
func (s *stream) queued(first []byte) [][]byte {
	all := [][]byte{first}
	for range len(s.viewer.events) {
		all = append(all, <-s.viewer.events)
	}
	return all
}

// report returns the events of a second: the rates of the last one, and the number of events that were not sent.
func (s *stream) report(now time.Time) [][]byte {
	second := now.Unix() - 1
	rates := map[string]int64{"time": second * 1000, "viewers": int64(len(*s.feed.viewers.Load()))}
	for c, n := range s.feed.rates.of(second) {
		rates[counterNames[c]] = n
	}
	all := [][]byte{encodeEvent("rates", 0, rates)}
	slow, thinned := s.viewer.slow.Swap(0), s.viewer.thinned.Swap(0)
	if slow+thinned > 0 {
		all = append(all, encodeEvent("dropped", 0, map[string]int64{"slow": slow, "thinned": thinned}))
	}
	return all
}

// send writes events and flushes them.
func (s *stream) send(events ...[]byte) error {
	if err := s.extend(); err != nil {
		return err
	}
	for _, e := range events {
		if _, err := s.w.Write(e); err != nil {
			return err
		}
	}
	return s.control.Flush()
}
