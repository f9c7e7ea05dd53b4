// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// model is what a receiver should hold: no more than maps, and the rules as a reader of the documentation would put them.
type model struct {
	groups map[string]*modelGroup
	// pending bounds the series with pending stale markers, which count towards max_series.
	pending int

	maxGroups, maxSeries int
}

type modelGroup struct {
	key            groupKey
	families       map[string]modelFamily
	pushed, failed window
}

type modelFamily struct {
	kind   dto.MetricType
	series map[string]string // values by name
}

// window is when something happened, as far as can be seen from outside. It is zero if it did not.
type window struct{ from, to time.Time }

// overlap tells that there is no telling which push was the last one.
func (g *modelGroup) overlap() bool {
	return g.pushed.to.After(g.failed.from) && g.failed.to.After(g.pushed.from)
}

func newModel() *model { return &model{groups: map[string]*modelGroup{}} }

func (m *model) clone() *model {
	other := *m
	other.groups = map[string]*modelGroup{}
	for id, g := range m.groups {
		copied := *g
		other.groups[id] = &copied // Families are replaced, never changed.
	}
	return &other
}

// verdict is what becomes of a push.
type verdict struct {
	refusal string // of the push as inconsistent; empty if there is none
	itself  bool   // It is inconsistent in itself.
	limit   string
	unsure  bool // It may be taken all the same.
}

// judge tells what becomes of a push.
func (m *model) judge(key groupKey, b *body, replace bool) (after map[string]modelFamily, v verdict) {
	if b.fault == timed && len(b.families) > 0 {
		return nil, verdict{refusal: "timestamps", itself: true}
	}
	added, refusal := familiesOf(b.families, key)
	if refusal != "" {
		return nil, verdict{refusal: refusal, itself: true}
	}
	if refusal := collision(added); refusal != "" {
		return nil, verdict{refusal: refusal, itself: true}
	}
	after = added
	g, exists := m.groups[key.String()]
	if exists && !replace {
		after = maps.Clone(g.families)
		maps.Copy(after, added)
	}
	if refusal := collision(after); refusal != "" {
		return nil, verdict{refusal: refusal}
	}
	var fresh []string
	for _, f := range added {
		fresh = slices.AppendSeq(fresh, maps.Keys(f.series))
	}
	if !exists {
		fresh = append(fresh, key.times()...)
	}
	if v = m.contest(key, fresh); v.refusal == "" {
		v = m.checkLimits(key, after, !exists)
	}
	return after, v
}

// contest finds another group that shows one of the series.
func (m *model) contest(key groupKey, series []string) (v verdict) {
	owners := m.owners()
	for _, s := range series {
		if owner, held := owners[s]; held && owner != key.String() {
			return verdict{refusal: s + " is held by " + owner}
		}
	}
	return v
}

// owners lists all series with their groups.
func (m *model) owners() map[string]string {
	owners := map[string]string{}
	for id, g := range m.groups {
		for _, s := range g.series() {
			owners[s] = id
		}
	}
	return owners
}

// series lists those of a group, its push times among them.
func (g *modelGroup) series() []string {
	series := g.key.times()
	for _, f := range g.families {
		series = slices.AppendSeq(series, maps.Keys(f.series))
	}
	return series
}

func (k groupKey) times() []string {
	return []string{seriesName("push_time_seconds", k), seriesName("push_failure_time_seconds", k)}
}

func (m *model) checkLimits(key groupKey, after map[string]modelFamily, create bool) verdict {
	before, total := 0, 0
	for id, g := range m.groups {
		n := len(g.series()) - len(key.times())
		total += n
		if id == key.String() {
			before = n
		}
	}
	n := len((&modelGroup{families: after}).series()) - len(key.times())
	switch {
	case m.maxGroups > 0 && create && len(m.groups) >= m.maxGroups:
		return verdict{limit: "max_groups"}
	case m.maxSeries > 0 && n > before && total-before+n > m.maxSeries:
		return verdict{limit: "max_series"}
	case m.maxSeries > 0 && total+n+m.pending > 2*m.maxSeries:
		return verdict{limit: "max_series", unsure: true} // Which of them are new or pending is not the model's to say.
	}
	return verdict{}
}

// push makes a push that was taken part of the group.
func (m *model) push(key groupKey, after map[string]modelFamily, at window) {
	g := m.open(key)
	g.families, g.pushed = after, at
}

// open finds or makes a group.
func (m *model) open(key groupKey) *modelGroup {
	g, exists := m.groups[key.String()]
	if !exists {
		g = &modelGroup{key: key, families: map[string]modelFamily{}}
		m.groups[key.String()] = g
	}
	return g
}

// fail notes a push that was refused, which may make the group.
func (m *model) fail(key groupKey, at window) {
	m.open(key).failed = at
}

// mayFail tells whether a failed push to the group is noted.
func (m *model) mayFail(key groupKey) verdict {
	if m.groups[key.String()] != nil {
		return verdict{}
	}
	if v := m.contest(key, key.times()); v.refusal != "" {
		return v
	}
	return m.checkLimits(key, nil, true)
}

// familiesOf gives families the labels of the key, and tells why a Pushgateway would refuse them.
func familiesOf(families []*dto.MetricFamily, key groupKey) (held map[string]modelFamily, refusal string) {
	held = map[string]modelFamily{}
	for _, f := range families {
		if _, overrides := key["le"]; overrides && strings.Contains(f.GetType().String(), "HISTOGRAM") {
			return nil, "le is a grouping label"
		}
		series, twice := seriesOf(f, key, false)
		if twice != "" && f.GetName() != "push_time_seconds" {
			return nil, twice + " is there twice"
		}
		if f.GetName() != "push_time_seconds" {
			held[f.GetName()] = modelFamily{f.GetType(), series}
		}
	}
	return held, ""
}

// collision finds families one of which is named like a series of the other.
func collision(families map[string]modelFamily) string {
	for name, f := range families {
		for _, suffix := range suffixes(f.kind) {
			if _, collides := families[name+suffix]; collides {
				return name + " collides with " + name + suffix
			}
		}
	}
	return ""
}

func suffixes(kind dto.MetricType) []string {
	switch kind {
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		return []string{"_sum", "_count", "_bucket"}
	case dto.MetricType_SUMMARY:
		return []string{"_sum", "_count"}
	default:
		return nil
	}
}

// seriesOf lists the series of a family with their values. Native histograms are one series unless they are to be shown as
// the text format shows them. Of label sets that are there twice, be it for a native histogram and a classic one, one is named.
func seriesOf(f *dto.MetricFamily, key groupKey, asText bool) (series map[string]string, twice string) {
	series = map[string]string{}
	seen := map[string]bool{}
	for _, m := range f.Metric {
		labels := map[string]string{}
		for _, l := range m.Label {
			labels[l.GetName()] = l.GetValue()
		}
		maps.Copy(labels, key)
		if name := seriesName(f.GetName(), labels); seen[name] {
			twice = name
		} else {
			seen[name] = true
		}
		eachValue(m, asText, func(suffix, value string, further ...string) {
			all := maps.Clone(labels)
			if len(further) == 2 {
				all[further[0]] = further[1]
			}
			series[seriesName(f.GetName()+suffix, all)] = value
		})
	}
	return series, twice
}

func isNative(m *dto.Metric) bool { return m.Histogram != nil && len(m.Histogram.PositiveSpan) > 0 }

func eachValue(m *dto.Metric, asText bool, put func(suffix, value string, further ...string)) {
	switch {
	case m.Counter != nil:
		put("", spellNumber(m.Counter.GetValue()))
	case m.Gauge != nil:
		put("", spellNumber(m.Gauge.GetValue()))
	case m.Untyped != nil:
		put("", spellNumber(m.Untyped.GetValue()))
	case m.Summary != nil:
		put("_sum", spellNumber(m.Summary.GetSampleSum()))
		put("_count", spellNumber(float64(m.Summary.GetSampleCount())))
		for _, q := range m.Summary.Quantile {
			put("", spellNumber(q.GetValue()), "quantile", spellNumber(q.GetQuantile()))
		}
	case isNative(m) && !asText:
		put("", spellNative(float64(m.Histogram.GetSampleCount()), m.Histogram.GetSampleSum()))
	default:
		eachBucket(m.Histogram, put)
	}
}

func eachBucket(h *dto.Histogram, put func(suffix, value string, further ...string)) {
	count := spellNumber(max(float64(h.GetSampleCount()), h.GetSampleCountFloat()))
	put("_sum", spellNumber(h.GetSampleSum()))
	put("_count", count)
	infinite := false
	for _, b := range h.Bucket {
		infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
		put("_bucket", spellNumber(max(float64(b.GetCumulativeCount()), b.GetCumulativeCountFloat())), "le", spellNumber(b.GetUpperBound()))
	}
	if !infinite {
		put("_bucket", count, "le", spellNumber(math.Inf(1)))
	}
}

// differs compares the model with the series that were read back. Of push times it knows the windows.
func (m *model) differs(read map[string]string) string {
	expected := map[string]string{}
	for _, g := range m.groups {
		for _, f := range g.families {
			maps.Copy(expected, f.series)
		}
		for i, w := range []window{g.pushed, g.failed} {
			name := g.key.times()[i]
			expected[name] = fmt.Sprintf("%s, %.3f to %.3f", read[name], w.seconds(w.from), w.seconds(w.to))
			if w.has(read[name]) {
				expected[name] = read[name]
			}
		}
	}
	return difference(expected, read)
}

func (window) seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixNano()) / 1e9
}

func (w window) has(value string) bool {
	var seconds float64
	if _, err := fmt.Sscan(value, &seconds); err != nil {
		return false
	}
	const slack = 1e-6 // A float64 has no more digits.
	return seconds >= w.seconds(w.from)-slack && seconds <= w.seconds(w.to)+slack
}

// difference lists how series differ from those expected, with the values found and expected.
func difference(expected, found map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		if value, ok := found[name]; !ok {
			fmt.Fprintf(&b, "%s is missing, want %s\n", name, expected[name])
		} else if value != expected[name] {
			fmt.Fprintf(&b, "%s is %s, want %s\n", name, value, expected[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, ok := expected[name]; !ok {
			fmt.Fprintf(&b, "%s is %s, want none\n", name, found[name])
		}
	}
	return b.String()
}
