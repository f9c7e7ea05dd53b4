// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// scope is an instrumentation scope with its metrics of the current family.
type scope struct {
	labels  []exposition.Label // the otel_scope_* labels that identify it
	metrics pmetric.MetricSlice
	opened  bool // the scope is part of the push
	index   int  // its index in the push, if opened

	// The family that the metrics below belong to, and the kinds of points with a metric.
	family int
	kinds  [kinds]bool

	numbers      pmetric.NumberDataPointSlice
	histograms   pmetric.HistogramDataPointSlice
	exponentials pmetric.ExponentialHistogramDataPointSlice
	summaries    pmetric.SummaryDataPointSlice
	flattened    pmetric.NumberDataPointSlice
	flatSums     pmetric.NumberDataPointSlice
	flatCounts   pmetric.NumberDataPointSlice
}

// scopeOf returns the index of the scope for the current series' labels and creates it if needed.
func (t *translator) scopeOf() int32 {
	if len(t.scopeLabels) == 0 {
		return 0
	}
	t.scopeLabels = append(t.scopeLabels, t.grouping.scope...)
	slices.SortFunc(t.scopeLabels, byName)
	// 0xff separates texts: it never occurs in UTF-8.
	t.text = t.text[:0]
	for _, l := range t.scopeLabels {
		t.text = append(append(append(append(t.text, l.Name...), 0xff), l.Value...), 0xff)
	}
	id, ok := t.scopeIDs[string(t.text)]
	if !ok {
		id = int32(len(t.scopes))
		t.scopes = append(t.scopes, scope{labels: slices.Clone(t.scopeLabels)})
		t.scopeIDs[string(t.text)] = id
	}
	return id
}

// open returns the current series' scope, with a metric of the current family for that kind of point. Only the default
// scope reserves room for all series: many scopes would multiply the room.
func (t *translator) open(f *exposition.Family, k kind) *scope {
	s := &t.scopes[t.scope]
	if !t.opens(k) {
		return s
	}
	if s.family != t.current {
		s.family, s.kinds = t.current, [kinds]bool{}
	}
	s.kinds[k] = true
	t.enter(s)
	room := 1
	if t.scope == 0 {
		room = t.left
	}
	first := s.metrics.Len()
	s.openMetric(f, t.description, k, room)
	if t.options.Held {
		t.push.recordFamily(f, t.current, part{scope: s.index, first: first, end: s.metrics.Len()})
	}
	return s
}

// opens reports whether a point of that kind needs a new metric.
func (t *translator) opens(k kind) bool {
	s := &t.scopes[t.scope]
	return s.family != t.current || !s.kinds[k]
}

// openMetric creates the metric for n points of a kind.
func (s *scope) openMetric(f *exposition.Family, d metricDescription, k kind, n int) {
	switch k {
	case number:
		s.numbers = s.openNumbers(d, n)
	case classic:
		s.histograms = s.openHistograms(d, n)
	case exponential:
		s.exponentials = s.openExponentials(d, n)
	case summary:
		s.summaries = s.metric(d).SetEmptySummary().DataPoints()
		s.summaries.EnsureCapacity(n)
	case flattened:
		s.flattened = s.openFlat(d, flatSuffix(f, k), n)
	case flatSum:
		s.flatSums = s.openFlat(d, flatSuffix(f, k), n)
	case flatCount:
		s.flatCounts = s.openFlat(d, flatSuffix(f, k), n)
	}
}

// enter adds the scope to the push. The resource is created with the first scope, so that a push without points is empty.
func (t *translator) enter(s *scope) {
	if s.opened {
		return
	}
	resources := t.push.Metrics.ResourceMetrics()
	if resources.Len() == 0 {
		resources.EnsureCapacity(1)
		t.putResource(resources.AppendEmpty().Resource().Attributes())
	}
	scopes := resources.At(0).ScopeMetrics()
	sm := scopes.AppendEmpty()
	t.identify(sm, s.labels)
	s.metrics, s.opened, s.index = sm.Metrics(), true, scopes.Len()-1
	if s == &t.scopes[0] {
		s.metrics.EnsureCapacity(len(t.families) + 1)
	}
}

// identify sets a scope's identity: the labels', or else this receiver's.
func (t *translator) identify(sm pmetric.ScopeMetrics, labels []exposition.Label) {
	if len(labels) == 0 {
		sm.Scope().SetName(t.options.ScopeName)
		sm.Scope().SetVersion(t.options.ScopeVersion)
		return
	}
	attributes := make([]exposition.Label, 0, len(labels))
	for _, l := range labels {
		switch name := l.Name[len(scopePrefix):]; name {
		case "name":
			sm.Scope().SetName(l.Value)
		case "version":
			sm.Scope().SetVersion(l.Value)
		case "schema_url":
			sm.SetSchemaUrl(l.Value)
		default:
			attributes = append(attributes, exposition.Label{Name: name, Value: l.Value})
		}
	}
	t.putLabels(sm.Scope().Attributes(), attributes)
}

// metricDescription is the common part of a family's metrics.
type metricDescription struct {
	name, help, unit string
	prometheusType   exposition.Type
}

// describeMetric copies the metadata of a family. HELP can be invalid UTF-8, as in a Pushgateway; pdata requires valid
// UTF-8.
func (t *translator) describeMetric(f *exposition.Family) metricDescription {
	return metricDescription{
		name:           t.arena.clone(f.Name),
		help:           t.arena.valid(f.Help),
		unit:           t.unit(f.Unit),
		prometheusType: f.Type,
	}
}

// metric appends a metric without data to the scope.
func (s *scope) metric(d metricDescription) pmetric.Metric {
	m := s.metrics.AppendEmpty()
	m.SetName(d.name)
	m.SetDescription(d.help)
	m.SetUnit(d.unit)
	putType(m.Metadata(), d.prometheusType)
	return m
}

// putType stores the Prometheus type, which pdata's types do not fully express.
func putType(to pcommon.Map, t exposition.Type) {
	to.EnsureCapacity(1)
	to.PutStr("prometheus.type", t.String())
}
