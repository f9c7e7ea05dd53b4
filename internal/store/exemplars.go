// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import "go.opentelemetry.io/collector/pdata/pmetric"

// hasExemplars reports whether any data point has exemplars.
func hasExemplars(md pmetric.Metrics) (has bool) {
	eachExemplars(md, func(exemplars pmetric.ExemplarSlice) { has = has || exemplars.Len() > 0 })
	return has
}

// withoutExemplars calls use while md has no exemplars. An exemplar belongs to its push, not to later exports of the
// value. Exemplars are moved, not copied.
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

// eachExemplars visits the exemplars of all kinds of points that a push can have.
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
