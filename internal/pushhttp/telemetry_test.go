// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"context"
	"errors"
	"net/http"
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
