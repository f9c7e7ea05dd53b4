// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
)

const (
	// waitAtMost ends a test that waits for what never comes, on the busiest machine.
	waitAtMost = 2 * time.Minute
	tick       = 10 * time.Millisecond
)

type authenticated struct{}

type authenticator struct {
	component.StartFunc
	component.ShutdownFunc
}

func (authenticator) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	if len(sources["Authorization"]) == 0 {
		return ctx, errors.New("no token")
	}
	return context.WithValue(ctx, authenticated{}, true), nil
}

var _ extensionauth.Server = authenticator{}

func authenticating(s *setup) { authenticatingBy("test")(s) }

// authenticatingBy asks an authenticator of that type.
func authenticatingBy(kind string) func(*setup) {
	return func(s *setup) {
		id := component.MustNewIDWithName(kind, "name")
		s.extensions = map[component.ID]component.Component{id: authenticator{}}
		s.config.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: id}})
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := serve(t, authenticating)
	got := s.do(t, "PUT", "/metrics/job/j", "a 1\n")
	assert.Equal(t, http.StatusUnauthorized, got.status)
	assert.Equal(t, "Unauthorized\n", got.body)
	assert.Equal(t, http.StatusUnauthorized, s.do(t, "PUT", "/metrics/job/j", "a 1\n", "Content-Encoding: br").status)
	assert.Equal(t, http.StatusUnauthorized, s.do(t, "GET", "/-/healthy", "").status)
	assert.Empty(t, s.pushed())
	assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j", "a 1\n", "Authorization: x").status)
	assert.Equal(t, map[string]int64{"PUT none auth": 2, "PUT text accepted": 1}, s.outcomes(t))
}

func TestAuthenticationIsAskedFor(t *testing.T) {
	t.Parallel()
	for authenticator, want := range map[string][]string{
		"basicauth":         {`Basic realm="pushgateway"`},
		"basic_auth":        {`Basic realm="pushgateway"`},
		"bearertokenauth":   {`Bearer realm="pushgateway"`},
		"bearer_token_auth": {`Bearer realm="pushgateway"`},
		"oidc":              {`Bearer realm="pushgateway"`},
		"one_of_tomorrow":   nil,
	} {
		t.Run(authenticator, func(t *testing.T) {
			t.Parallel()
			s := serve(t, authenticatingBy(authenticator))
			for _, target := range []string{"/metrics/job/j", "/-/ready", "/nothing"} {
				got := s.do(t, "PUT", target, "a 1\n")
				assert.Equal(t, http.StatusUnauthorized, got.status)
				assert.Equal(t, "Unauthorized\n", got.body)
				assert.Equal(t, want, got.header.Values("WWW-Authenticate"), target)
			}
			got := s.do(t, "PUT", "/metrics/job/j", "a 1\n", "Authorization: x")
			assert.Equal(t, http.StatusOK, got.status)
			assert.Empty(t, got.header.Values("WWW-Authenticate"))
		})
	}
}

func TestUnknownAuthenticator(t *testing.T) {
	t.Parallel()
	config := confighttp.NewDefaultServerConfig()
	config.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("unknown")}})
	_, err := pushhttp.NewServer(t.Context(), config, nil, componenttest.NewNopTelemetrySettings(), pushhttp.Options{}, nil)
	assert.Error(t, err)
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, method, target, want string }{
		{"accepted", "PUT", "/metrics/job/j", "PUT text accepted"},
		{"bad path", "POST", "/metrics/job/j/a", "POST none path"},
		{"no such path", "POST", "/metrics/jobs/j", "POST none path"},
		{"DELETE", "DELETE", "/metrics/job/j", "DELETE none method"},
		{"push to a path that is read", "POST", "/metrics", "POST none method"},
		{"scrape", "GET", "/metrics", ""},
		{"scrape of a group", "GET", "/metrics/job/j", ""},
		{"probe", "GET", "/-/ready", ""},
		{"options", "OPTIONS", "/metrics/job/j", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.do(t, tt.method, tt.target, "a 1\n")
			var want map[string]int64
			if tt.want != "" {
				want = map[string]int64{tt.want: 1}
			}
			assert.Equal(t, want, s.outcomes(t))
		})
	}
}

// TestRefusalsInTheLog refuses requests at every place where a request can be refused.
func TestRefusalsInTheLog(t *testing.T) {
	t.Parallel()
	key := `{job="j",a="1"}`
	for name, tt := range map[string]struct {
		method, target, body, header string
		change                       func(*setup)
		reason, path, key            string
	}{
		"DELETE":                 {"DELETE", "/metrics/job/j/a/1", "", "", nil, "method", "/metrics/job/j/a/1", key},
		"DELETE under a prefix":  {"DELETE", "/pushgateway//metrics/job/j/a/1", "", "", nil, "method", "/pushgateway//metrics/job/j/a/1", key},
		"not authenticated":      {"PUT", "/metrics/job/j/a/1", "a 1\n", "", authenticating, "auth", "/metrics/job/j/a/1", key},
		"not authenticated, 404": {"POST", "/metrics/jobs/j", "a 1\n", "", authenticating, "auth", "/metrics/jobs/j", ""},
		"unknown coding":         {"PUT", "/metrics/job/j/a/1", "a 1\n", "Content-Encoding: br", nil, "content_encoding", "/metrics/job/j/a/1", key},
		"unknown path":           {"POST", "/metrics/jobs/j", "a 1\n", "", nil, "path", "/metrics/jobs/j", ""},
		"empty job":              {"POST", "/metrics/job//a/1", "a 1\n", "", nil, "path", "/metrics/job//a/1", ""},
		"invalid grouping key":   {"POST", "/metrics/job/j/a-b/1", "a 1\n", "", nil, "path", "/metrics/job/j/a-b/1", ""},
		"push without a job":     {"PUT", "/metrics", "a 1\n", "", nil, "method", "/metrics", ""},
		"cut body":               {"PUT", "/metrics/job/j/a/1", "x", "Content-Encoding: gzip", nil, "bad_body", "/metrics/job/j/a/1", key},
		"large body":             {"PUT", "/metrics/job/j/a/1", "a 1\n", "", limitedTo(1), "too_large", "/metrics/job/j/a/1", key},
		"invisible characters":   {"PUT", "/metrics/job%0a%e2%80%ae/j", "a 1\n", "", nil, "path", "/metrics/job%0A%E2%80%AE/j", ""},
		"long path":              {"PUT", "/" + strings.Repeat("x", 5000), "a 1\n", "", nil, "path", "/" + strings.Repeat("x", 4095) + "... (5001 bytes)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := tt.change
			if change == nil {
				change = func(*setup) {}
			}
			s := serve(t, change)
			var headers []string
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			got := s.do(t, tt.method, tt.target, tt.body, headers...)
			lines := s.logs.FilterMessage("Push refused").All()
			require.Len(t, lines, 1)
			fields := lines[0].ContextMap()
			assert.Equal(t, tt.reason, fields["reason"])
			assert.Equal(t, tt.method, fields["method"])
			assert.Equal(t, tt.path, fields["path"])
			assert.Equal(t, strings.TrimSuffix(got.body, "\n"), fields["error"])
			host, _, err := net.SplitHostPort(fields["client_address"].(string))
			require.NoError(t, err)
			assert.Equal(t, "127.0.0.1", host)
			if tt.key == "" {
				assert.NotContains(t, fields, "grouping_key")
			} else {
				assert.Equal(t, tt.key, fields["grouping_key"])
			}
		})
	}
}

// TestRefusalsInTheLogAreBounded leaves the grouping key out if there is no memory to parse it.
func TestRefusalsInTheLogAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, inFlight(100))
	got := s.do(t, "DELETE", "/metrics/job/j"+strings.Repeat("/a/1", 1000), "")
	assert.Equal(t, http.StatusMethodNotAllowed, got.status)
	fields := s.logs.FilterMessage("Push refused").All()[0].ContextMap()
	assert.NotContains(t, fields, "grouping_key")
	assert.Contains(t, fields["path"], "/metrics/job/j/a/1/a/1")
}

// Paths hold job names and instances, so neither spans nor metrics may be named by them.
func TestRouteInTelemetry(t *testing.T) {
	t.Parallel()
	const pattern = "/metrics/job/{job}/{labels...}"
	for _, tt := range []struct {
		name, method, target, header string
		route                        string
		change                       func(*setup)
	}{
		{"push", "PUT", "/metrics/job/j/a/1", "", pattern, nil},
		{"under a prefix", "POST", "/pushgateway/metrics/job/j", "", "/pushgateway" + pattern, nil},
		{"with many slashes", "POST", "//pushgateway///metrics/job/j", "", "/pushgateway" + pattern, nil},
		{"in base64", "PUT", "/metrics/job@base64/ag", "", "/metrics/job@base64/{job}/{labels...}", nil},
		{"decompressed", "PUT", "/metrics/job/j", "Content-Encoding: zstd", pattern, nil},
		{"refused by its decompressor", "PUT", "/metrics/job/j", "Content-Encoding: gzip", pattern, nil},
		{"authenticated", "PUT", "/metrics/job/j", "Authorization: x", pattern, authenticating},
		{"not authenticated", "PUT", "/metrics/job/j", "", pattern, authenticating},
		{"probe", "GET", "/-/ready", "", "/-/ready", nil},
		{"no such path", "PUT", "/metrics/jobs/j", "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(s *setup) {
				if tt.change != nil {
					tt.change(s)
				}
			})
			var headers []string
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			s.do(t, tt.method, tt.target, "", headers...)
			name, attributes := s.serverSpan(t)
			want := tt.method
			if tt.route != "" {
				want += " " + tt.route
			}
			assert.Equal(t, want, name)
			route, _ := attributes.Value("http.route")
			assert.Equal(t, tt.route, route.AsString())
			assert.Equal(t, tt.route, s.routeOfDuration(t))
		})
	}
}

// serverSpan waits for the span of the request, which ends after the answer has been sent.
func (s *server) serverSpan(t *testing.T) (name string, attributes attribute.Set) {
	require.Eventually(t, func() bool {
		for _, span := range s.telemetry.SpanRecorder.Ended() {
			if span.SpanKind() == trace.SpanKindServer {
				name, attributes = span.Name(), attribute.NewSet(span.Attributes()...)
				return true
			}
		}
		return false
	}, waitAtMost, tick)
	return name, attributes
}

func (s *server) routeOfDuration(t *testing.T) string {
	m, err := s.telemetry.GetMetric("http.server.request.duration")
	require.NoError(t, err)
	points := m.Data.(metricdata.Histogram[float64]).DataPoints
	require.Len(t, points, 1)
	route, _ := points[0].Attributes.Value("http.route")
	return route.AsString()
}
