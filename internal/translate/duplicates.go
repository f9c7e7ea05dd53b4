// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// seriesSet finds series of one family that are the same for Prometheus: it is a hash table of series. A series' hash is
// the sum of its labels' hashes, so that their order does not matter. The grouping labels are left out, since all have
// them, and the seed makes collisions unforeseeable to whoever writes the labels.
type seriesSet struct {
	slots []slot // at least twice as many as series, a power of two
}

type slot struct {
	hash   uint64
	series int32 // its index plus one; 0 is a free slot
}

// mix spreads each bit over all others. Without it the sum over a="1",b="2" would be that over a="2",b="1".
func mix(h uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * odd
	h = (h ^ h>>29) * odd
	return h ^ h>>32
}

// reset makes an empty table for n series.
func (set *seriesSet) reset(n int) {
	size := 1 << bits.Len(uint(2*n-1))
	if size > cap(set.slots) {
		set.slots = make([]slot, size)
		return
	}
	set.slots = set.slots[:size]
	clear(set.slots)
}

// repeats enters the current series, and tells whether there was the same one before.
func (set *seriesSet) repeats(t *translator, series int32) bool {
	hash := t.hash
	if s := &t.batch.Series[series]; t.honors(s) {
		// The same series at another time is another sample.
		hash += mix(uint64(s.TimestampMs))
	}
	mask := uint64(len(set.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch at := &set.slots[i]; {
		case at.series == 0:
			*at = slot{hash, series + 1}
			return false
		case at.hash == hash && t.sameSeries(at.series-1, series):
			return true
		}
	}
}

// sameSeries compares two series exactly. It is asked only where hashes are equal.
func (t *translator) sameSeries(i, j int32) bool {
	a, b := &t.batch.Series[i], &t.batch.Series[j]
	if t.honors(a) != t.honors(b) || t.honors(a) && a.TimestampMs != b.TimestampMs {
		return false
	}
	return slices.Equal(t.identity(a), t.identity(b))
}

// identity is what tells a series from the others of its family: its labels, in an order that does not depend on the push.
func (t *translator) identity(s *exposition.Series) []exposition.Label {
	var labels []exposition.Label
	for l := range t.batch.LabelsIn(s.Labels) {
		if l.Value != "" && !t.grouping.overrides(l.Name) {
			labels = append(labels, l)
		}
	}
	slices.SortFunc(labels, byName)
	return labels
}

func byName(a, b exposition.Label) int { return strings.Compare(a.Name, b.Name) }
