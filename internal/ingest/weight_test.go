// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
)

// lines writes a page of numbered lines.
func lines(n int, format string) []byte {
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, format, i)
	}
	return []byte(body.String())
}

// wide writes a series of n labels.
func wide(n int) []byte {
	return slices.Concat([]byte("m{"), lines(n, "l%d=\"x\","), []byte("} 1\n"))
}

const usualLine = "http_requests_total{code=\"200\",handler=\"/api/v1/items/%d\",method=\"GET\",region=\"eu-central-1\",user=\"u0000001\"} 1\n"

// TestMemoryIsCounted holds what a push takes in memory, live, to usualWeight times the bytes that are counted for it: that
// is what docs/operating.md derives its figures from. It must not run in parallel.
func TestMemoryIsCounted(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1)) // So that the heap is hardly more than what is live.
	key, longKey := groupingkey.Key{Job: "j"}, groupingkey.Key{Job: "j"}
	for i := range 20 {
		longKey.Labels = append(longKey.Labels, groupingkey.Label{Name: fmt.Sprintf("g%d", 10+i), Value: "x"})
	}
	for name, tc := range map[string]struct {
		body []byte
		key  groupingkey.Key
	}{
		"five labels":                               {lines(20_000, usualLine), key},
		"one short sample a line":                   {lines(100_000, "m{a=\"%d\"} 1\n"), key},
		"the same with 20 grouping labels":          {lines(20_000, "m{a=\"%d\"} 1\n"), longKey},
		"a family of its own a line":                {lines(100_000, "m%d 1\n"), key},
		"families without samples":                  {append(lines(100_000, "# TYPE m%d gauge\n"), "m0 1\n"...), key},
		"ten short labels":                          {lines(20_000, "m{a=\"%[1]d\",b=\"%[1]d\",c=\"%[1]d\",d=\"%[1]d\",e=\"%[1]d\",f=\"%[1]d\",g=\"%[1]d\",h=\"%[1]d\",i=\"%[1]d\",j=\"%[1]d\"} 1\n"), key},
		"a series of very many labels":              {wide(200_000), key},
		"histograms of one bucket":                  {append([]byte("# TYPE h histogram\n"), lines(40_000, "h_bucket{a=\"%d\",le=\"+Inf\"} 0\n")...), key},
		"a histogram of very many buckets":          {append(append([]byte("# TYPE h histogram\n"), lines(100_000, "h_bucket{le=\"%[1]d\"} %[1]d\n")...), "h_count 100000\n"...), key},
		"the same, as series since it has no count": {append([]byte("# TYPE h histogram\n"), lines(40_000, "h_bucket{le=\"%[1]d\"} 1\n")...), key},
		"summaries":                                 {append([]byte("# TYPE s summary\n"), lines(100_000, "s{a=\"%d\",quantile=\"1\"} 1\n")...), key},
		"a summary of very many quantiles":          {append([]byte("# TYPE s summary\n"), lines(200_000, "s{quantile=\"%d\"} 1\n")...), key},
	} {
		t.Run(name, func(t *testing.T) {
			taken, counted := footprint(t, tc.key, tc.body)
			again, _ := footprint(t, tc.key, tc.body)
			taken = min(taken, again) // Garbage that was not collected in time only adds.
			t.Logf("%d KiB of body, %d KiB counted, %d KiB taken", len(tc.body)>>10, counted>>10, taken>>10)
			assert.LessOrEqual(t, float64(taken), 1.25*float64(usualWeight*counted))
			assert.True(t, counted == int64(len(tc.body)) || usualWeight*counted < 2*taken, "no more is counted than needed")
		})
	}
}

// footprint pushes a body and returns the most memory that it took, its body included, and what was counted for it in the end.
func footprint(t *testing.T, key groupingkey.Key, body []byte) (taken, counted int64) {
	t.Helper()
	var in *Ingest
	next, err := consumer.NewMetrics(func(context.Context, pmetric.Metrics) error {
		counted = int64(len(body)) + in.InFlight.Bytes()
		return nil
	})
	require.NoError(t, err)
	in, err = New(receivertest.NewNopSettings(metadata.Type), Options{}, next)
	require.NoError(t, err)
	defer func() { assert.NoError(t, in.Shutdown(t.Context())) }()

	before, peak := pushtest.SettledHeap(), pushtest.WatchHeap()
	ctx, o := in.Begin(t.Context(), http.MethodPut)
	err = in.Push(ctx, o, Request{Key: key, Format: exposition.Text, Body: body})
	taken = int64(peak()-before) + int64(len(body))
	o.End(err)
	require.NoError(t, err)
	return taken, counted
}

func TestSurplus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body  []byte
		heavy bool
	}{
		"five labels":      {lines(1000, usualLine), false},
		"one short sample": {lines(1000, "m%d 1\n"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var batch exposition.Batch
			require.NoError(t, batch.Decode(exposition.Text, tc.body, exposition.Options{}))
			assert.Equal(t, tc.heavy, (&scale{body: tc.body}).surplus(&batch) > 0)
		})
	}
}
