// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// total is the accumulator of Total: the sum of carried + last over all contributions, including those of ended pushers.
type total struct {
	value amount // nil before the first push
}

func (t total) Push(old *Contribution, s Sample) (Result, error) {
	wide, capped, err := t.widened(old, s)
	if err != nil {
		return Result{}, err
	}
	next, outcome := &Contribution{total: true, created: s.created, last: s.amount.fitted(wide)}, First
	if old != nil {
		wide, outcome, err = old.release(wide, next)
	}
	switch {
	case err != nil:
		return Result{}, err
	case outcome == Ignored:
		return Result{Accumulator: t, Contribution: old, Outcome: Ignored}, nil
	}
	value, err := wide.plus(next.last)
	switch {
	case err != nil:
		return Result{}, err
	case !value.representable():
		return Result{}, ErrOverflow
	}
	return Result{total{value}, next, outcome, capped}, nil
}

// widened is the current value in a shape for the push.
func (t total) widened(old *Contribution, s Sample) (wide amount, capped bool, err error) {
	if s.amount == nil || !t.takes(s.amount) {
		return nil, false, ErrKind
	}
	wide = t.value
	if wide == nil {
		wide = s.amount.nothing()
	}
	if old != nil {
		if !old.total || old.last.kind() != s.amount.kind() || t.value == nil {
			return nil, false, ErrAbsent
		}
		wide, _ = wide.widened(old.last) // It changes nothing, unless the caller's state is corrupt.
	}
	wide, capped = wide.widened(s.amount)
	return wide, capped, nil
}

func (t total) takes(a amount) bool { return t.value == nil || t.value.kind() == a.kind() }

func (t total) Add(c *Contribution) (Accumulator, error) {
	if !c.total || !t.takes(c.last) {
		return nil, ErrKind
	}
	value := t.value
	if value == nil {
		value = c.last.nothing()
	}
	value, err := add(value, c.last)
	if err == nil && c.carried != nil {
		value, err = add(value, c.carried)
	}
	if err != nil {
		return nil, err
	}
	return total{value}, nil
}

func (t total) Withdraw(*Contribution) (Accumulator, error) { return t, nil }
func (t total) Empty() bool                                 { return t.value == nil }
func (total) Known() bool                                   { return true }
func (total) function() Function                            { return Total }

func (t total) Zero() Accumulator {
	if t.value == nil {
		return t
	}
	return total{t.value.zero()}
}

func (t total) AppendPoint(to pmetric.Metric, attributes pcommon.Map, start pcommon.Timestamp) {
	finish(t.value.put(to), to, attributes, start)
}

func (t total) Encode(b []byte) []byte {
	b = appendHead(b, Total)
	if t.value == nil {
		return append(b, 0)
	}
	return t.value.encode(append(b, byte(t.value.kind())))
}
