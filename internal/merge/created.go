// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	createdSuffix = "_created"
	totalSuffix   = "_total"
)

// TakeCreated turns the gauges <name>_created of client libraries that push the text format into start times. It takes each
// point of such a gauge that stands beside a counter, histogram or summary <name>, or a counter <name>_total, of the same
// scope and attributes, and leaves the metric in its place, possibly without points. A start time that a point has already
// is kept.
func TakeCreated(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			takeCreated(sm.Metrics())
		}
	}
}

func takeCreated(metrics pmetric.MetricSlice) {
	var owners map[string][]pmetric.Metric // by the name less _total
	for _, m := range metrics.All() {
		base, ok := strings.CutSuffix(m.Name(), createdSuffix)
		if !ok || familyOf(m) != gauge {
			continue
		}
		if owners == nil {
			owners = cumulativeByName(metrics)
		}
		for _, owner := range owners[base] {
			starts := startsOf(owner)
			m.Gauge().DataPoints().RemoveIf(starts.take)
		}
	}
}

// cumulativeByName finds the metrics that may have a created timestamp.
func cumulativeByName(metrics pmetric.MetricSlice) map[string][]pmetric.Metric {
	found := map[string][]pmetric.Metric{}
	for _, m := range metrics.All() {
		if familyOf(m) != cumulative {
			continue
		}
		found[m.Name()] = append(found[m.Name()], m)
		if base, ok := strings.CutSuffix(m.Name(), totalSuffix); ok && m.Type() == pmetric.MetricTypeSum {
			found[base] = append(found[base], m)
		}
	}
	return found
}

// starts are the points of a metric that can have a start time, by their attributes.
type starts map[string]startable

type startable interface {
	point
	StartTimestamp() pcommon.Timestamp
}

func startsOf(m pmetric.Metric) starts {
	s := starts{}
	switch m.Type() {
	case pmetric.MetricTypeSum:
		addStarts(s, m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		addStarts(s, m.Histogram().DataPoints())
	case pmetric.MetricTypeExponentialHistogram:
		addStarts(s, m.ExponentialHistogram().DataPoints())
	case pmetric.MetricTypeSummary:
		addStarts(s, m.Summary().DataPoints())
	}
	return s
}

func addStarts[P startable](s starts, points interface {
	Len() int
	At(i int) P
},
) {
	for i := range points.Len() {
		p := points.At(i)
		s[attributeKey(p.Attributes())] = p
	}
}

// attributeKey is the same for equal attributes in whatever order. All values are strings.
func attributeKey(attributes pcommon.Map) string {
	pairs := make([]string, 0, attributes.Len())
	for k, v := range attributes.All() {
		pairs = append(pairs, strconv.Quote(k)+strconv.Quote(v.AsString()))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "")
}

// take sets the start time of the point that a created timestamp belongs to, and tells whether there is one.
func (s starts) take(created pmetric.NumberDataPoint) bool {
	p, ok := s[attributeKey(created.Attributes())]
	if ok && p.StartTimestamp() == 0 {
		p.SetStartTimestamp(startAt(numberOf(created)))
	}
	return ok
}

// startAt is a time in seconds since the epoch as a start time. One that is not positive or cannot be held is none.
func startAt(seconds float64) pcommon.Timestamp {
	ms := math.Round(seconds * 1000)
	if !(ms > 0 && ms < math.MaxInt64/float64(time.Millisecond)) {
		return 0
	}
	return pcommon.Timestamp(int64(ms) * int64(time.Millisecond))
}
