// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// TestTakeoverThatIsNotStored gives the series back to the group that has its pending marker, unless that was accepted meanwhile.
func TestTakeoverThatIsNotStored(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome store.Outcome
		want    []string
	}{
		"refused meanwhile":  {refused, []string{`job/j lives, pending a{x="1"}`}},
		"accepted meanwhile": {accepted, []string{"job/j lives"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newGate(newClient(map[string][]byte{}))
				s, _ := restored(t, c)
				require.NoError(t, do(t, s, 0, `PUT job/j a{x="1"}`))
				require.NoError(t, do(t, s, 1, "PUT job/j"))
				claim := claimed(t, s)
				c.shut()
				c.fault = failing(1, before)
				takeover := c.begin(func() error { return change(t, s, 2, "PUT job/j/x/1 a") })
				c.awaitBatch()
				for _, p := range claim.Parts {
					p.Outcome = tc.outcome
				}
				settled := c.begin(func() error { return s.Settle(t.Context(), claim) })
				synctest.Wait()
				c.open()
				require.Error(t, <-takeover)
				require.NoError(t, <-settled)
				assert.Equal(t, tc.want, shown(t, s))
				require.NoError(t, do(t, s, 3, "PUT job/j/x/1 a"))
				assert.Equal(t, []string{"job/j lives", "job/j/x/1 lives a"}, shown(t, s))
				requireRestored(t, s, c.crashed())
			})
		})
	}
}
