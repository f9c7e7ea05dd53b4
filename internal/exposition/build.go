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
	unescaped []byte // current chunk for strings in which an escape was resolved
	protobuf  protobufScratch
	created   []createdLine // of OpenMetrics, waiting for their series
}

// unescapedChunk is the size in bytes of the first chunk in which resolved escapes are kept.
const unescapedChunk = 4096

// reserve returns an empty slice with room for n bytes at the end of the current chunk. A chunk is never moved, so that
// views into it stay valid while the Batch fills: one without room is left to its views. As the next one is twice as
// large, a reused Batch soon has a single chunk with room for all.
func (s *scratch) reserve(n int) []byte {
	if cap(s.unescaped)-len(s.unescaped) < n {
		s.unescaped = make([]byte, 0, max(n, 2*cap(s.unescaped), unescapedChunk))
	}
	return s.unescaped[len(s.unescaped):len(s.unescaped)]
}

// keep makes what was appended to the last reserved slice part of the chunk.
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
	b.Labels = reset(b.Labels)
	b.Histograms = b.Histograms[:0]
	b.Buckets = b.Buckets[:0]
	b.Natives = b.Natives[:0]
	b.Spans = b.Spans[:0]
	b.Deltas = b.Deltas[:0]
	b.Counts = b.Counts[:0]
	b.Summaries = b.Summaries[:0]
	b.Quantiles = b.Quantiles[:0]
	b.Exemplars = b.Exemplars[:0]
	b.SharedName = false
	b.scratch.families.reset()
	b.scratch.series.reset()
	b.scratch.unescaped = b.scratch.unescaped[:0]
	b.scratch.created = reset(b.scratch.created)
}

// reset empties a pool whose elements hold strings and lets go of them, so that an idle Batch pins no body.
func reset[E any](pool []E) []E {
	clear(pool)
	return pool[:0]
}

// largeBody is the size in bytes from which room is made for what a text holds before it is read. Below, the pools of a
// reused Batch mostly have it.
const largeBody = 1 << 20

// The least sizes in bytes that room is made for. Shorter ones are possible, but a body that only looks like it had many
// lines or labels must not get many times its size in memory.
const (
	shortLine  = 32
	shortLabel = 8
)

// expect makes room for what a large text body holds, as far as a quick look can tell. Pools that grow as they fill would
// take more than twice the memory, of which most would be garbage.
func (b *Batch) expect(body []byte) {
	if len(body) < largeBody {
		return
	}
	b.Series = slices.Grow(b.Series, min(bytes.Count(body, []byte{'\n'}), len(body)/shortLine))
	b.Labels = slices.Grow(b.Labels, min(bytes.Count(body, []byte{'='}), len(body)/shortLabel))
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
	b.Series = append(b.Series, Series{Complex: None, Exemplar: None, Next: None, family: family})
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

// addBucket appends a bucket to the histogram's list.
func (b *Batch) addBucket(histogram int32, bucket Bucket) {
	i := int32(len(b.Buckets))
	bucket.Next = None
	b.Buckets = append(b.Buckets, bucket)
	h := &b.Histograms[histogram]
	if h.lastBucket == None {
		h.FirstBucket = i
	} else {
		b.Buckets[h.lastBucket].Next = i
	}
	h.lastBucket = i
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
