// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

func whole(expression string) *regexp.Regexp { return regexp.MustCompile("^(?s:" + expression + ")$") }

func TestRulesOf(t *testing.T) {
	t.Parallel()
	rules := store.Rules{
		{Name: "lambdas", Jobs: whole("lambda-.+"), Without: []string{"instance", "job_id"}},
		{Name: "all", Without: []string{"job_id", "pid"}},
	}
	for _, tt := range []struct{ name, path, rule, aggregate string }{
		{"one label", "job/j/job_id/1", "all", "job/j"},
		{"another label", "job/j/pid/1", "all", "job/j"},
		{"both labels", "job/j/pid/1/job_id/2", "all", "job/j"},
		{"further labels stay", "job/j/zone/z/job_id/1/a/b", "all", "job/j/a/b/zone/z"},
		{"an empty label is one", "job/j/job_id/", "all", "job/j"},
		{"no label", "job/j/zone/z", "", ""},
		{"a label of another rule", "job/j/instance/i", "", ""},
		{"a job with its labels", "job/lambda-a/job_id/1/instance/i", "lambdas", "job/lambda-a"},
		{"a job without its labels", "job/lambda-a/zone/z", "lambdas", "job/lambda-a/zone/z"},
		{"a label of the second rule stays", "job/lambda-a/pid/1/job_id/2", "lambdas", "job/lambda-a/pid/1"},
		{"the job must match as a whole", "job/my-lambda-a/instance/i", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key := pushtest.Key(t, tt.path)
			rule, aggregate := rules.Of(key)
			if tt.rule == "" {
				require.Nil(t, rule)
				return
			}
			require.NotNil(t, rule)
			assert.Equal(t, tt.rule, rule.Name)
			assert.Equal(t, pushtest.Key(t, tt.aggregate).Path(true), aggregate.Path(true))
			assert.Equal(t, pushtest.Key(t, tt.path), key, "the key is not changed")
		})
	}
	rule, _ := store.Rules(nil).Of(pushtest.Key(t, "job/j/job_id/1"))
	assert.Nil(t, rule)
}

func metric(name, typ string) pmetric.Metric {
	m := pmetric.NewMetric()
	m.SetName(name)
	m.Metadata().PutStr("prometheus.type", typ)
	switch typ {
	case "counter":
		m.SetEmptySum().SetIsMonotonic(true)
	case "info":
		m.SetEmptySum()
	default:
		m.SetEmptyGauge()
	}
	return m
}

func TestFunction(t *testing.T) {
	t.Parallel()
	rule := store.Rule{Name: "groups::aggregate[1]", Metrics: []store.FunctionRule{
		{Names: whole("go_.+"), Function: merge.Drop},
		{Names: whole(".*x"), Function: merge.Sum},
		{Names: whole("x.*"), Function: merge.Total},
	}}
	for _, tt := range []struct {
		name, typ string
		want      merge.Function
		fault     string
	}{
		{"go_a", "counter", merge.Drop, ""},
		{"x", "gauge", merge.Sum, ""}, // the first match
		{"xa", "gauge", merge.Total, ""},
		{"xa", "counter", merge.Total, ""},
		{"a", "counter", merge.Total, ""},
		{"a", "gauge", merge.Last, ""},
		{"a_total", "unknown", merge.Total, ""},
		{"a_info", "info", merge.Max, ""},
		{"ax", "counter", 0, `groups::aggregate[1]::metrics[1] has the function sum for "ax", which is a counter; allowed are total, drop`},
		{"xa", "info", 0, `groups::aggregate[1]::metrics[2] has the function total for "xa", which is an info; allowed are last, sum, min, max, avg, drop`},
	} {
		t.Run(tt.name+" "+tt.typ, func(t *testing.T) {
			t.Parallel()
			f, err := rule.Function(metric(tt.name, tt.typ))
			if tt.fault != "" {
				require.EqualError(t, err, "pushed metrics are invalid or inconsistent with existing metrics: "+tt.fault)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, f)
			assert.Equal(t, tt.want == merge.Drop, rule.Drops(tt.name))
		})
	}
}

// TestErrorsOfAggregates has the texts for the owner of a job.
func TestErrorsOfAggregates(t *testing.T) {
	t.Parallel()
	const prefix = "pushed metrics are invalid or inconsistent with existing metrics: "
	aggregate, pusher := pushtest.Key(t, "job/X"), pushtest.Key(t, "job/X/job_id/41")
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"a value": {store.Unsummable(`"c" {job="X"}`, errors.New("is negative")), prefix + `collected metric "c" {job="X"} is negative`},
		"a type": {
			&store.TypeConflict{Family: "x", Held: "counter", Pushed: "gauge", Aggregate: aggregate, Pusher: pusher, Since: 3*time.Minute + time.Millisecond},
			prefix + `"x" is a counter in the aggregate /metrics/job/X, last pushed as such 3m0s ago by /metrics/job/X/job_id/41; here it is a gauge`,
		},
		"types with other words": {
			&store.TypeConflict{Family: "x", Held: "unknown", Pushed: "gaugehistogram", Aggregate: aggregate, Pusher: pusher},
			prefix + `"x" is of unknown type in the aggregate /metrics/job/X, last pushed as such 0s ago by /metrics/job/X/job_id/41; here it is a gauge histogram`,
		},
		"a series of the group": {
			store.RuleConflict(`"c" {job="X"}`, aggregate, &store.Rule{Name: "groups::aggregate[0]", Without: []string{"instance", "job_id"}}),
			prefix + `collected metric "c" {job="X"} was collected before with the same name and label values: the group {job="X"} has it from a push without ` +
				`instance or job_id, and an aggregate from a push with it; name the job under groups::aggregate[0]::jobs, so that the aggregate takes both`,
		},
		"the limit": {
			(&store.Options{MaxPushers: 3}).TooManyPushers(),
			"the push is one of a new pusher, and 3 pushers are held, which have all pushed within 5m0s; the limit groups::max_pushers is 3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.EqualError(t, tt.err, tt.want)
		})
	}
}
