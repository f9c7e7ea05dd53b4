// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

var benchKey = groupingkey.Key{Job: "bench", Labels: []groupingkey.Label{{Name: "instance", Value: "host-1"}, {Name: "shard", Value: "7"}}}

// counters returns a body of n counters with five labels, two of which vary.
func counters(n int) []byte {
	var b strings.Builder
	b.WriteString("# HELP http_requests_total Requests handled.\n# TYPE http_requests_total counter\n")
	for i := range n {
		fmt.Fprintf(&b, "http_requests_total{code=\"200\",handler=\"/api/v1/items/%d\",method=\"GET\",region=\"eu-central-1\",user=\"u%07d\"} %d\n", i, i*7919, i)
	}
	return []byte(b.String())
}

// histograms returns a body of n histograms with two labels and twelve buckets.
func histograms(n int) []byte {
	var b strings.Builder
	b.WriteString("# TYPE latency_seconds histogram\n")
	for i := range n {
		for k, le := range []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"} {
			fmt.Fprintf(&b, "latency_seconds_bucket{handler=\"/%d\",method=\"GET\",le=\"%s\"} %d\n", i, le, k*i)
		}
		fmt.Fprintf(&b, "latency_seconds_sum{handler=\"/%d\",method=\"GET\"} 1.5\nlatency_seconds_count{handler=\"/%d\",method=\"GET\"} %d\n", i, i, 11*i)
	}
	return []byte(b.String())
}

// families returns a body of n families with one series of one label each.
func families(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "# TYPE node_metric_%d gauge\nnode_metric_%d{device=\"sda\"} %d\n", i, i, i)
	}
	return []byte(b.String())
}

// go test ./internal/translate -run - -bench Translate -benchmem
func BenchmarkTranslate(b *testing.B) {
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"counters", counters(1000)},
		{"histograms", histograms(100)},
		{"families", families(1000)},
		{"one", counters(1)},
	} {
		b.Run(c.name, func(b *testing.B) {
			var batch exposition.Batch
			require.NoError(b, batch.Decode(exposition.Text, c.body, exposition.Options{}))
			b.ReportAllocs()
			for b.Loop() {
				push, err := translate.Translate(&batch, benchKey, translate.Options{})
				if err != nil || push.Series == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFloor builds the pdata of BenchmarkTranslate/counters from constants: the cost of pdata itself.
func BenchmarkFloor(b *testing.B) {
	handlers, users := make([]string, 1000), make([]string, 1000)
	for i := range handlers {
		handlers[i], users[i] = "/api/v1/items/"+strconv.Itoa(i), fmt.Sprintf("u%07d", i*7919)
	}
	b.ReportAllocs()
	for b.Loop() {
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().EnsureCapacity(2)
		rm.Resource().Attributes().PutStr("service.name", "bench")
		rm.Resource().Attributes().PutStr("service.instance.id", "host-1")
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("http_requests_total")
		m.Metadata().PutStr("prometheus.type", "counter")
		points := m.SetEmptySum().DataPoints()
		points.EnsureCapacity(len(handlers))
		for i := range handlers {
			dp := points.AppendEmpty()
			a := dp.Attributes()
			a.EnsureCapacity(6)
			a.PutStr("shard", "7")
			a.PutStr("code", "200")
			a.PutStr("handler", handlers[i])
			a.PutStr("method", "GET")
			a.PutStr("region", "eu-central-1")
			a.PutStr("user", users[i])
			dp.SetDoubleValue(float64(i))
		}
	}
}

func BenchmarkStamp(b *testing.B) {
	var batch exposition.Batch
	require.NoError(b, batch.Decode(exposition.Text, counters(1000), exposition.Options{}))
	push, err := translate.Translate(&batch, benchKey, translate.Options{PushTime: true})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		push.Stamp(time.Unix(1, 0))
	}
}
