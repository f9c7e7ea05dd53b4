// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
)

// holding is an ingest of which only the groups are asked. Reading ends with the error, if there is one.
type holding struct {
	pushhttp.Ingest
	groups []gather.Group
	err    error
}

func (h holding) Groups(context.Context) iter.Seq2[gather.Group, error] {
	return func(yield func(gather.Group, error) bool) {
		for _, g := range h.groups {
			if !yield(g, nil) {
				return
			}
		}
		if h.err != nil {
			yield(gather.Group{}, h.err)
		}
	}
}

func (h holding) Fragments(_ context.Context, plan func(map[string][]string) [][]string) iter.Seq2[gather.Fragment, error] {
	types := map[string][]string{}
	for _, g := range h.groups {
		types[g.Families[0].Name] = []string{g.Families[0].Type}
	}
	sets := plan(types)
	return func(yield func(gather.Fragment, error) bool) {
		for i, names := range sets {
			for _, g := range h.groups {
				if slices.Contains(names, g.Families[0].Name) && !yield(gather.Fragment{Group: g, Set: i}, nil) {
					return
				}
			}
		}
		if h.err != nil {
			yield(gather.Fragment{}, h.err)
		}
	}
}

// group holds one untyped series.
func group(job, name string, attributes map[string]string) gather.Group {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	point := m.SetEmptyGauge().DataPoints().AppendEmpty()
	point.SetDoubleValue(1)
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		point.Attributes().PutStr(name, attributes[name])
	}
	return gather.Group{
		Key:      groupingkey.Key{Job: job},
		Families: []gather.Family{{Name: name, Type: "unknown", PushTime: time.Unix(1, 0).UTC(), Metrics: func() pmetric.Metrics { return md }}},
	}
}

// read asks a server for what is held.
func read(t *testing.T, in holding, method, path string, header http.Header, cors ...string) *http.Response {
	config := confighttp.NewDefaultServerConfig()
	if cors != nil {
		config.CORS = configoptional.Some(confighttp.CORSConfig{AllowedOrigins: cors})
	}
	options := pushhttp.Options{Prefixes: []string{""}, Groups: &pushhttp.GroupOptions{Flags: map[string]string{"groups.ttl": "0s"}}}
	server, err := pushhttp.NewServer(t.Context(), config, nil, componenttest.NewNopTelemetrySettings(), options, in)
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	request.Header = header
	recorder := httptest.NewRecorder()
	server.Handler.ServeHTTP(recorder, request)
	return recorder.Result()
}

func bodyOf(t *testing.T, response *http.Response) string {
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return string(body)
}

// TestReadMetrics has the recorded cases A06 and U10.
func TestReadMetrics(t *testing.T) {
	t.Parallel()
	in := holding{groups: []gather.Group{
		group("j", "my.metric", map[string]string{"my.label": "v", "my_label": "w"}),
		group("k", "my_metric", nil),
	}}
	const (
		plain   = "# TYPE my_metric untyped\nmy_metric{instance=\"\",job=\"k\"} 1\nmy_metric{instance=\"\",job=\"j\",my_label=\"v\"} 1\n"
		utf8OK  = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"
		utf8    = "# TYPE \"my.metric\" untyped\n{\"my.metric\",instance=\"\",job=\"j\",\"my.label\"=\"v\",my_label=\"w\"} 1\n# TYPE my_metric untyped\nmy_metric{instance=\"\",job=\"k\"} 1\n"
		proto   = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
		escaped = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
	)
	for _, test := range []struct{ name, accept, contentType, body string }{
		{"none", "", escaped, plain},
		{"text", "text/plain;version=0.0.4", escaped, plain},
		{"OpenMetrics", "application/openmetrics-text;version=1.0.0", escaped, plain},
		{"UTF-8 names", "text/plain;version=1.0.0;escaping=allow-utf-8", utf8OK, utf8},
		{"Prometheus 3", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4," +
			"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", utf8OK, utf8},
		{"unknown escaping", "text/plain;version=0.0.4;escaping=x", escaped, plain},
		{"protobuf", proto + ";q=0.9", proto + "; escaping=underscores", ""},
		{"protobuf, UTF-8 names", proto + ";escaping=allow-utf-8", proto + "; escaping=allow-utf-8", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			response := read(t, in, http.MethodGet, "/metrics", http.Header{"Accept": {test.accept}})
			assert.Equal(t, http.StatusOK, response.StatusCode)
			assert.Equal(t, test.contentType, response.Header.Get("Content-Type"))
			body := bodyOf(t, response)
			if test.body != "" {
				assert.Equal(t, test.body, body)
			}
		})
	}
	response := read(t, in, http.MethodGet, "/metrics?name[]=my_metric&name[]=other", http.Header{"Accept": {utf8OK}})
	assert.Equal(t, "# TYPE my_metric untyped\nmy_metric{instance=\"\",job=\"k\"} 1\n", bodyOf(t, response))
	assert.Equal(t, []string{"Accept", "Accept-Encoding"}, response.Header.Values("Vary"))
}

func TestReadCompressed(t *testing.T) {
	t.Parallel()
	in := holding{groups: []gather.Group{group("j", "a", nil)}}
	for accepted, zipped := range map[string]bool{
		"":                           false,
		"gzip":                       true,
		"deflate, GZIP;q=0.5":        true,
		"gzip;q=1.0, identity; q=.5": true,
		"gzip, identity":             false,
		"gzip;q=0":                   false,
		"*":                          false,
		"br":                         false,
	} {
		response := read(t, in, http.MethodGet, "/metrics", http.Header{"Accept-Encoding": {accepted}})
		var body io.Reader = response.Body
		if zipped {
			assert.Equal(t, "gzip", response.Header.Get("Content-Encoding"), accepted)
			unzipped, err := gzip.NewReader(body)
			require.NoError(t, err, accepted)
			body = unzipped
		} else {
			assert.Empty(t, response.Header.Get("Content-Encoding"), accepted)
		}
		read, err := io.ReadAll(body)
		require.NoError(t, err)
		assert.Equal(t, "# TYPE a untyped\na{instance=\"\",job=\"j\"} 1\n", string(read), accepted)
		assert.NoError(t, response.Body.Close())
	}
}

// TestReadingFails at the end: an answer of which nothing was sent becomes a refusal, another one is cut off.
func TestReadingFails(t *testing.T) {
	t.Parallel()
	failed := ingest.Refuse(ingest.ReasonStorage, errors.New("the storage of groups failed"))
	few := holding{groups: []gather.Group{group("j", "a", nil)}, err: failed}
	many := holding{err: failed}
	for i := range 2000 {
		many.groups = append(many.groups, group("j", fmt.Sprintf("metric_%d_%s", i, strings.Repeat("x", 100)), nil))
	}
	for _, path := range []string{"/metrics", "/api/v1/metrics"} {
		response := read(t, few, http.MethodGet, path, http.Header{"Accept-Encoding": {"gzip"}})
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, path)
		assert.Empty(t, response.Header.Get("Content-Encoding"), path)
		assert.Equal(t, "the storage of groups failed\n", bodyOf(t, response), path)

		options := pushhttp.Options{Prefixes: []string{""}, Groups: &pushhttp.GroupOptions{}}
		handler, err := pushhttp.NewServer(t.Context(), confighttp.NewDefaultServerConfig(), nil, componenttest.NewNopTelemetrySettings(), options, many)
		require.NoError(t, err)
		server := httptest.NewServer(handler.Handler)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Accept-Encoding", "identity") // A compressed answer would be too small to begin.
		response, err = server.Client().Do(request)
		require.NoError(t, err)
		_, err = io.ReadAll(response.Body)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, path)
		assert.NoError(t, response.Body.Close())
		server.Close()
	}
}

// corsHeaders are what a Pushgateway's query API sends.
var corsHeaders = map[string]string{
	"Access-Control-Allow-Headers":  "Accept, Authorization, Content-Type, Origin",
	"Access-Control-Allow-Methods":  "GET, POST, DELETE, OPTIONS",
	"Access-Control-Allow-Origin":   "*",
	"Access-Control-Expose-Headers": "Date",
}

func TestQueryAPI(t *testing.T) {
	t.Parallel()
	in := holding{groups: []gather.Group{group("j", "a", nil)}}
	for _, test := range []struct{ path, body string }{
		{"/api/v1/metrics", `{"status":"success","data":[{"a":{"time_stamp":"1970-01-01T00:00:01Z","type":"UNTYPED",` +
			`"metrics":[{"labels":{"instance":"","job":"j"},"value":"1"}]},"labels":{"job":"j"},"last_push_successful":true}]}`},
		{"/api/v1/status", `"flags":{"groups.ttl":"0s"}`},
	} {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			response := read(t, in, http.MethodGet, test.path, nil)
			assert.Equal(t, http.StatusOK, response.StatusCode)
			assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
			assert.Equal(t, "no-cache, no-store, must-revalidate", response.Header.Get("Cache-Control"))
			for name, want := range corsHeaders {
				assert.Equal(t, want, response.Header.Get(name), name)
			}
			assert.Contains(t, bodyOf(t, response), test.body)
		})
	}
}

// TestQueryAPIWithCORS leaves it to confighttp's setting which origins may read the answer.
func TestQueryAPIWithCORS(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ origin, allowed string }{
		{"https://ours.example", "https://ours.example"},
		{"https://other.example", ""},
	} {
		response := read(t, holding{}, http.MethodGet, "/api/v1/metrics", http.Header{"Origin": {test.origin}}, "https://ours.example")
		assert.Equal(t, test.allowed, response.Header.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, `{"status":"success","data":[]}`, bodyOf(t, response))
	}
}

func TestReadRefused(t *testing.T) {
	t.Parallel()
	starting := holding{err: ingest.Refuse(ingest.ReasonStarting, errors.New("groups are being restored"))}
	for _, path := range []string{"/metrics", "/api/v1/metrics"} {
		response := read(t, starting, http.MethodGet, path, nil)
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, path)
		assert.Equal(t, "groups are being restored\n", bodyOf(t, response), path)
	}
}

// TestReadMethods has the recorded cases A05, R36 and R37.
func TestReadMethods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodHead, "/api/v1/metrics", http.StatusMethodNotAllowed, "GET, OPTIONS"},
		{http.MethodHead, "/metrics", http.StatusMethodNotAllowed, "GET, OPTIONS"},
		{http.MethodGet, "/api/v1/", http.StatusNotFound, ""},
		{http.MethodGet, "/api/v1/foo", http.StatusNotFound, ""},
		{http.MethodGet, "/api/v2/metrics", http.StatusNotFound, ""},
		{http.MethodOptions, "/api/v1/metrics", http.StatusOK, "GET, OPTIONS"},
		{http.MethodOptions, "/api/v1/anything/else", http.StatusOK, "OPTIONS"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			response := read(t, holding{}, test.method, test.path, nil)
			assert.Equal(t, test.status, response.StatusCode)
			assert.Equal(t, test.allow, response.Header.Get("Allow"))
			assert.NoError(t, response.Body.Close())
		})
	}
}

// busy is an ingest whose groups are long in coming.
type busy struct {
	pushhttp.Ingest
	asked, release chan struct{}
}

func (b busy) Groups(context.Context) iter.Seq2[gather.Group, error] {
	b.asked <- struct{}{}
	<-b.release
	return func(func(gather.Group, error) bool) {}
}

func (b busy) Fragments(context.Context, func(map[string][]string) [][]string) iter.Seq2[gather.Fragment, error] {
	b.asked <- struct{}{}
	<-b.release
	return func(func(gather.Fragment, error) bool) {}
}

// Each reading takes memory for all that is held, so two at once are all there are.
func TestReadsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := busy{asked: make(chan struct{}, 10), release: make(chan struct{})}
		options := pushhttp.Options{Prefixes: []string{""}, Groups: &pushhttp.GroupOptions{}}
		server, err := pushhttp.NewServer(t.Context(), confighttp.NewDefaultServerConfig(), nil, componenttest.NewNopTelemetrySettings(), options, in)
		require.NoError(t, err)
		get := func(path string) *httptest.ResponseRecorder {
			recorder := httptest.NewRecorder()
			server.Handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
			return recorder
		}
		var reading sync.WaitGroup
		for _, path := range []string{"/metrics", "/api/v1/metrics"} {
			reading.Go(func() { assert.Equal(t, http.StatusOK, get(path).Code) })
			<-in.asked
		}
		asked := time.Now()
		refused := get("/metrics")
		assert.Equal(t, 10*time.Second, time.Since(asked))
		assert.Equal(t, http.StatusServiceUnavailable, refused.Code)
		assert.Equal(t, "10", refused.Header().Get("Retry-After"))
		assert.Equal(t, "2 other requests are reading all groups; try again later\n", refused.Body.String())

		reading.Go(func() { assert.Equal(t, http.StatusOK, get("/metrics").Code) })
		close(in.release)
		reading.Wait()
	})
}
