// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// forwarded writes a line for each point, in alphabetical order and without push_time_seconds. It demands of each point what
// holds for all of them: a time, and no start later than that.
func forwarded(t *testing.T, all []pmetric.Metrics) (lines []string) {
	for _, md := range all {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if m.Name() != "push_time_seconds" {
						lines = append(lines, linesOfMetric(t, m)...)
					}
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func linesOfMetric(t *testing.T, m pmetric.Metric) (lines []string) {
	kind := "?"
	if v, ok := m.Metadata().Get("prometheus.type"); ok {
		kind = v.Str()
	}
	add := func(p timedPoint, value string) {
		require.NotZero(t, p.Timestamp(), m.Name())
		require.LessOrEqual(t, p.StartTimestamp(), p.Timestamp(), m.Name())
		line := kind + " " + m.Name() + attributesOf(p.Attributes()) + " " + value
		if start := p.StartTimestamp(); start != 0 && start != p.Timestamp() {
			line += " since " + start.AsTime().Format(time.RFC3339Nano)
		}
		lines = append(lines, line)
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			add(p, formatFloat(p.DoubleValue())+exemplarsOf(p.Timestamp(), p.Exemplars()))
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			add(p, formatFloat(p.DoubleValue())+exemplarsOf(p.Timestamp(), p.Exemplars()))
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			add(p, summaryOf(p))
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			add(p, histogramOf(p))
		}
	case pmetric.MetricTypeExponentialHistogram:
		kind = "native histogram"
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			add(p, nativeHistogramOf(p))
		}
	}
	return lines
}

// timedPoint is what all kinds of points have.
type timedPoint interface {
	Attributes() pcommon.Map
	StartTimestamp() pcommon.Timestamp
	Timestamp() pcommon.Timestamp
}

func attributesOf(attributes pcommon.Map) string {
	var pairs []string
	for name, value := range attributes.All() {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, value.AsString()))
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

func exemplarsOf(at pcommon.Timestamp, exemplars pmetric.ExemplarSlice) string {
	var b strings.Builder
	for _, e := range exemplars.All() {
		when := e.Timestamp().AsTime().Format(time.RFC3339Nano)
		if e.Timestamp() == at {
			when = "the time of its point"
		}
		fmt.Fprintf(&b, " exemplar %s %s at %s", e.TraceID(), formatFloat(e.DoubleValue()), when)
	}
	return b.String()
}

func summaryOf(p pmetric.SummaryDataPoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "count %d sum %s quantiles", p.Count(), formatFloat(p.Sum()))
	for _, q := range p.QuantileValues().All() {
		fmt.Fprintf(&b, " %s:%s", formatFloat(q.Quantile()), formatFloat(q.Value()))
	}
	return b.String()
}

func histogramOf(p pmetric.HistogramDataPoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "count %d sum %s buckets", p.Count(), formatFloat(p.Sum()))
	for i, bound := range append(p.ExplicitBounds().AsRaw(), math.Inf(1)) {
		fmt.Fprintf(&b, " %s:%d", formatFloat(bound), p.BucketCounts().At(i))
	}
	return b.String()
}

func nativeHistogramOf(p pmetric.ExponentialHistogramDataPoint) string {
	s := fmt.Sprintf("count %d sum %s scale %d zero %d", p.Count(), formatFloat(p.Sum()), p.Scale(), p.ZeroCount())
	for side, buckets := range map[string]pmetric.ExponentialHistogramDataPointBuckets{" positive": p.Positive(), " negative": p.Negative()} {
		if buckets.BucketCounts().Len() > 0 {
			s += fmt.Sprintf("%s %d:%v", side, buckets.Offset(), buckets.BucketCounts().AsRaw())
		}
	}
	return s
}

// seriesBackend is a next consumer that keeps the newest sample of each series, as Prometheus does. A request with a native
// histogram is refused as a whole, as by a Prometheus that does not take those.
type seriesBackend struct {
	consumer.Metrics

	mu       sync.Mutex
	newest   map[string]newestSample
	rejected []string
	changed  chan struct{} // closed and made anew with each request
}

type newestSample struct {
	at    pcommon.Timestamp
	value string // or stale
}

const stale = "stale"

func newSeriesBackend() *seriesBackend {
	b := &seriesBackend{newest: map[string]newestSample{}, changed: make(chan struct{})}
	next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error { return b.consume(md) })
	if err != nil {
		panic(err)
	}
	b.Metrics = next
	return b
}

func (b *seriesBackend) consume(md pmetric.Metrics) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() == pmetric.MetricTypeExponentialHistogram {
					return fmt.Errorf("native histograms are not taken: %s", m.Name())
				}
			}
		}
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				b.append(rm.Resource(), m)
			}
		}
	}
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

// append adds the samples of a metric, point by point: each has a time and may be a stale marker.
func (b *seriesBackend) append(resource pcommon.Resource, m pmetric.Metric) {
	for _, one := range pointByPoint(m) {
		series := map[string]string{}
		exposeMetric(series, resource, one.metric)
		for name, value := range series {
			if one.ended {
				value = stale
			}
			if last, ok := b.newest[name]; ok && (one.at < last.at || one.at == last.at && value != last.value) {
				b.rejected = append(b.rejected, fmt.Sprintf("%s %s at %s, behind %s at %s", name, value, one.at, last.value, last.at))
				continue
			}
			b.newest[name] = newestSample{one.at, value}
		}
	}
}

// onePoint is a metric with a single point.
type onePoint struct {
	metric pmetric.Metric
	at     pcommon.Timestamp
	ended  bool
}

func pointByPoint(m pmetric.Metric) (points []onePoint) {
	add := func(at pcommon.Timestamp, flags pmetric.DataPointFlags, fill func(pmetric.Metric)) {
		one := pmetric.NewMetric()
		one.SetName(m.Name())
		fill(one)
		points = append(points, onePoint{one, at, flags.NoRecordedValue()})
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			add(p.Timestamp(), p.Flags(), func(to pmetric.Metric) { p.CopyTo(to.SetEmptyGauge().DataPoints().AppendEmpty()) })
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			add(p.Timestamp(), p.Flags(), func(to pmetric.Metric) { p.CopyTo(to.SetEmptySum().DataPoints().AppendEmpty()) })
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			add(p.Timestamp(), p.Flags(), func(to pmetric.Metric) { p.CopyTo(to.SetEmptySummary().DataPoints().AppendEmpty()) })
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			add(p.Timestamp(), p.Flags(), func(to pmetric.Metric) { p.CopyTo(to.SetEmptyHistogram().DataPoints().AppendEmpty()) })
		}
	}
	return points
}

// alive lists the series that have not ended, with their values, without the times of pushes.
func (b *seriesBackend) alive() (series []string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	series = []string{}
	for _, name := range slices.Sorted(maps.Keys(b.newest)) {
		if value := b.newest[name].value; value != stale && !ownFamily.MatchString(name) {
			series = append(series, name+" "+value)
		}
	}
	return series, b.changed
}

// patience ends a test that waits for what never comes. No machine is so busy that it reaches it.
const patience = 5 * time.Minute

// await waits until these series are alive, no less and no more.
func (b *seriesBackend) await(t *testing.T, want []string) {
	t.Helper()
	for deadline := time.After(patience); ; {
		series, changed := b.alive()
		if slices.Equal(want, series) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			require.Equal(t, want, series)
		}
	}
}

// awaitRequest waits for the next request that is taken.
func (b *seriesBackend) awaitRequest(t *testing.T) {
	t.Helper()
	_, changed := b.alive()
	select {
	case <-changed:
	case <-time.After(patience):
		require.Fail(t, "Nothing comes")
	}
}

// outOfOrder lists the samples that Prometheus would not have taken.
func (b *seriesBackend) outOfOrder() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.rejected)
}
