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

// TestTakeover lets a series pass from a group that only has a pending marker for it to another one.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ steps, want []string }{
		"of a removed series":  {[]string{`PUT job/j a{x="1"} b`, "PUT job/j b", "PUT job/j/x/1 a"}, []string{"job/j lives b", "job/j/x/1 lives a"}},
		"of a deleted group":   {[]string{`PUT job/j a{x="1"}`, "DELETE job/j", "PUT job/j/x/1 a"}, []string{"job/j deleted, pending " + times, "job/j/x/1 lives a"}},
		"of some series":       {[]string{`PUT job/j a{x="1"} b{x="1"}`, "PUT job/j", "PUT job/j/x/1 a"}, []string{`job/j lives, pending b{x="1"}`, "job/j/x/1 lives a"}},
		"of a bucket":          {[]string{`PUT job/j h_bucket{x="1",le="2"}`, "PUT job/j", "PUT job/j/x/1 h:1,2"}, []string{"job/j lives", "job/j/x/1 lives h"}},
		"and back":             {[]string{`PUT job/j a{x="1"}`, "PUT job/j", "PUT job/j/x/1 a", "PUT job/j/x/1", `PUT job/j a{x="1"}`}, []string{"job/j lives a", "job/j/x/1 lives"}},
		"and ended there":      {[]string{`PUT job/j a{x="1"}`, "PUT job/j", "PUT job/j/x/1 a", "PUT job/j/x/1"}, []string{"job/j lives", `job/j/x/1 lives, pending a{x="1"}`}},
		"through three groups": {[]string{`PUT job/j a{x="1",y="2"}`, "PUT job/j", `PUT job/j/x/1 a{y="2"}`, "PUT job/j/x/1", "PUT job/j/x/1/y/2 a"}, []string{"job/j lives", "job/j/x/1 lives", "job/j/x/1/y/2 lives a"}},
		"of push times": {
			[]string{"PUT job/j a", "DELETE job/j", `PUT job/k b`, `PUT job/j b`}, []string{"job/j lives b, pending a", "job/k lives b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(map[string][]byte{})
			s, _ := restored(t, c)
			for i, step := range tc.steps {
				require.NoError(t, do(t, s, i, step), step)
				requireSound(t, s)
			}
			assert.Equal(t, tc.want, shown(t, s))
			requireRestored(t, s, c.crashed())
		})
	}
}

// TestTakeoverWaits until the claims of all groups that had the series are settled, so that its samples arrive in order.
func TestTakeoverWaits(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	require.NoError(t, do(t, s, 0, `PUT job/j a{x="1",y="2"}`))
	require.NoError(t, do(t, s, 1, "PUT job/j"))
	first := claimed(t, s) // The marker of a is being exported.
	require.NoError(t, change(t, s, 2, `PUT job/j/x/1 a{y="2"}`))
	require.NoError(t, change(t, s, 2, "PUT job/other z"))
	other := claimed(t, s)
	assert.Equal(t, []string{"job/other: z times"}, spelled(other.Parts), "groups that did not take over do not wait")
	settleAll(t, s, other, accepted)
	requireNothingDue(t, s)

	require.NoError(t, change(t, s, 3, "PUT job/j/x/1"))
	require.NoError(t, change(t, s, 3, "PUT job/j/x/1/y/2 a"))
	requireNothingDue(t, s)
	settleAll(t, s, first, accepted)
	second, _ := s.Claim(t.Context(), store.Limits{Groups: 1, Series: 100, Bytes: 1 << 20})
	assert.Equal(t, []string{"job/j/x/1: times"}, spelled(second.Parts), "it takes its turn")
	third := claimed(t, s)
	assert.Equal(t, []string{"job/j/x/1/y/2: a times"}, spelled(third.Parts), "whose series the other one does not export")
	assert.Greater(t, third.At, first.At)
	settleAll(t, s, third, accepted)
	settleAll(t, s, second, accepted)
	assert.Equal(t, []string{"job/j lives", "job/j/x/1 lives", "job/j/x/1/y/2 lives a", "job/other lives z"}, shown(t, s))
	requireNothingDue(t, s)
}

// TestTakeoverOfAValueInAClaim has the value itself being exported when its series is removed and taken over.
func TestTakeoverOfAValueInAClaim(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]store.Outcome{"accepted": accepted, "refused": refused, "not tried": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(options())
			changes(t, s, `PUT job/j a{x="1"} b`)
			claim := claimed(t, s)
			changes(t, s, "POST job/j -a", "PUT job/j/x/1 a")
			requireNothingDue(t, s)
			settleAll(t, s, claim, outcome)
			claim = claimed(t, s)
			assert.Contains(t, spelled(claim.Parts), "job/j/x/1: a times")
			settleAll(t, s, claim, accepted)
			assert.Equal(t, []string{"job/j lives b", "job/j/x/1 lives a"}, shown(t, s))
		})
	}
}

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
