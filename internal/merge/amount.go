// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"errors"
	"math/bits"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Kind is the kind of point that an amount is made of.
type Kind uint8

// The kinds. Their numbers are part of the encoding.
const (
	Number Kind = iota + 1
	Histogram
	ExponentialHistogram
	Summary
)

var kindNames = [...]string{
	Number: "number", Histogram: "classic histogram", ExponentialHistogram: "native histogram", Summary: "summary",
}

// String names the kind in a sentence.
func (k Kind) String() string { return kindNames[k] }

// The reasons for which a push cannot be merged.
var (
	// ErrOverflow says that a count would exceed 64 bits or that a sum would become infinite.
	ErrOverflow = errors.New("the total would exceed the largest number that it can hold")
	// ErrKind says that a series of one kind of point gets a point of another kind.
	ErrKind = errors.New("the aggregate has another kind of series of this name and these labels")
	// ErrAbsent says that a contribution to be replaced or removed is not part of the aggregate: the caller's state is corrupt.
	ErrAbsent = errors.New("the contribution is not part of the aggregate")
)

// amount is a value that can be added and subtracted without loss. Amounts are immutable.
//
// Histograms have a shape beside their counts: the bounds, or the resolution and the zero bucket. Shapes only get coarser or
// gain bounds. The place of a count in a shape does not depend on earlier shapes. So an amount that was added in one shape
// can be subtracted in a later one. Methods with a second amount expect one of the same kind.
type amount interface {
	kind() Kind
	// widened is the amount in a shape that has room for b, too. If capped, b has bounds for which there is no room.
	widened(b amount) (wide amount, capped bool)
	// fitted is the amount in a form that can be added to an amount in the shape of to. It expects that to was widened by it.
	fitted(to amount) amount
	// plus adds an amount that is fitted to this one. It fails if a count overflows.
	plus(b amount) (amount, error)
	// minus subtracts an amount that is fitted to this one. It fails if a count is too small.
	minus(b amount) (amount, error)
	// exceeds tells whether the value by which restarts are detected is larger than that of a later push.
	exceeds(later amount) bool
	// follows tells whether a later push can be of the same incarnation. Both are fitted to the same shape.
	follows(earlier amount) bool
	// representable tells whether all sums have finite float64 values.
	representable() bool
	// zero counts nothing, in the same shape.
	zero() amount
	// nothing counts nothing, in the smallest shape that can be widened by this amount.
	nothing() amount
	// encode appends the amount in the form that decodeAmount reads.
	encode(b []byte) []byte
	// put appends a point without attributes to the metric, which must be of the matching type.
	put(to pmetric.Metric) point
}

// add is a + b in a common shape.
func add(a, b amount) (amount, error) {
	wide, _ := a.widened(b)
	return wide.plus(b.fitted(wide))
}

// addCounts is a + b.
func addCounts(a, b uint64) (uint64, error) {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return 0, ErrOverflow
	}
	return sum, nil
}

// subtractCounts is a - b.
func subtractCounts(a, b uint64) (uint64, error) {
	if a < b {
		return 0, ErrAbsent
	}
	return a - b, nil
}
