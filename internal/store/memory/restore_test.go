// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRestoredGroupsAreDueWithinARound with all that they have: at once those with pending markers, then those first that were
// not pushed to for longest.
func TestRestoredGroupsAreDueWithinARound(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]time.Duration{"republished": 64 * time.Second, "not republished": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(map[string][]byte{})
			o := options()
			o.RepublishInterval = interval
			s, _ := restoredWith(t, c, o)
			for i := range 128 {
				require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/%03d a b", i)))
			}
			require.NoError(t, do(t, s, 128, "DELETE job/000"))
			require.NoError(t, do(t, s, 129, "PUT job/001 b"))

			s, _ = restoredWith(t, c, o)
			groups, _ := s.Waiting()
			assert.Equal(t, 2, groups, "those with pending markers")
			var order []string
			for second := range 64 {
				s.Set(at(second))
				claim, _ := s.Claim(t.Context(), all)
				if claim == nil {
					continue
				}
				lines := spelled(claim.Parts)
				assert.LessOrEqual(t, len(lines), 6, "they are spread over the round")
				order = append(order, lines...)
				settleAll(t, s, claim, accepted)
			}
			require.Len(t, order, 128)
			assert.Contains(t, order[:8], "job/000: -a -b -push_failure_time_seconds -push_time_seconds")
			assert.Contains(t, order[:8], "job/001: -a b times")
			assert.Contains(t, order[:8], "job/002: a b times")
			assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()))
			due := requireNothingDue(t, s)
			assert.Equal(t, interval == 0, due.IsZero())
		})
	}
}

// TestRestoredGroupIsPushedTo before its round, which is at once then.
func TestRestoredGroupIsPushedTo(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, "PUT job/a a"))
	require.NoError(t, do(t, s, 1, "PUT job/b a b"))
	s, _ = restored(t, c)
	settleAll(t, s, claimed(t, s), accepted)
	requireNothingDue(t, s)
	require.NoError(t, change(t, s, 2, "POST job/b b"))
	claim := claimed(t, s)
	assert.Equal(t, []string{"job/b: a b times"}, spelled(claim.Parts), "nothing of it has been exported since the restart")
	settleAll(t, s, claim, accepted)
	s.Set(at(100))
	settleAll(t, s, claimed(t, s), accepted)
	assert.Zero(t, requireNothingDue(t, s), "once")
}

// TestRestoredMarkers are pending unless their series live again, in their own group or in another one.
func TestRestoredMarkers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ steps, want []string }{
		"pending":                  {[]string{"PUT job/j a b", "PUT job/j b"}, []string{"job/j lives b, pending a"}},
		"of a deleted group":       {[]string{"PUT job/j a", "DELETE job/j"}, []string{"job/j deleted, pending a " + times}},
		"live again":               {[]string{"PUT job/j a b", "PUT job/j", "POST job/j a"}, []string{"job/j lives a, pending b"}},
		"taken over":               {[]string{`PUT job/j a{x="1"} b`, "DELETE job/j", "PUT job/j/x/1 a"}, []string{"job/j deleted, pending b " + times, "job/j/x/1 lives a"}},
		"pending twice in a group": {[]string{"PUT job/j a b", "PUT job/j", "PUT job/j a", "PUT job/j"}, []string{"job/j lives, pending a b"}},
		"all taken over": {
			[]string{`PUT job/j a{x="1"}`, "PUT job/j", "PUT job/j/x/1 a"}, []string{"job/j lives", "job/j/x/1 lives a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(map[string][]byte{})
			s, _ := restored(t, c)
			require.NoError(t, do(t, s, 0, tc.steps[0]))
			for i, step := range tc.steps[1:] { // No claim drops what is not pending any more.
				require.NoError(t, change(t, s, i+1, step))
			}
			assert.Equal(t, tc.want, shown(t, s))
			s, failed := restored(t, c)
			assert.Empty(t, failed.All)
			assert.Equal(t, tc.want, shown(t, s))
			s.Pass(time.Minute)
			settleAll(t, s, claimed(t, s), accepted)
			assert.Zero(t, s.Counts().Pending)
			assert.Empty(t, reopened(t, c.crashed()).Pending)
		})
	}
}
