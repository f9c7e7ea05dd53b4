// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// BothParts is a push of a histogram with a classic and a native part.
func BothParts(t *testing.T, path string) *translate.Push {
	h := &dto.Histogram{
		SampleCount: new(uint64(3)), SampleSum: new(1.5), Bucket: []*dto.Bucket{{UpperBound: new(1.0), CumulativeCount: new(uint64(2))}},
		Schema: new(int32(0)), ZeroThreshold: new(0.5), ZeroCount: new(uint64(3)),
	}
	var body bytes.Buffer
	_, err := protodelim.MarshalTo(&body, &dto.MetricFamily{
		Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}},
	})
	require.NoError(t, err)
	push, err := pushtest.Translate(pushtest.Key(t, path), exposition.Protobuf, body.Bytes())
	require.NoError(t, err)
	return push
}

// KindsOf are the names and kinds of metrics.
func KindsOf(md pmetric.Metrics) (kinds []string) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				kinds = append(kinds, m.Name()+" "+m.Type().String())
			}
		}
	}
	return kinds
}

// Exported are all values that are due, which are accepted.
func Exported(t *testing.T, s *Store) pmetric.Metrics {
	t.Helper()
	var parts []pmetric.Metrics
	require.NoError(t, Export(t, s, func(p *store.Part) store.Outcome {
		parts = append(parts, p.Metrics())
		return Accepted
	}))
	return Joined(parts)
}

// testPartChangesHands has another group push what is held, and is not forwarded, of the first one.
func testPartChangesHands(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, store.Options{Scope: pushtest.Scope, Forwarded: translate.NativeHistograms.Forwarded})
	require.NoError(t, s.Push(t.Context(), pushtest.Key(t, "job/j"), FamiliesOf(t, s, BothParts(t, "job/j")), true, At(1)))
	other := pushtest.Text(t, "job/j/x@base64/=", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n")
	require.NoError(t, s.Push(t.Context(), pushtest.Key(t, "job/j/x@base64/="), FamiliesOf(t, s, other), true, At(2)))
	assert.Equal(t, 1+4, s.Counts().Series)
}
