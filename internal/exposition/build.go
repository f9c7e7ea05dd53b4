// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"bytes"
	"slices"
	"unsafe"
)

// scratch is what the decoders need beside the result. It is reused with its Batch.
type scratch struct {
	families  index  // families by name
	series    index  // histogram and summary series by family and label set
	labels    index  // labels of the current series by name, if they are more than fewLabels
	unescaped []byte // the texts in which an escape was resolved, one behind the other
	protobuf  protobufScratch
	created   []createdLine // of OpenMetrics, waiting for their series

	floatCounts bool // a count of a histogram is no whole number
}

// minUnescaped is the size in bytes of the first memory in which texts with resolved escapes are kept.
const minUnescaped = 4096

// reserve returns an empty slice with room for n bytes behind the texts in which escapes were resolved. Where there is none, all
// move to memory that is twice as large; views of them keep what they had.
func (s *scratch) reserve(n int) []byte {
	if size := len(s.unescaped); cap(s.unescaped)-size < n {
		larger := make([]byte, size, max(size+n, 2*cap(s.unescaped), minUnescaped))
		copy(larger, s.unescaped)
		s.unescaped = larger
	}
	return s.unescaped[len(s.unescaped):len(s.unescaped)]
}

// keep makes what was appended to the last reserved slice one of these texts.
func (s *scratch) keep(text []byte) { s.unescaped = s.unescaped[:len(s.unescaped)+len(text)] }

// concatenate joins two texts in memory of the Batch.
func (b *Batch) concatenate(first, second string) string {
	text := append(append(b.scratch.reserve(len(first)+len(second)), first...), second...)
	b.scratch.keep(text)
	return view(text)
}

// Reset forgets the contents and keeps the memory for the next body.
func (b *Batch) Reset() {
	b.Families = reset(b.Families)
	b.Series = b.Series[:0]
	b.Labels = b.Labels[:0]
	b.Histograms = b.Histograms[:0]
	b.Buckets = b.Buckets[:0]
	b.Natives = b.Natives[:0]
	b.Spans = b.Spans[:0]
	b.Deltas = b.Deltas[:0]
	b.Counts = b.Counts[:0]
	b.Summaries = b.Summaries[:0]
	b.Quantiles = b.Quantiles[:0]
	b.Exemplars = b.Exemplars[:0]
	b.SharedName, b.OnlyPushed, b.ValidValues, b.body = false, false, false, ""
	b.scratch.families.reset()
	b.scratch.series.reset()
	b.scratch.unescaped = b.scratch.unescaped[:0]
	b.scratch.floatCounts = false
	b.scratch.created = reset(b.scratch.created)
}

// reset empties a pool whose elements hold strings and lets go of them, so that an idle Batch pins no body.
func reset[E any](pool []E) []E {
	clear(pool)
	return pool[:0]
}

// The least sizes in bytes that room is made for. Shorter ones are possible, but a body that only looks like it had many
// lines or labels must not get many times its size in memory.
const (
	shortLine  = 32
	shortLabel = 8
)

// expectAfter is the number of lines of a text that tell what the others are like. Shorter texts have room in the pools of a
// reused Batch.
const expectAfter = 4096

// expect makes room for what the rest of a text holds if it is like its first lines, which take so many bytes. Pools that grow
// as they fill would take more than twice the memory, of which most would be garbage.
func (b *Batch) expect(body []byte, read int) {
	rest := body[read:]
	lines := min(bytes.Count(rest, []byte{'\n'}), len(rest)/shortLine)
	labels := min(bytes.Count(rest, []byte{'='}), len(rest)/shortLabel)
	b.Series = expect(b.Series, lines, read, len(rest))
	b.Labels = expect(b.Labels, labels, read, len(rest))
	b.Buckets = expect(b.Buckets, lines, read, len(rest))
}

// expect makes room for as many further elements as the rest has in proportion, and an eighth of them more, but at most so many.
func expect[E any](pool []E, most, read, rest int) []E {
	likely := int(float64(len(pool)) * float64(rest) / float64(read) * 9 / 8)
	return slices.Grow(pool, min(likely, most))
}

// family returns the index of the family of that name and whether there is one.
func (b *Batch) family(name string) (int32, bool) {
	i := b.scratch.families.find(hashString(name), b.isFamily(name))
	return i, i != None
}

// isFamily is the comparison of a name with the families' names.
func (b *Batch) isFamily(name string) func(int32) bool {
	return func(i int32) bool { return b.Families[i].Name == name }
}

// addFamily appends a family without series and returns its index. A former family of that name is no longer found.
func (b *Batch) addFamily(name string, t Type) int32 {
	i := int32(len(b.Families))
	b.Families = append(b.Families, Family{Name: name, Type: t, First: None, last: None})
	if b.scratch.families.put(hashString(name), i, b.isFamily(name)) {
		b.SharedName = true
	}
	return i
}

// addSeries appends a series to the family's list and returns its index. The caller fills in its labels and value.
func (b *Batch) addSeries(family int32) int32 {
	i := int32(len(b.Series))
	b.Series = append(b.Series, Series{})
	s := &b.Series[i]
	s.Complex, s.Exemplar, s.Next, s.family = None, None, None, family
	f := &b.Families[family]
	if f.last == None {
		f.First = i
	} else {
		b.Series[f.last].Next = i
	}
	f.last = i
	return i
}

// addHistogram gives the series an empty histogram value and returns its index.
func (b *Batch) addHistogram(series int32) int32 {
	i := int32(len(b.Histograms))
	b.Histograms = append(b.Histograms, HistogramValue{FirstBucket: None, lastBucket: None, Native: None})
	b.Series[series].Complex = i
	return i
}

// addBucket appends an empty bucket to the histogram's list. It is filled in where it is, since a copy would have to wait
// for the parts of the original to be written.
func (b *Batch) addBucket(histogram int32) *Bucket {
	i := int32(len(b.Buckets))
	b.Buckets = append(b.Buckets, Bucket{})
	u := &b.Buckets[i]
	u.Exemplar, u.Next = None, None
	h := &b.Histograms[histogram]
	if h.lastBucket == None {
		h.FirstBucket = i
	} else {
		b.Buckets[h.lastBucket].Next = i
	}
	h.lastBucket = i
	return u
}

// addSummary gives the series an empty summary value and returns its index.
func (b *Batch) addSummary(series int32) int32 {
	i := int32(len(b.Summaries))
	b.Summaries = append(b.Summaries, SummaryValue{FirstQuantile: None, lastQuantile: None})
	b.Series[series].Complex = i
	return i
}

// addQuantile appends a quantile to the summary's list.
func (b *Batch) addQuantile(summary int32, quantile, value float64) {
	i := int32(len(b.Quantiles))
	b.Quantiles = append(b.Quantiles, Quantile{Quantile: quantile, Value: value, Next: None})
	s := &b.Summaries[summary]
	if s.lastQuantile == None {
		s.FirstQuantile = i
	} else {
		b.Quantiles[s.lastQuantile].Next = i
	}
	s.lastQuantile = i
}

// view is data as a string without a copy. It is valid as long as data is not changed.
func view(data []byte) string {
	return unsafe.String(unsafe.SliceData(data), len(data))
}

// viewBytes is text as bytes without a copy. They must not be changed.
func viewBytes(text string) []byte {
	return unsafe.Slice(unsafe.StringData(text), len(text))
}
