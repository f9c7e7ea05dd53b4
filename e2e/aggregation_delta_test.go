// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
)

// TestAggregateAsDelta puts the processor that makes deltas behind the receiver: an aggregate is one stream of points that it can
// follow, from the first value on.
func TestAggregateAsDelta(t *testing.T) {
	t.Parallel()
	type push struct {
		id, value string
	}
	for name, tc := range map[string]struct {
		pushes []push
		values []float64 // of the total after each push
	}{
		"two pushers":  {[]push{{"a", "5"}, {"b", "3"}}, []float64{5, 8}},
		"repeated":     {[]push{{"a", "5"}, {"a", "5"}, {"a", "5"}}, []float64{5, 5, 5}},
		"replaced":     {[]push{{"a", "5"}, {"a", "9"}, {"b", "1"}, {"a", "9"}}, []float64{5, 9, 10, 10}},
		"started anew": {[]push{{"a", "14"}, {"a", "2"}}, []float64{14, 16}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deltas := new(consumertest.MetricsSink)
			url := startAsDelta(t, deltas)
			for i, p := range tc.pushes {
				status, answer := send(t, http.MethodPut, url+"/metrics/job/X/job_id/"+p.id, "# TYPE c_total counter\nc_total "+p.value+"\n")
				require.Equal(t, http.StatusOK, status, answer)
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					sum := 0.0
					for _, delta := range deltasOf(deltas, "c_total") {
						sum += delta
					}
					assert.InDelta(c, tc.values[i], sum, 0)
				}, dataTimeout, pollInterval)
			}
			assert.False(t, slices.ContainsFunc(deltasOf(deltas, "c_total"), func(delta float64) bool { return delta < 0 }))
		})
	}
}

// startAsDelta starts a receiver with aggregates, behind it the processor, and returns its URL.
func startAsDelta(t *testing.T, next *consumertest.MetricsSink) string {
	t.Helper()
	ctx := context.Background() //nolint:usetesting // Components are shut down after the test's context has ended.
	processors := cumulativetodeltaprocessor.NewFactory()
	processor, err := processors.CreateMetrics(ctx, processortest.NewNopSettings(processors.Type()), processors.CreateDefaultConfig(), next)
	require.NoError(t, err)
	receivers := pushgatewayreceiver.NewFactory()
	config := receivers.CreateDefaultConfig()
	endpoint := freeEndpoint(t)
	require.NoError(t, confmap.NewFromStringMap(map[string]any{
		"endpoint": endpoint,
		"groups":   map[string]any{"republish_interval": "1s", "aggregate": []any{map[string]any{"without": []any{"job_id"}}}},
	}).Unmarshal(config))
	receiver, err := receivers.CreateMetrics(ctx, receivertest.NewNopSettings(receivers.Type()), config, processor)
	require.NoError(t, err)
	for _, c := range []component.Component{processor, receiver} {
		require.NoError(t, c.Start(ctx, componenttest.NewNopHost()))
		t.Cleanup(func() { assert.NoError(t, c.Shutdown(ctx)) })
	}
	return "http://" + endpoint
}

// deltasOf are the points of a counter in order. There must be one stream of them.
func deltasOf(sink *consumertest.MetricsSink, name string) (deltas []float64) {
	for _, md := range sink.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if m.Name() == name {
						deltas = append(deltas, deltasIn(m)...)
					}
				}
			}
		}
	}
	return deltas
}

func deltasIn(m pmetric.Metric) (deltas []float64) {
	if m.Sum().AggregationTemporality() != pmetric.AggregationTemporalityDelta {
		panic("no delta: " + strings.ToLower(m.Sum().AggregationTemporality().String()))
	}
	for _, p := range m.Sum().DataPoints().All() {
		deltas = append(deltas, p.DoubleValue())
	}
	return deltas
}
