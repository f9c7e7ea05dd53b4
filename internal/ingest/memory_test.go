// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
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

// TestMemoryIsCounted compares the memory that a push takes with memoryPerByte times the bytes that are counted for it: docs/operating.md
// derives its figures from that. The memory is what is live when the push is translated, and when it is stored. It must not run in
// parallel.
func TestMemoryIsCounted(t *testing.T) {
	key, longKey := groupingkey.Key{Job: "j"}, groupingkey.Key{Job: "j"}
	for i := range 20 {
		longKey.Labels = append(longKey.Labels, groupingkey.Label{Name: fmt.Sprintf("g%d", 10+i), Value: "x"})
	}
	longValue := groupingkey.Key{Job: "j", Labels: []groupingkey.Label{{Name: "l", Value: strings.Repeat("x", 1000)}}}
	for name, tc := range map[string]struct {
		body []byte
		key  groupingkey.Key
	}{
		"five labels":                               {lines(20_000, usualLine), key},
		"one short sample a line":                   {lines(20_000, "m{a=\"%d\"} 1\n"), key},
		"the same with 20 grouping labels":          {lines(20_000, "m{a=\"%d\"} 1\n"), longKey},
		"the same with a long grouping label":       {lines(20_000, "m{a=\"%d\"} 1\n"), longValue},
		"a family of its own a line":                {lines(20_000, "m%d 1\n"), key},
		"families without samples":                  {append(lines(20_000, "# TYPE m%d gauge\n"), "m0 1\n"...), key},
		"ten short labels":                          {lines(20_000, "m{a=\"%[1]d\",b=\"%[1]d\",c=\"%[1]d\",d=\"%[1]d\",e=\"%[1]d\",f=\"%[1]d\",g=\"%[1]d\",h=\"%[1]d\",i=\"%[1]d\",j=\"%[1]d\"} 1\n"), key},
		"a series of very many labels":              {wide(40_000), key},
		"a scope of its own a line":                 {lines(20_000, "m{otel_scope_x=\"%d\"} 1\n"), key},
		"a named scope of its own a line":           {lines(20_000, "m{otel_scope_name=\"%d\"} 1\n"), key},
		"five scope labels":                         {lines(20_000, "m{otel_scope_a=\"%[1]d\",otel_scope_b=\"%[1]d\",otel_scope_c=\"%[1]d\",otel_scope_d=\"%[1]d\",otel_scope_e=\"%[1]d\"} 1\n"), key},
		"histograms in scopes":                      {append([]byte("# TYPE h histogram\n"), lines(20_000, "h_bucket{otel_scope_x=\"%d\",le=\"+Inf\"} 0\n")...), key},
		"a few scopes of many families":             {lines(20_000, "m%d{otel_scope_x=\"1\"} 1\n"), key},
		"histograms of one bucket":                  {append([]byte("# TYPE h histogram\n"), lines(20_000, "h_bucket{a=\"%d\",le=\"+Inf\"} 0\n")...), key},
		"a histogram of very many buckets":          {append(append([]byte("# TYPE h histogram\n"), lines(20_000, "h_bucket{le=\"%[1]d\"} %[1]d\n")...), "h_count 100000\n"...), key},
		"the same, as series since it has no count": {append([]byte("# TYPE h histogram\n"), lines(20_000, "h_bucket{le=\"%[1]d\"} 1\n")...), key},
		"summaries":                                 {append([]byte("# TYPE s summary\n"), lines(20_000, "s{a=\"%d\",quantile=\"1\"} 1\n")...), key},
		"a summary of very many quantiles":          {append([]byte("# TYPE s summary\n"), lines(20_000, "s{quantile=\"%d\"} 1\n")...), key},
		"created timestamps apart from their series": {append(append(append([]byte("# TYPE m counter\n"), lines(20_000, "m_total{a=\"%d\"} 1\n")...),
			lines(20_000, "m_created{a=\"%d\"} 1\n")...), "# EOF\n"...), key},
		"created timestamps without series": {append(append([]byte("# TYPE m counter\n"), lines(20_000, "m_created{a=\"%d\"} 1\n")...), "# EOF\n"...), key},
	} {
		for mode, held := range map[string]bool{"": false, ", held": true} {
			t.Run(name+mode, func(t *testing.T) {
				request := Request{Key: tc.key, Format: exposition.Text, Body: tc.body}
				if bytes.HasSuffix(tc.body, []byte("# EOF\n")) {
					request.Format = exposition.OpenMetrics
				}
				options := Options{}
				if held {
					options.Groups = &GroupOptions{}
				}
				most, counted := live(t, options, request), counted(t, options, request)
				t.Logf("%d KiB of body, %d KiB counted, %d KiB taken: %.1f", len(tc.body)>>10, counted>>10, most>>10, float64(most)/float64(counted))
				assert.LessOrEqual(t, most, memoryPerByte*counted)
				assert.True(t, counted == int64(len(tc.body)) || memoryPerByte*counted < 4*most, "no more is counted than needed")
			})
		}
	}
}

// counted is how many bytes are reserved for a push when it is translated, its body included.
func counted(t *testing.T, options Options, r Request) int64 {
	t.Helper()
	in, err := New(receivertest.NewNopSettings(metadata.Type), options, consumertest.NewNop())
	require.NoError(t, err)
	if options.Groups != nil {
		in.groups = &groups{} // The memory of groups is included.
	}
	_, o := in.Begin(t.Context(), http.MethodPut)
	reserved := &reservation{inFlight: in.InFlight}
	_, err = in.translate(o, r, reserved)
	o.End(err)
	require.NoError(t, err)
	return int64(len(r.Body)) + reserved.bytes
}

// live is the memory of the parts of a push, including its body: either the batch and pdata, or pdata and the stored families.
func live(t *testing.T, options Options, r Request) int64 {
	t.Helper()
	begun := pushtest.SettledHeap()
	batch := new(exposition.Batch)
	require.NoError(t, batch.Decode(r.Format, r.Body, options.Exposition))
	options.Translate.Held = options.Groups != nil
	push, err := translate.Translate(batch, r.Key, options.Translate)
	require.NoError(t, err)
	most := pushtest.SettledHeap()
	runtime.KeepAlive(batch)
	if options.Groups != nil {
		o := store.Options{Scope: pushtest.Scope, Now: time.Now, Tick: time.Now}
		s := memory.New(o, nil)
		held := &groups{options: o, store: s}
		families, err := held.families(push)
		require.NoError(t, err)
		require.NoError(t, s.Push(t.Context(), r.Key, families, true, time.Now()))
		most = max(most, pushtest.SettledHeap())
		runtime.KeepAlive(s)
	}
	runtime.KeepAlive(push)
	return int64(most-begun) + int64(len(r.Body))
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
			assert.Equal(t, tc.heavy, (&memoryEstimator{body: tc.body}).extra(&batch) > 0)
		})
	}
}
