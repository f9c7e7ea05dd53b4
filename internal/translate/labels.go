// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// labelColumn caches the label at one position. Series of a family mostly have the same label names in order, and many
// values repeat. Then a label only has to be compared with its column.
//
// The strings are copies that outlive the body.
type labelColumn struct {
	name, value string
	class       class
	nameHash    uint64
	hash        uint64 // of name and value
}

// class says how a label is handled, by its name.
type class uint8

const (
	attribute  class = iota // becomes a point attribute
	overridden              // set by the grouping key
	scoped                  // belongs to the scope
	bound                   // an attribute, forbidden on histograms
	quantile                // an attribute, forbidden on summaries
	invalid                 // not a valid name
)

// The structural labels of buckets and quantiles.
const (
	boundLabel    = "le"
	quantileLabel = "quantile"
)

const scopePrefix = "otel_scope_"

// classify follows client_golang's checkLabelName for invalid names and the compatibility specification, section
// "Instrumentation Scope", for scope labels.
func (t *translator) classify(name string) class {
	switch {
	case t.grouping.overrides(name):
		return overridden
	case name == "" || strings.HasPrefix(name, "__") || !t.isName(name):
		return invalid
	case name == boundLabel:
		return bound
	case name == quantileLabel:
		return quantile
	case isScopeLabel(name):
		return scoped
	default:
		return attribute
	}
}

// isName reports whether a label may have the name, and records names that are not legacy.
func (t *translator) isName(name string) bool {
	if isLegacyName(name, false) {
		return true
	}
	t.unusual = true
	return utf8.ValidString(name)
}

func isScopeLabel(name string) bool {
	return len(name) > len(scopePrefix) && strings.HasPrefix(name, scopePrefix)
}

// merge checks the labels of a series, collects those for its point in t.carried and finds its scope. Empty labels are
// dropped: Prometheus treats them as absent.
func (t *translator) merge(f *exposition.Family, s *exposition.Series, series int32) error {
	labels := t.batch.Labels[s.Labels.Start:s.Labels.End]
	if len(labels) > len(t.columns) {
		t.columns = append(t.columns, make([]labelColumn, len(labels)-len(t.columns))...)
	}
	t.hash, t.carried, t.scopeLabels = 0, t.carried[:0], t.scopeLabels[:0]
	known := s.SameNames && series == t.merged+1
	t.merged = series
	for i := range labels {
		c := &t.columns[i]
		if !known {
			if name := t.batch.Name(labels[i]); c.name != name || name == "" {
				t.rename(c, name)
				t.distinct = min(t.distinct, i)
			}
		}
		if c.class != attribute {
			if c.class == overridden {
				continue
			}
			if err := t.checkClass(f, s, c); err != nil {
				return err
			}
		}
		value := t.batch.Value(labels[i])
		if value == "" {
			continue
		}
		if c.value != value {
			if err := t.revalue(f, s, c, value); err != nil {
				return err
			}
		}
		if t.several {
			t.hash += c.hash
		}
		if c.class == scoped {
			t.scopeLabels = append(t.scopeLabels, exposition.Label{Name: c.name, Value: c.value})
		} else {
			t.carried = append(t.carried, int32(i))
		}
	}
	if len(labels) > t.distinct {
		if err := t.checkDistinct(f, s, len(labels)); err != nil {
			return err
		}
	}
	if err := t.checkLabelCount(f, s, len(t.carried)+len(t.scopeLabels)); err != nil {
		return err
	}
	t.scope = t.scopeOf()
	return nil
}

// rename sets a column's name and clears its value.
func (t *translator) rename(c *labelColumn, name string) {
	name = t.arena.clone(name)
	*c = labelColumn{name: name, class: t.classify(name), nameHash: hashString(secrets[0], name)}
}

// revalue sets a column's value and checks it. A cached value needs no check.
func (t *translator) revalue(f *exposition.Family, s *exposition.Series, c *labelColumn, value string) error {
	if !t.batch.ValidValues && !isASCII(value) && !utf8.ValidString(value) {
		return t.refuse(f, s, "has a label named %s whose value is not utf8: %s", quote(c.name), quote(value))
	}
	if limit := t.options.Limits.LabelValueLength; limit > 0 && len(value) > limit {
		return valueTooLong(limit, len(value), t.describe(f, s), c.name)
	}
	c.value, c.hash = t.arena.clone(value), hashString(c.nameHash, value)
	return nil
}

// checkClass refuses names that the series must not have.
func (t *translator) checkClass(f *exposition.Family, s *exposition.Series, c *labelColumn) error {
	switch {
	case c.class == invalid:
		return t.refuse(f, s, "has a label with an invalid name: %s", truncate(c.name))
	case c.class == bound && (f.Type == exposition.Histogram || f.Type == exposition.GaugeHistogram),
		c.class == quantile && f.Type == exposition.Summary:
		return t.refuse(f, s, "must not have an explicit %q label", c.name)
	default:
		return nil
	}
}

// checkDistinct refuses a series with a repeated label, even an overridden or empty one. It sorts, so that many labels
// cost n log n.
func (t *translator) checkDistinct(f *exposition.Family, s *exposition.Series, labels int) error {
	t.names = empty(t.names)
	for i := range t.columns[:labels] {
		t.names = append(t.names, t.columns[i].name)
	}
	slices.Sort(t.names)
	for i, name := range t.names[1:] {
		if name == t.names[i] {
			return t.refuse(f, s, "has two or more labels with the same name: %s", truncate(name))
		}
	}
	t.distinct = labels
	return nil
}

// putAttributes sets a point's attributes: grouping labels, the series' labels and further ones.
func (t *translator) putAttributes(to pcommon.Map, further []exposition.Label) {
	n := len(t.grouping.labels) + len(t.carried) + len(further)
	if n == 0 {
		return
	}
	t.attributes.EnsureCapacity(n)
	t.appendLabels(t.grouping.labels)
	for _, i := range t.carried {
		c := &t.columns[i]
		t.attributes.AppendEmpty(c.name).SetStr(c.value)
	}
	t.appendLabels(further)
	t.attributes.UnsafeIntoMap(to)
}

// putLabels fills an empty map with distinct labels. pcommon.Map's own functions would search all names again for each
// label: a tenth of a push's time, and quadratic in the labels.
func (t *translator) putLabels(to pcommon.Map, labels []exposition.Label) {
	if len(labels) == 0 {
		return
	}
	t.attributes.EnsureCapacity(len(labels))
	t.appendLabels(labels)
	t.attributes.UnsafeIntoMap(to)
}

func (t *translator) appendLabels(labels []exposition.Label) {
	for i := range labels {
		t.attributes.AppendEmpty(labels[i].Name).SetStr(labels[i].Value)
	}
}
