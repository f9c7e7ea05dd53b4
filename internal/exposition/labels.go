// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import "slices"

// fewLabels is the number of labels up to which comparing each with all others is faster than an index of their names.
const fewLabels = 16

// repeatedLabel tells whether the label appended last has the name of another one since start. To be asked after each
// label of a series, so that its cost stays linear whatever the number of labels.
func (b *Batch) repeatedLabel(start int32) bool {
	labels := b.Labels[start:]
	last := len(labels) - 1
	if last >= fewLabels {
		return b.repeatedInIndex(labels, last)
	}
	for i := range last {
		if labels[i].Name == labels[last].Name {
			return true
		}
	}
	return false
}

// repeatedInIndex is repeatedLabel for many labels. Their index is made when the first one too many comes.
func (b *Batch) repeatedInIndex(labels []Label, last int) bool {
	x := &b.scratch.labels
	first := last
	if last == fewLabels {
		x.reset()
		first = 0
	}
	for i := first; i <= last; i++ {
		if labelAt(x, labels, labels[i].Name) != None {
			return true
		}
		x.put(hashString(labels[i].Name), int32(i), differs)
	}
	return false
}

// labelAt finds a label by name in the index of the current series' labels.
func labelAt(x *index, labels []Label, name string) int32 {
	return x.find(hashString(name), func(i int32) bool { return labels[i].Name == name })
}

// findSeries returns the family's histogram or summary series with exactly the labels appended since start, in any
// order, and forgets these; or it returns None and remembers that the series to be added next has them. hint is a series
// that may well be the one, or None.
func (b *Batch) findSeries(family, start, hint int32) int32 {
	labels := b.Labels[start:]
	if hint != None && b.Series[hint].family == family && equalLabels(b.labels(hint), labels) {
		b.dropLabels(start)
		return hint
	}
	same := func(series int32) bool {
		return b.Series[series].family == family && b.sameLabels(b.labels(series), labels)
	}
	hash := hashLabels(family, labels)
	found := b.scratch.series.find(hash, same)
	if found != None {
		b.dropLabels(start)
	} else {
		b.scratch.series.put(hash, int32(len(b.Series)), differs)
	}
	return found
}

// labels returns the labels of a series.
func (b *Batch) labels(series int32) []Label {
	r := b.Series[series].Labels
	return b.Labels[r.Start:r.End]
}

// dropLabels takes back the labels appended since start.
func (b *Batch) dropLabels(start int32) {
	clear(b.Labels[start:])
	b.Labels = b.Labels[:start]
}

// equalLabels tells whether two series have the same labels in the same order.
func equalLabels(a, b []Label) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// sameLabels tells whether a series has the labels of the current one in any order. Neither repeats a name.
func (b *Batch) sameLabels(of, current []Label) bool {
	if len(of) != len(current) {
		return false
	}
	for i := range of {
		if of[i] != current[i] && !b.hasLabel(current, of[i]) {
			return false
		}
	}
	return true
}

// hasLabel tells whether the current series has the label.
func (b *Batch) hasLabel(current []Label, l Label) bool {
	if len(current) > fewLabels {
		i := labelAt(&b.scratch.labels, current, l.Name)
		return i != None && current[i].Value == l.Value
	}
	return slices.Contains(current, l)
}
