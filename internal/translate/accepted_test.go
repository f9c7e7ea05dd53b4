// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// lines joins the series of a push as the tables write them.
func lines(all ...string) string { return strings.Join(all, "\n") }

func TestSeries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, body, want string }{
		"nothing":                            {"job/j", "", ""},
		"comments only":                      {"job/j", "# TYPE a counter\n# x\n", ""},
		"no label":                           {"job/j", "a 1\n", `a{job="j"} 1`},
		"job with a slash":                   {"job@base64/bnMvbmFtZQ", "a 1\n", `a{job="ns/name"} 1`},
		"grouping labels":                    {"job/j/zone/z/instance/i", "a{x=\"1\"} 1\n", `a{instance="i",job="j",x="1",zone="z"} 1`},
		"empty grouping labels":              {"job/j/zone//instance/", "a 1\n", `a{job="j"} 1`},
		"body job":                           {"job/j", "a{job=\"other\"} 1\n", `a{job="j"} 1`},
		"body instance":                      {"job/j", "a{instance=\"i\"} 1\n", `a{instance="i",job="j"} 1`},
		"body instance, key instance":        {"job/j/instance/k", "a{instance=\"i\"} 1\n", `a{instance="k",job="j"} 1`},
		"body instance, empty key instance":  {"job/j/instance/", "a{instance=\"i\"} 1\n", `a{job="j"} 1`},
		"body label, key label":              {"job/j/zone/k", "a{zone=\"i\",x=\"1\"} 1\n", `a{job="j",x="1",zone="k"} 1`},
		"body label, empty key label":        {"job/j/zone/", "a{zone=\"i\",x=\"1\"} 1\n", `a{job="j",x="1"} 1`},
		"empty body label":                   {"job/j", "a{x=\"\",y=\"1\"} 1\n", `a{job="j",y="1"} 1`},
		"labels that change from one series": {"job/j", "a{x=\"1\",y=\"1\"} 1\na{y=\"1\"} 2\na{x=\"1\"} 3\na{y=\"2\",x=\"1\"} 4\na 5\n", lines(`a{job="j",x="1",y="1"} 1`, `a{job="j",y="1"} 2`, `a{job="j",x="1"} 3`, `a{job="j",x="1",y="2"} 4`, `a{job="j"} 5`)},
		"swapped names and values":           {"job/j", "a{x=\"1\",y=\"2\"} 1\na{x=\"2\",y=\"1\"} 2\na{y=\"1\",z=\"2\"} 3\n", lines(`a{job="j",x="1",y="2"} 1`, `a{job="j",x="2",y="1"} 2`, `a{job="j",y="1",z="2"} 3`)},
		"same labels in two families":        {"job/j", "a{x=\"1\"} 1\nb{x=\"1\"} 2\n", lines(`a{job="j",x="1"} 1`, `b{job="j",x="1"} 2`)},
		"le and quantile on numbers":         {"job/j/le/1", "h_bucket{quantile=\"2\"} 1\n", `h_bucket{job="j",le="1",quantile="2"} 1`},
		"quantile on a histogram":            {"job/j", "# TYPE h histogram\nh_count{quantile=\"1\"} 0\n", lines(`h_bucket{job="j",le="+Inf",quantile="1"} 0`, `h_sum{job="j",quantile="1"} 0`, `h_count{job="j",quantile="1"} 0`)},
		"special values":                     {"job/j", "a NaN\nb +Inf\nc -Inf\n# TYPE d counter\nd -1\n", lines(`a{job="j"} NaN`, `b{job="j"} +Inf`, `c{job="j"} -Inf`, `d{job="j"} -1`)},
		"scope labels":                       {"job/j", "a{otel_scope_name=\"s\",otel_scope_version=\"1\",otel_scope_schema_url=\"u\",otel_scope_x=\"2\",y=\"3\"} 1\n", `a{job="j",otel_scope_name="s",otel_scope_schema_url="u",otel_scope_version="1",otel_scope_x="2",y="3"} 1`},
		"several scopes":                     {"job/j", "a{otel_scope_name=\"s\"} 1\na{otel_scope_name=\"t\"} 2\na 3\na{otel_scope_name=\"s\",x=\"1\"} 4\nb{otel_scope_name=\"t\"} 5\n", lines(`a{job="j",otel_scope_name="s"} 1`, `a{job="j",otel_scope_name="s",x="1"} 4`, `a{job="j",otel_scope_name="t"} 2`, `b{job="j",otel_scope_name="t"} 5`, `a{job="j"} 3`)},
		"scope without a name":               {"job/j", "a{otel_scope_x=\"1\"} 1\n", `a{job="j",otel_scope_x="1"} 1`},
		"empty scope label":                  {"job/j", "a{otel_scope_name=\"\"} 1\n", `a{job="j"} 1`},
		"scope of the key":                   {"job/j/otel_scope_name/k", "a{otel_scope_name=\"s\"} 1\na{otel_scope_version=\"1\"} 2\n", lines(`a{job="j",otel_scope_name="k"} 1`, `a{job="j",otel_scope_name="k",otel_scope_version="1"} 2`)},
		"label named like the prefix":        {"job/j", "a{otel_scope_=\"1\"} 1\n", `a{job="j",otel_scope_="1"} 1`},
		"target_info is a metric":            {"job/j", "# TYPE target_info gauge\ntarget_info{service_name=\"forged\"} 1\n", `target_info{job="j",service_name="forged"} 1`},
		"classic histogram":                  {"job/j", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 5\nh_bucket{le=\"+Inf\"} 6\nh_sum 7.5\nh_count 6\n", lines(`h_bucket{job="j",le="1"} 2`, `h_bucket{job="j",le="2"} 5`, `h_bucket{job="j",le="+Inf"} 6`, `h_sum{job="j"} 7.5`, `h_count{job="j"} 6`)},
		"unordered buckets":                  {"job/j", "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 6\nh_bucket{le=\"2\"} 5\nh_bucket{le=\"-1\"} 2\nh_count 6\n", lines(`h_bucket{job="j",le="-1"} 2`, `h_bucket{job="j",le="2"} 5`, `h_bucket{job="j",le="+Inf"} 6`, `h_sum{job="j"} 0`, `h_count{job="j"} 6`)},
		"no +Inf bucket":                     {"job/j", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 6\n", lines(`h_bucket{job="j",le="1"} 2`, `h_bucket{job="j",le="+Inf"} 6`, `h_sum{job="j"} 0`, `h_count{job="j"} 6`)},
		"no count, nothing in the buckets":   {"job/j", "# TYPE h histogram\nh_bucket{le=\"1\"} 0\nh_sum 3\n", lines(`h_bucket{job="j",le="1"} 0`, `h_bucket{job="j",le="+Inf"} 0`, `h_sum{job="j"} 3`, `h_count{job="j"} 0`)},
		"summary":                            {"job/j", "# TYPE s summary\ns{quantile=\"0.9\"} 2\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 4\n", lines(`s{job="j",quantile="0.9"} 2`, `s{job="j",quantile="0.5"} 1`, `s_sum{job="j"} 3`, `s_count{job="j"} 4`)},
		"summary without sum and count":      {"job/j", "# TYPE s summary\ns{quantile=\"0\"} NaN\n", lines(`s{job="j",quantile="0"} NaN`, `s_sum{job="j"} 0`, `s_count{job="j"} 0`)},
		"quantile of -0":                     {"job/j", "# TYPE s summary\ns{quantile=\"-0\"} 1\n", lines(`s{job="j",quantile="0"} 1`, `s_sum{job="j"} 0`, `s_count{job="j"} 0`)},
		"suffix of nobody":                   {"job/j", "# TYPE x summary\nx_sum 1\nx_bucket 2\ny_count 3\n", lines(`x_sum{job="j"} 1`, `x_count{job="j"} 0`, `x_bucket{job="j"} 2`, `y_count{job="j"} 3`)},
		"UTF-8 names":                        {"job/j/U__a_2e_b/1", "{\"c.d\",\"e.f\"=\"2\"} 3\n", `c.d{a.b="1",e.f="2",job="j"} 3`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := translated(t, exposition.Text, c.path, c.body, defaults)
			assert.Equal(t, c.want, lines(seriesOf(push.Metrics)...))
			assert.Equal(t, len(seriesOf(push.Metrics)), push.Series)
		})
	}
}

// Data that OTLP cannot represent becomes the series of a Pushgateway.
func TestFlattened(t *testing.T) {
	t.Parallel()
	const sum, count = `h_sum{job="j"} `, `h_count{job="j"} `
	bucket := func(le, v string) string { return `h_bucket{job="j",le="` + le + `"} ` + v }
	for name, c := range map[string]struct{ body, want string }{
		"no count":                  {"h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\n", lines(bucket("1", "2"), bucket("+Inf", "3"), sum+"0", count+"0")},
		"fractions":                 {"h_bucket{le=\"1\"} 2.5\nh_sum 7\nh_count 3\n", lines(bucket("1", "2.5"), bucket("+Inf", "3"), sum+"7", count+"3")},
		"fractional count":          {"h_bucket{le=\"1\"} 2\nh_count 3.5\n", lines(bucket("1", "2"), bucket("+Inf", "3.5"), sum+"0", count+"3.5")},
		"NaN":                       {"h_bucket{le=\"1\"} NaN\nh_count 3\n", lines(bucket("1", "NaN"), bucket("+Inf", "3"), sum+"0", count+"3")},
		"falling":                   {"h_bucket{le=\"1\"} 3\nh_bucket{le=\"1000000\"} 2\nh_count 3\n", lines(bucket("1", "3"), bucket("1e+06", "2"), bucket("+Inf", "3"), sum+"0", count+"3")},
		"falling, in another order": {"h_bucket{le=\"2\"} 2\nh_bucket{le=\"1\"} 3\nh_count 3\n", lines(bucket("2", "2"), bucket("1", "3"), bucket("+Inf", "3"), sum+"0", count+"3")},
		"+Inf is not the count":     {"h_bucket{le=\"+Inf\"} 4\nh_count 3\n", lines(bucket("+Inf", "4"), sum+"0", count+"3")},
		"count below the last one":  {"h_bucket{le=\"1\"} 4\nh_count 3\n", lines(bucket("1", "4"), bucket("+Inf", "3"), sum+"0", count+"3")},
		"-0 and 0":                  {"h_bucket{le=\"-0\"} 1\nh_bucket{le=\"0\"} 2\nh_count 3\n", lines(bucket("-0", "1"), bucket("0", "2"), bucket("+Inf", "3"), sum+"0", count+"3")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := translated(t, exposition.Text, "job/j", "# HELP h help\n# TYPE h histogram\n"+c.body, defaults)
			assert.Equal(t, c.want, lines(seriesOf(push.Metrics)...))
			assert.Equal(t, len(seriesOf(push.Metrics)), push.Series)
			for _, m := range metricsOf(push.Metrics) {
				assert.Equal(t, "help", m.Description())
				assert.Equal(t, map[string]any{"prometheus.type": "unknown"}, m.Metadata().AsRaw())
			}
		})
	}
}

// A sum or count that is missing in OpenMetrics stays missing.
func TestPartsNotPushed(t *testing.T) {
	t.Parallel()
	const histogram, gaugeHistogram, summary = "# TYPE h histogram\n", "# TYPE h gaugehistogram\n", "# TYPE s summary\n"
	for name, c := range map[string]struct {
		body, want string
		metrics    int
	}{
		"histogram without sum": {
			histogram + "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n",
			lines(`h_bucket{job="j",le="1"} 1`, `h_bucket{job="j",le="+Inf"} 2`, `h_count{job="j"} 2`), 1,
		},
		"histogram of buckets": {
			histogram + "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n",
			lines(`h_bucket{job="j",le="1"} 1`, `h_bucket{job="j",le="+Inf"} 2`), 1,
		},
		"histogram of one bucket": {histogram + "h_bucket{le=\"1\"} 0\n", lines(`h_bucket{job="j",le="1"} 0`), 1},
		"histogram of a sum":      {histogram + "h_sum 1\n", lines(`h_sum{job="j"} 1`), 1},
		"histogram of a count":    {histogram + "h_count 1\n", lines(`h_bucket{job="j",le="+Inf"} 1`, `h_count{job="j"} 1`), 1},
		"histogram of fractions without sum": {
			histogram + "h_bucket{le=\"1\"} 0.5\nh_count 1.5\n",
			lines(`h_bucket{job="j",le="1"} 0.5`, `h_bucket{job="j",le="+Inf"} 1.5`, `h_count{job="j"} 1.5`), 2,
		},
		"gauge histogram of buckets": {gaugeHistogram + "h_bucket{le=\"+Inf\"} 1\n", lines(`h_bucket{job="j",le="+Inf"} 1`), 1},
		"gauge histogram without sum": {
			gaugeHistogram + "h_bucket{le=\"+Inf\"} 1\nh_gcount 1\n",
			lines(`h_bucket{job="j",le="+Inf"} 1`, `h_gcount{job="j"} 1`), 2,
		},
		"summary without sum": {summary + "s{quantile=\"0.5\"} 1\ns_count 2\n", lines(`s{job="j",quantile="0.5"} 1`, `s_count{job="j"} 2`), 2},
		"summary of quantiles": {
			summary + "s{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 2\n",
			lines(`s{job="j",quantile="0.5"} 1`, `s{job="j",quantile="0.9"} 2`), 1,
		},
		"summary of a sum": {summary + "s_sum 1\n", lines(`s_sum{job="j"} 1`), 1},
		"only one summary without sum": {
			summary + "s_sum{x=\"1\"} 1\ns_count{x=\"1\"} 2\ns_count{x=\"2\"} 3\n",
			lines(`s_sum{job="j",x="1"} 1`, `s_count{job="j",x="1"} 2`, `s_count{job="j",x="2"} 3`), 2,
		},
		"summary of all parts": {summary + "s{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n", lines(`s{job="j",quantile="0.5"} 1`, `s_sum{job="j"} 2`, `s_count{job="j"} 3`), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := translated(t, exposition.OpenMetrics, "job/j", c.body+"# EOF\n", defaults)
			assert.Equal(t, c.want, lines(seriesOf(push.Metrics)...))
			assert.Equal(t, len(seriesOf(push.Metrics)), push.Series)
			assert.Len(t, metricsOf(push.Metrics), c.metrics)
		})
	}
}

// Only points that OTLP cannot represent are flattened.
func TestFlattenedBesideHistogram(t *testing.T) {
	t.Parallel()
	push := translated(t, exposition.Text, "job/j", "# TYPE h histogram\nh_count{x=\"1\"} 1\nh_count{x=\"2\"} 2.5\nh_count{x=\"3\"} 3\n", defaults)
	metrics := metricsOf(push.Metrics)
	assert.Len(t, metrics, 4)
	assert.Equal(t, 2, metrics["h"].Histogram().DataPoints().Len())
	assert.Equal(t, 1, metrics["h_bucket"].Gauge().DataPoints().Len())
}

func TestGaugeHistogram(t *testing.T) {
	t.Parallel()
	text := translated(t, exposition.Text, "job/j", "# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nh_count 1\n", defaults)
	assert.Equal(t, lines(`h_bucket{job="j",le="1"} 1`, `h_bucket{job="j",le="+Inf"} 1`, `h_sum{job="j"} 2`, `h_count{job="j"} 1`), lines(seriesOf(text.Metrics)...))
	om := translated(t, exposition.OpenMetrics, "job/j", "# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_gcount 2\nh_gsum 2\n# EOF\n", defaults)
	assert.Equal(t, lines(`h_bucket{job="j",le="1"} 1`, `h_bucket{job="j",le="+Inf"} 2`, `h_gsum{job="j"} 2`, `h_gcount{job="j"} 2`), lines(seriesOf(om.Metrics)...))
}

func TestGaugeHistogramNative(t *testing.T) {
	t.Parallel()
	push := translated(t, exposition.Protobuf, "job/j", `name: "h" type: GAUGE_HISTOGRAM metric { histogram {
		sample_count: 3 sample_sum: 2 schema: 0 zero_count: 1 positive_span { offset: 1 length: 1 } positive_delta: 2 } }`, defaults)
	assert.Equal(t, lines(`h_bucket{job="j",le="0"} 1`, `h_bucket{job="j",le="2"} 3`, `h_bucket{job="j",le="+Inf"} 3`, `h_sum{job="j"} 2`, `h_count{job="j"} 3`), lines(seriesOf(push.Metrics)...))
}

func TestFlattenedNative(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ fields, want string }{
		"fractions": {
			`sample_count_float: 7.5 sample_sum: 3 schema: 0 zero_threshold: 0.001 zero_count_float: 1 positive_span { offset: 0 length: 2 } positive_span { offset: 1 length: 1 } positive_count: 1.5 positive_count: 2 positive_count: 1 negative_span { offset: 1 length: 1 } negative_count: 2`,
			lines(`h_bucket{job="j",le="-1"} 2`, `h_bucket{job="j",le="0.001"} 3`, `h_bucket{job="j",le="1"} 4.5`, `h_bucket{job="j",le="2"} 6.5`, `h_bucket{job="j",le="8"} 7.5`, `h_bucket{job="j",le="+Inf"} 7.5`, `h_sum{job="j"} 3`, `h_count{job="j"} 7.5`),
		},
		"negative": {
			`sample_count: 1 schema: 1 positive_span { offset: 2 length: 1 } positive_delta: -1`,
			lines(`h_bucket{job="j",le="0"} 0`, `h_bucket{job="j",le="2"} -1`, `h_bucket{job="j",le="+Inf"} 1`, `h_sum{job="j"} 0`, `h_count{job="j"} 1`),
		},
		"count too small": {
			`sample_count: 1 schema: -4 positive_span { offset: 1 length: 2 } positive_delta: 1 positive_delta: 0`,
			lines(`h_bucket{job="j",le="0"} 0`, `h_bucket{job="j",le="65536"} 1`, `h_bucket{job="j",le="4.294967296e+09"} 2`, `h_bucket{job="j",le="+Inf"} 1`, `h_sum{job="j"} 0`, `h_count{job="j"} 1`),
		},
		"bounds beyond all numbers": {
			`sample_count: 1 schema: -4 positive_span { offset: -2000 length: 2 } positive_span { offset: 2000 length: 1 } positive_span { offset: 1000 length: 1 } positive_delta: 1 positive_delta: 0 positive_delta: 0 positive_delta: 0`,
			lines(`h_bucket{job="j",le="0"} 2`, `h_bucket{job="j",le="4.294967296e+09"} 3`, `h_bucket{job="j",le="+Inf"} 1`, `h_sum{job="j"} 0`, `h_count{job="j"} 1`),
		},
		"below the zero threshold": {
			`sample_count_float: 0.5 schema: 0 zero_threshold: 4 zero_count: 1 positive_span { offset: 1 length: 2 } positive_count: 1 positive_count: 1`,
			lines(`h_bucket{job="j",le="2"} 1`, `h_bucket{job="j",le="4"} 3`, `h_bucket{job="j",le="+Inf"} 0.5`, `h_sum{job="j"} 0`, `h_count{job="j"} 0.5`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := translated(t, exposition.Protobuf, "job/j", `name: "h" type: HISTOGRAM metric { histogram { `+c.fields+` } }`, defaults)
			assert.Equal(t, c.want, lines(seriesOf(push.Metrics)...))
			assert.Equal(t, 1, push.Series)
		})
	}
}

func TestNative(t *testing.T) {
	t.Parallel()
	type side struct {
		offset int32
		counts []uint64
	}
	for name, c := range map[string]struct {
		fields             string
		count, zero        uint64
		positive, negative side
	}{
		"deltas":                    {`sample_count: 9 zero_count: 1 zero_threshold: 1e-128 schema: 3 positive_span { offset: 5 length: 2 } positive_span { offset: 2 length: 1 } positive_delta: 2 positive_delta: 1 positive_delta: -2`, 9, 1, side{4, []uint64{2, 3, 0, 0, 1}}, side{}},
		"both sides":                {`sample_count: 4 schema: 3 positive_span { offset: -5 length: 1 } positive_delta: 2 negative_span { offset: 0 length: 1 } negative_delta: 2`, 4, 0, side{-6, []uint64{2}}, side{-1, []uint64{2}}},
		"whole floats":              {`sample_count_float: 3 zero_count_float: 1 schema: 3 positive_span { offset: 1 length: 2 } positive_count: 1 positive_count: 1`, 3, 1, side{0, []uint64{1, 1}}, side{}},
		"observations of NaN":       {`sample_count: 5 schema: 3 positive_span { offset: 1 length: 1 } positive_delta: 2`, 5, 0, side{0, []uint64{2}}, side{}},
		"nothing observed":          {`sample_count: 0 schema: 3 positive_span { offset: 0 length: 0 }`, 0, 0, side{}, side{}},
		"only a zero threshold":     {`sample_count: 0 zero_threshold: 0.1 schema: 3`, 0, 0, side{}, side{}},
		"zero spans in between":     {`sample_count: 2 schema: 3 positive_span { offset: 1 length: 1 } positive_span { offset: 1 length: 0 } positive_span { offset: 1 length: 1 } positive_delta: 1 positive_delta: 0`, 2, 0, side{0, []uint64{1, 0, 0, 1}}, side{}},
		"a classic bucket for +Inf": {`sample_count: 2 bucket { upper_bound: inf cumulative_count: 2 } schema: 3 positive_span { offset: 1 length: 1 } positive_delta: 2`, 2, 0, side{0, []uint64{2}}, side{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := translated(t, exposition.Protobuf, "job/j", `name: "h" type: HISTOGRAM metric { histogram { sample_sum: 1.5 `+c.fields+` } }`, defaults)
			p := metricsOf(push.Metrics)["h"].ExponentialHistogram().DataPoints().At(0)
			assert.Equal(t, int32(3), p.Scale())
			assert.Equal(t, c.count, p.Count())
			assert.Equal(t, c.zero, p.ZeroCount())
			assert.Equal(t, 1.5, p.Sum())
			positive, negative := p.Positive(), p.Negative()
			assert.Equal(t, c.positive.offset, positive.Offset())
			assert.Equal(t, c.positive.counts, positive.BucketCounts().AsRaw())
			assert.Equal(t, c.negative.offset, negative.Offset())
			assert.Equal(t, c.negative.counts, negative.BucketCounts().AsRaw())
		})
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for unit, want := range map[string]string{
		"": "", "seconds": "s", "milliseconds": "ms", "bytes": "By", "mebibytes": "MiBy", "ratio": "1", "percent": "%",
		"celsius": "Cel", "requests": "requests", "Seconds": "Seconds", `\xff`: "\uFFFD",
	} {
		push := translated(t, exposition.Protobuf, "job/j", `name: "a" unit: "`+unit+`" type: GAUGE metric { gauge { value: 1 } }`, defaults)
		assert.Equal(t, want, metricsOf(push.Metrics)["a"].Unit(), unit)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	push := translated(t, exposition.Text, "job/j", "# HELP a one \xff\xfe two\na 1\n", defaults)
	assert.Equal(t, "one \uFFFD two", metricsOf(push.Metrics)["a"].Description())
}

func TestPushTime(t *testing.T) {
	t.Parallel()
	o := defaults
	o.PushTime = true
	const own = `push_time_seconds{instance="i",job="j",zone="z"} 1.7000000005e+09`
	for name, c := range map[string]struct {
		body, want string
		series     int
	}{
		"nothing pushed":  {"", own, 0},
		"metrics":         {"a 1\n", lines(`a{instance="i",job="j",zone="z"} 1`, own), 1},
		"pushed as well":  {"push_time_seconds{x=\"1\"} 5\na 1\n", lines(`a{instance="i",job="j",zone="z"} 1`, own), 1},
		"as a histogram":  {"# TYPE push_time_seconds histogram\npush_time_seconds_count 1\npush_time_seconds_sum 1\n", own, 0},
		"failed push too": {"push_failure_time_seconds 7\n", lines(`push_failure_time_seconds{instance="i",job="j",zone="z"} 7`, own), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := translated(t, exposition.Text, "job/j/instance/i/zone/z", c.body, o)
			assert.Equal(t, c.want, lines(seriesOf(push.Metrics)...))
			assert.Equal(t, c.series, push.Series)
		})
	}
	off := translated(t, exposition.Text, "job/j", "push_time_seconds 5\n", defaults)
	assert.Equal(t, `push_time_seconds{job="j"} 5`, lines(seriesOf(off.Metrics)...))
}

func TestEmptyPushHasNoResource(t *testing.T) {
	t.Parallel()
	push := translated(t, exposition.Text, "job/j", "", defaults)
	assert.Zero(t, push.DataPoints)
	assert.Zero(t, push.Metrics.ResourceMetrics().Len())
}

func TestStale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"gauge":     {`name: "a" type: GAUGE metric { gauge { value: 1 } }`, `a{job="j"} stale`},
		"counter":   {`name: "a" type: COUNTER metric { counter { value: 1 } }`, `a{job="j"} stale`},
		"summary":   {`name: "s" type: SUMMARY metric { summary { sample_sum: 1 sample_count: 3 quantile { quantile: 0.5 value: 2 } } }`, lines(`s{job="j",quantile="0.5"} 0`, `s_sum{job="j"} 0`, `s_count{job="j"} 0`)},
		"histogram": {`name: "h" type: HISTOGRAM metric { histogram { sample_sum: 1 sample_count: 3 bucket { upper_bound: 1 cumulative_count: 5 } bucket { upper_bound: inf cumulative_count: 3 } } }`, lines(`h_bucket{job="j",le="1"} 0`, `h_bucket{job="j",le="+Inf"} 0`, `h_sum{job="j"} 0`, `h_count{job="j"} 0`)},
		"native":    {`name: "h" type: HISTOGRAM metric { histogram { sample_sum: 1 sample_count: 3 schema: 3 positive_span { offset: 1 length: 1 } positive_delta: 9 } }`, `h{job="j"} 0`},
		"flattened": {`name: "h" type: HISTOGRAM metric { histogram { sample_sum: 1 bucket { upper_bound: nan cumulative_count: 5 } } }`, lines(`h_bucket{job="j",le="NaN"} stale`, `h_bucket{job="j",le="+Inf"} stale`, `h_sum{job="j"} stale`, `h_count{job="j"} stale`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := stalePush(t, c.body)
			assert.Equal(t, c.want, lines(seriesOf(push.Metrics)...))
			for _, m := range metricsOf(push.Metrics) {
				assert.True(t, noRecordedValue(m), m.Name())
			}
		})
	}
}

func TestTimestampsHonored(t *testing.T) {
	t.Parallel()
	o := defaults
	o.Timestamps = translate.Honor
	push := translated(t, exposition.Text, "job/j", "a{x=\"1\"} 1 1500\na{x=\"1\"} 2 2500\na{x=\"1\"} 3\n", o)
	assert.Equal(t, []int64{1500, 2500, now.UnixMilli()}, times(metricsOf(push.Metrics)["a"]))
}

func TestTimestampsDropped(t *testing.T) {
	t.Parallel()
	o := defaults
	o.Timestamps = translate.Drop
	push := translated(t, exposition.Text, "job/j", "a{x=\"1\"} 1 1500\na 2 -7\na{x=\"3\"} 3\n", o)
	assert.Equal(t, []int64{now.UnixMilli(), now.UnixMilli(), now.UnixMilli()}, times(metricsOf(push.Metrics)["a"]))
	assert.Contains(t, refusal(t, exposition.Text, "job/j", "a 1 1500\na 2 2500\n", o), "was collected before")
}

func TestExemplars(t *testing.T) {
	t.Parallel()
	const trace, span = "0123456789abcdef0123456789ABCDEF", "0123456789abcdef"
	for name, c := range map[string]struct {
		labels, trace, span string
		filtered            map[string]any
	}{
		"both IDs":              {`trace_id="` + trace + `",span_id="` + span + `"`, strings.ToLower(trace), span, map[string]any{}},
		"another label":         {`trace_id="` + trace + `",user="7"`, strings.ToLower(trace), "", map[string]any{"user": "7"}},
		"ID too short":          {`trace_id="0123"`, "", "", map[string]any{"trace_id": "0123"}},
		"no hexadecimal digits": {`span_id="0123456789abcdeg"`, "", "", map[string]any{"span_id": "0123456789abcdeg"}},
		"all zero":              {`span_id="0000000000000000"`, "", "", map[string]any{"span_id": "0000000000000000"}},
		"none":                  {``, "", "", map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := translated(t, exposition.OpenMetrics, "job/j", "# TYPE a counter\na_total 1 # {"+c.labels+"} 0.5 1.5\n# EOF\n", defaults)
			e := metricsOf(push.Metrics)["a_total"].Sum().DataPoints().At(0).Exemplars().At(0)
			assert.Equal(t, 0.5, e.DoubleValue())
			assert.Equal(t, int64(1500), e.Timestamp().AsTime().UnixMilli())
			assert.Equal(t, c.trace, e.TraceID().String())
			assert.Equal(t, c.span, e.SpanID().String())
			assert.Equal(t, c.filtered, e.FilteredAttributes().AsRaw())
		})
	}
}

// An exemplar without a time gets its point's.
func TestExemplarTime(t *testing.T) {
	t.Parallel()
	o := defaults
	o.Timestamps = translate.Honor
	push := translated(t, exposition.OpenMetrics, "job/j", "# TYPE a counter\na_total{x=\"1\"} 1 # {} 1\na_total{x=\"2\"} 1 2.5 # {} 1\n# EOF\n", o)
	points := metricsOf(push.Metrics)["a_total"].Sum().DataPoints()
	assert.Equal(t, now.UnixNano(), int64(points.At(0).Exemplars().At(0).Timestamp()))
	assert.Equal(t, int64(2500), points.At(1).Exemplars().At(0).Timestamp().AsTime().UnixMilli())
}

// Exemplar labels are not validated, but invalid UTF-8 could make an exporter fail on the whole batch.
func TestExemplarIsUTF8(t *testing.T) {
	t.Parallel()
	push := translated(t, exposition.Protobuf, "job/j", `name: "h" type: HISTOGRAM metric { histogram { sample_count: 1
		bucket { upper_bound: 2 cumulative_count: 1 exemplar { value: 1 label { name: "\xff" value: "a\xff" } } }
		bucket { upper_bound: 1 cumulative_count: 0 exemplar { value: 2 } } } }`, defaults)
	exemplars := metricsOf(push.Metrics)["h"].Histogram().DataPoints().At(0).Exemplars()
	assert.Equal(t, 2, exemplars.Len())
	assert.Equal(t, map[string]any{"\uFFFD": "a\uFFFD"}, exemplars.At(1).FilteredAttributes().AsRaw())
}
