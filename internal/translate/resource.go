// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// The labels of a grouping key that make the resource.
const (
	jobLabel      = "job"
	instanceLabel = "instance"
)

// grouping is the grouping key as all points of the push carry it.
type grouping struct {
	key    groupingkey.Key
	labels []exposition.Label // attributes of every point
	scope  []exposition.Label // otel_scope_* labels
	count  int                // number of labels that every series has from the key
}

// overrides tells whether the key sets the label of that name, be it to nothing.
func (g *grouping) overrides(name string) bool {
	if name == jobLabel {
		return true
	}
	_, ok := g.key.Get(name)
	return ok
}

// release lets go of the strings.
func (g *grouping) release() { *g = grouping{labels: empty(g.labels), scope: empty(g.scope)} }

// useKey prepares what all points have in common: the labels that the grouping key gives them.
func (t *translator) useKey(k groupingkey.Key) error {
	t.grouping.key, t.grouping.count = k, 1
	for _, l := range k.Labels {
		if l.Value != "" {
			t.grouping.count++
			t.grouping.add(exposition.Label{Name: t.copies.of(l.Name), Value: t.copies.of(l.Value)})
		}
	}
	t.scopes = append(t.scopes, scope{labels: t.grouping.scope})
	return t.checkKey(k)
}

// add sorts a label of the key in. The instance belongs to the resource.
func (g *grouping) add(l exposition.Label) {
	switch {
	case l.Name == instanceLabel:
	case isScopeLabel(l.Name):
		g.scope = append(g.scope, l)
	default:
		g.labels = append(g.labels, l)
	}
}

// checkKey refuses a grouping key that exceeds a limit by itself, since all series have its labels.
func (t *translator) checkKey(k groupingkey.Key) error {
	if limit := t.options.Limits.LabelsPerSeries; limit > 0 && t.grouping.count > limit {
		return tooManyLabels(limit, t.grouping.count, "the grouping key "+cut(k.String()))
	}
	limit := t.options.Limits.LabelValueLength
	if limit <= 0 {
		return nil
	}
	for _, l := range append([]groupingkey.Label{{Name: jobLabel, Value: k.Job}}, k.Labels...) {
		if len(l.Value) > limit {
			return valueTooLong(limit, len(l.Value), "the grouping key "+cut(k.String()), l.Name)
		}
	}
	return nil
}

// putResource fills in the resource: the job is service.name verbatim, the instance service.instance.id if it has a value,
// and there is nothing else, so that no body can forge an identity.
func (t *translator) putResource(to pcommon.Map) {
	instance, _ := t.grouping.key.Get(instanceLabel)
	to.EnsureCapacity(2)
	to.PutStr("service.name", t.copies.of(t.grouping.key.Job))
	if instance != "" {
		to.PutStr("service.instance.id", t.copies.of(instance))
	}
}

// honors tells whether the series has an explicit timestamp that is to be kept.
func (t *translator) honors(s *exposition.Series) bool {
	return s.HasTimestamp && t.options.Timestamps == Honor
}
