// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hashes(md pmetric.Metrics) []series.Hash { return series.Append(nil, md, pushtest.Scope) }

func sorted(hashes []series.Hash) []series.Hash { return slices.Sorted(slices.Values(hashes)) }

// of returns the series of a push.
func of(t *testing.T, path, body string) []series.Hash {
	t.Helper()
	return sorted(hashes(pushtest.Text(t, path, body).Metrics))
}

func TestSameSeries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ pathA, bodyA, pathB, bodyB string }{
		"whatever the value":            {"job/j", "a 1\n", "job/j", "a 2\n"},
		"labels in another order":       {"job/j", "a{x=\"1\",y=\"2\"} 1\n", "job/j", "a{y=\"2\",x=\"1\"} 1\n"},
		"an empty label is none":        {"job/j", "a{x=\"\"} 1\n", "job/j", "a 1\n"},
		"an empty grouping label, too":  {"job/j/x@base64/=", "a 1\n", "job/j", "a 1\n"},
		"grouping or body label":        {"job/j/x/1", "a 1\n", "job/j", "a{x=\"1\"} 1\n"},
		"instance of the key or a body": {"job/j/instance/i", "a 1\n", "job/j", "a{instance=\"i\"} 1\n"},
		"scope of the key or a body":    {"job/j/otel_scope_x/1", "a{otel_scope_name=\"s\"} 1\n", "job/j", "a{otel_scope_name=\"s\",otel_scope_x=\"1\"} 1\n"},
		"the receiver's own scope":      {"job/j", "a{otel_scope_name=\"" + pushtest.Scope + "\"} 1\n", "job/j", "a 1\n"},
		"families in another order":     {"job/j", "a 1\nb 2\n", "job/j", "b 1\na 2\n"},
		"another type of number":        {"job/j", "# TYPE a counter\na 1\n", "job/j", "# TYPE a gauge\na 1\n"},
		"a histogram or its series": {
			"job/j", "# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
			"job/j", "h_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
		},
		"a histogram without a sum or its series": {
			"job/j", "# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n# EOF\n",
			"job/j", "h_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
		},
		"a summary without a sum or its series": {
			"job/j", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 1\n# EOF\n",
			"job/j", "s{quantile=\"0.5\"} 1\ns_count 1\n",
		},
		"a summary or its series": {
			"job/j", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n",
			"job/j", "s{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n",
		},
		"buckets whatever their order": {
			"job/j", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1\nh_count 1\n",
			"job/j", "# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_count 1\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, of(t, c.pathA, c.bodyA), of(t, c.pathB, c.bodyB))
		})
	}
}

func TestDifferentSeries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ pathA, bodyA, pathB, bodyB string }{
		"names":                      {"job/j", "a 1\n", "job/j", "b 1\n"},
		"values of a label":          {"job/j", "a{x=\"1\"} 1\n", "job/j", "a{x=\"2\"} 1\n"},
		"values of labels swapped":   {"job/j", "a{x=\"1\",y=\"2\"} 1\n", "job/j", "a{x=\"2\",y=\"1\"} 1\n"},
		"name and value swapped":     {"job/j", "a{x=\"y\"} 1\n", "job/j", "a{y=\"x\"} 1\n"},
		"parts moved to the name":    {"job/j", "a{xy=\"z\"} 1\n", "job/j", "a{x=\"yz\"} 1\n"},
		"jobs":                       {"job/j", "a 1\n", "job/k", "a 1\n"},
		"instances":                  {"job/j/instance/i", "a 1\n", "job/j/instance/k", "a 1\n"},
		"with and without instance":  {"job/j/instance/i", "a 1\n", "job/j", "a 1\n"},
		"job and instance swapped":   {"job/j/instance/i", "a 1\n", "job/i/instance/j", "a 1\n"},
		"names of scopes":            {"job/j", "a{otel_scope_name=\"s\"} 1\n", "job/j", "a 1\n"},
		"versions of scopes":         {"job/j", "a{otel_scope_name=\"s\",otel_scope_version=\"1\"} 1\n", "job/j", "a{otel_scope_name=\"s\"} 1\n"},
		"schemas of scopes":          {"job/j", "a{otel_scope_name=\"s\",otel_scope_schema_url=\"1\"} 1\n", "job/j", "a{otel_scope_name=\"s\"} 1\n"},
		"attributes of own scope":    {"job/j", "a{otel_scope_name=\"" + pushtest.Scope + "\",otel_scope_x=\"1\"} 1\n", "job/j", "a 1\n"},
		"a label or one of the job":  {"job/j", "a{service_name=\"j\"} 1\n", "job/j", "a 1\n"},
		"bound spelled as exporters": {"job/j", "h_bucket{le=\"2.0\"} 1\n", "job/j", "h_bucket{le=\"2\"} 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.NotEqual(t, of(t, c.pathA, c.bodyA), of(t, c.pathB, c.bodyB))
		})
	}
}

// TestAppendCounts compares the number of series with Prometheus' count.
func TestAppendCounts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		"":                                0,
		"a 1\n":                           1,
		"a 1\nb{x=\"1\"} 1\nb 1\n":        3,
		"# TYPE h histogram\nh_count 1\n": 3,
		"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n":                     4,
		"# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\nh_count 2\n":                   4,
		"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count{x=\"1\"} 1\nh_count 1\n": 7,
		"# TYPE s summary\ns_count 1\n":                                             2,
		"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"1\"} 1\n":            4,
		"# TYPE i info\ni_info{v=\"1\"} 1\n# EOF\n":                                 1,
	} {
		assert.Len(t, slices.Compact(of(t, "job/j", body)), want, body)
	}
}

func TestAppendAppends(t *testing.T) {
	t.Parallel()
	a, b := pushtest.Text(t, "job/j", "a 1\n").Metrics, pushtest.Text(t, "job/j", "b 1\n").Metrics
	both := series.Append(hashes(a), b, pushtest.Scope)
	require.Len(t, both, 2)
	assert.Equal(t, hashes(a), both[:1])
	assert.Equal(t, hashes(b), both[1:])
}

func TestJoin(t *testing.T) {
	t.Parallel()
	const scoped = "c{otel_scope_name=\"s\"} 1\n"
	for name, c := range map[string]struct {
		to, from string
		scopes   int
	}{
		"nothing to nothing":             {"", "", 0},
		"something to nothing":           {"", "a 1\n", 1},
		"nothing to something":           {"a 1\n", "", 1},
		"the first scope goes on":        {"a 1\n", "b 1\n", 1},
		"others stand beside it":         {"a 1\n", scoped, 2},
		"others do not begin it":         {scoped, "a 1\n", 2},
		"the first of several goes on":   {"a 1\n" + scoped, "b 1\nd{otel_scope_x=\"1\"} 1\n", 3},
		"one that differs in version":    {scoped, "c{otel_scope_name=\"s\",otel_scope_version=\"1\"} 1\n", 2},
		"one that differs in attributes": {scoped, "c{otel_scope_name=\"s\",otel_scope_x=\"1\"} 1\n", 2},
		"one that differs in its schema": {scoped, "c{otel_scope_name=\"s\",otel_scope_schema_url=\"1\"} 1\n", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to, from := pushtest.Text(t, "job/j", c.to).Metrics, pushtest.Text(t, "job/j", c.from).Metrics
			want := append(hashes(to), hashes(from)...)
			series.AppendMetrics(to, from)
			assert.Equal(t, sorted(want), sorted(hashes(to)))
			assert.LessOrEqual(t, to.ResourceMetrics().Len(), 1)
			if c.scopes > 0 {
				assert.Equal(t, c.scopes, to.ResourceMetrics().At(0).ScopeMetrics().Len())
			}
		})
	}
}
