// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// All strings of the batch are views into a body that the next push overwrites.
func TestPushSharesNothingWithTheBody(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"classic_text/input.prom", "scopes/input.prom", "openmetrics/input.om", "native/input.pb.txt", "flattened/input.prom"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile("testdata/" + file)
			require.NoError(t, err)
			format := inputs[file[strings.Index(file, "/")+1:]]
			if format == exposition.Protobuf {
				data = delimited(t, string(data))
			}
			o := defaults
			o.Timestamps = translate.Honor
			var b exposition.Batch
			require.NoError(t, b.Decode(format, data, exposition.Options{}))
			push, err := translate.Translate(&b, keyOf(t, "job/j/zone/z/otel_scope_extra/s"), o)
			require.NoError(t, err)
			before := pmetric.NewMetrics()
			copyDeep(t, push.Metrics, before)

			for i := range data {
				data[i] = 'x'
			}
			b.Reset()
			_, err = translate.Translate(decode(t, exposition.Text, string(counters(100))), keyOf(t, "job/other"), o)
			require.NoError(t, err)
			require.NoError(t, pmetrictest.CompareMetrics(before, push.Metrics))
		})
	}
}

// copyDeep also copies strings, unlike CopyTo.
func copyDeep(t *testing.T, from, to pmetric.Metrics) {
	data, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(from)
	require.NoError(t, err)
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(data)
	require.NoError(t, err)
	md.MoveTo(to)
}

// TestEmptied distinguishes families without series in protobuf from announced names in text.
func TestEmptied(t *testing.T) {
	t.Parallel()
	held := defaults
	held.Held = true
	const families = `name: "a" type: GAUGE metric { gauge { value: 1 } }` + "\n\n" + `name: "b" type: GAUGE` + "\n\n" +
		`name: "a" type: COUNTER` + "\n\n" + `name: "b" type: SUMMARY` + "\n\n" + `name: "c" type: SUMMARY` + "\n\n" + `name: "c" metric { counter { value: 1 } }`
	assert.Equal(t, []string{"b"}, translated(t, exposition.Protobuf, "job/j", families, held).Emptied)
	assert.Empty(t, translated(t, exposition.Text, "job/j", "# TYPE a gauge\n", held).Emptied)
	assert.Empty(t, translated(t, exposition.OpenMetrics, "job/j", "# TYPE a gauge\n# EOF\n", held).Emptied)
	assert.Empty(t, translated(t, exposition.Protobuf, "job/j", families, defaults).Emptied, "nothing is stored")
}

// State of a refused push must not leak into the next.
func TestRefusalLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	bad := []string{
		"a{otel_scope_name=\"s\"} 1\na{otel_scope_name=\"t\"} 1\na{__x=\"1\"} 1\n",
		"# TYPE h histogram\nh_count{x=\"1\"} 1.5\nh_count{x=\"1\",y=\"\"} 1\n",
		"x_count 1\n# TYPE x summary\nx_sum 1\n",
	}
	want := translated(t, exposition.Text, "job/j", "a{x=\"1\"} 1\na{y=\"1\"} 1\n", defaults)
	for range 3 {
		for _, body := range bad {
			_, err := translate.Translate(decode(t, exposition.Text, body), keyOf(t, "job/j"), defaults)
			require.Error(t, err)
			got := translated(t, exposition.Text, "job/j", "a{x=\"1\"} 1\na{y=\"1\"} 1\n", defaults)
			require.NoError(t, pmetrictest.CompareMetrics(want.Metrics, got.Metrics))
		}
	}
}

// TestValuesOfAllLengths has values that differ in one byte, and no duplicates.
func TestValuesOfAllLengths(t *testing.T) {
	t.Parallel()
	for length := range 70 {
		var body strings.Builder
		for i := range length {
			value := strings.Repeat("v", i) + "w" + strings.Repeat("v", length-i-1)
			fmt.Fprintf(&body, "a{x=%q,y=\"v\"} 1\na{x=\"v\",y=%q} 1\n", value, value+"v")
		}
		push := translated(t, exposition.Text, "job/j", body.String(), defaults)
		assert.Equal(t, 2*length, push.Series)
	}
}

// TestRepeatedValuesOfAllLengths has duplicates with labels in another order.
func TestRepeatedValuesOfAllLengths(t *testing.T) {
	t.Parallel()
	for length := range 70 {
		x, y := strings.Repeat("x", length), strings.Repeat("y", 70-length)
		body := fmt.Sprintf("a{x=%q,y=%q} 1\na{x=%q,y=%q} 2\na{y=%q,x=%q} 3\n", x, y, y, x, y, x)
		assert.Contains(t, refusal(t, exposition.Text, "job/j", body, defaults), "(line 3) was collected before")
	}
}

// TestCheckedValuesOfAPushBefore verifies that one push's checked values are checked again for the next.
func TestCheckedValuesOfAPushBefore(t *testing.T) {
	t.Parallel()
	var b exposition.Batch
	require.NoError(t, b.Decode(exposition.Text, []byte("a{l=\"b\"} 1\n"), exposition.Options{}))
	body := delimited(t, `name: "a" type: GAUGE metric { label { name: "l" value: "\xff" } gauge { value: 1 } }`)
	require.NoError(t, b.Decode(exposition.Protobuf, body, exposition.Options{}))
	_, err := translate.Translate(&b, keyOf(t, "job/j"), defaults)
	assert.ErrorContains(t, err, "value is not utf8")
}

// TestLabelValueNotUTF8 puts an invalid byte at every position of values of several words.
func TestLabelValueNotUTF8(t *testing.T) {
	t.Parallel()
	const metric = `name: "a" type: GAUGE metric { label { name: "l" value: "%s" } gauge { value: 1 } }`
	for length := 1; length <= 40; length++ {
		plain := strings.Repeat("x", length-1)
		translated(t, exposition.Protobuf, "job/j", fmt.Sprintf(metric, plain+"x"), defaults)
		for at := range length {
			translated(t, exposition.Protobuf, "job/j", fmt.Sprintf(metric, plain[:at]+"é"+plain[at:]), defaults)
			assert.Contains(t, refusal(t, exposition.Protobuf, "job/j", fmt.Sprintf(metric, plain[:at]+`\xff`+plain[at:]), defaults), "is not utf8")
		}
	}
}

func TestConcurrentPushes(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 20 {
				body := fmt.Sprintf("a{x=\"%d\"} 1\na{y=\"%d\"} 2\n", i, n)
				push, err := translate.Translate(decode(t, exposition.Text, body), keyOf(t, "job/j"), defaults)
				if assert.NoError(t, err) {
					assert.Equal(t, lines(fmt.Sprintf(`a{job="j",x="%d"} 1`, i), fmt.Sprintf(`a{job="j",y="%d"} 2`, n)), lines(seriesOf(push.Metrics)...))
				}
			}
		})
	}
	all.Wait()
}

// One series at many times is no duplicate.
func TestHostileTimes(t *testing.T) {
	t.Parallel()
	o := defaults
	o.Timestamps = translate.Honor
	push := translated(t, exposition.Text, "job/j", repeat(50000, "a 1 1%d\n"), o)
	assert.Equal(t, 50000, push.DataPoints)
}

// A span of a few bytes declares many empty buckets, which are limited per push.
func TestHostileGaps(t *testing.T) {
	t.Parallel()
	metric := `metric { label { name: "x" value: "%d" } histogram { sample_count: 2 schema: 1 positive_span { offset: 1 length: 1 } positive_span { offset: 60000 length: 1 } positive_delta: 1 positive_delta: 0 } }`
	body := `name: "h" type: HISTOGRAM ` + repeat(17, metric)
	translated(t, exposition.Protobuf, "job/j", body, defaults)
	assert.Contains(t, refusal(t, exposition.Protobuf, "job/j", body+fmt.Sprintf(metric, 17), defaults),
		`{instance="",job="j",x="17"} has native buckets too far apart: 60000 empty ones between them`)
}

// Texts that repeat must not exhaust memory: grouping labels on each series, a histogram's labels on each bucket, and
// every text in encoded pdata.
func TestHostileProducts(t *testing.T) {
	t.Parallel()
	const many = `^the push has \d+ labels or more, counting the grouping labels on each series; the limit for a push of its size is \d+$`
	const long = `^the names, labels and help texts of all series of the push have \d+ bytes or more; the limit for a push of its size is \d+$`
	const kilobytes = 40 << 10
	labels, text := repeat(3000, `label { name: "l%d" value: "v" } `), strings.Repeat("x", kilobytes)
	buckets := repeat(3000, "bucket { cumulative_count: 3000 upper_bound: %d } ")
	for name, c := range map[string]struct {
		format     exposition.Format
		path, body string
		want       string
	}{
		"grouping labels":                {exposition.Text, "job/j" + repeat(3000, "/l%d/v"), repeat(3000, "a%d 1\n"), many},
		"grouping labels of the scope":   {exposition.Text, "job/j" + repeat(3000, "/otel_scope_%d/v"), repeat(3000, "a{otel_scope_name=\"%d\"} 1\n"), long},
		"labels of flattened histograms": {exposition.Protobuf, "job/j", `name: "h" type: GAUGE_HISTOGRAM metric { ` + labels + `histogram { ` + repeat(3000, "bucket { upper_bound: %d } ") + `} }`, long},
		"job":                            {exposition.Text, "job/" + text, repeat(3000, "a%d 1\n"), long},
		"value of a grouping label":      {exposition.Text, "job/j/l/" + text, repeat(3000, "a%d 1\n"), long},
		"name of a grouping label":       {exposition.Text, "job/j/" + text + "/v", repeat(3000, "a%d 1\n"), long},
		"help of metrics in scopes":      {exposition.Text, "job/j", "# HELP a " + text + "\n" + repeat(3000, "a{otel_scope_x=\"%d\"} 1\n"), long},
		"name of a protobuf family":      {exposition.Protobuf, "job/j", `name: "` + text + `" type: GAUGE ` + repeat(3000, `metric { label { name: "l" value: "%d" } gauge { value: 1 } } `), long},
		"label of a histogram":           {exposition.Protobuf, "job/j", `name: "h" type: HISTOGRAM metric { label { name: "l" value: "` + text + `" } histogram { sample_count: 3000 ` + buckets + `} }`, long},
		"label of a summary":             {exposition.Protobuf, "job/j", `name: "s" type: SUMMARY metric { label { name: "l" value: "` + text + `" } summary { sample_count: 1 ` + repeat(3000, "quantile { quantile: %d value: 1 } ") + `} }`, long},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := translate.Translate(decode(t, c.format, c.body), keyOf(t, c.path), defaults)
			var limit *translate.LimitError
			require.ErrorAs(t, err, &limit)
			assert.Regexp(t, c.want, err.Error())
		})
	}
	// Within the limit, a push can have many of both.
	push := translated(t, exposition.Text, "job/j"+repeat(100, "/l%d/v"), repeat(3000, "a%d 1\n"), defaults)
	assert.Equal(t, 3000, push.DataPoints)
	push = translated(t, exposition.Text, "job/j/l/"+strings.Repeat("x", 1000), repeat(3000, "a%d 1\n"), defaults)
	assert.Equal(t, 3000, push.DataPoints)
}

// repeat writes the format n times, with numbers from 0.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// Pdata is allocated at its final size. The rest is a fixed number of allocations and the arena's chunks.
func TestAllocations(t *testing.T) {
	const n, labels = 1000, 6
	b := decode(t, exposition.Text, string(counters(n)))
	k := keyOf(t, "job/bench/instance/host-1/shard/7")
	got := testing.AllocsPerRun(20, func() {
		_, err := translate.Translate(b, k, defaults)
		require.NoError(t, err)
	})
	const pdata = n * (1 + 1 + 1 + labels) // a point, its value, its map and the map's values
	assert.InDelta(t, pdata, got, n/4)
}
