// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"math/bits"
)

// The encoding of contributions and accumulators is frozen: a change needs a new version. Integers are varints.
//
//	contribution = head created carried last | head value [order]
//	head         = one byte: version (3 bits), kind of the amounts or 0 for a number of another function than Total (3 bits),
//	               has carried or order (1 bit), has created (1 bit)
//	accumulator  = one byte: version (4 bits), function (4 bits), then by function
//	total        = kind amount, or 0
//	last         = has value order
//	sum, avg     = pushers, positive and negative infinities, exact
//	min, max     = pushers, holders, value
//	number       = exact
//	histogram    = number of bounds, bounds, counts, exact
//	exponential  = scale, threshold, mixed, count, zero count, positive side, negative side, exact
//	summary      = count, exact
//	side         = number of counts; offset, counts unless there are none
//	exact        = 2 · length + sign; exponent, big-endian mantissa unless the length is 0
//	float        = length, the leading bytes of the IEEE 754 number without the zero bytes behind them
const encodingVersion = 1

const (
	hasCreated = 1 << iota
	hasMore    // carried of a total, order of a number
)

var (
	// ErrVersion says that the state is in an encoding of a later version.
	ErrVersion = errors.New("written in an encoding that is unknown to this version of the receiver")
	// ErrCorrupt says that the state cannot have been written by this package.
	ErrCorrupt = errors.New("corrupt: it is no state of an aggregate")
)

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendHead(b []byte, f Function) []byte { return append(b, encodingVersion<<4|byte(f)) }
func appendUint(b []byte, v uint64) []byte   { return binary.AppendUvarint(b, v) }
func appendInt(b []byte, v int64) []byte     { return binary.AppendVarint(b, v) }
func appendCounts(b []byte, c []uint64) []byte {
	for _, v := range c {
		b = appendUint(b, v)
	}
	return b
}

// appendFloat takes three bytes for a small integer and nine for most decimals.
func appendFloat(b []byte, v float64) []byte {
	pattern := math.Float64bits(v)
	n := 8 - bits.TrailingZeros64(pattern)/8
	var whole [8]byte
	binary.BigEndian.PutUint64(whole[:], pattern)
	return append(append(b, byte(n)), whole[:n]...)
}

func appendExact(b []byte, e exact) []byte {
	magnitude := e.mantissa().Bytes()
	b = appendUint(b, uint64(len(magnitude))<<1|uint64(flag(e.sign() < 0)))
	if len(magnitude) == 0 {
		return b
	}
	return append(appendInt(b, int64(e.exp)), magnitude...)
}

func appendSide(b []byte, s side) []byte {
	b = appendUint(b, uint64(len(s.counts)))
	if len(s.counts) == 0 {
		return b
	}
	return appendCounts(appendInt(b, int64(s.offset)), s.counts)
}

// Encode appends the contribution in the form that DecodeContribution reads.
func (c *Contribution) Encode(b []byte) []byte {
	head := byte(encodingVersion << 5)
	if !c.total {
		if c.order == 0 {
			return appendFloat(append(b, head), c.value)
		}
		return appendInt(appendFloat(append(b, head|hasMore), c.value), c.order)
	}
	head |= byte(c.last.kind())<<2 | flag(c.created != 0)*hasCreated | flag(c.carried != nil)*hasMore
	b = append(b, head)
	if c.created != 0 {
		b = appendInt(b, c.created)
	}
	if c.carried != nil {
		b = c.carried.encode(b)
	}
	return c.last.encode(b)
}

// reader takes values off the front of the bytes. After a failure all values are 0.
type reader struct {
	rest   []byte
	failed error
}

// DecodeContribution reads a contribution, and returns what follows it.
func DecodeContribution(b []byte) (c *Contribution, rest []byte, err error) {
	r := reader{rest: b}
	head := r.byte()
	if r.failed == nil && head>>5 != encodingVersion {
		return nil, nil, ErrVersion
	}
	c = &Contribution{}
	if k := Kind(head >> 2 & 7); k == 0 {
		c.value = r.float()
		if head&hasMore != 0 {
			c.order = r.int()
		}
		r.check(head&hasCreated == 0)
	} else {
		r.total(c, k, head)
	}
	if r.failed != nil {
		return nil, nil, r.failed
	}
	return c, r.rest, nil
}

func (r *reader) total(c *Contribution, k Kind, head byte) {
	c.total = true
	if head&hasCreated != 0 {
		c.created = r.int()
	}
	if head&hasMore != 0 {
		c.carried = r.amount(k)
	}
	c.last = r.amount(k)
}

// DecodeAccumulator reads an accumulator, and returns what follows it.
func DecodeAccumulator(b []byte) (a Accumulator, rest []byte, err error) {
	r := reader{rest: b}
	head := r.byte()
	if r.failed == nil && head>>4 != encodingVersion {
		return nil, nil, ErrVersion
	}
	if a = r.accumulator(Function(head & 15)); r.failed != nil {
		return nil, nil, r.failed
	}
	return a, r.rest, nil
}

func (r *reader) accumulator(f Function) Accumulator {
	switch f {
	case Total:
		if k := Kind(r.byte()); k != 0 {
			return total{r.amount(k)}
		}
		return total{}
	case Last:
		return last{r.byte() != 0, r.float(), r.int()}
	case Sum, Avg:
		s := sum{of: f, pushers: r.uint(), positive: r.uint(), negative: r.uint(), finite: r.exact()}
		r.check(s.positive <= s.pushers && s.negative <= s.pushers-s.positive)
		return s
	case Min, Max:
		e := extreme{of: f, pushers: r.uint(), holders: r.uint(), value: r.float()}
		r.check(e.holders <= e.pushers && !math.IsNaN(e.value))
		return e
	default:
		r.check(false)
		return nil
	}
}

// check fails unless a condition holds.
func (r *reader) check(holds bool) {
	if !holds {
		r.rest, r.failed = nil, ErrCorrupt
	}
}

// bytes takes n bytes. They are a part of the input.
func (r *reader) bytes(n uint64) []byte {
	r.check(n <= uint64(len(r.rest)))
	if r.failed != nil {
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.bytes(uint64(max(n, 0)))
	r.check(n > 0)
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.rest)
	r.bytes(uint64(max(n, 0)))
	r.check(n > 0)
	return v
}

// length is the number of values that follow, each of at least one byte.
func (r *reader) length(most int) int {
	n := r.uint()
	r.check(n <= uint64(most) && n <= uint64(len(r.rest)))
	if r.failed != nil {
		return 0
	}
	return int(n)
}

func (r *reader) float() float64 {
	n := r.byte()
	r.check(n <= 8)
	var whole [8]byte
	copy(whole[:], r.bytes(uint64(n)))
	return math.Float64frombits(binary.BigEndian.Uint64(whole[:]))
}

func (r *reader) counts(n int) []uint64 {
	counts := make([]uint64, n)
	for i := range counts {
		counts[i] = r.uint()
	}
	return counts
}

// maxBits is the length of a sum of 2^64 of the largest numbers.
const maxBits = 1024 + 64

func (r *reader) exact() exact {
	head := r.uint()
	if head>>1 == 0 {
		return exact{}
	}
	exp := r.int()
	mantissa := new(big.Int).SetBytes(r.bytes(head >> 1))
	r.check(exp >= minExp && exp <= maxBits && exp+int64(mantissa.BitLen()) <= maxBits)
	if r.failed != nil {
		return exact{}
	}
	if head&1 != 0 {
		mantissa.Neg(mantissa)
	}
	return newLarge(mantissa, int(exp))
}

func (r *reader) amount(k Kind) amount {
	switch k {
	case Number:
		n := number{r.exact()}
		r.check(n.sum.sign() >= 0)
		return n
	case Histogram:
		return r.histogram()
	case ExponentialHistogram:
		return r.exponential()
	case Summary:
		return summary{r.uint(), r.exact()}
	default:
		r.check(false)
		return nil
	}
}

func (r *reader) histogram() histogram {
	n := r.length(maxBounds)
	h := histogram{bounds: make([]float64, n)}
	for i := range h.bounds {
		h.bounds[i] = r.float()
	}
	h.counts, h.sum = r.counts(n+1), r.exact()
	_, err := h.count()
	r.check(err == nil && h.check() == nil)
	return h
}

func (r *reader) exponential() exponential {
	e := exponential{scale: int(r.int()), threshold: r.float(), mixed: r.byte() != 0, count: r.uint(), zeroCount: r.uint()}
	r.check(e.scale >= minScale && e.scale <= maxScale)
	r.check(e.threshold == 0 || e.threshold >= minThreshold && !math.IsInf(e.threshold, 1))
	e.positive, e.negative = r.side(e.scale), r.side(e.scale)
	e.sum = r.exact()
	r.check(e.check() == nil)
	return e
}

func (r *reader) side(scale int) side {
	n := r.length(maxBuckets)
	if n == 0 {
		return side{}
	}
	offset := r.int()
	if r.failed != nil {
		return side{}
	}
	first, last := indexRange(scale)
	r.check(offset >= int64(first) && offset <= int64(last))
	s := side{int(offset), r.counts(n)}
	r.check(s.end()-1 <= last && s.counts[0] > 0 && s.counts[n-1] > 0)
	return s
}
