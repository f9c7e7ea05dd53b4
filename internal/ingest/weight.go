// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// usualWeight is how many bytes of memory each byte of a usual push takes while it is worked on: the body, the batch and
// the pdata of a page of counters with five labels are seven to eight times the page. A push that takes more, because its
// lines are short, counts against limits::in_flight_bytes with an eighth of what it takes.
const usualWeight = 8

// What the parts of a push take as parts of a batch and of pdata together, in bytes and rounded up. The test compares
// them with what the allocator says.
const (
	familyWeight   = 300
	seriesWeight   = 200
	complexWeight  = 400 // of a histogram or summary, beside its series
	labelWeight    = 85  // of a label in the body
	groupingWeight = 70  // of a grouping label, in each series
	bucketWeight   = 120 // of a bucket or quantile
	nativeWeight   = 40  // of a bucket or span of a native histogram
	exemplarWeight = 150
)

// weigh estimates the memory that a decoded push takes until it is handed on, in bytes, the body included.
func weigh(b *exposition.Batch, key groupingkey.Key, body []byte) int64 {
	return int64(2*len(body)) + // the body, and copies of the strings in it
		familyWeight*int64(len(b.Families)) +
		(seriesWeight+groupingWeight*int64(len(key.Labels)))*int64(len(b.Series)) +
		complexWeight*int64(len(b.Histograms)+len(b.Summaries)+len(b.Natives)) +
		labelWeight*int64(len(b.Labels)) +
		bucketWeight*int64(len(b.Buckets)+len(b.Quantiles)) +
		nativeWeight*int64(len(b.Spans)+len(b.Deltas)+len(b.Counts)) +
		exemplarWeight*int64(len(b.Exemplars))
}

// surplus is what a decoded push is to reserve beyond its body.
func surplus(b *exposition.Batch, key groupingkey.Key, body []byte) int64 {
	return max(0, weigh(b, key, body)/usualWeight-int64(len(body)))
}
