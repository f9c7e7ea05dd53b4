// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

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
	s.Set(at(1))
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
	s.Set(at(1))
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

// TestLapseAfterRestart counts from the restart, since nobody knows when the values were exported.
func TestLapseAfterRestart(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, "PUT job/j a"))
	require.NoError(t, do(t, s, 0, "PUT job/j"))
	s, _ = restored(t, c)
	s.Pass(memory.Lookback - 1)
	e, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Zero(t, e.LapsedSeries)
	s.Pass(1)
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
	s.Pass(memory.Lookback)
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
			s.Pass(memory.Lookback)
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
