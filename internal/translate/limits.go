// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// survey lists the families to translate and counts their series. It refuses what is wrong with the push as a whole.
func (t *translator) survey() error {
	for i := range t.batch.Families {
		f := &t.batch.Families[i]
		if f.First == exposition.None {
			continue
		}
		size, series, stamped := t.measure(f)
		if stamped && t.options.Timestamps == Reject {
			return inconsistent("pushed metrics must not have timestamps")
		}
		if t.setsItself(f.Name) {
			continue // A Pushgateway overwrites it too.
		}
		t.push.Series += series
		t.families = append(t.families, family{f, size})
	}
	if limit := t.options.Limits.SeriesPerPush; limit > 0 && t.push.Series > limit {
		return tooManySeries(limit, t.push.Series)
	}
	return nil
}

// setsItself tells whether the receiver sets the metric of that name, whatever the body says.
func (t *translator) setsItself(name string) bool {
	return t.options.PushTime && (name == PushTimeName || t.options.Held && name == PushFailureTimeName)
}

// measure counts the elements of a family and its series as Prometheus counts them, and tells whether any has an explicit
// timestamp.
func (t *translator) measure(f *exposition.Family) (size, series int, stamped bool) {
	for i := f.First; i != exposition.None; {
		s := &t.batch.Series[i]
		size++
		series += t.seriesOf(f.Type, s)
		stamped = stamped || s.HasTimestamp
		i = s.Next
	}
	return size, series, stamped
}

// seriesOf is the number of series that Prometheus makes of one element of a family.
func (t *translator) seriesOf(typ exposition.Type, s *exposition.Series) int {
	switch {
	case s.Complex == exposition.None:
		return 1
	case typ == exposition.Summary:
		return t.countQuantiles(&t.batch.Summaries[s.Complex]) + 2
	case t.isNative(&t.batch.Histograms[s.Complex]):
		return 1
	default:
		return t.countBuckets(&t.batch.Histograms[s.Complex]) + 2
	}
}

// countBuckets counts classic buckets. There is one for +Inf, pushed or not.
func (t *translator) countBuckets(h *exposition.HistogramValue) int {
	n, infinite := 0, 0
	for i := h.FirstBucket; i != exposition.None; i = t.batch.Buckets[i].Next {
		n++
		if math.IsInf(t.batch.Buckets[i].UpperBound, 1) {
			infinite = 1
		}
	}
	return n + 1 - infinite
}

// checkLabelCount refuses a series with too many labels, n of them its own.
func (t *translator) checkLabelCount(f *exposition.Family, s *exposition.Series, n int) error {
	if limit := t.options.Limits.LabelsPerSeries; limit > 0 && t.grouping.count+n > limit {
		return tooManyLabels(limit, t.grouping.count+n, t.describe(f, s))
	}
	return nil
}

// A push may become this many attributes: some, and so many for each element of its body. The grouping key's labels are
// repeated on each series and a flattened histogram's on each bucket, so that a small push with many of both would become
// as many attributes as their product.
const (
	minAttributes        = 1 << 22
	attributesPerElement = 8
)

// spendGrouping counts the attributes that the grouping key's labels will become.
func (t *translator) spendGrouping() error {
	size := 0
	for _, f := range t.families {
		size += f.series
	}
	return t.spend(size * len(t.grouping.labels))
}

// spendPoint counts the further attributes that the current series will become: its own labels on each of its points.
func (t *translator) spendPoint(k kind) error {
	own := len(t.carried)
	if k != flattened {
		return t.spend(own + len(t.scopeLabels))
	}
	points := len(t.flat) + 2
	attributes := points*own + (points-1)*len(t.grouping.labels) + len(t.scopeLabels)
	if err := t.spend(attributes); err != nil || t.options.Reserve == nil {
		return err
	}
	return t.options.Reserve(int64(points*pointSize + attributes*attributeSize))
}

// What points and attributes take in memory, in bytes and rounded up.
const (
	pointSize     = 250
	attributeSize = 85
)

// spend adds n attributes to those of the push, and refuses too many.
func (t *translator) spend(n int) error {
	t.spent += n
	if t.spent <= minAttributes {
		return nil
	}
	b := t.batch
	elements := len(b.Series) + len(b.Labels) + len(b.Buckets) + len(b.Deltas) + len(b.Counts)
	if budget := minAttributes + attributesPerElement*elements; t.spent > budget {
		return tooManyAttributes(budget, t.spent)
	}
	return nil
}
