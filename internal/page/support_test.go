// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/outbox"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// statusFor is a status for each refusal.
func statusFor(err error) int {
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok && refusal.Reason == ingest.ReasonStarting {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// source is what a page reads in tests.
type source struct {
	search  func(store.Query) (store.Found, error)
	jobs    []store.Job
	refused []outbox.Refused
	group   func(groupingkey.Key) (store.Summary, gather.Group, error)
	waiting bool // groups are being restored

	database *store.Database
}

func (s *source) Ready() bool { return !s.waiting }

func (s *source) Search(_ context.Context, q store.Query) (store.Found, error) { return s.search(q) }

func (s *source) Jobs(context.Context) ([]store.Job, error) { return s.jobs, nil }

func (s *source) Group(_ context.Context, key groupingkey.Key) (store.Summary, gather.Group, error) {
	return s.group(key)
}

func (s *source) State() (ingest.State, bool) {
	return ingest.State{Counts: store.Counts{Groups: 3, Series: 5, Size: 70, PendingSize: 7, Pending: 2}, Waiting: 1, Oldest: time.UnixMilli(9), Database: s.database}, !s.waiting
}

func (s *source) Refused(limit int, pick func(groupingkey.Key) bool) (parts []outbox.Refused, total int) {
	for i := range s.refused {
		if pick(s.refused[i].Key) {
			parts = append(parts, s.refused[i])
		}
	}
	return parts[:min(limit, len(parts))], len(parts)
}

// newPage returns a page with all views.
func newPage(changes ...func(*Options)) (*Page, *Feed, *source) {
	options := Options{
		Live: true, Peek: true, Delete: true, Wipe: true, Groups: &GroupOptions{}, InFlight: ingest.NewInFlight(100), InFlightLimit: 100, Status: statusFor,
	}
	for _, change := range changes {
		change(&options)
	}
	feed := NewFeed(FeedOptions{Live: options.Live, Jobs: 100, Status: statusFor})
	from := &source{}
	return New(options, feed, from), feed, from
}

func proxyMode(o *Options) { o.Groups = nil }

// get asks a resource of the API.
func get(t *testing.T, p *Page, target string) *httptest.ResponseRecorder {
	t.Helper()
	name, _, _ := strings.Cut(target, "?")
	for _, e := range p.Endpoints() {
		if e.Name == name {
			w := httptest.NewRecorder()
			e.Serve(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ui/api/"+target, http.NoBody))
			return w
		}
	}
	require.Fail(t, "not served", name)
	return nil
}

// read decodes the data of a resource.
func read[T any](t *testing.T, p *Page, target string) (data T) {
	t.Helper()
	w := get(t, p, target)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	answer := struct{ Data *T }{&data}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return data
}

func keyOf(job string, labels ...string) groupingkey.Key {
	key := groupingkey.Key{Job: job}
	for i := 0; i+1 < len(labels); i += 2 {
		key.Labels = append(key.Labels, groupingkey.Label{Name: labels[i], Value: labels[i+1]})
	}
	return key
}

// pushed is an accepted push that ends now.
func pushed(job string, labels ...string) *ingest.Event {
	return &ingest.Event{
		Began: time.Now(), Ended: time.Now(), Method: http.MethodPut, Key: keyOf(job, labels...), Path: "/metrics/job/" + job, Client: "192.0.2.1:7",
		Format: "text", Size: 10, Series: 2, Outcome: "accepted",
	}
}

// refusedPush is a refused push that ends now.
func refusedPush(job string, reason ingest.Reason, text string) *ingest.Event {
	e := pushed(job)
	e.Outcome, e.Err = string(reason), ingest.Refuse(reason, errors.New(text))
	return e
}

// client is a response that is read in pieces. A client that is stuck reads nothing: writes wait for their deadline.
type client struct {
	mu       sync.Mutex
	header   http.Header
	status   int
	body     bytes.Buffer
	stuck    bool
	deadline time.Time
	changed  chan struct{} // closed when the deadline changes
}

func newClient() *client { return &client{header: http.Header{}, changed: make(chan struct{})} }

func (c *client) Header() http.Header { return c.header }

func (c *client) WriteHeader(status int) { c.status = status }

func (*client) Flush() {}

func (c *client) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

var errDeadline = errors.New("deadline exceeded")

func (c *client) Write(p []byte) (int, error) {
	for {
		c.mu.Lock()
		if !c.stuck {
			defer c.mu.Unlock()
			return c.body.Write(p)
		}
		changed, deadline := c.changed, c.deadline
		c.mu.Unlock()
		select {
		case <-time.After(time.Until(deadline)):
			return 0, errDeadline
		case <-changed:
		}
	}
}

func (c *client) getStuck(stuck bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = stuck
}

// received returns the events of a name, and forgets them.
func (c *client) received(t *testing.T, name string) (data []map[string]any) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for block := range strings.SplitSeq(c.body.String(), "\n\n") {
		var event string
		for line := range strings.SplitSeq(block, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "event":
				event = value
			case "data":
				if event == name {
					var one map[string]any
					require.NoError(t, json.Unmarshal([]byte(value), &one))
					data = append(data, one)
				}
			}
		}
	}
	c.body.Reset()
	return data
}

// view opens a stream, in a bubble of synctest. The returned function reports whether it has ended; leave ends it.
func view(t *testing.T, p *Page, query string) (c *client, leave context.CancelFunc, ended func() bool) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	c = newClient()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.api(p.events)(c, httptest.NewRequestWithContext(ctx, http.MethodGet, "/ui/api/events?"+query, http.NoBody))
	}()
	return c, leave, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func jobName(i int) string { return fmt.Sprintf("job-%d", i) }
