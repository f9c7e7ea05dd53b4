// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// The grouping labels that become the resource.
const (
	jobLabel      = "job"
	instanceLabel = "instance"
)

// grouping is the grouping key as points carry it.
type grouping struct {
	key    groupingkey.Key
	labels []exposition.Label // attributes of every point
	scope  []exposition.Label // otel_scope_* labels
	count  int                // number of labels that the key adds to every series
}

// overrides reports whether the key sets the label, even to an empty value.
func (g *grouping) overrides(name string) bool {
	if name == jobLabel {
		return true
	}
	_, ok := g.key.Get(name)
	return ok
}

// release clears the strings.
func (g *grouping) release() { *g = grouping{labels: empty(g.labels), scope: empty(g.scope)} }

// useKey prepares the grouping labels for all points.
func (t *translator) useKey(k groupingkey.Key) error {
	t.grouping.key, t.grouping.count = k, 1
	for _, l := range k.Labels {
		if l.Value != "" {
			t.grouping.count++
			t.grouping.add(exposition.Label{Name: t.arena.clone(l.Name), Value: t.arena.clone(l.Value)})
		}
	}
	t.scopes = append(t.scopes, scope{labels: t.grouping.scope})
	return t.checkKey(k)
}

// add assigns a label of the key to attributes, scope or resource.
func (g *grouping) add(l exposition.Label) {
	switch {
	case l.Name == instanceLabel:
	case isScopeLabel(l.Name):
		g.scope = append(g.scope, l)
	default:
		g.labels = append(g.labels, l)
	}
}

// checkKey refuses a grouping key that exceeds a limit.
func (t *translator) checkKey(k groupingkey.Key) error {
	if limit := t.options.Limits.LabelsPerSeries; limit > 0 && t.grouping.count > limit {
		return tooManyLabels(limit, t.grouping.count, "the grouping key "+truncate(k.String()))
	}
	limit := t.options.Limits.LabelValueLength
	if limit <= 0 {
		return nil
	}
	for _, l := range append([]groupingkey.Label{{Name: jobLabel, Value: k.Job}}, k.Labels...) {
		if len(l.Value) > limit {
			return valueTooLong(limit, len(l.Value), "the grouping key "+truncate(k.String()), l.Name)
		}
	}
	return nil
}

// putResource sets service.name to the job and service.instance.id to a non-empty instance. Nothing comes from the body,
// so that a body cannot forge an identity.
func (t *translator) putResource(to pcommon.Map) {
	instance, _ := t.grouping.key.Get(instanceLabel)
	to.EnsureCapacity(2)
	to.PutStr("service.name", t.arena.clone(t.grouping.key.Job))
	if instance != "" {
		to.PutStr("service.instance.id", t.arena.clone(instance))
	}
}

// honors reports whether the series has an explicit timestamp to keep.
func (t *translator) honors(s *exposition.Series) bool {
	return s.HasTimestamp && t.options.Timestamps == Honor
}
