// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"errors"
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxBuckets is the largest number of buckets on each side of a native histogram of an aggregate. It is the default of
// OpenTelemetry SDKs, and enough for all float64 values at the lowest scale.
const maxBuckets = 160

// exponential is the amount of a native histogram. Its shape is the scale and the zero bucket.
//
// A shape only gets coarser: to Prometheus a higher scale or a smaller zero threshold is a counter reset. A total has the
// lowest scale ever seen, or a lower one such that it has at most maxBuckets buckets a side. As long as all histograms have
// the same zero threshold, the zero bucket is left as it is. Otherwise the threshold is the largest one ever seen, raised to
// the next bound of a bucket, and the zero bucket takes in all buckets below. Prometheus sees a reset if a threshold lies
// within a bucket that had a count.
//
// So a count's place depends on the shape alone. The bounds of a scale are bounds of all higher scales. Therefore a count that
// reached the zero bucket in an earlier shape reaches it in each later shape.
type exponential struct {
	scale              int
	threshold          float64
	mixed              bool // Histograms with different thresholds were added.
	count, zeroCount   uint64
	positive, negative side
	sum                exact
}

var (
	errScale     = errors.New("has a scale outside of -4 to 8, which Prometheus does not have")
	errThreshold = errors.New("has an invalid zero threshold")
)

func readExponential(dp pmetric.ExponentialHistogramDataPoint) (amount, error) {
	sum, err := readSum(dp.Sum())
	switch {
	case err != nil:
		return nil, err
	case dp.Scale() < minScale || dp.Scale() > maxScale:
		return nil, errScale
	case !(dp.ZeroThreshold() >= 0) || math.IsInf(dp.ZeroThreshold(), 1):
		return nil, errThreshold
	}
	e := exponential{
		scale: int(dp.Scale()), threshold: dp.ZeroThreshold() + 0, count: dp.Count(), zeroCount: dp.ZeroCount(), sum: sum,
		positive: readSide(dp.Positive(), int(dp.Scale())), negative: readSide(dp.Negative(), int(dp.Scale())),
	}
	if e.threshold > 0 {
		e.threshold = max(e.threshold, minThreshold)
	}
	return e, e.check()
}

// readSide moves counts in buckets that no float64 belongs to into the nearest one that is possible.
func readSide(b pmetric.ExponentialHistogramDataPointBuckets, scale int) side {
	s := newSide(int(b.Offset()), b.BucketCounts().AsRaw())
	return s.clamped(indexRange(scale))
}

// check refuses buckets with more observations than the count. Observations of NaN are in no bucket.
func (e exponential) check() error {
	sum := e.zeroCount
	for _, s := range []side{e.positive, e.negative} {
		n, err := s.total()
		if err != nil {
			return errBuckets
		}
		if sum, err = addCounts(sum, n); err != nil {
			return errBuckets
		}
	}
	if sum > e.count {
		return errBuckets
	}
	return nil
}

func (exponential) kind() Kind { return ExponentialHistogram }

func (e exponential) widened(b amount) (wide amount, capped bool) {
	shape := e.joined(b.(exponential))
	return e.in(shape), false
}

// joined is the shape that has room for both histograms. The result has no counts.
func (e exponential) joined(b exponential) exponential {
	shape := exponential{
		scale:     min(e.scale, b.scale),
		threshold: max(e.threshold, b.threshold),
		mixed:     e.mixed || b.mixed || e.threshold != b.threshold,
	}
	for ; ; shape.scale-- {
		a, c := e.in(shape), b.in(shape)
		if width(a.positive, c.positive) <= maxBuckets && width(a.negative, c.negative) <= maxBuckets {
			break
		}
	}
	if shape.mixed && shape.threshold > 0 {
		shape.threshold = boundAt(firstAbove(shape.threshold, shape.scale), shape.scale)
	}
	return shape
}

// in is the histogram in a coarser shape.
func (e exponential) in(shape exponential) exponential {
	steps := e.scale - shape.scale
	e.positive, e.negative = e.positive.downscaled(steps), e.negative.downscaled(steps)
	e.scale, e.threshold, e.mixed = shape.scale, shape.threshold, shape.mixed
	if e.mixed {
		first := firstAbove(e.threshold, e.scale)
		var below [2]uint64
		e.positive, below[0] = e.positive.from(first)
		e.negative, below[1] = e.negative.from(first)
		e.zeroCount += below[0] + below[1]
	}
	return e
}

func (e exponential) fitted(to amount) amount { return e.in(to.(exponential)) }

func (e exponential) plus(b amount) (amount, error) {
	return e.combined(b.(exponential), addCounts, exact.plus)
}

func (e exponential) minus(b amount) (amount, error) {
	return e.combined(b.(exponential), subtractCounts, exact.minus)
}

// combined applies an operation to each count and to the sum.
func (e exponential) combined(b exponential, counts func(a, b uint64) (uint64, error), sums func(a, b exact) exact) (amount, error) {
	result := e
	var errs [4]error
	result.count, errs[0] = counts(e.count, b.count)
	result.zeroCount, errs[1] = counts(e.zeroCount, b.zeroCount)
	result.positive, errs[2] = e.positive.combined(b.positive, counts)
	result.negative, errs[3] = e.negative.combined(b.negative, counts)
	result.sum = sums(e.sum, b.sum)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return result, nil
}

func (e exponential) exceeds(later amount) bool { return e.count > later.(exponential).count }

// follows is false if a bucket falls. Since both histograms have the same shape, one that got coarser follows.
func (e exponential) follows(earlier amount) bool {
	was := earlier.(exponential)
	return e.count >= was.count && e.zeroCount >= was.zeroCount && e.positive.covers(was.positive) && e.negative.covers(was.negative)
}

func (e exponential) representable() bool { return e.sum.isFinite() }

func (e exponential) nothing() amount { return e.zero() }

func (e exponential) zero() amount {
	return exponential{scale: e.scale, threshold: e.threshold, mixed: e.mixed}
}

func (e exponential) put(to pmetric.Metric) point {
	dp := to.ExponentialHistogram().DataPoints().AppendEmpty()
	dp.SetCount(e.count)
	dp.SetSum(e.sum.float())
	dp.SetScale(int32(e.scale))
	dp.SetZeroThreshold(e.threshold)
	dp.SetZeroCount(e.zeroCount)
	e.positive.put(dp.Positive())
	e.negative.put(dp.Negative())
	return dp
}

func (s side) put(to pmetric.ExponentialHistogramDataPointBuckets) {
	to.SetOffset(int32(s.offset))
	to.BucketCounts().FromRaw(s.counts)
}

func (e exponential) encode(b []byte) []byte {
	b = appendInt(b, int64(e.scale))
	b = appendFloat(b, e.threshold)
	b = append(b, flag(e.mixed))
	b = appendUint(appendUint(b, e.count), e.zeroCount)
	return appendExact(appendSide(appendSide(b, e.positive), e.negative), e.sum)
}
