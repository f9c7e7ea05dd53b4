// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import "go.opentelemetry.io/collector/pdata/pmetric"

// dropExemplars removes all exemplars: they belong to the push that brought them, not to its value at later times.
func dropExemplars(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				dropMetricExemplars(m)
			}
		}
	}
}

func dropMetricExemplars(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			dp.Exemplars().RemoveIf(func(pmetric.Exemplar) bool { return true })
		}
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			dp.Exemplars().RemoveIf(func(pmetric.Exemplar) bool { return true })
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			dp.Exemplars().RemoveIf(func(pmetric.Exemplar) bool { return true })
		}
	}
}
