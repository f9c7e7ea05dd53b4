// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// Parts of histograms as prototext.
const (
	observed        = `sample_count: 3 sample_sum: 0.9 `
	finiteBuckets   = `bucket { upper_bound: 0.1 cumulative_count: 1 } bucket { upper_bound: inf cumulative_count: 3 } `
	infiniteBucket  = `bucket { upper_bound: inf cumulative_count: 3 } `
	fallingBuckets  = `bucket { upper_bound: 0.1 cumulative_count: 2 } bucket { upper_bound: 0.5 cumulative_count: 1 } `
	nativeBuckets   = `schema: 0 zero_threshold: 0.001 zero_count: 1 positive_span { offset: 1 length: 1 } positive_delta: 2 `
	emptyNative     = `schema: 3 positive_span { offset: 0 length: 0 } `
	unknownSchema   = `schema: 9 zero_threshold: 0.001 zero_count: 3 `
	customBuckets   = `schema: -53 positive_span { offset: 0 length: 1 } positive_delta: 3 `
	overlappingSide = `schema: 0 positive_span { offset: 1 length: 1 } positive_span { offset: -1 length: 1 } positive_delta: 1 positive_delta: 0 `
	farApart        = `schema: 0 positive_span { offset: 0 length: 1 } positive_span { offset: 70000 length: 1 } positive_delta: 1 positive_delta: 0 `
	negativeCounts  = `schema: 0 positive_span { offset: 1 length: 1 } positive_delta: -2 `
	tooPopulated    = `schema: 0 positive_span { offset: 1 length: 1 } positive_delta: 9 `
	fractions       = `schema: 0 zero_count_float: 1.5 positive_span { offset: 1 length: 1 } positive_count: 1.5 `
)

// Their series.
var (
	classicSeries   = []string{`h_bucket{job="j",le="0.1"} 1`, `h_bucket{job="j",le="+Inf"} 3`, `h_sum{job="j"} 0.9`, `h_count{job="j"} 3`}
	fallingSeries   = []string{`h_bucket{job="j",le="0.1"} 2`, `h_bucket{job="j",le="0.5"} 1`, `h_bucket{job="j",le="+Inf"} 3`, `h_sum{job="j"} 0.9`, `h_count{job="j"} 3`}
	infiniteSeries  = []string{`h_bucket{job="j",le="+Inf"} 3`, `h_sum{job="j"} 0.9`, `h_count{job="j"} 3`}
	nativeSeries    = []string{`h{job="j"} 3`}
	fractionsSeries = []string{`h_bucket{job="j",le="0"} 1.5`, `h_bucket{job="j",le="2"} 3`, `h_bucket{job="j",le="+Inf"} 3`, `h_sum{job="j"} 0.9`, `h_count{job="j"} 3`}
)

func histogram(fields string) string {
	return `name: "h" type: HISTOGRAM metric { histogram { ` + fields + ` } }`
}

var settings = []translate.Histograms{translate.ClassicHistograms, translate.NativeHistograms, translate.BothHistograms}

// partsCases are histograms and their forwarded series under each setting.
var partsCases = map[string]struct {
	body                  string
	classic, native, both []string
}{
	"classic buckets only":                {histogram(observed + finiteBuckets), classicSeries, classicSeries, classicSeries},
	"native buckets only":                 {histogram(observed + nativeBuckets), nativeSeries, nativeSeries, nativeSeries},
	"neither":                             {histogram(observed), infiniteSeries, infiniteSeries, infiniteSeries},
	"both":                                {histogram(observed + finiteBuckets + nativeBuckets), classicSeries, nativeSeries, slices.Concat(classicSeries, nativeSeries)},
	"both, nothing observed":              {histogram(`bucket { upper_bound: 1 } ` + emptyNative), []string{`h_bucket{job="j",le="1"} 0`, `h_bucket{job="j",le="+Inf"} 0`, `h_sum{job="j"} 0`, `h_count{job="j"} 0`}, []string{`h{job="j"} 0`}, []string{`h_bucket{job="j",le="1"} 0`, `h_bucket{job="j",le="+Inf"} 0`, `h_sum{job="j"} 0`, `h_count{job="j"} 0`, `h{job="j"} 0`}},
	"native with a bucket for +Inf":       {histogram(observed + infiniteBucket + nativeBuckets), nativeSeries, nativeSeries, slices.Concat(infiniteSeries, nativeSeries)},
	"native with buckets that fall":       {histogram(observed + fallingBuckets + nativeBuckets), fallingSeries, nativeSeries, slices.Concat(fallingSeries, nativeSeries)},
	"unknown schema":                      {histogram(observed + finiteBuckets + unknownSchema), classicSeries, classicSeries, classicSeries},
	"unknown schema, a bucket for +Inf":   {histogram(observed + infiniteBucket + unknownSchema), infiniteSeries, infiniteSeries, infiniteSeries},
	"unknown schema, buckets that fall":   {histogram(observed + fallingBuckets + unknownSchema), fallingSeries, fallingSeries, fallingSeries},
	"custom buckets":                      {histogram(observed + finiteBuckets + customBuckets), classicSeries, classicSeries, classicSeries},
	"spans that overlap":                  {histogram(observed + finiteBuckets + overlappingSide), classicSeries, classicSeries, classicSeries},
	"native buckets too far apart":        {histogram(observed + finiteBuckets + farApart), classicSeries, classicSeries, classicSeries},
	"negative populations":                {histogram(observed + finiteBuckets + negativeCounts), classicSeries, classicSeries, classicSeries},
	"populations beyond the count":        {histogram(observed + finiteBuckets + tooPopulated), classicSeries, classicSeries, classicSeries},
	"fractional populations":              {histogram(observed + finiteBuckets + fractions), classicSeries, classicSeries, classicSeries},
	"fractions with a bucket for +Inf":    {histogram(observed + infiniteBucket + fractions), fractionsSeries, fractionsSeries, fractionsSeries},
	"fractions only":                      {histogram(observed + fractions), fractionsSeries, fractionsSeries, fractionsSeries},
	"gauge histogram":                     {strings.Replace(histogram(observed+finiteBuckets+nativeBuckets), "HISTOGRAM", "GAUGE_HISTOGRAM", 1), classicSeries, classicSeries, classicSeries},
	"gauge histogram of native buckets":   {strings.Replace(histogram(observed+fractions), "HISTOGRAM", "GAUGE_HISTOGRAM", 1), fractionsSeries, fractionsSeries, fractionsSeries},
	"whole floats in both parts":          {histogram(`sample_count_float: 3 sample_sum: 0.9 bucket { upper_bound: 0.1 cumulative_count_float: 1 } schema: 0 zero_count_float: 1 positive_span { offset: 1 length: 1 } positive_count: 2 `), classicSeries, nativeSeries, slices.Concat(classicSeries, nativeSeries)},
	"fractions in both parts":             {histogram(`sample_count_float: 1.5 sample_sum: 0.9 bucket { upper_bound: 0.1 cumulative_count_float: 0.5 } schema: 0 zero_count_float: 1.5 `), fractionalSeries, fractionalSeries, fractionalSeries},
	"fractions in the classic part alone": {histogram(observed + `bucket { upper_bound: 0.1 cumulative_count_float: 0.5 } ` + nativeBuckets), halfSeries, nativeSeries, slices.Concat(halfSeries, nativeSeries)},
}

var (
	fractionalSeries = []string{`h_bucket{job="j",le="0.1"} 0.5`, `h_bucket{job="j",le="+Inf"} 1.5`, `h_sum{job="j"} 0.9`, `h_count{job="j"} 1.5`}
	halfSeries       = []string{`h_bucket{job="j",le="0.1"} 0.5`, `h_bucket{job="j",le="+Inf"} 3`, `h_sum{job="j"} 0.9`, `h_count{job="j"} 3`}
)

// TestHistogramParts compares a proxy's translation with Forwarded of a held push.
func TestHistogramParts(t *testing.T) {
	t.Parallel()
	for name, c := range partsCases {
		for i, want := range [][]string{c.classic, c.native, c.both} {
			t.Run(fmt.Sprintf("%s, setting %d", name, i), func(t *testing.T) {
				t.Parallel()
				o := defaults
				o.Histograms = settings[i]
				push := translated(t, exposition.Protobuf, "job/j", c.body, o)
				assert.ElementsMatch(t, want, seriesOf(push.Metrics))
				if !slices.Equal(want, fractionsSeries) { // Native buckets count as one series.
					assert.Equal(t, len(want), push.Series)
				}

				o.Held = true
				held := translated(t, exposition.Protobuf, "job/j", c.body, o)
				assert.ElementsMatch(t, want, seriesOf(o.Histograms.Forwarded(held.Metrics)))
				assert.Equal(t, push.Series, held.Series)
			})
		}
	}
}

// TestHeldParts verifies that a held push has both parts under each setting, and that Forwarded does not change it.
func TestHeldParts(t *testing.T) {
	t.Parallel()
	for name, c := range partsCases {
		for _, setting := range settings {
			t.Run(fmt.Sprintf("%s, setting %d", name, setting), func(t *testing.T) {
				t.Parallel()
				o := defaults
				o.Histograms, o.Held = setting, true
				push := translated(t, exposition.Protobuf, "job/j", c.body, o)
				before := pmetric.NewMetrics()
				push.Metrics.CopyTo(before)
				forwarded := setting.Forwarded(push.Metrics)
				assert.Equal(t, before, push.Metrics)
				assert.ElementsMatch(t, c.both, seriesOf(push.Metrics))
				assert.Equal(t, len(seriesOf(forwarded)) == len(c.both), forwarded == push.Metrics, "a copy is made only if something is left out")
			})
		}
	}
}

// TestForwardedBySeries has histograms with different parts in one family, several scopes and other families.
func TestForwardedBySeries(t *testing.T) {
	t.Parallel()
	labeled := func(value, fields string) string {
		return fmt.Sprintf(`metric { label { name: "x" value: %q } histogram { %s } } `, value, fields)
	}
	body := `name: "h" type: HISTOGRAM ` +
		labeled("both", observed+finiteBuckets+nativeBuckets) + labeled("classic", observed+finiteBuckets) +
		labeled("native", observed+nativeBuckets) + labeled("infinite", observed+infiniteBucket+nativeBuckets) +
		labeled("falling", observed+fallingBuckets+nativeBuckets) +
		`metric { label { name: "otel_scope_name" value: "s" } label { name: "x" value: "both" } histogram { ` + observed + finiteBuckets + `} }` + `

name: "i" type: HISTOGRAM ` + labeled("native", observed+nativeBuckets) + `

name: "i_bucket_size" type: GAUGE metric { gauge { value: 1 } }`
	o := defaults
	o.Held = true
	for i, want := range [][]string{
		{
			`h_bucket{job="j",le="0.1",x="both"} 1`, `h_bucket{job="j",le="+Inf",x="both"} 3`, `h_sum{job="j",x="both"} 0.9`, `h_count{job="j",x="both"} 3`,
			`h{job="j",x="infinite"} 3`,
			`h_bucket{job="j",le="0.1",x="falling"} 2`, `h_bucket{job="j",le="0.5",x="falling"} 1`, `h_bucket{job="j",le="+Inf",x="falling"} 3`,
			`h_sum{job="j",x="falling"} 0.9`, `h_count{job="j",x="falling"} 3`,
		},
		{`h{job="j",x="both"} 3`, `h{job="j",x="infinite"} 3`, `h{job="j",x="falling"} 3`},
		{
			`h_bucket{job="j",le="0.1",x="both"} 1`, `h_bucket{job="j",le="+Inf",x="both"} 3`, `h_sum{job="j",x="both"} 0.9`, `h_count{job="j",x="both"} 3`,
			`h{job="j",x="both"} 3`,
			`h_bucket{job="j",le="+Inf",x="infinite"} 3`, `h_sum{job="j",x="infinite"} 0.9`, `h_count{job="j",x="infinite"} 3`, `h{job="j",x="infinite"} 3`,
			`h_bucket{job="j",le="0.1",x="falling"} 2`, `h_bucket{job="j",le="0.5",x="falling"} 1`, `h_bucket{job="j",le="+Inf",x="falling"} 3`,
			`h_sum{job="j",x="falling"} 0.9`, `h_count{job="j",x="falling"} 3`, `h{job="j",x="falling"} 3`,
		},
	} {
		want = append(want,
			`h_bucket{job="j",le="0.1",x="classic"} 1`, `h_bucket{job="j",le="+Inf",x="classic"} 3`, `h_sum{job="j",x="classic"} 0.9`, `h_count{job="j",x="classic"} 3`,
			`h_bucket{job="j",le="0.1",otel_scope_name="s",x="both"} 1`, `h_bucket{job="j",le="+Inf",otel_scope_name="s",x="both"} 3`,
			`h_sum{job="j",otel_scope_name="s",x="both"} 0.9`, `h_count{job="j",otel_scope_name="s",x="both"} 3`,
			`h{job="j",x="native"} 3`, `i{job="j",x="native"} 3`, `i_bucket_size{job="j"} 1`)
		o.Histograms = settings[i]
		push := translated(t, exposition.Protobuf, "job/j", body, o)
		assert.ElementsMatch(t, want, seriesOf(settings[i].Forwarded(push.Metrics)))
		assert.Equal(t, len(want), push.Series)
		require.Len(t, push.Families, 3)
		push.WithFamily(push.Families[0], func(md pmetric.Metrics) {
			assert.ElementsMatch(t, slices.DeleteFunc(slices.Clone(want), func(s string) bool { return s[0] == 'i' }), seriesOf(settings[i].Forwarded(md)))
		})
	}
}

// TestForwardedOfOnePart verifies that a push without histograms of both parts is not copied.
func TestForwardedOfOnePart(t *testing.T) {
	t.Parallel()
	o := defaults
	o.Held = true
	for _, body := range []string{histogram(observed + finiteBuckets), histogram(observed + nativeBuckets), `name: "a" type: GAUGE metric { gauge { value: 1 } }`} {
		push := translated(t, exposition.Protobuf, "job/j", body, o)
		for _, setting := range settings {
			assert.Equal(t, push.Metrics, setting.Forwarded(push.Metrics))
		}
	}
}

// TestExemplarsOfParts verifies that each part has the histogram's exemplars.
func TestExemplarsOfParts(t *testing.T) {
	t.Parallel()
	body := histogram(observed + `bucket { upper_bound: 0.1 cumulative_count: 1 exemplar { value: 0.05 } } ` + nativeBuckets +
		`exemplars { value: 0.7 timestamp { seconds: 1 } }`)
	o := defaults
	o.Histograms = translate.BothHistograms
	push := translated(t, exposition.Protobuf, "job/j", body, o)
	scope := push.Metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	require.Equal(t, 2, scope.Len())
	for _, exemplars := range []pmetric.ExemplarSlice{
		scope.At(0).Histogram().DataPoints().At(0).Exemplars(), scope.At(1).ExponentialHistogram().DataPoints().At(0).Exemplars(),
	} {
		var values []float64
		for _, e := range exemplars.All() {
			values = append(values, e.DoubleValue())
		}
		assert.ElementsMatch(t, []float64{0.05, 0.7}, values)
	}
}

func TestStaleParts(t *testing.T) {
	t.Parallel()
	push := stalePush(t, histogram(observed+finiteBuckets+nativeBuckets))
	assert.True(t, noRecordedValue(metricsOf(push.Metrics)["h"]))
}

func TestSeriesLimitOfParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields  string
		setting translate.Histograms
		series  int
	}{
		"classic":                            {observed + finiteBuckets + nativeBuckets, translate.ClassicHistograms, 4},
		"native":                             {observed + finiteBuckets + nativeBuckets, translate.NativeHistograms, 1},
		"both":                               {observed + finiteBuckets + nativeBuckets, translate.BothHistograms, 5},
		"classic in place of a native part":  {observed + finiteBuckets + unknownSchema, translate.NativeHistograms, 4},
		"classic, the native part falls off": {observed + finiteBuckets + unknownSchema, translate.BothHistograms, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := defaults
			o.Histograms = c.setting
			for _, o.Held = range []bool{false, true} {
				o.Limits.SeriesPerPush = c.series
				translated(t, exposition.Protobuf, "job/j", histogram(c.fields), o)
				o.Limits.SeriesPerPush--
				_, err := translate.Translate(decode(t, exposition.Protobuf, histogram(c.fields)), keyOf(t, "job/j"), o)
				if o.Limits.SeriesPerPush > 0 {
					require.EqualError(t, err, fmt.Sprintf("the push has %d series; the limit series_per_push is %d", c.series, c.series-1))
				}
			}
		})
	}
}

// TestRefusedParts has native parts without a classic replacement, and inconsistent classic parts.
func TestRefusedParts(t *testing.T) {
	t.Parallel()
	twice := strings.Replace(finiteBuckets, "inf", "0.1", 1)
	for name, c := range map[string]struct{ fields, want string }{
		"unknown schema":          {unknownSchema, `collected metric "h" {instance="",job="j"} has native buckets of schema 9; only -4 to 8 can be mapped to OTLP`},
		"far apart":               {farApart, `collected metric "h" {instance="",job="j"} has native buckets too far apart: 70000 empty ones between them`},
		"the same bound twice":    {twice, `collected metric "h_bucket" {instance="",job="j",le="0.1"} was collected before with the same name and label values`},
		"the same, native beside": {twice + nativeBuckets, `collected metric "h_bucket" {instance="",job="j",le="0.1"} was collected before with the same name and label values`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, setting := range settings {
				o := defaults
				o.Histograms = setting
				for _, o.Held = range []bool{false, true} {
					assert.Equal(t, c.want, refusal(t, exposition.Protobuf, "job/j", histogram(observed+c.fields), o))
				}
			}
		})
	}
}
