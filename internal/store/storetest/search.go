// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// oddTexts are jobs, label values and words that a query language could take for something else.
var oddTexts = []string{
	"a", "A", "aa", "ä", "Ä", "a\x00b", "\x00", "a%b", "%", "a_b", "_", `a\b`, `\`, `\000`, `\x61`, "a'b", `a"b`, "''", "a;--", "a b", "$1", "?",
	"job=a", "x=", "שלום", "\u202eabc", "日本", "😀", "a/b", "{}", strings.Repeat("long", 200) + "1", strings.Repeat("long", 200) + "2",
}

// oddKeys are keys of odd texts. Names longer than those of cursors are ordered by nothing else than what tells them apart.
func oddKeys() (keys []groupingkey.Key) {
	for i, job := range oddTexts {
		keys = append(keys, groupingkey.Key{Job: job, Labels: []groupingkey.Label{{Name: "x", Value: oddTexts[(i*7+3)%len(oddTexts)]}}})
		if len(job) < 10 {
			keys = append(keys, groupingkey.Key{Job: job},
				groupingkey.Key{Job: job, Labels: []groupingkey.Label{{Name: "empty"}, {Name: "x", Value: "1"}}},
				groupingkey.Key{Job: job, Labels: []groupingkey.Label{{Name: "ü.b", Value: "Zone"}}})
		}
	}
	return keys
}

// testSearch compares a store with a plain search.
func testSearch(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	r := rand.New(rand.NewPCG(11, 1))
	for n, key := range oddKeys() {
		path := strings.TrimPrefix(key.Path(true), "/metrics/")
		steps := []string{"PUT " + path + strings.Repeat(" a", r.IntN(2)) + strings.Repeat(" b h:1,2", r.IntN(2))}
		switch r.IntN(4) {
		case 0:
			steps = []string{"FAIL " + path}
		case 1:
			steps = append(steps, "FAIL "+path)
		case 2:
			if n%2 == 0 {
				steps = append(steps, "DELETE "+path)
			}
		}
		for _, step := range steps {
			require.NoError(t, Do(t, s, n/3, step))
		}
	}
	oracle := oracleOf(t, s)
	require.Greater(t, len(oracle.groups), 50)
	for _, order := range []store.Order{store.ByPush, store.ByFailure, store.BySeries, store.BySize, store.ByName} {
		for _, descending := range []bool{false, true} {
			oracle.check(t, s, store.Query{Order: order, Descending: descending, Limit: 7}, "")
		}
	}
	for _, word := range append(slices.Clone(oddTexts), "nowhere", "ZONE", "x=1", "empty= x=1", "=a", "a x=", "\xff", "ü.b=zone", "a a a A") {
		oracle.check(t, s, store.Query{Order: store.ByName, Limit: 1000}, word)
		oracle.check(t, s, store.Query{Order: store.ByPush, Descending: true, Limit: 20, Job: "a"}, word)
		oracle.check(t, s, store.Query{Order: store.BySize, Limit: 1000, Job: word}, "")
	}
	for _, after := range []string{"no cursor", "!", "bm8"} {
		_, err := s.Search(t.Context(), store.Query{Limit: 1, After: after})
		require.ErrorIs(t, err, store.ErrCursor)
	}
	oracle.checkJobs(t, s)
	for _, g := range oracle.groups {
		summary, snapshot, err := s.Group(t.Context(), g.Key)
		require.NoError(t, err)
		assert.Equal(t, g.Summary, withoutCursor(summary))
		assert.Equal(t, g.Key.Path(true), snapshot.Key.Path(true))
	}
	_, _, err := s.Group(t.Context(), groupingkey.Key{Job: "nowhere"})
	require.ErrorIs(t, err, store.ErrNoGroup)
}

// withoutCursor makes summaries comparable.
func withoutCursor(g store.Summary) store.Summary {
	g.Cursor, g.Key.Labels = "", append([]groupingkey.Label{}, g.Key.Labels...)
	return g
}

// searchOracle has all groups, and searches them in the plainest way.
type searchOracle struct{ groups []searched }

type searched struct {
	store.Summary

	name []byte
}

func oracleOf(t *testing.T, s *Store) *searchOracle {
	o := &searchOracle{}
	for _, snapshot := range SnapshotsOf(t, s) {
		summary, _, err := s.Group(t.Context(), snapshot.Key)
		require.NoError(t, err)
		assert.Equal(t, snapshot.PushTime, summary.PushTime)
		assert.Equal(t, snapshot.PushFailureTime, summary.PushFailureTime)
		assert.Equal(t, len(snapshot.Families), summary.Families)
		o.groups = append(o.groups, searched{withoutCursor(summary), store.AppendName(nil, snapshot.Key)})
	}
	return o
}

// selected lists the groups that a query selects, in order.
func (o *searchOracle) selected(q store.Query, words string) (found []searched) {
	for _, g := range o.groups {
		if (q.Job == "" || g.Key.Job == q.Job) && hasWords(g.Key, words) {
			found = append(found, g)
		}
	}
	nanoseconds := func(at time.Time) int64 {
		if at.IsZero() {
			return 0
		}
		return at.UnixNano()
	}
	value := map[store.Order]func(searched) int64{
		store.ByPush:    func(g searched) int64 { return nanoseconds(g.PushTime) },
		store.ByFailure: func(g searched) int64 { return nanoseconds(g.PushFailureTime) },
		store.BySeries:  func(g searched) int64 { return int64(g.Series) },
		store.BySize:    func(g searched) int64 { return g.Size },
		store.ByName:    func(searched) int64 { return 0 },
	}[q.Order]
	slices.SortFunc(found, func(a, b searched) int { return cmp.Or(cmp.Compare(value(a), value(b)), bytes.Compare(a.name, b.name)) })
	if q.Descending {
		slices.Reverse(found)
	}
	return found
}

// hasWords reports whether each word is in a pair of the key, but for the case of ASCII letters.
func hasWords(key groupingkey.Key, words string) bool {
	lower := func(text string) string {
		return strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, text)
	}
	pairs := []string{lower("job=" + key.Job)}
	for _, l := range key.Labels {
		pairs = append(pairs, lower(l.Name+"="+l.Value))
	}
	for word := range strings.FieldsSeq(words) {
		if word == "\xff" {
			word = "?" // no UTF-8
		}
		if !slices.ContainsFunc(pairs, func(pair string) bool { return strings.Contains(pair, lower(word)) }) {
			return false
		}
	}
	return true
}

// check reads all pages of a query.
func (o *searchOracle) check(t *testing.T, s *Store, q store.Query, words string) {
	t.Helper()
	q.Filter = groupingkey.NewFilter(words)
	want := o.selected(q, words)
	about := fmt.Sprintf("%q in job %q by %s, descending %v", words, q.Job, q.Order, q.Descending)
	var got []searched
	for {
		found, err := s.Search(t.Context(), q)
		require.NoError(t, err, about)
		require.LessOrEqual(t, len(found.Groups), q.Limit, about)
		require.Equal(t, len(want), found.Matched, about)
		require.Equal(t, len(o.groups), found.Total, about)
		for _, g := range found.Groups {
			got = append(got, searched{withoutCursor(g), store.AppendName(nil, g.Key)})
		}
		if n := len(found.Groups); n > 0 && found.Next != "" {
			require.Equal(t, found.Groups[n-1].Cursor, found.Next, about)
		}
		if q.After = found.Next; q.After == "" {
			break
		}
		require.Less(t, len(got), len(want), about)
	}
	require.Equal(t, want, got, about)
}

func (o *searchOracle) checkJobs(t *testing.T, s *Store) {
	t.Helper()
	later := func(a, b time.Time) time.Time {
		if b.After(a) {
			return b
		}
		return a
	}
	want := make(map[string]store.Job)
	for _, g := range o.groups {
		j := want[g.Key.Job]
		want[g.Key.Job] = store.Job{
			Name: g.Key.Job, Groups: j.Groups + 1, PushTime: later(j.PushTime, g.PushTime), PushFailureTime: later(j.PushFailureTime, g.PushFailureTime),
		}
	}
	jobs, err := s.Jobs(t.Context())
	require.NoError(t, err)
	got := make(map[string]store.Job)
	for _, j := range jobs {
		got[j.Name] = j
	}
	assert.Len(t, jobs, len(want))
	assert.Equal(t, want, got)
}

// testPaging pages while groups change: those that do not are neither repeated nor left out.
func testPaging(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	for i := range 30 {
		require.NoError(t, Do(t, s, i, fmt.Sprintf("PUT job/j/i/%02d a", i)))
	}
	for _, q := range []store.Query{
		{Order: store.ByPush, Descending: true, Limit: 4},
		{Order: store.ByPush, Limit: 4, Filter: groupingkey.NewFilter("i=")},
		{Order: store.ByName, Limit: 4, Job: "j"},
	} {
		seen := make(map[string]int)
		for n := 100; ; n++ {
			found, err := s.Search(t.Context(), q)
			require.NoError(t, err)
			for _, g := range found.Groups {
				i, _ := g.Key.Get("i")
				seen[i]++
			}
			if q.After = found.Next; q.After == "" {
				break
			}
			require.NoError(t, Do(t, s, n, fmt.Sprintf("POST job/j/i/%02d b", n%5)), "these may move")
			require.NoError(t, Do(t, s, n, fmt.Sprintf("PUT job/0/i/new%d a", n)))
			require.NoError(t, Do(t, s, n, fmt.Sprintf("DELETE job/0/i/new%d", n-1)))
		}
		for i := 5; i < 30; i++ {
			assert.Equal(t, 1, seen[fmt.Sprintf("%02d", i)], "%d by %s", i, q.Order)
		}
	}
}
