// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// TestRoomIsKeptUntilStored does not give others the room of what a change takes away before it is known to be stored.
func TestRoomIsKeptUntilStored(t *testing.T) {
	t.Parallel()
	for step, limits := range map[string]store.Options{"DELETE job/a": {MaxGroups: 1}, "PUT job/a": {MaxSeries: 2}} {
		c := newClient(map[string][]byte{})
		o := options()
		o.StorageFailed, o.MaxGroups, o.MaxSeries = new(failures).Report, limits.MaxGroups, limits.MaxSeries
		s := newStoreOn(c, o)
		require.NoError(t, s.Restore(t.Context()))
		require.NoError(t, do(t, s, 1, "PUT job/a x y"))
		c.fault = func() fault {
			c.fault = nil
			var limit *store.LimitError
			assert.ErrorAs(t, do(t, s, 2, "PUT job/b p q"), &limit, step)
			return before
		}
		require.Error(t, do(t, s, 2, step))
		requireSound(t, s)
		assert.Equal(t, store.Counts{Groups: 1, Series: 2, Size: s.Counts().Size}, s.Counts())
	}
}
