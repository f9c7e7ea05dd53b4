// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

func testPushTimes(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 1, "PUT job/j a b"))
	require.NoError(t, Do(t, s, 2, "POST job/j b"))
	require.NoError(t, Do(t, s, 3, "FAIL job/j"))
	snapshots := SnapshotsOf(t, s)
	require.Len(t, snapshots, 1)
	assert.Equal(t, At(2), snapshots[0].PushTime)
	assert.Equal(t, At(3), snapshots[0].PushFailureTime)
	assert.Equal(t, At(1), snapshots[0].Families[0].PushTime)
	assert.Equal(t, At(2), snapshots[0].Families[1].PushTime)

	require.NoError(t, Do(t, s, 4, "DELETE job/j"))
	assert.Empty(t, SnapshotsOf(t, s))
	require.NoError(t, Do(t, s, 5, "FAIL job/j"))
	again := SnapshotsOf(t, s)[0]
	assert.Zero(t, again.PushTime, "deleted with the group")
	assert.Equal(t, At(5), again.PushFailureTime)
	assert.Equal(t, At(2), snapshots[0].PushTime, "a snapshot stays as it is")
}

// testSnapshotsAreImmutable holds on to groups while they change.
func testSnapshotsAreImmutable(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 1, "PUT job/b x y"))
	require.NoError(t, Do(t, s, 1, "PUT job/a x"))
	before := SnapshotsOf(t, s)
	text := fmt.Sprint(before[1].PushTime, before[1].Families[0].Name, before[1].Families[1].PushTime, len(before[1].Families))
	require.NoError(t, Do(t, s, 2, "PUT job/b z"))
	require.NoError(t, Do(t, s, 3, "PUT job/0 z"))
	assert.Equal(t, text, fmt.Sprint(before[1].PushTime, before[1].Families[0].Name, before[1].Families[1].PushTime, len(before[1].Families)))
	var jobs []string
	for _, snapshot := range SnapshotsOf(t, s) {
		jobs = append(jobs, snapshot.Key.Job)
	}
	assert.Equal(t, []string{"0", "a", "b"}, jobs, "sorted")
}

func testWithoutPushTimes(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, store.Options{Scope: pushtest.Scope})
	require.NoError(t, Do(t, s, 1, "PUT job/j"))
	require.NoError(t, Do(t, s, 2, "DELETE job/j"))
	assert.Empty(t, Shown(t, s), "nothing to end")
	require.NoError(t, Do(t, s, 3, "PUT job/j a"))
	require.NoError(t, Do(t, s, 4, "DELETE job/j"))
	assert.Equal(t, []string{"job/j deleted, pending a"}, Shown(t, s))
	require.NoError(t, s.Close(t.Context()))
}

// testSameShape pushes the same series again, which leaves the index alone and takes no memory but the values.
func testSameShape(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 1, "PUT job/j a b h:1,2"))
	before := s.Counts()
	for i, verb := range []string{"PUT", "POST", "PUT", "POST"} {
		require.NoError(t, Do(t, s, i+2, verb+" job/j h:1,2 b a"))
		assert.Equal(t, before, s.Counts())
	}
	assert.Zero(t, PendingOf(s, "job/j").DataPointCount())
}

// testRandomChanges holds the store to its invariants and to a model of who has which series.
func testRandomChanges(t *testing.T, open Open) {
	t.Parallel()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(6, seed))
		o := DefaultOptions()
		o.TTL = time.Hour
		if seed%2 == 0 {
			o.MaxGroups, o.MaxSeries = 5, 60
		}
		s := open(t, o)
		before := StateOf(t, s)
		for i := range 150 {
			err := RandomChange(r, i).Do(t, s)
			after := StateOf(t, s)
			if err != nil {
				require.Equal(t, before, after, "refused: %v", err)
			}
			before = after
		}
	}
}

// Paths are of groups that share series: some of them have the labels of a push as grouping labels.
var Paths = []string{"job/j", "job/j/x/1", "job/j/x/2", "job/j/instance/1", "job/j/instance/1/x/1", "job/k", "job/j/otel_scope_attr/1"}

// RandomStep is a change that does the same to each store that it is done to.
type RandomStep struct {
	Do      func(testing.TB, *Store) error
	Settles string // the path of the group whose markers are exported
}

func RandomChange(r *rand.Rand, n int) RandomStep { return ChangeOf(r, Paths[r.IntN(len(Paths))], n) }

func StepOf(n int, step string) RandomStep {
	path, _ := strings.CutPrefix(step, "SETTLE ")
	if path == step {
		path = ""
	}
	return RandomStep{func(tb testing.TB, s *Store) error { return Do(tb, s, n, step) }, path}
}

func ChangeOf(r *rand.Rand, path string, n int) RandomStep {
	switch kind := r.IntN(10); kind {
	case 0, 1:
		return StepOf(n, "DELETE "+path)
	case 2, 3:
		return StepOf(n, "SETTLE "+path)
	case 4:
		return StepOf(n, "FAIL "+path)
	default:
		seed := r.Uint64()
		return RandomStep{Do: func(tb testing.TB, s *Store) error {
			s.Set(At(n))
			key := pushtest.Key(tb, path)
			push := pushtest.Random(rand.New(rand.NewPCG(7, seed)), key)
			err := s.Push(tb.Context(), key, FamiliesOf(tb, s, push), kind%2 == 0, At(n))
			if err == nil {
				ExportValues(tb, s)
			}
			return err
		}}
	}
}
