// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTenants starts the example with a header for each tenant. Every request that reaches the backend carries the header of
// the push whose series it has, also when the tenants push at once.
func TestTenants(t *testing.T) {
	t.Parallel()
	for name, set := range map[string][]string{
		"as shipped":                nil,
		"with the exporter's queue": {"exporters::prometheus_remote_write::remote_write_queue::enabled: true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertTenantsStayApart(t, set)
		})
	}
}

func assertTenantsStayApart(t *testing.T, set []string) {
	t.Helper()
	const tenants, pushes = 5, 20
	var mu sync.Mutex
	seen := map[string]map[string]bool{} // jobs by tenant
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		request, err := readWriteRequest(r)
		if !assert.NoError(t, err) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		tenant := strings.Join(r.Header.Values("X-Scope-OrgID"), ",")
		assert.Empty(t, r.Header.Values("X-Other"), "only what is named goes on")
		if seen[tenant] == nil {
			seen[tenant] = map[string]bool{}
		}
		for i := range request.Timeseries {
			seen[tenant][labelSetOf(request.Timeseries[i].Labels)["job"]] = true
		}
	}))
	t.Cleanup(backend.Close)
	c := startCollector(t, settings{
		config: "../configs/tenants.yaml", set: set,
		env:  map[string]string{"REMOTE_WRITE_ENDPOINT": backend.URL},
		args: []string{"--feature-gates", "pkg.translator.prometheus.PermissiveLabelSanitization"},
	})

	want := map[string]map[string]bool{"": {"nobody-0": true}}
	var pushing sync.WaitGroup
	for i := range tenants {
		tenant := "tenant-" + strconv.Itoa(i)
		want[tenant] = map[string]bool{}
		for j := range pushes {
			job := tenant + "-" + strconv.Itoa(j)
			want[tenant][job] = true
			pushing.Go(func() { pushAs(t, c.url, tenant, job) })
		}
	}
	pushAs(t, c.url, "", "nobody-0")
	pushing.Wait()

	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return assert.ObjectsAreEqual(want, seen)
	}, settleTimeout, pollInterval, "%v", slices.Sorted(maps.Keys(seen)))
}

func pushAs(t *testing.T, url, tenant, job string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/metrics/job/"+job, strings.NewReader("a 1\n"))
	require.NoError(t, err)
	if tenant != "" {
		request.Header.Set("X-Scope-OrgID", tenant)
	}
	request.Header.Set("X-Other", "x")
	response, err := http.DefaultClient.Do(request)
	if assert.NoError(t, err) {
		_ = response.Body.Close()
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
}

// TestTenantsAndGroups are not to be had together: what is handed on again belongs to no request.
func TestTenantsAndGroups(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../configs/tenants.yaml")
	require.NoError(t, err)
	both := strings.Replace(string(example), "include_metadata: true", "include_metadata: true\n    groups: {}", 1)
	require.NotEqual(t, string(example), both)
	path := filepath.Join(t.TempDir(), "both.yaml")
	require.NoError(t, os.WriteFile(path, []byte(both), 0o600))
	out, err := validate(t, path)
	assert.Error(t, err)
	assert.Contains(t, out, "groups: cannot be combined with include_metadata")
}

// TestTeams starts the example in which each user has a tenant. The header of a client has no effect, and no user can push to
// the port of another team.
func TestTeams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := writeCertificate(t, dir)
	for _, team := range []string{"team-a", "team-b"} {
		user := strings.Replace(users, "team-a", team, 1)
		require.NoError(t, os.WriteFile(filepath.Join(dir, team+".htpasswd"), []byte(user), 0o600))
	}
	tenants := make(chan string, 10)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		tenants <- strings.Join(r.Header.Values("X-Scope-OrgID"), ",")
	}))
	t.Cleanup(backend.Close)
	endpoints := map[string]string{"team-a": freeEndpoint(t), "team-b": freeEndpoint(t)}
	startCollector(t, settings{
		config: "../configs/teams.yaml",
		set: []string{
			"exporters::prometheus_remote_write/team-a::send_metadata: false", "exporters::prometheus_remote_write/team-b::send_metadata: false",
			"service::pipelines::metrics/ready: {receivers: [pushgateway], exporters: [prometheus_remote_write/team-a]}",
		},
		env: map[string]string{
			"REMOTE_WRITE_ENDPOINT": backend.URL, "HTPASSWD_DIRECTORY": dir, "TEAM_A_ENDPOINT": endpoints["team-a"], "TEAM_B_ENDPOINT": endpoints["team-b"],
			"TLS_CERT_FILE": filepath.Join(dir, "tls.crt"), "TLS_KEY_FILE": filepath.Join(dir, "tls.key"),
		},
		args: []string{"--feature-gates", "pkg.translator.prometheus.PermissiveLabelSanitization"},
	})
	pusher := func(team, user string) *push.Pusher {
		return push.New("https://"+endpoints[team], "nightly").Client(client).BasicAuth(user, "secret").
			Header(http.Header{"X-Scope-OrgID": {"team-c"}}).Collector(gauge("a", 1))
	}
	for _, team := range []string{"team-a", "team-b"} {
		require.NoError(t, pusher(team, team).Push())
		assert.Equal(t, team, <-tenants)
	}
	assert.ErrorContains(t, pusher("team-a", "team-b").Push(), "unexpected status code 401")
	assert.Empty(t, tenants)
}
