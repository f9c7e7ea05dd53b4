// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

func TestPushTimes(t *testing.T) {
	t.Parallel()
	s := store.New(options())
	require.NoError(t, do(t, s, 1, "PUT job/j a b"))
	require.NoError(t, do(t, s, 2, "POST job/j b"))
	require.NoError(t, do(t, s, 3, "FAIL job/j"))
	snapshots := slices.Collect(s.Snapshots())
	require.Len(t, snapshots, 1)
	assert.Equal(t, at(2), snapshots[0].PushTime)
	assert.Equal(t, at(3), snapshots[0].PushFailureTime)
	assert.Equal(t, at(1), snapshots[0].Families[0].PushTime)
	assert.Equal(t, at(2), snapshots[0].Families[1].PushTime)

	require.NoError(t, do(t, s, 4, "DELETE job/j"))
	assert.Zero(t, s.PushTimes(pushtest.Key(t, "job/j")).DataPointCount())
	require.NoError(t, do(t, s, 5, "FAIL job/j"))
	again := slices.Collect(s.Snapshots())[0]
	assert.Zero(t, again.PushTime, "deleted with the group")
	assert.Equal(t, at(5), again.PushFailureTime)
	assert.Equal(t, at(2), snapshots[0].PushTime, "a snapshot stays as it is")
}

func TestCurrent(t *testing.T) {
	t.Parallel()
	s := store.New(options())
	key := pushtest.Key(t, "job/j")
	assert.Zero(t, s.Current(key).DataPointCount(), "unknown")
	push := pushtest.Text(t, "job/j", "# TYPE c counter\nc_total 1 # {t=\"1\"} 1\n# TYPE h histogram\n"+
		"h_bucket{le=\"1\"} 1 # {t=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 1\n# EOF\n")
	require.NoError(t, s.Push(t.Context(), key, familiesOf(t, s, push), true, at(1)))

	md := s.Current(key)
	require.Equal(t, 4, md.DataPointCount())
	metrics := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	assert.Equal(t, 4, metrics.Len(), "one resource and scope")
	md.ResourceMetrics().RemoveIf(func(pmetric.ResourceMetrics) bool { return true })
	assert.Equal(t, 4, s.Current(key).DataPointCount(), "made anew each time")
	require.NoError(t, do(t, s, 2, "DELETE job/j"))
	assert.Zero(t, s.Current(key).DataPointCount(), "deleted")
}

// TestHeldWithoutExemplars keeps the exemplars for the push that brought them.
func TestHeldWithoutExemplars(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		point func(pmetric.Metric) pmetric.ExemplarSlice
	}{
		{"counter", func(m pmetric.Metric) pmetric.ExemplarSlice {
			return m.SetEmptySum().DataPoints().AppendEmpty().Exemplars()
		}},
		{"histogram", func(m pmetric.Metric) pmetric.ExemplarSlice {
			return m.SetEmptyHistogram().DataPoints().AppendEmpty().Exemplars()
		}},
		{"native histogram", func(m pmetric.Metric) pmetric.ExemplarSlice {
			return m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty().Exemplars()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := store.New(store.Options{Scope: pushtest.Scope})
			metrics := func(exemplars int) pmetric.Metrics {
				md := pmetric.NewMetrics()
				m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
				m.SetName("m")
				slice := tc.point(m)
				for n := range exemplars {
					slice.AppendEmpty().SetIntValue(int64(n))
				}
				return md
			}
			pushed := metrics(2)
			family, err := s.NewFamily("m", "t", pushed)
			require.NoError(t, err)
			assert.Equal(t, metrics(2), pushed, "is handed on with them")
			assert.Equal(t, metrics(0), family.Metrics())
		})
	}
}

// TestSnapshotsAreImmutable holds on to groups while they change.
func TestSnapshotsAreImmutable(t *testing.T) {
	t.Parallel()
	s := store.New(options())
	require.NoError(t, do(t, s, 1, "PUT job/b x y"))
	require.NoError(t, do(t, s, 1, "PUT job/a x"))
	before := slices.Collect(s.Snapshots())
	text := fmt.Sprint(before[1].PushTime, before[1].Families[0].Name, before[1].Families[1].PushTime, len(before[1].Families))
	sequence := s.Snapshots()
	require.NoError(t, do(t, s, 2, "PUT job/b z"))
	require.NoError(t, do(t, s, 3, "PUT job/0 z"))
	assert.Equal(t, text, fmt.Sprint(before[1].PushTime, before[1].Families[0].Name, before[1].Families[1].PushTime, len(before[1].Families)))
	snapshots := slices.Collect(sequence)
	require.Len(t, snapshots, 2, "groups that there were")
	assert.Len(t, snapshots[1].Families, 2, "as they were")
	var jobs []string
	for snapshot := range s.Snapshots() {
		jobs = append(jobs, snapshot.Key.Job)
		if len(jobs) == 2 {
			break
		}
	}
	assert.Equal(t, []string{"0", "a"}, jobs, "sorted, and as many as are wanted")
	assert.Len(t, s.AllKeys(), 3)
}

func TestKeysOfShares(t *testing.T) {
	t.Parallel()
	for _, groups := range []int{0, 1, 2, 3, 16, 255, 256, 257, 1000} {
		for _, count := range []int{1, 2, 16, 256} {
			s := store.New(options())
			for i := range groups {
				require.NoError(t, s.Push(t.Context(), pushtest.Key(t, fmt.Sprintf("job/%d", i)), nil, true, at(i)))
			}
			seen, sizes := map[string]int{}, []int{}
			for share := range count {
				keys := s.Keys(share, count)
				sizes = append(sizes, len(keys))
				for _, key := range keys {
					seen[key.Job]++
				}
			}
			require.Len(t, seen, groups)
			for job, n := range seen {
				require.Equal(t, 1, n, job)
			}
			require.LessOrEqual(t, slices.Max(sizes)-slices.Min(sizes), 1, "of equal size")
			requireSpread(t, sizes)
		}
	}
}

// requireSpread wants halves of all shares to have as many groups, and halves of halves.
func requireSpread(t *testing.T, sizes []int) {
	t.Helper()
	if len(sizes) < 2 {
		return
	}
	half := len(sizes) / 2
	require.InDelta(t, sum(sizes[:half]), sum(sizes[half:]), 1)
	requireSpread(t, sizes[:half])
	requireSpread(t, sizes[half:])
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	o := options()
	o.TTL = 10 * time.Second
	s := store.New(o)
	expired := func(second int) (jobs []string) {
		for _, key := range s.Expired(at(second), 100) {
			assert.True(t, s.HasExpired(key, at(second)))
			jobs = append(jobs, key.Job)
		}
		return jobs
	}
	for i, step := range []string{"PUT job/a x", "PUT job/b x", "FAIL job/c", "PUT job/d x", "POST job/a", "FAIL job/b", "FAIL job/c"} {
		require.NoError(t, do(t, s, i, step))
		requireSound(t, s)
	}
	assert.Empty(t, expired(10))
	assert.Equal(t, []string{"b"}, expired(11), "a failed push does not prolong a life")
	assert.Equal(t, []string{"b", "d", "a"}, expired(15), "that of a")
	assert.Equal(t, []string{"b", "d", "a", "c"}, expired(16), "unless none ever succeeded")
	assert.False(t, s.HasExpired(pushtest.Key(t, "job/a"), at(13)))
	assert.True(t, s.HasExpired(pushtest.Key(t, "job/a"), at(14)))
	assert.False(t, s.HasExpired(pushtest.Key(t, "job/unknown"), at(100)))
	require.NoError(t, do(t, s, 20, "DELETE job/b"))
	requireSound(t, s)
	assert.Equal(t, []string{"d", "a", "c"}, expired(100), "it owes still, and is over already")

	never := store.New(options())
	require.NoError(t, do(t, never, 1, "PUT job/a x"))
	assert.Empty(t, never.Expired(at(1<<30), 100))
	assert.False(t, never.HasExpired(pushtest.Key(t, "job/a"), at(1<<30)))
}

func TestWithoutPushTimes(t *testing.T) {
	t.Parallel()
	s := store.New(store.Options{Scope: pushtest.Scope})
	require.NoError(t, do(t, s, 1, "PUT job/j"))
	require.NoError(t, do(t, s, 2, "DELETE job/j"))
	assert.Empty(t, shown(t, s), "nothing to end")
	require.NoError(t, do(t, s, 3, "PUT job/j a"))
	assert.Zero(t, s.PushTimes(pushtest.Key(t, "job/j")).DataPointCount())
	require.NoError(t, do(t, s, 4, "DELETE job/j"))
	assert.Equal(t, []string{"job/j deleted, owes a"}, shown(t, s))
	require.NoError(t, s.Close(t.Context()))
}

// TestSameShape pushes the same series again, which leaves the index alone and takes no memory but the values.
func TestSameShape(t *testing.T) {
	t.Parallel()
	s := store.New(options())
	require.NoError(t, do(t, s, 1, "PUT job/j a b h:1,2"))
	before := s.Counts()
	for i, verb := range []string{"PUT", "POST", "PUT", "POST"} {
		require.NoError(t, do(t, s, i+2, verb+" job/j h:1,2 b a"))
		assert.Equal(t, before, s.Counts())
	}
	assert.Zero(t, owedBy(s, pushtest.Key(t, "job/j")).DataPointCount())
}

// TestRandomChanges holds the store to its invariants and to a model of who has which series.
func TestRandomChanges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(6, seed))
		o := options()
		o.TTL = time.Hour
		if seed%2 == 0 {
			o.MaxGroups, o.MaxSeries = 5, 60
		}
		s := store.New(o)
		for i := range 150 {
			before := stateOf(t, s)
			if err := randomChange(r, i)(t, s); err != nil {
				require.Equal(t, before, stateOf(t, s), "refused: %v", err)
			}
			requireSound(t, s)
		}
	}
}

// paths are of groups that share series: some of them have the labels of a push as grouping labels.
var paths = []string{"job/j", "job/j/x/1", "job/j/x/2", "job/j/instance/1", "job/j/instance/1/x/1", "job/k", "job/j/otel_scope_attr/1"}

// randomChange makes a change that does the same to each store that it is done to.
func randomChange(r *rand.Rand, n int) func(testing.TB, *store.Store) error {
	return changeOf(r, paths[r.IntN(len(paths))], n)
}

func changeOf(r *rand.Rand, path string, n int) func(testing.TB, *store.Store) error {
	switch kind := r.IntN(10); kind {
	case 0, 1:
		return func(tb testing.TB, s *store.Store) error { return do(tb, s, n, "DELETE "+path) }
	case 2, 3:
		return func(tb testing.TB, s *store.Store) error { return do(tb, s, n, "SETTLE "+path) }
	case 4:
		return func(tb testing.TB, s *store.Store) error { return do(tb, s, n, "FAIL "+path) }
	default:
		seed := r.Uint64()
		return func(tb testing.TB, s *store.Store) error {
			key := pushtest.Key(tb, path)
			push := pushtest.Random(rand.New(rand.NewPCG(7, seed)), key)
			return s.Push(tb.Context(), key, familiesOf(tb, s, push), kind%2 == 0, at(n))
		}
	}
}
