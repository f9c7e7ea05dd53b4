// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"iter"
	"math"
	"unsafe"
)

// maxBody is the largest body in bytes whose offsets fit a textRef.
const maxBody = math.MaxInt32

// resolved marks an offset into scratch.unescaped.
const resolved = 1 << 31

// textRef is a part of the body or, with the mark resolved, of scratch.unescaped.
type textRef struct{ start, size uint32 }

// text returns the string at r.
func (b *Batch) text(r textRef) string {
	from, start := b.body, r.start
	if start >= resolved {
		from, start = view(b.scratch.unescaped), start-resolved
	}
	return from[start : start+r.size]
}

// ref returns the offsets of a view into the body or of the view into scratch.unescaped that was made last.
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

// distance returns the bytes from the start of one text to the start of another. It is huge if `to` comes first.
func distance(from, to string) uintptr {
	return uintptr(unsafe.Pointer(unsafe.StringData(to))) - uintptr(unsafe.Pointer(unsafe.StringData(from)))
}

// Name returns the name of a label.
func (b *Batch) Name(l LabelRef) string { return b.text(l.name) }

// Value returns the value of a label.
func (b *Batch) Value(l LabelRef) string { return b.text(l.value) }

// LabelsIn iterates over labels.
func (b *Batch) LabelsIn(r Range) iter.Seq[Label] {
	return func(yield func(Label) bool) {
		for _, l := range b.Labels[r.Start:r.End] {
			if !yield(b.label(l)) {
				return
			}
		}
	}
}

// label returns the name and value of a label.
func (b *Batch) label(l LabelRef) Label { return Label{b.text(l.name), b.text(l.value)} }

// fewLabels is the number of labels up to which comparing all pairs is faster than an index.
const fewLabels = 16

// repeatedLabel reports whether the last label has the name of another label since start. Call it after each label of a
// series, so that the cost stays linear.
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

// expected returns the labels whose names the next line probably has. Quoted names and labels beyond fewLabels, which
// repeatedLabel has to check, are not among them.
func expected(labels Range, bare bool) Range {
	if !bare {
		return Range{}
	}
	return Range{labels.Start, min(labels.End, labels.Start+fewLabels)}
}

// readExpected reads labels from pos on as long as their names are the expected ones in order; such names need no check.
// It stops before the closing brace, before another name, and before blanks, escapes or non-ASCII bytes, and returns that
// position.
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

// setLabels sets the labels of the series. The first `read` of them were read by readExpected.
func (b *Batch) setLabels(series int32, labels, expected Range, read int32) {
	s := &b.Series[series]
	s.Labels = labels
	s.SameNames = series > 0 && expected == b.Series[series-1].Labels &&
		read == expected.End-expected.Start && read == labels.End-labels.Start
}

// repeatedInIndex is repeatedLabel for more than fewLabels. It builds the index at the first label beyond.
func (b *Batch) repeatedInIndex(labels []LabelRef, last int) bool {
	x := &b.scratch.labels
	first := last
	if last == fewLabels {
		x.reset()
		first = 0
	}
	for i := first; i <= last; i++ {
		name := b.Name(labels[i])
		if b.labelAt(labels, name) != NoIndex {
			return true
		}
		x.put(hashString(name), int32(i), differs)
	}
	return false
}

// labelAt looks a label of the current series up by name in the index.
func (b *Batch) labelAt(labels []LabelRef, name string) int32 {
	return b.scratch.labels.find(hashString(name), func(i int32) bool { return b.Name(labels[i]) == name })
}

// findSeries returns the family's histogram or summary series with exactly the labels since start, in any order, and
// drops these labels. Otherwise it returns NoIndex and records that the next series has them. hint is a likely series or
// NoIndex.
func (b *Batch) findSeries(family, start, hint int32) int32 {
	labels := b.Labels[start:]
	if hint != NoIndex && b.Series[hint].family == family && b.equalLabels(b.labels(hint), labels) {
		b.dropLabels(start)
		return hint
	}
	same := func(series int32) bool {
		return b.Series[series].family == family && b.sameLabels(b.labels(series), labels)
	}
	hash := b.hashLabels(family, labels)
	found := b.scratch.series.find(hash, same)
	if found != NoIndex {
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

// dropLabels removes the labels since start.
func (b *Batch) dropLabels(start int32) { b.Labels = b.Labels[:start] }

// equalLabels reports whether two series have the same labels in the same order.
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

// sameLabels reports whether a series has the current labels in any order. Neither set repeats a name.
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

// hasLabel reports whether the current series has the label.
func (b *Batch) hasLabel(current []LabelRef, l Label) bool {
	if len(current) > fewLabels {
		i := b.labelAt(current, l.Name)
		return i != NoIndex && b.Value(current[i]) == l.Value
	}
	for _, c := range current {
		if b.label(c) == l {
			return true
		}
	}
	return false
}
