// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// created returns a push with a created timestamp in a point of each kind, and an explicit timestamp in milliseconds
// unless 0.
func created(at time.Time, explicitMs int64) string {
	metric := func(value string) string {
		if explicitMs != 0 {
			value += fmt.Sprintf(" timestamp_ms: %d", explicitMs)
		}
		return "metric { " + value + " }\n\n"
	}
	of := func(field, more string) string {
		return metric(fmt.Sprintf(`%s { created_timestamp { seconds: %d nanos: %d } %s }`, field, at.Unix(), at.Nanosecond(), more))
	}
	return `name: "c" type: COUNTER ` + of("counter", "value: 1") +
		`name: "h" type: HISTOGRAM ` + of("histogram", "sample_count: 1") +
		`name: "n" type: HISTOGRAM ` + of("histogram", "sample_count: 1 zero_count: 1 schema: 0") +
		`name: "s" type: SUMMARY ` + of("summary", "sample_count: 1") +
		`name: "g" type: GAUGE metric { gauge { value: 1 } }`
}

// TestStartIsNotLaterThanItsPoint has clients whose clock is ahead, and times truncated to milliseconds.
func TestStartIsNotLaterThanItsPoint(t *testing.T) {
	t.Parallel()
	ms := now.UnixMilli()
	for name, c := range map[string]struct {
		created  time.Time
		explicit int64
		point    time.Time
		kept     bool
	}{
		"long before":                                   {now.Add(-time.Hour), 0, now, true},
		"a nanosecond before":                           {now.Add(-1), 0, now, true},
		"at the time of the point":                      {now, 0, now, true},
		"later in the same millisecond":                 {now.Add(time.Microsecond), 0, now, false},
		"later":                                         {now.Add(10 * time.Second), 0, now, false},
		"before an explicit time":                       {now, ms + 1000, time.UnixMilli(ms + 1000), true},
		"later than an explicit time":                   {now, ms - 1000, time.UnixMilli(ms - 1000), false},
		"later in the millisecond of an explicit time":  {now.Add(time.Microsecond), ms, now, false},
		"later than the push, before the explicit time": {now.Add(time.Second), ms + 2000, time.UnixMilli(ms + 2000), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := defaults
			o.Timestamps = translate.Honor
			push := translated(t, exposition.Protobuf, "job/j", created(c.created, c.explicit), o)
			want := pcommon.Timestamp(0)
			if c.kept {
				want = pcommon.NewTimestampFromTime(c.created)
			}
			for name, m := range metricsOf(push.Metrics) {
				start, at := timesOf(m)
				if name == "g" {
					assert.Zero(t, start)
					continue
				}
				assert.Equal(t, want, start, name)
				assert.Equal(t, pcommon.NewTimestampFromTime(c.point), at, name)
			}
		})
	}
}

// TestStartOfHeldPoint stamps a held push repeatedly: its start appears once the clock reaches it.
func TestStartOfHeldPoint(t *testing.T) {
	t.Parallel()
	push, err := translate.Translate(decode(t, exposition.Protobuf, created(now.Add(time.Second), 0)), keyOf(t, "job/j"), defaults)
	require.NoError(t, err)
	for after, want := range map[time.Duration]pcommon.Timestamp{
		0:               0,
		2 * time.Second: pcommon.NewTimestampFromTime(now.Add(time.Second)),
	} {
		again := pmetric.NewMetrics()
		push.Metrics.CopyTo(again)
		translate.Stamp(again, now.Add(after))
		start, _ := timesOf(metricsOf(again)["c"])
		assert.Equal(t, want, start)
	}
}

// timesOf returns the start and time of a metric's first point.
func timesOf(m pmetric.Metric) (start, at pcommon.Timestamp) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		p := m.Sum().DataPoints().At(0)
		return p.StartTimestamp(), p.Timestamp()
	case pmetric.MetricTypeHistogram:
		p := m.Histogram().DataPoints().At(0)
		return p.StartTimestamp(), p.Timestamp()
	case pmetric.MetricTypeExponentialHistogram:
		p := m.ExponentialHistogram().DataPoints().At(0)
		return p.StartTimestamp(), p.Timestamp()
	case pmetric.MetricTypeSummary:
		p := m.Summary().DataPoints().At(0)
		return p.StartTimestamp(), p.Timestamp()
	default:
		p := m.Gauge().DataPoints().At(0)
		return p.StartTimestamp(), p.Timestamp()
	}
}
