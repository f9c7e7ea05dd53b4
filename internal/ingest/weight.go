// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// usualWeight is how many bytes of memory each byte of a usual push takes while it is worked on: the body, the batch and
// the pdata of a page of counters with five labels are six to seven times the page. A push that takes more, because its
// lines are short, counts against limits::in_flight_bytes with an eighth of what it takes.
const usualWeight = 8

// What the parts of a push take as parts of a batch and of pdata together, in bytes and rounded up. The test compares
// them with what the allocator says.
const (
	familyWeight   = 300
	seriesWeight   = 200
	complexWeight  = 400 // of a histogram or summary, beside its series
	labelWeight    = 70  // of a label in the body
	columnWeight   = 140 // of a label in the series that has the most, beside that: what is known of the labels at one position
	groupingWeight = 70  // of a grouping label, in each series
	bucketWeight   = 120 // of a bucket or quantile
	nativeWeight   = 40  // of a bucket or span of a native histogram
	exemplarWeight = 150
	createdWeight  = 250 // of a created timestamp that waits for its series
)

// What a group takes besides: its families are encoded, which takes about as much as the body, and their series are found in the
// index of all. The memory for what the key and the descriptions add to that is reserved while the push is translated.
const (
	heldFamilyWeight = 400
	heldSeriesWeight = 90
	heldPartWeight   = 50 // of a bucket or quantile
)

// scale weighs a push, again and again while it is decoded.
type scale struct {
	key  groupingkey.Key
	body []byte
	held bool // in a group

	most int // labels of one series
	seen int // series that most is of, for good
}

// weigh estimates the memory that a decoded push takes until it is handed on, in bytes, the body included.
func (w *scale) weigh(b *exposition.Batch) int64 {
	labels, natives, created := b.Pending()
	return int64(2*len(w.body)) + // the body, and copies of the strings in it
		w.weighHeld(b) +
		familyWeight*int64(len(b.Families)) +
		(seriesWeight+groupingWeight*int64(len(w.key.Labels)))*int64(len(b.Series)) +
		complexWeight*int64(len(b.Histograms)+len(b.Summaries)+len(b.Natives)) +
		labelWeight*int64(len(b.Labels)+labels) +
		columnWeight*int64(w.widest(b)) +
		bucketWeight*int64(len(b.Buckets)+len(b.Quantiles)) +
		nativeWeight*int64(len(b.Spans)+len(b.Deltas)+len(b.Counts)+natives) +
		exemplarWeight*int64(len(b.Exemplars)) +
		createdWeight*int64(created)
}

// weighHeld is what a group takes besides.
func (w *scale) weighHeld(b *exposition.Batch) int64 {
	if !w.held {
		return 0
	}
	return int64(len(w.body)) +
		heldFamilyWeight*int64(min(len(b.Families), len(b.Series))) + // Families without series are passed over.
		heldSeriesWeight*int64(len(b.Series)) +
		heldPartWeight*int64(len(b.Buckets)+len(b.Quantiles))
}

// widest is how many labels the series has that has the most. All but the last one are not looked at again: that may have more
// to come.
func (w *scale) widest(b *exposition.Batch) int {
	for i := range b.Series[w.seen:] {
		labels := b.Series[w.seen+i].Labels
		w.most = max(w.most, int(labels.End-labels.Start))
	}
	w.seen = max(0, len(b.Series)-1)
	return w.most
}

// surplus is what a decoded push is to reserve beyond its body.
func (w *scale) surplus(b *exposition.Batch) int64 {
	return max(0, w.weigh(b)/usualWeight-int64(len(w.body)))
}
