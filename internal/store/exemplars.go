// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import "go.opentelemetry.io/collector/pdata/pmetric"

// hasExemplars tells whether a data point has exemplars.
func hasExemplars(md pmetric.Metrics) (has bool) {
	eachExemplars(md, func(exemplars pmetric.ExemplarSlice) { has = has || exemplars.Len() > 0 })
	return has
}

// withoutExemplars calls use with metrics that have no exemplars meanwhile. An exemplar belongs to the push that brought it, not
// to its value at later times. Exemplars are moved away and back, not copied.
func withoutExemplars(md pmetric.Metrics, use func()) {
	type move struct{ from, to pmetric.ExemplarSlice }
	var moves []move
	eachExemplars(md, func(exemplars pmetric.ExemplarSlice) {
		if exemplars.Len() > 0 {
			away := pmetric.NewExemplarSlice()
			exemplars.MoveAndAppendTo(away)
			moves = append(moves, move{exemplars, away})
		}
	})
	use()
	for _, m := range moves {
		m.to.MoveAndAppendTo(m.from)
	}
}

// eachExemplars visits the exemplars of all data points that can have some in a push.
func eachExemplars(md pmetric.Metrics, visit func(pmetric.ExemplarSlice)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				eachExemplarsOf(m, visit)
			}
		}
	}
}

func eachExemplarsOf(m pmetric.Metric, visit func(pmetric.ExemplarSlice)) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			visit(dp.Exemplars())
		}
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			visit(dp.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			visit(dp.Exemplars())
		}
	}
}
