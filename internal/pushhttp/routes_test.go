// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
)

const (
	served        = "this receiver serves PUT and POST /metrics/job/<job>{/<label>/<value>}, GET /-/healthy and /-/ready\n"
	nothingStored = "this receiver forwards every push and stores nothing: look for the metrics in its backend, or configure groups on " +
		"the pushgateway receiver to read them here"
	notFound      = "404 page not found; " + served
	nothingToRead = "404 page not found; " + nothingStored + "; " + served
	nothingToEnd  = "404 page not found; this receiver forwards every push and stores nothing, so there is no aggregate to end\n"
	nothingToWipe = "404 page not found; this receiver forwards every push and stores nothing, so there is nothing to wipe\n"
	notAllowed    = "Method Not Allowed; this path serves "
	notAGroup     = "Method Not Allowed; pushes go to /metrics/job/<job>{/<label>/<value>}\n"
	noSuchGroup   = "Method Not Allowed; " + nothingStored + "\n"
	noDelete      = "DELETE is not served because this receiver forwards every push at once and stores no groups that could be " +
		"deleted; configure groups on the pushgateway receiver to have groups stored, or ignore_delete: true to have DELETE accepted and ignored\n"
)

// The codes in brackets are the recorded cases of a Pushgateway.
func TestRoutes(t *testing.T) {
	t.Parallel()
	const (
		pushAllow   = "OPTIONS, POST, PUT"
		metricAllow = "GET, OPTIONS"
		healthAllow = "GET, HEAD, OPTIONS"
	)
	s := serve(t)
	for _, tt := range []struct {
		name, method, target string
		status               int
		body, allow          string
	}{
		{"POST [R01]", "POST", "/metrics/job/j", 200, "", ""},
		{"PUT [R02]", "PUT", "/metrics/job/j", 200, "", ""},
		{"with labels", "PUT", "/metrics/job/j/a/1", 200, "", ""},
		{"in base64", "PUT", "/metrics/job@base64/ag==", 200, "", ""},
		{"under a prefix", "PUT", "/pushgateway/metrics/job/j", 200, "", ""},
		{"with a query", "PUT", "/metrics/job/j?a=b", 200, "", ""},
		{"encoded slashes [K71]", "POST", "/metrics%2Fjob%2Fj", 200, "", ""},
		{"encoded job@base64 [K66]", "POST", "/metrics/job%40base64/ag", 200, "", ""},
		{"dots are not cleaned [R22]", "POST", "/metrics/job/j/a/..", 200, "", ""},
		{"empty element between labels", "POST", "/metrics/job/j/a//b/c", 200, "", ""},
		{"absolute target", "POST", "http://h/metrics/job/j", 200, "", ""},
		{"bad label", "POST", "/metrics/job/j/a-b/c", 400, "improper label name \"a-b\"\n", ""},
		{"bad label under a prefix", "POST", "/pushgateway/metrics/job/j/a", 400, "odd number of components in label string \"/a\"\n", ""},
		{
			"poison [K79]", "POST", "/metrics/job/j/a@base64/_w", 400,
			"pushed metrics are invalid or inconsistent with existing metrics: grouping key has a label named \"a\" whose value is not utf8: \"\\xff\"\n", "",
		},
		{"bad escape [K41]", "POST", "/metrics/job/j/a/%zz", 400, "400 Bad Request", ""},
		{"DELETE", "DELETE", "/metrics/job/j", 405, noDelete, pushAllow},
		{"DELETE under a prefix", "DELETE", "/pushgateway/metrics/job/j/a/1", 405, noDelete, pushAllow},
		{"OPTIONS [R08]", "OPTIONS", "/metrics/job/j", 200, "", pushAllow},
		{"GET [R04]", "GET", "/metrics/job/j", 405, noSuchGroup, pushAllow},
		{"HEAD [R06]", "HEAD", "/metrics/job/j", 405, "", pushAllow},
		{"PATCH [R07]", "PATCH", "/metrics/job/j", 405, notAllowed + pushAllow + "\n", pushAllow},
		{"lower case [X30]", "post", "/metrics/job/j", 405, notAllowed + pushAllow + "\n", pushAllow},
		{"method before labels", "PATCH", "/metrics/job/j/a", 405, notAllowed + pushAllow + "\n", pushAllow},
		{"no job [R11]", "POST", "/metrics/job", 404, notFound, ""},
		{"empty job [R12]", "POST", "/metrics/job/", 404, notFound, ""},
		{"empty job in base64 [K10]", "POST", "/metrics/job@base64/", 404, notFound, ""},
		{"empty job before labels [K74]", "POST", "/metrics/job//a/1", 404, notFound, ""},
		{"slash behind metrics [R10]", "POST", "/metrics/", 404, notFound, ""},
		{"double slash [R17]", "POST", "/metrics//job/j", 404, notFound, ""},
		{"double slash in front [R16]", "POST", "//metrics/job/j", 200, "", ""},
		{"double slash in front, absolute", "POST", "http://h//metrics/job/j", 200, "", ""},
		{"encoded slash in front", "POST", "/%2Fmetrics/job/j", 200, "", ""},
		{"many slashes in front", "PUT", "/////metrics/job/j/a/1", 200, "", ""},
		{"double slash behind a prefix", "POST", "/pushgateway//metrics/job/j", 200, "", ""},
		{"double slash before a prefix", "POST", "//pushgateway/metrics/job/j", 200, "", ""},
		{"many slashes around a prefix", "PUT", "///pushgateway////metrics/job/j", 200, "", ""},
		{"double slash before a bad label", "POST", "//metrics/job/j/a", 400, "odd number of components in label string \"/a\"\n", ""},
		{"DELETE with a double slash", "DELETE", "//metrics/job/j", 405, noDelete, pushAllow},
		{"OPTIONS with a double slash", "OPTIONS", "/pushgateway//metrics/job/j", 200, "", pushAllow},
		{"the exposition with a double slash", "GET", "//metrics", 404, nothingToRead, ""},
		{"healthy with a double slash", "GET", "//-/healthy", 200, "OK", ""},
		{"ready with a double slash behind a prefix", "GET", "/pushgateway//-/ready", 200, "OK", ""},
		{"double slash and an empty job", "POST", "//metrics/job//a/1", 404, notFound, ""},
		{"only slashes", "GET", "//", 404, nothingToRead, ""},
		{"dot element [R21]", "POST", "/metrics/./job/j", 404, notFound, ""},
		{"other case [R14]", "POST", "/Metrics/Job/J", 404, notFound, ""},
		{"legacy path", "POST", "/metrics/jobs/j", 404, notFound, ""},
		{"other path [R29]", "POST", "/nonexistent", 404, notFound, ""},
		{"other prefix", "POST", "/pushgatewaymetrics/job/j", 404, notFound, ""},
		{"root", "GET", "/", 404, nothingToRead, ""},
		{"prefix alone", "GET", "/pushgateway", 404, nothingToRead, ""},
		{"the exposition", "GET", "/metrics", 404, nothingToRead, ""},
		{"the exposition with a slash", "GET", "/metrics/", 404, nothingToRead, ""},
		{"push without a job [R09]", "POST", "/metrics", 405, notAGroup, metricAllow},
		{"DELETE without a job", "DELETE", "/metrics", 405, notAGroup, metricAllow},
		{"OPTIONS of the exposition", "OPTIONS", "/metrics", 200, "", metricAllow},
		{"query API", "GET", "/api/v1/metrics", 404, nothingToRead, ""},
		{"status API", "GET", "/api/v1/status", 404, nothingToRead, ""},
		{"wipe", "PUT", "/api/v1/admin/wipe", 404, nothingToWipe, ""},
		{"end of an aggregate", "DELETE", "/api/v1/admin/aggregate/job/j", 404, nothingToEnd, ""},
		{"healthy [R30]", "GET", "/-/healthy", 200, "OK", ""},
		{"ready [R30]", "GET", "/-/ready", 200, "OK", ""},
		{"ready under a prefix", "GET", "/pushgateway/-/ready", 200, "OK", ""},
		{"HEAD of healthy", "HEAD", "/-/healthy", 200, "", ""},
		{"POST to healthy", "POST", "/-/healthy", 405, notAllowed + healthAllow + "\n", healthAllow},
		{"DELETE of ready", "DELETE", "/-/ready", 405, notAllowed + healthAllow + "\n", healthAllow},
		{"healthy with a slash", "GET", "/-/healthy/", 404, nothingToRead, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.do(t, tt.method, tt.target, "a 1\n")
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, tt.body, got.body)
			assert.Equal(t, tt.allow, got.header.Get("Allow"))
			assert.Empty(t, got.header.Get("Location"))
		})
	}
}

func TestPushIsAnsweredWithoutBody(t *testing.T) {
	t.Parallel()
	got := serve(t).do(t, "PUT", "/metrics/job/j", "a 1\n")
	assert.Equal(t, http.StatusOK, got.status)
	assert.Empty(t, got.body)
	assert.Empty(t, got.header.Get("Content-Type"))
}

func TestRefusalIsPlainText(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, target := range []string{"/metrics/job/j/a", "/nonexistent", "/metrics"} {
		got := s.do(t, "POST", target, "")
		assert.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"), target)
		assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"), target)
	}
}

func TestIgnoreDelete(t *testing.T) {
	t.Parallel()
	const allow = "DELETE, OPTIONS, POST, PUT"
	s := serve(t, ignoringDelete)
	for _, tt := range []struct {
		name, method, target string
		status               int
		body, allow          string
	}{
		{"taken [R03]", "DELETE", "/metrics/job/j", 202, "", ""},
		{"with labels", "DELETE", "/pushgateway/metrics/job/j/a@base64/=", 202, "", ""},
		{"bad label", "DELETE", "/metrics/job/j/a-b/c", 400, "improper label name \"a-b\"\n", ""},
		{"no job", "DELETE", "/metrics/job", 404, notFound, ""},
		{"other case [X30]", "Delete", "/metrics/job/j", 405, notAllowed + allow + "\n", allow},
		{"GET [R04]", "GET", "/metrics/job/j", 405, noSuchGroup, allow},
		{"OPTIONS [R08]", "OPTIONS", "/metrics/job/j", 200, "", allow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.do(t, tt.method, tt.target, "a body that nobody reads")
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, tt.body, got.body)
			assert.Equal(t, tt.allow, got.header.Get("Allow"))
		})
	}
	assert.Empty(t, s.pushed())
	assert.Equal(t, map[string]int64{"DELETE none ignored": 2, "DELETE none path": 2}, s.outcomes(t))
}

// TestNotServedWithGroups asks a receiver with groups for what it does not serve.
func TestNotServedWithGroups(t *testing.T) {
	t.Parallel()
	const (
		push         = "/team/metrics/job/<job>{/<label>/<value>}"
		servedGroups = "404 page not found; this receiver serves PUT, POST and DELETE " + push +
			", GET /team/metrics, /team/api/v1/metrics, /team/api/v1/status, /team/-/healthy and /team/-/ready\n"
	)
	withGroups := func(s *setup) {
		s.options.Groups = &pushhttp.GroupOptions{}
		s.options.Prefixes = []string{"/another", "/team"}
	}
	s := serve(t, withGroups)
	for _, tt := range []struct {
		name, method, target string
		status               int
		body                 string
	}{
		{"the page", "GET", "/team/", 404, servedGroups},
		{"the status page", "GET", "/team/status", 404, servedGroups},
		{"the root", "GET", "/", 404, servedGroups},
		{"a push without the prefix", "PUT", "/metrics/job/j", 404, servedGroups},
		{"a legacy path", "POST", "/team/metrics/jobs/j", 404, servedGroups},
		{"the query API", "GET", "/team/api/v1/groups", 404, servedGroups},
		{"a wipe", "PUT", "/team/api/v1/admin/wipe", 404, "404 page not found; " +
			"the admin API is disabled: set groups::admin_api to true on the pushgateway receiver to enable it\n"},
		{"a wipe with slashes", "PUT", "//team//api/v1/admin/wipe", 404, "404 page not found; " +
			"the admin API is disabled: set groups::admin_api to true on the pushgateway receiver to enable it\n"},
		{"the end of an aggregate", "DELETE", "/team/api/v1/admin/aggregate/job/j", 404, "404 page not found; " +
			"the admin API is disabled: set groups::admin_api to true on the pushgateway receiver to enable it\n"},
		{"a group", "GET", "/another/metrics/job/j", 405, "Method Not Allowed; GET /another/metrics shows all groups\n"},
		{"a patch of a group", "PATCH", "/team/metrics/job/j", 405, "Method Not Allowed; this path serves DELETE, OPTIONS, POST, PUT\n"},
		{"a push without a job", "PUT", "/team/metrics", 405, "Method Not Allowed; pushes go to " + push + "\n"},
		{"a push to the query API", "POST", "/team/api/v1/metrics", 405, "Method Not Allowed; this path serves GET, OPTIONS\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.do(t, tt.method, tt.target, "")
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, tt.body, got.body)
		})
	}
}

// TestEndAggregate ends aggregates through the admin API.
func TestEndAggregate(t *testing.T) {
	t.Parallel()
	const (
		allow = "DELETE, OPTIONS"
		help  = "404 page not found; this path serves DELETE /api/v1/admin/aggregate/job/<job>{/<label>/<value>}\n"
	)
	s := serve(t, func(s *setup) { s.options.Groups = &pushhttp.GroupOptions{AdminAPI: true} })
	for _, tt := range []struct {
		name, method, target string
		status               int
		body, allow          string
	}{
		{"of a job", "DELETE", "/api/v1/admin/aggregate/job/j", 202, "", ""},
		{"with labels under a prefix", "DELETE", "/pushgateway/api/v1/admin/aggregate/job@base64/ai8x/env/prod", 202, "", ""},
		{"OPTIONS", "OPTIONS", "/api/v1/admin/aggregate/job/j", 200, "", allow},
		{"GET", "GET", "/api/v1/admin/aggregate/job/j", 405, notAllowed + allow + "\n", allow},
		{"PUT", "PUT", "/api/v1/admin/aggregate/job/j", 405, notAllowed + allow + "\n", allow},
		{"a bad label", "DELETE", "/api/v1/admin/aggregate/job/j/a-b/c", 400, "improper label name \"a-b\"\n", ""},
		{"without a job", "DELETE", "/api/v1/admin/aggregate/job/", 404, help, ""},
		{"without a key", "DELETE", "/api/v1/admin/aggregate/", 404, help, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.do(t, tt.method, tt.target, "")
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, tt.body, got.body)
			assert.Equal(t, tt.allow, got.header.Get("Allow"))
		})
	}
	assert.Equal(t, []string{`{job="j"}`, `{job="j/1",env="prod"}`}, s.ingest.ended)
}

func TestPushHandsOnKeyFormatAndBody(t *testing.T) {
	t.Parallel()
	const protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	s := serve(t)
	s.do(t, "PUT", "/metrics/job/j", "a 1\n")
	s.do(t, "POST", "/pushgateway/metrics/job@base64/ai8y/b/2/a/1", "x", "Content-Type: "+protobuf)
	s.do(t, "POST", "/metrics/job/my+job", "", "Content-Type: application/openmetrics-text; version=1.0.0")
	s.send(t, request("POST", "/metrics/job/j", []string{"Transfer-Encoding: chunked"}, "2\r\na \r\n2\r\n1\n\r\n0\r\n\r\n"))
	assert.Equal(t, []push{
		{`{job="j"}`, exposition.Text, "a 1\n"},
		{`{job="j/2",a="1",b="2"}`, exposition.Protobuf, "x"},
		{`{job="my+job"}`, exposition.OpenMetrics, ""},
		{`{job="j"}`, exposition.Text, "a 1\n"},
	}, s.pushed())
}

func TestUTF8NamesInPaths(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *setup) { s.options.UTF8Names = true })
	assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j/U__foo_2e_bar/baz", "a 1\n").status)
	assert.Equal(t, `{job="j","foo.bar"="baz"}`, s.pushed()[0].key)
}

func TestLongerPrefixWins(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *setup) { s.options.Prefixes = []string{"/a", "/a/b"} })
	for target, status := range map[string]int{
		"/a/metrics/job/j": 200, "/a/b/metrics/job/j": 200, "/metrics/job/j": 404, "/b/metrics/job/j": 404, "/a/a/metrics/job/j": 404,
	} {
		assert.Equal(t, status, s.do(t, "PUT", target, "").status, target)
	}
}
