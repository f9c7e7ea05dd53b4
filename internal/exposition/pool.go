// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"sync"
	"unsafe"
)

// maxKeptBytes is the memory beyond which a Batch is left to the garbage collector. A push of 10,000 series with five
// labels needs about 3 MiB, so all but rare giants are read without allocation, while a giant does not stay resident
// because of the small pushes that come after it and would reuse its Batch. The pool never has more Batches than were in
// use at once, and loses those that stay unused for two collections.
const maxKeptBytes = 8 << 20

var batches = sync.Pool{New: func() any { return new(Batch) }}

// GetBatch returns an empty Batch. Whoever is done with it and with all of its strings gives it back with [PutBatch].
func GetBatch() *Batch { return batches.Get().(*Batch) }

// PutBatch resets the Batch and keeps its memory for another push, unless it has grown beyond what is worth keeping.
func PutBatch(b *Batch) {
	if b.memory() > maxKeptBytes {
		return
	}
	b.Reset()
	batches.Put(b)
}

// Pending is how many labels, parts of native histograms and created timestamps have been read that the Batch does not have
// yet.
func (b *Batch) Pending() (labels, natives, created int) {
	s := &b.scratch.protobuf
	return len(s.exemplarLabels), len(s.spans) + len(s.deltas) + len(s.counts), len(b.scratch.created)
}

// memory is the size in bytes of all that the Batch has allocated.
func (b *Batch) memory() uintptr {
	s := &b.scratch
	return size(b.Families) + size(b.Series) + size(b.Labels) + size(b.Histograms) + size(b.Buckets) +
		size(b.Natives) + size(b.Spans) + size(b.Deltas) + size(b.Counts) + size(b.Summaries) + size(b.Quantiles) +
		size(b.Exemplars) + size(s.families.slots) + size(s.series.slots) + size(s.labels.slots) + size(s.unescaped) +
		size(s.created) + s.protobuf.memory()
}

// size is the size in bytes of a pool's memory, used or not.
func size[E any](pool []E) uintptr {
	var element E
	return uintptr(cap(pool)) * unsafe.Sizeof(element)
}
