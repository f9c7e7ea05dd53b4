// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import "go.opentelemetry.io/collector/pdata/pmetric"

// Join moves all metrics of from behind those of to. Both are of one group, so that there is one resource; metrics of the
// scope that comes first in both join it.
func Join(to, from pmetric.Metrics) {
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
