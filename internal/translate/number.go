// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// staleNaN is the bit pattern of Prometheus' stale marker (model/value). All other NaNs are values.
const staleNaN uint64 = 0x7ff0000000000002

func isStale(v float64) bool { return math.Float64bits(v) == staleNaN }

var noRecordedValue = pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

// openNumbers creates the metric for n points of a family of single numbers.
func (s *scope) openNumbers(d metricDescription, n int) pmetric.NumberDataPointSlice {
	m := s.metric(d)
	var points pmetric.NumberDataPointSlice
	switch d.prometheusType {
	case exposition.Counter:
		points = cumulativeSum(m, true)
	case exposition.Info, exposition.StateSet:
		points = cumulativeSum(m, false)
	default:
		points = m.SetEmptyGauge().DataPoints()
	}
	points.EnsureCapacity(n)
	return points
}

func cumulativeSum(m pmetric.Metric, monotonic bool) pmetric.NumberDataPointSlice {
	sum := m.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	sum.SetIsMonotonic(monotonic)
	return sum.DataPoints()
}

// buildNumber writes a point of a counter, gauge, untyped, info or stateset family. Gauge points have no start time and
// no exemplars.
func (t *translator) buildNumber(f *exposition.Family, s *exposition.Series, dp pmetric.NumberDataPoint) {
	begin(t, s, dp)
	setNumber(dp, s.Value)
	if f.Type != exposition.Gauge && f.Type != exposition.Untyped {
		dp.SetStartTimestamp(startTime(s))
		t.putExemplars(dp.Exemplars(), s.Exemplar, nil)
	}
}

// setNumber sets the value, or the no-recorded-value flag for a stale marker.
func setNumber(dp pmetric.NumberDataPoint, v float64) {
	if isStale(v) {
		dp.SetFlags(noRecordedValue)
		return
	}
	dp.SetDoubleValue(v)
}

// A Pushgateway's metrics of a group's last successful and last failed push. Pushed metrics of these names are ignored.
const (
	PushTimeName        = "push_time_seconds"
	PushTimeHelp        = "Last Unix time when changing this group in the Pushgateway succeeded."
	PushFailureTimeName = "push_failure_time_seconds"
	PushFailureTimeHelp = "Last Unix time when changing this group in the Pushgateway failed."
)

// addPushTime adds push_time_seconds. Stamp sets its value.
func (t *translator) addPushTime() {
	s := &t.scopes[0]
	t.enter(s)
	points := s.openNumbers(metricDescription{name: PushTimeName, help: PushTimeHelp, prometheusType: exposition.Gauge}, 1)
	t.push.pushTime, t.push.hasPushTime = points.AppendEmpty(), true
	t.putLabels(t.push.pushTime.Attributes(), t.grouping.labels)
	t.push.DataPoints++
}
