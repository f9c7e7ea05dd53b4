// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"encoding/binary"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

// The oracle is the formula over the list of pushes, with numbers that are wide enough for each sum of float64 values.

const oraclePrecision = 2300

func wide(v float64) *big.Float { return new(big.Float).SetPrec(oraclePrecision).SetFloat64(v) }

// sumOf is the float64 nearest to the sum of finite values.
func sumOf(values []float64) float64 {
	sum := wide(0)
	for _, v := range values {
		sum.Add(sum, wide(v))
	}
	v, _ := sum.Float64()
	return v
}

// modelPusher is what the oracle knows of a pusher's counter.
type modelPusher struct {
	counted []float64 // of earlier incarnations
	last    float64
	created int
}

// push tells whether the push was ignored.
func (p *modelPusher) push(v float64, start int) {
	restarts := v < p.last
	if start != 0 && p.created != 0 {
		if start < p.created || start == p.created && v < p.last {
			return
		}
		restarts = restarts || start > p.created
	}
	switch {
	case restarts:
		p.counted, p.created = append(p.counted, p.last), start
	case start != 0:
		p.created = start
	}
	p.last = v
}

// source makes decisions of the bytes of a fuzzer, and zeros when there are none left.
type source struct{ data []byte }

func (s *source) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *source) below(n int) int { return int(s.byte()) % n }

// number takes one of some magnitudes, or any bits.
func (s *source) number() float64 {
	switch s.below(6) {
	case 0:
		return float64(s.byte())
	case 1:
		return float64(s.byte()) / 10
	case 2:
		return math.Ldexp(float64(s.byte()), s.below(256)*8-1100)
	case 3:
		return float64(s.byte())*(1<<53) + 1
	case 4:
		return -float64(s.byte()) / 7
	default:
		var pattern [8]byte
		for i := range pattern {
			pattern[i] = s.byte()
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(pattern[:]))
	}
}

var pusherNames = []string{"a", "b", "c", "d"}

func seeds(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		data := make([]byte, 40+r.IntN(200))
		for i := range data {
			data[i] = byte(r.IntN(256))
		}
		f.Add(data)
	}
}

// FuzzTotal compares totals of counters with the oracle.
func FuzzTotal(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		from, s := &source{data}, newStore(t, merge.Total)
		model, ended, before := map[string]*modelPusher{}, []float64{}, 0.0
		for len(from.data) > 0 {
			pusher := pusherNames[from.below(len(pusherNames))]
			switch op := from.below(8); op {
			case 0:
				s.end(pusher)
				if p := model[pusher]; p != nil {
					ended = append(append(ended, p.counted...), p.last)
				}
				delete(model, pusher)
			case 1:
				s.restart(uint64(len(from.data)))
			default:
				v, start := from.number(), from.below(3)
				p := modelPusher{}
				known := model[pusher]
				if known != nil {
					p = modelPusher{slices.Clone(known.counted), known.last, known.created}
				}
				if known == nil {
					p = modelPusher{last: v, created: start}
				} else {
					p.push(v, start)
				}
				if err := s.push(pusher, counterSince(int64(start), v)); err != nil {
					want := v
					if !(v < 0 || math.IsNaN(v) || math.IsInf(v, 0)) {
						want = oracle(with(model, pusher, &p), ended)
					}
					require.False(t, want >= 0 && want <= math.MaxFloat64, "refused: %v", err)
					break
				}
				model[pusher] = &p
			}
			if s.value.Empty() {
				continue
			}
			got := s.number()
			require.Equal(t, oracle(model, ended), got)
			require.GreaterOrEqual(t, got, before)
			require.False(t, math.IsInf(got, 0))
			before = got
			require.Equal(t, s.value.Encode(nil), s.rebuilt(uint64(len(from.data))).Encode(nil))
		}
	})
}

func with(model map[string]*modelPusher, pusher string, p *modelPusher) map[string]*modelPusher {
	changed := maps.Clone(model)
	changed[pusher] = p
	return changed
}

func oracle(model map[string]*modelPusher, ended []float64) float64 {
	all := slices.Clone(ended)
	for _, p := range model {
		all = append(append(all, p.counted...), p.last)
	}
	return sumOf(all)
}

// FuzzLive compares the functions of gauges with a pass over all pushers.
func FuzzLive(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, function := range []merge.Function{merge.Sum, merge.Avg, merge.Min, merge.Max} {
			from, s, model := &source{data}, newStore(t, function), map[string]float64{}
			for len(from.data) > 0 {
				pusher := pusherNames[from.below(len(pusherNames))]
				switch op := from.below(8); op {
				case 0:
					s.end(pusher)
					delete(model, pusher)
				case 1:
					s.restart(uint64(len(from.data)))
				default:
					v := from.number()
					if err := s.push(pusher, gauge(v)); err != nil {
						require.Equal(t, merge.Sum, function)
						require.ErrorIs(t, err, merge.ErrOverflow)
						break
					}
					delete(model, pusher)
					if !math.IsNaN(v) {
						model[pusher] = v
					}
				}
				require.Equal(t, len(model) == 0, s.value.Empty())
				if len(model) == 0 {
					require.Equal(t, merge.New(function).Encode(nil), s.value.Encode(nil))
					continue
				}
				if !s.value.Known() {
					s.value = s.rebuilt(uint64(len(from.data)))
				}
				want := liveOracle(function, slices.Collect(maps.Values(model)))
				if got := s.number(); !math.IsNaN(want) || !math.IsNaN(got) {
					require.Equal(t, want+0, got+0, "%v of %v", function, model)
				}
			}
		}
	})
}

func liveOracle(f merge.Function, values []float64) float64 {
	switch f {
	case merge.Min:
		return slices.Min(values)
	case merge.Max:
		return slices.Max(values)
	}
	infinities := 0.0
	for _, v := range values {
		if math.IsInf(v, 0) {
			infinities += v
		}
	}
	if infinities != 0 {
		return infinities
	}
	if f == merge.Sum {
		return sumOf(values)
	}
	sum := new(big.Rat)
	for _, v := range values {
		sum.Add(sum, new(big.Rat).SetFloat64(v))
	}
	avg, _ := sum.Quo(sum, big.NewRat(int64(len(values)), 1)).Float64()
	return avg
}

// FuzzHistogram checks totals of classic histograms against sums of cumulative counts.
func FuzzHistogram(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		from, s := &source{data}, newStore(t, merge.Total)
		counted := map[string][]buckets{} // All incarnations, the last one by its latest push.
		var ended []buckets
		before := map[float64]uint64{}
		for len(from.data) > 0 {
			pusher := pusherNames[from.below(len(pusherNames))]
			switch from.below(8) {
			case 0:
				s.end(pusher)
				ended = append(ended, counted[pusher]...)
				delete(counted, pusher)
			case 1:
				s.restart(uint64(len(from.data)))
			default:
				h := randomBuckets(from)
				require.NoError(t, s.push(pusher, h.metric()))
				if s.last.Outcome == merge.Replaced {
					counted[pusher] = counted[pusher][:len(counted[pusher])-1]
				}
				counted[pusher] = append(counted[pusher], h)
			}
			if s.value.Empty() {
				continue
			}
			got := s.classic()
			checkHistogram(t, got, slices.Concat(append(slices.Collect(maps.Values(counted)), ended)...))
			after := got.cumulative()
			for bound, count := range before {
				require.GreaterOrEqual(t, after[bound], count, "le=%v", bound)
			}
			before = after
			require.Equal(t, s.value.Encode(nil), s.rebuilt(uint64(len(from.data))).Encode(nil))
		}
	})
}

// randomBuckets makes a histogram of few bounds, so that many are the same.
func randomBuckets(from *source) buckets {
	h := buckets{bounds: []float64{}}
	for mask, i := from.byte(), 0; i < 5; i++ {
		if mask>>i&1 != 0 {
			h.bounds = append(h.bounds, float64(i)-1)
		}
	}
	for range len(h.bounds) + 1 {
		h.counts = append(h.counts, uint64(from.below(4)))
	}
	h.sum = float64(from.byte()) - 100.1
	return h
}

func checkHistogram(t *testing.T, got buckets, all []buckets) {
	t.Helper()
	var sums []float64
	want := map[float64]uint64{math.Inf(1): 0}
	for _, b := range got.bounds {
		want[b] = 0
	}
	for _, h := range all {
		sums = append(sums, h.sum)
		for _, b := range h.bounds {
			require.Contains(t, got.bounds, b)
		}
		for le := range want {
			below := uint64(0)
			for i, b := range append(slices.Clone(h.bounds), math.Inf(1)) {
				if b <= le {
					below += h.counts[i]
				}
			}
			want[le] += below
		}
	}
	require.Equal(t, want, got.cumulative())
	require.Equal(t, sumOf(sums), got.sum)
}

// FuzzExponential checks totals of native histograms: nothing is lost, Prometheus sees no reset, what is stored is enough to
// find the value again, and counts are where observations of those values would be.
func FuzzExponential(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		from, s := &source{data}, newStore(t, merge.Total)
		counted := map[string][]native{}
		var ended []native
		var before native
		thresholds := map[float64]bool{} // of all pushes
		for len(from.data) > 0 {
			pusher := pusherNames[from.below(len(pusherNames))]
			switch from.below(10) {
			case 0:
				s.end(pusher)
				ended = append(ended, counted[pusher]...)
				delete(counted, pusher)
			case 1:
				s.restart(uint64(len(from.data)))
			default:
				n := randomNative(from)
				require.NoError(t, s.push(pusher, n.metric()))
				thresholds[n.threshold] = true
				if s.last.Outcome == merge.Replaced {
					counted[pusher] = counted[pusher][:len(counted[pusher])-1]
				}
				counted[pusher] = append(counted[pusher], n)
			}
			if s.value.Empty() {
				continue
			}
			got := s.native()
			checkNative(t, got, slices.Concat(append(slices.Collect(maps.Values(counted)), ended)...))
			if len(thresholds) == 1 {
				require.True(t, thresholds[got.threshold])
			}
			if before.count() > 0 {
				require.Empty(t, resetBetween(before, got), "%+v\n%+v", before, got)
			}
			before = got
			require.Equal(t, s.value.Encode(nil), s.rebuilt(uint64(len(from.data))).Encode(nil))
		}
	})
}

// randomNative makes a native histogram with thresholds within its buckets, and wide ones.
func randomNative(from *source) native {
	n := native{scale: int32(from.below(13)) - 4}
	switch from.below(4) {
	case 1:
		n.threshold = 0x1p-128
	case 2:
		n.threshold = float64(from.below(8)) / 3
	case 3:
		n.threshold = math.Exp2(float64(from.below(64)) / 16)
	}
	n.zero, n.nans = uint64(from.below(3)), uint64(from.below(2))
	n.offset, n.positive = randomSide(from, n.scale)
	n.negativeOffset, n.negative = randomSide(from, n.scale)
	n.sum = float64(from.byte())
	return n
}

// randomSide makes buckets of which each can hold a float64.
func randomSide(from *source, scale int32) (offset int32, counts []uint64) {
	offset = int32(from.below(40)) - 20
	for range from.below(8) {
		counts = append(counts, uint64(from.below(3)))
	}
	if from.below(4) == 0 {
		gap := from.below(30)
		if scale >= 0 {
			gap *= 25
		}
		counts = append(counts, make([]uint64, gap)...)
		counts = append(counts, 1)
	}
	return offset, counts
}

// checkNative compares the result with all histograms, bucket by bucket: each bucket has all its counts, or none, and then no
// observation in it can be above the zero threshold.
func checkNative(t *testing.T, got native, all []native) {
	t.Helper()
	var count, nans uint64
	var sums []float64
	type bucket struct {
		count uint64
		upper float64 // Nothing in it is above.
	}
	positive, negative := map[int]bucket{}, map[int]bucket{}
	threshold := 0.0
	for _, n := range all {
		threshold = max(threshold, n.threshold)
		count, nans = count+n.count(), nans+n.nans
		sums = append(sums, n.sum)
		add := func(to map[int]bucket, offset int32, counts []uint64) {
			for k, c := range counts {
				if c == 0 {
					continue
				}
				i := int(offset) + k
				b := to[i>>(n.scale-got.scale)]
				to[i>>(n.scale-got.scale)] = bucket{b.count + c, max(b.upper, bound(i+1, n.scale))}
			}
		}
		require.GreaterOrEqual(t, n.scale, got.scale)
		add(positive, n.offset, n.positive)
		add(negative, n.negativeOffset, n.negative)
	}
	require.Equal(t, count, got.count())
	require.Equal(t, nans, got.nans)
	require.Equal(t, sumOf(sums), got.sum)
	require.GreaterOrEqual(t, got.threshold, threshold)
	require.LessOrEqual(t, max(len(got.positive), len(got.negative)), 160)
	for _, side := range []struct {
		want   map[int]bucket
		offset int32
		counts []uint64
	}{{positive, got.offset, got.positive}, {negative, got.negativeOffset, got.negative}} {
		for k, c := range side.counts {
			require.Equal(t, side.want[int(side.offset)+k].count, c)
			delete(side.want, int(side.offset)+k)
		}
		for _, b := range side.want { // All others are in the zero bucket.
			require.LessOrEqual(t, b.upper, got.threshold)
		}
	}
}

// resetBetween tells where Prometheus would see a counter reset. It follows FloatHistogram.DetectReset.
func resetBetween(before, after native) string {
	switch {
	case after.count() < before.count():
		return "count"
	case after.scale > before.scale:
		return "scale"
	case after.threshold < before.threshold:
		return "threshold"
	}
	zero := before.zero
	if after.threshold > before.threshold {
		for _, side := range []struct {
			offset int32
			counts []uint64
		}{{before.offset, before.positive}, {before.negativeOffset, before.negative}} {
			for k, c := range side.counts {
				lower := bound(int(side.offset)+k, before.scale)
				upper := bound(int(side.offset)+k+1, before.scale)
				if c == 0 || lower >= after.threshold {
					continue
				}
				if upper > after.threshold {
					return "threshold within a bucket"
				}
				zero += c
			}
		}
	}
	if after.zero < zero {
		return "zero count"
	}
	if falls(before.offset, before.positive, before.scale, after.offset, after.positive, after) ||
		falls(before.negativeOffset, before.negative, before.scale, after.negativeOffset, after.negative, after) {
		return "bucket"
	}
	return ""
}

// bound is computed as Prometheus does for its table: coarse bounds first, each further one from the one below it.
func bound(index int, scale int32) float64 {
	fine, fraction := index<<(8-scale), 0.5
	for s, rest := 1, fine&255; rest != 0; s, rest = s+1, rest<<1&255 {
		if rest&128 != 0 {
			fraction *= math.Exp2(math.Exp2(float64(-s)))
		}
	}
	return math.Ldexp(fraction, fine>>8+1)
}

func falls(offset int32, counts []uint64, scale, afterOffset int32, afterCounts []uint64, after native) bool {
	was := map[int]uint64{}
	for k, c := range counts {
		was[(int(offset)+k)>>(scale-after.scale)] += c
	}
	for i, c := range was {
		at, is := i-int(afterOffset), uint64(0)
		if at >= 0 && at < len(afterCounts) {
			is = afterCounts[at]
		}
		if is < c && bound(i+1, after.scale) > after.threshold {
			return true
		}
	}
	return false
}

// FuzzDecode: no bytes make decoding fail otherwise than with an error, and what was decoded can be used.
func FuzzDecode(f *testing.F) {
	for _, c := range encodings(f) {
		f.Add(c.bytes)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, rest, err := merge.DecodeAccumulator(data); err == nil {
			again, rest2, err := merge.DecodeAccumulator(append(a.Encode(nil), rest...))
			require.NoError(t, err)
			require.Equal(t, rest, rest2)
			require.Equal(t, a.Encode(nil), again.Encode(nil))
			useDecoded(t, a)
		}
		c, rest, err := merge.DecodeContribution(data)
		if err != nil {
			return
		}
		again, rest2, err := merge.DecodeContribution(append(c.Encode(nil), rest...))
		require.NoError(t, err)
		require.Equal(t, rest, rest2)
		require.Equal(t, c.Encode(nil), again.Encode(nil))
		for _, function := range []merge.Function{merge.Total, merge.Last, merge.Sum, merge.Max} {
			if a, err := merge.New(function).Add(c); err == nil {
				useDecoded(t, a)
				_, _, _ = merge.Fold(merge.New(function), a, c)
				for _, m := range everyKind() {
					if sample, _, err := function.Read(m, 0, epoch); err == nil {
						_, _ = a.Push(c, sample)
					}
				}
			}
		}
	})
}

// everyKind is a metric of each kind of point.
func everyKind() []pmetric.Metric {
	return []pmetric.Metric{
		counter(3), gauge(1), summaryOf(1, 2), buckets{bounds: []float64{1}, counts: []uint64{1, 2}}.metric(),
		native{scale: 2, threshold: 1, zero: 1, positive: []uint64{1, 1}}.metric(),
	}
}

// useDecoded calls what could fail in a state that no sequence of pushes leads to.
func useDecoded(t *testing.T, a merge.Accumulator) {
	t.Helper()
	for _, m := range everyKind() {
		for _, function := range []merge.Function{merge.Total, merge.Last} {
			if sample, _, err := function.Read(m, 0, epoch); err == nil {
				if result, err := a.Push(nil, sample); err == nil {
					assert.NotNil(t, result.Accumulator)
				}
			}
		}
	}
}
