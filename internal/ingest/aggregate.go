// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// ruleOf returns the rule that takes the requests with a grouping key, and the key of the group that they change: the key of the
// aggregate. The rule is nil, and the key is the same, for a proxy and for an ordinary group.
func (in *Ingest) ruleOf(key groupingkey.Key) (*store.Rule, groupingkey.Key) {
	if in.options.Groups != nil {
		if rule, aggregate := in.options.Groups.Store.Rules.Of(key); rule != nil {
			return rule, aggregate
		}
	}
	return nil, key
}

// contribute stores a push as the contribution of a pusher to the aggregate with the key of the request.
func (g *groups) contribute(ctx context.Context, r Request, rule *store.Rule, pusher groupingkey.Key, push *translate.Push) error {
	families, err := g.contributed(rule, push)
	if err == nil {
		err = g.store.Contribute(ctx, store.Contribution{
			Key: r.Key, Pusher: pusher, Rule: rule, Families: families, Replace: r.Replace, Emptied: push.Emptied, At: time.Now(),
		})
	}
	if err == nil {
		return nil
	}
	refusal := refuseUnstored(err)
	g.in.noteFailure(ctx, r.Key, refusal)
	return refusal
}

// contributed returns the families of a push that an aggregate takes. Created timestamps come first: they belong to series with all
// their labels.
func (g *groups) contributed(rule *store.Rule, push *translate.Push) ([]store.PushedFamily, error) {
	merge.TakeCreated(push.Metrics)
	families := make([]store.PushedFamily, 0, len(push.Families))
	for _, f := range push.Families {
		if rule.Drops(f.Name) {
			continue
		}
		md := withoutEmpty(g.options.ForwardedPart(push.TakeFamily(f)))
		if md.MetricCount() == 0 {
			continue // All points were created timestamps.
		}
		if isFlattened(f.Type, md) {
			return nil, refuseFlattened(rule, f)
		}
		function, err := rule.Function(firstMetric(md))
		if err != nil {
			return nil, err
		}
		g.strip(md, rule.Without)
		families = append(families, store.PushedFamily{Name: f.Name, Type: f.Type.String(), Function: function, Metrics: md})
	}
	return families, nil
}

func firstMetric(md pmetric.Metrics) pmetric.Metric {
	return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
}

// withoutEmpty removes metrics without points, and their scopes.
func withoutEmpty(md pmetric.Metrics) pmetric.Metrics {
	for _, rm := range md.ResourceMetrics().All() {
		rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool {
			sm.Metrics().RemoveIf(func(m pmetric.Metric) bool {
				return m.Type() == pmetric.MetricTypeGauge && m.Gauge().DataPoints().Len() == 0
			})
			return sm.Metrics().Len() == 0
		})
	}
	return md
}

// isFlattened reports whether OTLP cannot represent a histogram or summary of the family.
func isFlattened(t exposition.Type, md pmetric.Metrics) bool {
	switch t {
	case exposition.Histogram, exposition.GaugeHistogram, exposition.Summary:
	default:
		return false
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() == pmetric.MetricTypeGauge {
					return true
				}
			}
		}
	}
	return false
}

var (
	errGaugeHistogram = errors.New("is a gauge histogram, which cannot be combined")
	errFlattened      = errors.New("has a fractional or decreasing count, no count, no sum or a bound that is not a number, so that it cannot be combined")
)

// refuseFlattened refuses a family whose series would have to be combined one by one. The results would not be a histogram or summary.
func refuseFlattened(rule *store.Rule, f translate.Family) error {
	cause := errFlattened
	if f.Type == exposition.GaugeHistogram {
		cause = errGaugeHistogram
	}
	return store.Unsummable(fmt.Sprintf("%q", f.Name), fmt.Errorf("%w; the function drop under %s::metrics accepts the push without it", cause, rule.Name))
}

const scopePrefix = "otel_scope_"

// strip removes the labels that distinguish pushers. They come from the body, since the key of an aggregate does not have them.
func (g *groups) strip(md pmetric.Metrics, without []string) {
	stripped := func(name string, _ pcommon.Value) bool {
		_, found := slices.BinarySearch(without, name)
		return found
	}
	scoped := slices.ContainsFunc(without, func(name string) bool { return strings.HasPrefix(name, scopePrefix) })
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			if scoped {
				g.stripScope(sm, stripped)
			}
			for _, m := range sm.Metrics().All() {
				eachAttributes(m, func(attributes pcommon.Map) { attributes.RemoveIf(stripped) })
			}
		}
	}
}

// stripScope removes labels of a scope. A scope without labels is the receiver's own.
func (g *groups) stripScope(sm pmetric.ScopeMetrics, stripped func(name string, _ pcommon.Value) bool) {
	scope := sm.Scope()
	if scope.Name() == g.options.Scope && scope.Attributes().Len() == 0 {
		return
	}
	has := func(name string) bool { return stripped(scopePrefix+name, pcommon.Value{}) }
	scope.Attributes().RemoveIf(func(name string, _ pcommon.Value) bool { return has(name) })
	if has("name") {
		scope.SetName("")
	}
	if has("version") {
		scope.SetVersion("")
	}
	if has("schema_url") {
		sm.SetSchemaUrl("")
	}
	if scope.Name() == "" && scope.Version() == "" && sm.SchemaUrl() == "" && scope.Attributes().Len() == 0 {
		scope.SetName(g.options.Scope)
		scope.SetVersion(g.in.options.Translate.ScopeVersion)
	}
}

// eachAttributes visits the attributes of all points.
func eachAttributes(m pmetric.Metric, visit func(pcommon.Map)) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		visitAttributes(m.Gauge().DataPoints(), visit)
	case pmetric.MetricTypeSum:
		visitAttributes(m.Sum().DataPoints(), visit)
	case pmetric.MetricTypeHistogram:
		visitAttributes(m.Histogram().DataPoints(), visit)
	case pmetric.MetricTypeExponentialHistogram:
		visitAttributes(m.ExponentialHistogram().DataPoints(), visit)
	case pmetric.MetricTypeSummary:
		visitAttributes(m.Summary().DataPoints(), visit)
	}
}

func visitAttributes[P interface{ Attributes() pcommon.Map }](points interface {
	Len() int
	At(i int) P
}, visit func(pcommon.Map),
) {
	for i := range points.Len() {
		visit(points.At(i).Attributes())
	}
}

// endPusher folds the pusher with a key. It also deletes a group with this key, which is from before the rule.
func endPusher(ctx context.Context, s store.Store, aggregate, pusher groupingkey.Key) error {
	if err := s.EndPusher(ctx, aggregate, pusher); err != nil {
		return err
	}
	return s.Delete(ctx, pusher)
}

// EndAggregate ends an aggregate: its series are marked stale and its pushers are forgotten. An aggregate that does not exist is no
// error. The error is a *Refusal.
func (in *Ingest) EndAggregate(ctx context.Context, key groupingkey.Key) error {
	return in.remove(ctx, func(s store.Store) error { return s.EndAggregate(ctx, key) })
}
