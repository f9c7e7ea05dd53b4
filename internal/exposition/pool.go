// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"sync"
	"unsafe"
)

// maxKeptBytes limits the memory of a pooled Batch. 10,000 series with five labels need about 3 MiB. Larger Batches are
// left to the garbage collector, so that a rare giant push does not stay resident.
const maxKeptBytes = 8 << 20

var batches = sync.Pool{New: func() any { return new(Batch) }}

// GetBatch returns an empty Batch. Return it with [PutBatch] when its strings are no longer used.
func GetBatch() *Batch { return batches.Get().(*Batch) }

// PutBatch resets the Batch for reuse, unless it is larger than maxKeptBytes.
func PutBatch(b *Batch) {
	if b.memory() > maxKeptBytes {
		return
	}
	b.Reset()
	batches.Put(b)
}

// Pending returns the numbers of labels, native histogram parts and created timestamps that were read but are not yet in
// the Batch.
func (b *Batch) Pending() (labels, natives, created int) {
	s := &b.scratch.protobuf
	return len(s.exemplarLabels), len(s.spans) + len(s.deltas) + len(s.counts), len(b.scratch.created)
}

// memory returns the allocated bytes of the Batch.
func (b *Batch) memory() uintptr {
	s := &b.scratch
	return size(b.Families) + size(b.Series) + size(b.Labels) + size(b.Histograms) + size(b.Buckets) +
		size(b.Natives) + size(b.Spans) + size(b.Deltas) + size(b.Counts) + size(b.Summaries) + size(b.Quantiles) +
		size(b.Exemplars) + size(s.families.slots) + size(s.series.slots) + size(s.labels.slots) + size(s.unescaped) +
		size(s.created) + s.protobuf.memory()
}

// size returns the allocated bytes of a pool.
func size[E any](pool []E) uintptr {
	var element E
	return uintptr(cap(pool)) * unsafe.Sizeof(element)
}
