// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// A histogram can be pushed with a classic and a native part, as client_java 1.x does by default. The setting selects the
// forwarded part. A held push has points for both parts, and Forwarded selects from them.

// shapeParts chooses the points for a histogram with both parts. If OTLP cannot represent the native part, the classic
// part replaces it.
func (t *translator) shapeParts(f *exposition.Family, s *exposition.Series, h *exposition.HistogramValue) (pointKinds, error) {
	if err := t.sortBuckets(f, s, h); err != nil {
		return pointKinds{}, err
	}
	finite := len(finite(t.buckets)) > 0
	if finite && !t.options.Held && t.options.Histograms == ClassicHistograms {
		return t.shapeClassic(f, h), nil
	}
	fits, problem := t.fitNative(f, h)
	switch {
	case fits && (t.options.Held || t.options.Histograms == BothHistograms):
		p := t.shapeClassic(f, h)
		p.native = true
		if t.options.Histograms != BothHistograms {
			return p, nil
		}
		return p, t.recount(f, h, t.countBuckets(h)+3)
	case fits:
		return pointKinds{kind: exponential}, nil
	case finite || problem != "":
		p := t.shapeClassic(f, h)
		return p, t.recount(f, h, t.countBuckets(h)+2)
	default:
		t.flatNative(h)
		return pointKinds{kind: flattened}, t.recount(f, h, 1)
	}
}

// seriesOfNative returns the number of series in Prometheus for the forwarded part of a histogram, if OTLP can represent
// it. For both parts it is the classic part's.
func (t *translator) seriesOfNative(h *exposition.HistogramValue) int {
	switch {
	case h.FirstBucket == exposition.NoIndex || t.options.Histograms == NativeHistograms:
		return 1
	case t.options.Histograms == BothHistograms || t.hasFinite(h):
		return t.countBuckets(h) + 2
	default:
		return 1
	}
}

// hasFinite reports whether a histogram has a classic bucket below +Inf.
func (t *translator) hasFinite(h *exposition.HistogramValue) bool {
	for i := h.FirstBucket; i != exposition.NoIndex; i = t.batch.Buckets[i].Next {
		if !math.IsInf(t.batch.Buckets[i].UpperBound, 1) {
			return true
		}
	}
	return false
}

// recount corrects a histogram's number of series once it is known whether OTLP can represent the native part. It refuses
// a push that now has too many.
func (t *translator) recount(f *exposition.Family, h *exposition.HistogramValue, series int) error {
	more := series - t.seriesOfNative(h)
	t.push.Series += more
	if err := t.spendText(max(more, 0) * (t.keyText() + len(f.Name))); err != nil {
		return err
	}
	return t.checkSeriesCount()
}

// Forwarded returns the metrics that the setting forwards. It drops one part of histograms with both parts, unless both
// are forwarded. md is not changed, and is returned itself if nothing is dropped.
func (h Histograms) Forwarded(md pmetric.Metrics) pmetric.Metrics {
	if h == BothHistograms {
		return md
	}
	if !hasNatives(md) {
		return md // as in most pushes
	}
	found := findParts(md)
	if !found.anyBoth() {
		return md
	}
	forwarded := pmetric.NewMetrics()
	md.CopyTo(forwarded)
	eachMetrics(forwarded, func(scope string, metrics pmetric.MetricSlice) {
		metrics.RemoveIf(func(m pmetric.Metric) bool { return found.reduce(h, scope, m) })
	})
	return forwarded
}

func hasNatives(md pmetric.Metrics) bool {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() == pmetric.MetricTypeExponentialHistogram {
					return true
				}
			}
		}
	}
	return false
}

// eachMetrics visits the metrics of each scope. A scope can occur several times, with the same text. All are of one
// resource.
func eachMetrics(md pmetric.Metrics, visit func(scope string, metrics pmetric.MetricSlice)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			text := appendTexts(nil, sm.Scope().Name(), sm.Scope().Version(), sm.SchemaUrl())
			for name, value := range sm.Scope().Attributes().All() {
				text = appendTexts(text, name, value.Str())
			}
			visit(string(text), sm.Metrics())
		}
	}
}

// appendTexts terminates each text with a byte that never occurs in UTF-8.
func appendTexts(to []byte, texts ...string) []byte {
	for _, text := range texts {
		to = append(append(to, text...), 0xff)
	}
	return to
}

// foundParts are the parts of histograms with a native part.
type foundParts struct {
	families map[familyOfScope]bool
	parts    map[histogramID]histogramParts
	text     []byte
}

// familyOfScope identifies a family by scope and name.
type familyOfScope struct{ scope, name string }

// histogramID identifies a histogram by family and attributes.
type histogramID struct {
	familyOfScope

	attributes string
}

type histogramParts struct{ native, classic, finite bool }

// findParts finds the native parts first, then the classic parts that belong to them.
func findParts(md pmetric.Metrics) *foundParts {
	p := &foundParts{families: map[familyOfScope]bool{}, parts: map[histogramID]histogramParts{}}
	eachMetrics(md, func(scope string, metrics pmetric.MetricSlice) {
		for _, m := range metrics.All() {
			if m.Type() == pmetric.MetricTypeExponentialHistogram {
				p.addNatives(familyOfScope{scope, m.Name()}, m.ExponentialHistogram().DataPoints())
			}
		}
	})
	eachMetrics(md, func(scope string, metrics pmetric.MetricSlice) {
		for _, m := range metrics.All() {
			p.addClassics(scope, m)
		}
	})
	return p
}

func (p *foundParts) addNatives(f familyOfScope, points pmetric.ExponentialHistogramDataPointSlice) {
	p.families[f] = true
	for _, dp := range points.All() {
		p.parts[p.id(f, dp.Attributes())] = histogramParts{native: true}
	}
}

// addClassics records a metric's histograms that also have a native part.
func (p *foundParts) addClassics(scope string, m pmetric.Metric) {
	f, ok := p.classicOf(scope, m)
	if !ok {
		return
	}
	note := func(attributes pcommon.Map, finite bool) {
		id := p.id(f, attributes)
		if parts, ok := p.parts[id]; ok {
			parts.classic, parts.finite = true, parts.finite || finite
			p.parts[id] = parts
		}
	}
	if m.Type() == pmetric.MetricTypeHistogram {
		for _, dp := range m.Histogram().DataPoints().All() {
			note(dp.Attributes(), dp.ExplicitBounds().Len() > 0)
		}
		return
	}
	for _, dp := range m.Gauge().DataPoints().All() {
		bound, ok := dp.Attributes().Get(boundLabel)
		note(dp.Attributes(), ok && bound.Str() != infinity)
	}
}

// infinity is the +Inf bound in flattened histograms.
var infinity = formatFloat(math.Inf(1))

// classicOf returns the family with native histograms whose classic parts, possibly flattened, are in the metric.
func (p *foundParts) classicOf(scope string, m pmetric.Metric) (familyOfScope, bool) {
	switch m.Type() {
	case pmetric.MetricTypeHistogram:
		f := familyOfScope{scope, m.Name()}
		return f, p.families[f]
	case pmetric.MetricTypeGauge:
		for _, suffix := range [...]string{"_bucket", "_sum", "_count"} {
			name, ok := strings.CutSuffix(m.Name(), suffix)
			if f := (familyOfScope{scope, name}); ok && p.families[f] {
				return f, true
			}
		}
	}
	return familyOfScope{}, false
}

// id identifies a histogram. Its points have the same attributes in order; flattened buckets have a bound in addition.
func (p *foundParts) id(f familyOfScope, attributes pcommon.Map) histogramID {
	p.text = p.text[:0]
	for name, value := range attributes.All() {
		if name != boundLabel {
			p.text = appendTexts(p.text, name, value.Str())
		}
	}
	return histogramID{f, string(p.text)}
}

func (p *foundParts) anyBoth() bool {
	for _, parts := range p.parts {
		if parts.classic {
			return true
		}
	}
	return false
}

// reduce removes the points that are not forwarded and reports whether none is left.
func (p *foundParts) reduce(h Histograms, scope string, m pmetric.Metric) (empty bool) {
	if m.Type() == pmetric.MetricTypeExponentialHistogram {
		f, points := familyOfScope{scope, m.Name()}, m.ExponentialHistogram().DataPoints()
		points.RemoveIf(func(dp pmetric.ExponentialHistogramDataPoint) bool {
			parts := p.parts[p.id(f, dp.Attributes())]
			return h == ClassicHistograms && parts.finite
		})
		return points.Len() == 0
	}
	f, ok := p.classicOf(scope, m)
	if !ok {
		return false
	}
	hidden := func(attributes pcommon.Map) bool {
		parts := p.parts[p.id(f, attributes)]
		return parts.native && (h == NativeHistograms || !parts.finite)
	}
	if m.Type() == pmetric.MetricTypeHistogram {
		points := m.Histogram().DataPoints()
		points.RemoveIf(func(dp pmetric.HistogramDataPoint) bool { return hidden(dp.Attributes()) })
		return points.Len() == 0
	}
	points := m.Gauge().DataPoints()
	points.RemoveIf(func(dp pmetric.NumberDataPoint) bool { return hidden(dp.Attributes()) })
	return points.Len() == 0
}
