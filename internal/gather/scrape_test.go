// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// bodies are families of one name, each of a type of its own.
var bodies = []string{
	`type: COUNTER metric { counter { value: 1 } }`,
	`type: GAUGE help: "first" metric { gauge { value: 2 } }`,
	`type: GAUGE help: "second" metric { label { name: "x" value: "1" } gauge { value: 2 } }`,
	`type: UNTYPED metric { untyped { value: 3 } }`,
	`type: SUMMARY metric { summary { sample_count: 2 sample_sum: 3 quantile { quantile: 0.5 value: 1 } } }`,
	`type: HISTOGRAM metric { histogram { sample_count: 2 sample_sum: 3 bucket { cumulative_count: 1 upper_bound: 1 } bucket { cumulative_count: 2 upper_bound: inf } } }`,
	`type: HISTOGRAM metric { histogram { sample_count: 3 sample_sum: 3 schema: 0 positive_span { offset: 1 length: 1 } positive_delta: 3 } }`,
}

// TestSetsOfFamilies merges families in the sets of the plan and all at once: the answer is the same.
func TestSetsOfFamilies(t *testing.T) {
	t.Parallel()
	names := []string{"a", "a_sum", "a_count", "a_bucket", "a_sum_sum", "a_sum_bucket", "a.sum", "a_b", "a.b", "a_t", "push_time_seconds", "push.time_seconds", "push_time_seconds_sum", "z"}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(9, seed))
		m := memory{}
		for g := range 1 + r.IntN(4) {
			for range r.IntN(6) {
				key := groupingkey.Key{Job: fmt.Sprint("j", g)}
				m.push(t, key, protobuf, delimited(t, fmt.Sprintf("name: %q %s", names[r.IntN(len(names))], bodies[r.IntN(len(bodies))])), false)
			}
		}
		o := gather.Options{ScopeName: scopeName, PushTimes: r.IntN(2) == 0, Natives: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			o.Escape = underscores
		}
		one := gather.NewScrape(o)
		var want []*dto.MetricFamily
		for f, err := range one.Families(m.fragments(one.PlanOne(m.types()))) {
			require.NoError(t, err)
			want = append(want, f)
		}
		got := m.scrape(t, o)
		require.True(t, slices.EqualFunc(want, got, func(a, b *dto.MetricFamily) bool { return proto.Equal(a, b) }), "seed %d: want %v, have %v", seed, want, got)
	}
}

// TestPlan keeps families apart that cannot conflict.
func TestPlan(t *testing.T) {
	t.Parallel()
	o := gather.Options{PushTimes: true, Escape: underscores}
	types := map[string][]string{
		"a": {"counter", "gauge"}, "a_sum": {"gauge"}, "h": {"gauge", "histogram"}, "h_sum": {"gauge"}, "h.count": {"summary"}, "h_count_sum": {"gauge"},
		"h_other": {"gauge"}, "push_time_seconds": {"gauge"},
	}
	sets := gather.NewScrape(o).Plan(types)
	for _, names := range sets {
		slices.Sort(names)
	}
	assert.Equal(t, [][]string{{"a"}, {"a_sum"}, {"h", "h.count", "h_count_sum", "h_sum"}, {"h_other"}, {""}}, sets)
	assert.Empty(t, gather.NewScrape(gather.Options{}).Plan(nil))
}

// TestScrapeFails in the middle.
func TestScrapeFails(t *testing.T) {
	t.Parallel()
	m := held(t, push{"job/j", text, "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n"})
	scrape := gather.NewScrape(options)
	sets := scrape.Plan(m.types())
	var families []string
	var failed error
	for f, err := range scrape.Families(func(yield func(gather.Fragment, error) bool) {
		for fragment := range m.fragments(sets) {
			if !yield(fragment, nil) {
				return
			}
		}
		yield(gather.Fragment{}, errors.New("the database is away"))
	}) {
		if failed = err; err == nil {
			families = append(families, f.GetName())
		}
	}
	assert.Equal(t, []string{"a"}, families, "b may be incomplete")
	assert.EqualError(t, failed, "the database is away")
}
