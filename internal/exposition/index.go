// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"hash/maphash"
	"math/bits"
)

// index is a hash table from keys, stored elsewhere, to indices of pool elements. Unlike a map, it is emptied in constant
// time and allocates only to grow, so a large push does not slow down the next ones.
type index struct {
	slots      []slot // a power of two
	used       int
	generation uint32 // a slot of another generation is free; 0 is never used
}

type slot struct {
	generation uint32
	hash       uint32
	ref        int32
}

// minSlots is the initial number of slots.
const minSlots = 64

// hashSeed prevents clients from constructing collisions.
var hashSeed = maphash.MakeSeed()

// hashString hashes a name for an index.
func hashString(s string) uint32 { return uint32(maphash.String(hashSeed, s)) }

// hashLabels hashes a label set of a family, independent of order.
func (b *Batch) hashLabels(family int32, labels []LabelRef) uint32 {
	const odd = 0x9e3779b97f4a7c15 // the golden ratio, to spread bits
	sum := uint64(family) * odd
	for _, l := range labels {
		h := maphash.String(hashSeed, b.Name(l)) ^ bits.RotateLeft64(maphash.String(hashSeed, b.Value(l)), 32)
		h *= odd
		sum += h ^ h>>32
	}
	return uint32(sum>>32) ^ uint32(sum)
}

// reset empties the index.
func (x *index) reset() {
	x.used = 0
	x.generation++
	if x.generation == 0 {
		clear(x.slots)
		x.generation = 1
	}
}

// find returns the element with that hash for which same is true, or NoIndex.
func (x *index) find(hash uint32, same func(ref int32) bool) int32 {
	if x.used == 0 {
		return NoIndex
	}
	if s := x.probe(hash, same); s.generation == x.generation {
		return s.ref
	}
	return NoIndex
}

// put inserts an element or replaces the one with the same key.
func (x *index) put(hash uint32, ref int32, same func(ref int32) bool) (replaced bool) {
	if x.used >= len(x.slots)/4*3 {
		x.grow()
	}
	s := x.probe(hash, same)
	replaced = s.generation == x.generation
	if !replaced {
		x.used++
	}
	*s = slot{x.generation, hash, ref}
	return replaced
}

// probe returns the key's slot, or the free slot for it.
func (x *index) probe(hash uint32, same func(ref int32) bool) *slot {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.generation != x.generation || s.hash == hash && same(s.ref) {
			return s
		}
	}
}

// grow doubles the number of slots.
func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(minSlots, 2*len(old)))
	x.generation = max(x.generation, 1)
	for _, s := range old {
		if s.generation == x.generation {
			*x.probe(s.hash, differs) = s
		}
	}
}

// differs is the comparison for keys that are known to be new.
func differs(int32) bool { return false }
