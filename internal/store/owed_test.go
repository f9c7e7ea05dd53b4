// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store_test

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
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// labeled are so many series of one family, as do has them.
func labeled(name string, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, ` %s{x="%d"}`, name, i)
	}
	return b.String()
}

// parts are how many series each part of what a group owes ends.
func parts(s *store.Store, key groupingkey.Key) (ends []int) {
	for markers := range s.Owed(key) {
		ends = append(ends, len(series.Append(nil, markers.Metrics(), pushtest.Scope)))
	}
	return ends
}

// TestOwedInParts ends as many series at once as a request may hold, be they of one change or of many.
func TestOwedInParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []string
		want  []int
	}{
		"nothing":           {[]string{"PUT job/j a"}, nil},
		"little":            {[]string{"PUT job/j a b", "PUT job/j c", "PUT job/j"}, []int{3}},
		"one family":        {[]string{"PUT job/j" + labeled("a", 2500), "PUT job/j"}, []int{500, 1000, 1000}},
		"many families":     {[]string{"PUT job/j " + many(0, 2500), "PUT job/j"}, []int{500, 1000, 1000}},
		"a deletion":        {[]string{"PUT job/j " + many(0, 999), "DELETE job/j"}, []int{1, 1000}},
		"later changes":     {[]string{"PUT job/j" + labeled("a", 600), "PUT job/j" + labeled("b", 600), "PUT job/j c", "PUT job/j"}, []int{601, 600}},
		"a large histogram": {[]string{"PUT job/j h:" + bounds(1100), "DELETE job/j"}, []int{2, 1103}},
		"come again":        {[]string{"PUT job/j" + labeled("a", 2500), "PUT job/j", `PUT job/j a{x="0"}`}, []int{999, 500, 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newClient(map[string][]byte{})
			s, _ := restored(t, cl)
			key := pushtest.Key(t, "job/j")
			for i, step := range c.steps {
				require.NoError(t, do(t, s, i, step))
			}
			requireSound(t, s)
			assert.Equal(t, sorted(c.want), sorted(parts(s, key)))
			assert.Equal(t, len(c.want) == 0, s.Latest(key).IsEmpty())
			assert.Equal(t, stateOf(t, s), reopened(t, cl.crashed()))
			for range c.want {
				require.NoError(t, s.Settle(t.Context(), key, s.Latest(key), at(9)))
				assert.Equal(t, stateOf(t, s), reopened(t, cl.crashed()))
			}
			assert.Empty(t, parts(s, key))
		})
	}
}

func sorted(numbers []int) []int { return slices.Sorted(slices.Values(numbers)) }

func bounds(count int) string {
	all := make([]string, count)
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	return strings.Join(all, ",")
}

// TestLastChangeFirst has the markers of the last change come first, and those of earlier ones settled before others.
func TestLastChangeFirst(t *testing.T) {
	t.Parallel()
	s := store.New(options())
	key := pushtest.Key(t, "job/j")
	for i, step := range []string{"PUT job/j" + labeled("a", 900), "PUT job/j" + labeled("b", 900), "PUT job/j c", "DELETE job/j"} {
		require.NoError(t, do(t, s, i, step))
	}
	all := slices.Collect(s.Owed(key))
	require.Len(t, all, 2)
	assert.Equal(t, []string{"b", "c", "push_failure_time_seconds", "push_time_seconds"}, namesOf(all[0]))
	require.NoError(t, s.Settle(t.Context(), key, all[1], at(9)))
	requireSound(t, s)
	assert.Equal(t, []int{903}, parts(s, key))
	require.NoError(t, s.Settle(t.Context(), key, all[0], at(9)))
	assert.Empty(t, shown(t, s), "it is forgotten with the last of them")
}

// namesOf are the names that markers end.
func namesOf(markers store.Markers) (names []string) {
	for _, marker := range spelledMarkers(markers.Metrics()) {
		name, _, _ := strings.Cut(marker, "{")
		names = append(names, name)
	}
	return slices.Compact(names)
}

// TestGiveUp stops owing what is refused for good when its series have ended by themselves.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	const minute = 60
	for name, c := range map[string]struct {
		refused []int // seconds
		given   int   // the last time
	}{
		"once":                   {[]int{9 * minute}, 0},
		"for a while":            {[]int{0, minute, 4 * minute}, 0},
		"for five minutes":       {[]int{0, 5 * minute}, 2},
		"not before in between":  {[]int{minute, 3 * minute, 5 * minute}, 0},
		"for longer than needed": {[]int{0, 60 * minute}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newClient(map[string][]byte{})
			s, _ := restored(t, cl)
			key := pushtest.Key(t, "job/j")
			require.NoError(t, do(t, s, 0, `PUT job/j a{instance="i"} b`))
			require.NoError(t, do(t, s, 0, "PUT job/j"))
			given := 0
			for _, n := range c.refused {
				assert.Zero(t, given)
				for markers := range s.Owed(key) {
					var err error
					given, err = s.GiveUp(t.Context(), key, markers, at(n))
					require.NoError(t, err)
				}
			}
			assert.Equal(t, c.given, given)
			assert.Equal(t, c.given == 0, len(parts(s, key)) > 0)
			assert.Equal(t, stateOf(t, s), reopened(t, cl.crashed()))
			if given > 0 {
				require.NoError(t, do(t, s, 1, "PUT job/j/instance/i a"))
				assert.Equal(t, at(c.refused[len(c.refused)-1]).UnixMilli(), s.After(pushtest.Key(t, "job/j/instance/i")).UnixMilli())
			}
		})
	}
}

// TestGiveUpInPart gives up what has been refused for long, and no more of what was refused beside it.
func TestGiveUpInPart(t *testing.T) {
	t.Parallel()
	s := store.New(options())
	key := pushtest.Key(t, "job/j")
	refuse := func(n int) (given int) {
		for markers := range s.Owed(key) {
			var err error
			given, err = s.GiveUp(t.Context(), key, markers, at(n))
			require.NoError(t, err)
		}
		return given
	}
	require.NoError(t, do(t, s, 0, "PUT job/j a b"))
	require.NoError(t, do(t, s, 0, "PUT job/j c"))
	assert.Zero(t, refuse(0))
	assert.True(t, s.Latest(key).IsEmpty())
	require.NoError(t, do(t, s, 1, "PUT job/j"))
	assert.Equal(t, []string{"c"}, namesOf(s.Latest(key)), "not beside what was refused")
	assert.Equal(t, []int{1, 2}, parts(s, key))
	assert.Zero(t, refuse(200))
	assert.Equal(t, 2, refuse(300))
	assert.Equal(t, []string{"job/j lives, owes c"}, shown(t, s))
	require.NoError(t, do(t, s, 301, "PUT job/j c"))
	require.NoError(t, do(t, s, 302, "PUT job/j"))
	assert.Zero(t, refuse(600), "it was there meanwhile")
	given, err := s.GiveUp(t.Context(), pushtest.Key(t, "job/unknown"), store.Markers{}, at(1))
	assert.Zero(t, given)
	assert.NoError(t, err)
}

// TestGivenUpIsStored leaves owed what could not be written.
func TestGivenUpIsStored(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	key := pushtest.Key(t, "job/j")
	require.NoError(t, do(t, s, 0, "PUT job/j a"))
	require.NoError(t, do(t, s, 0, "DELETE job/j"))
	c.fault = failing(1, before)
	var last error
	for n := range 3 {
		for markers := range s.Owed(key) {
			_, last = s.GiveUp(t.Context(), key, markers, at(n*int(5*time.Minute/time.Second)))
		}
		var failed *store.StorageError
		assert.Equal(t, n == 1, assert.ObjectsAreEqual(true, last != nil))
		if n == 1 {
			require.ErrorAs(t, last, &failed)
			assert.NotEmpty(t, parts(s, key))
		}
	}
	assert.Empty(t, shown(t, s))
}
