// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

import "go.opentelemetry.io/collector/pdata/pmetric"

// summary is the amount of a summary: its count and its sum. Quantiles of several pushers cannot be joined.
type summary struct {
	count uint64
	sum   exact
}

func readSummary(dp pmetric.SummaryDataPoint) (summary, error) {
	sum, err := readSum(dp.Sum())
	return summary{dp.Count(), sum}, err
}

func (summary) kind() Kind                      { return Summary }
func (s summary) widened(amount) (amount, bool) { return s, false }
func (s summary) fitted(amount) amount          { return s }
func (s summary) exceeds(later amount) bool     { return s.count > later.(summary).count }
func (s summary) follows(earlier amount) bool   { return !earlier.exceeds(s) }
func (s summary) representable() bool           { return s.sum.isFinite() }
func (summary) nothing() amount                 { return summary{} }
func (summary) zero() amount                    { return summary{} }

func (s summary) plus(b amount) (amount, error) {
	other := b.(summary)
	count, err := addCounts(s.count, other.count)
	return summary{count, s.sum.plus(other.sum)}, err
}

func (s summary) minus(b amount) (amount, error) {
	other := b.(summary)
	count, err := subtractCounts(s.count, other.count)
	return summary{count, s.sum.minus(other.sum)}, err
}

func (s summary) encode(b []byte) []byte {
	return appendExact(appendUint(b, s.count), s.sum)
}

func (s summary) put(to pmetric.Metric) point {
	dp := to.Summary().DataPoints().AppendEmpty()
	dp.SetCount(s.count)
	dp.SetSum(s.sum.float())
	return dp
}
