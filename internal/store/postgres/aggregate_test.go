// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// TestRulesOfAnotherRelease are in force with the replica that started last. Only those that have them end what others made.
func TestRulesOfAnotherRelease(t *testing.T) {
	t.Parallel()
	g := borrowGround(t)
	clock, set := g.clock(t), settings(g.datasource).ForTest(1, testClock, 0)
	before := openWith(t, set, clock, storetest.Aggregating())
	require.NoError(t, storetest.Contribute(t, before, "PUT a c 5; max_g 1"))
	storetest.ExportValues(t, before)

	o := storetest.Aggregating()
	o.Rules[0].Metrics = nil // max_g is one of which the last value counts
	changed := openWith(t, set, clock, o)
	require.NoError(t, storetest.Contribute(t, changed, "PUT b c 1; max_g 9"))
	require.NoError(t, storetest.Contribute(t, changed, "PUT b c 1; max_g 2"))
	assert.Equal(t, "c 6; max_g 2", storetest.Values(t, changed))
	require.ErrorIs(t, storetest.Contribute(t, before, "PUT c c 1; max_g 1"), store.ErrBusy, "the rules of this replica are over")
	assert.Equal(t, "c 6; max_g 2", storetest.Values(t, before))

	o = storetest.Aggregating()
	o.Rules[0].Without = []string{"pod"}
	gone := openWith(t, set, clock, o)
	expire := func(s *storetest.Store) {
		_, err := s.Expire(t.Context())
		require.NoError(t, err)
	}
	expire(gone)
	assert.Equal(t, "c 6; max_g 2", storetest.Values(t, gone), "another replica may still contribute")
	clock.Pass(store.MinQuiet)
	expire(changed)
	assert.Equal(t, "c 6; max_g 2", storetest.Values(t, gone), "whose rules are over does not end it")
	expire(gone)
	assert.Empty(t, storetest.SnapshotsOf(t, gone))
	storetest.RequireSound(t, gone)
	counts := gone.Counts()
	counts.PendingSize = 0
	assert.Equal(t, store.Counts{Pending: 4}, counts, "c, max_g and the push times were exported")
	// An expiry finds out first what there is to do. So the markers of what it ends lapse with the next one, although it is five minutes since
	// the export.
	e, err := gone.Expire(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 4, e.LapsedSeries)
	assert.Empty(t, gone.Held())
	assert.Zero(t, gone.Counts())
	storetest.RequireSound(t, gone)
}

// TestExemplarsOfAnAggregate go out once, with the values that they came with, and again if they were surely not accepted.
func TestExemplarsOfAnAggregate(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Aggregating())
	push := func(pusher, value string) {
		s.Pass(time.Minute)
		body := "# TYPE c counter\nc_total " + value + " # {trace_id=\"" + pusher + "\"} 1\n# EOF\n"
		require.NoError(t, s.Contribute(t.Context(), storetest.ContributionOf(t, s, "PUT", "job/X/job_id/"+pusher, body)))
	}
	export := func(outcome store.Outcome) (all []string) {
		require.NoError(t, storetest.Export(t, s, func(p *store.Part) store.Outcome {
			all = append(all, exemplarsOf(p.Metrics())...)
			return outcome
		}))
		return all
	}
	push("a", "1")
	assert.Equal(t, []string{"a"}, export(storetest.Refused))
	assert.Equal(t, []string{"a"}, export(storetest.Accepted))
	push("b", "2")
	push("c", "3")
	assert.Equal(t, []string{"c"}, export(storetest.Accepted), "those of the latest push")
	assert.Empty(t, export(storetest.Accepted))
	storetest.RequireSound(t, s)
}

func exemplarsOf(md pmetric.Metrics) (all []string) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() != pmetric.MetricTypeSum {
					continue
				}
				for _, point := range m.Sum().DataPoints().All() {
					for _, e := range point.Exemplars().All() {
						for _, v := range e.FilteredAttributes().All() {
							all = append(all, v.Str())
						}
						all = append(all, e.TraceID().String())
					}
				}
			}
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// TestRoundsOfAggregates have all their values, without zeros, also if a change comes during one.
func TestRoundsOfAggregates(t *testing.T) {
	t.Parallel()
	o := storetest.Aggregating()
	o.RepublishInterval = 64 * time.Second
	s := open(t, o)
	require.NoError(t, storetest.Contribute(t, s, "PUT a c 5; g 1"))
	claim, _ := s.Claim(t.Context(), storetest.All)
	assert.Equal(t, []string{"c 0", "c 5", "g 1"}, storetest.ClaimedValues(claim))
	storetest.SettleAll(t, s, claim, storetest.Accepted)
	for round := range 3 {
		s.Pass(o.RepublishInterval)
		claim, _ = s.Claim(t.Context(), storetest.All)
		require.NotNil(t, claim)
		assert.Equal(t, []string{fmt.Sprint("c ", 5+round), "g 1"}, storetest.ClaimedValues(claim))
		require.NoError(t, storetest.Contribute(t, s, fmt.Sprintf("PUT b c %d", 1+round)))
		storetest.SettleAll(t, s, claim, storetest.Accepted)
		s.Pass(10 * time.Second)
		claim, _ = s.Claim(t.Context(), storetest.All)
		require.NotNil(t, claim)
		assert.Equal(t, []string{fmt.Sprint("c ", 6+round)}, storetest.ClaimedValues(claim), "only what has changed")
		storetest.SettleAll(t, s, claim, storetest.Accepted)
		storetest.RequireSound(t, s)
	}
}

// TestSearch pages through groups and aggregates.
func TestSearch(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Aggregating())
	for i := range 5 {
		require.NoError(t, storetest.Do(t, s, i, fmt.Sprintf("PUT job/j/x/%d a b", i)))
	}
	require.NoError(t, storetest.Contribute(t, s, `PUT a c 5; c{x="1"} 1; g 2`))
	var seen []string
	q := store.Query{Order: store.ByName, Limit: 2}
	for pages := 0; ; pages++ {
		require.Less(t, pages, 5)
		found, err := s.Search(t.Context(), q)
		require.NoError(t, err)
		assert.Equal(t, 6, found.Matched)
		assert.Equal(t, 6, found.Total)
		for _, g := range found.Groups {
			seen = append(seen, fmt.Sprint(g.Key.Path(true), " ", g.Families, " ", g.Series))
		}
		if q.After = found.Next; q.After == "" {
			break
		}
	}
	assert.Equal(t, []string{
		"/metrics/job/X 2 3", "/metrics/job/j/x/0 2 2", "/metrics/job/j/x/1 2 2", "/metrics/job/j/x/2 2 2", "/metrics/job/j/x/3 2 2", "/metrics/job/j/x/4 2 2",
	}, seen)
	found, err := s.Search(t.Context(), store.Query{Filter: groupingkey.NewFilter("x=3"), Order: store.ByPush, Descending: true, Limit: 5})
	require.NoError(t, err)
	assert.Equal(t, 1, found.Matched)
	_, err = s.Search(t.Context(), store.Query{After: "no cursor", Limit: 1})
	require.ErrorIs(t, err, store.ErrCursor)
	summary, snapshot, err := s.Group(t.Context(), pushtest.Key(t, "job/X"))
	require.NoError(t, err)
	assert.Equal(t, 1, summary.Aggregate.Pushers)
	assert.Len(t, snapshot.Families, 2)
	_, _, err = s.Group(t.Context(), pushtest.Key(t, "job/none"))
	require.ErrorIs(t, err, store.ErrNoGroup)
	jobs, err := s.Jobs(t.Context())
	require.NoError(t, err)
	assert.Len(t, jobs, 2)
}
