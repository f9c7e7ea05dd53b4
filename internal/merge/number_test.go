// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

func TestTotal(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]step{
		"pushers add up":          {{pushes("a", counter(5)), 5}, {pushes("b", counter(3)), 8}},
		"a retry changes nothing": {{pushes("a", counter(5)), 5}, {pushes("a", counter(5)), 5}, {pushes("a", counter(5)), 5}},
		"a push replaces": {
			{pushes("a", counter(5)), 5}, {pushes("a", counter(9)), 9}, {pushes("b", counter(1)), 10}, {pushes("a", counter(9)), 10},
		},
		"a smaller value is a restart": {{pushes("a", counter(14)), 14}, {pushes("a", counter(2)), 16}, {pushes("a", counter(1)), 17}},
		"what was carried over stays after growth": {
			{pushes("a", counter(14)), 14}, {pushes("a", counter(2)), 16}, {pushes("a", counter(6)), 20}, {restarts(), 20}, {pushes("a", counter(6)), 20},
		},
		"a later created timestamp is a restart": {
			{pushes("a", counterSince(1, 14)), 14}, {pushes("a", counterSince(2, 20)), 34}, {pushes("a", counterSince(3, 20)), 54},
		},
		"an earlier created timestamp is a delayed push": {
			{pushes("a", counterSince(1, 14)), 14}, {pushes("a", counterSince(2, 20)), 34}, {pushes("a", counterSince(1, 99)), 34},
		},
		"a smaller value of one created timestamp is a delayed push": {
			{pushes("a", counterSince(1, 7)), 7}, {pushes("a", counterSince(1, 5)), 7}, {pushes("a", counterSince(1, 8)), 8},
		},
		"a created timestamp that comes later is adopted": {
			{pushes("a", counter(5)), 5}, {pushes("a", counterSince(1, 6)), 6}, {pushes("a", counterSince(1, 4)), 6}, {pushes("a", counterSince(2, 4)), 10},
		},
		"a push without created timestamp keeps a known one": {
			{pushes("a", counterSince(2, 5)), 5}, {pushes("a", counter(6)), 6}, {pushes("a", counterSince(1, 9)), 6}, {pushes("a", counterSince(2, 7)), 7},
		},
		"a restart without created timestamp forgets the known one": {
			{pushes("a", counterSince(2, 5)), 5}, {pushes("a", counter(1)), 6}, {pushes("a", counterSince(3, 2)), 7},
		},
		"a pusher that has ended stays counted": {
			{pushes("a", counter(5)), 5}, {ends("a"), 5}, {ends("a"), 5}, {restarts(), 5}, {pushes("a", counter(5)), 10}, {ends("b"), 10},
		},
		"all that a pusher has carried over stays counted": {
			{pushes("a", counter(5)), 5}, {pushes("a", counter(2)), 7}, {ends("a"), 7}, {restarts(), 7}, {pushes("b", counter(1)), 8},
		},
		"a series that is left out stays counted": {
			{pushes("a", counter(5)), 5}, {leavesOut("a"), 5}, {pushes("a", counter(5)), 5}, {leavesOut("b"), 5},
		},
		"a gauge under total counts falls as restarts": {
			{pushes("a", gauge(10)), 10}, {pushes("a", gauge(7)), 17}, {pushes("b", gauge(1)), 18},
		},
		"untyped":       {{pushes("a", gaugeOf("x_total", "unknown", 1)), 1}, {pushes("b", gaugeOf("x_total", "unknown", 1)), 2}},
		"stale marker":  {{pushes("a", gauge(3)), 3}, {pushes("a", stale(gauge(9))), 3}, {pushes("a", gauge(4)), 4}},
		"negative zero": {{pushes("a", counter(math.Copysign(0, -1))), 0}, {pushes("b", counter(1)), 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, merge.Total, steps)
		})
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	s := newStore(t, merge.Total)
	for i, c := range []struct {
		pushed pmetric.Metric
		want   merge.Outcome
	}{
		{counterSince(1, 5), merge.First},
		{counterSince(1, 5), merge.Replaced},
		{counterSince(1, 6), merge.Replaced},
		{counterSince(1, 5), merge.Ignored},
		{counterSince(2, 5), merge.Restarted},
		{counterSince(1, 7), merge.Ignored},
		{counter(4), merge.Restarted},
	} {
		require.NoError(t, s.push("a", c.pushed))
		assert.Equal(t, c.want, s.last.Outcome, "push %d", i)
	}
}

// TestCreatedInTheFuture: a clock that is wrong must not decide about later pushes.
func TestCreatedInTheFuture(t *testing.T) {
	t.Parallel()
	const future = 200_000_000_000
	run(t, merge.Total, []step{
		{pushes("a", counterSince(future, 5)), 5},
		{pushes("a", counterSince(future+1, 6)), 6},
		{pushes("a", counterSince(1, 7)), 7},
	})
}

func TestRefusedNumbers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m    pmetric.Metric
		want string
	}{
		"NaN":               {counter(math.NaN()), "is not a finite number, which would make the total of all pushes NaN or infinite"},
		"infinity":          {counter(math.Inf(1)), "is not a finite number, which would make the total of all pushes NaN or infinite"},
		"negative infinity": {counter(math.Inf(-1)), "is not a finite number, which would make the total of all pushes NaN or infinite"},
		"negative":          {counter(-1), "is negative, so that the total of all pushes would fall"},
		"negative gauge":    {gauge(-1), "is negative, so that the total of all pushes would fall"},
		"overflow":          {counter(math.MaxFloat64), merge.ErrOverflow.Error()},
		"other kind":        {summaryOf(1, 1), merge.ErrKind.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := run(t, merge.Total, []step{{pushes("a", counter(math.MaxFloat64)), math.MaxFloat64}})
			before := s.value.Encode(nil)
			assert.EqualError(t, s.push("b", c.m), c.want)
			assert.Equal(t, before, s.value.Encode(nil))
		})
	}
}

// TestExactness: a sum that is rounded at each step depends on the order, and a total that falls by the last digit is a reset.
func TestExactness(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]float64{
		"decimals":        {0.1, 0.2, 0.3, 34438.14, 0.7, 0.001},
		"far apart":       {1e300, 1, 1e-300, 1e300, 5e-324, 3},
		"beyond integers": {1 << 53, 1, 1, 1},
		"subnormal":       {5e-324, 5e-324, 2e-310, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, merge.Total)
			for i, v := range values {
				require.NoError(t, s.push(string(rune('a'+i)), counter(v)))
			}
			assert.Equal(t, sumOf(values), s.number())
			for seed := range uint64(20) {
				assert.Equal(t, s.value.Encode(nil), s.rebuilt(seed).Encode(nil))
			}
		})
	}
}

// TestManyPushers: a total of 100,000 decimals is the exact sum, and the same after a restart.
func TestManyPushers(t *testing.T) {
	t.Parallel()
	r, s, values := rand.New(rand.NewPCG(3, 4)), newStore(t, merge.Total), make([]float64, 100_000)
	for i := range values {
		values[i] = float64(r.IntN(1_000_000)) / 1000
		require.NoError(t, s.push(strconv.Itoa(i), counter(values[i])))
		if i%3 == 0 {
			s.end(strconv.Itoa(i))
		}
	}
	assert.Equal(t, sumOf(values), s.number())
	s.restart(1)
	assert.Equal(t, sumOf(values), s.number())
}

// TestAnyOrder: neither the order of contributions matters, nor which of them are in the base.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f      merge.Function
		pushed [4]pmetric.Metric
	}{
		"total": {merge.Total, [4]pmetric.Metric{counter(0.1), counter(1e300), counter(5e-324), counter(3)}},
		"last":  {merge.Last, [4]pmetric.Metric{gauge(1), gauge(-2), gauge(math.NaN()), gauge(3)}},
		"sum":   {merge.Sum, [4]pmetric.Metric{gauge(0.1), gauge(-1e300), gauge(math.Inf(1)), gauge(1e300)}},
		"avg":   {merge.Avg, [4]pmetric.Metric{gauge(0.1), gauge(-1e300), gauge(3), gauge(1e300)}},
		"min":   {merge.Min, [4]pmetric.Metric{gauge(3), gauge(-1), gauge(-1), gauge(math.Inf(-1))}},
		"max":   {merge.Max, [4]pmetric.Metric{gauge(3), gauge(3), gauge(-1), gauge(math.Copysign(0, -1))}},
		"histogram": {merge.Total, [4]pmetric.Metric{
			buckets{bounds: []float64{1}, counts: []uint64{1, 2}, sum: 0.1}.metric(), buckets{bounds: []float64{2}, counts: []uint64{3, 4}, sum: -1e300}.metric(),
			buckets{counts: []uint64{5}, sum: 1e300}.metric(), buckets{bounds: []float64{1, 3}, counts: []uint64{6, 7, 8}}.metric(),
		}},
		"native histogram": {merge.Total, [4]pmetric.Metric{
			native{scale: 3, threshold: 0.001, offset: -90, positive: []uint64{1, 1}}.metric(), native{scale: 1, threshold: 1.5, positive: []uint64{1, 2, 3}}.metric(),
			native{scale: 2, zero: 3, negative: []uint64{4, 0, 5}}.metric(), native{scale: 8, threshold: 0.001, offset: 99, positive: []uint64{1}}.metric(),
		}},
		"summary": {merge.Total, [4]pmetric.Metric{summaryOf(1, 0.1), summaryOf(2, -1e300), summaryOf(3, 1e300), summaryOf(4, 5e-324)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, c.f)
			for i, m := range c.pushed {
				require.NoError(t, s.push(pusherNames[i], m))
			}
			want := s.value.Encode(nil)
			for seed := range uint64(50) {
				all := s.contributions(seed)
				base := merge.New(c.f)
				for folded := range len(all) + 1 {
					value, err := merge.Rebuild(base, slices.Values(all[folded:]))
					require.NoError(t, err)
					require.Equal(t, want, value.Encode(nil))
					if folded == len(all) || !c.f.OutlivesPusher() {
						break
					}
					base, _, err = merge.Fold(base, value, all[folded])
					require.NoError(t, err)
				}
			}
		})
	}
}

func TestLast(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]step{
		"the latest push":       {{pushes("a", gauge(30)), 30}, {pushes("b", gauge(10)), 10}, {ends("b"), 10}, {restarts(), 10}, {ends("a"), 10}, {restarts(), 10}},
		"a series left out":     {{pushes("a", gauge(30)), 30}, {pushes("b", gauge(10)), 10}, {leavesOut("b"), 10}, {restarts(), 10}},
		"stale marker":          {{pushes("a", gauge(30)), 30}, {pushes("a", stale(gauge(1))), 30}, {restarts(), 30}},
		"infinity and negative": {{pushes("a", gauge(math.Inf(1))), math.Inf(1)}, {pushes("a", gauge(-3)), -3}, {restarts(), -3}},
		"info":                  {{pushes("a", info(1)), 1}, {pushes("b", info(0)), 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, merge.Last, steps)
		})
	}
	t.Run("NaN", func(t *testing.T) {
		t.Parallel()
		s := newStore(t, merge.Last)
		require.NoError(t, s.push("a", gauge(1)))
		require.NoError(t, s.push("b", gauge(math.NaN())))
		s.restart(1)
		assert.True(t, math.IsNaN(s.number()))
	})
}

func TestLive(t *testing.T) {
	t.Parallel()
	inf, nan := math.Inf(1), math.NaN()
	for name, c := range map[string]struct {
		f     merge.Function
		steps []step
	}{
		"max": {merge.Max, []step{
			{pushes("a", gauge(30)), 30},
			{pushes("b", gauge(10)), 30},
			{restarts(), 30},
			{ends("a"), 10},
			{pushes("b", gauge(-5)), -5},
			{pushes("c", gauge(-5)), -5},
			{ends("b"), -5},
			{pushes("c", gauge(-6)), -6},
		}},
		"min": {merge.Min, []step{
			{pushes("a", gauge(30)), 30}, {pushes("b", gauge(10)), 10}, {ends("b"), 30}, {pushes("a", gauge(31)), 31}, {pushes("b", gauge(32)), 31},
		}},
		"sum": {merge.Sum, []step{
			{pushes("a", gauge(2)), 2}, {pushes("b", gauge(3)), 5}, {leavesOut("a"), 3}, {pushes("b", gauge(4)), 4}, {restarts(), 4},
		}},
		"avg": {merge.Avg, []step{
			{pushes("a", gauge(2)), 2}, {pushes("b", gauge(nan)), 2}, {pushes("b", gauge(4)), 3}, {restarts(), 3}, {pushes("b", gauge(nan)), 2},
		}},
		"avg of the largest":    {merge.Avg, []step{{pushes("a", gauge(math.MaxFloat64)), math.MaxFloat64}, {pushes("b", gauge(math.MaxFloat64)), math.MaxFloat64}}},
		"avg of the smallest":   {merge.Avg, []step{{pushes("a", gauge(5e-324)), 5e-324}, {pushes("b", gauge(1e-323)), 1e-323}}},
		"sum leaves no residue": {merge.Sum, []step{{pushes("a", gauge(0.1)), 0.1}, {pushes("b", gauge(1e300)), 1e300}, {ends("b"), 0.1}}},
		"infinity can leave":    {merge.Sum, []step{{pushes("a", gauge(2)), 2}, {pushes("b", gauge(inf)), inf}, {pushes("b", gauge(-inf)), -inf}, {ends("b"), 2}}},
		"max of infinities":     {merge.Max, []step{{pushes("a", gauge(-inf)), -inf}, {pushes("b", gauge(inf)), inf}, {ends("b"), -inf}}},
		"stale marker":          {merge.Sum, []step{{pushes("a", gauge(2)), 2}, {pushes("b", gauge(3)), 5}, {pushes("b", stale(gauge(3))), 2}}},
		"negative and signed 0": {merge.Min, []step{{pushes("a", gauge(0)), 0}, {pushes("b", gauge(math.Copysign(0, -1))), 0}, {ends("a"), 0}}},
		"sum may exceed at leave": {merge.Sum, []step{
			{pushes("a", gauge(math.MaxFloat64)), math.MaxFloat64},
			{pushes("b", gauge(-math.MaxFloat64)), 0},
			{pushes("c", gauge(math.MaxFloat64)), math.MaxFloat64},
			{ends("b"), inf},
			{ends("a"), math.MaxFloat64},
		}},
		"info": {merge.Max, []step{{pushes("a", info(1)), 1}, {pushes("b", info(1)), 1}, {ends("a"), 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := run(t, c.f, c.steps)
			for _, pusher := range []string{"a", "b", "c"} {
				s.end(pusher)
			}
			assert.True(t, s.value.Empty(), "the series ends with the last pusher")
			assert.Equal(t, merge.New(c.f), s.value, "and leaves nothing")
		})
	}
}

func TestInfinitiesOfBothSigns(t *testing.T) {
	t.Parallel()
	for _, f := range []merge.Function{merge.Sum, merge.Avg} {
		s := newStore(t, f)
		require.NoError(t, s.push("a", gauge(math.Inf(1))))
		require.NoError(t, s.push("b", gauge(math.Inf(-1))))
		assert.True(t, math.IsNaN(s.number()))
		s.end("a")
		assert.True(t, math.IsInf(s.number(), -1))
	}
}

// TestKnown: no push needs a pass over all pushers, unless nobody is left who has the extreme value.
func TestKnown(t *testing.T) {
	t.Parallel()
	s := newStore(t, merge.Max)
	known := func(want bool, e event) {
		t.Helper()
		e(t, s)
		assert.Equal(t, want, s.value.Known())
	}
	known(true, pushes("a", gauge(3)))
	known(true, pushes("b", gauge(3)))
	known(true, pushes("c", gauge(1)))
	known(true, pushes("a", gauge(2)))
	known(false, pushes("b", gauge(1)))
	known(false, pushes("c", gauge(0)))
	known(true, pushes("b", gauge(3)))
	known(false, ends("b"))
	s.restart(0)
	assert.Equal(t, 2.0, s.number())
	known(true, ends("c"))
	known(true, ends("a"))
}

func TestRefusedGauges(t *testing.T) {
	t.Parallel()
	s := newStore(t, merge.Sum)
	require.NoError(t, s.push("a", gauge(math.MaxFloat64)))
	require.ErrorIs(t, s.push("b", gauge(math.MaxFloat64)), merge.ErrOverflow)
	assert.Equal(t, math.MaxFloat64, s.number())
}

// TestAbsent: a contribution that is not part of the value can only come from a corrupt state.
func TestAbsent(t *testing.T) {
	t.Parallel()
	contribution := func(f merge.Function, m pmetric.Metric) *merge.Contribution {
		s := newStore(t, f)
		require.NoError(t, s.push("a", m))
		return s.pushers["a"]
	}
	for name, c := range map[string]struct {
		f         merge.Function
		in        pmetric.Metric
		withdrawn *merge.Contribution
	}{
		"larger than the maximum":  {merge.Max, gauge(1), contribution(merge.Max, gauge(2))},
		"smaller than the minimum": {merge.Min, gauge(3), contribution(merge.Min, gauge(2))},
		"not the only value":       {merge.Max, gauge(3), contribution(merge.Max, gauge(2))},
		"an infinity":              {merge.Sum, gauge(3), contribution(merge.Sum, gauge(math.Inf(1)))},
		"a negative infinity":      {merge.Avg, gauge(3), contribution(merge.Avg, gauge(math.Inf(-1)))},
		"a finite number":          {merge.Sum, gauge(math.Inf(1)), contribution(merge.Sum, gauge(3))},
		"a total":                  {merge.Sum, gauge(3), contribution(merge.Total, counter(3))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, c.f)
			require.NoError(t, s.push("a", c.in))
			_, err := s.value.Withdraw(c.withdrawn)
			require.ErrorIs(t, err, merge.ErrAbsent)
			_, _, err = merge.Fold(s.base, s.value, c.withdrawn)
			require.ErrorIs(t, err, merge.ErrAbsent)
		})
	}
	for name, c := range map[string]struct{ in, old, next pmetric.Metric }{
		"a larger counter":   {counter(1), counter(2), counter(3)},
		"a histogram":        {buckets{counts: []uint64{1}}.metric(), buckets{counts: []uint64{2}}.metric(), buckets{counts: []uint64{3}}.metric()},
		"a summary":          {summaryOf(1, 1), summaryOf(2, 1), summaryOf(3, 1)},
		"a native histogram": {native{positive: []uint64{1}}.metric(), native{offset: 4, positive: []uint64{1}}.metric(), native{offset: 4, positive: []uint64{1}}.metric()},
		"a finer histogram":  {native{positive: []uint64{1}}.metric(), native{scale: 2, offset: 1, positive: []uint64{2}}.metric(), native{offset: 0, positive: []uint64{2}}.metric()},
		"another kind":       {counter(1), summaryOf(1, 1), counter(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, merge.Total)
			require.NoError(t, s.push("a", c.in))
			s.pushers["b"] = contribution(merge.Total, c.old)
			require.ErrorIs(t, s.push("b", c.next), merge.ErrAbsent)
		})
	}
	_, err := merge.New(merge.Total).Add(contribution(merge.Last, gauge(1)))
	require.ErrorIs(t, err, merge.ErrKind)
	for _, f := range []merge.Function{merge.Last, merge.Sum, merge.Min} {
		_, err = merge.New(f).Add(contribution(merge.Total, counter(1)))
		require.ErrorIs(t, err, merge.ErrKind)
	}
}

// TestJoin: series of one push that differ in labels that the aggregate leaves out are one.
func TestJoin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f      merge.Function
		pushed []pmetric.Metric
		want   float64
	}{
		"total": {merge.Total, []pmetric.Metric{counter(2), counter(3)}, 5},
		"last":  {merge.Last, []pmetric.Metric{gauge(2), gauge(3), gauge(1)}, 1},
		"sum":   {merge.Sum, []pmetric.Metric{gauge(2), gauge(3)}, 5},
		"min":   {merge.Min, []pmetric.Metric{gauge(2), gauge(3), gauge(2.5)}, 2},
		"max":   {merge.Max, []pmetric.Metric{gauge(2), gauge(3), gauge(2.5)}, 3},
		"avg":   {merge.Avg, []pmetric.Metric{gauge(2), gauge(3), gauge(7)}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, c.f)
			s.from = c.pushed[0]
			for range 2 {
				require.NoError(t, s.apply("a", joined(t, c.f, c.pushed...)))
			}
			assert.Equal(t, c.want, s.number())
		})
	}
}

func joined(t *testing.T, f merge.Function, pushed ...pmetric.Metric) merge.Sample {
	t.Helper()
	var sample merge.Sample
	for i, m := range pushed {
		next, ok, err := f.Read(m, 0, epoch)
		require.NoError(t, err)
		require.True(t, ok)
		if i > 0 {
			next, err = f.Join(sample, next)
			require.NoError(t, err)
		}
		sample = next
	}
	return sample
}

// TestJoinedCreated: a series that appears beside older ones is no restart of them.
func TestJoinedCreated(t *testing.T) {
	t.Parallel()
	s := newStore(t, merge.Total)
	s.from = counter(0)
	for _, c := range []struct {
		pushed []pmetric.Metric
		want   float64
	}{
		{[]pmetric.Metric{counterSince(1, 5)}, 5},
		{[]pmetric.Metric{counterSince(1, 6), counterSince(2, 1)}, 7},
		{[]pmetric.Metric{counterSince(3, 1), counterSince(4, 1)}, 9},
	} {
		require.NoError(t, s.apply("a", joined(t, merge.Total, c.pushed...)))
		assert.Equal(t, c.want, s.number())
	}
}

func TestRefusedJoin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f    merge.Function
		a, b pmetric.Metric
		want error
	}{
		"sum overflows":   {merge.Sum, gauge(math.MaxFloat64), gauge(math.MaxFloat64), merge.ErrOverflow},
		"count overflows": {merge.Total, summaryOf(math.MaxUint64, 1), summaryOf(1, 1), merge.ErrOverflow},
		"kinds":           {merge.Total, summaryOf(1, 1), counter(1), merge.ErrKind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, err := c.f.Read(c.a, 0, epoch)
			require.NoError(t, err)
			b, _, err := c.f.Read(c.b, 0, epoch)
			require.NoError(t, err)
			_, err = c.f.Join(a, b)
			require.ErrorIs(t, err, c.want)
		})
	}
}
