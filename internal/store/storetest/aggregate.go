// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// Aggregating are the options of a store whose rules aggregate over job_id.
func Aggregating() store.Options {
	o := DefaultOptions()
	o.Rules = store.Rules{{Name: "groups::aggregate[0]", Without: []string{"job_id", "pid"}, PusherTTL: time.Hour, Metrics: []store.FunctionRule{
		{Names: regexp.MustCompile("^(?:max_.*)$"), Function: merge.Max},
		{Names: regexp.MustCompile("^(?:sum_.*)$"), Function: merge.Sum},
		{Names: regexp.MustCompile("^(?:avg_.*)$"), Function: merge.Avg},
	}}}
	return o
}

// Taking are options of a store whose rule takes all pushes of the job X.
func Taking() store.Options {
	o := Aggregating()
	o.Rules[0].Jobs = regexp.MustCompile("^X$")
	return o
}

// ContributionOf is a push of a pusher of the job X, given as its labels after the job.
func ContributionOf(tb testing.TB, s *Store, verb, path, body string) store.Contribution {
	tb.Helper()
	key := pushtest.Key(tb, path)
	rule, aggregate := s.Options.Rules.Of(key)
	require.NotNil(tb, rule)
	push := pushtest.Text(tb, strings.TrimPrefix(aggregate.Path(true), "/metrics/"), body)
	merge.TakeCreated(push.Metrics)
	c := store.Contribution{Key: aggregate, Pusher: key, Rule: rule, Replace: verb == "PUT", Emptied: push.Emptied, At: s.Now()}
	for _, f := range push.Families {
		if family := pushedFamily(tb, rule, push, f); family.Metrics.DataPointCount() > 0 {
			c.Families = append(c.Families, family)
		}
	}
	return c
}

func pushedFamily(tb testing.TB, rule *store.Rule, push *translate.Push, f translate.Family) store.PushedFamily {
	tb.Helper()
	family := store.PushedFamily{Name: f.Name, Type: f.Type.String(), Metrics: push.TakeFamily(f)}
	stripped := func(name string, _ pcommon.Value) bool { return slices.Contains(rule.Without, name) }
	for _, rm := range family.Metrics.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				var err error
				family.Function, err = rule.Function(m)
				require.NoError(tb, err)
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					for _, p := range m.Gauge().DataPoints().All() {
						p.Attributes().RemoveIf(stripped)
					}
				case pmetric.MetricTypeSum:
					for _, p := range m.Sum().DataPoints().All() {
						p.Attributes().RemoveIf(stripped)
					}
				}
			}
		}
	}
	return family
}

// Contribute pushes: "PUT a" and a body is a push of the pusher a, "DELETE a" its end. Metrics of the body are separated by ;, and c is
// a counter: a step is like "PUT a c 5; g 1".
func Contribute(tb testing.TB, s *Store, step string) error {
	tb.Helper()
	verb, rest, _ := strings.Cut(step, " ")
	pusher, body, _ := strings.Cut(rest, " ")
	path := "job/X/job_id/" + pusher
	if pusher == "-" {
		path = "job/X"
	}
	s.Pass(time.Millisecond)
	if verb == "DELETE" {
		rule, aggregate := s.Options.Rules.Of(pushtest.Key(tb, path))
		require.NotNil(tb, rule)
		return s.EndPusher(tb.Context(), aggregate, pushtest.Key(tb, path))
	}
	return s.Contribute(tb.Context(), ContributionOf(tb, s, verb, path, Text(body)))
}

// Text is the body of a step in the text format.
func Text(body string) string {
	var b strings.Builder
	typed := map[string]bool{}
	for line := range strings.SplitSeq(body, ";") {
		line = strings.TrimSpace(line)
		name := line[:strings.IndexAny(line+" ", " {")]
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "h:"):
			histogram(&b, line)
			continue
		case typed[name]:
		case strings.HasPrefix(name, "c") || strings.HasSuffix(name, "_total"):
			fmt.Fprintf(&b, "# TYPE %s counter\n", name)
		default:
			fmt.Fprintf(&b, "# TYPE %s gauge\n", name)
		}
		typed[name] = true
		b.WriteString(line + "\n")
	}
	return b.String()
}

// histogram writes "h:1=4,+Inf=5 6": cumulative buckets and sum.
func histogram(b *strings.Builder, line string) {
	buckets, sum, _ := strings.Cut(strings.TrimPrefix(line, "h:"), " ")
	b.WriteString("# TYPE h histogram\n")
	for bucket := range strings.SplitSeq(buckets, ",") {
		le, count, _ := strings.Cut(bucket, "=")
		fmt.Fprintf(b, "h_bucket{le=%q} %s\n", le, count)
		if le == "+Inf" {
			fmt.Fprintf(b, "h_count %s\n", count)
		}
	}
	fmt.Fprintf(b, "h_sum %s\n", sum)
}

// Values are what readers see of the group /metrics/job/X, such as "c 5; g 1".
func Values(tb testing.TB, s *Store) string {
	tb.Helper()
	RequireSound(tb, s)
	var all []string
	for _, snapshot := range SnapshotsOf(tb, s) {
		if snapshot.Key.Path(true) != "/metrics/job/X" {
			continue
		}
		for _, f := range snapshot.Families {
			all = append(all, SpelledValues(f.Metrics())...)
		}
	}
	return strings.Join(all, "; ")
}

func SpelledValues(md pmetric.Metrics) (all []string) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				all = append(all, spelledMetric(m)...)
			}
		}
	}
	return all
}

func spelledMetric(m pmetric.Metric) (all []string) {
	number := func(p pmetric.NumberDataPoint) {
		value := fmt.Sprint(p.DoubleValue())
		if p.Flags().NoRecordedValue() {
			value = "stale"
		}
		all = append(all, m.Name()+labels(p.Attributes())+" "+value)
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			number(p)
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			number(p)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			all = append(all, fmt.Sprintf("%s%s %v %v %d %v", m.Name(), labels(p.Attributes()), p.ExplicitBounds().AsRaw(), p.BucketCounts().AsRaw(), p.Count(), p.Sum()))
		}
	}
	return all
}

func labels(attributes pcommon.Map) string {
	var all []string
	for k, v := range attributes.All() {
		all = append(all, fmt.Sprintf("%s=%q", k, v.Str()))
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return "{" + strings.Join(all, ",") + "}"
}

// testAggregates does steps one after the other and compares what is seen after each.
func testAggregates(t *testing.T, open Open) {
	t.Parallel()
	for name, steps := range map[string][][2]string{
		"one-shots":  {{"PUT a c 5", "c 5"}, {"PUT b c 3", "c 8"}},
		"a retry":    {{"PUT a c 5", "c 5"}, {"PUT a c 5", "c 5"}, {"PUT a c 5", "c 5"}},
		"a worker":   {{"PUT a c 5", "c 5"}, {"PUT a c 9", "c 9"}, {"PUT b c 1", "c 10"}, {"PUT a c 9", "c 10"}},
		"a restart":  {{"PUT a c 14", "c 14"}, {"PUT a c 2", "c 16"}},
		"a deletion": {{"PUT a c 5", "c 5"}, {"DELETE a", "c 5"}, {"DELETE a", "c 5"}, {"PUT a c 5", "c 10"}, {"DELETE b", "c 10"}},
		"left out": {
			{"PUT a c 5; d_total 1", "c 5; d_total 1"}, {"PUT a d_total 2", "c 5; d_total 2"}, {"PUT a c 5", "c 5; d_total 2"},
		},
		"the last":  {{"PUT a g 30", "g 30"}, {"PUT b g 10", "g 10"}, {"DELETE b", "g 10"}},
		"a maximum": {{"PUT a max_g 30", "max_g 30"}, {"PUT b max_g 10", "max_g 30"}, {"DELETE a", "max_g 10"}, {"DELETE b", ""}},
		"a sum": {
			{"PUT a sum_g 2", "sum_g 2"},
			{"PUT b sum_g 3", "sum_g 5"},
			{"PUT a c 1", "c 1; sum_g 3"},
			{"POST b c 2", "c 3; sum_g 3"},
			{"PUT b c 2", "c 3"},
		},
		"an average": {{"PUT a avg_g 2", "avg_g 2"}, {"PUT b avg_g NaN", "avg_g 2"}, {"PUT b avg_g 4", "avg_g 3"}},
		"joined":     {{`PUT a c{pid="1"} 2; c{pid="2"} 3`, "c 5"}, {`PUT a c{pid="1"} 2; c{pid="2"} 3`, "c 5"}},
		"histograms": {
			{"PUT a h:1=4,+Inf=5 6", "h [1] [4 1] 5 6"},
			{"PUT b h:2=3,+Inf=3 4", "h [1 2] [4 3 1] 8 10"},
			{"PUT c h:0.5=1,1=1,+Inf=1 0.5", "h [0.5 1 2] [1 4 3 1] 9 10.5"},
			{"DELETE a", "h [0.5 1 2] [1 4 3 1] 9 10.5"},
		},
		"empty pushes": {{"PUT a sum_g 2; c 1", "c 1; sum_g 2"}, {"POST a", "c 1; sum_g 2"}, {"PUT a", "c 1"}},
		"nothing":      {{"PUT a", ""}, {"DELETE a", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, Aggregating())
			for _, step := range steps {
				require.NoError(t, Contribute(t, s, step[0]))
				require.Equal(t, step[1], Values(t, s), step[0])
			}
			require.NoError(t, s.Wipe(t.Context()))
			RequireSound(t, s)
			assert.Zero(t, s.Counts())
			assert.Empty(t, SnapshotsOf(t, s))
		})
	}
}

// testAggregateIsExported with a zero first, in the same claim, and again only when it changes and time has passed.
func testAggregateIsExported(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Aggregating())
	require.NoError(t, Contribute(t, s, "PUT a c 5; g 1"))
	claim, _ := s.Claim(t.Context(), All)
	require.NotNil(t, claim)
	assert.Less(t, claim.Zero, claim.At)
	assert.Equal(t, []string{"c 0", "c 5", "g 1"}, ClaimedValues(claim))
	SettleAll(t, s, claim, Accepted)

	require.NoError(t, Contribute(t, s, "PUT b c 3"))
	claim, due := s.Claim(t.Context(), All)
	assert.Nil(t, claim)
	assert.Equal(t, 10*time.Second-time.Millisecond, due.Sub(s.Now()))
	claim, _ = s.Claim(t.Context(), store.Limits{Groups: 10, Series: 10, Bytes: 1000, Last: true})
	assert.Equal(t, []string{"c 8"}, ClaimedValues(claim))
	SettleAll(t, s, claim, Accepted)

	require.NoError(t, Contribute(t, s, "PUT b c 4"))
	s.Pass(10 * time.Second)
	claim, _ = s.Claim(t.Context(), All)
	assert.Equal(t, []string{"c 9"}, ClaimedValues(claim))
	require.NoError(t, Contribute(t, s, "PUT b c 5"))
	SettleAll(t, s, claim, Accepted)
	claim, due = s.Claim(t.Context(), All)
	assert.Nil(t, claim)
	assert.Equal(t, 10*time.Second-time.Millisecond, due.Sub(s.Now()))
	RequireSound(t, s)
}

func ClaimedValues(claim *store.Claim) (all []string) {
	for _, p := range claim.Parts {
		if p.Family != "" || p.Markers != nil {
			all = append(all, SpelledValues(p.Metrics())...)
		}
	}
	return all
}

// testZeros come once: not again after a doubtful outcome, and again after a plain refusal.
func testZeros(t *testing.T, open Open) {
	t.Parallel()
	for _, c := range []struct {
		outcome store.Outcome
		want    []string
	}{
		{Accepted, nil},
		{Refused, []string{"c 0", "c 5"}},
		{store.Outcome{}, []string{"c 0", "c 5"}},
		{store.Outcome{Tried: true, Err: ErrRefused, Doubtful: true}, []string{"c 5"}},
	} {
		s := open(t, Aggregating())
		require.NoError(t, Contribute(t, s, "PUT a c 5"))
		claim, _ := s.Claim(t.Context(), All)
		assert.Equal(t, []string{"c 0", "c 5"}, ClaimedValues(claim))
		SettleAll(t, s, claim, c.outcome)
		var got []string
		if claim, _ = s.Claim(t.Context(), All); claim != nil {
			got = ClaimedValues(claim)
			SettleAll(t, s, claim, Accepted)
		}
		assert.Equal(t, c.want, got)
	}
}

// testSeriesEnd with a marker.
func testSeriesEnd(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Aggregating())
	require.NoError(t, Contribute(t, s, "PUT a sum_g 5; c 1"))
	ExportValues(t, s)
	require.NoError(t, Contribute(t, s, "DELETE a"))
	assert.Equal(t, []string{"job/X lives c, pending sum_g"}, Shown(t, s))
	s.Pass(time.Minute)
	claim, _ := s.Claim(t.Context(), All)
	assert.Equal(t, []string{"sum_g stale"}, ClaimedValues(claim))
	SettleAll(t, s, claim, Accepted)
	require.NoError(t, s.EndAggregate(t.Context(), pushtest.Key(t, "job/X")))
	assert.Equal(t, []string{"job/X deleted, pending c push_failure_time_seconds push_time_seconds"}, Shown(t, s))
}

// testFolding of pushers that are quiet.
func testFolding(t *testing.T, open Open) {
	t.Parallel()
	o := Aggregating()
	o.TTL = 2 * time.Hour
	s := open(t, o)
	require.NoError(t, Contribute(t, s, `PUT a c 5; c{code="500"} 1; max_g 7`))
	s.Pass(30 * time.Minute)
	require.NoError(t, Contribute(t, s, "PUT b c 1; max_g 3"))
	s.Pass(30 * time.Minute)
	_, err := s.Expire(t.Context())
	require.NoError(t, err)
	assert.Equal(t, `c 6; c{code="500"} 1; max_g 3`, Values(t, s))
	assert.Equal(t, 1, s.Counts().Pushers)
	s.Pass(time.Hour)
	_, err = s.Expire(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "c 6", Values(t, s))
	assert.Zero(t, s.Counts().Pushers)
	s.Pass(time.Hour)
	_, err = s.Expire(t.Context())
	require.NoError(t, err)
	assert.Empty(t, Values(t, s))
	assert.Empty(t, SnapshotsOf(t, s))
	RequireSound(t, s)
}

func testMaxPushers(t *testing.T, open Open) {
	t.Parallel()
	o := Aggregating()
	o.MaxPushers = 3
	s := open(t, o)
	for _, p := range []string{"a", "b", "c"} {
		require.NoError(t, Contribute(t, s, "PUT "+p+" c 1"))
	}
	s.Pass(6 * time.Minute)
	require.NoError(t, Contribute(t, s, "PUT d c 1"))
	require.NoError(t, Contribute(t, s, "PUT b c 1"))
	require.NoError(t, Contribute(t, s, "PUT c c 1"))
	assert.Equal(t, "c 4", Values(t, s))
	err := Contribute(t, s, "PUT e c 1")
	limit, is := errors.AsType[*store.LimitError](err)
	require.True(t, is)
	assert.Equal(t, "max_pushers", limit.Limit)
	assert.Equal(t, "c 4", Values(t, s))
}

// testTypes in one aggregate.
func testTypes(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Aggregating())
	gauge := func(pusher string) error {
		s.Pass(time.Millisecond)
		return s.Contribute(t.Context(), ContributionOf(t, s, "PUT", "job/X/job_id/"+pusher, "# TYPE c gauge\nc 1\n"))
	}
	require.NoError(t, Contribute(t, s, "PUT a c 5"))
	s.Pass(3 * time.Minute)
	err := gauge("b")
	require.EqualError(t, err, `pushed metrics are invalid or inconsistent with existing metrics: "c" is a counter in the aggregate `+
		`/metrics/job/X, last pushed as such 3m0s ago by /metrics/job/X/job_id/a; here it is a gauge`)
	assert.Equal(t, "c 5", Values(t, s))
	require.NoError(t, Contribute(t, s, "DELETE a"))
	require.NoError(t, gauge("b"))
	assert.Equal(t, "c 1", Values(t, s))
}

// testRefusedContributions change nothing.
func testRefusedContributions(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Aggregating())
	require.NoError(t, Do(t, s, 0, `PUT job/X/env/prod n`))
	require.NoError(t, Contribute(t, s, "PUT a c 5"))
	for step, want := range map[string]string{
		"PUT b g 1; c NaN":      `collected metric "c" {job="X"} is not a finite number`,
		"PUT b c -1":            `collected metric "c" {job="X"} is negative`,
		`PUT b n{env="prod"} 1`: `collected metric "n" {env="prod",job="X"}, which the group {job="X",env="prod"} holds`,
	} {
		require.ErrorContains(t, Contribute(t, s, step), want)
		assert.Equal(t, "c 5", Values(t, s))
	}
}

// testGroupAndAggregate of one key.
func testGroupAndAggregate(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Aggregating())
	require.NoError(t, Contribute(t, s, "PUT a c 5"))
	require.NoError(t, Change(t, s, 1, "PUT job/X n"))
	assert.Equal(t, "n 1; c 5", sortedValues(Values(t, s)))
	require.ErrorContains(t, Change(t, s, 2, "PUT job/X c"), "name the job under groups::aggregate[0]::jobs")
	require.ErrorContains(t, Contribute(t, s, "PUT a n 5"), "name the job under groups::aggregate[0]::jobs")
	require.NoError(t, s.Delete(t.Context(), pushtest.Key(t, "job/X")))
	assert.Equal(t, "c 5", Values(t, s))
	require.NoError(t, Change(t, s, 3, "PUT job/X n"))
	require.NoError(t, s.EndAggregate(t.Context(), pushtest.Key(t, "job/X")))
	assert.Equal(t, "n 1", Values(t, s))
}

func sortedValues(all string) string {
	values := strings.Split(all, "; ")
	slices.Sort(values)
	slices.Reverse(values)
	return strings.Join(values, "; ")
}

// testGroupsFromBeforeTheRule end with the next push of their key.
func testGroupsFromBeforeTheRule(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Taking())
	require.NoError(t, Do(t, s, 1, "PUT job/X c n"))
	require.NoError(t, Do(t, s, 2, "PUT job/X/job_id/a c"))
	require.NoError(t, Contribute(t, s, "PUT - c 5"))
	require.NoError(t, Contribute(t, s, "PUT a c 1"))
	assert.Equal(t, []string{
		"job/X lives c, pending n", "job/X/job_id/a deleted, pending c{job_id=\"a\"} push_failure_time_seconds{job_id=\"a\"} push_time_seconds{job_id=\"a\"}",
	}, Shown(t, s))
	assert.Equal(t, "c 6", Values(t, s))
}

// testManySeries are divided into chunks.
func testManySeries(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Aggregating())
	var b strings.Builder
	b.WriteString("PUT a ")
	for i := range 3 * store.MaxChunk {
		fmt.Fprintf(&b, `c{i="%d"} 1;`, i)
	}
	require.NoError(t, Contribute(t, s, b.String()))
	ExportValues(t, s)
	require.NoError(t, Contribute(t, s, `PUT b c{i="1"} 1; c{i="x"} 1`))
	s.Pass(time.Minute)
	claim, _ := s.Claim(t.Context(), All)
	got := ClaimedValues(claim)
	SettleAll(t, s, claim, Accepted)
	assert.Len(t, got, store.MaxChunk+2)
	assert.Contains(t, got, `c{i="1"} 2`)
	RequireSound(t, s)
}
