// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

// classic is the series as a histogram.
func (s *store) classic() buckets { return classicOf(s.metric()) }

func classicOf(m pmetric.Metric) buckets {
	dp := m.Histogram().DataPoints().At(0)
	return buckets{bounds: dp.ExplicitBounds().AsRaw(), counts: dp.BucketCounts().AsRaw(), sum: dp.Sum()}
}

// cumulative are the counts as Prometheus has them, by bound. The count is that of +Inf.
func (b buckets) cumulative() map[float64]uint64 {
	counts, sum := map[float64]uint64{}, uint64(0)
	for i, c := range b.counts {
		sum += c
		counts[append(slices.Clone(b.bounds), math.Inf(1))[i]] = sum
	}
	return counts
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	a := buckets{bounds: []float64{1}, counts: []uint64{4, 1}, sum: 6}
	b := buckets{bounds: []float64{2}, counts: []uint64{3, 0}, sum: 4}
	c := buckets{bounds: []float64{0.5, 1}, counts: []uint64{1, 0, 0}, sum: 0.25}
	type stage struct {
		event
		want buckets
	}
	all := buckets{bounds: []float64{0.5, 1, 2}, counts: []uint64{1, 4, 3, 1}, sum: 10.25}
	for name, stages := range map[string][]stage{
		"the same bounds": {{pushes("a", a.metric()), a}, {pushes("b", a.metric()), buckets{bounds: []float64{1}, counts: []uint64{8, 2}, sum: 12}}},
		"other bounds": {
			{pushes("a", a.metric()), a},
			{pushes("b", b.metric()), buckets{bounds: []float64{1, 2}, counts: []uint64{4, 3, 1}, sum: 10}},
			{pushes("c", c.metric()), all},
			{ends("a"), all},
			{ends("b"), all},
			{ends("c"), all},
			{restarts(), all},
		},
		"a retry": {{pushes("a", a.metric()), a}, {pushes("a", a.metric()), a}},
		"an observation": {
			{pushes("a", a.metric()), a},
			{pushes("a", buckets{bounds: []float64{1}, counts: []uint64{4, 2}, sum: 16}.metric()), buckets{bounds: []float64{1}, counts: []uint64{4, 2}, sum: 16}},
		},
		"a count that falls is a restart": {
			{pushes("a", a.metric()), a},
			{pushes("a", buckets{bounds: []float64{1}, counts: []uint64{1, 0}, sum: 1}.metric()), buckets{bounds: []float64{1}, counts: []uint64{5, 1}, sum: 7}},
		},
		"a bucket that falls is a restart": {
			{pushes("a", a.metric()), a},
			{pushes("a", buckets{bounds: []float64{1}, counts: []uint64{3, 3}, sum: 9}.metric()), buckets{bounds: []float64{1}, counts: []uint64{7, 4}, sum: 15}},
		},
		"other bounds of a pusher are a restart": {
			{pushes("a", a.metric()), a},
			{pushes("a", buckets{bounds: []float64{2}, counts: []uint64{9, 1}, sum: 9}.metric()), buckets{bounds: []float64{1, 2}, counts: []uint64{4, 9, 2}, sum: 15}},
			{restarts(), buckets{bounds: []float64{1, 2}, counts: []uint64{4, 9, 2}, sum: 15}},
		},
		"created timestamps": {
			{pushes("a", buckets{1, []float64{1}, []uint64{4, 1}, 6}.metric()), a},
			{pushes("a", buckets{1, []float64{1}, []uint64{4, 0}, 5}.metric()), a},
			{pushes("a", buckets{2, []float64{1}, []uint64{4, 1}, 6}.metric()), buckets{bounds: []float64{1}, counts: []uint64{8, 2}, sum: 12}},
			{pushes("a", buckets{1, []float64{1}, []uint64{9, 9}, 6}.metric()), buckets{bounds: []float64{1}, counts: []uint64{8, 2}, sum: 12}},
		},
		"a sum that falls": {
			{pushes("a", buckets{counts: []uint64{1}, sum: 3}.metric()), buckets{counts: []uint64{1}, sum: 3}},
			{pushes("a", buckets{counts: []uint64{2}, sum: -3}.metric()), buckets{counts: []uint64{2}, sum: -3}},
		},
		"negative zero is the same bound": {
			{pushes("a", buckets{bounds: []float64{math.Copysign(0, -1)}, counts: []uint64{1, 1}}.metric()), buckets{bounds: []float64{0}, counts: []uint64{1, 1}}},
			{pushes("b", buckets{bounds: []float64{0}, counts: []uint64{1, 1}}.metric()), buckets{bounds: []float64{0}, counts: []uint64{2, 2}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, merge.Total)
			for i, stage := range stages {
				stage.event(t, s)
				assert.Equal(t, stage.want, s.classic(), "step %d", i)
			}
		})
	}
}

// TestManyBounds: 300 pushers with a bound each. The order in which bounds came decides which of them are kept.
func TestManyBounds(t *testing.T) {
	t.Parallel()
	s := newStore(t, merge.Total)
	before := map[float64]uint64{}
	for round := range 3 {
		for i := range 300 {
			bound := float64((i * 7) % 300)
			h := buckets{bounds: []float64{bound}, counts: []uint64{uint64(round + 1), 1}, sum: 1}
			require.NoError(t, s.push(strconv.Itoa(i), h.metric()))
			assert.Equal(t, i >= 256, s.last.Capped)
			if round > 0 {
				assert.Equal(t, merge.Replaced, s.last.Outcome, "bounds without room are no restart")
			}
			after := s.classic().cumulative()
			for bound, count := range before {
				require.GreaterOrEqual(t, after[bound], count)
			}
			before = after
		}
		s.restart(uint64(round))
	}
	got := s.classic()
	assert.Len(t, got.bounds, 256)
	assert.Equal(t, uint64(300*4), got.count())
	assert.Equal(t, 300.0, got.sum)
	for i := 0; i < 300; i += 3 {
		s.end(strconv.Itoa(i))
	}
	s.restart(9)
	assert.Equal(t, got, s.classic())
}

func TestOneHistogramOfManyBounds(t *testing.T) {
	t.Parallel()
	h := buckets{bounds: make([]float64, 300), counts: make([]uint64, 301)}
	for i := range h.bounds {
		h.bounds[i], h.counts[i] = float64(i), 1
	}
	s := newStore(t, merge.Total)
	for range 2 {
		require.NoError(t, s.push("a", h.metric()))
	}
	got := s.classic()
	assert.Equal(t, h.bounds[:256], got.bounds)
	assert.Equal(t, uint64(44), got.counts[256])
	assert.Equal(t, uint64(300), got.count())
	s.restart(0)
}

func TestZero(t *testing.T) {
	t.Parallel()
	s := newStore(t, merge.Total)
	require.NoError(t, s.push("a", buckets{bounds: []float64{1, 2}, counts: []uint64{1, 2, 3}, sum: 4}.metric()))
	assert.Equal(t, buckets{bounds: []float64{1, 2}, counts: []uint64{0, 0, 0}}, classicOf(s.metricOf(s.value.Zero())))

	s = newStore(t, merge.Total)
	assert.True(t, s.value.Zero().Empty())
	require.NoError(t, s.push("a", counter(3)))
	assert.Zero(t, s.metricOf(s.value.Zero()).Sum().DataPoints().At(0).DoubleValue())

	s = newStore(t, merge.Total)
	require.NoError(t, s.push("a", native{scale: 3, threshold: 1, positive: []uint64{1}, sum: 2}.metric()))
	assert.Equal(t, native{scale: 3, threshold: 1}, nativeOf(s.metricOf(s.value.Zero())))

	s = newStore(t, merge.Total)
	require.NoError(t, s.push("a", summaryOf(1, 2)))
	assert.Zero(t, s.metricOf(s.value.Zero()).Summary().DataPoints().At(0).Count())

	for _, f := range []merge.Function{merge.Last, merge.Sum, merge.Min} {
		assert.Nil(t, merge.New(f).Zero())
	}
}

func TestRefusedHistograms(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	const (
		sums    = "has a sum that is not a finite number, which would make the sum of all pushes NaN or infinite"
		bounds  = "has bucket bounds that do not increase"
		notSums = "has buckets that do not add up to its count"
	)
	miscounted := buckets{bounds: []float64{1}, counts: []uint64{1, 1}}.metric()
	miscounted.Histogram().DataPoints().At(0).SetCount(3)
	overfull := native{positive: []uint64{1, 1}}.metric()
	overfull.ExponentialHistogram().DataPoints().At(0).SetCount(1)
	for name, c := range map[string]struct {
		m    pmetric.Metric
		want string
	}{
		"sum NaN":            {buckets{counts: []uint64{1}, sum: nan}.metric(), sums},
		"sum infinite":       {buckets{counts: []uint64{1}, sum: -inf}.metric(), sums},
		"bound NaN":          {buckets{bounds: []float64{nan}, counts: []uint64{1, 1}}.metric(), bounds},
		"bound infinite":     {buckets{bounds: []float64{inf}, counts: []uint64{1, 1}}.metric(), bounds},
		"bounds fall":        {buckets{bounds: []float64{2, 1}, counts: []uint64{1, 1, 1}}.metric(), bounds},
		"bound twice":        {buckets{bounds: []float64{0, math.Copysign(0, -1)}, counts: []uint64{1, 1, 1}}.metric(), bounds},
		"too few counts":     {buckets{bounds: []float64{1}, counts: []uint64{1}}.metric(), notSums},
		"count":              {miscounted, notSums},
		"counts overflow":    {buckets{bounds: []float64{1}, counts: []uint64{math.MaxUint64, 1}}.metric(), notSums},
		"native sum":         {native{sum: nan}.metric(), sums},
		"native scale":       {native{scale: 9}.metric(), "has a scale outside of -4 to 8, which Prometheus does not have"},
		"native low scale":   {native{scale: -5}.metric(), "has a scale outside of -4 to 8, which Prometheus does not have"},
		"native threshold":   {native{threshold: nan}.metric(), "has an invalid zero threshold"},
		"negative threshold": {native{threshold: -1}.metric(), "has an invalid zero threshold"},
		"infinite threshold": {native{threshold: inf}.metric(), "has an invalid zero threshold"},
		"native count":       {overfull, notSums},
		"native overflow":    {native{positive: []uint64{math.MaxUint64, 1}}.metric(), notSums},
		"native both sides":  {native{positive: []uint64{math.MaxUint64}, negative: []uint64{1}}.metric(), notSums},
		"summary":            {summaryOf(1, nan), sums},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := merge.Total.Read(c.m, 0, epoch)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestTotalOverflows(t *testing.T) {
	t.Parallel()
	const most = math.MaxUint64
	for name, c := range map[string]struct{ a, b pmetric.Metric }{
		"histogram bucket": {buckets{counts: []uint64{most}}.metric(), buckets{counts: []uint64{1}}.metric()},
		"histogram count": {
			buckets{bounds: []float64{1}, counts: []uint64{most, 0}}.metric(), buckets{bounds: []float64{1}, counts: []uint64{0, 1}}.metric(),
		},
		"histogram sum": {buckets{counts: []uint64{1}, sum: -math.MaxFloat64}.metric(), buckets{counts: []uint64{1}, sum: -math.MaxFloat64}.metric()},
		"native bucket": {native{positive: []uint64{most}}.metric(), native{positive: []uint64{1}}.metric()},
		"native count":  {native{nans: most}.metric(), native{zero: 1}.metric()},
		"native sum":    {native{sum: math.MaxFloat64}.metric(), native{sum: math.MaxFloat64}.metric()},
		"summary count": {summaryOf(most, 1), summaryOf(1, 1)},
		"summary sum":   {summaryOf(1, math.MaxFloat64), summaryOf(1, math.MaxFloat64)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, merge.Total)
			require.NoError(t, s.push("a", c.a))
			before := s.value.Encode(nil)
			require.ErrorIs(t, s.push("b", c.b), merge.ErrOverflow)
			assert.Equal(t, before, s.value.Encode(nil))
			require.NoError(t, s.push("a", c.a), "a retry needs no room")
		})
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := newStore(t, merge.Total)
	expect := func(e event, count uint64, sum float64) {
		t.Helper()
		e(t, s)
		dp := s.metric().Summary().DataPoints().At(0)
		assert.Equal(t, count, dp.Count())
		assert.Equal(t, sum, dp.Sum())
		assert.Zero(t, dp.QuantileValues().Len())
	}
	expect(pushes("a", summaryOf(2, 6)), 2, 6)
	expect(pushes("b", summaryOf(1, 4)), 3, 10)
	expect(pushes("b", summaryOf(1, 4)), 3, 10)
	expect(pushes("a", summaryOf(1, 5)), 4, 15)
	expect(ends("a"), 4, 15)
	expect(restarts(), 4, 15)
}
