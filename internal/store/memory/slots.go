// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import "slices"

// noSlot is the slot of unstored content.
const noSlot = -1

// slots tracks a group's records. A change writes to free slots. Then the group's record, which lists the valid slots,
// commits it: until then the old state is intact.
type slots struct {
	used    []byte // bit set, lowest first
	corrupt []int  // unreadable; kept in the storage until the group changes
	written int    // end of the slots that may have a record
}

// take allocates the n lowest free slots.
func (s *slots) take(n int) []int {
	taken := make([]int, 0, n)
	for i := 0; len(taken) < n; i++ {
		if !s.has(i) && !slices.Contains(s.corrupt, i) {
			s.set(i, true)
			taken = append(taken, i)
		}
	}
	return taken
}

func (s *slots) has(i int) bool { return i/8 < len(s.used) && s.used[i/8]&(1<<(i%8)) != 0 }

func (s *slots) set(i int, used bool) {
	for i/8 >= len(s.used) {
		s.used = append(s.used, 0)
	}
	if used {
		s.used[i/8] |= 1 << (i % 8)
		s.written = max(s.written, i+1)
	} else {
		s.used[i/8] &^= 1 << (i % 8)
	}
}

// markCorrupt frees a slot with an unreadable record. The record is kept until the group changes.
func (s *slots) markCorrupt(i int) {
	s.set(i, false)
	s.corrupt = append(s.corrupt, i)
}

// end returns the end of the slots in use.
func (s *slots) end() int {
	for i := 8*len(s.used) - 1; i >= 0; i-- {
		if s.has(i) {
			return i + 1
		}
	}
	return 0
}

// all lists the slots in use.
func (s *slots) all() []int {
	var used []int
	for i := range s.end() {
		if s.has(i) {
			used = append(used, i)
		}
	}
	return used
}

// clone returns an independent copy.
func (s *slots) clone() slots {
	return slots{used: slices.Clone(s.used), corrupt: slices.Clone(s.corrupt), written: s.written}
}

// trim drops excess free slots at the end. Their records are deleted.
func (s *slots) trim() {
	if end := s.end(); s.written > 2*end+spareSlots {
		s.written = end
		s.used = slices.Clip(s.used[:(end+7)/8])
	}
}

// bits returns the bit set for the group's record.
func (s *slots) bits() []byte { return s.used[:(s.end()+7)/8] }
