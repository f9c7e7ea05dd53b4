// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import "go.opentelemetry.io/collector/pdata/pmetric"

// AppendMetrics moves all metrics of from to the end of to. Both are of one group and thus one resource. Metrics of a
// scope that is first in both share it.
func AppendMetrics(to, from pmetric.Metrics) {
	if from.ResourceMetrics().Len() == 0 {
		return
	}
	if to.ResourceMetrics().Len() == 0 {
		from.ResourceMetrics().MoveAndAppendTo(to.ResourceMetrics())
		return
	}
	target := to.ResourceMetrics().At(0).ScopeMetrics()
	for _, rm := range from.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			if target.Len() > 0 && sameScope(target.At(0), sm) {
				sm.Metrics().MoveAndAppendTo(target.At(0).Metrics())
			} else {
				sm.MoveTo(target.AppendEmpty())
			}
		}
	}
}

func sameScope(a, b pmetric.ScopeMetrics) bool {
	return a.Scope().Name() == b.Scope().Name() && a.Scope().Version() == b.Scope().Version() &&
		a.SchemaUrl() == b.SchemaUrl() && a.Scope().Attributes().Equal(b.Scope().Attributes())
}
