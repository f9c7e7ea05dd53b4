// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time of the first push of each test. Created timestamps are milliseconds after an earlier time.
var (
	epoch = time.UnixMilli(1_800_000_000_000)
	boots = time.UnixMilli(1_700_000_000_000)
)

func created(ms int64) pcommon.Timestamp {
	if ms == 0 {
		return 0
	}
	return pcommon.NewTimestampFromTime(boots.Add(time.Duration(ms) * time.Millisecond))
}

func newMetric(name, prometheusType string) pmetric.Metric {
	m := pmetric.NewMetric()
	m.SetName(name)
	m.Metadata().PutStr("prometheus.type", prometheusType)
	return m
}

func sumMetric(name, prometheusType string, monotonic bool, v float64, start int64) pmetric.Metric {
	m := newMetric(name, prometheusType)
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(monotonic)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := sum.DataPoints().AppendEmpty()
	dp.SetDoubleValue(v)
	dp.SetStartTimestamp(created(start))
	return m
}

func counter(v float64) pmetric.Metric { return counterSince(0, v) }

func counterSince(start int64, v float64) pmetric.Metric {
	return sumMetric("c_total", "counter", true, v, start)
}

func info(v float64) pmetric.Metric { return sumMetric("v_info", "info", false, v, 0) }

func gaugeOf(name, prometheusType string, v float64) pmetric.Metric {
	m := newMetric(name, prometheusType)
	m.SetEmptyGauge().DataPoints().AppendEmpty().SetDoubleValue(v)
	return m
}

func gauge(v float64) pmetric.Metric { return gaugeOf("g", "gauge", v) }

// buckets are the bounds and the counts of a histogram. The counts are those of each bucket alone.
type buckets struct {
	start  int64
	bounds []float64
	counts []uint64
	sum    float64
}

func (b buckets) count() (n uint64) {
	for _, c := range b.counts {
		n += c
	}
	return n
}

func (b buckets) metric() pmetric.Metric {
	m := newMetric("h", "histogram")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := h.DataPoints().AppendEmpty()
	dp.SetStartTimestamp(created(b.start))
	dp.ExplicitBounds().FromRaw(b.bounds)
	dp.BucketCounts().FromRaw(b.counts)
	dp.SetCount(b.count())
	dp.SetSum(b.sum)
	return m
}

// native is an exponential histogram.
type native struct {
	start          int64
	scale          int32
	threshold      float64
	zero           uint64
	offset         int32 // of the positive buckets
	positive       []uint64
	negativeOffset int32
	negative       []uint64
	nans           uint64 // observations in no bucket
	sum            float64
}

func (n native) count() uint64 {
	count := n.zero + n.nans
	for _, c := range slices.Concat(n.positive, n.negative) {
		count += c
	}
	return count
}

func (n native) metric() pmetric.Metric {
	m := newMetric("h", "histogram")
	h := m.SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := h.DataPoints().AppendEmpty()
	dp.SetStartTimestamp(created(n.start))
	dp.SetScale(n.scale)
	dp.SetZeroThreshold(n.threshold)
	dp.SetZeroCount(n.zero)
	dp.Positive().SetOffset(n.offset)
	dp.Positive().BucketCounts().FromRaw(n.positive)
	dp.Negative().SetOffset(n.negativeOffset)
	dp.Negative().BucketCounts().FromRaw(n.negative)
	dp.SetCount(n.count())
	dp.SetSum(n.sum)
	return m
}

func summaryOf(count uint64, sum float64) pmetric.Metric {
	m := newMetric("s", "summary")
	dp := m.SetEmptySummary().DataPoints().AppendEmpty()
	dp.SetCount(count)
	dp.SetSum(sum)
	dp.QuantileValues().AppendEmpty().SetQuantile(0.5)
	return m
}

// stale makes a stale marker of a number.
func stale(m pmetric.Metric) pmetric.Metric {
	m.Gauge().DataPoints().At(0).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	return m
}

// store is the smallest store that can be: one series and its pushers.
type store struct {
	tb          testing.TB
	function    merge.Function
	base, value merge.Accumulator
	pushers     map[string]*merge.Contribution
	from        pmetric.Metric // what was pushed last
	pushes      int
	last        merge.Result
}

func newStore(tb testing.TB, f merge.Function) *store {
	return &store{tb: tb, function: f, base: merge.New(f), value: merge.New(f), pushers: map[string]*merge.Contribution{}}
}

// push is a PUT of one series by a pusher.
func (s *store) push(pusher string, m pmetric.Metric) error {
	s.pushes++
	sample, ok, err := s.function.Read(m, 0, epoch.Add(time.Duration(s.pushes)*time.Millisecond))
	if err != nil {
		return err
	}
	s.from = m
	if !ok {
		s.leaveOut(pusher)
		return nil
	}
	return s.apply(pusher, sample)
}

func (s *store) apply(pusher string, sample merge.Sample) error {
	result, err := s.value.Push(s.pushers[pusher], sample)
	if err != nil {
		return err
	}
	s.last, s.value, s.pushers[pusher] = result, result.Accumulator, result.Contribution
	return nil
}

// leaveOut is a PUT without the series.
func (s *store) leaveOut(pusher string) {
	c := s.pushers[pusher]
	if c == nil {
		return
	}
	var err error
	s.value, err = s.value.Withdraw(c)
	require.NoError(s.tb, err)
	if !s.function.OutlivesPusher() {
		delete(s.pushers, pusher)
	}
}

// end forgets a pusher.
func (s *store) end(pusher string) {
	c := s.pushers[pusher]
	if c == nil {
		return
	}
	var err error
	s.base, s.value, err = merge.Fold(s.base, s.value, c)
	require.NoError(s.tb, err)
	delete(s.pushers, pusher)
}

// contributions are in an order that the seed determines.
func (s *store) contributions(seed uint64) []*merge.Contribution {
	names := slices.Sorted(maps.Keys(s.pushers))
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
	all := make([]*merge.Contribution, len(names))
	for i, name := range names {
		all[i] = s.pushers[name]
	}
	return all
}

// rebuilt is the value as found from what is stored.
func (s *store) rebuilt(seed uint64) merge.Accumulator {
	value, err := merge.Rebuild(s.base, slices.Values(s.contributions(seed)))
	require.NoError(s.tb, err)
	return value
}

// restart keeps only what is stored, as bytes. A value that was known is the same afterwards.
func (s *store) restart(seed uint64) {
	for name, c := range s.pushers {
		encoded := c.Encode(nil)
		decoded, rest, err := merge.DecodeContribution(append(encoded, 7))
		require.NoError(s.tb, err)
		require.Equal(s.tb, []byte{7}, rest)
		require.Equal(s.tb, encoded, decoded.Encode(nil))
		s.pushers[name] = decoded
	}
	s.base = recoded(s.tb, s.base)
	value := s.rebuilt(seed)
	if s.value.Known() {
		require.Equal(s.tb, s.value.Encode(nil), value.Encode(nil), "after a restart")
	}
	s.value = value
}

func recoded(tb testing.TB, a merge.Accumulator) merge.Accumulator {
	encoded := a.Encode(nil)
	decoded, rest, err := merge.DecodeAccumulator(append(encoded, 7))
	require.NoError(tb, err)
	require.Equal(tb, []byte{7}, rest)
	require.Equal(tb, encoded, decoded.Encode(nil))
	return decoded
}

// metric is the series as pdata.
func (s *store) metric() pmetric.Metric { return s.metricOf(s.value) }

func (s *store) metricOf(a merge.Accumulator) pmetric.Metric {
	require.False(s.tb, a.Empty())
	require.True(s.tb, a.Known())
	to := pmetric.NewMetric()
	s.function.Describe(s.from, to)
	attributes := pcommon.NewMap()
	attributes.PutStr("x", "1")
	a.AppendPoint(to, attributes, created(1))
	return to
}

// number is the value of a series of numbers.
func (s *store) number() float64 {
	m := s.metric()
	if m.Type() == pmetric.MetricTypeGauge {
		return m.Gauge().DataPoints().At(0).DoubleValue()
	}
	return m.Sum().DataPoints().At(0).DoubleValue()
}

// event is something that happens to a series.
type event func(*testing.T, *store)

func pushes(pusher string, m pmetric.Metric) event {
	return func(t *testing.T, s *store) { t.Helper(); require.NoError(t, s.push(pusher, m)) }
}

func leavesOut(pusher string) event {
	return func(t *testing.T, s *store) { t.Helper(); s.leaveOut(pusher) }
}

func ends(pusher string) event {
	return func(t *testing.T, s *store) { t.Helper(); s.end(pusher) }
}

func restarts() event {
	return func(t *testing.T, s *store) { t.Helper(); s.restart(uint64(s.pushes)) }
}

// step is an event and the value after it.
type step struct {
	event
	want float64
}

func run(t *testing.T, f merge.Function, steps []step) *store {
	t.Helper()
	s := newStore(t, f)
	for i, step := range steps {
		step.event(t, s)
		if !s.value.Known() {
			s.value = s.rebuilt(0)
		}
		assert.Equal(t, step.want, s.number(), "step %d", i)
	}
	return s
}
