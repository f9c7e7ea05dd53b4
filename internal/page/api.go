// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// maxQuery bounds the parameter q in bytes.
	maxQuery = 256
	// defaultLimit and maxLimit are rows of a list.
	defaultLimit = 50
	maxLimit     = 200
	// maxLists bounds the concurrent requests for lists, which read all groups or jobs.
	maxLists = 2
	// listTimeout is the time that a request waits for other lists.
	listTimeout = 2 * time.Second
	// maxListBytes bounds the keys and paths in a list. One with more ends early.
	maxListBytes = 1 << 20
	// maxQuarantined bounds the quarantined parts in the overview and in a list of groups.
	maxQuarantined = 100
)

// Endpoint is a resource of the JSON API. It serves GET and HEAD.
type Endpoint struct {
	Name  string
	Serve http.HandlerFunc
}

// Endpoints lists the resources that the settings allow.
func (p *Page) Endpoints() []Endpoint {
	all := []Endpoint{
		{"overview", p.json(p.overview)},
		{"jobs", p.json(p.inTurn(p.listJobs))},
		{"status", p.json(p.status)},
	}
	if p.options.Groups != nil {
		all = append(all, Endpoint{"groups", p.json(p.inTurn(p.listGroups))}, Endpoint{"group", p.json(p.inTurn(p.showGroup))})
	}
	if p.options.Live {
		all = append(all, Endpoint{"refusals", p.json(p.listRefusals)}, Endpoint{"events", p.api(p.events)})
	}
	return all
}

// NotFound answers a request for a resource that is not served.
func (p *Page) NotFound(w http.ResponseWriter, r *http.Request) {
	p.api(func(w http.ResponseWriter, _ *http.Request) { p.writeError(w, errNotServed) })(w, r)
}

var errNotServed = &notFound{"this is not served; the setting page of the pushgateway receiver says what is"}

// The errors of the API, with the status of their response.
type (
	badRequest  struct{ text string }
	notFound    struct{ text string }
	unavailable struct{ text string }
)

func (e *badRequest) Error() string  { return e.text }
func (e *notFound) Error() string    { return e.text }
func (e *unavailable) Error() string { return e.text }

// answer returns the data of a response.
type answer func(r *http.Request, q *query) (any, error)

// api sets the headers of all responses of the API.
func (p *Page) api(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.setHeaders(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		serve(w, r)
	}
}

func (p *Page) json(get answer) http.HandlerFunc {
	return p.api(func(w http.ResponseWriter, r *http.Request) {
		data, err := get(r, &query{values: r.URL.Query()})
		if err != nil {
			p.writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"data": data})
	})
}

// inTurn lets at most maxLists requests read lists at once.
func (p *Page) inTurn(get answer) answer {
	return func(r *http.Request, q *query) (any, error) {
		limited, cancel := context.WithTimeout(r.Context(), listTimeout)
		defer cancel()
		select {
		case p.lists <- struct{}{}:
			defer func() { <-p.lists }()
			return get(r, q)
		case <-limited.Done():
			return nil, errLists
		}
	}
}

var errLists = &unavailable{"2 other requests are reading lists; try again in a second"}

// writeError writes an error. Its text is one line and has no secrets: it is that of a refusal, or of this package.
func (p *Page) writeError(w http.ResponseWriter, err error) {
	status, text := p.statusOf(err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter(err))
	}
	writeJSON(w, status, map[string]string{"error": text})
}

func (p *Page) statusOf(err error) (status int, text string) {
	var (
		bad     *badRequest
		missing *notFound
		busy    *unavailable
		refusal *ingest.Refusal
	)
	switch {
	case errors.As(err, &bad), errors.Is(err, store.ErrCursor):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &missing), errors.Is(err, store.ErrNoGroup):
		return http.StatusNotFound, err.Error()
	case errors.As(err, &busy):
		return http.StatusServiceUnavailable, err.Error()
	case errors.As(err, &refusal):
		return p.options.Status(err), err.Error()
	default:
		return http.StatusServiceUnavailable, "the request was cancelled"
	}
}

// retryAfter returns the delay before a retry in seconds.
func retryAfter(err error) string {
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok {
		return strconv.Itoa(max(1, int(math.Ceil(refusal.RetryAfter.Seconds()))))
	}
	return "1"
}

// writeJSON writes a response. Writing fails only if the client has disconnected.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	encoded, err := json.Marshal(v)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, string(encoded)+"\n")
}

// query reads parameters. It keeps the first error.
type query struct {
	values url.Values
	err    error
}

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = &badRequest{fmt.Sprintf(format, args...)}
	}
}

// words returns the parameter q.
func (q *query) words() string {
	words := q.values.Get("q")
	if len(words) > maxQuery {
		q.fail("q: must have at most %d bytes, has %d", maxQuery, len(words))
		return ""
	}
	return words
}

// limit returns the parameter limit.
func (q *query) limit(otherwise int) int {
	text := q.values.Get("limit")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		q.fail("limit: must be a number from 1 to %d", maxLimit)
		return otherwise
	}
	return n
}

// oneOf returns a parameter that has a set of values, of which the first is the default.
func (q *query) oneOf(name string, values ...string) string {
	value := q.values.Get(name)
	if value == "" {
		return values[0]
	}
	if !slices.Contains(values, value) {
		q.fail("%s: must be one of %q", name, values)
		return values[0]
	}
	return value
}

// place returns the parameter after of a group: the index of a family, and that of its first series.
func (q *query) place() (from gather.Place) {
	after := q.values.Get("after")
	if after == "" {
		return from
	}
	family, series, _ := strings.Cut(after, ".")
	var errs [2]error
	from.Family, errs[0] = strconv.Atoi(family)
	from.Series, errs[1] = strconv.Atoi(series)
	if errors.Join(errs[:]...) != nil || from.Family < 0 || from.Series < 0 {
		q.fail("after: the cursor is not valid")
	}
	return from
}

const (
	ascending  = "asc"
	descending = "desc"
)

func (p *Page) listGroups(r *http.Request, q *query) (any, error) {
	order := q.oneOf("sort", string(store.ByPush), string(store.ByFailure), string(store.BySeries), string(store.BySize), string(store.ByName))
	directions := []string{descending, ascending}
	if order == string(store.ByName) {
		directions = []string{ascending, descending}
	}
	search := store.Query{
		Filter: groupingkey.NewFilter(q.words()), Job: q.values.Get("job"), Order: store.Order(order),
		Descending: q.oneOf("order", directions...) == descending, Limit: q.limit(defaultLimit), After: q.values.Get("after"),
	}
	if q.err != nil {
		return nil, q.err
	}
	found, err := p.source.Search(r.Context(), search)
	if err != nil {
		return nil, err
	}
	return p.groupRows(found), nil
}

// groupList is a page of groups.
type groupList struct {
	Rows    []summary `json:"rows"`
	Matched int       `json:"matched"`
	Total   int       `json:"total"`
	Next    string    `json:"next,omitempty"`
}

// groupRows makes rows of groups, up to maxListBytes.
func (p *Page) groupRows(found store.Found) groupList {
	list := groupList{Rows: make([]summary, 0, len(found.Groups)), Matched: found.Matched, Total: found.Total, Next: found.Next}
	bytes := 0
	for i := range found.Groups {
		if bytes > maxListBytes {
			list.Next = found.Groups[i-1].Cursor
			break
		}
		row := newSummary(&found.Groups[i], p.options.UTF8Names)
		bytes += len(row.Path)
		list.Rows = append(list.Rows, row)
	}
	p.addQuarantined(list.Rows)
	return list
}

// addQuarantined adds to each row the parts of its group that are refused.
func (p *Page) addQuarantined(rows []summary) {
	at := make(map[string]int, len(rows))
	for i := range rows {
		at[rows[i].Path] = i
	}
	refused, _ := p.source.Refused(maxQuarantined, func(key groupingkey.Key) bool {
		_, listed := at[relativePath(key, p.options.UTF8Names)]
		return listed
	})
	for i := range refused {
		row := &rows[at[relativePath(refused[i].Key, p.options.UTF8Names)]]
		row.Quarantined = append(row.Quarantined, newQuarantined(&refused[i]))
	}
}

func (p *Page) showGroup(r *http.Request, q *query) (any, error) {
	key, ok, err := groupingkey.Parse(strings.TrimPrefix(q.values.Get("path"), "metrics/"), p.options.UTF8Names)
	if err != nil || !ok {
		return nil, &badRequest{"path: must be the path of a group, such as metrics/job/x"}
	}
	from := q.place()
	if q.err != nil {
		return nil, q.err
	}
	found, group, err := p.source.Group(r.Context(), key)
	if err != nil {
		return nil, err
	}
	rows := []summary{newSummary(&found, p.options.UTF8Names)}
	p.addQuarantined(rows)
	shown := group.Show(p.options.Groups.Gather, from, maxLimit)
	data := map[string]any{"summary": rows[0], "families": shown.Families}
	if shown.Next != (gather.Place{}) {
		data["next"] = fmt.Sprintf("%d.%d", shown.Next.Family, shown.Next.Series)
	}
	return data, nil
}

// listRefusals returns the refusals that are kept, the latest first.
func (p *Page) listRefusals(_ *http.Request, q *query) (any, error) {
	filter := groupingkey.NewFilter(q.words())
	if q.err != nil {
		return nil, q.err
	}
	kept, total, byReason := p.feed.refusals.latest()
	kept = slices.DeleteFunc(kept, func(r *refusal) bool { return !filter.MatchesText(r.words()) })
	return map[string]any{"total": total, "byReason": byReason, "since": millis(p.feed.started), "rows": kept}, nil
}

func (p *Page) status(*http.Request, *query) (any, error) {
	return map[string]any{
		"settings": p.options.Settings, "build": p.options.Build, "started": millis(p.feed.started), "now": millis(time.Now()),
	}, nil
}
