// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// survey lists the families to translate, counts their series and refuses faults of the whole push.
func (t *translator) survey() error {
	for i := range t.batch.Families {
		f := &t.batch.Families[i]
		if f.First == exposition.NoIndex {
			if f.Named && t.options.Held {
				t.push.Emptied = append(t.push.Emptied, strings.Clone(f.Name))
			}
			continue
		}
		points, series, stamped := t.measure(f)
		if stamped && t.options.Timestamps == Reject {
			return inconsistent("pushed metrics must not have timestamps")
		}
		if t.setsItself(f.Name) {
			continue // as in a Pushgateway
		}
		t.push.Series += series
		t.families = append(t.families, family{f, points, series})
	}
	return t.checkSeriesCount()
}

// checkSeriesCount refuses a push with too many series.
func (t *translator) checkSeriesCount() error {
	if limit := t.options.Limits.SeriesPerPush; limit > 0 && t.push.Series > limit {
		return tooManySeries(limit, t.push.Series)
	}
	return nil
}

// setsItself reports whether the receiver sets the metric of that name.
func (t *translator) setsItself(name string) bool {
	return t.options.PushTime && (name == PushTimeName || t.options.Held && name == PushFailureTimeName)
}

// measure counts a family's elements and its series in Prometheus, and reports explicit timestamps.
func (t *translator) measure(f *exposition.Family) (points, series int, stamped bool) {
	for i := f.First; i != exposition.NoIndex; {
		s := &t.batch.Series[i]
		points++
		series += t.seriesOf(f, s)
		stamped = stamped || s.HasTimestamp
		i = s.Next
	}
	return points, series, stamped
}

// seriesOf returns the number of series in Prometheus for one element of a family.
func (t *translator) seriesOf(f *exposition.Family, s *exposition.Series) int {
	switch {
	case s.ValueIndex == exposition.NoIndex:
		return 1
	case f.Type == exposition.Summary:
		return t.countQuantiles(&t.batch.Summaries[s.ValueIndex]) + t.countParts(f, s)
	case t.isNative(&t.batch.Histograms[s.ValueIndex]):
		return t.seriesOfNative(&t.batch.Histograms[s.ValueIndex])
	default:
		return t.countBuckets(&t.batch.Histograms[s.ValueIndex]) + t.countParts(f, s)
	}
}

// countParts counts the sum and the count.
func (t *translator) countParts(f *exposition.Family, s *exposition.Series) (n int) {
	p := t.flatParts(f, s)
	if p.hasSum {
		n++
	}
	if p.hasCount {
		n++
	}
	return n
}

// countBuckets counts classic buckets. With a count there is always a +Inf bucket.
func (t *translator) countBuckets(h *exposition.HistogramValue) int {
	if t.batch.OnlyPushed && !h.HasCount {
		n := 0
		for i := h.FirstBucket; i != exposition.NoIndex; i = t.batch.Buckets[i].Next {
			n++
		}
		return n
	}
	n, infinite := 0, 0
	for i := h.FirstBucket; i != exposition.NoIndex; i = t.batch.Buckets[i].Next {
		n++
		if math.IsInf(t.batch.Buckets[i].UpperBound, 1) {
			infinite = 1
		}
	}
	return n + 1 - infinite
}

// checkLabelCount refuses a series with too many labels. n of them are its own.
func (t *translator) checkLabelCount(f *exposition.Family, s *exposition.Series, n int) error {
	if limit := t.options.Limits.LabelsPerSeries; limit > 0 && t.grouping.count+n > limit {
		return tooManyLabels(limit, t.grouping.count+n, t.describe(f, s))
	}
	return nil
}
