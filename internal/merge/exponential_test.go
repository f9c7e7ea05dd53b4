// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

func (s *store) native() native { return nativeOf(s.metric()) }

func nativeOf(m pmetric.Metric) native {
	dp := m.ExponentialHistogram().DataPoints().At(0)
	n := native{
		scale: dp.Scale(), threshold: dp.ZeroThreshold(), zero: dp.ZeroCount(), sum: dp.Sum(),
		offset: dp.Positive().Offset(), positive: dp.Positive().BucketCounts().AsRaw(),
		negativeOffset: dp.Negative().Offset(), negative: dp.Negative().BucketCounts().AsRaw(),
	}
	if len(n.positive) == 0 {
		n.positive = nil
	}
	if len(n.negative) == 0 {
		n.negative = nil
	}
	n.nans = dp.Count() - n.count()
	return n
}

func TestExponential(t *testing.T) {
	t.Parallel()
	type stage struct {
		event
		want native
	}
	a := native{scale: 3, positive: []uint64{1, 1}}
	b := native{scale: 2, threshold: 0x1p-128, offset: -1, positive: []uint64{1, 1}}
	both := native{scale: 2, threshold: 0x1p-128, offset: -1, positive: []uint64{1, 3}}
	for name, stages := range map[string][]stage{
		"a lower scale and a larger zero threshold": {
			{pushes("a", a.metric()), a},
			{pushes("b", b.metric()), both},
			{pushes("a", a.metric()), both},
			{restarts(), both},
			{ends("b"), both},
			{restarts(), both},
			{pushes("a", a.metric()), both},
			{ends("a"), both},
			{restarts(), both},
		},
		"ends first": {{pushes("b", b.metric()), b}, {ends("b"), b}, {pushes("a", a.metric()), both}},
		"negative and zero counts": {
			{pushes("a", native{zero: 2, negativeOffset: 3, negative: []uint64{4}, sum: -9}.metric()), native{zero: 2, negativeOffset: 3, negative: []uint64{4}, sum: -9}},
			{pushes("b", native{zero: 1, negativeOffset: 1, negative: []uint64{1, 0, 1}, sum: 1}.metric()), native{zero: 3, negativeOffset: 1, negative: []uint64{1, 0, 5}, sum: -8}},
		},
		"empty buckets at the ends": {
			{pushes("a", native{offset: -2, positive: []uint64{0, 0, 5, 0}}.metric()), native{positive: []uint64{5}}},
		},
		"the same threshold within a bucket stays": {
			{pushes("a", native{threshold: 3, zero: 1, offset: 1, positive: []uint64{2}}.metric()), native{threshold: 3, zero: 1, offset: 1, positive: []uint64{2}}},
			{pushes("b", native{threshold: 3, zero: 1, offset: 1, positive: []uint64{2}}.metric()), native{threshold: 3, zero: 2, offset: 1, positive: []uint64{4}}},
		},
		"a larger threshold takes in the buckets below, and the one it lies in": {
			{
				pushes("a", native{threshold: 1, zero: 1, positive: []uint64{2, 3, 4}, negative: []uint64{5, 6, 7}}.metric()),
				native{threshold: 1, zero: 1, positive: []uint64{2, 3, 4}, negative: []uint64{5, 6, 7}},
			},
			{
				pushes("b", native{threshold: 3, zero: 1}.metric()),
				native{threshold: 4, zero: 18, offset: 2, positive: []uint64{4}, negativeOffset: 2, negative: []uint64{7}},
			},
			{restarts(), native{threshold: 4, zero: 18, offset: 2, positive: []uint64{4}, negativeOffset: 2, negative: []uint64{7}}},
		},
		"a larger threshold rises to the next bound": {
			{pushes("a", native{positive: []uint64{2, 0, 4}}.metric()), native{positive: []uint64{2, 0, 4}}},
			{pushes("b", native{threshold: 3, zero: 1}.metric()), native{threshold: 4, zero: 3, offset: 2, positive: []uint64{4}}},
			{pushes("c", native{threshold: 3, offset: 1, positive: []uint64{5}}.metric()), native{threshold: 4, zero: 8, offset: 2, positive: []uint64{4}}},
			{pushes("c", native{threshold: 3, offset: 1, positive: []uint64{5}}.metric()), native{threshold: 4, zero: 8, offset: 2, positive: []uint64{4}}},
			{pushes("d", native{threshold: 1, zero: 1}.metric()), native{threshold: 4, zero: 9, offset: 2, positive: []uint64{4}}},
		},
		"mixed thresholds rise to the next bound of a lower scale": {
			{
				pushes("a", native{scale: 1, threshold: 2, zero: 1, offset: 2, positive: []uint64{1, 1}}.metric()),
				native{scale: 1, threshold: 2, zero: 1, offset: 2, positive: []uint64{1, 1}},
			},
			{pushes("b", native{scale: 1, threshold: 1}.metric()), native{scale: 1, threshold: 2, zero: 1, offset: 2, positive: []uint64{1, 1}}},
			{pushes("c", native{scale: -1}.metric()), native{scale: -1, threshold: 4, zero: 3}},
			{restarts(), native{scale: -1, threshold: 4, zero: 3}},
		},
		"a count that falls is a restart": {
			{pushes("a", native{positive: []uint64{3}}.metric()), native{positive: []uint64{3}}},
			{pushes("a", native{positive: []uint64{1}}.metric()), native{positive: []uint64{4}}},
		},
		"a bucket that falls is a restart": {
			{pushes("a", native{positive: []uint64{3}}.metric()), native{positive: []uint64{3}}},
			{pushes("a", native{positive: []uint64{2, 2}}.metric()), native{positive: []uint64{5, 2}}},
		},
		"a coarser histogram is no restart": {
			{pushes("a", native{scale: 1, offset: 1, positive: []uint64{1, 1, 1}}.metric()), native{scale: 1, offset: 1, positive: []uint64{1, 1, 1}}},
			{pushes("a", native{positive: []uint64{1, 2}}.metric()), native{positive: []uint64{1, 2}}},
			{pushes("a", native{threshold: 2, zero: 1, offset: 1, positive: []uint64{3}}.metric()), native{threshold: 2, zero: 1, offset: 1, positive: []uint64{3}}},
			{restarts(), native{threshold: 2, zero: 1, offset: 1, positive: []uint64{3}}},
		},
		"what was carried over follows the shape": {
			{pushes("a", native{scale: 2, offset: 4, positive: []uint64{3}}.metric()), native{scale: 2, offset: 4, positive: []uint64{3}}},
			{pushes("a", native{scale: 2, offset: 5, positive: []uint64{2}}.metric()), native{scale: 2, offset: 4, positive: []uint64{3, 2}}},
			{pushes("b", native{}.metric()), native{offset: 1, positive: []uint64{5}}},
			{pushes("a", native{scale: 2, offset: 6, positive: []uint64{2}}.metric()), native{offset: 1, positive: []uint64{5}}},
			{ends("a"), native{offset: 1, positive: []uint64{5}}},
			{restarts(), native{offset: 1, positive: []uint64{5}}},
		},
		"observations of NaN are in no bucket": {
			{pushes("a", native{nans: 2, zero: 1}.metric()), native{nans: 2, zero: 1}},
			{pushes("b", native{nans: 1}.metric()), native{nans: 3, zero: 1}},
		},
		"a tiny threshold": {{pushes("a", native{threshold: 5e-324}.metric()), native{threshold: 0x1p-1022}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, merge.Total)
			for i, stage := range stages {
				stage.event(t, s)
				assert.Equal(t, stage.want, s.native(), "step %d", i)
			}
		})
	}
}

// TestManyBuckets: buckets that are far apart lower the scale until there are 160 a side.
func TestManyBuckets(t *testing.T) {
	t.Parallel()
	wide := native{scale: 8, offset: -1000, positive: make([]uint64, 2001), negativeOffset: -5, negative: make([]uint64, 10)}
	for i := range wide.positive {
		wide.positive[i] = uint64(i + 1)
	}
	wide.negative[0], wide.negative[9] = 1, 1
	s := newStore(t, merge.Total)
	for range 2 {
		require.NoError(t, s.push("a", wide.metric()))
		got := s.native()
		assert.Equal(t, int32(4), got.scale)
		assert.Len(t, got.positive, 126)
		assert.Equal(t, wide.count(), got.count())
	}
	s.restart(1)
	require.NoError(t, s.push("b", native{scale: 8, offset: 100_000, positive: []uint64{1}}.metric()))
	got := s.native()
	assert.Equal(t, int32(-2), got.scale)
	assert.Equal(t, wide.count()+1, got.count())
	s.restart(2)
	assert.Equal(t, got, s.native())
}

// TestImpossibleBuckets: an index beyond all float64 values must not cost memory. It goes to the nearest bucket that is possible.
func TestImpossibleBuckets(t *testing.T) {
	t.Parallel()
	for _, scale := range []int32{-4, -1, 0, 1, 8} {
		s := newStore(t, merge.Total)
		require.NoError(t, s.push("a", native{scale: scale, offset: math.MaxInt32 - 2, positive: []uint64{1, 2}}.metric()))
		require.NoError(t, s.push("b", native{scale: scale, offset: math.MinInt32, positive: []uint64{3, 4}}.metric()))
		require.NoError(t, s.push("c", native{scale: scale, threshold: math.MaxFloat64}.metric()))
		got := s.native()
		assert.Equal(t, uint64(10), got.count(), "scale %d", scale)
		assert.Equal(t, []uint64{3}, got.positive, "infinity is above all thresholds")
		assert.Equal(t, uint64(7), got.zero)
		s.restart(0)
	}
}
