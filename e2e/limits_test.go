// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLimits exceeds each limit by one, and is told its name, its value and what came. The table in docs/operating.md has
// nothing but what was answered here.
func TestLimits(t *testing.T) {
	t.Parallel()
	c := startCollector(t, settings{config: "testdata/hostile.yaml", set: []string{
		"service::extensions: []",
		"receivers::pushgateway::max_request_body_size: 200000",
		"receivers::pushgateway::limits: {in_flight_bytes: 100000, series_per_push: 6, labels_per_series: 4, label_value_length: 10}",
		"receivers::pushgateway::groups: {max_groups: 2, max_series: 10, max_bytes: 5000, max_pushers: 1, republish_interval: 0s, aggregate: [{without: [job_id]}]}",
	}})
	var answers []answer
	large := strings.Repeat("# comment\n", 15_000)
	for _, tc := range []struct {
		name, path, body string
		want             int
		texts            []string
	}{
		{"series", "/metrics/job/a", "a 1\nb 1\nc 1\nd 1\ne 1\nf 1\n", 200, nil},
		{"series_per_push", "/metrics/job/a", "a 1\nb 1\nc 1\nd 1\ne 1\nf 1\ng 1\n", 400, []string{"series_per_push", "6", "7"}},
		{"series_per_push, a histogram", "/metrics/job/a", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"3\"} 1\nh_bucket{le=\"4\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", 400, []string{"series_per_push", "6", "7"}},
		{"labels", "/metrics/job/a", "a{b=\"1\",c=\"2\",d=\"3\"} 1\n", 200, nil},
		{"labels_per_series", "/metrics/job/a", "a{b=\"1\",c=\"2\",d=\"3\",e=\"4\"} 1\n", 400, []string{"labels_per_series", "4", "5"}},
		{"labels_per_series, of the group", "/metrics/job/a/b/1/c/2", "a{d=\"1\",e=\"2\"} 1\n", 400, []string{"labels_per_series", "4", "5"}},
		{"label", "/metrics/job/a", "a{b=\"0123456789\"} 1\n", 200, nil},
		{"label_value_length", "/metrics/job/a", "a{b=\"0123456789x\"} 1\n", 400, []string{"label_value_length", "10", "11"}},
		{"label_value_length, of the group", "/metrics/job/a/b/0123456789x", "a 1\n", 400, []string{"label_value_length", "10", "11"}},
		{"max_request_body_size", "/metrics/job/a", (large + large)[:200_001], 413, []string{"max_request_body_size", "200000", "200001"}},
		{"in_flight_bytes", "/metrics/job/a", large, 413, []string{"limits::in_flight_bytes", "100000"}},
		{"second group", "/metrics/job/b", "x 1\ny 1\n", 200, nil},
		{"groups::max_groups", "/metrics/job/c", "a 1\n", 429, []string{"groups::max_groups", "2"}},
		{"groups::max_series", "/metrics/job/a", "a 1\nb 1\nc 1\nd 1\ne 1\nf 1\n", 200, nil},
		{"groups::max_series exceeded", "/metrics/job/b", "p 1\nq 1\nr 1\ns 1\nt 1\n", 429, []string{"groups::max_series", "10", "3 series more", "8 series"}},
		{"groups::max_bytes", "/metrics/job/b", "# HELP p " + strings.Repeat("x", 5000) + "\np 1\n", 429, []string{"groups::max_bytes", "5000"}},
		{"groups::max_pushers", "/metrics/job/b/job_id/1", "n_total 1\n", 200, nil},
		{"groups::max_pushers exceeded", "/metrics/job/b/job_id/2", "n_total 1\n", 429, []string{"groups::max_pushers", "1"}},
	} {
		status, body := send(t, http.MethodPut, c.url+tc.path, tc.body)
		answers = append(answers, answer{status: status, body: body})
		assert.Equal(t, tc.want, status, "%s: %s", tc.name, body)
		for _, text := range tc.texts {
			assert.Contains(t, body, text, tc.name)
		}
	}
	answers = append(answers, refusedBehind(t, c.url, large[:50_000]))
	assertLimitsInTable(t, answers)
}

// refusedBehind pushes while as much of another push has arrived and the rest of it does not. If it comes before that has
// arrived it is the other one that is refused, so both begin anew.
func refusedBehind(t *testing.T, url, body string) answer {
	t.Helper()
	var got answer
	require.Eventually(t, func() bool {
		connection, err := dial(url)
		if !assert.NoError(t, err) {
			return false
		}
		defer connection.Close()
		_, err = fmt.Fprintf(connection, "PUT /metrics/job/stalled HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n%s", body)
		assert.NoError(t, err)
		time.Sleep(pollInterval)
		got = put(t, url, "a", []byte(body))
		return got.status == http.StatusServiceUnavailable
	}, settleTimeout, pollInterval)
	assert.NotEmpty(t, got.header.Get("Retry-After"))
	return got
}

var limitRow = regexp.MustCompile("(?m)^\\| `[a-z_:]+`.* \\| (\\d{3}) \\| `([^`]+)`")

// assertLimitsInTable demands of each row of the table that it was answered so. Three dots stand for anything.
func assertLimitsInTable(t *testing.T, answers []answer) {
	t.Helper()
	page, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(page), "\n## Limits\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := limitRow.FindAllStringSubmatch(section, -1)
	assert.Len(t, rows, 10)
	for _, row := range rows {
		body := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(row[2]), `\.\.\.`, `.*`))
		assert.True(t, slices.ContainsFunc(answers, func(a answer) bool {
			return strconv.Itoa(a.status) == row[1] && body.MatchString(a.body)
		}), "nothing was answered with %s %s; but %q", row[1], row[2], answers)
	}
}
