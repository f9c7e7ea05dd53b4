// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

const (
	text        = exposition.Text
	openMetrics = exposition.OpenMetrics
	protobuf    = exposition.Protobuf
)

// TestFamilies pushes once and reads the text format. TestConformance compares with a Pushgateway.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		push push
		want []string
	}{
		{"no series", push{"job/j", text, "# TYPE a gauge\n"}, nil},
		{"job only", push{"job/j", text, "a 1\n"}, []string{"# TYPE a untyped", `a{instance="",job="j"} 1`}},
		{"instance in the key", push{"job/j/instance/i", text, "a 1\n"}, []string{"# TYPE a untyped", `a{instance="i",job="j"} 1`}},
		{"instance in the body", push{"job/j", text, "a{instance=\"i\"} 1\n"}, []string{"# TYPE a untyped", `a{instance="i",job="j"} 1`}},
		{"empty instance in the key", push{"job/j/instance@base64/=", text, "a{instance=\"i\"} 1\n"}, []string{"# TYPE a untyped", `a{instance="",job="j"} 1`}},
		{"grouping labels", push{"job/j/b/2/x/1", text, "a{b=\"9\",c=\"3\"} 1\n"}, []string{"# TYPE a untyped", `a{b="2",c="3",instance="",job="j",x="1"} 1`}},
		{"empty grouping label", push{"job/j/b@base64/=", text, "a{b=\"9\"} 1\n"}, []string{"# TYPE a untyped", `a{b="",instance="",job="j"} 1`}},
		{"native and classic histograms", push{"job/j", protobuf, `name: "h" type: HISTOGRAM
			metric { label { name: "x" value: "both" } histogram { sample_count: 2 sample_sum: 3 bucket { upper_bound: 1 cumulative_count: 1 } schema: 0 zero_count: 2 } }
			metric { label { name: "x" value: "classic" } histogram { sample_count: 2 sample_sum: 3 bucket { upper_bound: 1 cumulative_count: 1 } } }
			metric { label { name: "x" value: "fraction" } histogram { sample_count: 2 sample_sum: 3 bucket { upper_bound: 1 cumulative_count_float: 0.5 } schema: 0 zero_count: 2 } }
			metric { label { name: "x" value: "native" } histogram { sample_count: 2 sample_sum: 3 schema: 0 zero_count: 2 } }`}, []string{
			"# TYPE h histogram",
			`h_bucket{instance="",job="j",x="both",le="1"} 1`, `h_bucket{instance="",job="j",x="both",le="+Inf"} 2`, `h_sum{instance="",job="j",x="both"} 3`, `h_count{instance="",job="j",x="both"} 2`,
			`h_bucket{instance="",job="j",x="classic",le="1"} 1`, `h_bucket{instance="",job="j",x="classic",le="+Inf"} 2`, `h_sum{instance="",job="j",x="classic"} 3`, `h_count{instance="",job="j",x="classic"} 2`,
			`h_bucket{instance="",job="j",x="fraction",le="1"} 0.5`, `h_bucket{instance="",job="j",x="fraction",le="+Inf"} 2`, `h_sum{instance="",job="j",x="fraction"} 3`, `h_count{instance="",job="j",x="fraction"} 2`,
			`h_bucket{instance="",job="j",x="native",le="+Inf"} 2`, `h_sum{instance="",job="j",x="native"} 3`, `h_count{instance="",job="j",x="native"} 2`,
		}},
		{"info and stateset", push{"job/j", openMetrics, "# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE s stateset\ns{s=\"on\"} 1\n# EOF\n"}, []string{
			"# TYPE i_info gauge", `i_info{instance="",job="j",v="1"} 1`, "# TYPE s gauge", `s{instance="",job="j",s="on"} 1`,
		}},
		{"unknown", push{"job/j", openMetrics, "# TYPE a unknown\na 1\n# EOF\n"}, []string{"# TYPE a untyped", `a{instance="",job="j"} 1`}},
		{"gauge histogram of OpenMetrics", push{"job/j", openMetrics, "# TYPE h gaugehistogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_gsum 3\nh_gcount 2\n# EOF\n"}, []string{
			"# TYPE h histogram", `h_bucket{instance="",job="j",le="1"} 1`, `h_bucket{instance="",job="j",le="+Inf"} 2`,
			`h_sum{instance="",job="j"} 3`, `h_count{instance="",job="j"} 2`,
		}},
		{"summaries of OpenMetrics, one without sum", push{"job/j", openMetrics, "# TYPE s summary\ns{x=\"1\",quantile=\"0.5\"} 1\ns_sum{x=\"1\"} 2\ns_count{x=\"1\"} 3\n" +
			"s{x=\"2\",quantile=\"0.5\"} 4\ns_count{x=\"2\"} 5\n# EOF\n"}, []string{
			"# TYPE s summary",
			`s{instance="",job="j",x="1",quantile="0.5"} 1`, `s_sum{instance="",job="j",x="1"} 2`, `s_count{instance="",job="j",x="1"} 3`,
			`s{instance="",job="j",x="2",quantile="0.5"} 4`, `s_sum{instance="",job="j",x="2"} 0`, `s_count{instance="",job="j",x="2"} 5`,
		}},
		{"histogram of OpenMetrics without sum", push{"job/j", openMetrics, "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n# EOF\n"}, []string{
			"# TYPE h histogram", `h_bucket{instance="",job="j",le="+Inf"} 2`, `h_sum{instance="",job="j"} 0`, `h_count{instance="",job="j"} 2`,
		}},
		{"one histogram that OTLP holds, one that it does not", push{"job/j", text, "# TYPE h histogram\n" +
			"h_bucket{x=\"1\",le=\"1\"} 1\nh_bucket{x=\"1\",le=\"+Inf\"} 2\nh_sum{x=\"1\"} 3\nh_count{x=\"1\"} 2\n" +
			"h_bucket{x=\"2\",le=\"1\"} 1.5\nh_bucket{x=\"2\",le=\"+Inf\"} 2.5\nh_sum{x=\"2\"} 3\nh_count{x=\"2\"} 2.5\n"}, []string{
			"# TYPE h histogram",
			`h_bucket{instance="",job="j",x="1",le="1"} 1`, `h_bucket{instance="",job="j",x="1",le="+Inf"} 2`,
			`h_sum{instance="",job="j",x="1"} 3`, `h_count{instance="",job="j",x="1"} 2`,
			`h_bucket{instance="",job="j",x="2",le="1"} 1.5`, `h_bucket{instance="",job="j",x="2",le="+Inf"} 2.5`,
			`h_sum{instance="",job="j",x="2"} 3`, `h_count{instance="",job="j",x="2"} 2.5`,
		}},
		{"scope", push{"job/j", text, "a{otel_scope_name=\"s\",otel_scope_version=\"2\",otel_scope_schema_url=\"u\",otel_scope_x=\"y\"} 1\n"}, []string{
			"# TYPE a untyped", `a{instance="",job="j",otel_scope_name="s",otel_scope_schema_url="u",otel_scope_version="2",otel_scope_x="y"} 1`,
		}},
		{"scope without a name", push{"job/j", text, "a{otel_scope_x=\"y\"} 1\n"}, []string{"# TYPE a untyped", `a{instance="",job="j",otel_scope_x="y"} 1`}},
		{"scope in the key", push{"job/j/otel_scope_x/y", text, "a 1\n"}, []string{"# TYPE a untyped", `a{instance="",job="j",otel_scope_x="y"} 1`}},
		{"several scopes", push{"job/j", text, "a{otel_scope_x=\"y\"} 1\na 2\n"}, []string{
			"# TYPE a untyped", `a{instance="",job="j"} 2`, `a{instance="",job="j",otel_scope_x="y"} 1`,
		}},
		{"UTF-8 names", push{"job/j", protobuf, `name: "a.b" type: GAUGE metric { label { name: "l.m" value: "v" } gauge { value: 1 } }`}, []string{
			`# TYPE "a.b" gauge`, `{"a.b",instance="",job="j","l.m"="v"} 1`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, exposed(t, held(t, test.push).scrape(t, options)))
		})
	}
}

// TestProtobuf compares protobuf output, including what the text format omits, with the push without grouping labels.
func TestProtobuf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, family string }{
		{"counter created", `name: "c" type: COUNTER metric { counter { value: 1 created_timestamp { seconds: 5 nanos: 7 } } }`},
		{"summary created", `name: "s" type: SUMMARY metric { summary { sample_count: 2 sample_sum: 3 quantile { quantile: 0.5 value: 1 } created_timestamp { seconds: 5 } } }`},
		{"histogram created", `name: "h" type: HISTOGRAM metric { histogram { sample_count: 2 sample_sum: 3
			bucket { cumulative_count: 1 upper_bound: 1 } bucket { cumulative_count: 2 upper_bound: inf } created_timestamp { seconds: 5 } } }`},
		{"gauge histogram", `name: "h" type: GAUGE_HISTOGRAM metric { histogram { sample_count: 2 sample_sum: 3
			bucket { cumulative_count: 1 upper_bound: 1 } bucket { cumulative_count: 2 upper_bound: inf } } }`},
		{"native", `name: "n" type: HISTOGRAM metric { histogram { sample_count: 11 sample_sum: 3 schema: 2 zero_threshold: 0.5 zero_count: 1
			positive_span { offset: -3 length: 2 } positive_span { offset: 5 length: 1 } positive_delta: 1 positive_delta: 1 positive_delta: 2
			negative_span { offset: 1 length: 1 } negative_delta: 3 created_timestamp { seconds: 5 } } }`},
		{"native, short gap", `name: "n" type: HISTOGRAM metric { histogram { sample_count: 5 sample_sum: 3 schema: 0 zero_threshold: 0 zero_count: 0
			positive_span { offset: 0 length: 4 } positive_delta: 2 positive_delta: -2 positive_delta: 0 positive_delta: 3 } }`},
		{"native, zeros only", `name: "n" type: HISTOGRAM metric { histogram { sample_count: 1 sample_sum: 0 schema: 3 zero_threshold: 0.001 zero_count: 1 } }`},
		{"native and classic", `name: "n" type: HISTOGRAM metric { histogram { sample_count: 3 sample_sum: 3 schema: 2 zero_threshold: 0.5 zero_count: 1
			bucket { cumulative_count: 1 upper_bound: 1 } bucket { cumulative_count: 3 upper_bound: inf }
			positive_span { offset: 1 length: 1 } positive_delta: 2 created_timestamp { seconds: 5 } } }`},
		{"native and a classic bucket for +Inf", `name: "n" type: HISTOGRAM metric { histogram { sample_count: 1 sample_sum: 3 schema: 2 zero_threshold: 0.5 zero_count: 1
			bucket { cumulative_count: 1 upper_bound: inf } } }`},
		{"native and classic buckets that fall", `name: "n" type: HISTOGRAM metric { histogram { sample_count: 3 sample_sum: 3 schema: 2 zero_threshold: 0.5 zero_count: 3
			bucket { cumulative_count: 2 upper_bound: 1 } bucket { cumulative_count: 1 upper_bound: 2 } bucket { cumulative_count: 3 upper_bound: inf } } }`},
		{"native, empty", `name: "n" type: HISTOGRAM metric { histogram { sample_count: 0 sample_sum: 0 schema: 3 zero_threshold: 0 zero_count: 0
			positive_span { offset: 0 length: 0 } } }`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var want dto.MetricFamily
			require.NoError(t, prototext.Unmarshal([]byte(test.family), &want))
			got := held(t, push{"job/j", protobuf, test.family}).scrape(t, options)
			require.Len(t, got, 1)
			got[0].Metric[0].Label = nil
			assert.True(t, proto.Equal(&want, got[0]), "%v", got[0])
		})
	}
}

// TestEndedSeries reads back pushed stale markers.
func TestEndedSeries(t *testing.T) {
	t.Parallel()
	stale := math.Float64frombits(0x7ff0000000000002)
	families := []*dto.MetricFamily{
		{Name: new("g"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &stale}}}},
		{Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: &dto.Histogram{
			SampleCount: new(uint64(1)), SampleSum: &stale, Bucket: []*dto.Bucket{{UpperBound: new(1.0), CumulativeCount: new(uint64(1))}},
		}}}},
		{Name: new("s"), Type: dto.MetricType_SUMMARY.Enum(), Metric: []*dto.Metric{{Summary: &dto.Summary{
			SampleSum: &stale, Quantile: []*dto.Quantile{{Quantile: new(0.5), Value: new(1.0)}},
		}}}},
	}
	m := memory{}
	m.push(t, groupingkey.Key{Job: "j"}, protobuf, encoded(t, families), false)
	got := m.scrape(t, options)
	require.Len(t, got, 3)
	h, s := got[1].Metric[0].Histogram, got[2].Metric[0].Summary
	for _, v := range []float64{
		got[0].Metric[0].Gauge.GetValue(), h.GetSampleSum(), h.GetSampleCountFloat(), h.Bucket[0].GetCumulativeCountFloat(),
		s.GetSampleSum(), s.Quantile[0].GetValue(),
	} {
		assert.Equal(t, math.Float64bits(stale), math.Float64bits(v))
	}
	assert.Len(t, exposed(t, got), 11)
}

func TestPushTimes(t *testing.T) {
	t.Parallel()
	o := options
	o.PushTimes = true
	help := func(name, end string) []string {
		return []string{"# HELP " + name + " Last Unix time when changing this group in the Pushgateway " + end, "# TYPE " + name + " gauge"}
	}
	labels := `{a="",instance="",job="j"} `
	for _, test := range []struct {
		name           string
		pushed, failed time.Time
		success, fail  string
	}{
		{"pushed", pushed, time.Time{}, "1.7000000005e+09", "0"},
		{"refused", time.Time{}, failed, "0", "1.7000000605e+09"},
		{"pushed and refused", pushed, failed, "1.7000000005e+09", "1.7000000605e+09"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := held(t, push{"job/j/a@base64/=", text, "# TYPE b gauge\nb 7\n"})
			for key, g := range m {
				g.PushTime, g.PushFailureTime = test.pushed, test.failed
				g.Families[0].Name = "push_time_seconds" // stored before push times were enabled
				m[key] = g
			}
			want := append(help("push_failure_time_seconds", "failed."), "push_failure_time_seconds"+labels+test.fail)
			want = append(want, append(help("push_time_seconds", "succeeded."), "push_time_seconds"+labels+test.success)...)
			assert.Equal(t, want, exposed(t, m.scrape(t, o)))
		})
	}
}

// TestEscape has names that are equal for a reader without UTF-8 names.
func TestEscape(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		pushes []push
		want   []string
	}{
		{"names become one", []push{{"job/j", text, "# TYPE a_b gauge\na_b 1\n"}, {"job/k", text, "# TYPE \"a.b\" gauge\n{\"a.b\"} 2\n"}}, []string{
			"# TYPE a_b gauge", `a_b{instance="",job="j"} 1`, `a_b{instance="",job="k"} 2`,
		}},
		{"types clash", []push{{"job/j", text, "# TYPE a_b gauge\na_b 1\n"}, {"job/k", text, "# TYPE \"a.b\" counter\n{\"a.b\"} 2\n"}}, []string{
			"# TYPE a_b untyped", `a_b{instance="",job="j"} 1`, `a_b{instance="",job="k"} 2`,
		}},
		{"labels become one", []push{{"job/j", text, "a{l_m=\"1\",\"l.m\"=\"2\"} 1\n"}}, []string{
			"# TYPE a untyped", `a{instance="",job="j",l_m="1"} 1`,
		}},
		{"the grouping label stays", []push{{"job/j/l_m/1", text, "a{\"l.m\"=\"2\"} 1\n"}}, []string{
			"# TYPE a untyped", `a{instance="",job="j",l_m="1"} 1`,
		}},
		{"escaped grouping label", []push{{"job/j/U__l_2e_m/1", text, "a 1\n"}}, []string{
			"# TYPE a untyped", `a{instance="",job="j",l_m="1"} 1`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options
			o.Escape = underscores
			assert.Equal(t, test.want, exposed(t, held(t, test.pushes...).scrape(t, o)))
		})
	}
}

// TestSeriesSeenTwice has series that moved between groups during the read.
func TestSeriesSeenTwice(t *testing.T) {
	t.Parallel()
	numbers := "# TYPE a gauge\na{x=\"1\"} 1\na{y=\"1\"} 2\n"
	labeled := strings.Replace(native, "{ histogram", `{ label { name: "zone" value: "z" } histogram`, 1)
	for _, test := range []struct {
		name   string
		pushes []push
		want   []string
	}{
		{"gauges", []push{{"job/j", text, strings.ReplaceAll(numbers, "a{", "a{zone=\"z\",")}, {"job/j/zone/z", text, numbers}}, []string{
			"# TYPE a gauge", `a{instance="",job="j",x="1",zone="z"} 1`, `a{instance="",job="j",y="1",zone="z"} 2`,
		}},
		{"of another type", []push{{"job/j", text, "# TYPE a counter\na{zone=\"z\"} 1\n"}, {"job/j/zone/z", text, "# TYPE a gauge\na 1\n"}}, []string{
			"# TYPE a untyped", `a{instance="",job="j",zone="z"} 1`,
		}},
		{"native histogram", []push{{"job/j", protobuf, labeled}, {"job/j/zone/z", protobuf, native}}, []string{
			"# TYPE h histogram", `h_bucket{instance="",job="j",zone="z",le="+Inf"} 2`, `h_sum{instance="",job="j",zone="z"} 3`, `h_count{instance="",job="j",zone="z"} 2`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, exposed(t, held(t, test.pushes...).scrape(t, options)))
		})
	}
}
