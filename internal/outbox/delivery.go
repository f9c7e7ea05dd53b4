// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import "math/bits"

// delivery forwards parts in one call, and finds out by halving which of them a refusal is about.
type delivery[P any] struct {
	// call forwards some parts.
	call func([]P) error
	// settle is told what became of parts, each once. If there is an error and several parts, it is not known which of them the
	// refusal is about.
	settle func([]P, error)
	// divide makes several parts of one, if it can be divided.
	divide func(P) []P
	// splits tells whether refused parts are halved in any case.
	splits func(error) bool
	// stops tells whether refused parts are not halved any further.
	stops func() bool
	// taken tells whether the consumer has accepted something since the delivery began.
	taken func() bool
	// depth is how often parts are halved as long as nothing was accepted.
	depth int

	failures int // calls in a row that were refused
	most     int // of them, after which an earlier acceptance tells nothing any more
	open     []refused[P]
}

// refused are parts whose refusal is not understood.
type refused[P any] struct {
	parts []P
	err   error
}

// run delivers the parts.
func (d *delivery[P]) run(parts []P) {
	d.most = 2*bits.Len(uint(len(parts))) + 2
	d.try(parts, 0)
	for len(d.open) > 0 && d.isUp() {
		first := d.open[0]
		d.open = d.open[1:]
		d.halve(first.parts, 0)
	}
	for _, r := range d.open {
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
		d.open = append(d.open, refused[P]{parts, err})
	}
}

// halve tries both halves of parts that were refused. The second one is halved no further if nothing of the first one was accepted.
func (d *delivery[P]) halve(parts []P, depth int) {
	d.try(parts[:len(parts)/2], depth)
	if !d.taken() {
		depth = d.depth
	}
	d.try(parts[len(parts)/2:], depth)
}

// isUp tells whether the consumer accepts something, so that a refusal is about some of the parts.
func (d *delivery[P]) isUp() bool { return d.taken() && d.failures <= d.most && !d.stops() }
