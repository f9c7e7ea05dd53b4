// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Stamp gives the time to all points and exemplars that have none of their own, and to push_time_seconds as its value. Start
// times later than their points are left out. It touches each point once, and is cheap enough to be called under a lock.
func (p *Push) Stamp(at time.Time) {
	if p.hasPushTime {
		p.pushTime.SetDoubleValue(seconds(at))
	}
	Stamp(p.Metrics, at)
}

// Stamp gives the time to all points and exemplars that have none of their own, and leaves out start times later than their points.
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

// slice is what the slices of all kinds of points have in common.
type slice[P any] interface {
	Len() int
	At(int) P
}

// stampPoints also leaves out a start later than its point. OTLP does not allow one, and for Prometheus it is a reset behind the
// sample. A start comes from the client's clock, and a point's time is cut to milliseconds. The start is not moved: a start that moves
// with every point would be a reset at every point.
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

// exemplified is a point that has exemplars.
type exemplified interface {
	dataPoint
	Exemplars() pmetric.ExemplarSlice
}

// stampExemplars gives exemplars without a time that of their point.
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
