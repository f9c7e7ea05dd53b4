// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/prometheusremotewrite"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// TestEscapedAsOthersDo pushes gauges of random names. A push must be refused exactly where the remote-write exporter, or
// Prometheus' own escaping, makes one series of two.
func TestEscapedAsOthersDo(t *testing.T) {
	t.Parallel()
	refused := 0
	for i := range 3000 {
		r := rand.New(rand.NewPCG(5, uint64(i)))
		families := randomNames(r)
		var body strings.Builder
		for _, f := range families {
			_, err := protodelim.MarshalTo(&body, f)
			require.NoError(t, err)
		}
		var batch exposition.Batch
		require.NoError(t, batch.Decode(exposition.Protobuf, []byte(body.String()), exposition.Options{}))
		key := pushtest.Key(t, "job/j")
		push, err := translate.Translate(&batch, key, translate.Options{ScopeName: pushtest.Scope})
		require.NoError(t, err)
		want := mergedByExporter(t, push, len(families)) || mergedByPrometheus(families)
		_, err = translate.Translate(&batch, key, translate.Options{ScopeName: pushtest.Scope, Escaped: true})
		assert.Equal(t, want, err != nil, "push %d: %v: %v", i, families, err)
		if err != nil {
			refused++
		}
	}
	assert.Greater(t, refused, 300)
}

// randomNames are a few gauges of one series each, whose names are made of few characters so that they often become the same.
func randomNames(r *rand.Rand) []*dto.MetricFamily {
	name := func(alphabet ...string) string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		return b.String()
	}
	var families []*dto.MetricFamily
	seen := map[string]bool{}
	for range 2 + r.IntN(3) {
		metric := name("a", ".", "_", "é")
		if r.IntN(4) == 0 {
			metric = name("a", ".", "1", ":")
		}
		label, value := "l"+[]string{".", "_", ":", "é"}[r.IntN(4)]+"l", "v"
		if seen[metric] {
			continue
		}
		seen[metric] = true
		families = append(families, &dto.MetricFamily{
			Name: &metric, Type: dto.MetricType_GAUGE.Enum(),
			Metric: []*dto.Metric{{Label: []*dto.LabelPair{{Name: &label, Value: &value}}, Gauge: &dto.Gauge{Value: new(1.0)}}},
		})
	}
	return families
}

// mergedByExporter tells whether the exporter writes several samples for one series.
func mergedByExporter(t *testing.T, push *translate.Push, families int) bool {
	t.Helper()
	written, err := prometheusremotewrite.FromMetrics(push.Metrics, prometheusremotewrite.Settings{
		DisableTargetInfo: true, DisableScopeInfo: true, TranslationStrategy: "UnderscoreEscapingWithoutSuffixes",
	})
	require.LessOrEqual(t, len(written), families)
	if err != nil {
		require.ErrorContains(t, err, "normalization for metric", "a name without any letter or digit is left out")
	}
	for _, series := range written {
		if len(series.Samples) > 1 {
			return true
		}
	}
	return false
}

// mergedByPrometheus tells whether two families have the same name and labels once they are escaped.
func mergedByPrometheus(families []*dto.MetricFamily) bool {
	seen := map[string]bool{}
	for _, f := range families {
		escaped := model.EscapeMetricFamily(f, model.UnderscoreEscaping)
		series := escaped.GetName() + " " + escaped.GetMetric()[0].GetLabel()[0].GetName()
		if seen[series] {
			return true
		}
		seen[series] = true
	}
	return false
}
