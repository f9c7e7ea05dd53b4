// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/page"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
)

// withPage serves a page.
func withPage(s *setup) {
	feed := page.NewFeed(page.FeedOptions{Jobs: 1, Status: pushhttp.Status})
	s.options.Page = page.New(page.Options{Status: pushhttp.Status, InFlight: s.options.InFlight}, feed, nil)
}

func allowing(origins ...string) func(*setup) {
	return func(s *setup) {
		s.config.CORS = configoptional.Some(confighttp.CORSConfig{AllowedOrigins: origins})
	}
}

// The headers that browsers send. Plain http to other hosts than localhost has no Sec-Fetch-Site.
const (
	sameSite  = "Sec-Fetch-Site: same-origin"
	crossSite = "Sec-Fetch-Site: cross-site"
	other     = "Origin: https://other.example"
)

func TestRequestsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	plain, open := serve(t, withPage), serve(t, withPage, allowing("https://ours.example", "https://*.team.example"))
	all, none := serve(t, withPage, allowing("*")), serve(t)
	groups := serve(t, withPage, func(s *setup) { s.options.Groups = &pushhttp.GroupOptions{AdminAPI: true} })
	for _, tt := range []struct {
		name           string
		server         *server
		method, target string
		headers        []string
		refused        bool
	}{
		{"curl", plain, "PUT", "/metrics/job/j", nil, false},
		{"a client library", plain, "POST", "/metrics/job/j", []string{"User-Agent: python"}, false},
		{"the page", plain, "POST", "/metrics/job/j", []string{sameSite, "Origin: http://h"}, false},
		{"the page over plain http", plain, "POST", "/metrics/job/j", []string{"Origin: http://h"}, false},
		{"typed by a person", plain, "POST", "/metrics/job/j", []string{"Sec-Fetch-Site: none"}, false},
		{"another site", plain, "POST", "/metrics/job/j", []string{crossSite, other}, true},
		{"a simple request", plain, "POST", "/pushgateway/metrics/job/j", []string{crossSite, other, "Content-Type: text/plain"}, true},
		{"another port", plain, "PUT", "/metrics/job/j", []string{"Sec-Fetch-Site: same-site", "Origin: http://h:1"}, true},
		{"another site over plain http", plain, "POST", "/metrics/job/j", []string{other}, true},
		{"a sandboxed frame", plain, "POST", "/metrics/job/j", []string{"Origin: null"}, true},
		{"DELETE", plain, "DELETE", "/metrics/job/j", []string{crossSite}, true},
		{"DELETE with groups", groups, "DELETE", "/metrics/job/j", []string{crossSite}, true},
		{"wipe", groups, "PUT", "/api/v1/admin/wipe", []string{crossSite}, true},
		{"allowed by cors", open, "POST", "/metrics/job/j", []string{crossSite, "Origin: https://ours.example"}, false},
		{"allowed by a pattern", open, "POST", "/metrics/job/j", []string{crossSite, "Origin: https://A.team.example"}, false},
		{"not allowed by the pattern", open, "POST", "/metrics/job/j", []string{crossSite, "Origin: https://team.example.evil"}, true},
		{"not allowed by cors", open, "POST", "/metrics/job/j", []string{crossSite, other}, true},
		{"all origins are allowed", all, "POST", "/metrics/job/j", []string{crossSite, other}, false},
		{"without a page", none, "POST", "/metrics/job/j", []string{crossSite, other}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.server.do(t, tt.method, tt.target, "a 1\n", tt.headers...)
			if !tt.refused {
				assert.Equal(t, http.StatusOK, got.status)
				return
			}
			assert.Equal(t, http.StatusForbidden, got.status)
			assert.Equal(t, "a browser sent this request for a page of another origin; nothing was changed. Behind a proxy, pass the header "+
				"Host on; to allow another origin, list it in cors::allowed_origins of the pushgateway receiver\n", got.body)
		})
	}
	assert.EqualValues(t, 1, groups.outcomes(t)["PUT none cross_origin"])
	assert.EqualValues(t, 1, groups.outcomes(t)["DELETE none cross_origin"])
	for _, p := range plain.pushed() {
		assert.Equal(t, `{job="j"}`, p.key)
	}
	assert.Len(t, plain.pushed(), 5)
}

// TestReadingByOtherOrigins reads the query API of a receiver with a page. Only cors lets other sites do so.
func TestReadingByOtherOrigins(t *testing.T) {
	t.Parallel()
	withGroups := func(s *setup) { s.options.Groups = &pushhttp.GroupOptions{} }
	for name, tc := range map[string]struct {
		changes []func(*setup)
		allowed string
	}{
		"without a page":      {nil, "*"},
		"with a page":         {[]func(*setup){withPage}, ""},
		"with cors":           {[]func(*setup){withPage, allowing("https://other.example")}, "https://other.example"},
		"with cors of others": {[]func(*setup){withPage, allowing("https://ours.example")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, append(tc.changes, withGroups)...)
			got := s.do(t, "GET", "/api/v1/status", "", other)
			assert.Equal(t, http.StatusOK, got.status)
			assert.Equal(t, tc.allowed, got.header.Get("Access-Control-Allow-Origin"))
			preflight := s.do(t, "OPTIONS", "/api/v1/status", "", other)
			assert.Equal(t, tc.allowed == "*", preflight.header.Get("Access-Control-Allow-Methods") != "")
		})
	}
}

// TestPageRoutes asks for the rows of the page. Nothing redirects, and only reading is served.
func TestPageRoutes(t *testing.T) {
	t.Parallel()
	const allow = "GET, HEAD, OPTIONS"
	s := serve(t, withPage)
	for _, tt := range []struct {
		method, target string
		status         int
		allow          string
	}{
		{"GET", "/", 200, ""},
		{"GET", "//", 200, ""},
		{"HEAD", "/", 200, ""},
		{"GET", "/pushgateway", 200, ""},
		{"GET", "/pushgateway/", 200, ""},
		{"GET", "/pushgateway/ui/app.js", 200, ""},
		{"HEAD", "/ui/app.css", 200, ""},
		{"GET", "/ui/api/jobs", 200, ""},
		{"HEAD", "/pushgateway/ui/api/jobs", 200, ""},
		{"GET", "/ui/api/groups", 404, ""},
		{"GET", "/ui/api/nothing", 404, ""},
		{"GET", "/ui/index.html", 404, ""},
		{"GET", "/ui/", 404, ""},
		{"GET", "/ui", 404, ""},
		{"GET", "/ui/../app.js", 404, ""},
		{"GET", "/other/", 404, ""},
		{"OPTIONS", "/", 200, allow},
		{"OPTIONS", "/ui/api/jobs", 200, allow},
		{"POST", "/", 405, allow},
		{"POST", "/ui/api/jobs", 405, allow},
		{"DELETE", "/ui/app.js", 405, allow},
	} {
		got := s.do(t, tt.method, tt.target, "")
		assert.Equal(t, tt.status, got.status, tt.method+" "+tt.target)
		assert.Equal(t, tt.allow, got.header.Get("Allow"), tt.method+" "+tt.target)
		assert.Empty(t, got.header.Get("Location"))
		for name := range got.header {
			assert.False(t, strings.HasPrefix(name, "Access-Control-"), tt.target)
		}
		if tt.method == "HEAD" {
			assert.Empty(t, got.body)
		}
	}
	assert.Contains(t, s.do(t, "POST", "/nothing", "").body, "GET /, which is a page for the browser, /-/healthy and /-/ready")
}
