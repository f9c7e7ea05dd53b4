// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// ending returns the markers for series of before that are not in after.
func ending(before, after pmetric.Metrics) pmetric.Metrics {
	stays := hashes(after)
	return markersOf(before, func(h series.Hash) bool { return !slices.Contains(stays, h) })
}

// markersOf returns the markers in one part.
func markersOf(md pmetric.Metrics, gone func(series.Hash) bool) pmetric.Metrics {
	for markers := range series.Markers(only(md), pushtest.Scope, gone, math.MaxInt) {
		return markers
	}
	return pmetric.NewMetrics()
}

func only(md pmetric.Metrics) iter.Seq[pmetric.Metrics] { return slices.Values([]pmetric.Metrics{md}) }

func TestMarkers(t *testing.T) {
	t.Parallel()
	const (
		histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2.5\"} 1\nh_count 1\nh_sum 1\n"
		sumless   = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n# EOF\n"
		summary   = "# TYPE h summary\nh{quantile=\"0.5\"} 1\nh{quantile=\"0.9\"} 1\nh_sum 1\nh_count 1\n"
	)
	for name, c := range map[string]struct {
		before, after string
		want          []string
	}{
		"nothing is gone":           {"a 1\n", "a 2\n", nil},
		"a number":                  {"a{x=\"1\"} 1\n", "b 1\n", []string{"a Gauge x=1"}},
		"a counter":                 {"# TYPE a counter\na 1\n", "", []string{"a Sum"}},
		"one of two":                {"a{x=\"1\"} 1\na{x=\"2\"} 1\n", "a{x=\"2\"} 1\n", []string{"a Gauge x=1"}},
		"each in its own metric":    {"a{x=\"1\"} 1\na{x=\"2\"} 1\n", "", []string{"a Gauge x=1", "a Gauge x=2"}},
		"a histogram":               {histogram, "", []string{"h Histogram [1 2.5]"}},
		"a histogram without a sum": {sumless, "", []string{"h Histogram [1] without sum"}},
		"a bucket of a histogram without a sum": {
			sumless, "# TYPE h histogram\nh_count 1\n# EOF\n", []string{"h_bucket Gauge le=1"},
		},
		"the sum of a histogram": {histogram, "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2.5\"} 1\nh_count 1\n# EOF\n", []string{"h_sum Gauge"}},
		"the sum of a summary":   {summary, "# TYPE h summary\nh{quantile=\"0.5\"} 1\nh{quantile=\"0.9\"} 1\nh_count 1\n# EOF\n", []string{"h_sum Gauge"}},
		"a bucket": {
			histogram, "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n", []string{"h_bucket Gauge le=2.5"},
		},
		"a bucket with labels": {
			"# TYPE h histogram\nh_bucket{x=\"1\",le=\"1e-7\"} 1\nh_count{x=\"1\"} 1\n", "# TYPE h histogram\nh_count{x=\"1\"} 1\n",
			[]string{"h_bucket Gauge x=1,le=0.0000001"},
		},
		"a summary":  {summary, "", []string{"h Summary [0.5 0.9]"}},
		"a quantile": {summary, "# TYPE h summary\nh{quantile=\"0.5\"} 1\n", []string{"h Gauge quantile=0.9"}},
		"histogram to summary": {
			histogram, summary, []string{"h_bucket Gauge le=1", "h_bucket Gauge le=2.5", "h_bucket Gauge le=+Inf"},
		},
		"summary to histogram": {summary, histogram, []string{"h Gauge quantile=0.5", "h Gauge quantile=0.9"}},
		"histogram to gauge":   {histogram, "h 1\n", []string{"h Histogram [1 2.5]"}},
		"histogram to its sum": {histogram, "h_sum 1\n", []string{
			"h_bucket Gauge le=1", "h_bucket Gauge le=2.5", "h_bucket Gauge le=+Inf", "h_count Gauge",
		}},
		"summary to its count": {summary, "h_count 1\n", []string{"h Gauge quantile=0.5", "h Gauge quantile=0.9", "h_sum Gauge"}},
		"histogram to a flattened one": {
			histogram, "# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\nh_count 2\n", []string{"h_bucket Gauge le=2.5"},
		},
		"flattened one to a histogram": {
			"# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\nh_bucket{le=\"2\"} 1.5\nh_count 2\n", histogram, []string{"h_bucket Gauge le=2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := pushtest.Text(t, "job/j", c.before).Metrics, pushtest.Text(t, "job/j", c.after).Metrics
			markers := ending(before, after)
			assert.Equal(t, c.want, spelled(t, markers))
			assert.Equal(t, c.want, spelled(t, markersOf(markers, always)), "markers of markers")
		})
	}
}

func TestNativeHistograms(t *testing.T) {
	t.Parallel()
	native := pmetric.NewMetrics()
	sm := native.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
	m := sm.Metrics().AppendEmpty()
	m.SetName("h")
	dp := m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
	dp.SetScale(3)
	dp.SetZeroThreshold(0.5)
	dp.SetCount(3)
	dp.Attributes().PutStr("x", "1")
	require.Len(t, hashes(native), 1)

	markers := markersOf(native, always)
	require.Equal(t, []string{"h ExponentialHistogram x=1"}, spelled(t, markers))
	marker := markers.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).ExponentialHistogram().DataPoints().At(0)
	assert.EqualValues(t, 3, marker.Scale())
	assert.InDelta(t, 0.5, marker.ZeroThreshold(), 0)
	assert.Zero(t, marker.Count())
	assert.Zero(t, markersOf(native, never).ResourceMetrics().Len())
}

// TestMarkersKeepWhatIdentifies a series for consumers that use more than labels.
func TestMarkersKeepWhatIdentifies(t *testing.T) {
	t.Parallel()
	push := pushtest.Text(t, "job/j/instance/i/z/1", "# HELP a help\n# TYPE a counter\n# UNIT a_bytes bytes\n"+
		"a{otel_scope_name=\"s\",otel_scope_version=\"1\",otel_scope_schema_url=\"u\",otel_scope_x=\"1\"} 1\n")
	markers := markersOf(push.Metrics, always)
	want, got := push.Metrics.ResourceMetrics().At(0), markers.ResourceMetrics().At(0)
	assert.Equal(t, want.Resource().Attributes().AsRaw(), got.Resource().Attributes().AsRaw())
	wantScope, gotScope := want.ScopeMetrics().At(0), got.ScopeMetrics().At(0)
	assert.Equal(t, wantScope.Scope(), gotScope.Scope())
	assert.Equal(t, wantScope.SchemaUrl(), gotScope.SchemaUrl())
	wantMetric, gotMetric := wantScope.Metrics().At(0), gotScope.Metrics().At(0)
	assert.Equal(t, wantMetric.Unit(), gotMetric.Unit())
	assert.Empty(t, gotMetric.Description(), "there would be one for each series")
	assert.Equal(t, wantMetric.Metadata().AsRaw(), gotMetric.Metadata().AsRaw())
	assert.True(t, gotMetric.Sum().IsMonotonic())
	assert.Equal(t, pmetric.AggregationTemporalityCumulative, gotMetric.Sum().AggregationTemporality())
}

// TestMarkersInParts builds the smallest parts from several metrics, scopes and calls.
func TestMarkersInParts(t *testing.T) {
	t.Parallel()
	const (
		numbers   = "a{x=\"1\"} 1\na{x=\"2\"} 1\nb 1\n"
		histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n"
		scoped    = "a{otel_scope_name=\"s\"} 1\n"
	)
	for name, c := range map[string]struct {
		all  []string
		most int
		want [][]string
	}{
		"nothing":                {nil, 1, nil},
		"all in one":             {[]string{numbers}, 3, [][]string{{"a Gauge x=1", "a Gauge x=2", "b Gauge"}}},
		"each alone":             {[]string{numbers}, 1, [][]string{{"a Gauge x=1"}, {"a Gauge x=2"}, {"b Gauge"}}},
		"a rest":                 {[]string{numbers}, 2, [][]string{{"a Gauge x=1", "a Gauge x=2"}, {"b Gauge"}}},
		"of several":             {[]string{"a 1\n", "b 1\n", "c 1\n"}, 2, [][]string{{"a Gauge", "b Gauge"}, {"c Gauge"}}},
		"a point of many series": {[]string{"a 1\n", histogram, "b 1\n"}, 2, [][]string{{"a Gauge"}, {"h Histogram [1]"}, {"b Gauge"}}},
		"another scope":          {[]string{"a 1\n", scoped, "b 1\n"}, 2, [][]string{{"a Gauge", "a Gauge"}, {"b Gauge"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []pmetric.Metrics
			var want, got []series.Hash
			for _, body := range c.all {
				all = append(all, pushtest.Text(t, "job/j", body).Metrics)
				want = series.Append(want, all[len(all)-1], pushtest.Scope)
			}
			var parts [][]string
			for markers := range series.Markers(slices.Values(all), pushtest.Scope, always, c.most) {
				require.Equal(t, 1, markers.ResourceMetrics().Len())
				parts = append(parts, spelled(t, markers))
				got = series.Append(got, markers, pushtest.Scope)
			}
			assert.Equal(t, c.want, parts)
			assert.Equal(t, want, got)
		})
	}
	for range series.Markers(only(pushtest.Text(t, "job/j", numbers).Metrics), pushtest.Scope, always, 1) {
		break // A consumer can stop early.
	}
}

// TestMarkersOfRandomPushes ends exactly a random selection of series.
func TestMarkersOfRandomPushes(t *testing.T) {
	t.Parallel()
	for i := range 2000 {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		md := pushtest.Random(r, pushtest.Key(t, "job/j/z/1")).Metrics
		all := hashes(md)
		require.Equal(t, sorted(all), sorted(hashes(markersOf(md, always))), "push %d", i)
		gone := map[series.Hash]bool{}
		var want []series.Hash
		for _, h := range all {
			if _, known := gone[h]; !known {
				gone[h] = r.IntN(2) == 0
			}
			if gone[h] {
				want = append(want, h)
			}
		}
		markers := markersOf(md, func(h series.Hash) bool { return gone[h] })
		require.Equal(t, sorted(want), sorted(hashes(markers)), "push %d", i)
		spelled(t, markers)
	}
}

func always(series.Hash) bool { return true }

func never(series.Hash) bool { return false }

// spelled describes markers and requires a metric of its own, no time and no value for each.
func spelled(t *testing.T, md pmetric.Metrics) (all []string) {
	t.Helper()
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				all = append(all, fmt.Sprintf("%s %s", m.Name(), spelledMarker(t, m)))
			}
		}
	}
	return all
}

func spelledMarker(t *testing.T, m pmetric.Metric) string {
	t.Helper()
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		require.Equal(t, 1, m.Gauge().DataPoints().Len())
		return spelledPoint(t, m, m.Gauge().DataPoints().At(0), "")
	case pmetric.MetricTypeSum:
		require.Equal(t, 1, m.Sum().DataPoints().Len())
		return spelledPoint(t, m, m.Sum().DataPoints().At(0), "")
	case pmetric.MetricTypeHistogram:
		require.Equal(t, 1, m.Histogram().DataPoints().Len())
		dp := m.Histogram().DataPoints().At(0)
		require.Equal(t, dp.ExplicitBounds().Len()+1, dp.BucketCounts().Len())
		spelled := fmt.Sprint(dp.ExplicitBounds().AsRaw())
		if !dp.HasSum() {
			spelled += " without sum"
		}
		return spelledPoint(t, m, dp, spelled)
	case pmetric.MetricTypeExponentialHistogram:
		require.Equal(t, 1, m.ExponentialHistogram().DataPoints().Len())
		return spelledPoint(t, m, m.ExponentialHistogram().DataPoints().At(0), "")
	default:
		require.Equal(t, 1, m.Summary().DataPoints().Len())
		dp := m.Summary().DataPoints().At(0)
		var quantiles []float64
		for _, q := range dp.QuantileValues().All() {
			quantiles = append(quantiles, q.Quantile())
		}
		return spelledPoint(t, m, dp, fmt.Sprint(quantiles))
	}
}

type point interface {
	Attributes() pcommon.Map
	Flags() pmetric.DataPointFlags
	Timestamp() pcommon.Timestamp
}

func spelledPoint(t *testing.T, m pmetric.Metric, dp point, extra string) string {
	t.Helper()
	require.True(t, dp.Flags().NoRecordedValue())
	require.Zero(t, dp.Timestamp())
	var labels []string
	for k, v := range dp.Attributes().All() {
		labels = append(labels, k+"="+v.Str())
	}
	return strings.Join(strings.Fields(m.Type().String()+" "+strings.Join(labels, ",")+" "+extra), " ")
}
