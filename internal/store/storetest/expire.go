// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

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
)

// Expired lists the jobs whose groups an expiry removes.
func Expired(t *testing.T, s *Store) []string {
	t.Helper()
	e, err := s.Expire(t.Context())
	require.NoError(t, err)
	RequireSound(t, s)
	assert.Empty(t, e.Lapsed)
	return Jobs(e.Groups)
}

func Jobs(keys []groupingkey.Key) (jobs []string) {
	for _, key := range keys {
		jobs = append(jobs, key.Job)
	}
	return slices.Sorted(slices.Values(jobs))
}

func testExpiry(t *testing.T, open Open) {
	t.Parallel()
	setUp := func() *Store {
		o := DefaultOptions()
		o.TTL = 10 * time.Second
		s := open(t, o)
		for i, step := range []string{"PUT job/a x", "PUT job/b x", "FAIL job/c", "PUT job/d x", "POST job/a", "FAIL job/b", "FAIL job/c"} {
			require.NoError(t, Do(t, s, i, step))
			RequireSound(t, s)
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
		s.Set(At(second))
		assert.Equal(t, want, Expired(t, s), second)
		assert.Empty(t, Expired(t, s), "once")
	}

	s := setUp()
	require.NoError(t, Do(t, s, 12, "DELETE job/b"))
	require.NoError(t, Do(t, s, 13, "POST job/d"))
	s.Set(At(20))
	assert.Equal(t, []string{"a", "c"}, Expired(t, s))
	assert.Equal(t, []string{"job/a deleted, pending " + Times + " x", "job/b deleted, pending " + Times + " x", "job/c deleted, pending " + Times, "job/d lives x"}, Shown(t, s))

	never := open(t, DefaultOptions())
	require.NoError(t, Do(t, never, 1, "PUT job/a x"))
	never.Set(At(1 << 30))
	assert.Empty(t, Expired(t, never))
}

// expiredAtOnce limits the groups that one expiry removes.
const expiredAtOnce = 1000

// testExpiryIsBounded removes many groups, the oldest ones first, in several expiries.
func testExpiryIsBounded(t *testing.T, open Open) {
	t.Parallel()
	o := store.Options{TTL: time.Second}
	s := open(t, o)
	for i := range expiredAtOnce + 1 {
		require.NoError(t, Change(t, s, 0, fmt.Sprintf("PUT job/%d", i)))
	}
	s.Set(At(1))
	first := Expired(t, s)
	assert.Len(t, first, expiredAtOnce)
	assert.NotContains(t, first, strconv.Itoa(expiredAtOnce))
	assert.Len(t, Expired(t, s), 1)
}

// testLapse drops markers that were not accepted until no backend shows their series any more.
func testLapse(t *testing.T, open Open) {
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
			s := open(t, DefaultOptions())
			for i, step := range tc.steps {
				require.NoError(t, Do(t, s, i*minute, step))
			}
			s.Set(At(tc.at * minute))
			e, err := s.Expire(t.Context())
			require.NoError(t, err)
			assert.Empty(t, e.Groups)
			assert.Equal(t, tc.lost, e.LapsedSeries)
			assert.Equal(t, tc.lost > 0, len(e.Lapsed) > 0, e.Lapsed)
			assert.Equal(t, tc.want, Shown(t, s))
			s.RequireDurable(t)
		})
	}
}

// testLapsedSeriesAreFree for other groups, and their group for others.
func testLapsedSeriesAreFree(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 0, `PUT job/j a{x="1"}`))
	require.NoError(t, Do(t, s, 0, "DELETE job/j"))
	s.Pass(store.Lookback)
	_, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Empty(t, Shown(t, s))
	assert.Zero(t, s.Counts())
	s.RequireExact(t)
	groups, _ := s.Waiting()
	assert.Zero(t, groups)
	require.NoError(t, Do(t, s, 400, "PUT job/j/x/1 a"))
	assert.Equal(t, []string{"job/j/x/1 lives a"}, Shown(t, s))
}

// testClaimedMarkersDoNotLapse until their claim is settled: a group that has their series then must not be exported beside them.
func testClaimedMarkersDoNotLapse(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 0, `PUT job/j a{x="1"}`))
	require.NoError(t, Do(t, s, 0, "DELETE job/j"))
	claim, _ := s.Claim(t.Context(), All)
	s.Pass(store.Lookback)
	e, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Zero(t, e.LapsedSeries)
	require.NoError(t, Change(t, s, 301, "PUT job/j/x/1 a"))
	require.NoError(t, Change(t, s, 301, "PUT job/j b"))
	none, _ := s.Claim(t.Context(), All)
	assert.Nil(t, none)
	require.NoError(t, s.Settle(t.Context(), claim))
	RequireSound(t, s)
	claim, _ = s.Claim(t.Context(), All)
	assert.Equal(t, []string{"job/j/x/1: a times", "job/j: b times"}, SortedStrings(Spelled(claim.Parts)))
	for _, p := range claim.Parts {
		p.Outcome = Accepted
	}
	require.NoError(t, s.Settle(t.Context(), claim))
}

func SortedStrings(all []string) []string { return slices.Sorted(slices.Values(all)) }

// testWipe removes all groups, in few batches.
func testWipe(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	for i := range 200 {
		require.NoError(t, Do(t, s, i, fmt.Sprintf("PUT job/%d a", i)))
	}
	require.NoError(t, s.Wipe(t.Context()))
	for _, line := range Shown(t, s) {
		assert.True(t, strings.HasSuffix(line, " deleted, pending a "+Times), line)
	}
	assert.Equal(t, store.Counts{Pending: 3 * 200, PendingSize: s.Counts().PendingSize}, s.Counts())
	s.RequireDurable(t)
	require.NoError(t, s.Wipe(t.Context()), "there is nothing left to remove")
}
