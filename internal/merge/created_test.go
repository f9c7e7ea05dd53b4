// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
)

// TestTakeCreated: bodies as client libraries push them, and the start times in milliseconds and points per metric after it.
func TestTakeCreated(t *testing.T) {
	t.Parallel()
	const (
		c = "# TYPE c_total counter\nc_total 1\n"
		g = "# TYPE c_created gauge\nc_created 1700000000.25\n"
	)
	none := map[string][]int64{"c_total": {0}, "c_created": {-1}}
	for name, test := range map[string]struct {
		body string
		want map[string][]int64 // -1 is a point of a gauge
	}{
		"counter":             {c + g, map[string][]int64{"c_total": {1700000000250}, "c_created": nil}},
		"the gauge first":     {g + c, map[string][]int64{"c_total": {1700000000250}, "c_created": nil}},
		"name without _total": {"# TYPE c counter\nc 1\n" + g, map[string][]int64{"c": {1700000000250}, "c_created": nil}},
		"histogram": {
			"# TYPE c histogram\nc_bucket{le=\"+Inf\"} 1\nc_sum 1\nc_count 1\n" + g,
			map[string][]int64{"c": {1700000000250}, "c_created": nil},
		},
		"summary": {"# TYPE c summary\nc_sum 1\nc_count 1\n" + g, map[string][]int64{"c": {1700000000250}, "c_created": nil}},
		"each series has its own": {
			"# TYPE c_total counter\nc_total{a=\"1\",b=\"2\"} 1\nc_total{a=\"2\"} 1\nc_total 1\n" +
				"# TYPE c_created gauge\nc_created{b=\"2\",a=\"1\"} 1\nc_created{a=\"2\"} 2\nc_created{a=\"3\"} 3\n",
			map[string][]int64{"c_total": {1000, 2000, 0}, "c_created": {-1}},
		},
		"other labels":        {"# TYPE c_total counter\nc_total{a=\"1\"} 1\n" + g, none},
		"beside a gauge":      {"# TYPE c_total gauge\nc_total 1\n" + g, map[string][]int64{"c_total": {-1}, "c_created": {-1}}},
		"not a gauge":         {c + "# TYPE c_created counter\nc_created 1700000000\n", map[string][]int64{"c_total": {0}, "c_created": {0}}},
		"untyped":             {c + "c_created 1700000000\n", none},
		"alone":               {g, map[string][]int64{"c_created": {-1}}},
		"not positive":        {c + "# TYPE c_created gauge\nc_created 0\n", map[string][]int64{"c_total": {0}, "c_created": nil}},
		"not a number":        {c + "# TYPE c_created gauge\nc_created NaN\n", map[string][]int64{"c_total": {0}, "c_created": nil}},
		"too large":           {c + "# TYPE c_created gauge\nc_created 1e300\n", map[string][]int64{"c_total": {0}, "c_created": nil}},
		"a counter *_created": {"# TYPE x_created gauge\nx_created 3\n" + c, map[string][]int64{"c_total": {0}, "x_created": {-1}}},
		"OpenMetrics has its own": {
			"# TYPE c counter\nc_total 1\nc_created 5\n# EOF\n", map[string][]int64{"c_total": {5000}},
		},
		"of another scope": {
			c + "# TYPE c_created gauge\nc_created{otel_scope_name=\"s\"} 1\n", none,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			md := pushtest.Text(t, "job/j", test.body).Metrics
			merge.TakeCreated(md)
			got := startTimes(md)
			delete(got, "push_time_seconds")
			assert.Equal(t, test.want, got)
		})
	}
}

func startTimes(md pmetric.Metrics) map[string][]int64 {
	found := map[string][]int64{}
	for _, sm := range md.ResourceMetrics().At(0).ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			found[m.Name()] = append(found[m.Name()], startsOf(m)...)
		}
	}
	return found
}

func startsOf(m pmetric.Metric) (starts []int64) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for range m.Gauge().DataPoints().Len() {
			starts = append(starts, -1)
		}
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			starts = append(starts, int64(dp.StartTimestamp())/1e6)
		}
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			starts = append(starts, int64(dp.StartTimestamp())/1e6)
		}
	case pmetric.MetricTypeSummary:
		for _, dp := range m.Summary().DataPoints().All() {
			starts = append(starts, int64(dp.StartTimestamp())/1e6)
		}
	}
	return starts
}
