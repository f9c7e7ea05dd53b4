// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Stamp sets the time of all points and exemplars without one, and the value of push_time_seconds. It drops start times
// later than their points. It touches each point once and can run under a lock.
func (p *Push) Stamp(at time.Time) {
	if p.hasPushTime {
		p.pushTime.SetDoubleValue(seconds(at))
	}
	Stamp(p.Metrics, at)
}

// Stamp sets the time of all points and exemplars without one, and drops start times later than their points.
func Stamp(md pmetric.Metrics, at time.Time) {
	now := pcommon.NewTimestampFromTime(at)
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				stampMetric(m, now)
			}
		}
	}
}

// stampMetric stamps all points of a metric.
func stampMetric(m pmetric.Metric, now pcommon.Timestamp) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		stampPoints(m.Gauge().DataPoints(), now)
	case pmetric.MetricTypeSum:
		points := m.Sum().DataPoints()
		stampPoints(points, now)
		stampExemplars(points)
	case pmetric.MetricTypeHistogram:
		points := m.Histogram().DataPoints()
		stampPoints(points, now)
		stampExemplars(points)
	case pmetric.MetricTypeExponentialHistogram:
		points := m.ExponentialHistogram().DataPoints()
		stampPoints(points, now)
		stampExemplars(points)
	case pmetric.MetricTypeSummary:
		stampPoints(m.Summary().DataPoints(), now)
	}
}

// slice is the common interface of all point slices.
type slice[P any] interface {
	Len() int
	At(int) P
}

// stampPoints also drops a start time later than its point: OTLP does not allow it, and Prometheus would see a reset
// after the sample. Starts come from the client's clock, and points are truncated to milliseconds. Moving the start with
// every point would make every point a reset.
func stampPoints[S slice[P], P dataPoint](points S, now pcommon.Timestamp) {
	for i := range points.Len() {
		p := points.At(i)
		at := p.Timestamp()
		if at == 0 {
			at = now
			p.SetTimestamp(now)
		}
		if p.StartTimestamp() > at {
			p.SetStartTimestamp(0)
		}
	}
}

// exemplified is a point with exemplars.
type exemplified interface {
	dataPoint
	Exemplars() pmetric.ExemplarSlice
}

// stampExemplars gives exemplars without a time their point's time.
func stampExemplars[S slice[P], P exemplified](points S) {
	for i := range points.Len() {
		p := points.At(i)
		for _, e := range p.Exemplars().All() {
			if e.Timestamp() == 0 {
				e.SetTimestamp(p.Timestamp())
			}
		}
	}
}
