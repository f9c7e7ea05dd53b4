// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// TestCostOfAPush posts one family into a group of a thousand that stands among others. What is written is in proportion to
// the family, but for a bit for each family, and nothing else is touched or read.
func TestCostOfAPush(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	for i := range 20 {
		require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/j%d a b c", i)))
	}
	c.forget()
	require.NoError(t, do(t, s, 30, "PUT job/large "+many(0, 1000)))
	number := numberOf(c.touched[0])
	c.forget()
	require.NoError(t, do(t, s, 31, "POST job/large m500"))
	assert.Empty(t, c.read)
	assert.Len(t, c.touched, 2, "the family and the group: %v", c.touched)
	assert.Less(t, c.bytes, 1000)

	c.forget()
	require.NoError(t, do(t, s, 32, `POST job/large m500{x="1"}`))
	assert.Len(t, c.touched, 3, "the markers, too: %v", c.touched)
	assert.Less(t, c.bytes, 1500)

	c.forget()
	require.NoError(t, do(t, s, 33, "SETTLE job/large"))
	require.NoError(t, do(t, s, 34, "FAIL job/large"))
	require.NoError(t, do(t, s, 35, "POST job/large"))
	assert.Len(t, c.touched, 3, "the group alone: %v", c.touched)
	for _, key := range c.touched {
		assert.Equal(t, number, numberOf(key))
	}
}

// TestChangesTouchTheirGroupAlone looks at each kind of change.
func TestChangesTouchTheirGroupAlone(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, "PUT job/other a b c"))
	require.NoError(t, do(t, s, 1, "PUT job/j a b c"))
	number := numberOf(c.touched[len(c.touched)-1])
	c.forget()
	for i, step := range []string{
		"PUT job/j a", "POST job/j b", "FAIL job/j", "SETTLE job/j", "DELETE job/j", "POST job/j c", "DELETE job/j", "SETTLE job/j",
	} {
		require.NoError(t, do(t, s, i, step))
	}
	for _, key := range c.touched {
		assert.Equal(t, number, numberOf(key), key)
	}
	assert.Empty(t, c.read)
}

// TestNothingIsLeft deletes what was in the storage, after a restart, too.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		c := newClient(map[string][]byte{})
		s, _ := restored(t, c)
		for i := range 10 {
			require.NoError(t, do(t, s, i, "PUT job/j "+many(i, 30-2*i)))
		}
		if restart {
			s, _ = restored(t, c)
		}
		require.NoError(t, do(t, s, 11, "DELETE job/j"))
		require.NoError(t, do(t, s, 12, "SETTLE job/j"))
		assert.Equal(t, []string{memory.NumbersName, memory.OwnerName}, slices.Sorted(maps.Keys(c.records)))
	}
}

// TestGroupsThatBecomeSmall give up the records that they no longer need.
func TestGroupsThatBecomeSmall(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, failed := restored(t, c)
	require.NoError(t, do(t, s, 1, "PUT job/j "+many(0, 500)))
	require.NoError(t, do(t, s, 2, "PUT job/j"))
	c.fault = failing(2, before)
	require.NoError(t, do(t, s, 3, "SETTLE job/j"), "what is left over is no failure")
	assert.Len(t, failed.All, 1)
	require.NoError(t, do(t, s, 4, "POST job/j a"))
	assert.Less(t, len(c.records), 100)
	assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()))
}

// TestNumbersAreUsedAgain keeps the search for groups short.
func TestNumbersAreUsedAgain(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	for i := range 1000 {
		require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/j%d a", i)))
		require.NoError(t, do(t, s, i, fmt.Sprintf("DELETE job/j%d", i)))
		require.NoError(t, do(t, s, i, fmt.Sprintf("SETTLE job/j%d", i)))
		if i%100 == 0 {
			s, _ = restored(t, c)
		}
	}
	require.NoError(t, do(t, s, 1000, "PUT job/j a"))
	assert.Contains(t, c.records, memory.GroupName(0))
}

// TestManyGroups are more than are read at once.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	for i := range 700 {
		require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/j%d a", i)))
	}
	for i := range 600 {
		require.NoError(t, do(t, s, i, fmt.Sprintf("DELETE job/j%d", i)))
		require.NoError(t, do(t, s, i, fmt.Sprintf("SETTLE job/j%d", i)))
	}
	want := stateOf(t, s)
	for range 3 {
		s, failed := restored(t, c)
		require.Empty(t, failed.All)
		require.Equal(t, want, stateOf(t, s))
		require.NoError(t, do(t, s, 1000, "PUT job/j699 b"))
		want = stateOf(t, s)
	}
}

// TestExpiryAfterRestart counts on from the last push.
func TestExpiryAfterRestart(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	for i, step := range []string{"PUT job/a x", "PUT job/b x", "FAIL job/c", "POST job/a", "FAIL job/b", "PUT job/d x", "DELETE job/d"} {
		require.NoError(t, do(t, s, i, step))
	}
	o := options()
	o.TTL = 10 * time.Second
	s, failed := restoredWith(t, c, o)
	require.Empty(t, failed.All)
	requireSound(t, s)
	s.Set(at(10))
	assert.Empty(t, expired(t, s))
	s.Set(at(13))
	assert.Equal(t, []string{"a", "b", "c"}, expired(t, s))
}
