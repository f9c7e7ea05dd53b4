// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

// BenchmarkPush is a push of one series by one of many pushers, from pdata to the encoded contribution, whose size it reports.
//
//	go test -run '^$' -bench Push ./internal/merge
func BenchmarkPush(b *testing.B) {
	for _, c := range []struct {
		name string
		f    merge.Function
		push func(i int) pmetric.Metric
	}{
		{"counter of integers", merge.Total, func(i int) pmetric.Metric { return counter(float64(i)) }},
		{"counter of decimals", merge.Total, func(i int) pmetric.Metric { return counter(float64(i) / 10) }},
		{"gauge, last", merge.Last, func(i int) pmetric.Metric { return gauge(float64(i) / 10) }},
		{"gauge, max", merge.Max, func(i int) pmetric.Metric { return gauge(float64(i) / 10) }},
		{"histogram of 11 bounds", merge.Total, func(i int) pmetric.Metric {
			h := buckets{bounds: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, sum: float64(i) / 10}
			for range 12 {
				h.counts = append(h.counts, uint64(i))
			}
			return h.metric()
		}},
		{"native histogram of 100 buckets", merge.Total, func(i int) pmetric.Metric {
			n := native{scale: 3, threshold: 0x1p-128, offset: -50, sum: float64(i) / 10}
			for range 100 {
				n.positive = append(n.positive, uint64(i))
			}
			return n.metric()
		}},
	} {
		for _, pushers := range []int{1, 100_000} {
			b.Run(c.name+"/"+strconv.Itoa(pushers)+" pushers", func(b *testing.B) {
				s := newStore(b, c.f)
				for i := range pushers {
					require.NoError(b, s.push(strconv.Itoa(i), c.push(1)))
				}
				pushed := make([]pmetric.Metric, 100)
				for i := range pushed {
					pushed[i] = c.push(i + 2)
				}
				var encoded []byte
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					if i%len(pushed) == 0 {
						s.end("0") // The values begin anew, which is no restart.
					}
					if err := s.push("0", pushed[i%len(pushed)]); err != nil {
						b.Fatal(err)
					}
					encoded = s.pushers["0"].Encode(encoded[:0])
				}
				b.ReportMetric(float64(len(encoded)), "B/contribution")
			})
		}
	}
}
