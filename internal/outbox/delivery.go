// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import "math/bits"

// delivery forwards parts in one call and finds refused parts by halving.
type delivery[P any] struct {
	// call forwards some parts.
	call func([]P) error
	// settle receives the result of parts, each once. An error for several parts can be about any of them.
	settle func([]P, error)
	// divide splits a part into several, if possible.
	divide func(P) []P
	// splits reports whether parts with this error are halved unconditionally.
	splits func(error) bool
	// stops reports whether halving must end.
	stops func() bool
	// taken reports whether the consumer has accepted anything since the delivery began.
	taken func() bool
	// depth limits halving until something is accepted.
	depth int

	failures   int // consecutive refused calls
	most       int // maximum of failures; then an earlier acceptance no longer counts
	unresolved []refused[P]
}

// refused are parts whose refused part is not yet found.
type refused[P any] struct {
	parts []P
	err   error
}

// run delivers the parts.
func (d *delivery[P]) run(parts []P) {
	d.most = 2*bits.Len(uint(len(parts))) + 2
	d.try(parts, 0)
	for len(d.unresolved) > 0 && d.isUp() {
		first := d.unresolved[0]
		d.unresolved = d.unresolved[1:]
		d.halve(first.parts, 0)
	}
	for _, r := range d.unresolved {
		d.settle(r.parts, r.err)
	}
}

// try forwards parts, and halves them if they are refused.
func (d *delivery[P]) try(parts []P, depth int) {
	err := d.call(parts)
	if err == nil {
		d.failures = 0
		d.settle(parts, nil)
		return
	}
	d.failures++
	if len(parts) == 1 {
		parts = d.divide(parts[0])
	}
	switch {
	case len(parts) == 1:
		d.settle(parts, err)
	case d.splits(err), d.isUp(), depth < d.depth && !d.taken() && !d.stops():
		d.halve(parts, depth+1)
	default:
		d.unresolved = append(d.unresolved, refused[P]{parts, err})
	}
}

// halve tries both halves of refused parts. If nothing of the first half was accepted, the second is not halved further.
func (d *delivery[P]) halve(parts []P, depth int) {
	d.try(parts[:len(parts)/2], depth)
	if !d.taken() {
		depth = d.depth
	}
	d.try(parts[len(parts)/2:], depth)
}

// isUp reports whether the consumer accepts anything, so that a refusal concerns only some parts.
func (d *delivery[P]) isUp() bool { return d.taken() && d.failures <= d.most && !d.stops() }
