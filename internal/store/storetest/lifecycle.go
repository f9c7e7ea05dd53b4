// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Times are the markers of the push times.
const Times = "push_failure_time_seconds push_time_seconds" // markers of the push times

func testAccepted(t *testing.T, open Open) {
	t.Parallel()
	for name, c := range map[string]struct{ steps, want []string }{
		"nothing":                    {nil, nil},
		"PUT":                        {[]string{"PUT job/j a b"}, []string{"job/j lives a b"}},
		"PUT replaces":               {[]string{"PUT job/j a b", "PUT job/j b c"}, []string{"job/j lives b c, pending a"}},
		"POST merges":                {[]string{"POST job/j a b", "POST job/j b c"}, []string{"job/j lives a b c"}},
		"POST replaces its families": {[]string{`POST job/j a b{x="1"}`, `POST job/j b{x="2"}`}, []string{`job/j lives a b, pending b{x="1"}`}},
		"POST of no series":          {[]string{"PUT job/j a b h:1", "POST job/j -h b -c"}, []string{`job/j lives a b, pending h`}},
		"POST empties for a suffix":  {[]string{"PUT job/j h:1", "POST job/j -h h_sum"}, []string{`job/j lives h_sum, pending h_bucket{le="+Inf"} h_bucket{le="1"} h_count`}},
		"PUT of no series":           {[]string{"PUT job/j a b", "PUT job/j -a c"}, []string{`job/j lives c, pending a b`}},
		"PUT empty empties":          {[]string{"PUT job/j a", "PUT job/j"}, []string{"job/j lives, pending a"}},
		"PUT empty makes a group":    {[]string{"PUT job/j"}, []string{"job/j lives"}},
		"POST empty touches":         {[]string{"PUT job/j a", "POST job/j"}, []string{"job/j lives a"}},
		"POST empty makes a group":   {[]string{"POST job/j"}, []string{"job/j lives"}},
		"DELETE":                     {[]string{"PUT job/j a b", "DELETE job/j"}, []string{"job/j deleted, pending a b " + Times}},
		"DELETE of an empty group":   {[]string{"PUT job/j", "DELETE job/j"}, []string{"job/j deleted, pending " + Times}},
		"DELETE of an unknown group": {[]string{"DELETE job/j"}, nil},
		"DELETE of a deleted group":  {[]string{"PUT job/j a", "DELETE job/j", "DELETE job/j"}, []string{"job/j deleted, pending a " + Times}},
		"DELETE leaves others":       {[]string{"PUT job/j a", "PUT job/k a", "DELETE job/j"}, []string{"job/j deleted, pending a " + Times, "job/k lives a"}},
		"a failed push makes one":    {[]string{"FAIL job/j"}, []string{"job/j lives"}},
		"a failed push keeps one":    {[]string{"PUT job/j a", "FAIL job/j"}, []string{"job/j lives a"}},
		"SETTLE of an unknown group": {[]string{"SETTLE job/j"}, nil},
		"SETTLE without markers":     {[]string{"PUT job/j a", "SETTLE job/j"}, []string{"job/j lives a"}},
		"SETTLE":                     {[]string{"PUT job/j a", "PUT job/j b", "SETTLE job/j"}, []string{"job/j lives b"}},
		"SETTLE of a deleted group":  {[]string{"PUT job/j a", "DELETE job/j", "SETTLE job/j"}, nil},
		"SETTLE of -0":               {[]string{"PUT job/j h:-0,1 s|-0", "DELETE job/j", "SETTLE job/j"}, nil},
		"SETTLE of -0 beside others": {[]string{"PUT job/j h:-0,1 s|-0,1", "PUT job/j h:1 s|1", "SETTLE job/j", "POST job/j h:-0,1 s|-0,1"}, []string{"job/j lives h s"}},
		"settled series are free":    {[]string{"PUT job/j a{x=\"1\"}", "PUT job/j", "SETTLE job/j", "PUT job/j/x/1 a"}, []string{"job/j lives", "job/j/x/1 lives a"}},
		"deleted series are free":    {[]string{"PUT job/j a{x=\"1\"}", "DELETE job/j", "SETTLE job/j", "PUT job/j/x/1 a"}, []string{"job/j/x/1 lives a"}},
		"revived": {
			[]string{"PUT job/j a b", "DELETE job/j", "PUT job/j b c"}, []string{"job/j lives b c, pending a"},
		},
		"revived by a failed push": {
			[]string{"PUT job/j a", "DELETE job/j", "FAIL job/j"}, []string{"job/j lives, pending a"},
		},
		"revived one by one": {
			[]string{"PUT job/j a b c", "PUT job/j", "POST job/j b", "POST job/j a"}, []string{"job/j lives a b, pending c"},
		},
		"revived whole": {
			[]string{"PUT job/j a b c", "DELETE job/j", "PUT job/j c b a"}, []string{"job/j lives a b c"},
		},
		"pending from several changes": {
			[]string{"PUT job/j a", "PUT job/j b", "PUT job/j c", "PUT job/j b"}, []string{"job/j lives b, pending a c"},
		},
		"a bucket goes":            {[]string{"PUT job/j h:1,2", "PUT job/j h:1"}, []string{`job/j lives h, pending h_bucket{le="2"}`}},
		"a bucket of an ended one": {[]string{"PUT job/j h:1,2", "DELETE job/j", "PUT job/j h:1"}, []string{`job/j lives h, pending h_bucket{le="2"}`}},
		"a type changes":           {[]string{"PUT job/j h:1", "POST job/j h|1"}, []string{`job/j lives h, pending h_bucket{le="+Inf"} h_bucket{le="1"}`}},
		"PUT moves a series":       {[]string{"PUT job/j h:1", "PUT job/j h_sum h_count"}, []string{`job/j lives h_count h_sum, pending h_bucket{le="+Inf"} h_bucket{le="1"}`}},
		"suffixes of other groups": {[]string{"PUT job/j h:1", "PUT job/k h_sum"}, []string{"job/j lives h", "job/k lives h_sum"}},
		"types of other groups":    {[]string{"PUT job/j h:1", "PUT job/k h|1"}, []string{"job/j lives h", "job/k lives h"}},
		"a suffix once it is gone": {[]string{"PUT job/j h:1", "PUT job/j", "POST job/j h_sum"}, []string{`job/j lives h_sum, pending h_bucket{le="+Inf"} h_bucket{le="1"} h_count`}},
		"a summary has no buckets": {[]string{"PUT job/j s|1", "POST job/j s_bucket"}, []string{"job/j lives s s_bucket"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []*Store{open(t, DefaultOptions())} {
				for i, step := range c.steps {
					require.NoError(t, Do(t, s, i, step))
					RequireSound(t, s)
				}
				assert.Equal(t, c.want, Shown(t, s))
			}
		})
	}
}

// testGaugeHistograms have suffixes of two sorts.
func testGaugeHistograms(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, DefaultOptions())
	push := pushtest.Text(t, "job/j", "# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\ng_gsum 1\ng_gcount 1\n# EOF\n")
	require.NoError(t, s.Push(t.Context(), pushtest.Key(t, "job/j"), FamiliesOf(t, s, push), true, At(0)))
	for _, name := range []string{"g_bucket", "g_sum", "g_count", "g_gsum", "g_gcount"} {
		require.ErrorContains(t, Do(t, s, 1, "POST job/j "+name+`{x="1"}`), "collides with previously collected gaugehistogram")
	}
	require.NoError(t, Do(t, s, 1, `POST job/j g_total{x="1"}`))
}

func testRefused(t *testing.T, open Open) {
	t.Parallel()
	const begin = "pushed metrics are invalid or inconsistent with existing metrics: "
	for name, c := range map[string]struct {
		steps []string
		err   string
	}{
		"a series of another group": {
			[]string{`PUT job/j a{x="1"} b`, "PUT job/j/x/1 c a"},
			`collected metric "a" {job="j",x="1"}, which the group {job="j"} holds, was collected before with the same name and label values`,
		},
		"a bucket of another group": {
			[]string{`PUT job/j h_bucket{x="1",le="2"}`, "PUT job/j/x/1 h:1,2"},
			`collected metric "h_bucket" {job="j",le="2",x="1"}, which the group {job="j"} holds, was collected before with the same name and label values`,
		},
		"a suffix of a histogram": {
			[]string{"PUT job/j h:1", `POST job/j h_bucket{x="1"}`},
			`collected metric named "h_bucket" collides with previously collected histogram named "h"`,
		},
		"a suffix of a summary": {
			[]string{"PUT job/j s|1", `POST job/j s_count{x="1"}`}, `collected metric named "s_count" collides with previously collected summary named "s"`,
		},
		"a histogram over a suffix": {
			[]string{`PUT job/j h_bucket{x="1"}`, "POST job/j h:1"},
			`collected metric named "h_bucket" collides with previously collected histogram named "h"`,
		},
		"one series twice in a push": {
			[]string{"PUT job/j b", `POST job/j c a a{otel_scope_name="example.com/receiver"}`},
			`collected metric "a" {job="j"}, which the group {job="j"} holds, was collected before with the same name and label values`,
		},
		"one series twice, which goes on": {
			[]string{"PUT job/j a", `PUT job/j a a{otel_scope_name="example.com/receiver"}`}, `collected metric "a" {job="j"}`,
		},
		"one series twice, which comes again": {
			[]string{"PUT job/j a", "PUT job/j", `PUT job/j a a{otel_scope_name="example.com/receiver"}`}, `collected metric "a" {job="j"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, DefaultOptions())
			last := len(c.steps) - 1
			for i, step := range c.steps[:last] {
				require.NoError(t, Do(t, s, i, step))
			}
			held := StateOf(t, s)
			err := Do(t, s, last, c.steps[last])
			var conflict *store.ConflictError
			require.ErrorAs(t, err, &conflict)
			assert.Contains(t, err.Error(), begin)
			assert.Contains(t, err.Error(), c.err)
			assert.Equal(t, held, StateOf(t, s), "nothing has changed")
		})
	}
}
