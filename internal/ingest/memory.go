// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// memoryPerByte is the memory that a usual push needs while it is processed, in bytes per byte of its body: body, batch and pdata of
// counters with five labels need six to seven. A push that needs more, because its lines are short, counts against
// limits::in_flight_bytes with one eighth of its memory.
const memoryPerByte = 8

// The memory of the parts of a push in a batch and in pdata together, in bytes, rounded up. A test compares them with the allocator.
const (
	familyMemory   = 300
	seriesMemory   = 200
	complexMemory  = 400 // of a histogram or summary, besides its series
	labelMemory    = 70  // of a label in the body
	columnMemory   = 140 // of a label in the series with the most labels: the state of the column
	groupingMemory = 70  // of a grouping label, in each series
	bucketMemory   = 120 // of a bucket or quantile
	nativeMemory   = 40  // of a bucket or span of a native histogram
	exemplarMemory = 150
	createdMemory  = 250 // of a created timestamp that waits for its series
)

// The additional memory of a group: its encoded families need about as much as the body, and their series are in the index.
// Translation reserves the memory for the key and the descriptions.
const (
	storedFamilyMemory = 400
	storedSeriesMemory = 90
	storedPartMemory   = 50 // of a bucket or quantile
)

// memoryEstimator estimates the memory of a push repeatedly while it is decoded.
type memoryEstimator struct {
	key    groupingkey.Key
	body   []byte
	stored bool // the push is stored in a group

	most int // labels of one series so far
	seen int // series that most includes
}

// estimate returns the memory that a push needs until it is forwarded or stored, in bytes, including the body.
func (w *memoryEstimator) estimate(b *exposition.Batch) int64 {
	labels, natives, created := b.Pending()
	return int64(2*len(w.body)) + // the body, and copies of the strings in it
		w.estimateStored(b) +
		familyMemory*int64(len(b.Families)) +
		(seriesMemory+groupingMemory*int64(len(w.key.Labels)))*int64(len(b.Series)) +
		complexMemory*int64(len(b.Histograms)+len(b.Summaries)+len(b.Natives)) +
		labelMemory*int64(len(b.Labels)+labels) +
		columnMemory*int64(w.maxLabels(b)) +
		bucketMemory*int64(len(b.Buckets)+len(b.Quantiles)) +
		nativeMemory*int64(len(b.Spans)+len(b.Deltas)+len(b.Counts)+natives) +
		exemplarMemory*int64(len(b.Exemplars)) +
		createdMemory*int64(created)
}

// estimateStored returns the additional memory of a group.
func (w *memoryEstimator) estimateStored(b *exposition.Batch) int64 {
	if !w.stored {
		return 0
	}
	return int64(len(w.body)) +
		storedFamilyMemory*int64(min(len(b.Families), len(b.Series))) + // Families without series are skipped.
		storedSeriesMemory*int64(len(b.Series)) +
		storedPartMemory*int64(len(b.Buckets)+len(b.Quantiles))
}

// maxLabels returns the largest number of labels of a series. It skips series that are complete and already counted.
func (w *memoryEstimator) maxLabels(b *exposition.Batch) int {
	for i := range b.Series[w.seen:] {
		labels := b.Series[w.seen+i].Labels
		w.most = max(w.most, int(labels.End-labels.Start))
	}
	w.seen = max(0, len(b.Series)-1)
	return w.most
}

// extra returns the bytes in flight to reserve beyond the body.
func (w *memoryEstimator) extra(b *exposition.Batch) int64 {
	return max(0, w.estimate(b)/memoryPerByte-int64(len(w.body)))
}
