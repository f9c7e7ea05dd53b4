// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"iter"
	"math"
	"unsafe"
)

// maxBody is the number of bytes from which on a body has places that a textRef cannot hold.
const maxBody = math.MaxInt32

// resolved marks a place in the texts in which an escape was resolved.
const resolved = 1 << 31

// textRef is a part of the body or, if start has the mark, of the texts in which an escape was resolved.
type textRef struct{ start, size uint32 }

// text is what stands there.
func (b *Batch) text(r textRef) string {
	from, start := b.body, r.start
	if start >= resolved {
		from, start = view(b.scratch.unescaped), start-resolved
	}
	return from[start : start+r.size]
}

// ref is the place of a view that was made last, into the body or of a text in which an escape was resolved.
func (b *Batch) ref(text string) textRef {
	if text == "" {
		return textRef{}
	}
	size := uint32(len(text))
	if start := distance(b.body, text); start < uintptr(len(b.body)) {
		return textRef{uint32(start), size}
	}
	return textRef{resolved + uint32(distance(view(b.scratch.unescaped), text)), size}
}

// distance is the number of bytes from the start of one text to that of another. It is huge if that comes before.
func distance(from, to string) uintptr {
	return uintptr(unsafe.Pointer(unsafe.StringData(to))) - uintptr(unsafe.Pointer(unsafe.StringData(from)))
}

// Name is the name of a label.
func (b *Batch) Name(l LabelRef) string { return b.text(l.name) }

// Value is the value of a label.
func (b *Batch) Value(l LabelRef) string { return b.text(l.value) }

// LabelsIn are the names and values of labels.
func (b *Batch) LabelsIn(r Range) iter.Seq[Label] {
	return func(yield func(Label) bool) {
		for _, l := range b.Labels[r.Start:r.End] {
			if !yield(b.label(l)) {
				return
			}
		}
	}
}

// label is the name and value of a label.
func (b *Batch) label(l LabelRef) Label { return Label{b.text(l.name), b.text(l.value)} }

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
	name := b.Name(labels[last])
	for _, l := range labels[:last] {
		if b.Name(l) == name {
			return true
		}
	}
	return false
}

// expected returns those of a series' labels whose names the next line is expected to have: none if one of them is quoted,
// and none beyond fewLabels, as from there on repeatedLabel is to be asked about each.
func expected(labels Range, bare bool) Range {
	if !bare {
		return Range{}
	}
	return Range{labels.Start, min(labels.End, labels.Start+fewLabels)}
}

// readExpected reads labels, from pos on in the body, that have the names of the given ones in their order, as those of a line mostly
// have the names of those in the line before. Such names need no check. It stops, and returns where, before the closing
// brace or before the first label that has another name or is not written in the usual way: without blanks, escapes and
// anything but ASCII.
func (b *Batch) readExpected(data []byte, pos int, expected Range) int {
	for _, l := range b.Labels[expected.Start:expected.End] {
		name := b.Name(l)
		start := pos + len(name) + len(`="`)
		if start > len(data) || view(data[pos:start-2]) != name || data[start-2] != '=' || data[start-1] != '"' {
			return pos
		}
		end := plainEnd(data, start)
		if end+1 >= len(data) || data[end] != '"' || data[end+1] != ',' && data[end+1] != '}' {
			return pos
		}
		b.Labels = append(b.Labels, LabelRef{l.name, textRef{uint32(start), uint32(end - start)}})
		if pos = end + 1; data[pos] == '}' {
			return pos
		}
		pos++
	}
	return pos
}

// setLabels makes labels those of the series. So many of them, from the first one on, were read as expected.
func (b *Batch) setLabels(series int32, labels, expected Range, read int32) {
	s := &b.Series[series]
	s.Labels = labels
	s.SameNames = series > 0 && expected == b.Series[series-1].Labels &&
		read == expected.End-expected.Start && read == labels.End-labels.Start
}

// repeatedInIndex is repeatedLabel for many labels. Their index is made when the first one too many comes.
func (b *Batch) repeatedInIndex(labels []LabelRef, last int) bool {
	x := &b.scratch.labels
	first := last
	if last == fewLabels {
		x.reset()
		first = 0
	}
	for i := first; i <= last; i++ {
		name := b.Name(labels[i])
		if b.labelAt(labels, name) != None {
			return true
		}
		x.put(hashString(name), int32(i), differs)
	}
	return false
}

// labelAt finds a label by name in the index of the current series' labels.
func (b *Batch) labelAt(labels []LabelRef, name string) int32 {
	return b.scratch.labels.find(hashString(name), func(i int32) bool { return b.Name(labels[i]) == name })
}

// findSeries returns the family's histogram or summary series with exactly the labels appended since start, in any
// order, and forgets these; or it returns None and remembers that the series to be added next has them. hint is a series
// that may well be the one, or None.
func (b *Batch) findSeries(family, start, hint int32) int32 {
	labels := b.Labels[start:]
	if hint != None && b.Series[hint].family == family && b.equalLabels(b.labels(hint), labels) {
		b.dropLabels(start)
		return hint
	}
	same := func(series int32) bool {
		return b.Series[series].family == family && b.sameLabels(b.labels(series), labels)
	}
	hash := b.hashLabels(family, labels)
	found := b.scratch.series.find(hash, same)
	if found != None {
		b.dropLabels(start)
	} else {
		b.scratch.series.put(hash, int32(len(b.Series)), differs)
	}
	return found
}

// labels returns the labels of a series.
func (b *Batch) labels(series int32) []LabelRef {
	r := b.Series[series].Labels
	return b.Labels[r.Start:r.End]
}

// dropLabels takes back the labels appended since start.
func (b *Batch) dropLabels(start int32) { b.Labels = b.Labels[:start] }

// equalLabels tells whether two series have the same labels in the same order.
func (b *Batch) equalLabels(one, other []LabelRef) bool {
	if len(one) != len(other) {
		return false
	}
	for i := range one {
		if b.label(one[i]) != b.label(other[i]) {
			return false
		}
	}
	return true
}

// sameLabels tells whether a series has the labels of the current one in any order. Neither repeats a name.
func (b *Batch) sameLabels(of, current []LabelRef) bool {
	if len(of) != len(current) {
		return false
	}
	for i := range of {
		if l := b.label(of[i]); l != b.label(current[i]) && !b.hasLabel(current, l) {
			return false
		}
	}
	return true
}

// hasLabel tells whether the current series has the label.
func (b *Batch) hasLabel(current []LabelRef, l Label) bool {
	if len(current) > fewLabels {
		i := b.labelAt(current, l.Name)
		return i != None && b.Value(current[i]) == l.Value
	}
	for _, c := range current {
		if b.label(c) == l {
			return true
		}
	}
	return false
}
