// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/configcheck"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/page"
)

// withPage switches the page on, with its defaults after a change.
func withPage(change func(*PageConfig)) func(*Config) {
	return func(c *Config) {
		settings := *c.Page.GetOrInsertDefault()
		change(&settings)
		c.Page = configoptional.Some(settings)
	}
}

func withoutPage(c *Config) { c.Page = configoptional.None[PageConfig]() }

// both applies changes one after the other.
func both(changes ...func(*Config)) func(*Config) {
	return func(c *Config) {
		for _, change := range changes {
			change(c)
		}
	}
}

func unchanged(*PageConfig)         {}
func unchangedGroups(*GroupsConfig) {}

// readAPI reads a resource of the page's API.
func readAPI[T any](t *testing.T, url string) (data T) {
	t.Helper()
	code, _, body := send(t, http.MethodGet, url, "")
	require.Equal(t, http.StatusOK, code, body)
	answer := struct{ Data *T }{&data}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	return data
}

// TestWhatThePageServes holds the routes to the rule that nothing becomes readable that the port did not show before.
func TestWhatThePageServes(t *testing.T) {
	t.Parallel()
	all := []string{"", "/ui/index.html", "/ui/api/overview", "/ui/api/jobs", "/ui/api/status", "/ui/api/groups", "/ui/api/group?path=metrics/job/j", "/ui/api/refusals", "/ui/api/events?outcome=none"}
	for name, tc := range map[string]struct {
		change func(*Config)
		served string // of all, by position: 2 = 200, 4 = 404, b = 400, which is served
	}{
		"absent, proxy":      {func(*Config) {}, "444444444"},
		"absent, groups":     {withGroups(unchangedGroups), "242222244"},
		"on, proxy":          {withPage(unchanged), "24222442b"},
		"on, groups":         {both(withGroups(unchangedGroups), withPage(unchanged)), "24222222b"},
		"disabled, proxy":    {withoutPage, "444444444"},
		"disabled, groups":   {both(withGroups(unchangedGroups), withoutPage), "444444444"},
		"not live, proxy":    {withPage(func(p *PageConfig) { p.Live = false }), "242224444"},
		"under two prefixes": {both(withPage(unchanged), func(c *Config) { c.PathPrefixes = []string{"/a", "/b"} }), "24222442b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !with(tc.change).Groups.HasValue() {
				pageServes(t, with(tc.change), all, tc.served)
				return
			}
			onStores(t, tc.change, func(t *testing.T, change func(*Config)) { pageServes(t, with(change), all, tc.served) })
		})
	}
}

func pageServes(t *testing.T, config *Config, paths []string, served string) {
	base := "http://" + startReceiver(t, config, consumertest.NewNop())
	if config.Groups.HasValue() {
		code, _, _ := send(t, http.MethodPut, base+"/metrics/job/j", "a 1\n")
		require.Equal(t, http.StatusOK, code)
	}
	for _, prefix := range config.PathPrefixes {
		for i, path := range paths {
			want := map[byte]int{'2': 200, '4': 404, 'b': 400}[served[i]]
			code, header, _ := send(t, http.MethodGet, base+prefix+path, "")
			assert.Equal(t, want, code, prefix+path)
			assert.Empty(t, header.Get("Location"), prefix+path)
			if path == "" {
				code, _, _ := send(t, http.MethodGet, base+prefix+"/", "")
				assert.Equal(t, want, code, prefix+"/")
			}
		}
	}
}

// TestSettingsHaveNoSecrets shows the settings of a configuration whose every text is a secret, but for those that are listed.
func TestSettingsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	id := component.MustNewIDWithName("file_storage", "groups")
	config := with(both(withGroups(func(g *GroupsConfig) {
		g.Storage = &id
		g.Postgres = configoptional.Some(PostgresConfig{Datasource: "postgres://secret:secret@secret/secret", MaxConnections: 3})
	}), withPage(unchanged)))
	server := &config.ServerConfig
	server.NetAddr.Endpoint = "0.0.0.0:1"
	server.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewIDWithName("basicauth", "secret")}})
	server.TLS = configoptional.Some(configtls.ServerConfig{Config: configtls.Config{KeyPem: "secret", CertPem: "secret"}})
	server.CORS = configoptional.Some(confighttp.CORSConfig{AllowedOrigins: []string{"https://secret"}})
	server.ResponseHeaders = configopaque.MapList{{Name: "X-Secret", Value: "secret"}}
	server.ReadTimeout = time.Second
	shown := map[string]page.Setting{}
	for _, s := range shownSettings(config) {
		assert.NotContains(t, strings.ToLower(s.Value), "secret", s.Key)
		shown[s.Key] = s
	}
	assert.Equal(t, page.Setting{Key: "endpoint", Value: "0.0.0.0:1"}, shown["endpoint"])
	assert.Equal(t, page.Setting{Key: "read_timeout", Value: "1s"}, shown["read_timeout"])
	assert.Equal(t, page.Setting{Key: "auth", Value: "on"}, shown["auth"])
	assert.Equal(t, page.Setting{Key: "path_prefixes", Value: `"", "/pushgateway"`, Default: true}, shown["path_prefixes"])
	assert.Equal(t, page.Setting{Key: "groups::storage", Value: "file_storage/groups"}, shown["groups::storage"])
	assert.Equal(t, page.Setting{Key: "groups::postgres", Value: "on"}, shown["groups::postgres"])
	assert.Equal(t, page.Setting{Key: "groups::postgres::max_connections", Value: "3"}, shown["groups::postgres::max_connections"])
	assert.NotContains(t, shown, "groups::postgres::datasource")
	assert.Equal(t, page.Setting{Key: "page::jobs", Value: "8192", Default: true}, shown["page::jobs"])
	for _, key := range configcheck.Keys(reflect.TypeFor[PageConfig]()) {
		assert.Contains(t, shown, "page::"+key)
	}
	for _, key := range configcheck.Keys(reflect.TypeFor[LimitsConfig]()) {
		assert.Contains(t, shown, "limits::"+key)
	}
	for _, key := range configcheck.Keys(reflect.TypeFor[GroupsConfig]()) {
		assert.Contains(t, shown, "groups::"+key)
	}
}

// stream reads server-sent events.
type stream struct {
	*bufio.Scanner
	response *http.Response
}

type event struct {
	name string
	data map[string]any
}

func openStream(t *testing.T, ctx context.Context, url string) *stream { //nolint:revive // The test is first everywhere here.
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	t.Cleanup(func() { _ = response.Body.Close() })
	s := &stream{bufio.NewScanner(response.Body), response}
	require.Equal(t, "hello", s.next(t).name)
	return s
}

// next returns the next event. At the end of the stream it has no name.
func (s *stream) next(t *testing.T) (e event) {
	t.Helper()
	for s.Scan() {
		field, value, _ := strings.Cut(s.Text(), ": ")
		switch field {
		case "event":
			e.name = value
		case "data":
			require.NoError(t, json.Unmarshal([]byte(value), &e.data))
		case "":
			return e
		}
	}
	return event{}
}

// push returns the next event of that name.
func (s *stream) named(t *testing.T, name string) map[string]any {
	t.Helper()
	for {
		e := s.next(t)
		require.NotEmpty(t, e.name, "the stream ended before an event %s", name)
		if e.name == name {
			return e.data
		}
	}
}

// TestPushesAreShown follows an accepted and a refused push to all views, in both modes.
func TestPushesAreShown(t *testing.T) {
	t.Parallel()
	modesOf(t, withPage(unchanged), func(t *testing.T, change func(*Config), _ bool) {
		address := startReceiver(t, with(change), consumertest.NewNop())
		base := "http://" + address + "/pushgateway/"
		events := openStream(t, t.Context(), base+"ui/api/events")

		code, _, _ := send(t, http.MethodPut, base+"metrics/job/nightly/instance/db-3", "a 1\nb 2\n")
		require.Equal(t, http.StatusOK, code)
		shown := events.named(t, "push")
		assert.Equal(t, []any{[]any{"job", "nightly"}, []any{"instance", "db-3"}}, shown["key"])
		assert.Equal(t, "PUT", shown["method"])
		assert.Equal(t, "text", shown["format"])
		assert.InDelta(t, 8, shown["size"], 0)
		assert.InDelta(t, 2, shown["series"], 0)
		assert.InDelta(t, 200, shown["status"], 0)
		assert.Equal(t, "accepted", shown["outcome"])
		assert.Equal(t, "metrics/job/nightly/instance/db-3", shown["path"])

		code, _, answer := send(t, http.MethodPost, base+"metrics/job/billing", "a 1\na x\n")
		require.Equal(t, http.StatusBadRequest, code)
		shown = events.named(t, "push")
		assert.Equal(t, "parse", shown["outcome"])
		assert.InDelta(t, 400, shown["status"], 0)
		assert.Equal(t, strings.TrimSuffix(answer, "\n"), shown["text"])
		refusals := readAPI[struct {
			Rows []struct {
				Key          [][2]string
				Text, Reason string
				Count        int
			}
			Total int
		}](t, base+"ui/api/refusals")
		require.Len(t, refusals.Rows, 1)
		assert.Equal(t, strings.TrimSuffix(answer, "\n"), refusals.Rows[0].Text)
		assert.Equal(t, "parse", refusals.Rows[0].Reason)
		assert.Equal(t, 1, refusals.Total)

		jobs := readAPI[struct {
			Rows []struct {
				Job, Outcome string
				Pushes       int
			}
		}](t, base+"ui/api/jobs?q=NIGHT")
		require.Len(t, jobs.Rows, 1)
		assert.Equal(t, "nightly", jobs.Rows[0].Job)
		assert.Equal(t, 1, jobs.Rows[0].Pushes)
		assert.Equal(t, "accepted", jobs.Rows[0].Outcome)

		totals := readAPI[struct{ Totals map[string]int }](t, base+"ui/api/overview").Totals
		assert.Equal(t, 1, totals["accepted"])
		assert.Equal(t, 1, totals["refused"])
		assert.Equal(t, 2, totals["series"])
	})
}

// TestPeek shows the values of one job's pushes, and those of no other.
func TestPeek(t *testing.T) {
	t.Parallel()
	peek := both(withPage(func(p *PageConfig) { p.Peek = true }), func(c *Config) { c.PushTimeMetrics = false })
	modesOf(t, peek, func(t *testing.T, change func(*Config), _ bool) {
		config := with(change)
		base := "http://" + startReceiver(t, config, consumertest.NewNop()) + "/"
		events := openStream(t, t.Context(), base+"ui/api/events?peek=a")
		send(t, http.MethodPut, base+"metrics/job/a", "x{l=\"v\"} NaN\n")
		assert.Equal(t, []any{map[string]any{"name": "x", "labels": []any{[]any{"job", "a"}, []any{"l", "v"}}, "value": "NaN"}}, events.named(t, "push")["values"])
		send(t, http.MethodPut, base+"metrics/job/b", "y 1\n")
		assert.Nil(t, events.named(t, "push")["values"])
		send(t, http.MethodPut, base+"metrics/job/a", manySeries(60))
		shown := events.named(t, "push")
		assert.Len(t, shown["values"], 50)
		assert.InDelta(t, 10, shown["moreValues"], 0)
	})
	base := "http://" + startReceiver(t, with(withPage(unchanged)), consumertest.NewNop()) + "/"
	code, _, body := send(t, http.MethodGet, base+"ui/api/events?peek=a", "")
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Contains(t, body, "page::peek")
}

func manySeries(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "z{i=\"%d\"} %d\n", i, i)
	}
	return b.String()
}

// TestGroupsAreShown searches groups and reads one, with values that JSON numbers cannot hold.
func TestGroupsAreShown(t *testing.T) {
	t.Parallel()
	onStores(t, withGroups(func(g *GroupsConfig) { g.TTL = time.Hour }), groupsAreShown)
}

func groupsAreShown(t *testing.T, change func(*Config)) {
	base := "http://" + startReceiver(t, with(change), consumertest.NewNop()) + "/"
	const odd = "metrics/job@base64/YSBiL8Ok/empty@base64/=/z/%25"
	body := "# HELP g help\n# TYPE g gauge\ng{x=\"1\"} NaN\ng{x=\"2\"} +Inf\ng{x=\"3\"} 1e300\n" +
		"# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"
	code, _, answer := send(t, http.MethodPut, base+odd, body)
	require.Equal(t, http.StatusOK, code, answer)
	send(t, http.MethodPut, base+"metrics/job/other", "o 1\n")

	type summary struct {
		Key                     [][2]string
		Path                    string
		Families, Series, Bytes int
		Pushed, Expires         int64
	}
	list := readAPI[struct {
		Rows           []summary
		Matched, Total int
		Next           string
	}](t, base+"ui/api/groups?q="+url.QueryEscape("A z=%"))
	require.Len(t, list.Rows, 1)
	assert.Equal(t, 1, list.Matched)
	assert.Equal(t, 2, list.Total)
	row := list.Rows[0]
	assert.Equal(t, [][2]string{{"job", "a b/ä"}, {"empty", ""}, {"z", "%"}}, row.Key)
	assert.Equal(t, 2, row.Families)
	assert.Equal(t, 7, row.Series)
	assert.Equal(t, row.Pushed+time.Hour.Milliseconds(), row.Expires)

	shown := readAPI[struct {
		Summary  summary
		Families []struct {
			Name, Type, Help string
			Series           []struct {
				Labels  [][2]string
				Value   string
				Count   string
				Sum     string
				Buckets [][2]string
			}
		}
	}](t, base+"ui/api/group?path="+url.QueryEscape(row.Path))
	assert.Equal(t, row, shown.Summary)
	require.Len(t, shown.Families, 4)
	assert.Equal(t, "push_time_seconds", shown.Families[0].Name)
	assert.Equal(t, "push_failure_time_seconds", shown.Families[1].Name)
	g, h := shown.Families[2], shown.Families[3]
	assert.Equal(t, "help", g.Help)
	assert.Equal(t, "gauge", g.Type)
	values := map[string]string{}
	for _, s := range g.Series {
		values[s.Labels[len(s.Labels)-2][1]] = s.Value
	}
	assert.Equal(t, map[string]string{"1": "NaN", "2": "+Inf", "3": "1e+300"}, values)
	assert.Equal(t, [][2]string{{"1", "2"}, {"+Inf", "3"}}, h.Series[0].Buckets)
	assert.Equal(t, "3", h.Series[0].Count)
	assert.Equal(t, "4", h.Series[0].Sum)

	code, _, _ = send(t, http.MethodDelete, base+row.Path, "")
	assert.Equal(t, http.StatusAccepted, code)
	code, _, _ = send(t, http.MethodGet, base+"ui/api/group?path="+url.QueryEscape(row.Path), "")
	assert.Equal(t, http.StatusNotFound, code)
}

// TestGroupIsPaged reads a group with more series than an answer has.
func TestGroupIsPaged(t *testing.T) {
	t.Parallel()
	onStores(t, both(withGroups(unchangedGroups), func(c *Config) { c.PushTimeMetrics = false }), groupIsPaged)
}

func groupIsPaged(t *testing.T, change func(*Config)) {
	base := "http://" + startReceiver(t, with(change), consumertest.NewNop()) + "/"
	code, _, answer := send(t, http.MethodPut, base+"metrics/job/j", "a 1\n"+manySeries(450))
	require.Equal(t, http.StatusOK, code, answer)
	seen := map[string]bool{}
	after, pages := "", 0
	for ; pages == 0 || after != ""; pages++ {
		shown := readAPI[struct {
			Families []struct {
				Name   string
				Series []struct{ Labels [][2]string }
			}
			Next string
		}](t, base+"ui/api/group?path=metrics/job/j&after="+after)
		for _, f := range shown.Families {
			for _, s := range f.Series {
				series := fmt.Sprint(f.Name, s.Labels)
				assert.False(t, seen[series], series)
				seen[series] = true
			}
		}
		after = shown.Next
	}
	assert.Len(t, seen, 451)
	assert.Equal(t, 3, pages)
}

// startOn starts a receiver on a free port until the test ends.
func startOn(t *testing.T, host component.Host, config *Config) (r *pushgatewayReceiver, address string) {
	core, logs := observer.New(zapcore.InfoLevel)
	set := receivertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	config.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0"
	r, err := newReceiver(set, config, consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), host))
	t.Cleanup(func() { assert.NoError(t, r.Shutdown(context.Background())) }) //nolint:usetesting // The test's own context has ended by then.
	started := logs.FilterMessage("Starting HTTP server").TakeAll()
	require.Len(t, started, 1)
	address = started[0].ContextMap()["endpoint"].(string)
	if config.Groups.HasValue() && config.Groups.Get().Postgres.HasValue() {
		awaitReady(t, address+config.PathPrefixes[0])
	}
	return r, address
}

// hostWith has extensions.
type hostWith struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h *hostWith) GetExtensions() map[component.ID]component.Component { return h.extensions }

// passwordAuth admits who knows the password.
type passwordAuth struct {
	component.StartFunc
	component.ShutdownFunc
}

var _ extensionauth.Server = passwordAuth{}

func (passwordAuth) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	request := &http.Request{Header: sources}
	if _, password, _ := request.BasicAuth(); password != "right" {
		return ctx, errors.New("wrong password")
	}
	return ctx, nil
}

// TestStopEndsStreams has five viewers and stops the receiver.
func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	r, address := startOn(t, componenttest.NewNopHost(), with(withPage(unchanged)))
	base := "http://" + address + "/"
	var streams []*stream
	for range 5 {
		streams = append(streams, openStream(t, t.Context(), base+"ui/api/events"))
	}
	require.NoError(t, r.Shutdown(t.Context()))
	for _, s := range streams {
		assert.Equal(t, "stopping", s.named(t, "bye")["reason"])
		assert.Empty(t, s.next(t).name, "the stream has ended")
	}
}

// TestViewersAreBounded opens one stream too many. After one has ended there is room again.
func TestViewersAreBounded(t *testing.T) {
	t.Parallel()
	base := "http://" + startReceiver(t, with(withPage(unchanged)), consumertest.NewNop()) + "/"
	ctx, cancel := context.WithCancel(t.Context())
	openStream(t, ctx, base+"ui/api/events")
	for range 15 {
		openStream(t, t.Context(), base+"ui/api/events")
	}
	viewers := func() int { return readAPI[struct{ Viewers int }](t, base+"ui/api/overview").Viewers }
	require.Equal(t, 16, viewers())
	code, header, body := send(t, http.MethodGet, base+"ui/api/events", "")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.NotEmpty(t, header.Get("Retry-After"))
	assert.Contains(t, body, "16 event streams")
	cancel()
	for viewers() > 15 { // The server notices the end of a connection a little later.
		runtime.Gosched()
	}
	openStream(t, t.Context(), base+"ui/api/events")
}

// TestStreamOutlivesWriteTimeout receives events for longer than a response may take.
func TestStreamOutlivesWriteTimeout(t *testing.T) {
	t.Parallel()
	config := with(withPage(unchanged))
	config.ServerConfig.WriteTimeout = 100 * time.Millisecond
	base := "http://" + startReceiver(t, config, consumertest.NewNop()) + "/"
	events := openStream(t, t.Context(), base+"ui/api/events")
	for range 2 {
		events.named(t, "rates") // one a second
	}
	assert.Equal(t, "no", events.response.Header.Get("X-Accel-Buffering"))
}

// TestPageNeedsCredentials asks for each row of the page without and with credentials. What is refused never reaches a store, so one store
// is enough.
func TestPageNeedsCredentials(t *testing.T) {
	t.Parallel()
	id := component.MustNewID("basicauth")
	config := with(both(withPage(unchanged), withGroups(unchangedGroups)))
	config.ServerConfig.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: id}})
	r, address := startOn(t, &hostWith{extensions: map[component.ID]component.Component{id: passwordAuth{}}}, config)

	paths := []string{"/", "/pushgateway", "/ui/api/overview", "/ui/api/jobs", "/ui/api/groups", "/ui/api/refusals", "/ui/api/status", "/ui/api/events?outcome=none"}
	for _, name := range r.newPage().Files() {
		paths = append(paths, "/ui/"+name)
	}
	for _, path := range paths {
		for password, admitted := range map[string]bool{"": false, "wrong": false, "right": true} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
			require.NoError(t, err)
			if password != "" {
				request.SetBasicAuth("user", password)
			}
			response, err := client.Do(request)
			require.NoError(t, err)
			_ = response.Body.Close()
			assert.Equal(t, admitted, response.StatusCode != http.StatusUnauthorized, path)
			assert.Equal(t, !admitted, response.Header.Get("WWW-Authenticate") != "", path)
		}
	}
}
