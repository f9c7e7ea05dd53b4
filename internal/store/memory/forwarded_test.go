// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

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
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// bothParts is a push of a histogram with a classic and a native part.
func bothParts(t *testing.T, path string) *translate.Push {
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

// kindsOf are the names and kinds of metrics.
func kindsOf(md pmetric.Metrics) (kinds []string) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				kinds = append(kinds, m.Name()+" "+m.Type().String())
			}
		}
	}
	return kinds
}

// TestForwardedParts holds both parts of a histogram, forwards what the setting says, and ends no other series than these, also
// after a restart.
func TestForwardedParts(t *testing.T) {
	t.Parallel()
	const classic, native = "h Histogram", "h ExponentialHistogram"
	for name, c := range map[string]struct {
		setting   translate.Histograms
		forwarded []string
		series    int
	}{
		"classic": {translate.ClassicHistograms, []string{classic}, 4},
		"native":  {translate.NativeHistograms, []string{native}, 1},
		"both":    {translate.BothHistograms, []string{classic, native}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(map[string][]byte{})
			key := pushtest.Key(t, "job/j")
			start := func() *testStore {
				s, _ := restoredWith(t, client, store.Options{Scope: pushtest.Scope, Forwarded: c.setting.Forwarded})
				s.pass(memory.FirstRound)
				return s
			}
			s := start()
			push := bothParts(t, "job/j")
			require.NoError(t, s.Push(t.Context(), key, familiesOf(t, s, push), true, at(1)))
			assert.Equal(t, c.forwarded, kindsOf(exported(t, s)))
			s = start()
			forwarded := exported(t, s)
			assert.Equal(t, c.forwarded, kindsOf(forwarded))
			assert.Equal(t, c.series, s.Counts().Series)
			for _, snapshot := range snapshotsOf(t, s) {
				assert.Equal(t, []string{classic, native}, kindsOf(snapshot.Families[0].Metrics()))
			}
			require.NoError(t, s.Delete(t.Context(), key))
			for _, s := range []*testStore{s, start()} {
				assert.Equal(t, c.series, s.Counts().Pending)
				pending := pendingOf(s, "job/j")
				assert.Equal(t, c.forwarded, kindsOf(pending))
				assert.Equal(t, sortedSeries(forwarded), sortedSeries(pending))
			}
		})
	}
}

// exported are all values that are due, which are accepted.
func exported(t *testing.T, s *testStore) pmetric.Metrics {
	t.Helper()
	var parts []pmetric.Metrics
	require.NoError(t, export(t, s, func(p *store.Part) store.Outcome {
		parts = append(parts, p.Metrics())
		return accepted
	}))
	return joined(parts)
}

// TestPartChangesHands has another group push what is held, and is not forwarded, of the first one.
func TestPartChangesHands(t *testing.T) {
	t.Parallel()
	s := newStore(store.Options{Scope: pushtest.Scope, Forwarded: translate.NativeHistograms.Forwarded})
	require.NoError(t, s.Push(t.Context(), pushtest.Key(t, "job/j"), familiesOf(t, s, bothParts(t, "job/j")), true, at(1)))
	other := pushtest.Text(t, "job/j/x@base64/=", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n")
	require.NoError(t, s.Push(t.Context(), pushtest.Key(t, "job/j/x@base64/="), familiesOf(t, s, other), true, at(2)))
	assert.Equal(t, 1+4, s.Counts().Series)
}
