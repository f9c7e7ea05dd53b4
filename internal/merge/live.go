// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// The accumulators of this file are of the contributions of pushers that are remembered. A contribution of NaN is passed over.

// sum is the accumulator of Sum and Avg. Infinities are counted apart, so that they can be removed again.
type sum struct {
	of                 Function
	pushers            uint64
	positive, negative uint64 // infinities
	finite             exact
}

func (s sum) Push(old *Contribution, sample Sample) (Result, error) {
	if s.of == Avg {
		sample.value /= float64(sample.values)
	}
	result, err := pushLive(s, old, sample)
	if err != nil {
		return Result{}, err
	}
	if now := result.Accumulator.(sum); s.of == Sum && math.IsInf(now.value(), 0) && now.positive+now.negative == 0 {
		return Result{}, ErrOverflow
	}
	return result, nil
}

// pushLive removes the old contribution and adds the new one.
func pushLive(a Accumulator, old *Contribution, s Sample) (Result, error) {
	if s.amount != nil {
		return Result{}, ErrKind
	}
	var err error
	if old != nil {
		if a, err = a.Withdraw(old); err != nil {
			return Result{}, err
		}
	}
	c := &Contribution{value: s.value}
	a, err = a.Add(c)
	return Result{Accumulator: a, Contribution: c, Outcome: replaced(old)}, err
}

func (s sum) Add(c *Contribution) (Accumulator, error) {
	if c.total {
		return nil, ErrKind
	}
	switch v := c.value; {
	case math.IsNaN(v):
		return s, nil
	case math.IsInf(v, 1):
		s.positive++
	case math.IsInf(v, -1):
		s.negative++
	default:
		s.finite = s.finite.plus(exactOf(v))
	}
	s.pushers++
	return s, nil
}

func (s sum) Withdraw(c *Contribution) (Accumulator, error) {
	switch v := c.value; {
	case math.IsNaN(v):
		return s, nil
	case c.total, s.pushers == s.positive+s.negative && !math.IsInf(v, 0),
		math.IsInf(v, 1) && s.positive == 0, math.IsInf(v, -1) && s.negative == 0:
		return nil, ErrAbsent
	case math.IsInf(v, 1):
		s.positive--
	case math.IsInf(v, -1):
		s.negative--
	default:
		s.finite = s.finite.minus(exactOf(v))
	}
	s.pushers--
	return s, nil
}

// value follows the rules for infinities: those of both signs together are not a number.
func (s sum) value() float64 {
	switch {
	case s.positive > 0 && s.negative > 0:
		return math.NaN()
	case s.positive > 0:
		return math.Inf(1)
	case s.negative > 0:
		return math.Inf(-1)
	case s.of == Avg:
		return s.finite.over(s.pushers)
	default:
		return s.finite.float()
	}
}

func (s sum) Empty() bool        { return s.pushers == 0 }
func (sum) Known() bool          { return true }
func (sum) Zero() Accumulator    { return nil }
func (s sum) function() Function { return s.of }

func (s sum) AppendPoint(to pmetric.Metric, attributes pcommon.Map, start pcommon.Timestamp) {
	finish(putNumber(to, s.value()), to, attributes, start)
}

func (s sum) Encode(b []byte) []byte {
	b = appendUint(appendUint(appendUint(appendHead(b, s.of), s.pushers), s.positive), s.negative)
	return appendExact(b, s.finite)
}

// extreme is the accumulator of Min and Max. It counts the pushers that have the extreme value. When the last of them has
// left, the value is unknown until a pusher brings one that is at least as extreme, or Rebuild has looked at all.
type extreme struct {
	of      Function
	pushers uint64
	value   float64 // No pusher has a more extreme one.
	holders uint64  // how many pushers have the value; 0 if it is unknown
}

func (e extreme) Push(old *Contribution, s Sample) (Result, error) { return pushLive(e, old, s) }

func (e extreme) Add(c *Contribution) (Accumulator, error) {
	if c.total {
		return nil, ErrKind
	}
	if math.IsNaN(c.value) {
		return e, nil
	}
	switch v := c.value + 0; { // Adding 0 makes 0 of -0, which is the same value.
	case e.pushers == 0 || e.beats(v):
		e.value, e.holders = v, 1
	case v == e.value:
		e.holders++
	}
	e.pushers++
	return e, nil
}

// beats tells whether v is more extreme than the value.
func (e extreme) beats(v float64) bool {
	if e.of == Min {
		return v < e.value
	}
	return v > e.value
}

func (e extreme) Withdraw(c *Contribution) (Accumulator, error) {
	holds := c.value == e.value
	switch {
	case math.IsNaN(c.value):
		return e, nil
	case c.total, e.pushers == 0, e.beats(c.value), holds && e.holders == 0, !holds && e.holders == e.pushers:
		return nil, ErrAbsent
	case e.pushers == 1:
		return New(e.of), nil
	case holds:
		e.holders--
	}
	e.pushers--
	return e, nil
}

func (e extreme) Empty() bool        { return e.pushers == 0 }
func (e extreme) Known() bool        { return e.pushers == 0 || e.holders > 0 }
func (extreme) Zero() Accumulator    { return nil }
func (e extreme) function() Function { return e.of }

func (e extreme) AppendPoint(to pmetric.Metric, attributes pcommon.Map, start pcommon.Timestamp) {
	finish(putNumber(to, e.value), to, attributes, start)
}

func (e extreme) Encode(b []byte) []byte {
	b = appendUint(appendUint(appendHead(b, e.of), e.pushers), e.holders)
	return appendFloat(b, e.value)
}
