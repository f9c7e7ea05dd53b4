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

// InconsistentError says why a push conflicts with itself or its grouping key.
type InconsistentError struct{ detail string }

// Error returns the message for the client. It is a Pushgateway's, except that it names a series by labels and line
// instead of its protobuf text.
func (e *InconsistentError) Error() string {
	return "pushed metrics are invalid or inconsistent with existing metrics: " + e.detail
}

// LimitError says which limit a push exceeds.
type LimitError struct {
	// Limit is the setting's name, or empty for a fixed limit.
	Limit    string
	Max, Got int

	what string // the subject that has Got
}

// Error names the limit, its value and the pushed number.
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
	return &LimitError{"", limit, got, fmt.Sprintf("the push has %d labels or more, counting the grouping labels on each series", got)}
}

func tooMuchText(limit, got int) error {
	return &LimitError{"", limit, got, fmt.Sprintf("the names, labels and help texts of all series of the push have %d bytes or more", got)}
}

func inconsistent(format string, args ...any) error {
	return &InconsistentError{fmt.Sprintf(format, args...)}
}

// collectedBefore is client_golang's text for a duplicate series.
const collectedBefore = "was collected before with the same name and label values"

// refuse returns an InconsistentError for a series. The format continues its description.
func (t *translator) refuse(f *exposition.Family, s *exposition.Series, format string, args ...any) error {
	return inconsistent("%s %s", t.describe(f, s), fmt.Sprintf(format, args...))
}

// refuseStructural refuses a histogram or summary with a duplicate bucket or quantile.
func (t *translator) refuseStructural(name string, s *exposition.Series, label string, v float64) error {
	return inconsistent("%s %s", t.describeSeries(name, s, exposition.Label{Name: label, Value: formatFloat(v)}), collectedBefore)
}

// describe identifies a series, such as: collected metric "a" {instance="",job="j",x="1"} (line 2).
func (t *translator) describe(f *exposition.Family, s *exposition.Series) string {
	return t.describeSeries(f.Name, s)
}

// describeSeries identifies a series by the sorted labels that a Pushgateway gives it, plus further ones.
func (t *translator) describeSeries(name string, s *exposition.Series, further ...exposition.Label) string {
	var b strings.Builder
	fmt.Fprintf(&b, "collected metric %s ", quote(name))
	writeLabels(&b, t.pushgatewayLabels(s, further))
	if s.Line > 0 {
		fmt.Fprintf(&b, " (line %d)", s.Line)
	}
	return b.String()
}

// writeLabels writes a label set in the text format, truncated.
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

// pushgatewayLabels returns the labels of a series as a Pushgateway checks them: with the grouping key and possibly an
// empty instance.
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

// maxQuoted limits the bytes of a name, value or label set in an error, which ends up in a client's log.
const maxQuoted = 300

// truncate shortens s to maxQuoted.
func truncate(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}

func quote(s string) string { return strconv.Quote(truncate(s)) }

// quoteName quotes a label name if the text format requires it.
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
	return truncate(name)
}
