// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// trial is a store on a storage that fails now and then, and what has happened to it.
type trial struct {
	c      *client
	s      *testStore
	failed *failures
	// acknowledged are the changes that were, in order.
	acknowledged []randomStep
	// doubtful are groups that the storage may have taken although the change was refused. It may have them until the next
	// change is acknowledged.
	doubtful []map[string]groupState
	crashes  []map[string][]byte // what the storage had at each moment of the last change
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	tr := &trial{c: newClient(map[string][]byte{})}
	tr.restart(t, tr.c.records)
	return tr
}

// restart goes on with what a storage had.
func (tr *trial) restart(t *testing.T, records map[string][]byte) {
	t.Helper()
	tr.c.fault, tr.c.applied, tr.c.records = nil, nil, records
	tr.s, tr.failed = restored(t, tr.c)
	require.Empty(t, tr.failed.All)
	tr.c.applied = func() { tr.crashes = append(tr.crashes, tr.c.crashed()) }
}

// replayed is what the acknowledged changes and one more lead to.
func (tr *trial) replayed(t *testing.T, step randomStep) map[string]groupState {
	t.Helper()
	s := newStore(options())
	for _, earlier := range tr.acknowledged {
		require.NoError(t, earlier.Do(t, s))
	}
	_ = step.Do(t, s)
	return stateOf(t, s).Groups
}

// attempt makes a change, and holds what a crash would leave at each moment of it to the groups before and after. No series is
// forgotten but those whose markers were exported.
func (tr *trial) attempt(t *testing.T, step randomStep) {
	t.Helper()
	before, after := stateOf(t, tr.s), tr.replayed(t, step)
	tr.crashes, tr.failed.All = nil, nil
	err := step.Do(t, tr.s)
	now := stateOf(t, tr.s)
	switch {
	case err == nil:
		tr.acknowledged = append(tr.acknowledged, step)
		require.Equal(t, after, now.Groups)
	case step.Settles == "":
		require.Equal(t, before, now)
	default:
		require.Equal(t, before.Groups, now.Groups)
	}
	kept := before.Series(t)
	for _, h := range before.Pending[path(t, step.Settles)] {
		delete(kept, h)
	}
	requireKept(t, kept, now)
	possible := append([]map[string]groupState{before.Groups, after}, tr.doubtful...)
	for _, records := range tr.crashes {
		crashed := reopened(t, records)
		require.Contains(t, possible, crashed.Groups)
		requireKept(t, kept, crashed)
	}
	tr.settle(t, err, after)
}

func path(t *testing.T, of string) string {
	t.Helper()
	if of == "" {
		return ""
	}
	return pushtest.Key(t, of).Path(true)
}

func requireKept(t *testing.T, kept map[series.Hash]bool, s state) {
	t.Helper()
	there := s.Series(t)
	for h := range kept {
		require.Contains(t, there, h)
	}
}

// settle holds what the storage has after the change to what was answered.
func (tr *trial) settle(t *testing.T, err error, after map[string]groupState) {
	t.Helper()
	if _, failed := errors.AsType[*store.StorageError](err); failed {
		assert.NotEmpty(t, tr.failed.All)
		tr.doubtful = append(tr.doubtful, after)
		require.Contains(t, append([]map[string]groupState{stateOf(t, tr.s).Groups}, tr.doubtful...), reopened(t, tr.c.crashed()).Groups)
		return
	}
	if err == nil && tr.wrote() {
		tr.doubtful = nil
		requireRestored(t, tr.s, tr.c.crashed())
	}
}

// wrote tells whether the last change wrote anything: not so one that changes nothing, like a deletion of what is unknown.
func (tr *trial) wrote() bool { return len(tr.crashes) > 0 || len(tr.doubtful) == 0 }

// reopened is what a restart brings back, without complaints.
func reopened(tb testing.TB, records map[string][]byte) state {
	tb.Helper()
	s, failed := restored(tb, newClient(maps.Clone(records)))
	require.Empty(tb, failed.All)
	return stateOf(tb, s)
}

// TestCrashes restarts after every single operation of the storage.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(8, seed))
		tr := newTrial(t)
		for i := range 40 {
			tr.attempt(t, randomChange(r, i))
			if r.IntN(10) == 0 {
				tr.restart(t, tr.c.crashed())
			}
		}
		assert.Greater(t, len(tr.acknowledged), 10)
	}
}

// TestFailures has the storage fail in each way at a third of its operations, and restarts after each one.
func TestFailures(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(9, seed))
		tr := newTrial(t)
		for i := range 40 {
			tr.c.fault = func() fault {
				if r.IntN(3) > 0 {
					return works
				}
				return []fault{before, inPart, after}[r.IntN(3)]
			}
			tr.attempt(t, randomChange(r, i))
		}
		assert.Greater(t, len(tr.acknowledged), 5)
	}
}

// TestEachFailure has each operation of each of some changes fail in each way, then the storage work again.
func TestEachFailure(t *testing.T) {
	t.Parallel()
	for _, how := range []fault{before, inPart, after} {
		for n := range 12 {
			tr := newTrial(t)
			tr.c.fault = failing(n+1, how)
			for i, step := range []string{
				"PUT job/j a b h:1", "PUT job/j b c h:2", "DELETE job/j", `PUT job/j d{x="1"}`, "SETTLE job/j", "DELETE job/j",
				"SETTLE job/j", "PUT job/j/x/1 d", "FAIL job/k", "POST job/j/x/1 e",
			} {
				tr.attempt(t, stepOf(i, step))
			}
			assert.GreaterOrEqual(t, len(tr.acknowledged), 8)
		}
	}
}

// TestRefusedDoesNotComeBack has a push written although the storage says that it failed. Nothing that is acknowledged later
// may stand beside it after a restart, be it a group of that number, that key or that series.
func TestRefusedDoesNotComeBack(tb *testing.T) {
	tb.Parallel()
	for _, first := range []string{"FAIL job/other", "PUT job/j b"} {
		for _, then := range []string{"PUT job/k b", `PUT job/j c`, `PUT job/j/x/1 a`, "FAIL job/l", "DELETE job/other"} {
			c := newClient(map[string][]byte{})
			s, _ := restored(tb, c)
			require.NoError(tb, do(tb, s, 1, first))
			c.fault = failing(1, after)
			require.Error(tb, do(tb, s, 2, `PUT job/j a{x="1"}`))
			assert.Contains(tb, fmt.Sprint(reopened(tb, c.crashed())), "gauge", "nobody knows what the storage has")
			require.NoError(tb, do(tb, s, 3, "PUT job/new n"))
			require.NoError(tb, do(tb, s, 4, then))
			assert.Equal(tb, stateOf(tb, s), reopened(tb, c.crashed()))
		}
	}
}

// failing makes the n-th operation fail.
func failing(n int, how fault) func() fault {
	return func() fault {
		n--
		if n == 0 {
			return how
		}
		return works
	}
}

// TestLeftovers of a push that failed are deleted with its group.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 1, "PUT job/j a"))
	c.fault = failing(1, after)
	require.Error(t, do(t, s, 2, "PUT job/j "+many(0, 30)))
	require.NoError(t, do(t, s, 3, "DELETE job/j"))
	require.NoError(t, do(t, s, 4, "SETTLE job/j"))
	assert.Len(t, c.records, 2, "the numbers and the owner")
}

// TestDoubtBlocks refuses further changes while it cannot be ruled out that one that was refused comes back.
func TestDoubtBlocks(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, failed := restored(t, c)
	require.NoError(t, do(t, s, 1, "PUT job/j a"))
	faults := []fault{after, before, works}
	c.fault = func() fault {
		if len(faults) == 0 {
			return works
		}
		next := faults[0]
		faults = faults[1:]
		return next
	}
	require.Error(t, do(t, s, 2, "PUT job/j b"))
	require.Error(t, do(t, s, 3, "PUT job/k c"), "what is in doubt could not be brought back")
	assert.Equal(t, []string{"write the storage has failed", "write the storage has failed"}, failed.All)
	require.NoError(t, do(t, s, 4, "PUT job/k c"))
	assert.Equal(t, []string{"job/j lives a", "job/k lives c"}, shown(t, s))
	assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()))
}

// TestStorageErrorsSpeak to the person who pushed.
func TestStorageErrorsSpeak(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, failed := restored(t, c)
	c.fault = func() fault { return before }
	err := do(t, s, 1, "PUT job/j a")
	var storageError *store.StorageError
	require.ErrorAs(t, err, &storageError)
	require.ErrorIs(t, err, errStorage)
	assert.Equal(t, "the push could not be stored, so nothing was changed; try again later: the storage has failed", err.Error())
	assert.Equal(t, []string{"write the storage has failed"}, failed.All)
	assert.Empty(t, snapshotsOf(t, s))
	require.NoError(t, s.Close(t.Context()))
	assert.True(t, c.closed)
}
