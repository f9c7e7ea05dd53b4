// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

// Rules are the rules of groups::aggregate, in their order. They are immutable.
type Rules []Rule

// Rule says which pushes are combined into aggregates, and how.
type Rule struct {
	// Name is the key of the rule in the configuration, such as groups::aggregate[0].
	Name string
	// Jobs matches the jobs whose pushes the rule takes. It is anchored. If it is nil, the rule takes pushes whose URL has one of
	// the labels of Without.
	Jobs *regexp.Regexp
	// Without are the names of the labels that distinguish pushers, sorted. An aggregate does not have them.
	Without []string
	// PusherTTL is the time after its last push at which a pusher is folded.
	PusherTTL time.Duration
	// Metrics selects functions by name. The first match is used. Other metrics have merge.DefaultFunction.
	Metrics []FunctionRule
}

// FunctionRule selects the function of the metrics whose name matches.
type FunctionRule struct {
	Names    *regexp.Regexp // anchored
	Function merge.Function
}

// ShortestTTL is the shortest time for which a rule remembers pushers.
func (rs Rules) ShortestTTL() time.Duration {
	if len(rs) == 0 {
		return 0
	}
	return slices.MinFunc(rs, func(a, b Rule) int { return cmp.Compare(a.PusherTTL, b.PusherTTL) }).PusherTTL
}

// Of returns the rule that takes a push with the grouping key, and the key of its aggregate. It is the first rule whose jobs
// match. The rule is nil if the push is one to an ordinary group.
func (rs Rules) Of(key groupingkey.Key) (rule *Rule, aggregate groupingkey.Key) {
	for i := range rs {
		if rs[i].takes(key) {
			return &rs[i], rs[i].aggregate(key)
		}
	}
	return nil, groupingkey.Key{}
}

func (r *Rule) takes(key groupingkey.Key) bool {
	if r.Jobs != nil {
		return r.Jobs.MatchString(key.Job)
	}
	return slices.ContainsFunc(key.Labels, r.isWithout)
}

// aggregate removes the labels of Without from a key.
func (r *Rule) aggregate(key groupingkey.Key) groupingkey.Key {
	if slices.ContainsFunc(key.Labels, r.isWithout) {
		key.Labels = slices.DeleteFunc(slices.Clone(key.Labels), r.isWithout)
	}
	return key
}

func (r *Rule) isWithout(l groupingkey.Label) bool {
	_, found := slices.BinarySearch(r.Without, l.Name)
	return found
}

// Function returns the function of a metric. The error is an *UnsummableError: the rule names a function that the type of the
// metric does not allow.
func (r *Rule) Function(m pmetric.Metric) (merge.Function, error) {
	i := r.functionRule(m.Name())
	if i < 0 {
		return merge.DefaultFunction(m), nil
	}
	f := r.Metrics[i].Function
	if !f.Allows(m) {
		return 0, &UnsummableError{fmt.Sprintf("%s::metrics[%d] has the function %s for %q, which is %s; allowed are %s",
			r.Name, i, f, m.Name(), article(typeOf(m)), allowed(m))}
	}
	return f, nil
}

// Drops reports whether the rule drops the metrics of a name, whatever their type.
func (r *Rule) Drops(name string) bool {
	i := r.functionRule(name)
	return i >= 0 && r.Metrics[i].Function == merge.Drop
}

// functionRule returns the index of the first match in Metrics, or -1.
func (r *Rule) functionRule(name string) int {
	return slices.IndexFunc(r.Metrics, func(f FunctionRule) bool { return f.Names.MatchString(name) })
}

// typeOf returns the type in which a metric was pushed.
func typeOf(m pmetric.Metric) string {
	t, _ := m.Metadata().Get("prometheus.type")
	return t.Str()
}

// allowed lists the functions that the type of the metric allows.
func allowed(m pmetric.Metric) string {
	var names []string
	for f := merge.Total; f <= merge.Drop; f++ {
		if f.Allows(m) {
			names = append(names, f.String())
		}
	}
	return strings.Join(names, ", ")
}
