// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"errors"
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxBounds is the largest number of bounds of a classic histogram of an aggregate. Each bound is a series. Client libraries
// have about ten by default.
const maxBounds = 256

// histogram is the amount of a classic histogram. The counts are those of each bucket alone, that above all bounds last.
//
// The bounds of a total are the union of all bounds ever seen, up to maxBounds. The count at a bound goes to the same bound of
// the total or, if the total has no room for that bound, to the next higher one. So the cumulative count of each bound rises with
// the bound and with time. A bound that joins later starts with the count of the bound below it.
type histogram struct {
	bounds []float64 // strictly increasing
	counts []uint64  // one more than bounds
	sum    exact
}

var (
	errSum     = errors.New("has a sum that is not a finite number, which would make the sum of all pushes NaN or infinite")
	errBounds  = errors.New("has bucket bounds that do not increase")
	errBuckets = errors.New("has buckets that do not add up to its count")
)

// readSum refuses sums that would spoil a total.
func readSum(v float64) (exact, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return exact{}, errSum
	}
	return exactOf(v), nil
}

func readHistogram(dp pmetric.HistogramDataPoint) (amount, error) {
	sum, err := readSum(dp.Sum())
	if err != nil {
		return nil, err
	}
	h := histogram{bounds: dp.ExplicitBounds().AsRaw(), counts: dp.BucketCounts().AsRaw(), sum: sum}
	if len(h.counts) == 0 && len(h.bounds) == 0 {
		h.counts = []uint64{dp.Count()}
	}
	for i := range h.bounds {
		h.bounds[i] += 0 // Adding 0 makes 0 of -0, which is the same bound.
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if count, err := h.count(); err != nil || count != dp.Count() {
		return nil, errBuckets
	}
	return h, nil
}

// check refuses bounds that do not increase or do not match the counts.
func (h histogram) check() error {
	if len(h.counts) != len(h.bounds)+1 {
		return errBuckets
	}
	for i, b := range h.bounds {
		if math.IsNaN(b) || math.IsInf(b, 1) || i > 0 && b <= h.bounds[i-1] {
			return errBounds
		}
	}
	return nil
}

// count is the number of observations.
func (h histogram) count() (count uint64, err error) {
	for _, c := range h.counts {
		if count, err = addCounts(count, c); err != nil {
			return 0, err
		}
	}
	return count, nil
}

func (histogram) kind() Kind { return Histogram }

func (h histogram) widened(b amount) (wide amount, capped bool) {
	bounds, capped := union(h.bounds, b.(histogram).bounds)
	return h.on(bounds), capped
}

// union adds bounds in increasing order as long as there is room. If capped, there is none for some.
func union(bounds, further []float64) (joined []float64, capped bool) {
	if slices.Equal(bounds, further) {
		return bounds, false
	}
	var missing []float64
	for _, b := range further {
		if _, found := slices.BinarySearch(bounds, b); found {
			continue
		}
		if len(bounds)+len(missing) >= maxBounds {
			capped = true
			break
		}
		missing = append(missing, b)
	}
	if len(missing) == 0 {
		return bounds, capped
	}
	joined = slices.Concat(bounds, missing)
	slices.Sort(joined)
	return joined, capped
}

// on is the histogram with the counts at those bounds, or at the next higher ones where its own are missing.
func (h histogram) on(bounds []float64) histogram {
	if slices.Equal(h.bounds, bounds) {
		return h
	}
	counts := make([]uint64, len(bounds)+1)
	for i, b := range h.bounds {
		at, _ := slices.BinarySearch(bounds, b)
		counts[at] += h.counts[i]
	}
	counts[len(bounds)] += h.counts[len(h.bounds)]
	return histogram{bounds, counts, h.sum}
}

// fitted has those of its own bounds that the total has, and for each other one the total's next higher bound.
func (h histogram) fitted(to amount) amount {
	of := to.(histogram).bounds
	if slices.Equal(h.bounds, of) {
		return h
	}
	var kept []float64
	for _, b := range h.bounds {
		at, _ := slices.BinarySearch(of, b)
		if at < len(of) && (len(kept) == 0 || kept[len(kept)-1] < of[at]) {
			kept = append(kept, of[at])
		}
	}
	return h.on(kept)
}

func (h histogram) plus(b amount) (amount, error) {
	return h.combined(b.(histogram), addCounts, exact.plus)
}

func (h histogram) minus(b amount) (amount, error) {
	return h.combined(b.(histogram), subtractCounts, exact.minus)
}

// combined applies an operation to each count and to the sum.
func (h histogram) combined(b histogram, counts func(a, b uint64) (uint64, error), sums func(a, b exact) exact) (amount, error) {
	b = b.on(h.bounds)
	result := histogram{h.bounds, make([]uint64, len(h.counts)), sums(h.sum, b.sum)}
	for i := range h.counts {
		var err error
		if result.counts[i], err = counts(h.counts[i], b.counts[i]); err != nil {
			return nil, err
		}
	}
	if _, err := result.count(); err != nil {
		return nil, err
	}
	return result, nil
}

func (h histogram) exceeds(later amount) bool {
	was, _ := h.count() // A count that exists does not overflow.
	is, _ := later.(histogram).count()
	return was > is
}

// follows is false for other bounds, since no client changes them while it lives, and if a bucket falls.
func (h histogram) follows(earlier amount) bool {
	e := earlier.(histogram)
	if !slices.Equal(h.bounds, e.bounds) {
		return false
	}
	var was, is uint64
	for i := range h.counts {
		was, is = was+e.counts[i], is+h.counts[i]
		if is < was {
			return false
		}
	}
	return true
}

func (h histogram) representable() bool { return h.sum.isFinite() }
func (histogram) nothing() amount       { return histogram{counts: make([]uint64, 1)} }
func (h histogram) zero() amount {
	return histogram{bounds: h.bounds, counts: make([]uint64, len(h.counts))}
}

func (h histogram) encode(b []byte) []byte {
	b = appendUint(b, uint64(len(h.bounds)))
	for _, bound := range h.bounds {
		b = appendFloat(b, bound)
	}
	for _, c := range h.counts {
		b = appendUint(b, c)
	}
	return appendExact(b, h.sum)
}

func (h histogram) put(to pmetric.Metric) point {
	dp := to.Histogram().DataPoints().AppendEmpty()
	count, _ := h.count()
	dp.SetCount(count)
	dp.SetSum(h.sum.float())
	dp.ExplicitBounds().FromRaw(h.bounds)
	dp.BucketCounts().FromRaw(h.counts)
	return dp
}
