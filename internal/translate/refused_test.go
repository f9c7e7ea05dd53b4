// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

const prefix = "pushed metrics are invalid or inconsistent with existing metrics: "

// refusal returns the error of a refused push, without the prefix of an inconsistency.
func refusal(t *testing.T, format exposition.Format, path, body string, o translate.Options) string {
	push, err := translate.Translate(decode(t, format, body), keyOf(t, path), o)
	require.Error(t, err)
	require.Nil(t, push)
	var inconsistent *translate.InconsistentError
	require.ErrorAs(t, err, &inconsistent)
	text, ok := strings.CutPrefix(err.Error(), prefix)
	require.True(t, ok, err.Error())
	return text
}

func TestRefusedText(t *testing.T) {
	t.Parallel()
	const before = " was collected before with the same name and label values"
	for name, c := range map[string]struct{ path, body, want string }{
		"timestamp":                      {"job/j", "a 1\nb 1 1000\n", "pushed metrics must not have timestamps"},
		"timestamp of zero":              {"job/j", "a 1 0\n", "pushed metrics must not have timestamps"},
		"same series":                    {"job/j", "a 1\na 2\n", `collected metric "a" {instance="",job="j"} (line 2)` + before},
		"same series, other order":       {"job/j", "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n", `collected metric "a" {instance="",job="j",x="1",y="2"} (line 2)` + before},
		"same by an empty label":         {"job/j", "a{x=\"\"} 1\na 2\n", `collected metric "a" {instance="",job="j"} (line 2)` + before},
		"same by the grouping key":       {"job/j/zone/k", "a{zone=\"1\"} 1\na{zone=\"2\"} 2\n", `collected metric "a" {instance="",job="j",zone="k"} (line 2)` + before},
		"same by the job":                {"job/j", "a{job=\"1\"} 1\na{job=\"2\"} 2\n", `collected metric "a" {instance="",job="j"} (line 2)` + before},
		"same by an empty key label":     {"job/j/zone/", "a{zone=\"1\"} 1\na 2\n", `collected metric "a" {instance="",job="j",zone=""} (line 2)` + before},
		"same by the instance":           {"job/j/instance/i", "a{instance=\"1\"} 1\na{instance=\"2\"} 2\n", `collected metric "a" {instance="i",job="j"} (line 2)` + before},
		"same scope and labels":          {"job/j", "a{otel_scope_name=\"s\",x=\"1\"} 1\na{x=\"1\",otel_scope_name=\"s\"} 2\n", `collected metric "a" {instance="",job="j",otel_scope_name="s",x="1"} (line 2)` + before},
		"reserved label":                 {"job/j", "a{__x=\"b\"} 1\n", `collected metric "a" {__x="b",instance="",job="j"} (line 1) has a label with an invalid name: __x`},
		"reserved label without value":   {"job/j", "a{__x=\"\"} 1\n", `collected metric "a" {__x="",instance="",job="j"} (line 1) has a label with an invalid name: __x`},
		"same bucket":                    {"job/j", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1\nh_count 1\n", `collected metric "h_bucket" {instance="",job="j",le="1"} (line 2)` + before},
		"same bucket at -0":              {"job/j", "# TYPE h histogram\nh_bucket{le=\"-0\"} 1\nh_bucket{le=\"0\"} 1\nh_bucket{le=\"-0\"} 1\n", `collected metric "h_bucket" {instance="",job="j",le="-0"} (line 2)` + before},
		"same quantile":                  {"job/j", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 1\ns{quantile=\".5\"} 1\n", `collected metric "s" {instance="",job="j",quantile="0.5"} (line 2)` + before},
		"quantiles of -0 and 0":          {"job/j", "# TYPE s summary\ns{quantile=\"-0\"} 1\ns{quantile=\"0\"} 1\n", `collected metric "s" {instance="",job="j",quantile="0"} (line 2)` + before},
		"le in the key":                  {"job/j/le/1", "# TYPE h histogram\nh_count 1\n", `the grouping key sets the label "le", which the series of the histogram "h" use themselves`},
		"empty le in the key":            {"job/j/le/", "# TYPE h histogram\nh_count 1\n", `the grouping key sets the label "le", which the series of the histogram "h" use themselves`},
		"le in the key, gauge histogram": {"job/j/le/1", "# TYPE h gaugehistogram\nh_count 1\n", `the grouping key sets the label "le", which the series of the gauge histogram "h" use themselves`},
		"quantile in the key":            {"job/j/quantile/1", "# TYPE s summary\ns_count 1\n", `the grouping key sets the label "quantile", which the series of the summary "s" use themselves`},
		"count, then its summary":        {"job/j", "x_count 1\n# TYPE x summary\nx_sum 3\n", `collected metric named "x_count" collides with previously collected summary named "x"`},
		"sum, then its summary":          {"job/j", "x_sum 1\n# TYPE x summary\nx_count 3\n", `collected metric named "x_sum" collides with previously collected summary named "x"`},
		"bucket, then its histogram":     {"job/j", "x_bucket 1\n# TYPE x histogram\nx_count 3\n", `collected metric named "x_bucket" collides with previously collected histogram named "x"`},
		"sum, then its gauge histogram":  {"job/j", "x_sum 1\n# TYPE x gaugehistogram\nx_count 3\n", `collected metric named "x_sum" collides with previously collected gauge histogram named "x"`},
		"histogram named like a sum":     {"job/j", "# TYPE x_sum histogram\nx_sum_count 1\n# TYPE x histogram\nx_count 3\n", `collected metric named "x_sum" collides with previously collected histogram named "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, refusal(t, exposition.Text, c.path, c.body, defaults))
		})
	}
}

func TestRefusedSharedNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"TYPE after samples":  {"a 1\n# TYPE a gauge\na 1\n", `metric family "a" is pushed twice, as unknown and as gauge`},
		"counter's full name": {"# TYPE a_total gauge\na_total 1\n# TYPE a counter\na_total 2\n", `metric family "a_total" is pushed twice, as gauge and as counter`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, refusal(t, exposition.OpenMetrics, "job/j", c.body, translate.Options{}))
		})
	}
}

func TestRefusedProtobuf(t *testing.T) {
	t.Parallel()
	native := func(fields string) string {
		return `name: "h" type: HISTOGRAM metric { histogram { sample_count: 9 ` + fields + ` } }`
	}
	const series = `collected metric "h" {instance="",job="j"} `
	for name, c := range map[string]struct{ body, want string }{
		"no name":                           {`type: GAUGE metric { gauge { value: 1 } }`, `metric family without a name`},
		"name not utf8":                     {`name: "\xff" type: GAUGE metric { gauge { value: 1 } }`, `metric family whose name is not utf8: "\xff"`},
		"no counter":                        {`name: "a" metric { gauge { value: 1 } }`, `collected metric "a" {instance="",job="j"} is not a COUNTER`},
		"no gauge":                          {`name: "a" type: GAUGE metric { counter { value: 1 } }`, `collected metric "a" {instance="",job="j"} is not a GAUGE`},
		"no summary":                        {`name: "a" type: SUMMARY metric { counter { value: 1 } }`, `collected metric "a" {instance="",job="j"} is not a SUMMARY`},
		"no untyped":                        {`name: "a" type: UNTYPED metric { counter { value: 1 } }`, `collected metric "a" {instance="",job="j"} is not a UNTYPED`},
		"no histogram":                      {`name: "a" type: HISTOGRAM metric { counter { value: 1 } }`, `collected metric "a" {instance="",job="j"} is not a HISTOGRAM`},
		"no gauge histogram":                {`name: "a" type: GAUGE_HISTOGRAM metric { gauge { value: 1 } }`, `collected metric "a" {instance="",job="j"} is not a GAUGE_HISTOGRAM`},
		"no value":                          {`name: "a" type: GAUGE metric { label { name: "x" value: "1" } }`, `collected metric "a" {instance="",job="j",x="1"} is not a GAUGE`},
		"job twice":                         {`name: "a" type: GAUGE metric { label { name: "job" value: "x" } label { name: "job" value: "y" } gauge { value: 1 } }`, `collected metric "a" {instance="",job="j"} has two or more labels with the same name: job`},
		"label twice":                       {`name: "a" type: GAUGE metric { label { name: "x" value: "" } label { name: "y" value: "" } label { name: "x" value: "1" } gauge { value: 1 } }`, `collected metric "a" {instance="",job="j",x="",x="1",y=""} has two or more labels with the same name: x`},
		"label without a name":              {`name: "a" type: GAUGE metric { label { name: "" value: "1" } gauge { value: 1 } }`, `collected metric "a" {""="1",instance="",job="j"} has a label with an invalid name: `},
		"label name not utf8":               {`name: "a" type: GAUGE metric { label { name: "\xff" value: "1" } gauge { value: 1 } }`, `collected metric "a" {instance="",job="j","\xff"="1"} has a label with an invalid name: ` + "\xff"},
		"label named __name__":              {`name: "a" type: GAUGE metric { label { name: "__name__" value: "b" } gauge { value: 1 } }`, `collected metric "a" {__name__="b",instance="",job="j"} has a label with an invalid name: __name__`},
		"label value not utf8":              {`name: "a" type: GAUGE metric { label { name: "l" value: "\xff" } gauge { value: 1 } }`, `collected metric "a" {instance="",job="j",l="\xff"} has a label named "l" whose value is not utf8: "\xff"`},
		"quantile label":                    {`name: "s" type: SUMMARY metric { label { name: "quantile" value: "1" } summary { } }`, `collected metric "s" {instance="",job="j",quantile="1"} must not have an explicit "quantile" label`},
		"le label":                          {`name: "h" type: HISTOGRAM metric { label { name: "le" value: "1" } histogram { } }`, `collected metric "h" {instance="",job="j",le="1"} must not have an explicit "le" label`},
		"le label, gauge histogram":         {`name: "h" type: GAUGE_HISTOGRAM metric { label { name: "le" value: "" } histogram { } }`, `collected metric "h" {instance="",job="j",le=""} must not have an explicit "le" label`},
		"count before its summary":          {"name: \"x_count\" type: GAUGE metric { gauge { value: 1 } }\n\nname: \"x\" type: SUMMARY metric { summary { } }", `collected metric named "x_count" collides with previously collected summary named "x"`},
		"summary before its count":          {"name: \"x\" type: SUMMARY metric { summary { } }\n\nname: \"x_count\" type: GAUGE metric { gauge { value: 1 } }", `collected metric named "x_count" collides with previously collected summary named "x"`},
		"histogram before its sum":          {"name: \"x\" type: HISTOGRAM metric { histogram { } }\n\nname: \"x_sum\" type: GAUGE metric { gauge { value: 1 } }", `collected metric named "x_sum" collides with previously collected histogram named "x"`},
		"NaN bound twice":                   {`name: "h" type: HISTOGRAM metric { histogram { bucket { upper_bound: nan } bucket { upper_bound: nan } } }`, `collected metric "h_bucket" {instance="",job="j",le="NaN"} was collected before with the same name and label values`},
		"bound twice, gauge histogram":      {`name: "h" type: GAUGE_HISTOGRAM metric { histogram { bucket { upper_bound: 1 } bucket { upper_bound: 1 } } }`, `collected metric "h_bucket" {instance="",job="j",le="1"} was collected before with the same name and label values`},
		"schema too large, gauge histogram": {`name: "h" type: GAUGE_HISTOGRAM metric { histogram { schema: 9 zero_count: 1 } }`, series + `has native buckets of schema 9; only -4 to 8 can be mapped to OTLP`},
		"family of two types":               {"name: \"a\" type: GAUGE metric { gauge { value: 1 } }\n\nname: \"b\" metric { counter { value: 1 } }\n\nname: \"a\" metric { label { name: \"x\" value: \"1\" } counter { value: 1 } }", `metric family "a" is pushed twice, as gauge and as counter`},
		"series in two families":            {"name: \"a\" metric { label { name: \"x\" value: \"1\" } counter { value: 1 } }\n\nname: \"b\" metric { counter { value: 1 } }\n\nname: \"a\" metric { label { name: \"x\" value: \"1\" } counter { value: 2 } }", `collected metric "a" {instance="",job="j",x="1"} was collected before with the same name and label values`},
		"gcount of a gauge histogram":       {"name: \"x\" type: GAUGE_HISTOGRAM metric { histogram { } }\n\nname: \"x_gcount\" type: GAUGE metric { gauge { value: 1 } }", `collected metric named "x_gcount" collides with previously collected gauge histogram named "x"`},
		"schema too large":                  {native(`schema: 9 positive_span { offset: 1 length: 1 } positive_delta: 1`), series + `has native buckets of schema 9; only -4 to 8 can be mapped to OTLP`},
		"schema too small":                  {native(`schema: -5 positive_span { offset: 1 length: 1 } positive_delta: 1`), series + `has native buckets of schema -5; only -4 to 8 can be mapped to OTLP`},
		"custom buckets":                    {native(`schema: -53 positive_span { offset: 1 length: 1 } positive_delta: 1`), series + `has custom buckets (schema -53), whose bounds the protobuf format does not carry`},
		"more spans than counts":            {native(`schema: 1 positive_span { offset: 1 length: 3 } positive_delta: 1`), series + `has more native buckets in its spans than counts`},
		"span of four billion":              {native(`schema: 1 negative_span { offset: 1 length: 4294967295 } negative_delta: 1`), series + `has more native buckets in its spans than counts`},
		"fewer spans than counts":           {native(`schema: 1 positive_span { offset: 1 length: 1 } positive_count: 1 positive_count: 2`), series + `has fewer native buckets in its spans than counts`},
		"spans overlap":                     {native(`schema: 1 positive_span { offset: 1 length: 1 } positive_span { offset: -1 length: 1 } positive_delta: 1 positive_delta: 1`), series + `has native buckets whose spans overlap`},
		"index too large":                   {native(`schema: 1 positive_span { offset: 2147483647 length: 1 } positive_span { offset: 1 length: 1 } positive_delta: 1 positive_delta: 1`), series + `has a native bucket beyond the range of a float64`},
		"index too small":                   {native(`schema: 1 positive_span { offset: -2147483648 length: 1 } positive_delta: 1`), series + `has a native bucket beyond the range of a float64`},
		"spans far apart":                   {native(`schema: 1 positive_span { offset: -2000000000 length: 1 } positive_span { offset: 2000000000 length: 1 } positive_delta: 1 positive_delta: 1`), series + `has native buckets too far apart: 2000000000 empty ones between them`},
		"zero threshold NaN":                {native(`schema: 1 zero_threshold: nan positive_span { offset: 1 length: 1 } positive_delta: 1`), series + `has an invalid zero threshold: NaN`},
		"zero threshold negative":           {native(`schema: 1 zero_threshold: -1 positive_span { offset: 1 length: 1 } positive_delta: 1`), series + `has an invalid zero threshold: -1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, refusal(t, exposition.Protobuf, "job/j", c.body, defaults))
		})
	}
}

func TestRefusedHonor(t *testing.T) {
	t.Parallel()
	o := defaults
	o.Timestamps = translate.Honor
	for name, c := range map[string]struct{ body, want string }{
		"same series and time": {"a 1 5\na 1 6\na 1 5\n", `collected metric "a" {instance="",job="j"} (line 3) was collected before with the same name and label values`},
		"zero":                 {"a 1 5\nb 1 0\n", `collected metric "b" {instance="",job="j"} (line 2) has a timestamp that cannot be forwarded: 0; it must be from 1 to 9223372036854 milliseconds since 1970`},
		"negative":             {"a 1 -5\n", `collected metric "a" {instance="",job="j"} (line 1) has a timestamp that cannot be forwarded: -5; it must be from 1 to 9223372036854 milliseconds since 1970`},
		"too large":            {"a 1 9223372036855\n", `collected metric "a" {instance="",job="j"} (line 1) has a timestamp that cannot be forwarded: 9223372036855; it must be from 1 to 9223372036854 milliseconds since 1970`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, refusal(t, exposition.Text, "job/j", c.body, o))
		})
	}
}

func TestRefusalIsShort(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("ü", 1000)
	body := strings.Repeat("a{x=\""+value+"\",y=\""+value+"\",z=\"1\"} 1\n", 2)
	got := refusal(t, exposition.Text, "job/j", body, defaults)
	assert.Less(t, len(got), 1000)
	assert.True(t, strings.HasPrefix(got, `collected metric "a" {instance="",job="j",x="üü`), got)
	assert.True(t, strings.HasSuffix(got, `ü…",…} (line 2) was collected before with the same name and label values`), got)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, body string
		limits     translate.Limits
		want       string
	}{
		"series":                  {"job/j", "a 1\nb 1\nc 1\n", translate.Limits{SeriesPerPush: 2}, "the push has 3 series; the limit series_per_push is 2"},
		"series of a histogram":   {"job/j", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n", translate.Limits{SeriesPerPush: 3}, "the push has 4 series; the limit series_per_push is 3"},
		"series of a summary":     {"job/j", "# TYPE s summary\ns{quantile=\"1\"} 1\ns_count 1\n", translate.Limits{SeriesPerPush: 2}, "the push has 3 series; the limit series_per_push is 2"},
		"labels":                  {"job/j/instance/i/zone/z", "a{x=\"1\",zone=\"b\",none=\"\"} 1\n", translate.Limits{LabelsPerSeries: 3}, `collected metric "a" {instance="i",job="j",none="",x="1",zone="z"} (line 1) has 4 labels; the limit labels_per_series is 3`},
		"labels of the scope":     {"job/j", "a{otel_scope_name=\"1\"} 1\n", translate.Limits{LabelsPerSeries: 1}, `collected metric "a" {instance="",job="j",otel_scope_name="1"} (line 1) has 2 labels; the limit labels_per_series is 1`},
		"labels of the key":       {"job/j/instance/i/zone/z", "", translate.Limits{LabelsPerSeries: 2}, `the grouping key {job="j",instance="i",zone="z"} has 3 labels; the limit labels_per_series is 2`},
		"value":                   {"job/j", "a{x=\"12345\"} 1\n", translate.Limits{LabelValueLength: 4}, `collected metric "a" {instance="",job="j",x="12345"} (line 1) has a label named "x" whose value is 5 bytes long; the limit label_value_length is 4`},
		"value of the job":        {"job/12345", "a 1\n", translate.Limits{LabelValueLength: 4}, `the grouping key {job="12345"} has a label named "job" whose value is 5 bytes long; the limit label_value_length is 4`},
		"key before timestamps":   {"job/12345", "a 1 1\n", translate.Limits{LabelValueLength: 4}, `the grouping key {job="12345"} has a label named "job" whose value is 5 bytes long; the limit label_value_length is 4`},
		"value of the key":        {"job/j/instance/12345", "a 1\n", translate.Limits{LabelValueLength: 4}, `the grouping key {job="j",instance="12345"} has a label named "instance" whose value is 5 bytes long; the limit label_value_length is 4`},
		"push_time_seconds apart": {"job/j", "a 1\npush_time_seconds 1\n", translate.Limits{SeriesPerPush: 1}, ""},
		"all within":              {"job/j/zone/z", "# TYPE h histogram\nh_bucket{x=\"1\",le=\"100000\"} 1\nh_count{x=\"1\"} 1\n", translate.Limits{SeriesPerPush: 4, LabelsPerSeries: 3, LabelValueLength: 1}, ""},
		"overridden value":        {"job/j/zone/z", "a{zone=\"12345\"} 1\n", translate.Limits{LabelValueLength: 4, LabelsPerSeries: 2}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := defaults
			o.Limits, o.PushTime = c.limits, true
			_, err := translate.Translate(decode(t, exposition.Text, c.body), keyOf(t, c.path), o)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var limit *translate.LimitError
			require.ErrorAs(t, err, &limit)
			assert.Equal(t, c.want, err.Error())
			assert.Greater(t, limit.Got, limit.Max)
			assert.Contains(t, err.Error(), limit.Limit)
		})
	}
}
