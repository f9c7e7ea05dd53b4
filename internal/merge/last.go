// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// last is the accumulator of Last: the contribution of the latest push.
type last struct {
	has   bool
	value float64
	order int64
}

func (l last) Push(old *Contribution, s Sample) (Result, error) {
	c := &Contribution{value: s.value, order: s.order}
	next, err := l.Add(c)
	return Result{Accumulator: next, Contribution: c, Outcome: replaced(old)}, err
}

// replaced is the outcome of a push that replaces whatever was before.
func replaced(old *Contribution) Outcome {
	if old == nil {
		return First
	}
	return Replaced
}

// Add keeps the later value. Of two with the same order the larger bits win, so that the order of additions does not matter.
func (l last) Add(c *Contribution) (Accumulator, error) {
	if c.total {
		return nil, ErrKind
	}
	if l.has && (c.order < l.order || c.order == l.order && math.Float64bits(c.value) <= math.Float64bits(l.value)) {
		return l, nil
	}
	return last{true, c.value, c.order}, nil
}

func (l last) Withdraw(*Contribution) (Accumulator, error) { return l, nil }
func (l last) Empty() bool                                 { return !l.has }
func (last) Known() bool                                   { return true }
func (last) Zero() Accumulator                             { return nil }
func (last) function() Function                            { return Last }

func (l last) AppendPoint(to pmetric.Metric, attributes pcommon.Map, start pcommon.Timestamp) {
	finish(putNumber(to, l.value), to, attributes, start)
}

func (l last) Encode(b []byte) []byte {
	return appendInt(appendFloat(append(appendHead(b, Last), flag(l.has)), l.value), l.order)
}
