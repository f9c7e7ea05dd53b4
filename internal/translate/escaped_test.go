// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// gauges returns a body of gauges, each given as "name label=value" or "name".
func gauges(series ...string) string {
	var families []string
	for _, s := range series {
		name, labels, _ := strings.Cut(s, " ")
		family := fmt.Sprintf("name: %q type: GAUGE metric { gauge { value: 1 } ", name)
		for label := range strings.FieldsSeq(labels) {
			name, value, _ := strings.Cut(label, "=")
			family += fmt.Sprintf("label { name: %q value: %q } ", name, value)
		}
		families = append(families, family+"}")
	}
	return strings.Join(families, "\n\n")
}

// oneGauge returns a body of the gauge m with several series.
func oneGauge(labels ...string) string {
	body := `name: "m" type: GAUGE `
	for _, l := range labels {
		_, metric, _ := strings.Cut(gauges("x "+l), "GAUGE ")
		body += metric + " "
	}
	return body
}

const (
	classicHistogram = ` type: HISTOGRAM metric { histogram { sample_count: 1 sample_sum: 1 bucket { upper_bound: 1 cumulative_count: 1 } } }`
	nativeHistogram  = ` type: HISTOGRAM metric { histogram { schema: 1 zero_threshold: 0.1 sample_count: 1 sample_sum: 1 positive_span { offset: 1 length: 1 } positive_delta: 1 } }`
	quantileSummary  = ` type: SUMMARY metric { summary { sample_count: 1 sample_sum: 1 quantile { quantile: 0.5 value: 1 } } }`
)

// TestRefusedEscaped pushes series of which escaping would lose one.
func TestRefusedEscaped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, body, first, second, becomes string }{
		"metrics":                 {"job/j", gauges("my.metric", "my_metric"), `"my.metric" {job="j"}`, `"my_metric" {job="j"}`, "my_metric"},
		"metrics, other order":    {"job/j", gauges("my_metric", "my.metric"), `"my_metric" {job="j"}`, `"my.metric" {job="j"}`, "my_metric"},
		"both with odd names":     {"job/j", gauges("my.metric", "my-metric"), `"my.metric" {job="j"}`, `"my-metric" {job="j"}`, "my_metric"},
		"with the same labels":    {"job/j", gauges("a.b x=1", "fine", "a_b x=1"), `"a.b" {job="j",x="1"}`, `"a_b" {job="j",x="1"}`, "a_b"},
		"labels of one metric":    {"job/j", oneGauge("a.b=1", "a_b=1"), `"m" {"a.b"="1",job="j"}`, `"m" {a_b="1",job="j"}`, "m"},
		"metrics and labels":      {"job/j", gauges("m.n a.b=1", "m_n a_b=1"), `"m.n" {"a.b"="1",job="j"}`, `"m_n" {a_b="1",job="j"}`, "m_n"},
		"labels in another order": {"job/j", oneGauge("z=1 a.b=2", "a_b=2 z=1"), `"m" {"a.b"="2",job="j",z="1"}`, `"m" {a_b="2",job="j",z="1"}`, "m"},
		"a label of the key":      {"job/j/instance/i/a_b/1", oneGauge("x=1", "x=1 a.b=1"), `"m" {a_b="1",instance="i",job="j",x="1"}`, `"m" {"a.b"="1",a_b="1",instance="i",job="j",x="1"}`, "m"},
		"joined values":           {"job/j", oneGauge("a.b=1 a_b=2", "a_b=1;2"), `"m" {"a.b"="1",a_b="2",job="j"}`, `"m" {a_b="1;2",job="j"}`, "m"},
		"joined once":             {"job/j", oneGauge("a.b=1 a_b=1", "a_b=1"), `"m" {"a.b"="1",a_b="1",job="j"}`, `"m" {a_b="1",job="j"}`, "m"},
		"several characters":      {"job/j", gauges("a..b", "a_b"), `"a..b" {job="j"}`, `"a_b" {job="j"}`, "a_b"},
		"each character":          {"job/j", gauges("a..b", "a__b"), `"a..b" {job="j"}`, `"a__b" {job="j"}`, "a__b"},
		"at the end":              {"job/j", gauges("a", "a."), `"a" {job="j"}`, `"a." {job="j"}`, "a"},
		"beyond ASCII":            {"job/j", gauges("größe", "gr_ße"), `"größe" {job="j"}`, `"gr_ße" {job="j"}`, "gr__e"},
		"as long as each other":   {"job/j", gauges("да", "не"), `"да" {job="j"}`, `"не" {job="j"}`, "__"},
		"digit first":             {"job/j", gauges("1a", "_1a"), `"1a" {job="j"}`, `"_1a" {job="j"}`, "_1a"},
		"digit of a label":        {"job/j", oneGauge("1a=1", "key_1a=1"), `"m" {"1a"="1",job="j"}`, `"m" {job="j",key_1a="1"}`, "m"},
		"colon of a label":        {"job/j", oneGauge("a:b=1", "a_b=1"), `"m" {"a:b"="1",job="j"}`, `"m" {a_b="1",job="j"}`, "m"},
		"scopes":                  {"job/j", oneGauge("otel_scope_a.b=1", "otel_scope_a_b=1"), `"m" {job="j","otel_scope_a.b"="1"}`, `"m" {job="j",otel_scope_a_b="1"}`, "m"},
		"the receiver's own":      {"job/j", gauges("push.time_seconds"), `"push_time_seconds" {job="j"}`, `"push.time_seconds" {job="j"}`, "push_time_seconds"},
		"histograms":              {"job/j", `name: "h.x"` + classicHistogram + "\n\n" + `name: "h_x"` + classicHistogram, `"h.x" {job="j"}`, `"h_x" {job="j"}`, "h_x_bucket"},
		"native histograms":       {"job/j", `name: "h.x"` + nativeHistogram + "\n\n" + `name: "h_x"` + nativeHistogram, `"h.x" {job="j"}`, `"h_x" {job="j"}`, "h_x"},
		"native beside a gauge":   {"job/j", `name: "h.x"` + nativeHistogram + "\n\n" + gauges("h_x"), `"h.x" {job="j"}`, `"h_x" {job="j"}`, "h_x"},
		"summaries":               {"job/j", `name: "s.x"` + quantileSummary + "\n\n" + `name: "s_x"` + quantileSummary, `"s.x" {job="j"}`, `"s_x" {job="j"}`, "s_x"},
		"summary and histogram":   {"job/j", `name: "s.x"` + quantileSummary + "\n\n" + `name: "s_x"` + classicHistogram, `"s.x" {job="j"}`, `"s_x" {job="j"}`, "s_x_sum"},
		"sum of a histogram":      {"job/j", `name: "h.x"` + classicHistogram + "\n\n" + gauges("h_x_sum"), `"h.x" {job="j"}`, `"h_x_sum" {job="j"}`, "h_x_sum"},
		"bucket of a histogram":   {"job/j", `name: "h.x"` + classicHistogram + "\n\n" + gauges("h_x_bucket le=1"), `"h.x" {job="j"}`, `"h_x_bucket" {job="j",le="1"}`, "h_x_bucket"},
		"quantile of a summary":   {"job/j", `name: "s.x"` + quantileSummary + "\n\n" + gauges("s_x quantile=0.5"), `"s.x" {job="j"}`, `"s_x" {job="j",quantile="0.5"}`, "s_x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := fmt.Sprintf("collected metrics %s and %s become one series, %q, when names are escaped with underscores; "+
				"rename one of them, or set utf8_names if nothing downstream escapes names", c.first, c.second, c.becomes)
			o := translate.Options{Escaped: true, PushTime: true}
			assert.Equal(t, want, refusal(t, exposition.Protobuf, c.path, c.body, o))
			o.Held = true
			assert.Equal(t, want, refusal(t, exposition.Protobuf, c.path, c.body, o))

			push, err := translate.Translate(decode(t, exposition.Protobuf, c.body), keyOf(t, c.path), translate.Options{PushTime: true})
			require.NoError(t, err, "names arrive as they are")
			assert.Positive(t, push.DataPoints)
		})
	}
}

// TestTakenEscaped pushes odd or similar names whose series stay distinct.
func TestTakenEscaped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, body string }{
		"one odd name":            {"job/j", gauges("my.metric")},
		"other labels":            {"job/j", gauges("my.metric x=1", "my_metric x=2")},
		"other metrics":           {"job/j", gauges("my.metric", "my_other", "mymetric")},
		"upper case":              {"job/j", gauges("my.Metric", "my.metric")},
		"no letter that is ASCII": {"job/j", gauges("температура", "давление")},
		"joined labels":           {"job/j", oneGauge("a.b=1 a_b=2", "a.b=2 a_b=1", "a.b=1", "a_b=2")},
		"joined in their order":   {"job/j", oneGauge("a.b=1 a_b=2", "a_b=2;1")},
		"legacy names":            {"job/j", gauges("my:metric", "my_metric", "my__metric")},
		"classic beside native":   {"job/j", `name: "h.x"` + nativeHistogram + "\n\n" + `name: "h_x"` + classicHistogram},
		"sum of other labels":     {"job/j", `name: "h.x"` + classicHistogram + "\n\n" + gauges("h_x_sum x=1")},
		"bucket of another bound": {"job/j", `name: "h.x"` + classicHistogram + "\n\n" + gauges("h_x_bucket le=2")},
		"push_time of others":     {"job/j", gauges("push.time_seconds x=1")},
		"label of another group":  {"job/j/a_b/1", oneGauge("x=1", "x=1 a.b=2")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := translate.Translate(decode(t, exposition.Protobuf, c.body), keyOf(t, c.path), translate.Options{Escaped: true, PushTime: true})
			assert.NoError(t, err)
		})
	}
}

// TestEscapedAtOtherTimes pushes one series at several times, which is no duplicate.
func TestEscapedAtOtherTimes(t *testing.T) {
	t.Parallel()
	body := `name: "a.b" type: GAUGE metric { gauge { value: 1 } timestamp_ms: 1 } metric { gauge { value: 2 } timestamp_ms: 2 }`
	o := translate.Options{Escaped: true, Timestamps: translate.Honor}
	push, err := translate.Translate(decode(t, exposition.Protobuf, body), keyOf(t, "job/j"), o)
	require.NoError(t, err)
	assert.Equal(t, 2, push.DataPoints)
}

// TestEscapedReserves verifies that the comparison reserves memory and ends without it.
func TestEscapedReserves(t *testing.T) {
	t.Parallel()
	reserved := int64(0)
	o := translate.Options{Escaped: true, Reserve: func(n int64) error { reserved += n; return nil }}
	_, err := translate.Translate(decode(t, exposition.Protobuf, gauges("a", "b")), keyOf(t, "job/j"), o)
	require.NoError(t, err)
	assert.Zero(t, reserved, "for legacy names nothing is compared")
	_, err = translate.Translate(decode(t, exposition.Protobuf, gauges("a.a", "b")), keyOf(t, "job/j"), o)
	require.NoError(t, err)
	assert.Positive(t, reserved)
	o.Reserve = func(int64) error { return assert.AnError }
	_, err = translate.Translate(decode(t, exposition.Protobuf, gauges("a.a", "b")), keyOf(t, "job/j"), o)
	assert.ErrorIs(t, err, assert.AnError)
}
