// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// Family is a metric family of the push that a group replaces or keeps as a unit. Its metrics have its name or, if
// flattened, the names of its series.
type Family struct {
	Name string
	Type exposition.Type

	id    int // the translator's family number
	parts []part
}

// part is a range of metrics in one scope.
type part struct{ scope, first, end int }

// recordFamily records the metrics that were created for a family.
func (p *Push) recordFamily(f *exposition.Family, id int, made part) {
	last := len(p.Families) - 1
	if last < 0 || p.Families[last].id != id {
		name := p.Metrics.ResourceMetrics().At(0).ScopeMetrics().At(made.scope).Metrics().At(made.first).Name()
		if len(name) > len(f.Name) {
			name = name[:len(f.Name)] // the first metric of a flattened family
		}
		p.Families = append(p.Families, Family{Name: name, Type: f.Type, id: id})
		last++
	}
	p.Families[last].parts = append(p.Families[last].parts, made)
}

// WithFamily calls use with the family's metrics in their resource and scopes. The metrics are moved, not copied, so use
// must not keep them.
func (p *Push) WithFamily(f Family, use func(pmetric.Metrics)) {
	md := p.TakeFamily(f)
	use(md)
	from, rm := p.Metrics.ResourceMetrics().At(0), md.ResourceMetrics().At(0)
	for n, part := range f.parts {
		lent := rm.ScopeMetrics().At(n).Metrics()
		for i := part.first; i < part.end; i++ {
			lent.At(i - part.first).MoveTo(from.ScopeMetrics().At(part.scope).Metrics().At(i))
		}
	}
}

// TakeFamily moves the family's metrics in their resource and scopes out of the push. Empty metrics are left in the push.
func (p *Push) TakeFamily(f Family) pmetric.Metrics {
	from := p.Metrics.ResourceMetrics().At(0)
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	from.Resource().CopyTo(rm.Resource())
	rm.ScopeMetrics().EnsureCapacity(len(f.parts))
	for _, part := range f.parts {
		source, sm := from.ScopeMetrics().At(part.scope), rm.ScopeMetrics().AppendEmpty()
		source.Scope().CopyTo(sm.Scope())
		sm.SetSchemaUrl(source.SchemaUrl())
		for i := part.first; i < part.end; i++ {
			source.Metrics().At(i).MoveTo(sm.Metrics().AppendEmpty())
		}
	}
	return md
}

// PushTimes creates push_time_seconds and push_failure_time_seconds of a group. A zero time gives 0. The points have no
// timestamp until Stamp.
func PushTimes(k groupingkey.Key, o Options, pushed, failed time.Time) pmetric.Metrics {
	t := acquire()
	defer t.release()
	t.options, t.push = Options{ScopeName: o.ScopeName, ScopeVersion: o.ScopeVersion}, &Push{Metrics: pmetric.NewMetrics()}
	_ = t.useKey(k) // fails only for limits, and there are none
	s := &t.scopes[0]
	t.enter(s)
	for _, m := range [...]struct {
		name, help string
		at         time.Time
	}{
		{PushTimeName, PushTimeHelp, pushed},
		{PushFailureTimeName, PushFailureTimeHelp, failed},
	} {
		point := s.openNumbers(metricDescription{name: m.name, help: m.help, prometheusType: exposition.Gauge}, 1).AppendEmpty()
		point.SetDoubleValue(seconds(m.at))
		t.putLabels(point.Attributes(), t.grouping.labels)
	}
	return t.push.Metrics
}

// seconds returns a time as float seconds.
func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixNano()) / float64(time.Second)
}
