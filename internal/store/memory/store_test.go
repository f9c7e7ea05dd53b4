// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
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
	s := newStore(options())
	require.NoError(t, do(t, s, 1, "PUT job/j a b"))
	require.NoError(t, do(t, s, 2, "POST job/j b"))
	require.NoError(t, do(t, s, 3, "FAIL job/j"))
	snapshots := snapshotsOf(t, s)
	require.Len(t, snapshots, 1)
	assert.Equal(t, at(2), snapshots[0].PushTime)
	assert.Equal(t, at(3), snapshots[0].PushFailureTime)
	assert.Equal(t, at(1), snapshots[0].Families[0].PushTime)
	assert.Equal(t, at(2), snapshots[0].Families[1].PushTime)

	require.NoError(t, do(t, s, 4, "DELETE job/j"))
	assert.Empty(t, snapshotsOf(t, s))
	require.NoError(t, do(t, s, 5, "FAIL job/j"))
	again := snapshotsOf(t, s)[0]
	assert.Zero(t, again.PushTime, "deleted with the group")
	assert.Equal(t, at(5), again.PushFailureTime)
	assert.Equal(t, at(2), snapshots[0].PushTime, "a snapshot stays as it is")
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
			s := newStore(store.Options{Scope: pushtest.Scope})
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
			family, err := s.options.NewFamily("m", "t", pushed)
			require.NoError(t, err)
			assert.Equal(t, metrics(2), pushed, "is unchanged")
			assert.Equal(t, metrics(0), store.Decode(family.Encoded))
		})
	}
}

// TestSnapshotsAreImmutable holds on to groups while they change.
func TestSnapshotsAreImmutable(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	require.NoError(t, do(t, s, 1, "PUT job/b x y"))
	require.NoError(t, do(t, s, 1, "PUT job/a x"))
	before := snapshotsOf(t, s)
	text := fmt.Sprint(before[1].PushTime, before[1].Families[0].Name, before[1].Families[1].PushTime, len(before[1].Families))
	require.NoError(t, do(t, s, 2, "PUT job/b z"))
	require.NoError(t, do(t, s, 3, "PUT job/0 z"))
	assert.Equal(t, text, fmt.Sprint(before[1].PushTime, before[1].Families[0].Name, before[1].Families[1].PushTime, len(before[1].Families)))
	var jobs []string
	for _, snapshot := range snapshotsOf(t, s) {
		jobs = append(jobs, snapshot.Key.Job)
	}
	assert.Equal(t, []string{"0", "a", "b"}, jobs, "sorted")
}

func TestWithoutPushTimes(t *testing.T) {
	t.Parallel()
	s := newStore(store.Options{Scope: pushtest.Scope})
	require.NoError(t, do(t, s, 1, "PUT job/j"))
	require.NoError(t, do(t, s, 2, "DELETE job/j"))
	assert.Empty(t, shown(t, s), "nothing to end")
	require.NoError(t, do(t, s, 3, "PUT job/j a"))
	require.NoError(t, do(t, s, 4, "DELETE job/j"))
	assert.Equal(t, []string{"job/j deleted, pending a"}, shown(t, s))
	require.NoError(t, s.Close(t.Context()))
}

// TestSameShape pushes the same series again, which leaves the index alone and takes no memory but the values.
func TestSameShape(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	require.NoError(t, do(t, s, 1, "PUT job/j a b h:1,2"))
	before := s.Counts()
	for i, verb := range []string{"PUT", "POST", "PUT", "POST"} {
		require.NoError(t, do(t, s, i+2, verb+" job/j h:1,2 b a"))
		assert.Equal(t, before, s.Counts())
	}
	assert.Zero(t, pendingOf(s, "job/j").DataPointCount())
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
		s := newStore(o)
		for i := range 150 {
			before := stateOf(t, s)
			if err := randomChange(r, i).do(t, s); err != nil {
				require.Equal(t, before, stateOf(t, s), "refused: %v", err)
			}
			requireSound(t, s)
		}
	}
}

// paths are of groups that share series: some of them have the labels of a push as grouping labels.
var paths = []string{"job/j", "job/j/x/1", "job/j/x/2", "job/j/instance/1", "job/j/instance/1/x/1", "job/k", "job/j/otel_scope_attr/1"}

// randomStep is a change that does the same to each store that it is done to.
type randomStep struct {
	do      func(testing.TB, *testStore) error
	settles string // the path of the group whose markers are exported
}

func randomChange(r *rand.Rand, n int) randomStep { return changeOf(r, paths[r.IntN(len(paths))], n) }

func stepOf(n int, step string) randomStep {
	path, _ := strings.CutPrefix(step, "SETTLE ")
	if path == step {
		path = ""
	}
	return randomStep{func(tb testing.TB, s *testStore) error { return do(tb, s, n, step) }, path}
}

func changeOf(r *rand.Rand, path string, n int) randomStep {
	switch kind := r.IntN(10); kind {
	case 0, 1:
		return stepOf(n, "DELETE "+path)
	case 2, 3:
		return stepOf(n, "SETTLE "+path)
	case 4:
		return stepOf(n, "FAIL "+path)
	default:
		seed := r.Uint64()
		return randomStep{do: func(tb testing.TB, s *testStore) error {
			s.set(at(n))
			key := pushtest.Key(tb, path)
			push := pushtest.Random(rand.New(rand.NewPCG(7, seed)), key)
			err := s.Push(tb.Context(), key, familiesOf(tb, s, push), kind%2 == 0, at(n))
			if err == nil {
				exportValues(tb, s)
			}
			return err
		}}
	}
}
