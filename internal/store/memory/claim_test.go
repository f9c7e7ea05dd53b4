// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// TestLastMarkersInTwoParts deletes the record of a deleted group also if both parts were the last ones.
func TestLastMarkersInTwoParts(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	o := options()
	o.PushTimes = nil
	s, _ := restoredWith(t, c, o)
	require.NoError(t, do(t, s, 0, `PUT job/j a{x="1"} b{x="1"}`))
	require.NoError(t, do(t, s, 1, "DELETE job/j"))
	claim := claimed(t, s)
	claim.Divide(claim.Parts[0])
	require.NoError(t, change(t, s, 2, "PUT job/j/x/1 a b"))
	settleAll(t, s, claim, accepted)
	require.NoError(t, settle(t, s, "job/j"))
	assert.Equal(t, []string{"job/j/x/1 lives a b"}, shown(t, s))
	assert.NotContains(t, c.records, memory.GroupName(0), "nothing is left of it")
}

// TestAcceptedMarkersThatCannotBeStored are pending after a restart, and stored a while later.
func TestAcceptedMarkersThatCannotBeStored(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, "PUT job/j a b"))
	require.NoError(t, do(t, s, 0, "PUT job/k a"))
	changes(t, s, "PUT job/j b", "DELETE job/k")
	claim := claimed(t, s)
	for _, p := range claim.Parts {
		p.Outcome = accepted
	}
	c.fault = func() fault { return before }
	var failed *store.StorageError
	require.ErrorAs(t, s.Settle(t.Context(), claim), &failed)
	requireRestored(t, s, c.crashed())
	assert.Len(t, reopened(t, c.crashed()).Pending, 2)
	c.fault = nil
	assert.Equal(t, at(1).Add(memory.AckRetry), requireNothingDue(t, s))
	s.Pass(memory.AckRetry)
	claim = claimed(t, s)
	assert.Empty(t, spelled(claim.Parts), "nothing is to be exported")
	require.NoError(t, s.Settle(t.Context(), claim))
	requireSound(t, s)
	assert.Equal(t, []string{"job/j lives b"}, shown(t, s))
	assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()))
	groups, _ := s.Waiting()
	assert.Zero(t, groups)
}
