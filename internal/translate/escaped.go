// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// This file refuses a push in which two series become one when an exporter or a scrape replaces characters by
// underscores: one of the two values would be lost. It runs only for pushes with such names, on their pdata, which
// contains every forwarded series.

// escaping rewrites names into ASCII letters, digits and underscores, with colons for metrics. An empty result means that
// nobody receives the name.
type escaping struct{ metric, label func(string) string }

// escapings are the rewrites in use: by the remote-write exporter and Prometheus' OTLP endpoint (otlptranslator without
// suffixes, keeping label underscores), and by Prometheus for readers without UTF-8 names (model.UnderscoreEscaping).
var escapings = [...]escaping{{translatedMetric, translatedLabel}, {underscored, underscored}}

// isLegacy reports whether a rune needs no escape after the first position of a label name.
func isLegacy(c rune) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c)
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }

// isLegacyName reports whether a name needs no escape. Colons are for metrics.
func isLegacyName(name string, colons bool) bool {
	for i := range len(name) {
		c := name[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || colons && c == ':' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return false
	}
	return name != ""
}

// translatedMetric joins the runs of legal characters by single underscores.
func translatedMetric(name string) string {
	if isLegacyName(name, true) {
		return name
	}
	parts := strings.FieldsFunc(name, func(c rune) bool { return !isLegacy(c) && c != ':' })
	translated := strings.Join(parts, "_")
	if strings.Trim(translated, "_") == "" {
		return ""
	}
	if isDigit(rune(translated[0])) {
		return "_" + translated
	}
	return translated
}

// translatedLabel replaces each illegal character by an underscore.
func translatedLabel(name string) string {
	translated := replaced(name, isLegacy)
	if isDigit(rune(translated[0])) {
		return "key_" + translated
	}
	return translated
}

// underscored replaces each character that is illegal at its position by an underscore.
func underscored(name string) string {
	escaped := replaced(name, func(c rune) bool { return isLegacy(c) || c == ':' })
	if isDigit(rune(escaped[0])) {
		return "_" + escaped[1:]
	}
	return escaped
}

func replaced(name string, kept func(rune) bool) string {
	return strings.Map(func(c rune) rune {
		if kept(c) {
			return c
		}
		return '_'
	}, name)
}

// escapedSize is the memory of an indexed series in bytes, rounded up.
const escapedSize = 64

// checkEscaped refuses a push in which escaping makes two series equal.
func (t *translator) checkEscaped() error {
	if err := t.reserve(escapedSize * (t.push.Series + t.push.DataPoints)); err != nil {
		return err
	}
	for _, e := range escapings {
		w := &escaper{
			t: t, escaping: e, metrics: map[string]string{}, labels: map[string]string{},
			seen: make(map[uint64]escapedSeries, t.push.Series),
		}
		if err := w.all(); err != nil {
			return err
		}
	}
	return nil
}

// escaper indexes the series of a push by their escaped form.
type escaper struct {
	t               *translator
	escaping        escaping
	metrics, labels map[string]string // cache of escaped names
	seen            map[uint64]escapedSeries

	points []escapedPoint // the last is the current one

	// The current point.
	own     uint64             // hash of its labels
	escaped uint64             // hash of its escaped labels
	scratch []exposition.Label // escaped labels
}

// escapedSeries is a series by the hash of its unescaped identity and its point.
type escapedSeries struct {
	own   uint64
	point int32
}

// escapedPoint is the data of a point for an error.
type escapedPoint struct {
	metric     string
	scope      []exposition.Label
	attributes pcommon.Map
}

// all adds the series of the push and of the receiver's own metrics.
func (w *escaper) all() error {
	if w.t.options.PushTime {
		if err := w.pushTimes(); err != nil {
			return err
		}
	}
	for i := range w.t.scopes {
		scope := &w.t.scopes[i]
		if !scope.opened {
			continue
		}
		for _, m := range scope.metrics.All() {
			if err := w.metric(m, scope.labels); err != nil {
				return err
			}
		}
	}
	return nil
}

// pushTimes adds the push time series, which are created separately.
func (w *escaper) pushTimes() error {
	names := []string{PushTimeName}
	if w.t.options.Held {
		names = append(names, PushFailureTimeName)
	}
	grouping := pcommon.NewMap()
	w.t.putLabels(grouping, w.t.grouping.labels)
	for _, name := range names {
		w.enter(name, w.t.grouping.scope, grouping)
		if err := w.series("", "", 0); err != nil {
			return err
		}
	}
	return nil
}

// metric adds the series of a metric.
func (w *escaper) metric(m pmetric.Metric, scope []exposition.Label) error {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return eachPoint(w, m, scope, m.Gauge().DataPoints(), w.number)
	case pmetric.MetricTypeSum:
		return eachPoint(w, m, scope, m.Sum().DataPoints(), w.number)
	case pmetric.MetricTypeHistogram:
		return eachPoint(w, m, scope, m.Histogram().DataPoints(), w.histogram)
	case pmetric.MetricTypeExponentialHistogram:
		return eachPoint(w, m, scope, m.ExponentialHistogram().DataPoints(), w.native)
	case pmetric.MetricTypeSummary:
		return eachPoint(w, m, scope, m.Summary().DataPoints(), w.summary)
	default:
		return nil
	}
}

func eachPoint[P interface{ Attributes() pcommon.Map }](
	w *escaper, m pmetric.Metric, scope []exposition.Label, points interface {
		Len() int
		At(int) P
	}, series func(P) error,
) error {
	for i := range points.Len() {
		w.enter(m.Name(), scope, points.At(i).Attributes())
		if err := series(points.At(i)); err != nil {
			return err
		}
	}
	return nil
}

func (w *escaper) number(pmetric.NumberDataPoint) error { return w.series("", "", 0) }

func (w *escaper) native(pmetric.ExponentialHistogramDataPoint) error { return w.series("", "", 0) }

func (w *escaper) histogram(dp pmetric.HistogramDataPoint) error {
	bounds := dp.ExplicitBounds()
	for i := range bounds.Len() {
		if err := w.series("_bucket", boundLabel, bounds.At(i)); err != nil {
			return err
		}
	}
	if err := w.series("_bucket", boundLabel, math.Inf(1)); err != nil {
		return err
	}
	if !dp.HasSum() {
		return w.series("_count", "", 0)
	}
	return w.sumAndCount()
}

func (w *escaper) summary(dp pmetric.SummaryDataPoint) error {
	for _, q := range dp.QuantileValues().All() {
		if err := w.series("", quantileLabel, q.Quantile()); err != nil {
			return err
		}
	}
	return w.sumAndCount()
}

func (w *escaper) sumAndCount() error {
	if err := w.series("_sum", "", 0); err != nil {
		return err
	}
	return w.series("_count", "", 0)
}

// enter makes a point the current one.
func (w *escaper) enter(metric string, scope []exposition.Label, attributes pcommon.Map) {
	w.points = append(w.points, escapedPoint{metric, scope, attributes})
	w.own, w.scratch = 0, w.scratch[:0]
	for l := range w.points[len(w.points)-1].all {
		w.own += labelHash(l)
		w.scratch = append(w.scratch, l)
	}
	slices.SortFunc(w.scratch, byName)
	for i := range w.scratch {
		w.scratch[i].Name = memo(w.labels, w.scratch[i].Name, w.escaping.label)
	}
	w.escaped = w.join()
}

// join hashes the escaped labels. Where label names become equal, exporters join the distinct values in the order of the
// original names.
func (w *escaper) join() (hash uint64) {
	slices.SortStableFunc(w.scratch, byName)
	for i := 0; i < len(w.scratch); {
		l := w.scratch[i]
		for i++; i < len(w.scratch) && w.scratch[i].Name == l.Name; i++ {
			if w.scratch[i].Value != l.Value {
				l.Value += ";" + w.scratch[i].Value
			}
		}
		hash += labelHash(l)
	}
	return hash
}

// series adds a series of the current point and refuses it if an escaped series is equal.
func (w *escaper) series(suffix, structural string, v float64) error {
	point := &w.points[len(w.points)-1]
	name := memo(w.metrics, point.metric, w.escaping.metric)
	if name == "" {
		return nil
	}
	var label uint64
	if structural != "" {
		label = labelHash(exposition.Label{Name: structural, Value: formatFloat(v)})
	}
	becomes := combineHash(hashString(secrets[0], name+suffix) ^ combineHash(w.escaped+label))
	is := combineHash(hashString(secrets[0], point.metric+suffix) ^ combineHash(w.own+label))
	other, found := w.seen[becomes]
	if !found {
		w.seen[becomes] = escapedSeries{is, int32(len(w.points) - 1)}
		return nil
	}
	if other.own == is {
		return nil // same series, other time
	}
	return inconsistent("collected metrics %s and %s become one series, %s, when names are escaped with underscores; "+
		"rename one of them, or set utf8_names if nothing downstream escapes names",
		w.t.describePoint(&w.points[other.point]), w.t.describePoint(point), quote(name+suffix))
}

func labelHash(l exposition.Label) uint64 {
	return hashString(hashString(secrets[0], l.Name), l.Value)
}

// memo caches escaped names, which most series share.
func memo(known map[string]string, name string, escape func(string) string) string {
	escaped, ok := known[name]
	if !ok {
		escaped = escape(name)
		known[name] = escaped
	}
	return escaped
}

// all yields the labels of a point, including its scope's.
func (p *escapedPoint) all(yield func(exposition.Label) bool) {
	for _, l := range p.scope {
		if !yield(l) {
			return
		}
	}
	for name, value := range p.attributes.All() {
		if !yield(exposition.Label{Name: name, Value: value.Str()}) {
			return
		}
	}
}

// describePoint identifies a point's series, such as: "a.b" {c="d",job="j"}.
func (t *translator) describePoint(p *escapedPoint) string {
	labels := []exposition.Label{{Name: jobLabel, Value: t.grouping.key.Job}}
	if instance, _ := t.grouping.key.Get(instanceLabel); instance != "" {
		labels = append(labels, exposition.Label{Name: instanceLabel, Value: instance})
	}
	labels = slices.AppendSeq(labels, p.all)
	slices.SortFunc(labels, byName)
	var b strings.Builder
	b.WriteString(quote(p.metric) + " ")
	writeLabels(&b, labels)
	return b.String()
}
