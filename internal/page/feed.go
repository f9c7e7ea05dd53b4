// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

const (
	// maxViewers bounds the open event streams.
	maxViewers = 16
	// viewerBuffer is the number of events that wait for a viewer. Further ones are dropped.
	viewerBuffer = 256
	// maxEventsPerSecond is the number of events that a viewer gets in a second.
	maxEventsPerSecond = 100
	// maxEvent bounds an event with values, in bytes. Values beyond it are left out.
	maxEvent = 64 << 10
)

// FeedOptions are the settings of a Feed.
type FeedOptions struct {
	// Live keeps refusals and serves viewers. Without it, a Feed counts requests and remembers accepted pushes of jobs.
	Live bool
	// Jobs bounds the jobs that are remembered.
	Jobs int
	// UTF8Names escapes names in paths of groups.
	UTF8Names bool
	// Status returns the status code of a refusal.
	Status func(error) int

	_ struct{}
}

// Feed is told about each request and shows it to viewers. It implements [ingest.Watcher]. With no viewer, a request costs some
// atomic additions and the lock of a shard of the jobs; a refused one also the lock of the refusals.
type Feed struct {
	options  FeedOptions
	started  time.Time
	rates    rates
	jobs     *jobTable
	refusals refusals

	exportsMu sync.Mutex
	exports   map[string]int64 // by outcome

	viewers  atomic.Pointer[[]*viewer] // replaced as a whole, under mu
	peeking  atomic.Int32              // viewers with a job to peek at
	events   atomic.Int64              // the number of the last event
	mu       sync.Mutex
	stopped  bool
	stopping chan struct{}
}

var _ ingest.Watcher = (*Feed)(nil)

// NewFeed returns a Feed. Call Stop at the end.
func NewFeed(options FeedOptions) *Feed {
	f := &Feed{
		options: options, started: time.Now(), jobs: newJobTable(options.Jobs),
		exports: make(map[string]int64), stopping: make(chan struct{}),
	}
	f.viewers.Store(new([]*viewer))
	return f
}

// Stop ends all event streams and refuses new ones. It may be called more than once.
func (f *Feed) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stopped {
		f.stopped = true
		close(f.stopping)
	}
}

// Ended implements [ingest.Watcher].
func (f *Feed) Ended(e *ingest.Event) {
	f.count(e)
	status := f.status(e)
	if isPush(e) && e.Key.Job != "" && !isAnonymous(e.Outcome) && (e.Accepted() || f.options.Live) {
		f.jobs.pushed(e.Key.Job, e.Ended, e.Accepted(), e.Outcome, status)
	}
	if !f.options.Live {
		return
	}
	if !e.Accepted() {
		f.keep(e, status)
	}
	if viewers := *f.viewers.Load(); len(viewers) > 0 {
		f.show(e, status, viewers)
	}
}

func isPush(e *ingest.Event) bool { return e.Method == http.MethodPut || e.Method == http.MethodPost }

func (f *Feed) count(e *ingest.Event) {
	counts := f.rates.at(e.Ended)
	if e.Size > 0 {
		counts[countBytes].Add(e.Size)
	}
	switch {
	case !e.Accepted():
		counts[countRefused].Add(1)
	case isPush(e):
		counts[countAccepted].Add(1)
		counts[countSeries].Add(int64(e.Series))
	default:
		counts[countDeleted].Add(1)
	}
}

func (f *Feed) status(e *ingest.Event) int {
	switch {
	case !e.Accepted():
		return f.options.Status(e.Err)
	case isPush(e):
		return http.StatusOK
	default:
		return http.StatusAccepted
	}
}

// keep remembers a refusal.
func (f *Feed) keep(e *ingest.Event, status int) {
	shown := newEvent(e, status, f.options.UTF8Names)
	kept := &refusal{
		Last: shown.Time, Method: shown.Method, Key: shown.Key, Path: shown.Path, URL: shown.URL, Format: shown.Format,
		Size: shown.Size, Status: status, Reason: shown.Outcome, Text: shown.Text, Client: shown.Client,
	}
	if !isAnonymous(e.Outcome) {
		kept.job = cut(e.Key.Job)
	}
	f.refusals.add(kept)
}

// Exported implements [ingest.Watcher].
func (f *Feed) Exported(n int, outcome string) {
	counts := f.rates.at(time.Now())
	if outcome == "accepted" {
		counts[countExports].Add(1)
		counts[countPoints].Add(int64(n))
	} else {
		counts[countExportsFailed].Add(1)
	}
	f.exportsMu.Lock()
	defer f.exportsMu.Unlock()
	f.exports[outcome]++
}

// exported returns the exports by outcome.
func (f *Feed) exported() []outcomeCount {
	f.exportsMu.Lock()
	defer f.exportsMu.Unlock()
	counts := make([]outcomeCount, 0, len(f.exports))
	for outcome, n := range f.exports {
		counts = append(counts, outcomeCount{outcome, n})
	}
	slices.SortFunc(counts, func(a, b outcomeCount) int { return cmp.Compare(a.Outcome, b.Outcome) })
	return counts
}

type outcomeCount struct {
	Outcome string `json:"outcome"`
	Count   int64  `json:"count"`
}

// Peeks implements [ingest.Watcher].
func (f *Feed) Peeks(job string) bool {
	return f.peeking.Load() > 0 && slices.ContainsFunc(*f.viewers.Load(), func(v *viewer) bool { return v.peek == job })
}

// viewer is an open event stream.
type viewer struct {
	filter  groupingkey.Filter
	outcome string // accepted, refused, or empty for all
	peek    string // the job whose values are shown, or empty

	events  chan []byte
	slow    atomic.Int64 // events dropped because the buffer was full
	thinned atomic.Int64 // events left out because there were too many
	second  atomic.Int64 // the current second
	sent    atomic.Int64 // events of the current second
}

// enter adds a viewer. It fails if there are too many, or after Stop.
func (f *Feed) enter(v *viewer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	viewers := *f.viewers.Load()
	switch {
	case f.stopped:
		return errStopping
	case len(viewers) >= maxViewers:
		return errViewers
	}
	v.events = make(chan []byte, viewerBuffer)
	added := append(slices.Clone(viewers), v)
	f.viewers.Store(&added)
	if v.peek != "" {
		f.peeking.Add(1)
	}
	return nil
}

// leave removes a viewer.
func (f *Feed) leave(v *viewer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(*f.viewers.Load()), func(other *viewer) bool { return other == v })
	f.viewers.Store(&left)
	if v.peek != "" {
		f.peeking.Add(-1)
	}
}

// show offers an event to viewers. It is encoded once, and only if somebody wants it.
func (f *Feed) show(e *ingest.Event, status int, viewers []*viewer) {
	var plain, peeked []byte
	for _, v := range viewers {
		if !v.wants(e) {
			continue
		}
		if !v.mayHave(e.Ended) {
			v.thinned.Add(1)
			continue
		}
		encoded := &plain
		if v.peek != "" && v.peek == e.Key.Job {
			encoded = &peeked
		}
		if *encoded == nil {
			*encoded = f.encode(e, status, encoded == &peeked)
		}
		v.offer(*encoded)
	}
}

// wants reports whether the event passes the viewer's filter.
func (v *viewer) wants(e *ingest.Event) bool {
	switch {
	case v.outcome == outcomeAccepted && !e.Accepted(), v.outcome == outcomeRefused && e.Accepted():
		return false
	case e.Key.Job == "":
		return v.filter.MatchesText(cut(e.Path))
	}
	matches, _ := v.filter.Matches(e.Key, nil)
	return matches
}

// The values of the parameter outcome of the stream.
const (
	outcomeAll      = "all"
	outcomeAccepted = "accepted"
	outcomeRefused  = "refused"
)

// mayHave counts an event and reports whether the viewer has not had too many in this second.
func (v *viewer) mayHave(now time.Time) bool {
	second := now.Unix()
	if last := v.second.Load(); last != second && v.second.CompareAndSwap(last, second) {
		v.sent.Store(0)
	}
	return v.sent.Add(1) <= maxEventsPerSecond
}

// offer queues an event unless the buffer is full. It never waits.
func (v *viewer) offer(encoded []byte) {
	select {
	case v.events <- encoded:
	default:
		v.slow.Add(1)
	}
}

// encode returns the event as it is sent.
func (f *Feed) encode(e *ingest.Event, status int, values bool) []byte {
	shown := newEvent(e, status, f.options.UTF8Names)
	list := e.Values
	if !values {
		list = nil
	}
	for {
		if len(list) > 0 {
			shown.Values = list
		} else {
			shown.Values = nil
		}
		if values {
			shown.MoreValues = e.More + len(e.Values) - len(list)
		}
		encoded := encodeEvent("push", f.events.Add(1), shown)
		if len(encoded) <= maxEvent || len(list) == 0 {
			return encoded
		}
		list = list[:len(list)/2]
	}
}

// encodeEvent encodes a server-sent event. JSON has no line breaks.
func encodeEvent(name string, id int64, data any) []byte {
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil // Not possible with the types here.
	}
	if id == 0 {
		return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, encoded)
	}
	return fmt.Appendf(nil, "event: %s\nid: %d\ndata: %s\n\n", name, id, encoded)
}
