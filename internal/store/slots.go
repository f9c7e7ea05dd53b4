// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import "slices"

// noSlot is the slot of what is not stored.
const noSlot = -1

// slots says which of a group's records are in use. A change writes its records to slots that are free, and the record of the
// group, which is written last, says which slots count: whatever happens before, the group is as it was.
type slots struct {
	used    []byte // a bit for each slot, the lowest one first
	lost    []int  // what is in them could not be read; they count for the storage until the group changes
	written int    // no record has been written at this slot or later
}

// take uses n free slots, the lowest ones.
func (s *slots) take(n int) []int {
	taken := make([]int, 0, n)
	for i := 0; len(taken) < n; i++ {
		if !s.has(i) && !slices.Contains(s.lost, i) {
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

// lose gives up a slot whose record cannot be read. The record stays until the group has changed.
func (s *slots) lose(i int) {
	s.set(i, false)
	s.lost = append(s.lost, i)
}

// end is behind the last slot in use.
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

// clone is independent of s.
func (s *slots) clone() slots {
	return slots{used: slices.Clone(s.used), lost: slices.Clone(s.lost), written: s.written}
}

// trim forgets free slots behind the last one in use whose records are deleted, if there are many.
func (s *slots) trim() {
	if end := s.end(); s.written > 2*end+spareSlots {
		s.written = end
		s.used = slices.Clip(s.used[:(end+7)/8])
	}
}

// bits are the slots in use as they are written down.
func (s *slots) bits() []byte { return s.used[:(s.end()+7)/8] }
