// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// passAndExpire lets time pass and then expires, as the receiver does once a second.
func passAndExpire(t *testing.T, stores ...*testStore) {
	t.Helper()
	for _, s := range stores {
		s.Pass(memory.OwnerInterval)
		_, err := s.Expire(t.Context())
		require.NoError(t, err)
	}
}

// TestTwoProcesses on the same records both notice, as long as both run.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	a, aFailed := restored(t, c)
	passAndExpire(t, a)
	assert.Empty(t, aFailed.All)
	b, bFailed := restored(t, c)
	for round := range 3 {
		passAndExpire(t, a, b)
		require.Len(t, aFailed.All, round+1)
		require.Len(t, bFailed.All, round+1)
	}
	for _, line := range append(aFailed.All, bFailed.All...) {
		assert.True(t, strings.HasPrefix(line, "shared "+memory.OwnerName+": "), line)
		assert.Contains(t, line, "groups::postgres")
	}

	passAndExpire(t, a) // The last record was the other's.
	bFailed.All, aFailed.All = nil, nil
	for range 3 {
		passAndExpire(t, a)
	}
	assert.Empty(t, aFailed.All, "b has ended")
}

// TestRestartIsNoSecondProcess however the earlier process ended, and also if the record cannot be written at first.
func TestRestartIsNoSecondProcess(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	for range 3 {
		s, failed := restored(t, c)
		passAndExpire(t, s, s)
		assert.Empty(t, failed.All)
	}

	for _, how := range []fault{before, after} {
		c.unwritable = map[string]fault{memory.OwnerName: how}
		s, failed := restored(t, c)
		assert.Equal(t, []string{"write " + memory.OwnerName + ": " + errStorage.Error()}, failed.All)
		c.unwritable = nil
		passAndExpire(t, s, s)
		assert.Len(t, failed.All, 1)
	}
}

// TestCrashAtStart after every operation that a start needs. The next start finds all groups and no second process.
func TestCrashAtStart(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, change(t, s, 0, "PUT job/a x y"))
	want := stateOf(t, s)
	crashes := []map[string][]byte{c.crashed()}
	c.applied = func() { crashes = append(crashes, c.crashed()) }
	again, _ := restored(t, c)
	passAndExpire(t, again)
	require.Greater(t, len(crashes), 1)
	for _, records := range crashes {
		next, failed := restored(t, newClient(records))
		assert.Equal(t, want.Groups, stateOf(t, next).Groups)
		passAndExpire(t, next, next)
		assert.Empty(t, failed.All)
	}
}

// TestOwnerIsReadSeldom and a record that cannot be read, or that is gone, is no second process.
func TestOwnerIsReadSeldom(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, failed := restored(t, c)
	c.forget()
	for range 20 {
		s.Pass(memory.OwnerInterval / 10)
		_, err := s.Expire(t.Context())
		require.NoError(t, err)
	}
	assert.Equal(t, []string{memory.OwnerName, memory.OwnerName}, c.read)
	assert.Empty(t, c.touched)

	c.unreadable = map[string]bool{memory.OwnerName: true}
	passAndExpire(t, s)
	assert.Equal(t, []string{"read " + memory.OwnerName + ": " + errStorage.Error()}, failed.All)
	c.unreadable = nil
	delete(c.records, memory.OwnerName)
	passAndExpire(t, s, s)
	assert.Len(t, failed.All, 1)
	assert.Contains(t, c.records, memory.OwnerName)
}
