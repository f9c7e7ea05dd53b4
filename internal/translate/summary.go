// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// shapeSummary chooses the point for a summary. OTLP's always has a sum and a count.
func (t *translator) shapeSummary(f *exposition.Family, s *exposition.Series) (pointKinds, error) {
	if err := t.checkQuantiles(f, s); err != nil {
		return pointKinds{}, err
	}
	v := &t.batch.Summaries[s.ValueIndex]
	if t.batch.OnlyPushed && (!v.HasSum || !v.HasCount) {
		t.flatSummary(v)
		return pointKinds{kind: flattened}, nil
	}
	return pointKinds{kind: summary}, nil
}

// checkQuantiles refuses a summary with duplicate quantiles.
func (t *translator) checkQuantiles(f *exposition.Family, s *exposition.Series) error {
	t.quantiles = t.quantiles[:0]
	for i := t.batch.Summaries[s.ValueIndex].FirstQuantile; i != exposition.NoIndex; i = t.batch.Quantiles[i].Next {
		t.quantiles = append(t.quantiles, quantileOf(&t.batch.Quantiles[i]))
	}
	slices.SortFunc(t.quantiles, compareBounds)
	for i := 1; i < len(t.quantiles); i++ {
		if compareBounds(t.quantiles[i-1], t.quantiles[i]) == 0 {
			return t.refuseStructural(f.Name, s, quantileLabel, t.quantiles[i])
		}
	}
	return nil
}

// quantileOf returns a quantile with -0 as 0. Protobuf does not encode the sign of a zero quantile, so -0 would become
// another series.
func quantileOf(q *exposition.Quantile) float64 { return q.Quantile + 0 }

// buildSummary writes a point of a summary. A missing part is 0, as in a Pushgateway. A stale sum ends the whole summary.
func (t *translator) buildSummary(s *exposition.Series, dp pmetric.SummaryDataPoint) {
	begin(t, s, dp)
	dp.SetStartTimestamp(startTime(s))
	v := &t.batch.Summaries[s.ValueIndex]
	stale := isStale(v.Sum)
	if stale {
		dp.SetFlags(noRecordedValue)
	} else {
		dp.SetCount(v.Count)
		dp.SetSum(v.Sum)
	}
	dp.QuantileValues().EnsureCapacity(t.countQuantiles(v))
	for i := v.FirstQuantile; i != exposition.NoIndex; i = t.batch.Quantiles[i].Next {
		q := dp.QuantileValues().AppendEmpty()
		q.SetQuantile(quantileOf(&t.batch.Quantiles[i]))
		if !stale {
			q.SetValue(t.batch.Quantiles[i].Value)
		}
	}
}

func (t *translator) countQuantiles(v *exposition.SummaryValue) (n int) {
	for i := v.FirstQuantile; i != exposition.NoIndex; i = t.batch.Quantiles[i].Next {
		n++
	}
	return n
}
