// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// expired lists the jobs whose groups an expiry removes.
func expired(t *testing.T, s *testStore) []string {
	t.Helper()
	e, err := s.Expire(t.Context())
	require.NoError(t, err)
	requireSound(t, s)
	assert.Empty(t, e.Lapsed)
	return jobs(e.Groups)
}

func jobs(keys []groupingkey.Key) (jobs []string) {
	for _, key := range keys {
		jobs = append(jobs, key.Job)
	}
	return slices.Sorted(slices.Values(jobs))
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	setUp := func() *testStore {
		o := options()
		o.TTL = 10 * time.Second
		s := newStore(o)
		for i, step := range []string{"PUT job/a x", "PUT job/b x", "FAIL job/c", "PUT job/d x", "POST job/a", "FAIL job/b", "FAIL job/c"} {
			require.NoError(t, do(t, s, i, step))
			requireSound(t, s)
		}
		return s
	}
	for second, want := range map[int][]string{
		10: nil,
		11: {"b"},                // A failed push does not prolong a life,
		14: {"a", "b", "d"},      // but a successful one does,
		15: {"a", "b", "d"},      // and so does a failed one
		16: {"a", "b", "c", "d"}, // if none ever succeeded.
	} {
		s := setUp()
		s.set(at(second))
		assert.Equal(t, want, expired(t, s), second)
		assert.Empty(t, expired(t, s), "once")
	}

	s := setUp()
	require.NoError(t, do(t, s, 12, "DELETE job/b"))
	require.NoError(t, do(t, s, 13, "POST job/d"))
	s.set(at(20))
	assert.Equal(t, []string{"a", "c"}, expired(t, s))
	assert.Equal(t, []string{"job/a deleted, pending " + times + " x", "job/b deleted, pending " + times + " x", "job/c deleted, pending " + times, "job/d lives x"}, shown(t, s))

	never := newStore(options())
	require.NoError(t, do(t, never, 1, "PUT job/a x"))
	never.set(at(1 << 30))
	assert.Empty(t, expired(t, never))
}

// TestExpiryIsBounded removes many groups, the oldest ones first, in several expiries.
func TestExpiryIsBounded(t *testing.T) {
	t.Parallel()
	o := store.Options{TTL: time.Second}
	s := newStore(o)
	for i := range memory.ExpiredAtOnce + 1 {
		require.NoError(t, change(t, s, 0, fmt.Sprintf("PUT job/%d", i)))
	}
	s.set(at(1))
	first := expired(t, s)
	assert.Len(t, first, memory.ExpiredAtOnce)
	assert.NotContains(t, first, strconv.Itoa(memory.ExpiredAtOnce))
	assert.Len(t, expired(t, s), 1)
}

// TestExpiryThatCannotBeStored reports what it removed, and removes the rest later.
func TestExpiryThatCannotBeStored(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	o := options()
	o.TTL = time.Second
	s, _ := restoredWith(t, c, o)
	for _, job := range []string{"a", "b"} {
		require.NoError(t, do(t, s, 0, "PUT job/"+job+" x"))
	}
	s.set(at(1))
	held := stateOf(t, s)
	c.fault = func() fault { return before }
	e, err := s.Expire(t.Context())
	var failed *store.StorageError
	require.ErrorAs(t, err, &failed)
	assert.Empty(t, e.Groups, "none was removed")
	assert.Equal(t, held, stateOf(t, s), "nothing has changed")
	c.fault = nil
	assert.Equal(t, []string{"a", "b"}, expired(t, s))
	requireRestored(t, s, c.crashed())
}

// TestExpiryOfAGroupThatIsPushedTo waits for the push and leaves the group alone.
func TestExpiryOfAGroupThatIsPushedTo(t *testing.T) {
	t.Parallel()
	c := newGate(newClient(map[string][]byte{}))
	o := options()
	o.TTL = time.Second
	s, _ := restoredWith(t, c, o)
	require.NoError(t, do(t, s, 0, "PUT job/a x"))
	s.set(at(1))
	c.shut()
	push := c.begin(func() error { return change(t, s, 1, "POST job/a y") })
	c.awaitBatch()
	expiry := make(chan store.Expired)
	go func() {
		e, err := s.Expire(t.Context())
		assert.NoError(t, err)
		expiry <- e
	}()
	c.open()
	require.NoError(t, <-push)
	assert.Empty(t, (<-expiry).Groups)
	assert.Equal(t, []string{"job/a lives x y"}, shown(t, s))
}

// TestLapse drops markers that were not accepted until no backend shows their series any more.
func TestLapse(t *testing.T) {
	t.Parallel()
	const minute = 60
	for name, tc := range map[string]struct {
		steps []string // a minute each
		at    int      // minutes
		want  []string
		lost  int
	}{
		"not before":            {[]string{"PUT job/j a b", "PUT job/j c"}, 4, []string{"job/j lives c, pending a b"}, 0},
		"after the last export": {[]string{"PUT job/j a b", "PUT job/j c"}, 5, []string{"job/j lives c"}, 2},
		"of a deleted group":    {[]string{"PUT job/j a b", "DELETE job/j"}, 5, nil, 4},
		"after each export":     {[]string{"PUT job/j a b", "POST job/j a{x=\"1\"}", "DELETE job/j"}, 6, nil, 5},
		"one by one": {
			[]string{"PUT job/j a b", "PUT job/j b", "PUT job/j"}, 5, []string{"job/j lives, pending b"}, 1,
		},
		"not what was added again": {[]string{"PUT job/j a b", "PUT job/j", "POST job/j b"}, 5, []string{"job/j lives b"}, 1},
		"not what another group took over": {
			[]string{`PUT job/j a{x="1"} b`, "PUT job/j", "PUT job/j/x/1 a"}, 5, []string{"job/j lives", "job/j/x/1 lives a"}, 1,
		},
		"nor what the other group ended": {
			[]string{`PUT job/j a{x="1"}`, "PUT job/j", "PUT job/j/x/1 a", "PUT job/j/x/1"}, 5, []string{"job/j lives", `job/j/x/1 lives, pending a{x="1"}`}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(map[string][]byte{})
			s, _ := restored(t, c)
			for i, step := range tc.steps {
				require.NoError(t, do(t, s, i*minute, step))
			}
			s.set(at(tc.at * minute))
			e, err := s.Expire(t.Context())
			require.NoError(t, err)
			assert.Empty(t, e.Groups)
			assert.Equal(t, tc.lost, e.LapsedSeries)
			assert.Equal(t, tc.lost > 0, len(e.Lapsed) > 0, e.Lapsed)
			assert.Equal(t, tc.want, shown(t, s))
			requireRestored(t, s, c.crashed())
		})
	}
}

// TestLapsedSeriesAreFree for other groups, and their group for others.
func TestLapsedSeriesAreFree(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, `PUT job/j a{x="1"}`))
	require.NoError(t, do(t, s, 0, "DELETE job/j"))
	s.pass(memory.Lookback)
	_, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Empty(t, shown(t, s))
	assert.Len(t, c.records, 1, "nothing is left")
	groups, _ := s.Waiting()
	assert.Zero(t, groups)
	require.NoError(t, do(t, s, 400, "PUT job/j/x/1 a"))
	assert.Equal(t, []string{"job/j/x/1 lives a"}, shown(t, s))
}

// TestLapseAfterRestart counts from the restart, since nobody knows when the values were exported.
func TestLapseAfterRestart(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, "PUT job/j a"))
	require.NoError(t, do(t, s, 0, "PUT job/j"))
	s, _ = restored(t, c)
	s.pass(memory.Lookback - 1)
	e, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Zero(t, e.LapsedSeries)
	s.pass(1)
	e, err = s.Expire(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, e.LapsedSeries)
	assert.Equal(t, []string{"job/j lives"}, shown(t, s))
}

// TestLapseThatCannotBeStored leaves the markers pending until the next expiry.
func TestLapseThatCannotBeStored(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, "PUT job/j a"))
	require.NoError(t, do(t, s, 0, "DELETE job/j"))
	s.pass(memory.Lookback)
	held := stateOf(t, s)
	c.fault = failing(1, before)
	e, err := s.Expire(t.Context())
	var failed *store.StorageError
	require.ErrorAs(t, err, &failed)
	assert.Zero(t, e.LapsedSeries, "none was dropped")
	assert.Equal(t, held, stateOf(t, s))
	e, err = s.Expire(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, e.LapsedSeries)
	assert.Empty(t, shown(t, s))
}

// TestClaimedMarkersDoNotLapse until their claim is settled: a group that has their series then must not be exported beside them.
func TestClaimedMarkersDoNotLapse(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	require.NoError(t, do(t, s, 0, `PUT job/j a{x="1"}`))
	require.NoError(t, do(t, s, 0, "DELETE job/j"))
	claim, _ := s.Claim(t.Context(), all)
	s.pass(memory.Lookback)
	e, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Zero(t, e.LapsedSeries)
	require.NoError(t, change(t, s, 301, "PUT job/j/x/1 a"))
	require.NoError(t, change(t, s, 301, "PUT job/j b"))
	none, _ := s.Claim(t.Context(), all)
	assert.Nil(t, none)
	require.NoError(t, s.Settle(t.Context(), claim))
	requireSound(t, s)
	claim, _ = s.Claim(t.Context(), all)
	assert.Equal(t, []string{"job/j/x/1: a times", "job/j: b times"}, sortedStrings(spelled(claim.Parts)))
	for _, p := range claim.Parts {
		p.Outcome = accepted
	}
	require.NoError(t, s.Settle(t.Context(), claim))
}

func sortedStrings(all []string) []string { return slices.Sorted(slices.Values(all)) }

// TestWipe removes all groups, in few batches.
func TestWipe(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	for i := range 200 {
		require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/%d a", i)))
	}
	require.NoError(t, s.Wipe(t.Context()))
	for _, line := range shown(t, s) {
		assert.True(t, strings.HasSuffix(line, " deleted, pending a "+times), line)
	}
	assert.Equal(t, store.Counts{Pending: 3 * 200, PendingSize: s.Counts().PendingSize}, s.Counts())
	requireRestored(t, s, c.crashed())
	require.NoError(t, s.Wipe(t.Context()), "there is nothing left to remove")
}

// TestWipeThatCannotBeStored may have removed some groups, each whole or not at all.
func TestWipeThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for _, how := range []fault{before, inPart, after} {
		c := newClient(map[string][]byte{})
		s, _ := restored(t, c)
		for i := range 200 {
			require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/%d a", i)))
		}
		c.fault = failing(2, how)
		var failed *store.StorageError
		require.ErrorAs(t, s.Wipe(t.Context()), &failed)
		requireSound(t, s)
		assert.NotZero(t, s.Counts().Groups)
		require.NoError(t, s.Wipe(t.Context()))
		assert.Zero(t, s.Counts().Groups)
		requireRestored(t, s, c.crashed())
	}
	s := newStore(options())
	require.NoError(t, do(t, s, 1, "PUT job/a x"))
	gone := endedContext(t)
	require.ErrorIs(t, s.Wipe(gone), store.ErrBusy)
	assert.Equal(t, []string{"job/a lives x"}, shown(t, s))
}

// TestLapsingMarkersAreInNoClaim while it is being stored that they are dropped. The group is claimed again if it cannot be stored.
func TestLapsingMarkersAreInNoClaim(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]fault{"stored": works, "not stored": before} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newGate(newClient(map[string][]byte{}))
			s, _ := restored(t, c)
			require.NoError(t, do(t, s, 0, "PUT job/j a"))
			require.NoError(t, do(t, s, 0, "PUT job/j"))
			s.pass(memory.Lookback)
			c.shut()
			c.fault = failing(1, how)
			expiry := c.begin(func() error {
				_, err := s.Expire(t.Context())
				return err
			})
			c.awaitBatch()
			claim, _ := s.Claim(t.Context(), all)
			assert.Nil(t, claim)
			c.open()
			assert.Equal(t, how != works, <-expiry != nil)
			requireSound(t, s)
			claim = claimed(t, s)
			assert.Equal(t, how != works, len(claim.Parts) > 0)
			settleAll(t, s, claim, accepted)
			groups, _ := s.Waiting()
			assert.Zero(t, groups)
			assert.Equal(t, []string{"job/j lives"}, shown(t, s))
		})
	}
}
