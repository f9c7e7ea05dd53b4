// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// FuzzTranslate checks invariants of the pdata of every accepted push.
func FuzzTranslate(f *testing.F) {
	f.Add("job/j/instance/i/zone/z", []byte("a{x=\"1\",zone=\"b\"} 1\na{x=\"2\"} 2\n"))
	f.Add("job/j", []byte("a{x=\"\"} 1\na 2\nb{job=\"1\",instance=\"2\"} 3\n"))
	f.Add("job/j/le/1", []byte("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n"))
	f.Add("job/j", []byte("# TYPE h histogram\nh_bucket{le=\"2\"} 1.5\nh_bucket{le=\"-0\"} 1\nh_bucket{le=\"0\"} 1\nh_count NaN\n"))
	f.Add("job/j", []byte("# HELP s \xff\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"NaN\"} 2\ns_count 3\ns_bucket 1\n"))
	f.Add("job/j/otel_scope_x/1", []byte("a{otel_scope_name=\"s\",otel_scope_x=\"2\"} 1\na{otel_scope_version=\"1\"} 2\na 3\n"))
	f.Add("job/j", []byte("# TYPE g gaugehistogram\ng_bucket{le=\"1\"} -1\ng_sum 1\n{\"g.h\"} 1\ng_count 4\n"))
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		k, ok, err := groupingkey.Parse(path, true)
		if !ok || err != nil {
			return
		}
		var b exposition.Batch
		if b.Decode(exposition.Text, body, exposition.Options{UTF8Names: true}) != nil {
			return
		}
		o := defaults
		o.ScopeName = "the name of no scope that is pushed"
		push, err := translate.Translate(&b, k, o)
		if err != nil {
			return
		}
		push.Stamp(now)
		requireSound(t, push)
	})
}

// FuzzParts verifies for each setting that a protobuf push has the same series whether forwarded directly or stored
// first.
func FuzzParts(f *testing.F) {
	for _, c := range partsCases {
		f.Add(delimited(f, c.body))
		f.Add(delimited(f, c.body+"\n\n"+strings.Replace(c.body, "metric {", `metric { label { name: "x" value: "1" }`, 1)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b exposition.Batch
		if b.Decode(exposition.Protobuf, body, exposition.Options{}) != nil {
			return
		}
		for _, setting := range settings {
			o := defaults
			o.Histograms, o.Timestamps, o.ScopeName = setting, translate.Drop, "the name of no scope that is pushed"
			forwarded, err := translate.Translate(&b, keyOf(t, "job/j"), o)
			o.Held = true
			held, heldErr := translate.Translate(&b, keyOf(t, "job/j"), o)
			require.Equal(t, err, heldErr)
			if err != nil {
				continue
			}
			require.Equal(t, forwarded.Series, held.Series)
			require.Equal(t, held.Metrics.DataPointCount(), held.DataPoints)
			require.ElementsMatch(t, seriesOf(forwarded.Metrics), seriesOf(setting.Forwarded(held.Metrics)))
		}
	})
}

func requireSound(t *testing.T, push *translate.Push) {
	require.Equal(t, push.Metrics.DataPointCount(), push.DataPoints)
	series := seriesOf(push.Metrics)
	require.Len(t, series, push.Series)
	for i, s := range series {
		require.True(t, utf8.ValidString(s))
		series[i] = s[:strings.LastIndexByte(s, ' ')]
	}
	slices.Sort(series)
	require.Len(t, slices.Compact(series), push.Series)
	for _, m := range metricsOf(push.Metrics) {
		require.NotEmpty(t, m.Name())
		require.True(t, utf8.ValidString(m.Description()))
		if m.Type() == pmetric.MetricTypeHistogram {
			requireSoundHistograms(t, m.Histogram())
		}
	}
}

func requireSoundHistograms(t *testing.T, h pmetric.Histogram) {
	require.NotZero(t, h.DataPoints().Len())
	for _, p := range h.DataPoints().All() {
		bounds := p.ExplicitBounds().AsRaw()
		for i := 1; i < len(bounds); i++ {
			require.Less(t, bounds[i-1], bounds[i])
		}
		var sum uint64
		for _, c := range p.BucketCounts().All() {
			require.LessOrEqual(t, c, p.Count())
			sum += c
		}
		require.Equal(t, p.Count(), sum)
		require.Equal(t, len(bounds)+1, p.BucketCounts().Len())
	}
}
