// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// seriesSet is a hash table that finds equal series of a family. A series' hash is the sum of its labels' hashes,
// independent of order. It excludes the grouping labels, which all series share. A random seed prevents constructed
// collisions.
type seriesSet struct {
	slots []slot // a power of two, at least twice the number of series
}

type slot struct {
	hash   uint64
	series int32 // index plus one; 0 if free
}

// combineHash mixes all bits. Otherwise a="1",b="2" and a="2",b="1" would have the same sum.
func combineHash(h uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * odd
	h = (h ^ h>>29) * odd
	return h ^ h>>32
}

// reset empties the table for n series.
func (set *seriesSet) reset(n int) {
	size := 1 << bits.Len(uint(2*n-1))
	if size > cap(set.slots) {
		set.slots = make([]slot, size)
		return
	}
	set.slots = set.slots[:size]
	clear(set.slots)
}

// repeats adds the current series and reports whether an equal one was there.
func (set *seriesSet) repeats(t *translator, series int32) bool {
	hash := t.hash
	if s := &t.batch.Series[series]; t.honors(s) {
		// At another time it is another sample.
		hash += combineHash(uint64(s.TimestampMs))
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

// sameSeries compares two series with equal hashes exactly.
func (t *translator) sameSeries(i, j int32) bool {
	a, b := &t.batch.Series[i], &t.batch.Series[j]
	if t.honors(a) != t.honors(b) || t.honors(a) && a.TimestampMs != b.TimestampMs {
		return false
	}
	return slices.Equal(t.identity(a), t.identity(b))
}

// identity returns the labels that identify a series within its family, sorted.
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
