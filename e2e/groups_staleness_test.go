// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var jobIn = regexp.MustCompile(`[{,]job="([^"]*)"`)

// change is a request after which some of a group's series are no more.
type change struct{ method, path, body string }

// changes are pushed one after the other to a job of their own.
var changes = []struct {
	name string
	push []change
	left []string // series after the last change, without job and push times
	// otherMetric tells that series go on as those of a metric of another name, type or resource, which the prometheus exporter, that
	// goes by metrics, cannot follow.
	otherMetric bool
}{
	{
		"PUT without a family and a series",
		[]change{{http.MethodPut, "", "a 1\nb{x=\"1\"} 2\nb{x=\"2\"} 3\n"}, {http.MethodPut, "", "b{x=\"2\"} 4\n"}},
		[]string{`b{x="2"}`},
		false,
	},
	{
		"PUT of nothing",
		[]change{{http.MethodPut, "", "a 1\n"}, {http.MethodPut, "", ""}},
		nil,
		false,
	},
	{
		"POST without a series of a family",
		[]change{{http.MethodPut, "", "a 1\nb{x=\"1\"} 2\nb{x=\"2\"} 3\n"}, {http.MethodPost, "", "b{x=\"2\"} 4\n"}},
		[]string{`a{}`, `b{x="2"}`},
		false,
	},
	{
		"other bounds",
		[]change{
			{http.MethodPut, "", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"},
			{http.MethodPost, "", "# TYPE h histogram\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"4\"} 3\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"},
		},
		[]string{`h_bucket{le="2"}`, `h_bucket{le="4"}`, `h_bucket{le="+Inf"}`, `h_sum{}`, `h_count{}`},
		false,
	},
	{
		"other quantiles",
		[]change{
			{http.MethodPut, "", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 2\ns_sum 4\ns_count 3\n"},
			{http.MethodPost, "", "# TYPE s summary\ns{quantile=\"0.9\"} 2\ns{quantile=\"0.99\"} 3\ns_sum 4\ns_count 3\n"},
		},
		[]string{`s{quantile="0.9"}`, `s{quantile="0.99"}`, `s_sum{}`, `s_count{}`},
		false,
	},
	{
		"histogram becomes a gauge of its name",
		[]change{
			{http.MethodPut, "", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"},
			{http.MethodPut, "", "# TYPE h gauge\nh 1\n"},
		},
		[]string{`h{}`},
		true,
	},
	{
		"histogram becomes counters of its series' names",
		[]change{
			{http.MethodPut, "", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"},
			{http.MethodPut, "", "# TYPE h_count counter\nh_count 5\n"},
		},
		[]string{`h_count{}`},
		true,
	},
	{
		"histogram that OTLP cannot hold becomes one that it can",
		[]change{
			{http.MethodPut, "", "# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 4\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"},
			{http.MethodPut, "", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"},
		},
		[]string{`h_bucket{le="1"}`, `h_bucket{le="+Inf"}`, `h_sum{}`, `h_count{}`},
		true,
	},
	{
		"DELETE of one group of two",
		[]change{
			{http.MethodPut, "/instance/1", "a 1\n# TYPE c counter\nc 1\n"},
			{http.MethodPut, "/instance/2", "a 1\n"},
			{http.MethodDelete, "/instance/1", ""},
		},
		[]string{`a{instance="2"}`},
		false,
	},
	{
		"DELETE after a failed push",
		[]change{{http.MethodPut, "", "a 1\n"}, {http.MethodPut, "", "a 1 1700000000000\n"}, {http.MethodDelete, "", ""}},
		nil,
		false,
	},
	{
		"DELETE and back",
		[]change{{http.MethodPut, "", "a 1\nb 1\n"}, {http.MethodDelete, "", ""}, {http.MethodPut, "", "a 2\n"}},
		[]string{`a{}`},
		false,
	},
	{
		"a series moves to another group",
		[]change{
			{http.MethodPut, "/zone/a", "m{instance=\"1\"} 1\n"},
			{http.MethodDelete, "/zone/a", ""},
			{http.MethodPut, "/instance/1", "m{zone=\"a\"} 2\n"},
		},
		[]string{`m{instance="1",zone="a"}`},
		true,
	},
	{
		"many changes at once",
		[]change{
			{http.MethodPut, "", "a 1\n"},
			{http.MethodPut, "", "b 1\n"},
			{http.MethodPut, "", "a 2\n"},
			{http.MethodPut, "", "b 2\n"},
			{http.MethodPut, "", "a 3\n"},
			{http.MethodPut, "", "b 3\n"},
			{http.MethodPut, "", "a 4\n"},
			{http.MethodPut, "", "c 4\n"},
		},
		[]string{`c{}`},
		false,
	},
}

// TestSeriesEndAtOnce changes groups and demands that a query sees what GET /metrics shows, at once and not five minutes later,
// on every way that leads to a Prometheus.
func TestSeriesEndAtOnce(t *testing.T) {
	t.Parallel()
	const group = "receivers::pushgateway::groups: {republish_interval: 1s, admin_api: true}"
	t.Run("remote write", func(t *testing.T) {
		t.Parallel()
		server := startPrometheus(t, prometheusFile(t, ""))
		c := startCollector(t, withGroups(t, server.url, group))
		assertSeriesEnd(t, c.url, server.instant, true)
	})
	t.Run("OTLP", func(t *testing.T) {
		t.Parallel()
		server := startPrometheus(t, prometheusFile(t, "otlp:\n  translation_strategy: NoTranslation\n"), "--web.enable-otlp-receiver")
		c := startCollector(t, settings{
			config: "../configs/otlp.yaml",
			// A queue has several consumers, one of which may overtake another: a stale marker the last value of its series.
			set: []string{group, "exporters::otlp_http::sending_queue::enabled: false"},
			env: map[string]string{"OTLP_ENDPOINT": server.url + "/api/v1/otlp"},
		})
		assertSeriesEnd(t, c.url, server.instant, true)
	})
	t.Run("scraped from the prometheus exporter", func(t *testing.T) {
		t.Parallel()
		page := freeEndpoint(t)
		c := startCollector(t, settings{
			config: "../configs/quickstart.yaml",
			set:    []string{group, "exporters::prometheus::endpoint: " + page, "exporters::debug::verbosity: basic"},
		})
		assertSeriesEnd(t, c.url, func(t require.TestingT, selector string) map[string]string {
			job, ok := strings.CutPrefix(selector, `{job="`)
			all := shown(t, "http://"+page+"/metrics")
			for labels := range all {
				if strings.HasPrefix(labels, "target_info{") {
					delete(all, labels)
				}
			}
			if !ok {
				return all
			}
			return ofJob(all, strings.TrimSuffix(job, `"}`))
		}, false)
	})
}

// assertSeriesEnd makes all changes, or those that leave a metric what it is, and looks through a selector of series.
func assertSeriesEnd(t *testing.T, receiver string, instant func(require.TestingT, string) map[string]string, otherMetrics bool) {
	for i, tc := range changes {
		if tc.otherMetric && !otherMetrics {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			job := fmt.Sprintf("job_%d", i)
			for _, c := range tc.push {
				status, answer := send(t, c.method, receiver+"/metrics/job/"+job+c.path, c.body)
				assert.Contains(t, []int{http.StatusOK, http.StatusAccepted, http.StatusBadRequest}, status, answer)
			}
			held := ofJob(shown(t, receiver+"/metrics"), job)
			assert.ElementsMatch(t, withJob(tc.left, job), withoutPushTimes(held))
			assertSoon(t, held, instant, `{job="`+job+`"}`)
		})
	}
	t.Run("native histogram", func(t *testing.T) {
		native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: 1e-9})
		native.Observe(1)
		require.NoError(t, push.New(receiver, "native").Collector(native).Push())
		require.NoError(t, push.New(receiver, "native").Collector(gauge("g", 1)).Push())
		assertSoon(t, ofJob(shown(t, receiver+"/metrics"), "native"), instant, `{job="native"}`)
	})
	t.Run("wipe", func(t *testing.T) {
		status, answer := send(t, http.MethodPut, receiver+"/api/v1/admin/wipe", "")
		require.Equal(t, http.StatusAccepted, status, answer)
		assert.Empty(t, shown(t, receiver+"/metrics"))
		assertSoon(t, map[string]string{}, instant, `{__name__!="",job!=""}`)
	})
}

// assertSoon allows for the time that an exporter's queue takes.
func assertSoon(t *testing.T, want map[string]string, instant func(require.TestingT, string) map[string]string, selector string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, instant(c, selector)) }, dataTimeout, pollInterval)
	time.Sleep(1500 * time.Millisecond) // One republishing brings nothing back.
	assert.Equal(t, want, instant(t, selector))
}

// withJob adds the label job to series, in the order of labels.
func withJob(series []string, job string) []string {
	var with []string
	for _, s := range series {
		name, labels, _ := strings.Cut(strings.TrimSuffix(s, "}"), "{")
		set := labelSet{"__name__": name, "job": job}
		for _, pair := range labelPair.FindAllStringSubmatch(labels, -1) {
			set[pair[1]] = pair[2]
		}
		with = append(with, set.String())
	}
	return with
}

var labelPair = regexp.MustCompile(`(\w+)="([^"]*)"`)

func withoutPushTimes(series map[string]string) []string {
	var without []string
	for s := range series {
		if !strings.HasPrefix(s, "push_time_seconds{") && !strings.HasPrefix(s, "push_failure_time_seconds{") {
			without = append(without, s)
		}
	}
	return without
}

// TestExpiredGroupEnds waits for a group's time to be over, which pushes put off.
func TestExpiredGroupEnds(t *testing.T) {
	t.Parallel()
	server := startPrometheus(t, prometheusFile(t, ""))
	c := startCollector(t, withGroups(t, server.url, "receivers::pushgateway::groups::ttl: 3s"))
	put := func(job string) {
		status, answer := send(t, http.MethodPut, c.url+"/metrics/job/"+job, "a 1\n")
		require.Equal(t, http.StatusOK, status, answer)
	}
	put("once")
	last := time.Now()
	put("again")
	for deadline := last.Add(dataTimeout); ; time.Sleep(500 * time.Millisecond) {
		held := shown(t, c.url+"/metrics")
		if time.Since(last) < 2*time.Second { // On a machine that stands still for longer, its time may be over.
			require.Len(t, ofJob(held, "again"), 3, "a and both push times")
		}
		last = time.Now()
		put("again")
		if len(ofJob(held, "once")) == 0 {
			break
		}
		require.True(t, last.Before(deadline), "its time is not over")
	}
	assertShownIn(t, server, c.url, "once")
	assertShownIn(t, server, c.url, "again")
	lines := linesWith(c.output.String(), "Groups expired")
	require.NotEmpty(t, lines)
	assert.Contains(t, lines[0], "info")
	assert.Contains(t, lines[0], "once")
}

// TestRepublishedSeriesStayVisible pushes once and looks again when Prometheus has long forgotten what is not said again.
func TestRepublishedSeriesStayVisible(t *testing.T) {
	t.Parallel()
	server := startPrometheus(t, prometheusFile(t, ""), quicklyStale)
	again := startCollector(t, withGroups(t, server.url))
	never := startCollector(t, withGroups(t, server.url, "receivers::pushgateway::groups::republish_interval: 0s"))
	success := time.Now().Add(-24 * time.Hour).Unix()
	for job, c := range map[string]*collector{"again": again, "never": never} {
		body := fmt.Sprintf("job_last_success_timestamp_seconds %d\n", success)
		status, answer := send(t, http.MethodPut, c.url+"/metrics/job/"+job, body)
		require.Equal(t, http.StatusOK, status, answer)
	}
	const alert = `time() - job_last_success_timestamp_seconds{job="%s"} > 86000`
	const pushed = `last_over_time(job_last_success_timestamp_seconds{job="never"}[5m])`
	require.Eventually(t, func() bool { return len(server.query(t, pushed)) == 1 }, dataTimeout, pollInterval)
	time.Sleep(8 * time.Second)
	assert.Empty(t, server.query(t, fmt.Sprintf(alert, "never")), "without republishing")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Len(c, server.query(c, fmt.Sprintf(alert, "again")), 1)
		assert.Len(c, server.query(c, `time() - timestamp(job_last_success_timestamp_seconds{job="again"}) < 3`), 1)
	}, dataTimeout, pollInterval)
	assert.Empty(t, server.query(t, `changes(job_last_success_timestamp_seconds{job="again"}[1m]) > 0`))
	assertShownIn(t, server, again.url, "again")
}
