// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

// side is the positive or the negative half of an exponential histogram. The bucket i holds (base^i, base^(i+1)], as in OTLP.
// The first and the last count are not 0.
type side struct {
	offset int // the index of the first count
	counts []uint64
}

// newSide removes empty buckets at both ends. It takes ownership of the counts.
func newSide(offset int, counts []uint64) side {
	for len(counts) > 0 && counts[0] == 0 {
		offset, counts = offset+1, counts[1:]
	}
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		counts = counts[:len(counts)-1]
	}
	if len(counts) == 0 {
		return side{}
	}
	return side{offset, counts}
}

// end is the index behind the last count.
func (s side) end() int { return s.offset + len(s.counts) }

// at is the count of the bucket i.
func (s side) at(i int) uint64 {
	if i < s.offset || i >= s.end() {
		return 0
	}
	return s.counts[i-s.offset]
}

// clamped moves the counts below the index first to first, and those above last to last.
func (s side) clamped(first, last int) side {
	if len(s.counts) == 0 || first <= s.offset && s.end()-1 <= last {
		return s
	}
	from, to := min(max(s.offset, first), last), min(max(s.end()-1, first), last)
	counts := make([]uint64, to-from+1)
	for i, c := range s.counts {
		counts[min(max(s.offset+i, first), last)-from] += c
	}
	return newSide(from, counts)
}

// downscaled joins 2^steps neighboring buckets to one.
func (s side) downscaled(steps int) side {
	if steps == 0 || len(s.counts) == 0 {
		return s
	}
	first := s.offset >> steps
	counts := make([]uint64, (s.end()-1)>>steps-first+1)
	for i, c := range s.counts {
		counts[(s.offset+i)>>steps-first] += c
	}
	return side{first, counts}
}

// from splits off the buckets below the index first. Their counts are returned as one.
func (s side) from(first int) (rest side, below uint64) {
	if len(s.counts) == 0 || first <= s.offset {
		return s, 0
	}
	n := min(first-s.offset, len(s.counts))
	for _, c := range s.counts[:n] {
		below += c
	}
	return newSide(s.offset+n, s.counts[n:]), below
}

// width is the number of buckets from the first to the last one that either side counts in.
func width(a, b side) int {
	switch {
	case len(a.counts) == 0:
		return len(b.counts)
	case len(b.counts) == 0:
		return len(a.counts)
	default:
		return max(a.end(), b.end()) - min(a.offset, b.offset)
	}
}

// combined applies an operation to the counts of each bucket.
func (s side) combined(b side, op func(a, b uint64) (uint64, error)) (side, error) {
	if len(b.counts) == 0 {
		return s, nil
	}
	first := b.offset
	if len(s.counts) > 0 {
		first = min(first, s.offset)
	}
	counts := make([]uint64, width(s, b))
	for i := range counts {
		var err error
		if counts[i], err = op(s.at(first+i), b.at(first+i)); err != nil {
			return side{}, err
		}
	}
	return newSide(first, counts), nil
}

// covers tells whether no bucket counts less than in b.
func (s side) covers(b side) bool {
	for i, c := range b.counts {
		if s.at(b.offset+i) < c {
			return false
		}
	}
	return true
}

// total is the sum of the counts.
func (s side) total() (sum uint64, err error) {
	for _, c := range s.counts {
		if sum, err = addCounts(sum, c); err != nil {
			return 0, err
		}
	}
	return sum, nil
}
