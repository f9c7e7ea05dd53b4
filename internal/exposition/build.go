// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"bytes"
	"slices"
	"unsafe"
)

// scratch holds the decoders' temporary data. It is reused with its Batch.
type scratch struct {
	families  index  // families by name
	series    index  // histogram and summary series, by family and label set
	labels    index  // labels of the current series by name, if more than fewLabels
	unescaped []byte // texts with resolved escapes, concatenated
	protobuf  protobufScratch
	created   []createdLine // OpenMetrics created timestamps without their series yet

	floatCounts bool // a histogram has a count that is not whole
}

// minUnescaped is the initial capacity in bytes for texts with resolved escapes.
const minUnescaped = 4096

// reserve returns an empty slice with room for n bytes at the end of unescaped. If unescaped grows, earlier views stay
// valid: they keep the old memory.
func (s *scratch) reserve(n int) []byte {
	if size := len(s.unescaped); cap(s.unescaped)-size < n {
		larger := make([]byte, size, max(size+n, 2*cap(s.unescaped), minUnescaped))
		copy(larger, s.unescaped)
		s.unescaped = larger
	}
	return s.unescaped[len(s.unescaped):len(s.unescaped)]
}

// keep adds the text, which was appended to the last reserved slice, to unescaped.
func (s *scratch) keep(text []byte) { s.unescaped = s.unescaped[:len(s.unescaped)+len(text)] }

// concatenate joins two texts in the Batch's memory.
func (b *Batch) concatenate(first, second string) string {
	text := append(append(b.scratch.reserve(len(first)+len(second)), first...), second...)
	b.scratch.keep(text)
	return view(text)
}

// Reset empties the Batch and keeps its memory.
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

// reset empties a pool and clears its strings, so that an idle Batch does not pin a body.
func reset[E any](pool []E) []E {
	clear(pool)
	return pool[:0]
}

// Minimum sizes in bytes that are assumed when memory is reserved. They limit the memory that a body with misleading
// first lines can reserve.
const (
	shortLine  = 32
	shortLabel = 8
)

// estimateAfter is the number of lines after which the rest of a text is estimated. The pools of a reused Batch already fit
// shorter texts.
const estimateAfter = 4096

// reserveRest reserves memory for the rest of a text, assuming that it resembles the first read bytes. Pools that grow by
// appending would need more than twice the memory.
func (b *Batch) reserveRest(body []byte, read int) {
	rest := body[read:]
	lines := min(bytes.Count(rest, []byte{'\n'}), len(rest)/shortLine)
	labels := min(bytes.Count(rest, []byte{'='}), len(rest)/shortLabel)
	b.Series = reserveRest(b.Series, lines, read, len(rest))
	b.Labels = reserveRest(b.Labels, labels, read, len(rest))
	b.Buckets = reserveRest(b.Buckets, lines, read, len(rest))
}

// reserveRest reserves room for the rest in proportion plus one eighth, but for at most `most` elements.
func reserveRest[E any](pool []E, most, read, rest int) []E {
	likely := int(float64(len(pool)) * float64(rest) / float64(read) * 9 / 8)
	return slices.Grow(pool, min(likely, most))
}

// family looks a family up by name.
func (b *Batch) family(name string) (int32, bool) {
	i := b.scratch.families.find(hashString(name), b.isFamily(name))
	return i, i != NoIndex
}

// isFamily returns a function that compares a family's name with name.
func (b *Batch) isFamily(name string) func(int32) bool {
	return func(i int32) bool { return b.Families[i].Name == name }
}

// addFamily appends a family without series and returns its index. It hides an earlier family of that name.
func (b *Batch) addFamily(name string, t Type) int32 {
	i := int32(len(b.Families))
	b.Families = append(b.Families, Family{Name: name, Type: t, First: NoIndex, last: NoIndex})
	if b.scratch.families.put(hashString(name), i, b.isFamily(name)) {
		b.SharedName = true
	}
	return i
}

// addSeries appends a series to the family and returns its index. The caller sets labels and value.
func (b *Batch) addSeries(family int32) int32 {
	i := int32(len(b.Series))
	b.Series = append(b.Series, Series{})
	s := &b.Series[i]
	s.ValueIndex, s.Exemplar, s.Next, s.family = NoIndex, NoIndex, NoIndex, family
	f := &b.Families[family]
	if f.last == NoIndex {
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
	b.Histograms = append(b.Histograms, HistogramValue{FirstBucket: NoIndex, lastBucket: NoIndex, Native: NoIndex})
	b.Series[series].ValueIndex = i
	return i
}

// addBucket appends an empty bucket to the histogram and returns it. Filling it in place avoids a copy.
func (b *Batch) addBucket(histogram int32) *Bucket {
	i := int32(len(b.Buckets))
	b.Buckets = append(b.Buckets, Bucket{})
	u := &b.Buckets[i]
	u.Exemplar, u.Next = NoIndex, NoIndex
	h := &b.Histograms[histogram]
	if h.lastBucket == NoIndex {
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
	b.Summaries = append(b.Summaries, SummaryValue{FirstQuantile: NoIndex, lastQuantile: NoIndex})
	b.Series[series].ValueIndex = i
	return i
}

// addQuantile appends a quantile to the summary's list.
func (b *Batch) addQuantile(summary int32, quantile, value float64) {
	i := int32(len(b.Quantiles))
	b.Quantiles = append(b.Quantiles, Quantile{Quantile: quantile, Value: value, Next: NoIndex})
	s := &b.Summaries[summary]
	if s.lastQuantile == NoIndex {
		s.FirstQuantile = i
	} else {
		b.Quantiles[s.lastQuantile].Next = i
	}
	s.lastQuantile = i
}

// view returns data as a string without copying. It is valid until data changes.
func view(data []byte) string {
	return unsafe.String(unsafe.SliceData(data), len(data))
}

// viewBytes returns text as bytes without copying. Do not change them.
func viewBytes(text string) []byte {
	return unsafe.Slice(unsafe.StringData(text), len(text))
}
