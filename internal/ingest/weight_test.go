// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

func repeated(format string, n int) []byte {
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, format, i)
	}
	return []byte(body.String())
}

// TestWeight compares the estimate with what the allocator gave out for batch and pdata. It must not run in parallel.
func TestWeight(t *testing.T) {
	key := groupingkey.Key{Job: "j", Labels: []groupingkey.Label{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}}
	for name, body := range map[string][]byte{
		"one short sample of a family of its own a line": repeated("m%d 1\n", 20_000),
		"one family":      repeated("m{a1=\"%d\"} 1\n", 20_000),
		"many labels":     repeated("m{a=\"%[1]d\",b1=\"%[1]d\",c=\"%[1]d\",d=\"%[1]d\",e=\"%[1]d\",f=\"%[1]d\"} 1\n", 10_000),
		"histograms":      repeated("# TYPE h%[1]d histogram\nh%[1]d_bucket{le=\"1\"} 1\nh%[1]d_bucket{le=\"+Inf\"} 2\nh%[1]d_count 2\n", 10_000),
		"histograms' sum": repeated("# TYPE h%[1]d histogram\nh%[1]d_sum 1\n", 10_000),
		"summaries":       repeated("# TYPE s%[1]d summary\ns%[1]d{quantile=\"1\"} 1\n", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var batch exposition.Batch
			require.NoError(t, batch.Decode(exposition.Text, body, exposition.Options{}))
			exact := float64(weigh(&batch, key, body))
			push, err := translate.Translate(&batch, key, translate.Options{})
			require.NoError(t, err)
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(push)

			// A new batch grows its pools, so it allocates up to three times what it holds in the end.
			taken := float64(after.TotalAlloc-before.TotalAlloc) + float64(len(body))
			assert.Greater(t, exact, taken*0.45)
			assert.Less(t, exact, taken*1.5)
		})
	}
}

func TestSurplus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body  []byte
		heavy bool
	}{
		"five labels":      {repeated("http_requests_total{code=\"200\",handler=\"/api/v1/items/%d\",method=\"GET\",region=\"eu-central-1\",user=\"u0000001\"} 1\n", 1000), false},
		"one short sample": {repeated("m%d 1\n", 1000), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var batch exposition.Batch
			require.NoError(t, batch.Decode(exposition.Text, tc.body, exposition.Options{}))
			assert.Equal(t, tc.heavy, surplus(&batch, groupingkey.Key{Job: "j"}, tc.body) > 0)
		})
	}
}
