// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import "github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"

// Limits on the attributes of a push and on its bytes of names, labels and descriptions: a base plus a number for each
// element or byte of the body. Grouping labels repeat on each series and a histogram's labels on each bucket, and
// encoders write a text as often as it is used. Without these limits a small body could become pdata of quadratic size.
const (
	minAttributes        = 1 << 22
	attributesPerElement = 8
	minText              = 1 << 22
	textPerByte          = 64
)

// Memory of parts of a push in bytes, rounded up.
const (
	pointSize     = 250
	attributeSize = 85
	metricSize    = 350 // of a metric in a scope from labels
	scopeSize     = 900
)

// spendShared counts the texts that each series shares: the grouping labels and the family's name.
func (t *translator) spendShared() error {
	key := t.keyText()
	points, text := 0, 0
	for _, f := range t.families {
		points += f.points
		text += f.series * (key + len(f.Name))
	}
	if err := t.spend(points * len(t.grouping.labels)); err != nil {
		return err
	}
	if err := t.spendText(text); err != nil {
		return err
	}
	return t.reserveHeld(points * key)
}

// spendPoint counts the texts of the current series: its labels for each point and for each series in Prometheus. It also
// counts the metric that the series creates, if any.
func (t *translator) spendPoint(f *exposition.Family, s *exposition.Series, k kind) error {
	first := k
	if k == flattened {
		first = t.flatKinds(t.flatParts(f, s))[0]
	}
	if t.opens(first) {
		if err := t.spendMetric(); err != nil {
			return err
		}
	}
	own := len(t.carried) + len(t.scopeLabels)
	if series := t.extraSeries(k); series > 0 && own > 0 {
		if err := t.spendText(series * t.ownText()); err != nil {
			return err
		}
	}
	if k == flattened {
		return t.spendFlattened()
	}
	return t.spend(own)
}

// spendNative counts an exponential point in addition to the classic one.
func (t *translator) spendNative(f *exposition.Family) error {
	if t.opens(exponential) {
		if err := t.spendMetric(); err != nil {
			return err
		}
	}
	key := t.keyText()
	if err := t.spendText(key + len(f.Name) + t.ownText()); err != nil {
		return err
	}
	attributes := len(t.grouping.labels) + len(t.carried) + len(t.scopeLabels)
	if err := t.spend(attributes); err != nil {
		return err
	}
	if err := t.reserve(attributes * attributeSize); err != nil {
		return err
	}
	return t.reserveHeld(key)
}

// keyText returns the length of the grouping key in bytes.
func (t *translator) keyText() int {
	n := len(t.grouping.key.Job)
	for _, l := range t.grouping.key.Labels {
		n += len(l.Name) + len(l.Value)
	}
	return n
}

// extraSeries returns the number of series in Prometheus beyond the first. It reads the state that shape left.
func (t *translator) extraSeries(k kind) int {
	switch k {
	case classic:
		return len(t.buckets) + 2
	case summary:
		return len(t.quantiles) + 1
	case flattened:
		return len(t.flat) + 1
	default:
		return 0
	}
}

// ownText returns the length of the series' own labels in bytes.
func (t *translator) ownText() int {
	n := 0
	for _, i := range t.carried {
		n += len(t.columns[i].name) + len(t.columns[i].value)
	}
	for _, l := range t.scopeLabels {
		n += len(l.Name) + len(l.Value)
	}
	return n
}

// spendFlattened counts the points of a flattened histogram, which the size of the body does not bound.
func (t *translator) spendFlattened() error {
	points := len(t.flat) + 2
	attributes := points*len(t.carried) + (points-1)*len(t.grouping.labels) + len(t.scopeLabels)
	if err := t.spend(attributes); err != nil {
		return err
	}
	return t.reserve(points*pointSize + attributes*attributeSize)
}

// spendMetric counts a metric of a scope from labels, of which there can be as many as series. The default scope's
// metrics are part of the estimate for the batch.
func (t *translator) spendMetric() error {
	text := len(t.description.name) + len(t.description.help) + len(t.description.unit)
	if err := t.spendText(text); err != nil {
		return err
	}
	if err := t.reserveHeld(text); err != nil || t.scope == 0 {
		return err
	}
	if !t.scopes[t.scope].opened {
		return t.reserve(scopeSize + metricSize)
	}
	return t.reserve(metricSize)
}

// spend adds n attributes and refuses the push beyond the limit.
func (t *translator) spend(n int) error {
	t.attributesSpent += n
	if t.attributesSpent <= minAttributes {
		return nil
	}
	b := t.batch
	elements := len(b.Series) + len(b.Labels) + len(b.Buckets) + len(b.Deltas) + len(b.Counts)
	if budget := minAttributes + attributesPerElement*elements; t.attributesSpent > budget {
		return tooManyAttributes(budget, t.attributesSpent)
	}
	return nil
}

// spendText adds n bytes of text and refuses the push beyond the limit.
func (t *translator) spendText(n int) error {
	t.textSpent += n
	if budget := minText + textPerByte*t.batch.Size(); t.textSpent > budget {
		return tooMuchText(budget, t.textSpent)
	}
	return nil
}

// reserveHeld reserves memory for text that pdata shares but that the encoded group repeats.
func (t *translator) reserveHeld(n int) error {
	if !t.options.Held {
		return nil
	}
	return t.reserve(n)
}

func (t *translator) reserve(bytes int) error {
	if t.options.Reserve == nil || bytes == 0 {
		return nil
	}
	return t.options.Reserve(int64(bytes))
}
