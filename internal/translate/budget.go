// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import "github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"

// A push may become this many attributes, and this many bytes of names, labels and descriptions: some, and so many for each
// element or byte of its body. The labels of the grouping key are repeated on each series, in protobuf the name of the family
// too, and a histogram's labels on each bucket; and whoever writes pdata down, groups and exporters among them, writes a text
// as often as it is used. So a small push with much of both would become as much as their product.
const (
	minAttributes        = 1 << 22
	attributesPerElement = 8
	minText              = 1 << 22
	textPerByte          = 64
)

// What parts of a push take in memory, in bytes and rounded up.
const (
	pointSize     = 250
	attributeSize = 85
	metricSize    = 350 // of a metric in a scope that labels name
	scopeSize     = 900
)

// spendShared counts what each series gets beside its own: the labels of the grouping key and the name of its family.
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

// spendPoint counts what the current series will become beside that: its own labels on each of its points and, as text, on
// each series that Prometheus makes of it; and a metric, if it is the first of its kind in its scope.
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
	if series := t.seriesBeside(k); series > 0 && own > 0 {
		if err := t.spendText(series * t.ownText()); err != nil {
			return err
		}
	}
	if k == flattened {
		return t.spendFlattened()
	}
	return t.spend(own)
}

// spendNative counts the exponential point beside a point of the current series' classic buckets.
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

// keyText is the length of the grouping key in bytes.
func (t *translator) keyText() int {
	n := len(t.grouping.key.Job)
	for _, l := range t.grouping.key.Labels {
		n += len(l.Name) + len(l.Value)
	}
	return n
}

// seriesBeside is how many series the current one becomes beside the first. What its kind was found from is at hand still.
func (t *translator) seriesBeside(k kind) int {
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

// ownText is the length of the current series' own labels in bytes.
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

// spendFlattened counts the points of a flattened histogram, which nobody can tell from the push.
func (t *translator) spendFlattened() error {
	points := len(t.flat) + 2
	attributes := points*len(t.carried) + (points-1)*len(t.grouping.labels) + len(t.scopeLabels)
	if err := t.spend(attributes); err != nil {
		return err
	}
	return t.reserve(points*pointSize + attributes*attributeSize)
}

// spendMetric counts a metric. The scope that no labels name has one of each kind for a family, which whoever weighs the batch
// counts with the family; others, and their metrics, may be as many as the series.
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

// spend adds n attributes to those of the push, and refuses too many.
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

// spendText adds n bytes of text to those of the push, and refuses too many.
func (t *translator) spendText(n int) error {
	t.textSpent += n
	if budget := minText + textPerByte*t.batch.Size(); t.textSpent > budget {
		return tooMuchText(budget, t.textSpent)
	}
	return nil
}

// reserveHeld reserves memory for n bytes of text that pdata shares and a group holds as often as they are used.
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
