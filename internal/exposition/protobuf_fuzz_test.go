// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"testing"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// FuzzProtobuf compares the decoder with Go's protobuf library: same refusals with the same messages, same content. Batch
// and buffer are reused, so that leaks between pushes show.
func FuzzProtobuf(f *testing.F) {
	for _, tt := range protobufAccepted {
		f.Add(tt.body)
	}
	for _, tt := range protobufRefused {
		f.Add(tt.body)
	}
	f.Add(gathered(f))
	var batch exposition.Batch
	var buffer []byte
	f.Fuzz(func(t *testing.T, body []byte) {
		families, wantErr := referenceDecode(body)
		buffer = append(buffer[:0], body...)
		err := batch.Decode(exposition.Protobuf, buffer, exposition.Options{})
		if wantErr == nil && err != nil && manyGroups(body) {
			t.Skip("groups may nest deeper in the reference")
		}
		assert.LessOrEqual(t, batchSize(&batch), 31*len(body)+64)
		if wantErr != nil {
			require.EqualError(t, err, plainSpaces(wantErr))
			return
		}
		require.NoError(t, err)
		require.Equal(t, dumpReference(families), dumpBatch(&batch))
	})
}

// manyGroups reports whether groups may nest deeper than the decoder allows.
func manyGroups(body []byte) bool {
	starts := 0
	for _, c := range body {
		if c&7 == 3 {
			starts++
		}
	}
	return starts > 100
}

// batchSize returns the size in bytes of the Batch's contents.
func batchSize(b *exposition.Batch) int {
	return size(b.Families) + size(b.Series) + size(b.Labels) + size(b.Histograms) + size(b.Buckets) + size(b.Natives) +
		size(b.Spans) + size(b.Deltas) + size(b.Counts) + size(b.Summaries) + size(b.Quantiles) + size(b.Exemplars)
}

func size[E any](pool []E) int {
	var e E
	return len(pool) * int(unsafe.Sizeof(e))
}

// gathered returns a client_golang push with a metric of each type.
func gathered(f *testing.F) []byte {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "help", ConstLabels: prometheus.Labels{"a": "b", "c": "d"}})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s", Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01}})
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{1, 2}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "n", NativeHistogramBucketFactor: 1.1})
	registry.MustRegister(counter, gauge, summary, classic, native)
	for _, v := range []float64{-1, 0, 0.5, 1.5, 3, 1000} {
		gauge.Set(v)
		summary.Observe(v)
		counter.(prometheus.ExemplarAdder).AddWithExemplar(v*v, prometheus.Labels{"trace_id": "abc"})
		classic.(prometheus.ExemplarObserver).ObserveWithExemplar(v, prometheus.Labels{"trace_id": "abc"})
		native.(prometheus.ExemplarObserver).ObserveWithExemplar(v, prometheus.Labels{"trace_id": "def"})
	}
	families, err := registry.Gather()
	require.NoError(f, err)
	return delimited(families...)
}
