// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// defaults are the receiver's options without push_time_seconds.
var defaults = translate.Options{ScopeName: "receiver", ScopeVersion: "1.2.3"}

// now is the time in Stamp.
var now = time.Unix(1700000000, 500000000)

// keyOf returns the grouping key for a path after /metrics/.
func keyOf(t *testing.T, path string) groupingkey.Key {
	k, ok, err := groupingkey.Parse(path, true)
	require.NoError(t, err)
	require.True(t, ok)
	return k
}

// decode decodes a body. Protobuf is given as prototext with a blank line between families.
func decode(t *testing.T, format exposition.Format, body string) *exposition.Batch {
	data := []byte(body)
	if format == exposition.Protobuf {
		data = delimited(t, body)
	}
	var b exposition.Batch
	require.NoError(t, b.Decode(format, data, exposition.Options{UTF8Names: true}))
	return &b
}

func delimited(tb testing.TB, body string) []byte {
	var out bytes.Buffer
	for text := range strings.SplitSeq(body, "\n\n") {
		var family dto.MetricFamily
		require.NoError(tb, prototext.UnmarshalOptions{AllowPartial: true}.Unmarshal([]byte(text), &family))
		_, err := protodelim.MarshalOptions{}.MarshalTo(&out, &family)
		require.NoError(tb, err)
	}
	return out.Bytes()
}

// translated translates and stamps a body that must be accepted.
func translated(t *testing.T, format exposition.Format, path, body string, o translate.Options) *translate.Push {
	push, err := translate.Translate(decode(t, format, body), keyOf(t, path), o)
	require.NoError(t, err)
	require.Equal(t, push.Metrics.DataPointCount(), push.DataPoints)
	push.Stamp(now)
	return push
}

// seriesOf returns the series that the remote-write exporter creates, one per line, with scope labels for scopes other
// than the receiver's.
func seriesOf(md pmetric.Metrics) []string {
	var lines []string
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			base := identity(rm.Resource(), sm)
			for _, m := range sm.Metrics().All() {
				lines = append(lines, seriesOfMetric(m, base)...)
			}
		}
	}
	return lines
}

func identity(r pcommon.Resource, sm pmetric.ScopeMetrics) map[string]string {
	base := map[string]string{}
	for name, label := range map[string]string{"service.name": "job", "service.instance.id": "instance"} {
		if v, ok := r.Attributes().Get(name); ok {
			base[label] = v.Str()
		}
	}
	if sm.Scope().Name() == defaults.ScopeName {
		return base
	}
	for name, v := range map[string]string{
		"name": sm.Scope().Name(), "version": sm.Scope().Version(), "schema_url": sm.SchemaUrl(),
	} {
		if v != "" {
			base["otel_scope_"+name] = v
		}
	}
	for name, v := range sm.Scope().Attributes().All() {
		base["otel_scope_"+name] = v.Str()
	}
	return base
}

func seriesOfMetric(m pmetric.Metric, base map[string]string) (lines []string) {
	add := func(suffix string, attributes pcommon.Map, extra string, v float64) {
		labels := maps.Clone(base)
		for name, value := range attributes.All() {
			labels[name] = value.Str()
		}
		if name, value, ok := strings.Cut(extra, "="); ok {
			labels[name] = value
		}
		lines = append(lines, m.Name()+suffix+spellLabels(labels)+" "+spell(v))
	}
	numbers := func(points pmetric.NumberDataPointSlice) {
		for _, p := range points.All() {
			v := p.DoubleValue()
			if p.Flags().NoRecordedValue() {
				v = math.Float64frombits(staleNaN)
			}
			add("", p.Attributes(), "", v)
		}
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		numbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		numbers(m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			var sum uint64
			for i, c := range p.BucketCounts().All() {
				sum += c
				bound := math.Inf(1)
				if i < p.ExplicitBounds().Len() {
					bound = p.ExplicitBounds().At(i)
				}
				add("_bucket", p.Attributes(), "le="+spell(bound), float64(sum))
			}
			if p.HasSum() {
				add("_sum", p.Attributes(), "", p.Sum())
			}
			add("_count", p.Attributes(), "", float64(p.Count()))
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			add("", p.Attributes(), "", float64(p.Count()))
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			for _, q := range p.QuantileValues().All() {
				add("", p.Attributes(), "quantile="+spell(q.Quantile()), q.Value())
			}
			add("_sum", p.Attributes(), "", p.Sum())
			add("_count", p.Attributes(), "", float64(p.Count()))
		}
	}
	return lines
}

const staleNaN = 0x7ff0000000000002

func spell(v float64) string {
	if math.Float64bits(v) == staleNaN {
		return "stale"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func spellLabels(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// metricsOf returns all metrics of a push by name.
func metricsOf(md pmetric.Metrics) map[string]pmetric.Metric {
	all := map[string]pmetric.Metric{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				all[m.Name()] = m
			}
		}
	}
	return all
}

// stalePush returns a protobuf push with stale markers for values of 1.
func stalePush(t *testing.T, body string) *translate.Push {
	b := decode(t, exposition.Protobuf, body)
	marker := math.Float64frombits(staleNaN)
	for i := range b.Series {
		b.Series[i].Value = marker
	}
	for i := range b.Histograms {
		b.Histograms[i].Sum = marker
	}
	for i := range b.Summaries {
		b.Summaries[i].Sum = marker
	}
	push, err := translate.Translate(b, keyOf(t, "job/j"), defaults)
	require.NoError(t, err)
	push.Stamp(now)
	return push
}

// noRecordedValue reports whether all points of a metric have the flag.
func noRecordedValue(m pmetric.Metric) bool {
	flagged := true
	look := func(f pmetric.DataPointFlags) { flagged = flagged && f.NoRecordedValue() }
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			look(p.Flags())
			flagged = flagged && p.ValueType() == pmetric.NumberDataPointValueTypeEmpty
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			look(p.Flags())
			flagged = flagged && p.ValueType() == pmetric.NumberDataPointValueTypeEmpty
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			look(p.Flags())
			flagged = flagged && p.HasSum()
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			look(p.Flags())
			flagged = flagged && p.HasSum()
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			look(p.Flags())
		}
	}
	return flagged
}

// times returns the times of a gauge's points in milliseconds.
func times(m pmetric.Metric) (ms []int64) {
	for _, p := range m.Gauge().DataPoints().All() {
		ms = append(ms, p.Timestamp().AsTime().UnixMilli())
	}
	return ms
}
