// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// InconsistentError tells why a push contradicts itself or its grouping key.
type InconsistentError struct{ detail string }

// Error is the sentence that the person who pushed reads: a Pushgateway's, except that it names a series by its label set
// and line instead of printing its protobuf message.
func (e *InconsistentError) Error() string {
	return "pushed metrics are invalid or inconsistent with existing metrics: " + e.detail
}

// LimitError tells which limit a push exceeds.
type LimitError struct {
	// Limit is the name of the setting; empty for a limit that is none.
	Limit    string
	Max, Got int

	what string // what has Got of something
}

// Error names the limit, its value and what was pushed.
func (e *LimitError) Error() string {
	if e.Limit == "" {
		return fmt.Sprintf("%s; the limit for a push of its size is %d", e.what, e.Max)
	}
	return fmt.Sprintf("%s; the limit %s is %d", e.what, e.Limit, e.Max)
}

func tooManySeries(limit, got int) error {
	return &LimitError{"series_per_push", limit, got, fmt.Sprintf("the push has %d series", got)}
}

func tooManyLabels(limit, got int, where string) error {
	return &LimitError{"labels_per_series", limit, got, fmt.Sprintf("%s has %d labels", where, got)}
}

func valueTooLong(limit, got int, where, label string) error {
	what := fmt.Sprintf("%s has a label named %s whose value is %d bytes long", where, quote(label), got)
	return &LimitError{"label_value_length", limit, got, what}
}

func tooManyAttributes(limit, got int) error {
	return &LimitError{"", limit, got, fmt.Sprintf("with those of the grouping key on each series, the push has %d labels or more", got)}
}

func tooMuchText(limit, got int) error {
	return &LimitError{"", limit, got, fmt.Sprintf("the names, labels and help texts of all series of the push have %d bytes or more", got)}
}

func inconsistent(format string, args ...any) error {
	return &InconsistentError{fmt.Sprintf(format, args...)}
}

// collectedBefore is what client_golang says of the second one of two equal series.
const collectedBefore = "was collected before with the same name and label values"

// refuse says what is wrong with a series, in a phrase that continues its description.
func (t *translator) refuse(f *exposition.Family, s *exposition.Series, format string, args ...any) error {
	return inconsistent("%s %s", t.describe(f, s), fmt.Sprintf(format, args...))
}

// refuseStructural refuses a histogram or summary that has one of the series of the given name twice.
func (t *translator) refuseStructural(name string, s *exposition.Series, label string, v float64) error {
	return inconsistent("%s %s", t.describeSeries(name, s, exposition.Label{Name: label, Value: spell(v)}), collectedBefore)
}

// describe names a series: collected metric "a" {instance="",job="j",x="1"} (line 2).
func (t *translator) describe(f *exposition.Family, s *exposition.Series) string {
	return t.describeSeries(f.Name, s)
}

// describeSeries names a series with the labels that a Pushgateway would give it, further ones among them, sorted by name.
func (t *translator) describeSeries(name string, s *exposition.Series, further ...exposition.Label) string {
	var b strings.Builder
	fmt.Fprintf(&b, "collected metric %s ", quote(name))
	writeLabels(&b, t.pushgatewayLabels(s, further))
	if s.Line > 0 {
		fmt.Fprintf(&b, " (line %d)", s.Line)
	}
	return b.String()
}

// writeLabels writes a label set as the text format does, as far as there is room.
func writeLabels(b *strings.Builder, labels []exposition.Label) {
	b.WriteByte('{')
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		if b.Len() > maxQuoted {
			b.WriteString("…")
			break
		}
		b.WriteString(quoteName(l.Name) + "=" + quote(l.Value))
	}
	b.WriteByte('}')
}

// pushgatewayLabels are the labels of a series as a Pushgateway has them when it checks a push: with the grouping key, and
// with an empty instance if there is none.
func (t *translator) pushgatewayLabels(s *exposition.Series, further []exposition.Label) []exposition.Label {
	labels, instance := slices.Clone(further), false
	for l := range t.batch.LabelsIn(s.Labels) {
		if !t.grouping.overrides(l.Name) {
			labels = append(labels, l)
			instance = instance || l.Name == instanceLabel
		}
	}
	for _, l := range t.grouping.key.Labels {
		labels = append(labels, exposition.Label{Name: l.Name, Value: l.Value})
	}
	labels = append(labels, exposition.Label{Name: jobLabel, Value: t.grouping.key.Job})
	if !instance && !t.grouping.overrides(instanceLabel) {
		labels = append(labels, exposition.Label{Name: instanceLabel})
	}
	slices.SortStableFunc(labels, byName)
	return labels
}

// maxQuoted bounds in bytes what an error repeats of a name, a value or a label set: it ends up in a batch job's log.
const maxQuoted = 300

// cut shortens what is too long to be repeated.
func cut(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}

func quote(s string) string { return strconv.Quote(cut(s)) }

// quoteName writes a label name as the text format does: quoted only if it needs to be.
func quoteName(name string) string {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return cut(name)
}
