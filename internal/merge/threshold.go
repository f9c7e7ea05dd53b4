// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"math"
	"slices"
)

// The bounds of exponential buckets as Prometheus has them: 2^(index · 2^-scale). Bounds of a scale are also bounds of every
// higher scale, and the same float64 values. All are computed at the highest scale, so that this holds by construction.
const (
	minScale = -4
	maxScale = 8
)

// fractions are the bounds in [0.5, 1) at the highest scale. Prometheus computed its table in this way, including the
// rounding errors. With other last digits a zero threshold would lie within a bucket.
var fractions = func() []float64 {
	coarse := []float64{0.5}
	for scale := 1; scale <= maxScale; scale++ {
		factor := math.Exp2(math.Exp2(float64(-scale)))
		fine := make([]float64, 0, 2*len(coarse))
		for _, bound := range coarse {
			fine = append(fine, bound, bound*factor)
		}
		coarse = fine
	}
	return coarse
}()

// boundAt is the lower bound of the bucket with that index.
func boundAt(index, scale int) float64 {
	fine := index << (maxScale - scale)
	bound := math.Ldexp(fractions[fine&(1<<maxScale-1)], fine>>maxScale+1)
	return min(bound, math.MaxFloat64)
}

// firstAbove is the index of the first bucket whose lower bound is at least the threshold, for any scale.
func firstAbove(threshold float64, scale int) int {
	if threshold == 0 {
		return math.MinInt
	}
	fraction, exp := math.Frexp(threshold)
	at, _ := slices.BinarySearch(fractions, fraction)
	fine, step := (exp-1)<<maxScale+at, 1<<(maxScale-scale)
	return (fine + step - 1) >> (maxScale - scale)
}

// minThreshold is the smallest zero threshold but 0. Below it, bounds of buckets have the same float64 values.
const minThreshold = 0x1p-1022

// indexRange is the first and the last index of a bucket that can hold a float64. The last one is that of infinity.
func indexRange(scale int) (first, last int) {
	const smallest, infinite = minExp << maxScale, 1024 << maxScale
	shift := maxScale - scale
	return (smallest - 1) >> shift, infinite >> shift
}
