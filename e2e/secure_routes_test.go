// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	password = "secret" // of the user in users
	token    = "a-token-of-many-letters"
)

// routes is everything that is served with groups, and some of what is not.
var routes = []struct{ method, path string }{
	{http.MethodPut, "/metrics/job/j"},
	{http.MethodPost, "/metrics/job/j"},
	{http.MethodPut, "/metrics/job@base64/ag"},
	{http.MethodPut, "/pushgateway/metrics/job/j/instance/i"},
	{http.MethodDelete, "/metrics/job/j"},
	{http.MethodOptions, "/metrics/job/j"},
	{http.MethodGet, "/metrics"},
	{http.MethodGet, "/pushgateway/metrics"},
	{http.MethodGet, "/api/v1/metrics"},
	{http.MethodGet, "/api/v1/status"},
	{http.MethodPut, "/api/v1/admin/wipe"},
	{http.MethodDelete, "/api/v1/admin/aggregate/job/j"},
	{http.MethodGet, "/-/healthy"},
	{http.MethodHead, "/-/ready"},
	{http.MethodGet, "/-/ready"},
	{http.MethodGet, "/"},
	{http.MethodGet, "/pushgateway"},
	{http.MethodHead, "/ui/app.js"},
	{http.MethodGet, "/ui/app.css"},
	{http.MethodGet, "/ui/api/overview"},
	{http.MethodGet, "/ui/api/jobs"},
	{http.MethodGet, "/ui/api/groups"},
	{http.MethodGet, "/ui/api/group?path=metrics/job/j"},
	{http.MethodGet, "/ui/api/refusals"},
	{http.MethodHead, "/ui/api/events"},
	{http.MethodGet, "/ui/api/status"},
	{http.MethodGet, "/nothing"},
	{"EVIL", "/metrics/job/j"},
}

// authenticated starts the distribution with a folder of certificates, users and tokens. Probes ask its health_check
// extension, which wants none of them.
func authenticated(t *testing.T, dir string, s settings) *collector {
	t.Helper()
	health := freeEndpoint(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "users.htpasswd"), []byte(users), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	s.config = "testdata/secure-routes.yaml"
	s.env = map[string]string{"DIRECTORY": dir, "HEALTH_ENDPOINT": health}
	c := startCollector(t, s)
	assert.Equal(t, http.StatusOK, authorized(t, http.DefaultClient, "http://"+health, http.MethodGet, "/", "").status)
	return c
}

// TestAuthenticationOnEveryRoute asks for each route without credentials, with wrong ones and with those of another scheme.
func TestAuthenticationOnEveryRoute(t *testing.T) {
	t.Parallel()
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, tc := range []struct {
		authenticator, right, challenge string
		wrong                           []string
	}{
		{"basicauth", basic("team-a", password), `Basic realm="pushgateway"`, []string{"", basic("team-a", "guess"), basic("team-b", password), "Basic", "Basic %%%", "Bearer " + token}},
		{"bearertokenauth", "Bearer " + token, `Bearer realm="pushgateway"`, []string{"", "Bearer guess", "Bearer", "Bearer " + token + "x", "Bearer " + token[:5], basic("team-a", password)}},
	} {
		t.Run(tc.authenticator, func(t *testing.T) {
			t.Parallel()
			c := authenticated(t, t.TempDir(), settings{set: []string{"receivers::pushgateway::auth::authenticator: " + tc.authenticator}})
			for _, r := range routes {
				for _, wrong := range tc.wrong {
					got := authorized(t, http.DefaultClient, c.url, r.method, r.path, wrong)
					assert.Equal(t, http.StatusUnauthorized, got.status, "%s %s with %q", r.method, r.path, wrong)
					assert.Equal(t, tc.challenge, got.header.Get("WWW-Authenticate"), "%s %s with %q", r.method, r.path, wrong)
					assert.NotContains(t, got.body, token)
				}
				got := authorized(t, http.DefaultClient, c.url, r.method, r.path, tc.right)
				assert.NotEqual(t, http.StatusUnauthorized, got.status, "%s %s", r.method, r.path)
				assert.Less(t, got.status, 500, "%s %s", r.method, r.path)
			}
		})
	}
}

func authorized(t *testing.T, client *http.Client, url, method, path, authorization string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader("a 1\n"))
	require.NoError(t, err)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := client.Do(request)
	require.NoError(t, err, "%s %s", method, path)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, response.Header, string(body)}
}

// TestMutualTLS admits on no route who shows no certificate, or one that another authority signed. client_golang and curl
// push with the right one, over HTTP/2 too.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	anonymous := writeCertificate(t, dir)
	writeCertificate(t, other)
	c := authenticated(t, dir, settings{
		set: []string{
			"receivers::pushgateway::tls: {cert_file: " + dir + "/tls.crt, key_file: " + dir + "/tls.key, client_ca_file: " + dir + "/tls.crt}",
		},
		scheme: "https",
		client: with(t, anonymous, dir, false),
	})
	for _, r := range routes {
		for name, client := range map[string]*http.Client{"none": anonymous, "another": with(t, anonymous, other, false)} {
			request, err := http.NewRequestWithContext(t.Context(), r.method, c.url+r.path, strings.NewReader("a 1\n"))
			require.NoError(t, err)
			response, err := client.Do(request)
			if err == nil {
				_ = response.Body.Close()
			}
			assert.ErrorContains(t, err, "tls: ", "%s %s with %s", r.method, r.path, name)
		}
		for _, http2 := range []bool{false, true} {
			got := authorized(t, with(t, anonymous, dir, http2), c.url, r.method, r.path, "")
			assert.Less(t, got.status, 500, "%s %s", r.method, r.path)
		}
	}
	assert.NoError(t, push.New(c.url, "j").Client(with(t, anonymous, dir, false)).Collector(gauge("a", 1)).Push())
	assert.Error(t, push.New(c.url, "j").Client(anonymous).Collector(gauge("a", 1)).Push())

	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	curl := func(more ...string) error {
		args := append([]string{"-sS", "--fail", "--insecure", "--data", "a 1\n", c.url + "/metrics/job/curl"}, more...)
		return exec.CommandContext(t.Context(), "curl", args...).Run()
	}
	assert.NoError(t, curl("--cert", dir+"/tls.crt", "--key", dir+"/tls.key"))
	assert.Error(t, curl())
}

// with is a client that shows the certificate of a folder.
func with(t *testing.T, client *http.Client, dir string, http2 bool) *http.Client {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	require.NoError(t, err)
	transport := client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}
	transport.ForceAttemptHTTP2 = http2
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestNoSecretInTheLog has right and wrong credentials sent, accepted and refused, and looks for them in a log of everything.
func TestNoSecretInTheLog(t *testing.T) {
	t.Parallel()
	const guess = "a-guess-of-many-letters"
	for authenticator, credentials := range map[string][]string{
		"basicauth":       {"Basic " + base64.StdEncoding.EncodeToString([]byte("team-a:"+password)), "Basic " + base64.StdEncoding.EncodeToString([]byte("team-a:"+guess))},
		"bearertokenauth": {"Bearer " + token, "Bearer " + guess},
	} {
		t.Run(authenticator, func(t *testing.T) {
			t.Parallel()
			c := authenticated(t, t.TempDir(), settings{set: []string{
				"receivers::pushgateway::auth::authenticator: " + authenticator,
				"service::telemetry::logs: {level: debug, sampling: {enabled: false}}",
			}})
			for _, authorization := range credentials {
				for _, r := range routes {
					authorized(t, http.DefaultClient, c.url, r.method, r.path, authorization)
					authorized(t, http.DefaultClient, c.url, r.method, r.path+"/odd", authorization)
				}
			}
			c.stop(t)
			log := c.output.String()
			assert.Contains(t, log, "Push refused")
			for _, secret := range append(credentials, password, token, guess, "Authorization", "$2a$04$") {
				_, value, _ := strings.Cut(secret, " ")
				assert.NotContains(t, log, secret)
				if value != "" {
					assert.NotContains(t, log, value)
				}
			}
		})
	}
}

// TestBackendsSecretIsKept gives exporters a password and a token in the URL of a backend that is away. Neither the answer nor what
// the receiver logs shows them; an exporter's own log does.
func TestBackendsSecretIsKept(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	url := "http://user:" + secret + "@" + freeEndpoint(t) + "/write?token=" + secret
	otlp := []string{"exporters::otlp_http::metrics_endpoint: " + url}
	for _, tc := range []struct {
		name   string
		set    []string
		status int
		logged string
	}{
		{"otlp_http", otlp, http.StatusServiceUnavailable, "Push refused"},
		{"groups before otlp_http", append(otlp, "receivers::pushgateway::groups: {}"), http.StatusOK, "The next consumer refused groups"},
		{"prometheus_remote_write", []string{
			"exporters::prometheus_remote_write: {endpoint: '" + url + "', remote_write_queue: {enabled: false}, retry_on_failure: {enabled: false}}",
			"service::pipelines::metrics::exporters: [prometheus_remote_write]",
		}, http.StatusServiceUnavailable, "Push refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startCollector(t, settings{
				config: "testdata/overload.yaml",
				set:    append(tc.set, "extensions::pprof::endpoint: "+freeEndpoint(t)),
				env:    map[string]string{"OTLP_ENDPOINT": "http://127.0.0.1:1"},
			})
			got := put(t, c.url, "j", []byte("a 1\n"))
			assert.Equal(t, tc.status, got.status, got.body)
			assert.NotContains(t, got.body, secret)
			if tc.status != http.StatusOK {
				assert.Contains(t, got.body, "connection refused", "the rest of the reason stays")
			}
			c.stop(t)
			logged := false
			for line := range strings.Lines(c.output.String()) {
				if strings.Contains(line, `"otelcol.component.kind": "receiver"`) {
					logged = logged || strings.Contains(line, tc.logged)
					assert.NotContains(t, line, secret)
				}
			}
			assert.True(t, logged, "%s", c.output)
		})
	}
}

// TestDefaultEndpointIsLocal starts the receiver without an endpoint. Whether the port is free or not, the log names the address.
func TestDefaultEndpointIsLocal(t *testing.T) {
	t.Parallel()
	log := &output{}
	cmd := exec.Command(distribution(t), "--config", `yaml:{receivers: {pushgateway: }, exporters: {nop: }, service: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [pushgateway], exporters: [nop]}}}}`)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	assert.Eventually(t, func() bool { return strings.Contains(log.String(), "127.0.0.1:9091") }, startTimeout, 50*time.Millisecond, "%s", log)
	assert.NotContains(t, log.String(), "0.0.0.0")
}
