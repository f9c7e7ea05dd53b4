// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// testTakeover lets a series pass from a group that only has a pending marker for it to another one.
func testTakeover(t *testing.T, open Open) {
	t.Parallel()
	for name, tc := range map[string]struct{ steps, want []string }{
		"of a removed series":  {[]string{`PUT job/j a{x="1"} b`, "PUT job/j b", "PUT job/j/x/1 a"}, []string{"job/j lives b", "job/j/x/1 lives a"}},
		"of a deleted group":   {[]string{`PUT job/j a{x="1"}`, "DELETE job/j", "PUT job/j/x/1 a"}, []string{"job/j deleted, pending " + Times, "job/j/x/1 lives a"}},
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
			s := open(t, DefaultOptions())
			for i, step := range tc.steps {
				require.NoError(t, Do(t, s, i, step), step)
				RequireSound(t, s)
			}
			assert.Equal(t, tc.want, Shown(t, s))
			s.RequireDurable(t)
		})
	}
}

// testTakeoverWaits until the claims of all groups that had the series are settled, so that its samples arrive in order.
func testTakeoverWaits(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	if s.OneClaim {
		t.Skip("all groups wait")
	}
	require.NoError(t, Do(t, s, 0, `PUT job/j a{x="1",y="2"}`))
	require.NoError(t, Do(t, s, 1, "PUT job/j"))
	first := Claimed(t, s) // The marker of a is being exported.
	require.NoError(t, Change(t, s, 2, `PUT job/j/x/1 a{y="2"}`))
	require.NoError(t, Change(t, s, 2, "PUT job/other z"))
	other := Claimed(t, s)
	assert.Equal(t, []string{"job/other: z times"}, Spelled(other.Parts), "groups that did not take over do not wait")
	SettleAll(t, s, other, Accepted)
	RequireNothingDue(t, s)

	require.NoError(t, Change(t, s, 3, "PUT job/j/x/1"))
	require.NoError(t, Change(t, s, 3, "PUT job/j/x/1/y/2 a"))
	RequireNothingDue(t, s)
	SettleAll(t, s, first, Accepted)
	second, _ := s.Claim(t.Context(), store.Limits{Groups: 1, Series: 100, Bytes: 1 << 20})
	assert.Equal(t, []string{"job/j/x/1: times"}, Spelled(second.Parts), "it takes its turn")
	third := Claimed(t, s)
	assert.Equal(t, []string{"job/j/x/1/y/2: a times"}, Spelled(third.Parts), "whose series the other one does not export")
	assert.Greater(t, third.At, first.At)
	SettleAll(t, s, third, Accepted)
	SettleAll(t, s, second, Accepted)
	assert.Equal(t, []string{"job/j lives", "job/j/x/1 lives", "job/j/x/1/y/2 lives a", "job/other lives z"}, Shown(t, s))
	RequireNothingDue(t, s)
}

// testTakeoverOfAValueInAClaim has the value itself being exported when its series is removed and taken over.
func testTakeoverOfAValueInAClaim(t *testing.T, open Open) {
	t.Parallel()
	for name, outcome := range map[string]store.Outcome{"accepted": Accepted, "refused": Refused, "not tried": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, DefaultOptions())
			Changes(t, s, `PUT job/j a{x="1"} b`)
			claim := Claimed(t, s)
			Changes(t, s, "POST job/j -a", "PUT job/j/x/1 a")
			RequireNothingDue(t, s)
			SettleAll(t, s, claim, outcome)
			claim = Claimed(t, s)
			assert.Contains(t, Spelled(claim.Parts), "job/j/x/1: a times")
			SettleAll(t, s, claim, Accepted)
			assert.Equal(t, []string{"job/j lives b", "job/j/x/1 lives a"}, Shown(t, s))
		})
	}
}
