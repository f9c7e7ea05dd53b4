// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// AggregateConfig is a rule that combines the pushes of many pushers to one group, in which each pusher counts once.
type AggregateConfig struct {
	// Jobs is a regular expression of the whole job, as in Prometheus. The rule takes every push of these jobs. If it is empty, which
	// is the default, the rule takes every push whose URL has one of the labels of Without. The first rule whose jobs match is used.
	Jobs string `mapstructure:"jobs"`

	// Without lists the labels that distinguish pushers, such as job_id. The group of the aggregate does not have them. It must not be
	// empty and must not contain job, le or quantile.
	Without []string `mapstructure:"without"`

	// PusherTTL is the time after its last push at which a pusher is forgotten: 1m to 720h. Its counts stay in the totals. It must be
	// longer than the pause between two pushes of a pusher and longer than the time after which a push may be repeated. Default: 1h.
	PusherTTL time.Duration `mapstructure:"pusher_ttl"`

	// Metrics select functions by the names of metrics. The first match is used. Other metrics have the default function of their type.
	Metrics []AggregateMetricsConfig `mapstructure:"metrics"`

	_ struct{}
}

// AggregateMetricsConfig selects the function of the metrics with some names.
type AggregateMetricsConfig struct {
	// Names is a regular expression of the whole name of a metric, as in Prometheus.
	Names string `mapstructure:"names"`

	// Function combines the values of the pushers: total, last, sum, min, max, avg or drop.
	Function string `mapstructure:"function"`

	_ struct{}
}

// The bounds and the default of the time to live of pushers. The default covers the retries of HTTP clients and of AWS Lambda.
const (
	minPusherTTL     = time.Minute
	maxPusherTTL     = 720 * time.Hour
	defaultPusherTTL = time.Hour
)

// setRuleDefaults sets the defaults of rules in which a key is absent. The elements of a list have no default configuration that
// they could be decoded into.
func (c *Config) setRuleDefaults(conf *confmap.Conf) {
	rules, ok := conf.Get("groups::aggregate").([]any)
	if !ok || !c.Groups.HasValue() {
		return
	}
	for i, rule := range rules {
		keys, _ := rule.(map[string]any) // nil for an empty element
		if _, ok := keys["pusher_ttl"]; !ok {
			c.Groups.Get().Aggregate[i].PusherTTL = defaultPusherTTL
		}
	}
}

// withoutStorage says what is lost without a storage extension.
func (g *GroupsConfig) withoutStorage() string {
	lost := "Groups are kept in memory only and will be lost on restart or reload."
	if len(g.Aggregate) > 0 {
		lost += " The totals of groups::aggregate then begin anew, and pushers that continue to push are counted again."
	}
	return lost + " Set groups::storage or groups::postgres to persist them."
}

// rules compiles the rules. The error names each invalid key.
func (g *GroupsConfig) rules() (store.Rules, error) {
	var (
		rules store.Rules
		errs  error
	)
	for i := range g.Aggregate {
		rule, err := g.Aggregate[i].compile(fmt.Sprintf("groups::aggregate[%d]", i))
		rules, errs = append(rules, rule), errors.Join(errs, err, g.checkReach(i), g.checkTTL(rule))
	}
	return rules, errs
}

// checkReach refuses a rule that no push can reach.
func (g *GroupsConfig) checkReach(i int) error {
	for j, earlier := range g.Aggregate[:i] {
		switch earlier.Jobs {
		case "":
			return fmt.Errorf("groups::aggregate[%d]: is never used, because groups::aggregate[%d] has no jobs and takes the pushes of all jobs; move it before that rule", i, j)
		case g.Aggregate[i].Jobs:
			return fmt.Errorf("groups::aggregate[%d]::jobs: is never used, because groups::aggregate[%d] has the same jobs", i, j)
		}
	}
	return nil
}

// checkTTL refuses a time to live of series that ends before that of their pushers: totals would begin anew while pushers are
// remembered.
func (g *GroupsConfig) checkTTL(rule store.Rule) error {
	if g.TTL <= 0 || g.TTL >= rule.PusherTTL {
		return nil
	}
	return fmt.Errorf("groups::ttl: must not be below %s::pusher_ttl (%s), is %s; 0 means for ever", rule.Name, rule.PusherTTL, g.TTL)
}

// compile converts a rule.
func (a *AggregateConfig) compile(name string) (store.Rule, error) {
	rule := store.Rule{Name: name, Without: slices.Sorted(slices.Values(a.Without)), PusherTTL: a.PusherTTL}
	errs := errors.Join(checkWithout(name, rule.Without), checkPusherTTL(name, a.PusherTTL))
	if a.Jobs != "" {
		var err error
		rule.Jobs, err = anchored(name+"::jobs", a.Jobs)
		errs = errors.Join(errs, err)
	}
	for i, m := range a.Metrics {
		function, err := m.compile(fmt.Sprintf("%s::metrics[%d]", name, i))
		rule.Metrics, errs = append(rule.Metrics, function), errors.Join(errs, err)
	}
	return rule, errs
}

func (m *AggregateMetricsConfig) compile(name string) (rule store.FunctionRule, errs error) {
	var ok bool
	if rule.Function, ok = merge.ParseFunction(m.Function); !ok {
		errs = fmt.Errorf("%s::function: unknown function %q; known are %s", name, m.Function, functions())
	}
	if m.Names == "" {
		return rule, errors.Join(errors.New(name+"::names: must not be empty; .+ matches every name"), errs)
	}
	var err error
	rule.Names, err = anchored(name+"::names", m.Names)
	return rule, errors.Join(err, errs)
}

// functions lists the names of all functions.
func functions() string {
	var names []string
	for f := merge.Total; f <= merge.Drop; f++ {
		names = append(names, f.String())
	}
	return strings.Join(names, ", ")
}

// checkWithout refuses labels that cannot be removed. They are sorted.
func checkWithout(rule string, labels []string) error {
	key := rule + "::without"
	if len(labels) == 0 {
		return errors.New(key + ": must list at least one label, such as job_id")
	}
	var errs error
	for i, label := range labels {
		switch {
		case label == "":
			errs = errors.Join(errs, errors.New(key+": must not have an empty label"))
		case label == "job":
			errs = errors.Join(errs, errors.New(key+": must not have job: an aggregate belongs to one job"))
		case label == "le", label == "quantile":
			errs = errors.Join(errs, fmt.Errorf("%s: must not have %s, which the series of histograms and summaries use themselves", key, label))
		case i > 0 && label == labels[i-1]:
			errs = errors.Join(errs, fmt.Errorf("%s: %q is listed twice", key, label))
		}
	}
	return errs
}

func checkPusherTTL(rule string, ttl time.Duration) error {
	if ttl >= minPusherTTL && ttl <= maxPusherTTL {
		return nil
	}
	return fmt.Errorf("%s::pusher_ttl: must be between %s and %s, is %s", rule, minPusherTTL, maxPusherTTL, ttl)
}

// anchored compiles a regular expression of a whole text, as Prometheus does.
func anchored(key, expression string) (*regexp.Regexp, error) {
	_, err := regexp.Compile(expression) // refuses parentheses that end the group below
	if err == nil {
		var whole *regexp.Regexp
		if whole, err = regexp.Compile("^(?s:" + expression + ")$"); err == nil {
			return whole, nil
		}
	}
	if strings.HasPrefix(expression, "*") {
		return nil, fmt.Errorf("%s: %w; it is a regular expression: write .%s", key, err, expression)
	}
	return nil, fmt.Errorf("%s: %w", key, err)
}
