// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// TestHeldWithoutExemplars keeps the exemplars for the push that brought them.
func TestHeldWithoutExemplars(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		point func(pmetric.Metric) pmetric.ExemplarSlice
	}{
		{"counter", func(m pmetric.Metric) pmetric.ExemplarSlice {
			return m.SetEmptySum().DataPoints().AppendEmpty().Exemplars()
		}},
		{"histogram", func(m pmetric.Metric) pmetric.ExemplarSlice {
			return m.SetEmptyHistogram().DataPoints().AppendEmpty().Exemplars()
		}},
		{"native histogram", func(m pmetric.Metric) pmetric.ExemplarSlice {
			return m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty().Exemplars()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(store.Options{Scope: pushtest.Scope})
			metrics := func(exemplars int) pmetric.Metrics {
				md := pmetric.NewMetrics()
				m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
				m.SetName("m")
				slice := tc.point(m)
				for n := range exemplars {
					slice.AppendEmpty().SetIntValue(int64(n))
				}
				return md
			}
			pushed := metrics(2)
			family, err := s.Options.NewFamily("m", "t", pushed)
			require.NoError(t, err)
			assert.Equal(t, metrics(2), pushed, "is unchanged")
			assert.Equal(t, metrics(0), store.Decode(family.Encoded))
		})
	}
}
