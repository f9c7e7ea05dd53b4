// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/outbox"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

func TestOverview(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, from := newPage(func(o *Options) {
			o.Groups = &GroupOptions{MaxGroups: 10, MaxBytes: 100, Aggregates: true, MaxPushers: 9, RepublishInterval: time.Minute, Storage: "file_storage"}
			o.Build = Build{Name: "otelcol", Version: "1.2.3", Go: "go1"}
		})
		from.refused = []outbox.Refused{{Key: keyOf("j"), Part: "family x", Series: 3, Error: "no", Since: time.UnixMilli(5), Retry: time.UnixMilli(6)}}
		require.NoError(t, p.options.InFlight.Reserve(7))
		feed.Ended(pushed("j"))
		feed.Exported(5, "accepted")
		feed.Exported(5, "permanent")
		time.Sleep(2 * time.Second)

		w := get(t, p, "overview")
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		for name := range w.Header() {
			assert.False(t, strings.HasPrefix(name, "Access-Control-"), name)
		}
		var answer struct {
			Data struct {
				overview

				Rates map[string]json.RawMessage `json:"rates"`
			}
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
		o := answer.Data
		assert.Equal(t, "groups", o.Mode)
		assert.True(t, o.Ready)
		assert.Equal(t, time.Now().Add(-2*time.Second).UnixMilli(), o.Started)
		assert.Equal(t, map[string]bool{
			"live": true, "refused": true, "jobs": true, "groups": true, "status": true, "peek": true, "delete": true, "wipe": true,
		}, o.Allowed)
		assert.Equal(t, map[string]int64{
			"accepted": 1, "refused": 0, "series": 2, "bytes": 10, "deleted": 0, "exports": 1, "exportsFailed": 1, "points": 5,
		}, o.Totals)
		assert.Equal(t, []outcomeCount{{"accepted", 1}, {"permanent", 1}}, o.Exports)
		assert.Equal(t, inFlight{7, 100}, o.InFlight)
		assert.Equal(t, &groups{
			Groups: 3, Series: 5, Bytes: 77, PendingMarkers: 2, MaxGroups: 10, MaxBytes: 100, Pushers: new(int), MaxPushers: 9, RepublishInterval: 60_000, Storage: "file_storage",
		}, o.Groups)
		assert.Equal(t, &outboxState{Waiting: 1, Oldest: 9, QuarantinedTotal: 1, Quarantined: []quarantined{
			{Key: [][2]string{{"job", "j"}}, Path: "metrics/job/j", Part: "family x", Series: 3, Error: "no", Since: 5, Retry: 6},
		}}, o.Outbox)
		var seconds []int64
		require.NoError(t, json.Unmarshal(o.Rates["accepted"], &seconds))
		require.Len(t, seconds, shownSeconds)
		assert.EqualValues(t, 1, seconds[shownSeconds-2], "two seconds ago")

		from.waiting = true
		assert.False(t, read[overview](t, p, "overview").Ready)
	})
}

// TestOverviewOfReplicas has the state of the database that they share.
func TestOverviewOfReplicas(t *testing.T) {
	t.Parallel()
	p, _, from := newPage(func(o *Options) { o.Groups = &GroupOptions{Storage: "PostgreSQL", Shared: true} })
	assert.Nil(t, read[overview](t, p, "overview").Groups.Database)
	from.database = &store.Database{Err: errors.New("the database did not answer in time"), Connections: 2, MaxConnections: 7}
	o := read[overview](t, p, "overview")
	assert.True(t, o.Groups.Shared)
	assert.Equal(t, &database{Error: "the database did not answer in time", Connections: 2, MaxConnections: 7}, o.Groups.Database)
	from.waiting = true
	o = read[overview](t, p, "overview")
	assert.Equal(t, "the database did not answer in time", o.Groups.Database.Error, "it says why the groups are not there yet")
	assert.Zero(t, o.Groups.Groups)
	from.waiting = false
	from.database = &store.Database{Synchronous: true, MaxConnections: 7}
	assert.Equal(t, &database{Synchronous: true, MaxConnections: 7}, read[overview](t, p, "overview").Groups.Database)
}

func TestOverviewOfAProxy(t *testing.T) {
	t.Parallel()
	p, _, _ := newPage(proxyMode)
	o := read[overview](t, p, "overview")
	assert.Equal(t, "proxy", o.Mode)
	assert.Nil(t, o.Groups)
	assert.Nil(t, o.Outbox)
	assert.False(t, o.Allowed["groups"])
	assert.False(t, o.Allowed["delete"])
	assert.False(t, o.Allowed["wipe"])
}

// TestRates counts for longer than seconds are kept.
func TestRates(t *testing.T) {
	t.Parallel()
	var r rates
	for second := range int64(2000) {
		r.at(time.Unix(second, 0))[countAccepted].Add(second)
	}
	assert.EqualValues(t, 1999*2000/2, r.totals()["accepted"])
	assert.EqualValues(t, 1990, r.of(1990)[countAccepted])
	assert.Zero(t, r.of(1990 - keptSeconds)[countAccepted])
	history := r.history(time.Unix(2000, 0))
	assert.EqualValues(t, 2_000_000, history["end"])
	accepted := history["accepted"].([]int64)
	require.Len(t, accepted, shownSeconds)
	assert.EqualValues(t, 1700, accepted[0])
	assert.EqualValues(t, 1999, accepted[shownSeconds-1])
	r.at(time.Unix(1900, 0))[countAccepted].Add(1) // The clock was set back.
	assert.EqualValues(t, 1901, r.of(1900)[countAccepted])
}

func TestListGroups(t *testing.T) {
	t.Parallel()
	p, _, from := newPage(func(o *Options) { o.UTF8Names = true })
	var asked store.Query
	from.search = func(q store.Query) (store.Found, error) {
		asked = q
		return store.Found{Groups: []store.Summary{
			{Key: keyOf("a b", "i", "1"), Families: 1, Series: 2, Size: 3, Pending: 4, PushTime: time.UnixMilli(5), PushFailureTime: time.UnixMilli(6), Expires: time.UnixMilli(7)},
			{Key: keyOf("c"), Aggregate: &store.AggregateInfo{
				Rule: "groups::aggregate[0]", Without: []string{"id"}, Pushers: 2, LastPusher: keyOf("c", "id", "x"), LastPush: time.UnixMilli(8),
			}},
		}, Matched: 7, Total: 9, Next: "more"}, nil
	}
	from.refused = []outbox.Refused{{Key: keyOf("c"), Part: "push times"}, {Key: keyOf("elsewhere"), Part: "push times"}}
	list := read[groupList](t, p, "groups?q=A+i%3D1&job=j&sort=size&order=asc&limit=7&after=x")
	assert.Equal(t, store.Query{
		Filter: groupingkey.NewFilter("a i=1"), Job: "j", Order: store.BySize, Limit: 7, After: "x",
	}, asked)
	assert.Equal(t, groupList{Matched: 7, Total: 9, Next: "more", Rows: []summary{
		{
			Key: [][2]string{{"job", "a b"}, {"i", "1"}}, Path: "metrics/job@base64/YSBi/i/1", Families: 1, Series: 2, Bytes: 3, PendingMarkers: 4,
			Pushed: 5, Failed: 6, Expires: 7,
		},
		{
			Key: [][2]string{{"job", "c"}}, Path: "metrics/job/c", Quarantined: list.Rows[1].Quarantined,
			Aggregate: &aggregate{"groups::aggregate[0]", []string{"id"}, 2, pusher{[][2]string{{"job", "c"}, {"id", "x"}}, "metrics/job/c/id/x", 8}},
		},
	}}, list)
	require.Len(t, list.Rows[1].Quarantined, 1)
	assert.Equal(t, "push times", list.Rows[1].Quarantined[0].Part)

	read[groupList](t, p, "groups")
	assert.Equal(t, store.Query{Order: store.ByPush, Descending: true, Limit: 50}, asked)
	read[groupList](t, p, "groups?sort=name")
	assert.Equal(t, store.Query{Order: store.ByName, Limit: 50}, asked)
}

// TestListOfLongKeysEndsEarly bounds an answer with groups whose keys are as long as a URL may be.
func TestListOfLongKeysEndsEarly(t *testing.T) {
	t.Parallel()
	p, _, from := newPage()
	var found store.Found
	for i := range 200 {
		found.Groups = append(found.Groups, store.Summary{Key: keyOf(strings.Repeat("x", 900_000)), Cursor: strconv.Itoa(i)})
	}
	from.search = func(store.Query) (store.Found, error) { return found, nil }
	list := read[groupList](t, p, "groups")
	assert.Len(t, list.Rows, 2)
	assert.Equal(t, "1", list.Next)
	assert.Len(t, list.Rows[0].Key[0][1], maxText+len("…"))
}

func TestShowGroup(t *testing.T) {
	t.Parallel()
	p, _, from := newPage()
	var asked groupingkey.Key
	from.group = func(key groupingkey.Key) (store.Summary, gather.Group, error) {
		asked = key
		group := gather.Group{Key: key}
		for _, name := range []string{"a", "b"} {
			group.Families = append(group.Families, gather.Family{Name: name, Type: "gauge", Metrics: func() pmetric.Metrics {
				md := pmetric.NewMetrics()
				m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
				m.SetName(name)
				points := m.SetEmptyGauge().DataPoints()
				for i := range 150 {
					points.AppendEmpty().Attributes().PutStr("i", strconv.Itoa(i))
				}
				return md
			}})
		}
		return store.Summary{Key: key, Series: 300}, group, nil
	}
	type shown struct {
		Summary  summary
		Families []gather.ShownFamily
		Next     string
	}
	first := read[shown](t, p, "group?path=metrics/job/j/l@base64/%3D")
	assert.Equal(t, keyOf("j", "l", ""), asked)
	assert.Equal(t, 300, first.Summary.Series)
	require.Len(t, first.Families, 2)
	assert.Len(t, first.Families[0].Series, 150)
	assert.Len(t, first.Families[1].Series, 50)
	assert.Equal(t, "1.50", first.Next)
	second := read[shown](t, p, "group?path=metrics/job/j&after=1.50")
	require.Len(t, second.Families, 1)
	assert.Equal(t, "b", second.Families[0].Name)
	assert.Len(t, second.Families[0].Series, 100)
	assert.Equal(t, [][2]string{{"i", "50"}, {"job", "j"}}, second.Families[0].Series[0].Labels)
	assert.Empty(t, second.Next)
	assert.Empty(t, read[shown](t, p, "group?path=metrics/job/j&after=7.9999").Families)
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	p, _, from := newPage()
	failing := store.ErrCursor
	from.search = func(store.Query) (store.Found, error) { return store.Found{}, failing }
	from.group = func(groupingkey.Key) (store.Summary, gather.Group, error) {
		return store.Summary{}, gather.Group{}, failing
	}
	for target, text := range map[string]string{
		"groups?q=" + strings.Repeat("x", 257):   "q: must have at most 256 bytes, has 257",
		"groups?limit=201":                       "limit: must be a number from 1 to 200",
		"groups?limit=0":                         "limit: must be a number",
		"groups?limit=x":                         "limit: must be a number",
		"groups?sort=age":                        `sort: must be one of ["push" "failure" "series" "size" "name"]`,
		"groups?order=up":                        `order: must be one of ["desc" "asc"]`,
		"groups?after=x":                         "the cursor is not valid",
		"jobs?sort=push":                         "sort: must be one of",
		"jobs?order=x":                           "order: must be one of",
		"jobs?after=x":                           "after: the cursor is not valid",
		"jobs?after=eA":                          "after: the cursor is not valid",
		"refusals?q=" + strings.Repeat("x", 257): "q: must have",
		"group":                                  "path: must be the path of a group",
		"group?path=metrics/job/":                "path: must be the path of a group",
		"group?path=metrics/job/j/a":             "path: must be the path of a group",
		"group?path=metrics/job/j&after=1":       "after: the cursor is not valid",
		"group?path=metrics/job/j&after=-1.0":    "after: the cursor is not valid",
	} {
		w := get(t, p, target)
		assert.Equal(t, http.StatusBadRequest, w.Code, target)
		assert.Contains(t, errorText(t, w.Body.Bytes()), text, target)
	}
	for _, tc := range []struct {
		err    error
		status int
		text   string
		retry  string
	}{
		{store.ErrNoGroup, http.StatusNotFound, "there is no such group", ""},
		{&ingest.Refusal{Reason: ingest.ReasonStarting, Err: errors.New("restoring"), RetryAfter: 4500 * time.Millisecond}, http.StatusServiceUnavailable, "", "5"},
		{context.Canceled, http.StatusServiceUnavailable, "the request was cancelled", "1"},
	} {
		failing = tc.err
		for _, target := range []string{"groups", "group?path=metrics/job/j"} {
			if errors.Is(tc.err, store.ErrNoGroup) && target == "groups" {
				continue
			}
			w := get(t, p, target)
			assert.Equal(t, tc.status, w.Code, tc.text)
			assert.Contains(t, errorText(t, w.Body.Bytes()), tc.text)
			assert.Equal(t, tc.retry, w.Header().Get("Retry-After"))
		}
	}
}

func errorText(t *testing.T, body []byte) string {
	t.Helper()
	var answer struct{ Error string }
	require.NoError(t, json.Unmarshal(body, &answer))
	return answer.Error
}

// TestListsTakeTurns has two lists that take long. A third waits for a moment and gives up.
func TestListsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, from := newPage()
		release := make(chan struct{})
		from.search = func(store.Query) (store.Found, error) {
			<-release
			return store.Found{}, nil
		}
		for range maxLists {
			go func() {
				_, _ = p.inTurn(p.listGroups)(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), &query{})
			}()
		}
		synctest.Wait()
		began := time.Now()
		w := get(t, p, "jobs")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, "1", w.Header().Get("Retry-After"))
		assert.Equal(t, listTimeout, time.Since(began))
		assert.Equal(t, http.StatusOK, get(t, p, "overview").Code, "it reads no list")
		close(release)
		synctest.Wait()
		assert.Equal(t, http.StatusOK, get(t, p, "jobs").Code)
	})
}

// TestEmptyLists are lists in JSON.
func TestEmptyLists(t *testing.T) {
	t.Parallel()
	p, _, from := newPage()
	from.search = func(store.Query) (store.Found, error) { return store.Found{}, nil }
	from.group = func(key groupingkey.Key) (store.Summary, gather.Group, error) {
		return store.Summary{Key: key}, gather.Group{Key: key}, nil
	}
	proxy, _, _ := newPage(proxyMode)
	for _, w := range []*httptest.ResponseRecorder{
		get(t, p, "jobs"), get(t, proxy, "jobs"), get(t, p, "groups"), get(t, p, "refusals"), get(t, p, "group?path=metrics/job/j"),
		get(t, p, "overview"), get(t, proxy, "overview"),
	} {
		assert.Equal(t, http.StatusOK, w.Code)
		assert.NotContains(t, w.Body.String(), "null")
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	p, _, _ := newPage(func(o *Options) {
		o.Settings = []Setting{{"endpoint", "localhost:9091", true}}
		o.Build = Build{Name: "otelcol", Version: "1", Description: "d", Go: "go1"}
	})
	status := read[struct {
		Settings []Setting
		Build    Build
	}](t, p, "status")
	assert.Equal(t, p.options.Settings, status.Settings)
	assert.Equal(t, p.options.Build, status.Build)
}
