// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
)

const (
	histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
	summary   = "# TYPE h summary\nh{quantile=\"0.5\"} 1\nh_sum 3\nh_count 2\n"
	native    = `name: "h" type: HISTOGRAM metric { histogram { sample_count: 2 sample_sum: 3 schema: 0 zero_threshold: 0.5 zero_count: 2 } }`
)

func TestClashes(t *testing.T) {
	t.Parallel()
	brokenUp := []string{
		"# TYPE h_bucket untyped", `h_bucket{instance="",job="g",le="+Inf"} 2`, `h_bucket{instance="",job="g",le="1"} 1`,
		"# TYPE h_count untyped", `h_count{instance="",job="g"} 2`,
		"# TYPE h_sum untyped", `h_sum{instance="",job="g"} 3`,
	}
	for _, test := range []struct {
		name   string
		pushes []push
		want   []string
	}{
		{"counter and gauge", []push{{"job/a", text, "# HELP h one\n# TYPE h counter\nh 1\n"}, {"job/b", text, "# HELP h two\n# TYPE h gauge\nh 2\n"}}, []string{
			"# HELP h one", "# TYPE h untyped", `h{instance="",job="a"} 1`, `h{instance="",job="b"} 2`,
		}},
		{"histogram and gauge", []push{{"job/g", text, histogram}, {"job/k", text, "# TYPE h gauge\nh 1\n"}}, slices.Concat(
			[]string{"# TYPE h untyped", `h{instance="",job="k"} 1`}, brokenUp)},
		{"histogram and summary", []push{{"job/g", text, histogram}, {"job/k", text, summary}}, []string{
			"# TYPE h untyped", `h{instance="",job="k",quantile="0.5"} 1`,
			"# TYPE h_bucket untyped", `h_bucket{instance="",job="g",le="+Inf"} 2`, `h_bucket{instance="",job="g",le="1"} 1`,
			"# TYPE h_count untyped", `h_count{instance="",job="g"} 2`, `h_count{instance="",job="k"} 2`,
			"# TYPE h_sum untyped", `h_sum{instance="",job="g"} 3`, `h_sum{instance="",job="k"} 3`,
		}},
		{"histogram and a name with its suffix", []push{{"job/g", text, histogram}, {"job/k", text, "# HELP h_count mine\n# TYPE h_count counter\nh_count 9\n"}}, []string{
			"# TYPE h_bucket untyped", `h_bucket{instance="",job="g",le="+Inf"} 2`, `h_bucket{instance="",job="g",le="1"} 1`,
			"# HELP h_count mine", "# TYPE h_count untyped", `h_count{instance="",job="g"} 2`, `h_count{instance="",job="k"} 9`,
			"# TYPE h_sum untyped", `h_sum{instance="",job="g"} 3`,
		}},
		{"native histogram and a name with its suffix", []push{{"job/g", protobuf, native}, {"job/k", text, "h_sum 9\n"}}, []string{
			"# TYPE h_bucket untyped", `h_bucket{instance="",job="g",le="+Inf"} 2`,
			"# TYPE h_count untyped", `h_count{instance="",job="g"} 2`,
			"# TYPE h_sum untyped", `h_sum{instance="",job="g"} 3`, `h_sum{instance="",job="k"} 9`,
		}},
		{"summary and h_bucket stand beside each other", []push{{"job/g", text, summary}, {"job/k", text, "h_bucket 9\n"}}, []string{
			"# TYPE h summary", `h{instance="",job="g",quantile="0.5"} 1`, `h_sum{instance="",job="g"} 3`, `h_count{instance="",job="g"} 2`,
			"# TYPE h_bucket untyped", `h_bucket{instance="",job="k"} 9`,
		}},
		{"histogram and a summary with its suffix", []push{{"job/g", text, histogram}, {"job/k", text, strings.ReplaceAll(summary, "h", "h_sum")}}, nil},
		{"info and gauge are one type", []push{{"job/a", openMetrics, "# TYPE h info\nh_info 1\n# EOF\n"}, {"job/b", text, "# TYPE h_info gauge\nh_info 2\n"}}, []string{
			"# TYPE h_info gauge", `h_info{instance="",job="a"} 1`, `h_info{instance="",job="b"} 2`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := exposed(t, held(t, test.pushes...).scrape(t, options))
			if test.want == nil {
				assert.NotContains(t, strings.Join(got, "\n"), "histogram")
				return
			}
			assert.Equal(t, test.want, got)
		})
	}
}

// TestNativeBesideClassic has a native histogram in one group and a classic one with the same labels in another.
// Prometheus treats them as different series. A reader without native histograms must not get duplicate series.
func TestNativeBesideClassic(t *testing.T) {
	t.Parallel()
	labeled := strings.Replace(native, "{ histogram", `{ label { name: "zone" value: "a" } histogram`, 1)
	beside := []push{{"job/g", protobuf, labeled}, {"job/g/zone/a", text, histogram}}
	classic := []string{
		"# TYPE h histogram", `h_bucket{instance="",job="g",zone="a",le="1"} 1`, `h_bucket{instance="",job="g",zone="a",le="+Inf"} 2`,
		`h_sum{instance="",job="g",zone="a"} 3`, `h_count{instance="",job="g",zone="a"} 2`,
	}
	assert.Equal(t, classic, exposed(t, held(t, beside...).scrape(t, options)))

	knowing := options
	knowing.Natives = true
	families := held(t, beside...).scrape(t, knowing)
	if assert.Len(t, families, 1) {
		assert.Len(t, families[0].Metric, 2)
	}

	brokenUp := slices.Concat(beside, []push{{"job/k", text, "# TYPE h gauge\nh 1\n"}})
	for _, o := range []gather.Options{options, knowing} {
		assert.Equal(t, []string{
			"# TYPE h untyped", `h{instance="",job="k"} 1`,
			"# TYPE h_bucket untyped", `h_bucket{instance="",job="g",le="+Inf",zone="a"} 2`, `h_bucket{instance="",job="g",le="1",zone="a"} 1`,
			"# TYPE h_count untyped", `h_count{instance="",job="g",zone="a"} 2`,
			"# TYPE h_sum untyped", `h_sum{instance="",job="g",zone="a"} 3`,
		}, exposed(t, held(t, brokenUp...).scrape(t, o)))
	}
}

// TestPartsBesideOthers has a histogram with both parts in one group and one with the same labels in another, which share
// a series.
func TestPartsBesideOthers(t *testing.T) {
	t.Parallel()
	const parts = `name: "h" type: HISTOGRAM metric { label { name: "zone" value: "a" } histogram { sample_count: 4 sample_sum: 5
		bucket { upper_bound: 1 cumulative_count: 1 } schema: 0 zero_threshold: 0.5 zero_count: 4 } }`
	shown := []string{
		"# TYPE h histogram", `h_bucket{instance="",job="g",zone="a",le="1"} 1`, `h_bucket{instance="",job="g",zone="a",le="+Inf"} 4`,
		`h_sum{instance="",job="g",zone="a"} 5`, `h_count{instance="",job="g",zone="a"} 4`,
	}
	for name, other := range map[string]push{
		"classic": {"job/g/zone/a", text, histogram}, "native": {"job/g/zone/a", protobuf, native},
		"both": {"job/g/zone/a", protobuf, strings.Replace(parts, `label { name: "zone" value: "a" }`, "", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, natives := range []bool{false, true} {
				o := options
				o.Natives = natives
				families := held(t, push{"job/g", protobuf, parts}, other).scrape(t, o)
				assert.Equal(t, shown, exposed(t, families))
				assert.NotNil(t, families[0].Metric[0].Histogram.Schema)
			}
		})
	}
}

// TestClashesKeepSeries generates groups with conflicting names. The output has the series of each group alone and is
// deterministic.
func TestClashesKeepSeries(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"h", "h_sum", "h_count", "h_bucket", "h_sum_sum", "h_bucket_count"}
	bodies := []string{histogram, summary, "# TYPE h gauge\nh 1\n", "# TYPE h counter\nh 1\n", "h 1\n"}
	for range 500 {
		var pushes []push
		var want []string
		for i := range 2 + random.IntN(4) {
			body := strings.ReplaceAll(bodies[random.IntN(len(bodies))], "h", "X")
			body = strings.NewReplacer("Xistogram", "histogram").Replace(body)
			p := push{fmt.Sprintf("job/j%d", i), text, strings.ReplaceAll(body, "X", names[random.IntN(len(names))])}
			pushes = append(pushes, p)
			want = append(want, samples(exposed(t, held(t, p).scrape(t, options)))...)
		}
		m := held(t, pushes...)
		got := exposed(t, m.scrape(t, options))
		assert.ElementsMatch(t, want, samples(got), "%v", pushes)
		assert.Equal(t, got, exposed(t, m.scrape(t, options)))
	}
}

// samples returns the lines that are not comments.
func samples(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return line[0] == '#' })
}
