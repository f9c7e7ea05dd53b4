// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"errors"
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// number is the amount of a counter.
type number struct{ sum exact }

var (
	errNotFinite = errors.New("is not a finite number, which would make the total of all pushes NaN or infinite")
	errNegative  = errors.New("is negative, so that the total of all pushes would fall")
)

func readNumber(v float64) (number, error) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return number{}, errNotFinite
	case v < 0:
		return number{}, errNegative
	}
	return number{exactOf(v)}, nil
}

// numberOf is the value of a point. Pushes have floats; integers are there for completeness.
func numberOf(dp pmetric.NumberDataPoint) float64 {
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return float64(dp.IntValue())
	}
	return dp.DoubleValue()
}

func (number) kind() Kind                      { return Number }
func (n number) widened(amount) (amount, bool) { return n, false }
func (n number) fitted(amount) amount          { return n }
func (n number) plus(b amount) (amount, error) { return number{n.sum.plus(b.(number).sum)}, nil }
func (n number) exceeds(later amount) bool     { return later.(number).sum.less(n.sum) }
func (n number) follows(earlier amount) bool   { return !earlier.exceeds(n) }
func (n number) representable() bool           { return n.sum.isFinite() }
func (number) nothing() amount                 { return number{} }
func (number) zero() amount                    { return number{} }
func (n number) encode(b []byte) []byte        { return appendExact(b, n.sum) }
func (n number) put(to pmetric.Metric) point   { return putNumber(to, n.sum.float()) }

func (n number) minus(b amount) (amount, error) {
	rest := n.sum.minus(b.(number).sum)
	if rest.sign() < 0 {
		return nil, ErrAbsent
	}
	return number{rest}, nil
}
