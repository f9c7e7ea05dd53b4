// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Spelled are parts, a line for each group: -a is a marker of a, times are the push times.
func Spelled(parts []*store.Part) (lines []string) {
	for i, p := range parts {
		if i == 0 || !p.SameGroup(parts[i-1]) {
			lines = append(lines, strings.TrimPrefix(p.Key.Path(true), "/metrics/")+":")
		}
		lines[len(lines)-1] += " " + strings.Join(SpelledPart(p), " ")
	}
	return lines
}

func SpelledPart(p *store.Part) (names []string) {
	switch {
	case IsMarkers(p):
		for _, name := range spelledMarkers(p.Metrics()) {
			names = append(names, "-"+name)
		}
		return names
	case p.Family == "":
		return []string{"times"}
	default:
		return []string{p.Family}
	}
}

// Claimed claims all that is due.
func Claimed(t *testing.T, s *Store) *store.Claim {
	t.Helper()
	claim, _ := s.Claim(t.Context(), All)
	require.NotNil(t, claim)
	RequireSound(t, s)
	return claim
}

func SettleAll(t *testing.T, s *Store, claim *store.Claim, outcome store.Outcome) {
	t.Helper()
	for _, p := range claim.Parts {
		p.Outcome = outcome
	}
	require.NoError(t, s.Settle(t.Context(), claim))
	RequireSound(t, s)
}

// RequireNothingDue wants nothing to be due, and returns when something will be.
func RequireNothingDue(t *testing.T, s *Store) time.Time {
	t.Helper()
	RequireSound(t, s)
	claim, due := s.Claim(t.Context(), All)
	require.Nil(t, claim)
	return due
}

func Changes(t *testing.T, s *Store, steps ...string) {
	t.Helper()
	for i, step := range steps {
		require.NoError(t, Change(t, s, i, step))
	}
}

// rounds is a store whose groups are due again within 64 seconds, at whole seconds.
func rounds(t *testing.T, open Open) *Store {
	o := DefaultOptions()
	o.RepublishInterval = 64 * time.Second
	return open(t, o)
}

func testWhatIsDue(t *testing.T, open Open) {
	t.Parallel()
	for name, tc := range map[string]struct {
		exported, steps, want []string
	}{
		"nothing":                         {nil, nil, nil},
		"a push":                          {nil, []string{"PUT job/j b a"}, []string{"job/j: a b times"}},
		"the oldest change first":         {nil, []string{"PUT job/b x", "PUT job/a x", "POST job/b y"}, []string{"job/b: x y times", "job/a: x times"}},
		"the newest values":               {nil, []string{"PUT job/j a b", "PUT job/j b c"}, []string{"job/j: b c times"}},
		"what was not accepted":           {[]string{"PUT job/j a b"}, []string{"POST job/j b c"}, []string{"job/j: b c times"}},
		"a family of a large group":       {[]string{"PUT job/j " + Many(0, 1000)}, []string{"POST job/j m7"}, []string{"job/j: m7 times"}},
		"the times of a failed push":      {[]string{"PUT job/j a b"}, []string{"FAIL job/j"}, []string{"job/j: times"}},
		"markers, first":                  {[]string{"PUT job/j a b"}, []string{"PUT job/j c"}, []string{"job/j: -a -b c times"}},
		"markers of a deleted group":      {[]string{"PUT job/j a"}, []string{"DELETE job/j"}, []string{"job/j: -a -push_failure_time_seconds -push_time_seconds"}},
		"markers of each change":          {[]string{"PUT job/j a b c"}, []string{"PUT job/j b c", "PUT job/j c"}, []string{"job/j: -a -b c times"}},
		"no marker of what came again":    {[]string{"PUT job/j a b"}, []string{"PUT job/j", "POST job/j a"}, []string{"job/j: -b a times"}},
		"no marker of what is taken over": {[]string{`PUT job/j a{x="1"} b`}, []string{"PUT job/j", "PUT job/j/x/1 a"}, []string{"job/j: -b times", "job/j/x/1: a times"}},
		"no marker of what never went out": {
			nil, []string{"PUT job/j a b", "PUT job/j c", "PUT job/k a", "DELETE job/k"}, []string{"job/j: c times"},
		},
		"no marker of a family that never went out": {
			[]string{"PUT job/j a"}, []string{"POST job/j b", "POST job/j -b"}, []string{"job/j: times"},
		},
		"markers of a deletion, but for what never went out": {
			[]string{"PUT job/j a"}, []string{"POST job/j b", "DELETE job/j"}, []string{"job/j: -a -push_failure_time_seconds -push_time_seconds"},
		},
		"a marker of what was pending and never went out again": {
			[]string{"PUT job/j a", "PUT job/j"}, []string{"PUT job/j a", "PUT job/j"}, []string{"job/j: -a times"},
		},
		"a marker of what was taken over and never went out since": {
			[]string{`PUT job/j a{x="1"}`, "PUT job/j"},
			[]string{"PUT job/j/x/1 a", "DELETE job/j/x/1"},
			[]string{`job/j/x/1: -a{x="1"} -push_failure_time_seconds{x="1"} -push_time_seconds{x="1"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, DefaultOptions())
			for i, step := range tc.exported {
				require.NoError(t, Do(t, s, i, step))
			}
			for i, step := range tc.steps {
				require.NoError(t, Change(t, s, 10+i, step))
			}
			if tc.want == nil {
				assert.Zero(t, RequireNothingDue(t, s))
				return
			}
			claim := Claimed(t, s)
			assert.Equal(t, tc.want, SortedNames(Spelled(claim.Parts)))
			SettleAll(t, s, claim, Accepted)
			assert.Zero(t, RequireNothingDue(t, s))
			groups, _ := s.Waiting()
			assert.Zero(t, groups)
		})
	}
}

// SortedNames sorts the markers of each line, which may be in one part or in several.
func SortedNames(lines []string) []string {
	for i, line := range lines {
		names := strings.Fields(line)
		markers := 1
		for markers < len(names) && strings.HasPrefix(names[markers], "-") {
			markers++
		}
		slices.Sort(names[1:markers])
		lines[i] = strings.Join(names, " ")
	}
	return lines
}

func testClaimIsBounded(t *testing.T, open Open) {
	t.Parallel()
	most := store.Limits{Groups: math.MaxInt, Series: math.MaxInt, Bytes: math.MaxInt64}
	for name, tc := range map[string]struct {
		limit func(*store.Limits)
		want  []int // groups in each claim
	}{
		"not":       {func(*store.Limits) {}, []int{5}},
		"in groups": {func(l *store.Limits) { l.Groups = 2 }, []int{2, 2, 1}},
		"to one":    {func(l *store.Limits) { l.Groups = 1 }, []int{1, 1, 1, 1, 1}},
		"in series": {func(l *store.Limits) { l.Series = 6 }, []int{2, 2, 1}}, // Three families and two push times each.
		"in bytes":  {func(l *store.Limits) { l.Bytes = 1 }, []int{1, 1, 1, 1, 1}},
		"to many":   {func(l *store.Limits) { l.Groups, l.Series, l.Bytes = 5, 25, 1<<20 }, []int{5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, DefaultOptions())
			for i := range 5 {
				Changes(t, s, fmt.Sprintf("PUT job/%d a b c", i))
			}
			limits := most
			tc.limit(&limits)
			var claims []*store.Claim
			for i, want := range tc.want {
				claim, _ := s.Claim(t.Context(), limits)
				require.NotNil(t, claim)
				assert.Len(t, Spelled(claim.Parts), want)
				claims = append(claims, claim)
				assert.True(t, i == 0 || claim.At.After(claims[i-1].At), "each is later than the one before")
				if s.OneClaim {
					SettleAll(t, s, claim, Accepted)
				}
			}
			RequireNothingDue(t, s)
			for _, claim := range claims {
				if !s.OneClaim {
					SettleAll(t, s, claim, Accepted)
				}
			}
		})
	}
}

// testChangesAndRoundsAlternate as long as both are due, over claims too. Each claim has few groups.
func testChangesAndRoundsAlternate(t *testing.T, open Open) {
	t.Parallel()
	for _, groups := range []int{1, 2, 3, 5} {
		s := rounds(t, open)
		for i := range 6 {
			require.NoError(t, Do(t, s, 0, fmt.Sprintf("PUT job/old%d a", i)))
		}
		s.Set(At(64))
		for i := range 6 {
			Changes(t, s, fmt.Sprintf("PUT job/new%d a", i))
		}
		var order strings.Builder
		for claim, _ := s.Claim(t.Context(), store.Limits{Groups: groups, Series: 1000, Bytes: 1 << 20}); claim != nil; claim, _ = s.Claim(t.Context(),
			store.Limits{Groups: groups, Series: 1000, Bytes: 1 << 20}) {
			for _, line := range Spelled(claim.Parts) {
				order.WriteByte(line[len("job/")])
			}
			SettleAll(t, s, claim, Accepted)
		}
		assert.Equal(t, strings.Repeat("no", 6), order.String(), groups)
	}
}

// testRounds are due once in a republish interval, with all values, whatever is pushed meanwhile.
func testRounds(t *testing.T, open Open) {
	t.Parallel()
	s := rounds(t, open)
	require.NoError(t, Do(t, s, 0, "PUT job/j a b"))
	assert.Equal(t, At(63).Unix()+1, RequireNothingDue(t, s).Unix())
	require.NoError(t, Do(t, s, 30, "POST job/j b"))
	assert.Equal(t, At(64).Unix(), RequireNothingDue(t, s).Unix())
	s.Set(At(64))
	claim := Claimed(t, s)
	assert.Equal(t, []string{"job/j: a b times"}, Spelled(claim.Parts))
	groups, _ := s.Waiting()
	assert.Zero(t, groups, "nothing has changed")
	SettleAll(t, s, claim, Accepted)
	assert.Equal(t, At(128).Unix(), RequireNothingDue(t, s).Unix())

	s.Set(At(130))
	Changes(t, s, "POST job/j b")
	claim = Claimed(t, s)
	assert.Equal(t, []string{"job/j: a b times"}, Spelled(claim.Parts), "a change has all with it if the round is due")
	SettleAll(t, s, claim, Accepted)
	assert.Equal(t, At(194).Unix(), RequireNothingDue(t, s).Unix())
	require.NoError(t, s.Delete(t.Context(), pushtest.Key(t, "job/j")))
	SettleAll(t, s, Claimed(t, s), Accepted)
	assert.Zero(t, RequireNothingDue(t, s), "it is gone")
}

// testRoundsAreDueTogether at whole steps, so that they make large claims.
func testRoundsAreDueTogether(t *testing.T, open Open) {
	t.Parallel()
	s := rounds(t, open)
	for i := range 100 {
		s.Pass(5 * time.Millisecond)
		require.NoError(t, Do(t, s, 0, fmt.Sprintf("PUT job/%d a", i)))
	}
	s.Set(RequireNothingDue(t, s))
	claim := Claimed(t, s)
	assert.Len(t, Spelled(claim.Parts), 100)
	SettleAll(t, s, claim, Accepted)
}

// testClaimedGroups are in no other claim, and what is pushed meanwhile is unsent afterwards.
func testClaimedGroups(t *testing.T, open Open) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps   []string
		outcome store.Outcome
		want    []string // what is due afterwards
	}{
		"nothing":                      {nil, Accepted, nil},
		"another family":               {[]string{"POST job/j c"}, Accepted, []string{"job/j: c times"}},
		"the same family":              {[]string{"POST job/j a"}, Accepted, []string{"job/j: a times"}},
		"other series":                 {[]string{"PUT job/j c"}, Accepted, []string{"job/j: -a -b c times"}},
		"a failed push":                {[]string{"FAIL job/j"}, Accepted, []string{"job/j: times"}},
		"deleted":                      {[]string{"DELETE job/j"}, Accepted, []string{"job/j: -a -b -push_failure_time_seconds -push_time_seconds"}},
		"deleted, and refused":         {[]string{"DELETE job/j"}, Refused, []string{"job/j: -a -b -push_failure_time_seconds -push_time_seconds"}},
		"deleted, and perhaps tried":   {[]string{"DELETE job/j"}, store.Outcome{}, []string{"job/j: -a -b -push_failure_time_seconds -push_time_seconds"}},
		"another family, and refused":  {[]string{"POST job/j c"}, Refused, []string{"job/j: a b c times"}},
		"the same family, and refused": {[]string{"POST job/j a"}, Refused, []string{"job/j: a b times"}},
		"the same family, refused until later": {
			[]string{"POST job/j a"}, store.Outcome{Tried: true, Retry: At(1000)}, []string{"job/j: a b times"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, DefaultOptions())
			Changes(t, s, "PUT job/j a b")
			claim := Claimed(t, s)
			for i, step := range tc.steps {
				require.NoError(t, Change(t, s, 10+i, step))
				RequireNothingDue(t, s)
			}
			RequireNothingDue(t, s)
			SettleAll(t, s, claim, tc.outcome)
			groups, oldest := s.Waiting()
			if tc.want == nil {
				assert.Zero(t, groups)
				RequireNothingDue(t, s)
				return
			}
			assert.Equal(t, 1, groups)
			since := At(0)
			if tc.outcome.Accepted {
				since = At(10)
			}
			assert.Equal(t, since, oldest, "the oldest change that was not accepted")
			next := Claimed(t, s)
			assert.Equal(t, tc.want, SortedNames(Spelled(next.Parts)))
			assert.Greater(t, next.At, claim.At)
			SettleAll(t, s, next, Accepted)
			RequireNothingDue(t, s)
		})
	}
}

// testNeverTried has a claim settled without any call: a series that was never exported needs no marker.
func testNeverTried(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	Changes(t, s, "PUT job/j a")
	SettleAll(t, s, Claimed(t, s), store.Outcome{})
	Changes(t, s, "PUT job/j b")
	assert.Equal(t, []string{"job/j lives b"}, Shown(t, s))
	SettleAll(t, s, Claimed(t, s), Refused)
	Changes(t, s, "PUT job/j c")
	assert.Equal(t, []string{"job/j lives c, pending b"}, Shown(t, s), "the consumer may have it although it returned an error")
}

// testOutcomes of the parts of one group, family by family.
func testOutcomes(t *testing.T, open Open) {
	t.Parallel()
	later := store.Outcome{Tried: true, Err: ErrRefused, Retry: At(10)}
	suspect := store.Outcome{Tried: true, Err: ErrRefused, Retry: At(10), Suspect: true}
	for name, tc := range map[string]struct {
		first, a, b  store.Outcome
		now, then    []string // what is due at once and ten seconds later
		round        int      // when the next round is due, in seconds
		stillWaiting int      // groups, at once
	}{
		"accepted":               {Accepted, Accepted, Accepted, nil, nil, 64, 0},
		"refused":                {Accepted, Refused, Accepted, []string{"job/j: a"}, nil, 64, 1},
		"not tried":              {Accepted, store.Outcome{}, store.Outcome{}, []string{"job/j: a b"}, nil, 64, 1},
		"later":                  {Accepted, Accepted, later, nil, []string{"job/j: b"}, 64, 1},
		"all later":              {later, later, later, nil, []string{"job/j: -c a b"}, 64, 1},
		"refused and later":      {Accepted, Refused, later, []string{"job/j: a b"}, nil, 64, 1},
		"a marker later":         {later, Accepted, Accepted, nil, []string{"job/j: -c"}, 64, 1},
		"a marker refused":       {Refused, Accepted, Accepted, []string{"job/j: -c"}, nil, 64, 1},
		"suspect":                {Accepted, suspect, Accepted, nil, []string{"job/j: a"}, 64, 0},
		"a suspect marker":       {suspect, Accepted, Accepted, nil, []string{"job/j: -c"}, 64, 0},
		"suspect beside refused": {Accepted, suspect, Refused, []string{"job/j: a b"}, nil, 64, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := store.Options{Scope: pushtest.Scope, RepublishInterval: 64 * time.Second}
			s := open(t, o)
			require.NoError(t, Do(t, s, 0, "PUT job/j c"))
			Changes(t, s, "PUT job/j a b")
			claim := Claimed(t, s)
			require.Len(t, claim.Parts, 3)
			for i, outcome := range []store.Outcome{tc.first, tc.a, tc.b} {
				claim.Parts[i].Outcome = outcome
			}
			require.NoError(t, s.Settle(t.Context(), claim))
			RequireSound(t, s)
			groups, oldest := s.Waiting()
			assert.Equal(t, tc.stillWaiting, groups)
			assert.Equal(t, groups == 0, oldest.IsZero())
			if tc.now != nil {
				claim = Claimed(t, s)
				assert.Equal(t, tc.now, Spelled(claim.Parts))
				SettleAll(t, s, claim, Accepted)
			}
			if due := RequireNothingDue(t, s); tc.then != nil {
				assert.Equal(t, At(10), due)
				s.Set(At(10))
				claim = Claimed(t, s)
				assert.Equal(t, tc.then, Spelled(claim.Parts))
				SettleAll(t, s, claim, Accepted)
			}
			assert.Equal(t, At(tc.round).Unix(), RequireNothingDue(t, s).Unix())
			groups, _ = s.Waiting()
			assert.Zero(t, groups)
		})
	}
}

// testRefusedIsPushedAgain is due at once although what was refused is to be tried later.
func testRefusedIsPushedAgain(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	Changes(t, s, "PUT job/j a b")
	SettleAll(t, s, Claimed(t, s), store.Outcome{Tried: true, Retry: At(60)})
	assert.Equal(t, At(60), RequireNothingDue(t, s))
	require.NoError(t, Change(t, s, 10, "POST job/j a"))
	claim := Claimed(t, s)
	assert.Equal(t, []string{"job/j: a b times"}, Spelled(claim.Parts))
	SettleAll(t, s, claim, Accepted)
	assert.Zero(t, RequireNothingDue(t, s))
}

// testRefusedRounds are tried again when they are to be, with all values, unless only suspects were refused.
func testRefusedRounds(t *testing.T, open Open) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome store.Outcome // of a
		due     int           // second
		want    []string
	}{
		"refused": {Refused, 64, []string{"job/j: a b times"}},
		"later":   {store.Outcome{Tried: true, Retry: At(70)}, 70, []string{"job/j: a b times"}},
		"suspect": {store.Outcome{Tried: true, Retry: At(70), Suspect: true}, 128, []string{"job/j: a b times"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rounds(t, open)
			require.NoError(t, Do(t, s, 0, "PUT job/j a b"))
			s.Set(At(64))
			claim := Claimed(t, s)
			for _, p := range claim.Parts {
				p.Outcome = Accepted
				if p.Family == "a" {
					p.Outcome = tc.outcome
				}
			}
			require.NoError(t, s.Settle(t.Context(), claim))
			RequireSound(t, s)
			if tc.due > 64 {
				assert.Equal(t, At(tc.due).Unix(), RequireNothingDue(t, s).Unix())
			}
			s.Set(At(tc.due))
			claim = Claimed(t, s)
			assert.Equal(t, tc.want, Spelled(claim.Parts))
			SettleAll(t, s, claim, Accepted)
		})
	}
}

// testChanged is signaled when something is due earlier than a claim said.
func testChanged(t *testing.T, open Open) {
	t.Parallel()
	s := rounds(t, open)
	signaled := func() bool {
		select {
		case <-s.Changed():
			return true
		default:
			return false
		}
	}
	assert.False(t, signaled())
	Changes(t, s, "PUT job/j a")
	assert.True(t, signaled())
	claim := Claimed(t, s)
	require.NoError(t, Change(t, s, 1, "POST job/j a"))
	assert.True(t, !signaled() || s.OneClaim, "its claim has to be settled first")
	SettleAll(t, s, claim, Accepted)
	assert.True(t, signaled())
	SettleAll(t, s, Claimed(t, s), store.Outcome{Tried: true, Retry: At(10)})
	assert.True(t, signaled(), "the first one that is due is another one")
	SettleAll(t, s, claimedAt(t, s, At(10)), Accepted)
	signaled()
	require.NoError(t, Change(t, s, 11, "PUT job/k a"))
	assert.True(t, signaled())
}

func claimedAt(t *testing.T, s *Store, at time.Time) *store.Claim {
	t.Helper()
	s.Set(at)
	return Claimed(t, s)
}

// testExemplarsGoOutOnce with the values that they came with, also if these were refused at first.
func testExemplarsGoOutOnce(t *testing.T, open Open) {
	t.Parallel()
	s := rounds(t, open)
	key := pushtest.Key(t, "job/j")
	withExemplar := func() {
		push := pushtest.Text(t, "job/j", "# TYPE c counter\nc_total 1 # {t=\"1\"} 1\n# EOF\n")
		require.NoError(t, s.Push(t.Context(), key, FamiliesOf(t, s, push), true, s.Now()))
	}
	exemplars := func(p *store.Part) int {
		point := p.Metrics().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0)
		return point.Exemplars().Len()
	}
	withExemplar()
	larger := s.Counts().Size
	for _, outcome := range []store.Outcome{Refused, {}, Accepted} {
		claim := Claimed(t, s)
		assert.Equal(t, "c_total", claim.Parts[0].Family)
		assert.Equal(t, 1, exemplars(claim.Parts[0]))
		assert.Equal(t, 1, exemplars(claim.Parts[0]), "each time that it is asked for its metrics")
		SettleAll(t, s, claim, outcome)
	}
	assert.Less(t, s.Counts().Size, larger, "they take no room any more")
	s.Set(At(64))
	claim := Claimed(t, s)
	assert.Zero(t, exemplars(claim.Parts[0]))

	withExemplar()
	SettleAll(t, s, claim, Accepted)
	claim = Claimed(t, s)
	assert.Equal(t, 1, exemplars(claim.Parts[0]), "those of a push during a claim are not lost")
	withExemplar()
	require.NoError(t, s.Delete(t.Context(), key))
	SettleAll(t, s, claim, Accepted)
	SettleAll(t, s, Claimed(t, s), Accepted)
	assert.Zero(t, s.Counts())
}

// testPartsAreMadeAnew each time, and tell what is in them.
func testPartsAreMadeAnew(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 0, "PUT job/j x y"))
	require.NoError(t, Change(t, s, 1, "PUT job/j h:1,2"))
	claim := Claimed(t, s)
	want := []struct {
		name   string
		series int
	}{{"stale markers", 2}, {"family h", 5}, {"push times", 2}}
	require.Len(t, claim.Parts, len(want))
	for i, p := range claim.Parts {
		assert.Equal(t, want[i].name, p.Name())
		assert.Equal(t, want[i].series, p.Series)
		assert.Equal(t, "j", p.Key.Job)
		first := p.Metrics()
		points := first.DataPointCount()
		first.ResourceMetrics().RemoveIf(func(pmetric.ResourceMetrics) bool { return true })
		assert.Equal(t, points, p.Metrics().DataPointCount())
	}
	SettleAll(t, s, claim, Accepted)
}

// testDivide halves markers until each stands alone, and settles each part by itself.
func testDivide(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 0, "PUT job/j a b c d e"))
	require.NoError(t, Do(t, s, 1, "PUT job/j"))
	claim := Claimed(t, s)
	require.Len(t, claim.Parts, 1)
	assert.Empty(t, claim.Parts[0].ID())
	halves := claim.Divide(claim.Parts[0])
	require.Len(t, halves, 2)
	assert.Equal(t, halves, claim.Parts)
	assert.Equal(t, []string{"-a", "-b", "-c", "-d", "-e"}, SortedStrings(slices.Concat(SpelledPart(halves[0]), SpelledPart(halves[1]))))
	quarters := claim.Divide(halves[1])
	single := claim.Divide(halves[0])
	require.Len(t, claim.Parts, 4)
	assert.Equal(t, slices.Concat(single, quarters), claim.Parts)
	alone := single[0]
	assert.Equal(t, 1, alone.Series)
	assert.Equal(t, []*store.Part{alone}, claim.Divide(alone), "it cannot be divided")
	assert.NotEmpty(t, alone.ID())
	assert.NotEqual(t, alone.ID(), single[1].ID())

	for _, p := range claim.Parts {
		p.Outcome = Accepted
	}
	alone.Outcome = Refused
	require.NoError(t, s.Settle(t.Context(), claim))
	left := SpelledPart(alone)[0]
	assert.Equal(t, []string{"job/j lives, pending " + left[1:]}, Shown(t, s))
	s.RequireDurable(t)
	claim = Claimed(t, s)
	assert.Equal(t, []string{"job/j: " + left}, Spelled(claim.Parts))
	assert.Equal(t, alone.ID(), claim.Parts[0].ID(), "it is known again")
	SettleAll(t, s, claim, Accepted)
	assert.Equal(t, []string{"job/j lives"}, Shown(t, s))
	s.RequireExact(t)
}

// testSeparate gives the markers that are picked parts of their own.
func testSeparate(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 0, "PUT job/j a b c d"))
	require.NoError(t, Do(t, s, 0, "PUT job/k a"))
	require.NoError(t, Do(t, s, 1, "PUT job/j"))
	require.NoError(t, Do(t, s, 1, "PUT job/k b"))
	claim := Claimed(t, s)
	ids := map[string]store.PartID{} // of single markers
	claim.Separate(func(store.PartID) bool { return true })
	for _, p := range claim.Parts {
		if IsMarkers(p) {
			ids[p.Key.Job+SpelledPart(p)[0]] = p.ID()
		}
	}
	assert.Equal(t, []string{"job/j: -a -b -c -d", "job/k: -a"}, SortedStrings(SortedNames(Spelled(claim.Parts))))
	assert.Len(t, claim.Parts, 5)
	require.Len(t, ids, 5)
	SettleAll(t, s, claim, Refused)

	claim = Claimed(t, s)
	claim.Separate(func(store.PartID) bool { return false })
	require.Len(t, claim.Parts, 2, "as they were")
	claim.Separate(func(id store.PartID) bool { return id == ids["j-b"] || id == ids["j-d"] })
	var parts []string
	for _, p := range claim.Parts {
		parts = append(parts, p.Key.Job+fmt.Sprint(SpelledPart(p)))
	}
	assert.ElementsMatch(t, []string{"j[-b]", "j[-d]", "j[-a -c]", "k[-a]"}, parts)
	SettleAll(t, s, claim, Accepted)
	assert.Equal(t, []string{"job/j lives", "job/k lives b"}, Shown(t, s))
}

// testIDs of families and push times are those of their groups.
func testIDs(t *testing.T, open Open) {
	t.Parallel()
	s := rounds(t, open)
	require.NoError(t, Do(t, s, 0, "PUT job/j a b"))
	require.NoError(t, Do(t, s, 0, "PUT job/k a b"))
	seen := map[store.PartID]bool{}
	for _, second := range []int{64, 128} {
		claim := claimedAt(t, s, At(second))
		for _, p := range claim.Parts {
			seen[p.ID()] = true
		}
		SettleAll(t, s, claim, Accepted)
	}
	assert.Len(t, seen, 6)
	assert.NotContains(t, seen, store.PartID{})
}

// testMarkersGoneDuringTheirClaim were added again, or taken over, or added and removed once more. What is accepted is of the marker
// that was exported.
func testMarkersGoneDuringTheirClaim(t *testing.T, open Open) {
	t.Parallel()
	for name, tc := range map[string]struct{ steps, want []string }{
		"added again":               {[]string{`POST job/j a{x="1"}`}, []string{"job/j lives a"}},
		"taken over":                {[]string{"PUT job/j/x/1 a"}, []string{"job/j lives", "job/j/x/1 lives a"}},
		"added and removed":         {[]string{`POST job/j a{x="1"}`, "PUT job/j"}, []string{`job/j lives, pending a{x="1"}`}},
		"taken over and removed":    {[]string{"PUT job/j/x/1 a", "PUT job/j/x/1"}, []string{"job/j lives", `job/j/x/1 lives, pending a{x="1"}`}},
		"in a deleted group":        {[]string{"DELETE job/j"}, []string{"job/j deleted, pending " + Times}},
		"taken over and taken back": {[]string{"PUT job/j/x/1 a", "PUT job/j/x/1", `PUT job/j a{x="1"}`}, []string{"job/j lives a", "job/j/x/1 lives"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, DefaultOptions())
			require.NoError(t, Do(t, s, 0, `PUT job/j a{x="1"} b`))
			require.NoError(t, Do(t, s, 1, "PUT job/j"))
			claim := Claimed(t, s)
			Changes(t, s, tc.steps...)
			SettleAll(t, s, claim, Accepted)
			assert.Equal(t, tc.want, Shown(t, s))
			s.RequireDurable(t)
			for claim, _ := s.Claim(t.Context(), All); claim != nil; claim, _ = s.Claim(t.Context(), All) {
				SettleAll(t, s, claim, Accepted)
			}
			s.RequireDurable(t)
			assert.Zero(t, s.Counts().Pending)
			s.RequireExact(t)
		})
	}
}
