// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withoutSetting shows what the port shows anyway, and no more.
func withoutSetting(t *testing.T, b *browser) {
	c := startCollector(t, settings{config: "testdata/secure-routes.yaml", set: []string{"service::extensions: []"}, env: map[string]string{
		"DIRECTORY": t.TempDir(), "HEALTH_ENDPOINT": freeEndpoint(t),
	}})
	pushTo(t, c, "nightly", "a 1\n")
	page := b.open(t, c.url+"/", look{})
	page.awaitText(rows, "nightly")
	assert.Equal(t, []string{"Jobs", "Groups", "Status"}, page.texts("nav a"))
	page.show("#/live") // The view is not there.
	page.awaitText(rows, "nightly")
	assert.Equal(t, []string{"Groups"}, page.texts("nav [aria-current]"))
}

// underEveryPrefix opens the page behind nginx, which strips a prefix or not, with and without a slash at its end.
func underEveryPrefix(t *testing.T, b *browser) {
	c := startPage(t, adminAPI, `receivers::pushgateway::path_prefixes: ["", /pushgateway, /tools/pgw]`)
	endpoint := freeEndpoint(t)
	to := strings.TrimPrefix(c.url, "http://")
	runNginx(t, fmt.Sprintf(`server {
	listen %[1]s;
	proxy_set_header Host $http_host;
	proxy_http_version 1.1;
	location /tools/pgw { proxy_pass http://%[2]s; }
	location = /stripped { proxy_pass http://%[2]s/; }
	location /stripped/ { proxy_pass http://%[2]s/; }
	location /-/ { proxy_pass http://%[2]s; }
}
`, endpoint, to), "http://"+endpoint+"/-/ready")
	for name, base := range map[string]string{
		"root":                c.url,
		"a Pushgateway's":     c.url + "/pushgateway",
		"nginx, not stripped": "http://" + endpoint + "/tools/pgw",
		"nginx, stripped":     "http://" + endpoint + "/stripped",
	} {
		for _, slash := range []string{"", "/"} {
			t.Run(name+slash, func(t *testing.T) {
				t.Parallel()
				group := strings.NewReplacer("/", "-", " ", "-", "'", "").Replace(t.Name()) // Each has its own.
				pushTo(t, c, group+"/path@base64/L3Zhcg", "a 1\n")
				// Without a slash, a browser may ask for files at the wrong place until the page has corrected its address.
				page := b.open(t, base+slash, look{expected: []string{`404 \(Not Found\) http://[^/]+(/tools)?/ui/`}})
				page.awaitText(".end", "Connected")
				assert.Equal(t, pathOf(t, base+"/"), value[string](page, "location.pathname"))
				pushTo(t, c, group+"/path@base64/L3Zhcg", "a 2\n")
				page.awaitText(rows, group)
				for view, shown := range map[string]string{"Jobs": "Last push", "Refused": "refused since", "Status": "limits::in_flight_bytes"} {
					page.press(view, "")
					page.awaitText("main", shown)
				}
				page.press("Groups", "")
				page.filter(group)
				page.awaitRows(1)
				page.press("Delete…", group)
				page.press("Delete", "")
				page.awaitText(".empty", "Nothing contains this")
			})
		}
	}
}

// withPassword answers the browser's question for a password once. The stream and deleting need it too.
func withPassword(t *testing.T, b *browser) {
	dir := t.TempDir()
	c := authenticated(t, dir, settings{set: []string{"receivers::pushgateway::auth::authenticator: basicauth", "receivers::pushgateway::page: {peek: true}"}})
	push := func() {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, c.url+"/metrics/job/nightly", strings.NewReader("a 1\n"))
		require.NoError(t, err)
		request.SetBasicAuth("team-a", password)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	assets, err := filepath.Glob("../internal/page/assets/*")
	require.NoError(t, err)
	require.NotEmpty(t, assets)
	for _, asset := range assets {
		status, _ := read(t, c.url+"/ui/"+filepath.Base(asset))
		assert.Equal(t, http.StatusUnauthorized, status, asset)
	}
	for _, api := range []string{"overview", "jobs", "groups", "group", "refusals", "events", "status"} {
		status, _ := read(t, c.url+"/ui/api/"+api)
		assert.Equal(t, http.StatusUnauthorized, status, api)
	}

	page := b.open(t, c.url+"/", look{user: "team-a", expected: []string{"401"}})
	page.awaitText(".end", "Connected")
	push()
	page.awaitText(rows, "nightly")
	page.press("Groups", "")
	page.press("Delete…", "nightly")
	page.press("Delete", "")
	page.awaitText(".empty", "No group is stored")
}

// otherOrigins is a page of somebody else, opened by a person who can reach the receiver.
func otherOrigins(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	pushTo(t, c, "kept", "a 1\n")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><link rel=icon href=data:><title>evil</title>"))
	}))
	t.Cleanup(evil.Close)
	page := b.open(t, evil.URL+"/", look{expected: []string{"."}})
	ask := func(path, options string) string {
		t.Helper()
		return value[string](page, fmt.Sprintf("fetch(%s, %s).then((r) => r.type + ' ' + r.status, () => 'failed')", quoted(c.url+path), options))
	}
	assert.Equal(t, "opaque 0", ask("/metrics/job/forged", `{method: "POST", mode: "no-cors", body: "a 1\n"}`), "sent without asking, and refused")
	assert.Equal(t, "failed", ask("/metrics/job/kept", `{method: "DELETE"}`))
	assert.Equal(t, "failed", ask("/api/v1/admin/wipe", `{method: "PUT"}`))
	assert.Equal(t, "failed", ask("/ui/api/groups", "{}"))
	assert.Equal(t, "failed", ask("/api/v1/metrics", "{}"))
	held := shown(t, c.url+"/metrics")
	assert.Contains(t, held, `a{job="kept"}`)
	assert.Empty(t, ofJob(held, "forged"))
	assert.Equal(t, "failed", ask("/", `{mode: "no-cors"}`))
	framed := value[string](page, fmt.Sprintf(`new Promise((done) => {
		const frame = document.createElement("iframe");
		frame.onload = () => { try { done(frame.contentDocument ? "nothing in it" : "another page") } catch { done("another page") } };
		frame.src = %s;
		document.body.append(frame);
	})`, quoted(c.url+"/")))
	assert.Contains(t, []string{"another page", "nothing in it"}, framed) // Chromium shows its own error page.
	assert.Contains(t, strings.Join(page.allFaults(), "\n"), "frame-ancestors")
}

// streamSurvivesRestart stops the receiver while five pages look at it, and starts it again.
func streamSurvivesRestart(t *testing.T, b *browser) {
	start := settings{config: "testdata/page.yaml", listen: freeEndpoint(t), set: []string{"receivers::pushgateway::write_timeout: 2s"}}
	c := startCollector(t, start)
	away := look{expected: []string{"ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "503"}}
	var tabs []*tab
	for range 5 {
		page := b.open(t, c.url+"/#/live", away)
		page.awaitText(".end", "Connected")
		tabs = append(tabs, page)
	}
	page := tabs[0]
	page.awaitText(".end", "5 viewers")
	pushTo(t, c, "before", "a 1\n")
	page.awaitText(rows, "before")
	began := time.Now()
	require.Eventually(t, func() bool { return time.Since(began) > 3*time.Second }, dataTimeout, pollInterval) // Longer than write_timeout.
	pushTo(t, c, "later", "a 1\n")
	page.awaitText(rows, "later")
	assert.Len(t, page.requested("/events"), 1, "the same stream")

	began = time.Now()
	c.stop(t)
	t.Logf("stopped with five viewers after %v", time.Since(began))
	page.awaitText(".end", "Connecting")
	c = startCollector(t, start)
	page.awaitText(".end", "Connected")
	pushTo(t, c, "after", "a 1\n")
	page.awaitText(rows, "after")
	page.awaitRows(3)
	for _, other := range tabs[1:] {
		other.awaitText(".end", "Connected")
	}
}

// viewers is the number of streams that a receiver says are open.
func viewers(t *testing.T, c *collector) int {
	t.Helper()
	_, body := read(t, c.url+"/ui/api/overview")
	var answer struct{ Data struct{ Viewers int } }
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	return answer.Data.Viewers
}

// hiddenTab changes to another tab and back.
func hiddenTab(t *testing.T, b *browser) {
	c := startPage(t)
	page := b.open(t, c.url+"/#/live", look{})
	page.awaitText(".end", "Connected")
	become := func(hidden bool, streams int) {
		t.Helper()
		value[bool](page, fmt.Sprintf("Object.defineProperty(document, 'hidden', { value: %v, configurable: true }) && document.dispatchEvent(new Event('visibilitychange'))", hidden))
		require.Eventually(t, func() bool { return viewers(t, c) == streams }, dataTimeout, pollInterval)
	}
	require.Equal(t, 1, viewers(t, c))
	become(true, 0)
	become(false, 1)
	page.press("Status", "")
	require.Eventually(t, func() bool { return viewers(t, c) == 0 }, dataTimeout, pollInterval)
}

// tooManyViewers says so.
func tooManyViewers(t *testing.T, b *browser) {
	c := startPage(t)
	var streams []*http.Response
	for range 16 {
		response, err := http.Get(c.url + "/ui/api/events")
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusOK, response.StatusCode)
		streams = append(streams, response)
	}
	page := b.open(t, c.url+"/#/live", look{expected: []string{"503"}})
	status, answer := read(t, c.url+"/ui/api/events")
	require.Equal(t, http.StatusServiceUnavailable, status)
	var refused struct{ Error string }
	require.NoError(t, json.Unmarshal([]byte(answer), &refused))
	page.awaitText("[role=alert]", refused.Error)
	require.NoError(t, streams[0].Body.Close())
	page.awaitText(".end", "Connected") // It tries again.
	page.await("document.querySelector('[role=alert]').hidden")
}
