// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
)

// shownAll returns all parts of a group, as lines: family, labels and value, count and sum.
func shownAll(g *gather.Group, o gather.Options, limit int) (all []string) {
	var from gather.Place
	for {
		shown := g.Show(o, from, limit)
		for _, f := range shown.Families {
			for i := range f.Series {
				s := &f.Series[i]
				all = append(all, fmt.Sprint(f.Name, s.Labels, s.Value, s.Count, s.Sum, len(s.Buckets), len(s.Quantiles)))
			}
		}
		if shown.Next == (gather.Place{}) {
			slices.Sort(all)
			return all
		}
		from = shown.Next
	}
}

// scrapedAll returns the series of a scrape in the same form.
func scrapedAll(families []*dto.MetricFamily) (all []string) {
	float := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, f := range families {
		for _, m := range f.Metric {
			var labels [][2]string
			for _, l := range m.Label {
				if l.GetName() != "instance" || l.GetValue() != "" {
					labels = append(labels, [2]string{l.GetName(), l.GetValue()})
				}
			}
			value, count, sum := "", "", ""
			h, s := m.GetHistogram(), m.GetSummary()
			switch {
			case h != nil && h.GetSampleCountFloat() != 0:
				count, sum = float(h.GetSampleCountFloat()), float(h.GetSampleSum())
			case h != nil:
				count, sum = strconv.FormatUint(h.GetSampleCount(), 10), float(h.GetSampleSum())
			case s != nil:
				count, sum = strconv.FormatUint(s.GetSampleCount(), 10), float(s.GetSampleSum())
			case m.Counter != nil:
				value = float(m.Counter.GetValue())
			case m.Gauge != nil:
				value = float(m.Gauge.GetValue())
			default:
				value = float(m.Untyped.GetValue())
			}
			all = append(all, fmt.Sprint(f.GetName(), labels, value, count, sum, len(h.GetBucket()), len(s.GetQuantile())))
		}
	}
	slices.Sort(all)
	return all
}

// TestShowAgreesWithAScrape shows the groups of all recorded cases, a few series at a time.
func TestShowAgreesWithAScrape(t *testing.T) {
	t.Parallel()
	o := options
	o.Natives, o.PushTimes = true, true
	compared := 0
	for _, c := range recordedCases(t) {
		if len(c.Exposed) == 0 || notHeld[c.ID] != "" {
			continue
		}
		for _, g := range replay(t, &c) {
			compared++
			want := scrapedAll(memory{"": g}.scrape(t, o))
			for _, limit := range []int{1, 3, 1000} {
				assert.Equal(t, want, shownAll(&g, o, limit), "%s, %d at a time", c.ID, limit)
			}
		}
	}
	assert.Greater(t, compared, 90)
}

func TestShow(t *testing.T) {
	t.Parallel()
	m := held(t, push{"job/j/l/v", exposition.Text, "# HELP a help\n# TYPE a counter\na NaN\n# TYPE s summary\ns{quantile=\"0.5\"} 2\ns_sum 3\ns_count 4\n" +
		"# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum -Inf\nh_count 2\n"})
	g := m[`{job="j",l="v"}`]
	labels := [][2]string{{"job", "j"}, {"l", "v"}}
	assert.Equal(t, gather.Shown{Families: []gather.ShownFamily{
		{Name: "a", Type: "counter", Help: "help", Pushed: pushed.UnixMilli(), Series: []gather.Series{{Labels: labels, Value: "NaN"}}},
		{Name: "s", Type: "summary", Pushed: pushed.UnixMilli(), Series: []gather.Series{
			{Labels: labels, Count: "4", Sum: "3", BucketsTotal: 1, Quantiles: [][2]string{{"0.5", "2"}}},
		}},
		{Name: "h", Type: "histogram", Pushed: pushed.UnixMilli(), Series: []gather.Series{
			{Labels: labels, Count: "2", Sum: "-Inf", BucketsTotal: 2, Buckets: [][2]string{{"0.1", "1"}, {"+Inf", "2"}}},
		}},
	}}, g.Show(options, gather.Place{}, 10))
	assert.Empty(t, g.Show(options, gather.Place{Family: 9}, 10).Families)
}

func TestShowBounds(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	body.WriteString("# TYPE h histogram\n")
	for i := range 300 {
		fmt.Fprintf(&body, "h_bucket{le=\"%d\"} %d\n", i, i)
	}
	fmt.Fprintf(&body, "h_bucket{le=\"+Inf\"} 300\nh_sum 1\nh_count 300\n# HELP x %s\nx{l=\"%s\"} 1\n", strings.Repeat("h", 5000), strings.Repeat("ä", 3000))
	g := held(t, push{"job/j", exposition.Text, body.String()})[`{job="j"}`]
	shown := g.Show(options, gather.Place{}, 10)
	require.Len(t, shown.Families, 2)
	assert.Len(t, shown.Families[0].Series[0].Buckets, 200)
	assert.Equal(t, 301, shown.Families[0].Series[0].BucketsTotal)
	assert.Equal(t, strings.Repeat("h", 4096)+"… (5000 bytes)", shown.Families[1].Help)
	assert.Equal(t, strings.Repeat("ä", 2048)+"… (6000 bytes)", shown.Families[1].Series[0].Labels[1][1])
}

func TestShowNative(t *testing.T) {
	t.Parallel()
	g := held(t, push{"job/j", exposition.Protobuf, `name: "n" type: HISTOGRAM metric { histogram { sample_count: 10 sample_sum: 5 schema: 0 zero_threshold: 0.5 zero_count: 2
		positive_span { offset: 0 length: 2 } positive_delta: 3 positive_delta: -2 negative_span { offset: 1 length: 1 } negative_delta: 4 } }`})[`{job="j"}`]
	o := options
	o.Natives = true
	s := g.Show(o, gather.Place{}, 10).Families[0].Series[0]
	assert.Equal(t, [][4]string{{"-2", "-1", "4", "[)"}, {"-0.5", "0.5", "2", "[]"}, {"0.5", "1", "3", "(]"}, {"1", "2", "1", "(]"}}, s.Native)
	assert.Equal(t, "0.5", s.ZeroThreshold)
	assert.Equal(t, 4, s.BucketsTotal)
	assert.Equal(t, "10", s.Count)
}

func TestPeek(t *testing.T) {
	t.Parallel()
	key := pushtest.Key(t, "job/j/l/v")
	body := "# TYPE c counter\nc{x=\"1\"} 1\nc{x=\"2\"} 2\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n" +
		"# TYPE odd histogram\nodd_bucket{le=\"1\"} 2\nodd_bucket{le=\"2\"} 1\nodd_sum 3\nodd_count 2\n# TYPE s summary\ns_sum 3\ns_count 4\n"
	push, err := pushtest.Translate(key, exposition.Text, []byte(body))
	require.NoError(t, err)
	o := gather.Options{ScopeName: pushtest.Scope, Natives: true}
	all, more := gather.Peek(key, push.Metrics, o, 100)
	assert.Zero(t, more)
	var shown []string
	for i := range all {
		s := &all[i]
		shown = append(shown, fmt.Sprint(s.Name, s.Labels, s.Value, s.Count, s.Sum))
	}
	slices.Sort(shown)
	assert.Equal(t, []string{
		"c[[job j] [l v] [x 1]]1", "c[[job j] [l v] [x 2]]2", "h[[job j] [l v]]23",
		"odd_bucket[[job j] [l v] [le +Inf]]2", "odd_bucket[[job j] [l v] [le 1]]2", "odd_bucket[[job j] [l v] [le 2]]1", "odd_count[[job j] [l v]]2", "odd_sum[[job j] [l v]]3", "s[[job j] [l v]]43",
	}, shown)
	for limit := range len(all) {
		some, left := gather.Peek(key, push.Metrics, o, limit)
		assert.Len(t, some, limit)
		assert.Equal(t, len(all)-limit, left)
	}
	none, more := gather.Peek(key, pmetric.NewMetrics(), o, 1)
	assert.Empty(t, none)
	assert.Zero(t, more)
}
