// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"math"
	"math/big"
	"math/bits"
)

// exact is a sum of float64 values without rounding. Its value is mantissa · 2^exp. The mantissa is odd, or the sum is zero,
// so each value has one representation. Sums of float64 values are multiples of 2^-1074, which bounds the size.
//
// The mantissa is in small if it fits in an int64. Otherwise it is in large, which is never changed once it is set.
type exact struct {
	small int64
	large *big.Int
	exp   int
}

// minExp is the exponent of the smallest positive float64.
const minExp = -1074

// exactOf is a finite number.
func exactOf(v float64) exact {
	fraction, exp := math.Frexp(v)
	return newExact(int64(math.Ldexp(fraction, 53)), exp-53) // A float64 has 53 significant bits.
}

// newExact removes the trailing zeros of a mantissa.
func newExact(mantissa int64, exp int) exact {
	if mantissa == 0 {
		return exact{}
	}
	zeros := bits.TrailingZeros64(uint64(mantissa))
	return exact{small: mantissa >> zeros, exp: exp + zeros}
}

// newLarge removes the trailing zeros of a mantissa. It takes ownership of the mantissa.
func newLarge(mantissa *big.Int, exp int) exact {
	if mantissa.Sign() == 0 {
		return exact{}
	}
	zeros := mantissa.TrailingZeroBits()
	mantissa.Rsh(mantissa, zeros)
	exp += int(zeros)
	if mantissa.IsInt64() && mantissa.Int64() != math.MinInt64 {
		return exact{small: mantissa.Int64(), exp: exp}
	}
	return exact{large: mantissa, exp: exp}
}

func (a exact) isZero() bool { return a.small == 0 && a.large == nil }

// plus is a + b.
func (a exact) plus(b exact) exact {
	switch {
	case a.isZero():
		return b
	case b.isZero():
		return a
	case a.exp > b.exp:
		a, b = b, a
	}
	shift := b.exp - a.exp
	if a.large == nil && b.large == nil && length(a.small) < 63 && length(b.small)+shift < 63 {
		return newExact(a.small+b.small<<shift, a.exp)
	}
	aligned := new(big.Int).Lsh(b.mantissa(), uint(shift))
	return newLarge(aligned.Add(aligned, a.mantissa()), a.exp)
}

// length is the number of bits of the magnitude.
func length(mantissa int64) int {
	if mantissa < 0 {
		mantissa = -mantissa
	}
	return bits.Len64(uint64(mantissa))
}

// mantissa may be shared and must not be changed.
func (a exact) mantissa() *big.Int {
	if a.large != nil {
		return a.large
	}
	return big.NewInt(a.small)
}

// negated is -a.
func (a exact) negated() exact {
	if a.large != nil {
		return exact{large: new(big.Int).Neg(a.large), exp: a.exp}
	}
	return exact{small: -a.small, exp: a.exp}
}

// minus is a - b.
func (a exact) minus(b exact) exact { return a.plus(b.negated()) }

// sign is -1, 0 or 1.
func (a exact) sign() int {
	switch {
	case a.large != nil:
		return a.large.Sign()
	case a.small < 0:
		return -1
	case a.small > 0:
		return 1
	default:
		return 0
	}
}

// less tells whether a < b.
func (a exact) less(b exact) bool { return a.minus(b).sign() < 0 }

// float is the nearest float64. It is infinite if the sum is beyond all float64 values.
//
// Rounding happens once: a sum in the range of subnormal numbers is a multiple of the smallest of them.
func (a exact) float() float64 {
	if a.large == nil {
		return math.Ldexp(float64(a.small), a.exp)
	}
	f := new(big.Float).SetInt(a.large)
	v, _ := f.SetMantExp(f, a.exp).Float64()
	return v
}

// isFinite tells whether the sum has a finite nearest float64.
func (a exact) isFinite() bool { return !math.IsInf(a.float(), 0) }

// over is the float64 nearest to a / n.
func (a exact) over(n uint64) float64 {
	numerator, denominator := new(big.Int).Set(a.mantissa()), new(big.Int).SetUint64(n)
	if a.exp >= 0 {
		numerator.Lsh(numerator, uint(a.exp))
	} else {
		denominator.Lsh(denominator, uint(-a.exp))
	}
	v, _ := new(big.Rat).SetFrac(numerator, denominator).Float64()
	return v
}
