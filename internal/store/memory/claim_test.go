// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

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
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// spelled are parts, a line for each group: -a is a marker of a, times are the push times.
func spelled(parts []*store.Part) (lines []string) {
	for i, p := range parts {
		if i == 0 || !p.SameGroup(parts[i-1]) {
			lines = append(lines, strings.TrimPrefix(p.Key.Path(true), "/metrics/")+":")
		}
		lines[len(lines)-1] += " " + strings.Join(spelledPart(p), " ")
	}
	return lines
}

func spelledPart(p *store.Part) (names []string) {
	switch {
	case isMarkers(p):
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

// claimed claims all that is due.
func claimed(t *testing.T, s *testStore) *store.Claim {
	t.Helper()
	claim, _ := s.Claim(t.Context(), all)
	require.NotNil(t, claim)
	requireSound(t, s)
	return claim
}

func settleAll(t *testing.T, s *testStore, claim *store.Claim, outcome store.Outcome) {
	t.Helper()
	for _, p := range claim.Parts {
		p.Outcome = outcome
	}
	require.NoError(t, s.Settle(t.Context(), claim))
	requireSound(t, s)
}

// requireNothingDue wants nothing to be due, and returns when something will be.
func requireNothingDue(t *testing.T, s *testStore) time.Time {
	t.Helper()
	requireSound(t, s)
	claim, due := s.Claim(t.Context(), all)
	require.Nil(t, claim)
	return due
}

func changes(t *testing.T, s *testStore, steps ...string) {
	t.Helper()
	for i, step := range steps {
		require.NoError(t, change(t, s, i, step))
	}
}

// rounds is a store whose groups are due again within 64 seconds, at whole seconds.
func rounds() *testStore {
	o := options()
	o.RepublishInterval = 64 * time.Second
	return newStore(o)
}

func TestWhatIsDue(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		exported, steps, want []string
	}{
		"nothing":                         {nil, nil, nil},
		"a push":                          {nil, []string{"PUT job/j b a"}, []string{"job/j: a b times"}},
		"the oldest change first":         {nil, []string{"PUT job/b x", "PUT job/a x", "POST job/b y"}, []string{"job/b: x y times", "job/a: x times"}},
		"the newest values":               {nil, []string{"PUT job/j a b", "PUT job/j b c"}, []string{"job/j: b c times"}},
		"what was not accepted":           {[]string{"PUT job/j a b"}, []string{"POST job/j b c"}, []string{"job/j: b c times"}},
		"a family of a large group":       {[]string{"PUT job/j " + many(0, 1000)}, []string{"POST job/j m7"}, []string{"job/j: m7 times"}},
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
			s := newStore(options())
			for i, step := range tc.exported {
				require.NoError(t, do(t, s, i, step))
			}
			for i, step := range tc.steps {
				require.NoError(t, change(t, s, 10+i, step))
			}
			if tc.want == nil {
				assert.Zero(t, requireNothingDue(t, s))
				return
			}
			claim := claimed(t, s)
			assert.Equal(t, tc.want, sortedNames(spelled(claim.Parts)))
			settleAll(t, s, claim, accepted)
			assert.Zero(t, requireNothingDue(t, s))
			groups, _ := s.Waiting()
			assert.Zero(t, groups)
		})
	}
}

// sortedNames sorts the markers of each line, which may be in one part or in several.
func sortedNames(lines []string) []string {
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

func TestClaimIsBounded(t *testing.T) {
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
			s := newStore(options())
			for i := range 5 {
				changes(t, s, fmt.Sprintf("PUT job/%d a b c", i))
			}
			limits := most
			tc.limit(&limits)
			var claims []*store.Claim
			for _, want := range tc.want {
				claim, _ := s.Claim(t.Context(), limits)
				require.NotNil(t, claim)
				assert.Len(t, spelled(claim.Parts), want)
				claims = append(claims, claim)
			}
			requireNothingDue(t, s)
			for i, claim := range claims {
				assert.True(t, i == 0 || claim.At.After(claims[i-1].At), "each is later than the one before")
				settleAll(t, s, claim, accepted)
			}
		})
	}
}

// TestChangesAndRoundsAlternate as long as both are due, over claims too. Each claim has few groups.
func TestChangesAndRoundsAlternate(t *testing.T) {
	t.Parallel()
	for _, groups := range []int{1, 2, 3, 5} {
		s := rounds()
		for i := range 6 {
			require.NoError(t, do(t, s, 0, fmt.Sprintf("PUT job/old%d a", i)))
		}
		s.set(at(64))
		for i := range 6 {
			changes(t, s, fmt.Sprintf("PUT job/new%d a", i))
		}
		var order strings.Builder
		for claim, _ := s.Claim(t.Context(), store.Limits{Groups: groups, Series: 1000, Bytes: 1 << 20}); claim != nil; claim, _ = s.Claim(t.Context(),
			store.Limits{Groups: groups, Series: 1000, Bytes: 1 << 20}) {
			for _, line := range spelled(claim.Parts) {
				order.WriteByte(line[len("job/")])
			}
			settleAll(t, s, claim, accepted)
		}
		assert.Equal(t, strings.Repeat("no", 6), order.String(), groups)
	}
}

// TestRounds are due once in a republish interval, with all values, whatever is pushed meanwhile.
func TestRounds(t *testing.T) {
	t.Parallel()
	s := rounds()
	require.NoError(t, do(t, s, 0, "PUT job/j a b"))
	assert.Equal(t, at(63).Unix()+1, requireNothingDue(t, s).Unix())
	require.NoError(t, do(t, s, 30, "POST job/j b"))
	assert.Equal(t, at(64).Unix(), requireNothingDue(t, s).Unix())
	s.set(at(64))
	claim := claimed(t, s)
	assert.Equal(t, []string{"job/j: a b times"}, spelled(claim.Parts))
	groups, _ := s.Waiting()
	assert.Zero(t, groups, "nothing has changed")
	settleAll(t, s, claim, accepted)
	assert.Equal(t, at(128).Unix(), requireNothingDue(t, s).Unix())

	s.set(at(130))
	changes(t, s, "POST job/j b")
	claim = claimed(t, s)
	assert.Equal(t, []string{"job/j: a b times"}, spelled(claim.Parts), "a change has all with it if the round is due")
	settleAll(t, s, claim, accepted)
	assert.Equal(t, at(194).Unix(), requireNothingDue(t, s).Unix())
	require.NoError(t, s.Delete(t.Context(), pushtest.Key(t, "job/j")))
	settleAll(t, s, claimed(t, s), accepted)
	assert.Zero(t, requireNothingDue(t, s), "it is gone")
}

// TestRoundsAreDueTogether at whole steps, so that they make large claims.
func TestRoundsAreDueTogether(t *testing.T) {
	t.Parallel()
	s := rounds()
	for i := range 100 {
		s.pass(5 * time.Millisecond)
		require.NoError(t, do(t, s, 0, fmt.Sprintf("PUT job/%d a", i)))
	}
	s.set(requireNothingDue(t, s))
	claim := claimed(t, s)
	assert.Len(t, spelled(claim.Parts), 100)
	settleAll(t, s, claim, accepted)
}

// TestClaimedGroups are in no other claim, and what is pushed meanwhile is unsent afterwards.
func TestClaimedGroups(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps   []string
		outcome store.Outcome
		want    []string // what is due afterwards
	}{
		"nothing":                      {nil, accepted, nil},
		"another family":               {[]string{"POST job/j c"}, accepted, []string{"job/j: c times"}},
		"the same family":              {[]string{"POST job/j a"}, accepted, []string{"job/j: a times"}},
		"other series":                 {[]string{"PUT job/j c"}, accepted, []string{"job/j: -a -b c times"}},
		"a failed push":                {[]string{"FAIL job/j"}, accepted, []string{"job/j: times"}},
		"deleted":                      {[]string{"DELETE job/j"}, accepted, []string{"job/j: -a -b -push_failure_time_seconds -push_time_seconds"}},
		"deleted, and refused":         {[]string{"DELETE job/j"}, refused, []string{"job/j: -a -b -push_failure_time_seconds -push_time_seconds"}},
		"deleted, and perhaps tried":   {[]string{"DELETE job/j"}, store.Outcome{}, []string{"job/j: -a -b -push_failure_time_seconds -push_time_seconds"}},
		"another family, and refused":  {[]string{"POST job/j c"}, refused, []string{"job/j: a b c times"}},
		"the same family, and refused": {[]string{"POST job/j a"}, refused, []string{"job/j: a b times"}},
		"the same family, refused until later": {
			[]string{"POST job/j a"}, store.Outcome{Tried: true, Retry: at(1000)}, []string{"job/j: a b times"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(options())
			changes(t, s, "PUT job/j a b")
			claim := claimed(t, s)
			for i, step := range tc.steps {
				require.NoError(t, change(t, s, 10+i, step))
				requireNothingDue(t, s)
			}
			requireNothingDue(t, s)
			settleAll(t, s, claim, tc.outcome)
			groups, oldest := s.Waiting()
			if tc.want == nil {
				assert.Zero(t, groups)
				requireNothingDue(t, s)
				return
			}
			assert.Equal(t, 1, groups)
			since := at(0)
			if tc.outcome.Accepted {
				since = at(10)
			}
			assert.Equal(t, since, oldest, "the oldest change that was not accepted")
			next := claimed(t, s)
			assert.Equal(t, tc.want, sortedNames(spelled(next.Parts)))
			assert.Greater(t, next.At, claim.At)
			settleAll(t, s, next, accepted)
			requireNothingDue(t, s)
		})
	}
}

// TestNeverTried has a claim settled without any call: a series that was never exported needs no marker.
func TestNeverTried(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	changes(t, s, "PUT job/j a")
	settleAll(t, s, claimed(t, s), store.Outcome{})
	changes(t, s, "PUT job/j b")
	assert.Equal(t, []string{"job/j lives b"}, shown(t, s))
	settleAll(t, s, claimed(t, s), refused)
	changes(t, s, "PUT job/j c")
	assert.Equal(t, []string{"job/j lives c, pending b"}, shown(t, s), "the consumer may have it although it returned an error")
}

// TestOutcomes of the parts of one group, family by family.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	later := store.Outcome{Tried: true, Err: errRefused, Retry: at(10)}
	suspect := store.Outcome{Tried: true, Err: errRefused, Retry: at(10), Suspect: true}
	for name, tc := range map[string]struct {
		first, a, b  store.Outcome
		now, then    []string // what is due at once and ten seconds later
		round        int      // when the next round is due, in seconds
		stillWaiting int      // groups, at once
	}{
		"accepted":               {accepted, accepted, accepted, nil, nil, 64, 0},
		"refused":                {accepted, refused, accepted, []string{"job/j: a"}, nil, 64, 1},
		"not tried":              {accepted, store.Outcome{}, store.Outcome{}, []string{"job/j: a b"}, nil, 64, 1},
		"later":                  {accepted, accepted, later, nil, []string{"job/j: b"}, 64, 1},
		"all later":              {later, later, later, nil, []string{"job/j: -c a b"}, 64, 1},
		"refused and later":      {accepted, refused, later, []string{"job/j: a b"}, nil, 64, 1},
		"a marker later":         {later, accepted, accepted, nil, []string{"job/j: -c"}, 64, 1},
		"a marker refused":       {refused, accepted, accepted, []string{"job/j: -c"}, nil, 64, 1},
		"suspect":                {accepted, suspect, accepted, nil, []string{"job/j: a"}, 64, 0},
		"a suspect marker":       {suspect, accepted, accepted, nil, []string{"job/j: -c"}, 64, 0},
		"suspect beside refused": {accepted, suspect, refused, []string{"job/j: a b"}, nil, 64, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := store.Options{Scope: pushtest.Scope, RepublishInterval: 64 * time.Second}
			s := newStore(o)
			require.NoError(t, do(t, s, 0, "PUT job/j c"))
			changes(t, s, "PUT job/j a b")
			claim := claimed(t, s)
			require.Len(t, claim.Parts, 3)
			for i, outcome := range []store.Outcome{tc.first, tc.a, tc.b} {
				claim.Parts[i].Outcome = outcome
			}
			require.NoError(t, s.Settle(t.Context(), claim))
			requireSound(t, s)
			groups, oldest := s.Waiting()
			assert.Equal(t, tc.stillWaiting, groups)
			assert.Equal(t, groups == 0, oldest.IsZero())
			if tc.now != nil {
				claim = claimed(t, s)
				assert.Equal(t, tc.now, spelled(claim.Parts))
				settleAll(t, s, claim, accepted)
			}
			if due := requireNothingDue(t, s); tc.then != nil {
				assert.Equal(t, at(10), due)
				s.set(at(10))
				claim = claimed(t, s)
				assert.Equal(t, tc.then, spelled(claim.Parts))
				settleAll(t, s, claim, accepted)
			}
			assert.Equal(t, at(tc.round).Unix(), requireNothingDue(t, s).Unix())
			groups, _ = s.Waiting()
			assert.Zero(t, groups)
		})
	}
}

// TestRefusedIsPushedAgain is due at once although what was refused is to be tried later.
func TestRefusedIsPushedAgain(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	changes(t, s, "PUT job/j a b")
	settleAll(t, s, claimed(t, s), store.Outcome{Tried: true, Retry: at(60)})
	assert.Equal(t, at(60), requireNothingDue(t, s))
	require.NoError(t, change(t, s, 10, "POST job/j a"))
	claim := claimed(t, s)
	assert.Equal(t, []string{"job/j: a b times"}, spelled(claim.Parts))
	settleAll(t, s, claim, accepted)
	assert.Zero(t, requireNothingDue(t, s))
}

// TestRefusedRounds are tried again when they are to be, with all values, unless only suspects were refused.
func TestRefusedRounds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome store.Outcome // of a
		due     int           // second
		want    []string
	}{
		"refused": {refused, 64, []string{"job/j: a b times"}},
		"later":   {store.Outcome{Tried: true, Retry: at(70)}, 70, []string{"job/j: a b times"}},
		"suspect": {store.Outcome{Tried: true, Retry: at(70), Suspect: true}, 128, []string{"job/j: a b times"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rounds()
			require.NoError(t, do(t, s, 0, "PUT job/j a b"))
			s.set(at(64))
			claim := claimed(t, s)
			for _, p := range claim.Parts {
				p.Outcome = accepted
				if p.Family == "a" {
					p.Outcome = tc.outcome
				}
			}
			require.NoError(t, s.Settle(t.Context(), claim))
			requireSound(t, s)
			if tc.due > 64 {
				assert.Equal(t, at(tc.due).Unix(), requireNothingDue(t, s).Unix())
			}
			s.set(at(tc.due))
			claim = claimed(t, s)
			assert.Equal(t, tc.want, spelled(claim.Parts))
			settleAll(t, s, claim, accepted)
		})
	}
}

// TestChanged is signaled when something is due earlier than a claim said.
func TestChanged(t *testing.T) {
	t.Parallel()
	s := rounds()
	signaled := func() bool {
		select {
		case <-s.Changed():
			return true
		default:
			return false
		}
	}
	assert.False(t, signaled())
	changes(t, s, "PUT job/j a")
	assert.True(t, signaled())
	claim := claimed(t, s)
	require.NoError(t, change(t, s, 1, "POST job/j a"))
	assert.False(t, signaled(), "its claim has to be settled first")
	settleAll(t, s, claim, accepted)
	assert.True(t, signaled())
	settleAll(t, s, claimed(t, s), store.Outcome{Tried: true, Retry: at(10)})
	assert.True(t, signaled(), "the first one that is due is another one")
	settleAll(t, s, claimedAt(t, s, at(10)), accepted)
	signaled()
	require.NoError(t, change(t, s, 11, "PUT job/k a"))
	assert.True(t, signaled())
}

func claimedAt(t *testing.T, s *testStore, at time.Time) *store.Claim {
	t.Helper()
	s.set(at)
	return claimed(t, s)
}

// TestExemplarsGoOutOnce with the values that they came with, also if these were refused at first.
func TestExemplarsGoOutOnce(t *testing.T) {
	t.Parallel()
	s := rounds()
	key := pushtest.Key(t, "job/j")
	withExemplar := func() {
		push := pushtest.Text(t, "job/j", "# TYPE c counter\nc_total 1 # {t=\"1\"} 1\n# EOF\n")
		require.NoError(t, s.Push(t.Context(), key, familiesOf(t, s, push), true, s.now()))
	}
	exemplars := func(p *store.Part) int {
		point := p.Metrics().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0)
		return point.Exemplars().Len()
	}
	withExemplar()
	larger := s.Counts().Size
	for _, outcome := range []store.Outcome{refused, {}, accepted} {
		claim := claimed(t, s)
		assert.Equal(t, "c_total", claim.Parts[0].Family)
		assert.Equal(t, 1, exemplars(claim.Parts[0]))
		assert.Equal(t, 1, exemplars(claim.Parts[0]), "each time that it is asked for its metrics")
		settleAll(t, s, claim, outcome)
	}
	assert.Less(t, s.Counts().Size, larger, "they take no room any more")
	s.set(at(64))
	claim := claimed(t, s)
	assert.Zero(t, exemplars(claim.Parts[0]))

	withExemplar()
	settleAll(t, s, claim, accepted)
	claim = claimed(t, s)
	assert.Equal(t, 1, exemplars(claim.Parts[0]), "those of a push during a claim are not lost")
	withExemplar()
	require.NoError(t, s.Delete(t.Context(), key))
	settleAll(t, s, claim, accepted)
	settleAll(t, s, claimed(t, s), accepted)
	assert.Zero(t, s.Counts())
}

// TestPartsAreMadeAnew each time, and tell what is in them.
func TestPartsAreMadeAnew(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	require.NoError(t, do(t, s, 0, "PUT job/j x y"))
	require.NoError(t, change(t, s, 1, "PUT job/j h:1,2"))
	claim := claimed(t, s)
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
	settleAll(t, s, claim, accepted)
}

// TestDivide halves markers until each stands alone, and settles each part by itself.
func TestDivide(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 0, "PUT job/j a b c d e"))
	require.NoError(t, do(t, s, 1, "PUT job/j"))
	claim := claimed(t, s)
	require.Len(t, claim.Parts, 1)
	assert.Empty(t, claim.Parts[0].ID())
	halves := claim.Divide(claim.Parts[0])
	require.Len(t, halves, 2)
	assert.Equal(t, halves, claim.Parts)
	assert.Equal(t, []string{"-a", "-b", "-c", "-d", "-e"}, sortedStrings(slices.Concat(spelledPart(halves[0]), spelledPart(halves[1]))))
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
		p.Outcome = accepted
	}
	alone.Outcome = refused
	require.NoError(t, s.Settle(t.Context(), claim))
	left := spelledPart(alone)[0]
	assert.Equal(t, []string{"job/j lives, pending " + left[1:]}, shown(t, s))
	requireRestored(t, s, c.crashed())
	claim = claimed(t, s)
	assert.Equal(t, []string{"job/j: " + left}, spelled(claim.Parts))
	assert.Equal(t, alone.ID(), claim.Parts[0].ID(), "it is known again")
	settleAll(t, s, claim, accepted)
	assert.Equal(t, []string{"job/j lives"}, shown(t, s))
	assert.Empty(t, reopened(t, c.crashed()).Pending)
}

// TestSeparate gives the markers that are picked parts of their own.
func TestSeparate(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	require.NoError(t, do(t, s, 0, "PUT job/j a b c d"))
	require.NoError(t, do(t, s, 0, "PUT job/k a"))
	require.NoError(t, do(t, s, 1, "PUT job/j"))
	require.NoError(t, do(t, s, 1, "PUT job/k b"))
	claim := claimed(t, s)
	ids := map[string]store.PartID{} // of single markers
	claim.Separate(func(store.PartID) bool { return true })
	for _, p := range claim.Parts {
		if isMarkers(p) {
			ids[p.Key.Job+spelledPart(p)[0]] = p.ID()
		}
	}
	assert.Equal(t, []string{"job/j: -a -b -c -d", "job/k: -a"}, sortedNames(spelled(claim.Parts)))
	assert.Len(t, claim.Parts, 5)
	require.Len(t, ids, 5)
	settleAll(t, s, claim, refused)

	claim = claimed(t, s)
	claim.Separate(func(store.PartID) bool { return false })
	require.Len(t, claim.Parts, 2, "as they were")
	claim.Separate(func(id store.PartID) bool { return id == ids["j-b"] || id == ids["j-d"] })
	var parts []string
	for _, p := range claim.Parts {
		parts = append(parts, p.Key.Job+fmt.Sprint(spelledPart(p)))
	}
	assert.ElementsMatch(t, []string{"j[-b]", "j[-d]", "j[-a -c]", "k[-a]"}, parts)
	settleAll(t, s, claim, accepted)
	assert.Equal(t, []string{"job/j lives", "job/k lives b"}, shown(t, s))
}

// TestIDs of families and push times are those of their groups.
func TestIDs(t *testing.T) {
	t.Parallel()
	s := rounds()
	require.NoError(t, do(t, s, 0, "PUT job/j a b"))
	require.NoError(t, do(t, s, 0, "PUT job/k a b"))
	seen := map[store.PartID]bool{}
	for _, second := range []int{64, 128} {
		claim := claimedAt(t, s, at(second))
		for _, p := range claim.Parts {
			seen[p.ID()] = true
		}
		settleAll(t, s, claim, accepted)
	}
	assert.Len(t, seen, 6)
	assert.NotContains(t, seen, store.PartID{})
}

// TestMarkersGoneDuringTheirClaim were added again, or taken over, or added and removed once more. What is accepted is of the marker
// that was exported.
func TestMarkersGoneDuringTheirClaim(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ steps, want []string }{
		"added again":               {[]string{`POST job/j a{x="1"}`}, []string{"job/j lives a"}},
		"taken over":                {[]string{"PUT job/j/x/1 a"}, []string{"job/j lives", "job/j/x/1 lives a"}},
		"added and removed":         {[]string{`POST job/j a{x="1"}`, "PUT job/j"}, []string{`job/j lives, pending a{x="1"}`}},
		"taken over and removed":    {[]string{"PUT job/j/x/1 a", "PUT job/j/x/1"}, []string{"job/j lives", `job/j/x/1 lives, pending a{x="1"}`}},
		"in a deleted group":        {[]string{"DELETE job/j"}, []string{"job/j deleted, pending " + times}},
		"taken over and taken back": {[]string{"PUT job/j/x/1 a", "PUT job/j/x/1", `PUT job/j a{x="1"}`}, []string{"job/j lives a", "job/j/x/1 lives"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(map[string][]byte{})
			s, _ := restored(t, c)
			require.NoError(t, do(t, s, 0, `PUT job/j a{x="1"} b`))
			require.NoError(t, do(t, s, 1, "PUT job/j"))
			claim := claimed(t, s)
			changes(t, s, tc.steps...)
			settleAll(t, s, claim, accepted)
			assert.Equal(t, tc.want, shown(t, s))
			requireRestored(t, s, c.crashed())
			for claim, _ := s.Claim(t.Context(), all); claim != nil; claim, _ = s.Claim(t.Context(), all) {
				settleAll(t, s, claim, accepted)
			}
			requireRestored(t, s, c.crashed())
			assert.Zero(t, s.Counts().Pending)
			assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()))
		})
	}
}

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
	s.pass(memory.AckRetry)
	claim = claimed(t, s)
	assert.Empty(t, spelled(claim.Parts), "nothing is to be exported")
	require.NoError(t, s.Settle(t.Context(), claim))
	requireSound(t, s)
	assert.Equal(t, []string{"job/j lives b"}, shown(t, s))
	assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()))
	groups, _ := s.Waiting()
	assert.Zero(t, groups)
}
