// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// seriesSet finds series of one family that are the same for Prometheus: it is a hash table of points. A series' hash is
// the sum of its labels' hashes, so that their order does not matter. The grouping labels are left out, since all have
// them, and the seed makes collisions unforeseeable to whoever writes the labels.
type seriesSet struct {
	slots []slot // at least twice as many as points, a power of two
}

type slot struct {
	hash  uint64
	point int32 // its index plus one; 0 is a free slot
}

var seed = maphash.MakeSeed()

func hashString(s string) uint64 { return maphash.String(seed, s) }

// labelHash is the hash of the column's name and value together.
func (c *column) labelHash() uint64 {
	if !c.hashed {
		c.hash, c.hashed = mix(c.nameHash^bits.RotateLeft64(hashString(c.value), 32)), true
	}
	return c.hash
}

// mix spreads each bit over all others. Without it the sum over a="1",b="2" would be that over a="2",b="1".
func mix(h uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * odd
	h = (h ^ h>>29) * odd
	return h ^ h>>32
}

// reset makes an empty table for n points.
func (set *seriesSet) reset(n int) {
	size := 1 << bits.Len(uint(2*n-1))
	if size > cap(set.slots) {
		set.slots = make([]slot, size)
		return
	}
	set.slots = set.slots[:size]
	clear(set.slots)
}

// repeats enters the point planned last, that of series s, and tells whether there was the same series before.
func (set *seriesSet) repeats(t *translator, s *exposition.Series) bool {
	last := int32(len(t.points) - 1)
	hash := t.hash
	if t.honors(s) {
		// The same series at another time is another sample.
		hash += mix(uint64(s.TimestampMs))
	}
	mask := uint64(len(set.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch at := &set.slots[i]; {
		case at.point == 0:
			*at = slot{hash, last + 1}
			return false
		case at.hash == hash && t.samePoint(at.point-1, last):
			return true
		}
	}
}

// samePoint compares two points exactly. It is asked only where hashes are equal.
func (t *translator) samePoint(i, j int32) bool {
	a, b := &t.points[i], &t.points[j]
	s, r := &t.batch.Series[a.series], &t.batch.Series[b.series]
	if a.scope != b.scope || t.honors(s) != t.honors(r) || t.honors(s) && s.TimestampMs != r.TimestampMs {
		return false
	}
	return slices.Equal(t.sortedLabels(a), t.sortedLabels(b))
}

// sortedLabels are the labels of a point in an order that does not depend on the push, in memory of their own.
func (t *translator) sortedLabels(p *point) []exposition.Label {
	return slices.SortedFunc(slices.Values(t.labels[p.labels.Start:p.labels.End]), byName)
}

func byName(a, b exposition.Label) int { return strings.Compare(a.Name, b.Name) }
