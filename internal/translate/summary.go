// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// shapeSummary finds the kind of point that holds a summary. OTLP's always has a sum and a count.
func (t *translator) shapeSummary(f *exposition.Family, s *exposition.Series) (pointKinds, error) {
	if err := t.checkQuantiles(f, s); err != nil {
		return pointKinds{}, err
	}
	v := &t.batch.Summaries[s.Complex]
	if t.batch.OnlyPushed && (!v.HasSum || !v.HasCount) {
		t.flatSummary(v)
		return pointKinds{kind: flattened}, nil
	}
	return pointKinds{kind: summary}, nil
}

// checkQuantiles refuses a summary that has a quantile twice, since these are one series.
func (t *translator) checkQuantiles(f *exposition.Family, s *exposition.Series) error {
	t.quantiles = t.quantiles[:0]
	for i := t.batch.Summaries[s.Complex].FirstQuantile; i != exposition.None; i = t.batch.Quantiles[i].Next {
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

// quantileOf is a quantile as it can be handed on: 0 for -0. Protobuf leaves out a quantile that is 0, whatever its sign, so that
// it comes back as 0, and the series of -0 would be another one once the point has been encoded.
func quantileOf(q *exposition.Quantile) float64 { return q.Quantile + 0 }

// buildSummary fills in a point of a summary. What was not pushed is 0, as a Pushgateway shows it. A summary whose sum is
// a stale marker has ended as a whole.
func (t *translator) buildSummary(s *exposition.Series, dp pmetric.SummaryDataPoint) {
	begin(t, s, dp)
	dp.SetStartTimestamp(started(s))
	v := &t.batch.Summaries[s.Complex]
	stale := isStale(v.Sum)
	if stale {
		dp.SetFlags(noRecordedValue)
	} else {
		dp.SetCount(v.Count)
		dp.SetSum(v.Sum)
	}
	dp.QuantileValues().EnsureCapacity(t.countQuantiles(v))
	for i := v.FirstQuantile; i != exposition.None; i = t.batch.Quantiles[i].Next {
		q := dp.QuantileValues().AppendEmpty()
		q.SetQuantile(quantileOf(&t.batch.Quantiles[i]))
		if !stale {
			q.SetValue(t.batch.Quantiles[i].Value)
		}
	}
}

func (t *translator) countQuantiles(v *exposition.SummaryValue) (n int) {
	for i := v.FirstQuantile; i != exposition.None; i = t.batch.Quantiles[i].Next {
		n++
	}
	return n
}
