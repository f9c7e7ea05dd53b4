// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// search returns the groups of all pages, by their paths after /metrics/, and the answer with the last page.
func search(tb testing.TB, s *testStore, q store.Query) (paths []string, last store.Found) {
	tb.Helper()
	for {
		found, err := s.Search(tb.Context(), q)
		require.NoError(tb, err)
		require.LessOrEqual(tb, len(found.Groups), q.Limit)
		for i := range found.Groups {
			paths = append(paths, strings.TrimPrefix(found.Groups[i].Key.Path(true), "/metrics/"))
		}
		if found.Next == "" {
			return paths, found
		}
		q.After = found.Next
	}
}

// searched is a store with some groups.
func searched(t *testing.T) *testStore {
	s, _ := restored(t, nil)
	for i, step := range []string{
		"PUT job/b/i/1 x", "PUT job/a x y", "PUT job/b/i/2 h:1,2", "PUT job/c z", "FAIL job/c", "FAIL job/failed/i/1", "PUT job/gone x", "DELETE job/gone",
	} {
		require.NoError(t, do(t, s, i, step))
	}
	return s
}

func TestSearchOrders(t *testing.T) {
	t.Parallel()
	s := searched(t)
	for order, want := range map[store.Order]string{
		store.ByPush:    "job/failed/i/1 job/b/i/1 job/a job/b/i/2 job/c",
		store.ByFailure: "job/a job/b/i/1 job/b/i/2 job/c job/failed/i/1",
		store.BySeries:  "job/failed/i/1 job/b/i/1 job/c job/a job/b/i/2",
		store.ByName:    "job/a job/b/i/1 job/b/i/2 job/c job/failed/i/1",
	} {
		for limit := 1; limit <= 6; limit++ {
			got, last := search(t, s, store.Query{Order: order, Limit: limit})
			assert.Equal(t, want, strings.Join(got, " "), "%s, %d a page", order, limit)
			assert.Equal(t, 5, last.Matched)
			assert.Equal(t, 5, last.Total)
			got, _ = search(t, s, store.Query{Order: order, Limit: limit, Descending: true})
			slices.Reverse(got)
			assert.Equal(t, want, strings.Join(got, " "), "%s descending, %d a page", order, limit)
		}
	}
	bySize, _ := search(t, s, store.Query{Order: store.BySize, Limit: 1})
	assert.Equal(t, "job/failed/i/1", bySize[0])
	assert.Equal(t, "job/b/i/2", bySize[4])
}

func TestSearchSelects(t *testing.T) {
	t.Parallel()
	s := searched(t)
	for name, tc := range map[string]struct {
		query store.Query
		want  string
	}{
		"a word":       {store.Query{Filter: groupingkey.NewFilter("I=1")}, "job/b/i/1 job/failed/i/1"},
		"two words":    {store.Query{Filter: groupingkey.NewFilter("i=1 job=b")}, "job/b/i/1"},
		"a job":        {store.Query{Job: "b"}, "job/b/i/1 job/b/i/2"},
		"part of one":  {store.Query{Job: "fail"}, ""},
		"job and word": {store.Query{Job: "b", Filter: groupingkey.NewFilter("2")}, "job/b/i/2"},
		"nothing":      {store.Query{Filter: groupingkey.NewFilter("gone")}, ""},
	} {
		tc.query.Order, tc.query.Limit = store.ByName, 10
		got, last := search(t, s, tc.query)
		assert.Equal(t, tc.want, strings.Join(got, " "), name)
		assert.Equal(t, len(got), last.Matched, name)
		assert.Equal(t, 5, last.Total, name)
	}
}

// TestSearchIsStable pages through groups while others change.
func TestSearchIsStable(t *testing.T) {
	t.Parallel()
	s, _ := restored(t, nil)
	const groups = 40
	for i := range groups {
		require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/j/i/%02d x", i)))
	}
	for _, descending := range []bool{false, true} {
		seen := map[string]int{}
		q := store.Query{Order: store.ByPush, Descending: descending, Limit: 7}
		for page := 0; ; page++ {
			found, err := s.Search(t.Context(), q)
			require.NoError(t, err)
			onPage := map[string]bool{}
			for i := range found.Groups {
				path := found.Groups[i].Key.Path(true)
				assert.False(t, onPage[path], "twice on one page")
				onPage[path] = true
				seen[path]++
			}
			if found.Next == "" {
				break
			}
			q.After = found.Next
			// Groups with odd numbers are pushed again, others come and go.
			require.NoError(t, do(t, s, 100+page, fmt.Sprintf("PUT job/j/i/%02d x", 2*page+1)))
			require.NoError(t, do(t, s, 100+page, fmt.Sprintf("PUT job/new/i/%d x", page)))
			require.NoError(t, do(t, s, 100+page, fmt.Sprintf("DELETE job/new/i/%d", page-1)))
		}
		for i := 0; i < groups; i += 2 {
			assert.Equal(t, 1, seen[fmt.Sprintf("/metrics/job/j/i/%02d", i)], "a group without changes")
		}
	}
}

// TestSearchWithLongNames pages through groups whose names differ behind what a cursor contains, and where parts of them end.
func TestSearchWithLongNames(t *testing.T) {
	t.Parallel()
	s, _ := restored(t, nil)
	long := strings.Repeat("x", 600)
	var want []string
	for i := range 5 {
		path := fmt.Sprintf("job/%s/i/%d", long, i)
		want = append(want, path)
		require.NoError(t, do(t, s, 0, "PUT "+path+" x"))
	}
	for _, path := range []string{"job/a/b/c", "job/ab/c/d", "job@base64/YQBi", "job/a/b@base64/YwBk"} {
		want = append(want, path)
		require.NoError(t, do(t, s, 0, "PUT "+path+" x"))
	}
	slices.Sort(want)
	for _, order := range []store.Order{store.ByPush, store.ByName} {
		got, last := search(t, s, store.Query{Order: order, Limit: 1})
		slices.Sort(got)
		assert.Equal(t, want, got)
		require.Len(t, last.Groups, 1)
		assert.Less(t, len(last.Groups[0].Cursor), 2000)
	}
}

func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	s := searched(t)
	for _, after := range []string{"x", "!", "e30x"} {
		_, err := s.Search(t.Context(), store.Query{Limit: 1, After: after})
		assert.ErrorIs(t, err, store.ErrCursor)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Search(ended, store.Query{Limit: 1})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Jobs(ended)
	require.ErrorIs(t, err, context.Canceled)
}

func TestGroup(t *testing.T) {
	t.Parallel()
	o := options()
	o.TTL = time.Hour
	s, _ := restoredWith(t, nil, o)
	require.NoError(t, do(t, s, 1, "PUT job/j/i/1 x h:1,2"))
	require.NoError(t, do(t, s, 2, "FAIL job/j/i/1"))
	require.NoError(t, change(t, s, 3, "PUT job/j/i/1 x"))
	summary, snapshot, err := s.Group(t.Context(), pushtest.Key(t, "job/j/i/1"))
	require.NoError(t, err)
	assert.Equal(t, 1, summary.Families)
	assert.Equal(t, 1, summary.Series)
	assert.Equal(t, 5, summary.Pending, "the histogram ends")
	assert.Positive(t, summary.Size)
	assert.Equal(t, at(3), summary.PushTime)
	assert.Equal(t, at(2), summary.PushFailureTime)
	assert.Equal(t, at(3).Add(time.Hour), summary.Expires)
	require.Len(t, snapshot.Families, 1)
	assert.Equal(t, "x", snapshot.Families[0].Name)

	require.NoError(t, change(t, s, 4, "DELETE job/j/i/1"))
	for _, path := range []string{"job/j/i/1", "job/j"} {
		_, _, err = s.Group(t.Context(), pushtest.Key(t, path))
		require.ErrorIs(t, err, store.ErrNoGroup, path)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	jobs, err := searched(t).Jobs(t.Context())
	require.NoError(t, err)
	slices.SortFunc(jobs, func(a, b store.Job) int { return cmp.Compare(a.Name, b.Name) })
	assert.Equal(t, []store.Job{
		{Name: "a", Groups: 1, PushTime: at(1)},
		{Name: "b", Groups: 2, PushTime: at(2)},
		{Name: "c", Groups: 1, PushTime: at(3), PushFailureTime: at(4)},
		{Name: "failed", Groups: 1, PushFailureTime: at(5)},
	}, jobs)
}

// BenchmarkSearch searches 100,000 groups: the first page, a page with a word, and the jobs.
func BenchmarkSearch(b *testing.B) {
	s, _ := restored(b, nil)
	push := pushtest.Text(b, "job/j", "a 1\nb 2\nc 3\n")
	families := familiesOf(b, s, push)
	for i := range 100_000 {
		key := groupingkey.Key{Job: fmt.Sprintf("job-%d", i%500), Labels: []groupingkey.Label{
			{Name: "instance", Value: fmt.Sprintf("db-%d.cluster-3.example.com", i)}, {Name: "zone", Value: fmt.Sprintf("eu-west-%d", i%3)},
		}}
		copies := make([]*store.Family, len(families))
		for f := range families {
			family := *families[f]
			family.Series = []series.Hash{series.Hash(i*len(families) + f)}
			copies[f] = &family
		}
		require.NoError(b, s.Push(b.Context(), key, copies, true, at(i)))
	}
	for name, q := range map[string]store.Query{
		"first page":  {Order: store.ByPush, Descending: true, Limit: 50},
		"by failure":  {Order: store.ByFailure, Limit: 200},
		"by size":     {Order: store.BySize, Descending: true, Limit: 50},
		"by name":     {Order: store.ByName, Limit: 50},
		"three words": {Order: store.ByPush, Limit: 50, Filter: groupingkey.NewFilter("job-42 zone=eu-west-1 example")},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.Search(b.Context(), q)
				require.NoError(b, err)
			}
		})
	}
	b.Run("jobs", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Jobs(b.Context())
			require.NoError(b, err)
		}
	})
}
