// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

func TestFunctions(t *testing.T) {
	t.Parallel()
	all := []merge.Function{merge.Total, merge.Last, merge.Sum, merge.Min, merge.Max, merge.Avg, merge.Drop}
	gauges := all[1:]
	for name, c := range map[string]struct {
		m           pmetric.Metric
		byDefault   merge.Function
		allowed     []merge.Function
		totalLeaves pmetric.MetricType
	}{
		"counter":          {counter(1), merge.Total, []merge.Function{merge.Total, merge.Drop}, pmetric.MetricTypeSum},
		"histogram":        {buckets{counts: []uint64{1}}.metric(), merge.Total, []merge.Function{merge.Total, merge.Drop}, pmetric.MetricTypeHistogram},
		"native histogram": {native{}.metric(), merge.Total, []merge.Function{merge.Total, merge.Drop}, pmetric.MetricTypeExponentialHistogram},
		"summary":          {summaryOf(1, 1), merge.Total, []merge.Function{merge.Total, merge.Drop}, pmetric.MetricTypeSummary},
		"gauge":            {gauge(1), merge.Last, all, pmetric.MetricTypeSum},
		"gauge *_total":    {gaugeOf("x_total", "gauge", 1), merge.Last, all, pmetric.MetricTypeSum},
		"gauge *_info":     {gaugeOf("x_info", "gauge", 1), merge.Max, all, pmetric.MetricTypeSum},
		"untyped":          {gaugeOf("x", "unknown", 1), merge.Last, all, pmetric.MetricTypeSum},
		"untyped *_total":  {gaugeOf("x_total", "unknown", 1), merge.Total, all, pmetric.MetricTypeSum},
		"untyped *_info":   {gaugeOf("x_info", "unknown", 1), merge.Last, all, pmetric.MetricTypeSum},
		"info":             {info(1), merge.Max, gauges, pmetric.MetricTypeSum},
		"stateset":         {sumMetric("x", "stateset", false, 1, 0), merge.Max, gauges, pmetric.MetricTypeSum},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.byDefault, merge.DefaultFunction(c.m))
			var allowed []merge.Function
			for _, f := range all {
				if f.Allows(c.m) {
					allowed = append(allowed, f)
				}
			}
			assert.Equal(t, c.allowed, allowed)
			to := pmetric.NewMetric()
			merge.Total.Describe(c.m, to)
			assert.Equal(t, c.totalLeaves, to.Type())
		})
	}
	for _, f := range all {
		parsed, ok := merge.ParseFunction(f.String())
		assert.True(t, ok)
		assert.Equal(t, f, parsed)
		assert.Equal(t, f == merge.Total || f == merge.Last, f.OutlivesPusher())
	}
	for _, name := range []string{"", "Total", "count"} {
		_, ok := merge.ParseFunction(name)
		assert.False(t, ok)
	}
}

// TestPoint: what an aggregate's series looks like in pdata.
func TestPoint(t *testing.T) {
	t.Parallel()
	describe := func(m pmetric.Metric) pmetric.Metric {
		m.SetDescription("help")
		m.SetUnit("s")
		return m
	}
	for name, c := range map[string]struct {
		f         merge.Function
		m         pmetric.Metric
		want      string // the Prometheus type
		monotonic bool
		start     pcommon.Timestamp
	}{
		"counter":          {merge.Total, describe(counterSince(5, 1)), "counter", true, created(1)},
		"gauge":            {merge.Last, describe(gauge(1)), "gauge", false, 0},
		"untyped":          {merge.Max, describe(gaugeOf("x", "unknown", 1)), "unknown", false, 0},
		"total of gauges":  {merge.Total, describe(gauge(1)), "counter", true, created(1)},
		"total of untyped": {merge.Total, describe(gaugeOf("x_total", "unknown", 1)), "counter", true, created(1)},
		"info":             {merge.Max, describe(info(1)), "info", false, created(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, c.f)
			require.NoError(t, s.push("a", c.m))
			got := s.metric()
			want := pmetric.NewMetric()
			want.SetName(c.m.Name())
			want.SetDescription("help")
			want.SetUnit("s")
			want.Metadata().PutStr("prometheus.type", c.want)
			var points pmetric.NumberDataPointSlice
			if got.Type() == pmetric.MetricTypeSum {
				sum := want.SetEmptySum()
				sum.SetIsMonotonic(c.monotonic)
				sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				points = sum.DataPoints()
			} else {
				points = want.SetEmptyGauge().DataPoints()
			}
			dp := points.AppendEmpty()
			dp.SetDoubleValue(1)
			dp.SetStartTimestamp(c.start)
			dp.Attributes().PutStr("x", "1")
			assert.Equal(t, want, got)
		})
	}
	for name, m := range map[string]pmetric.Metric{
		"histogram":        buckets{start: 9, bounds: []float64{1}, counts: []uint64{1, 2}, sum: 3}.metric(),
		"native histogram": native{start: 9, scale: 3, threshold: 1, zero: 2, offset: 4, positive: []uint64{1}, negativeOffset: -4, negative: []uint64{1}, sum: 3}.metric(),
		"summary":          summaryOf(1, 2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, merge.Total)
			require.NoError(t, s.push("a", m))
			want := pmetric.NewMetric()
			m.CopyTo(want)
			var p interface {
				Attributes() pcommon.Map
				SetStartTimestamp(pcommon.Timestamp)
			}
			switch m.Type() {
			case pmetric.MetricTypeHistogram:
				p = want.Histogram().DataPoints().At(0)
			case pmetric.MetricTypeExponentialHistogram:
				p = want.ExponentialHistogram().DataPoints().At(0)
			default:
				dp := want.Summary().DataPoints().At(0)
				dp.QuantileValues().RemoveIf(func(pmetric.SummaryDataPointValueAtQuantile) bool { return true })
				p = dp
			}
			p.Attributes().PutStr("x", "1")
			p.SetStartTimestamp(created(1))
			marshaler := pmetric.JSONMarshaler{}
			asJSON := func(m pmetric.Metric) string {
				md := pmetric.NewMetrics()
				m.CopyTo(md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty())
				b, err := marshaler.MarshalMetrics(md)
				require.NoError(t, err)
				return string(b)
			}
			assert.JSONEq(t, asJSON(want), asJSON(s.metric()))
		})
	}
}

func TestIntegers(t *testing.T) {
	t.Parallel()
	m := counter(0)
	m.Sum().DataPoints().At(0).SetIntValue(3)
	run(t, merge.Total, []step{{pushes("a", m), 3}})
}
