// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package oracle compares the decoders with the parsers that they follow, which only tests may depend on.
package oracle

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// deliberateRefusals are the rules by which a body is refused that textparse takes. Each is told by its message.
var deliberateRefusals = []struct{ rule, message string }{
	{"quoted names are for who has configured them", "needs the setting utf8_names: true"},
	{"names are non-empty UTF-8, which Prometheus checks after parsing", "is empty or not valid UTF-8"},
	{"quoted names end in their line, as the specification's strings do", "closing quote of the name, found the end of the line"},
	{"label names are unique, which Prometheus checks after parsing", "occurs twice"},
	{"__name__ would be a second name, which Prometheus checks after parsing", "is reserved"},
	{"a HELP text does not end in half an escape, as in the specification", "a character after the backslash"},
	{"timestamps fit 64 bits and created timestamps are times", "is not a valid time in seconds"},
	{"buckets and quantiles have their label, as in the specification", "has no label"},
	{"other parts of histograms and summaries do not have it, as in the specification", "has a label"},
	{"le and quantile are numbers, as in the specification", "is not a number: "},
	{"a histogram's samples have suffixes, as in the specification", "must end in"},
	{"counts of histograms are numbers from 0 on, as in the specification", "must be a number of at least 0"},
	{"counts of summaries are whole numbers, as in the specification", "is a whole number"},
	{"a histogram or summary has one count, sum and created timestamp", "was already given"},
	{"a histogram or summary has one timestamp, as a data point has", "the timestamp differs"},
	{"the suffixes of a gauge histogram are of one sort, as in the specification", "does not go with"},
	{"a NUL belongs into strings alone: textparse skips some elsewhere", `\x00`},
}

// prometheusEscapes are the escapes that textparse resolves. It leaves those in exemplars and in the names of metadata.
var prometheusEscapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n")

// sample is one series with its value as a scrape sees it.
type sample struct {
	name      string
	labels    string // sorted, le and quantile normalized
	value     float64
	timestamp string
}

type exemplarSample struct {
	labels string
	value  float64
	ms     int64 // 0 without timestamp
	hasMs  bool
}

type metadata struct{ kind, help, unit string }

// created is a created timestamp in nanoseconds.
type created struct {
	names  [2]string // the names that its sample may have had
	labels string
	ns     int64
}

type exposed struct {
	samples   []sample
	exemplars []exemplarSample
	families  map[string][]metadata
	created   []created
}

// FuzzOpenMetrics feeds arbitrary bodies to both parsers.
func FuzzOpenMetrics(f *testing.F) {
	for _, body := range openMetricsSeeds {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(compareOpenMetrics)
}

// FuzzOpenMetricsTokens feeds bodies to both parsers that consist of whole tokens, one per byte of the input, and so get
// far into the grammar.
func FuzzOpenMetricsTokens(f *testing.F) {
	for _, body := range openMetricsSeeds {
		f.Add(tokenized(body))
	}
	f.Fuzz(func(t *testing.T, choice []byte) {
		var body []byte
		for _, c := range choice {
			body = append(body, openMetricsTokens[int(c)%len(openMetricsTokens)]...)
		}
		compareOpenMetrics(t, body, true)
	})
}

// tokenized is the input of FuzzOpenMetricsTokens that comes closest to the body.
func tokenized(body string) (choice []byte) {
	for body != "" {
		best := -1
		for i, token := range openMetricsTokens {
			if strings.HasPrefix(body, token) && (best < 0 || len(token) > len(openMetricsTokens[best])) {
				best = i
			}
		}
		if best < 0 {
			body = body[1:]
			continue
		}
		choice = append(choice, byte(best))
		body = body[len(openMetricsTokens[best]):]
	}
	return choice
}

func compareOpenMetrics(t *testing.T, body []byte, utf8Names bool) {
	var b exposition.Batch
	ourErr := b.Decode(exposition.OpenMetrics, body, exposition.Options{UTF8Names: utf8Names})
	want, theirErr := parseOpenMetrics(body)
	switch {
	case ourErr != nil && theirErr == nil:
		require.True(t, isDeliberate(ourErr), "we refuse what textparse takes: %v\n%q", ourErr, body)
	case ourErr == nil && theirErr != nil:
		require.True(t, hasNUL(&b), "we take what textparse refuses: %v\n%q", theirErr, body)
	case ourErr == nil:
		compareExposed(t, want, flatten(&b), body)
		requireSameNames(t, &b)
	}
}

// requireSameNames requires that what the series say of the names of their labels is so: translation relies on it.
func requireSameNames(t *testing.T, b *exposition.Batch) {
	names := func(i int) (all []string) {
		for l := range b.LabelsIn(b.Series[i].Labels) {
			all = append(all, l.Name)
		}
		return all
	}
	for i := range b.Series {
		if b.Series[i].SameNames {
			require.Equal(t, names(i-1), names(i))
		}
	}
}

func isDeliberate(err error) bool {
	for _, r := range deliberateRefusals {
		if strings.Contains(err.Error(), r.message) {
			return true
		}
	}
	return false
}

// hasNUL is, besides the missing "# EOF", the rule by which a body is taken that textparse refuses. NUL is valid UTF-8 and
// belongs into every string of the specification; textparse's lexer takes it in the labels' values of series alone.
func hasNUL(b *exposition.Batch) bool {
	inName := func(l exposition.LabelRef) bool { return strings.Contains(b.Name(l), "\x00") }
	inValue := func(l exposition.LabelRef) bool { return strings.Contains(b.Value(l), "\x00") }
	return slices.ContainsFunc(b.Families, func(f exposition.Family) bool { return strings.Contains(f.Name, "\x00") }) ||
		slices.ContainsFunc(b.Labels, inName) ||
		slices.ContainsFunc(b.Exemplars, func(e exposition.Exemplar) bool {
			return slices.ContainsFunc(b.Labels[e.Labels.Start:e.Labels.End], inValue)
		})
}

// parseOpenMetrics reads the body with textparse, after the one correction that makes it take more: a body that ends with
// a line feed needs no "# EOF", since client_golang's pushes have none.
func parseOpenMetrics(body []byte) (*exposed, error) {
	text := string(body)
	if (text == "" || strings.HasSuffix(text, "\n")) && text != "# EOF\n" && !strings.HasSuffix(text, "\n# EOF\n") {
		text += "# EOF\n"
	}
	p := textparse.NewOpenMetricsParser([]byte(text), labels.NewSymbolTable())
	e := &exposed{families: map[string][]metadata{}}
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return e, nil
		case err != nil:
			return nil, err
		case entry == textparse.EntrySeries:
			e.addSample(p)
		default:
			e.addMetadata(p, entry)
		}
	}
}

// addMetadata keeps what was said last about a family.
func (e *exposed) addMetadata(p textparse.Parser, entry textparse.Entry) {
	update := func(name []byte, change func(*metadata)) {
		var m metadata
		key := prometheusEscapes.Replace(string(name))
		if known := e.families[key]; len(known) > 0 {
			m = known[0]
		}
		change(&m)
		e.families[key] = []metadata{m}
	}
	switch entry {
	case textparse.EntryHelp:
		name, help := p.Help()
		update(name, func(m *metadata) { m.help = string(help) })
	case textparse.EntryType:
		name, kind := p.Type()
		update(name, func(m *metadata) { m.kind = string(kind) })
	case textparse.EntryUnit:
		name, unit := p.Unit()
		update(name, func(m *metadata) { m.unit = string(unit) })
	}
}

func (e *exposed) addSample(p textparse.Parser) {
	_, ms, value := p.Series()
	var set labels.Labels
	p.Labels(&set)
	s := sample{name: set.Get(model.MetricNameLabel), value: value}
	s.labels = joined(set, normalizedBound)
	if ms != nil {
		s.timestamp = strconv.FormatInt(*ms, 10)
	}
	e.samples = append(e.samples, s)

	// The exemplar of a created timestamp is lost with the series, since it becomes a property of another one.
	var x exemplar.Exemplar
	if p.Exemplar(&x) && !strings.HasSuffix(s.name, "_created") {
		content := joined(x.Labels, func(l labels.Label) string { return prometheusEscapes.Replace(l.Value) })
		e.exemplars = append(e.exemplars, exemplarSample{content, x.Value, x.Ts, x.HasTs})
	}
}

// joined is a label set but for the metric name, names without their escapes and values as the function gives them.
func joined(set labels.Labels, value func(labels.Label) string) string {
	var parts []string
	set.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			parts = append(parts, fmt.Sprintf("%q=%q", prometheusEscapes.Replace(l.Name), value(l)))
		}
	})
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// normalizedBound is the label's value, numbers in le and quantile in one spelling: textparse normalizes them for some
// types, and in the Batch they are numbers.
func normalizedBound(l labels.Label) string {
	if l.Name == "le" || l.Name == "quantile" {
		if f, err := strconv.ParseFloat(l.Value, 64); err == nil {
			return labels.FormatOpenMetricsFloat(f)
		}
	}
	return l.Value
}

// flatten turns a Batch into the series that it stands for.
func flatten(b *exposition.Batch) *exposed {
	e := &exposed{families: map[string][]metadata{}}
	for i := range b.Families {
		f := &b.Families[i]
		e.families[f.Name] = append(e.families[f.Name], metadata{f.Type.String(), f.Help, f.Unit})
		for j := f.First; j != exposition.NoIndex; j = b.Series[j].Next {
			e.flattenSeries(b, f, &b.Series[j])
		}
	}
	return e
}

func (e *exposed) flattenSeries(b *exposition.Batch, f *exposition.Family, s *exposition.Series) {
	add := func(suffix string, value float64, extra ...labels.Label) {
		set := append(labelsOf(b, s.Labels), extra...)
		flat := sample{name: f.Name + suffix, labels: joined(labels.New(set...), normalizedBound), value: value}
		if s.HasTimestamp {
			flat.timestamp = strconv.FormatInt(s.TimestampMs, 10)
		}
		e.samples = append(e.samples, flat)
	}
	base := f.Name
	switch f.Type {
	case exposition.Histogram, exposition.GaugeHistogram:
		e.flattenHistogram(b, f, &b.Histograms[s.ValueIndex], add)
	case exposition.Summary:
		flattenSummary(b, &b.Summaries[s.ValueIndex], add)
	default:
		add("", s.Value)
		base = strings.TrimSuffix(f.Name, "_total")
	}
	if s.CreatedNs != 0 {
		set := joined(labels.New(labelsOf(b, s.Labels)...), normalizedBound)
		e.created = append(e.created, created{[2]string{base + "_created", f.Name + "_created"}, set, s.CreatedNs})
	}
	if !strings.HasSuffix(f.Name, "_created") {
		e.flattenExemplars(b, s.Exemplar)
	}
}

func (e *exposed) flattenHistogram(
	b *exposition.Batch, f *exposition.Family, h *exposition.HistogramValue, add func(string, float64, ...labels.Label),
) {
	countSuffix, sumSuffix := "_count", "_sum"
	if f.GaugeSuffixes {
		countSuffix, sumSuffix = "_gcount", "_gsum"
	}
	for i := h.FirstBucket; i != exposition.NoIndex; i = b.Buckets[i].Next {
		u := b.Buckets[i]
		bound := labels.Label{Name: "le", Value: strconv.FormatFloat(u.UpperBound, 'g', -1, 64)}
		add("_bucket", either(u.Count, u.CountFloat), bound)
		e.flattenExemplars(b, u.Exemplar)
	}
	if h.HasCount {
		add(countSuffix, either(h.Count, h.CountFloat))
	}
	if h.HasSum {
		add(sumSuffix, h.Sum)
	}
}

func flattenSummary(b *exposition.Batch, v *exposition.SummaryValue, add func(string, float64, ...labels.Label)) {
	for i := v.FirstQuantile; i != exposition.NoIndex; i = b.Quantiles[i].Next {
		q := b.Quantiles[i]
		add("", q.Value, labels.Label{Name: "quantile", Value: strconv.FormatFloat(q.Quantile, 'g', -1, 64)})
	}
	if v.HasCount {
		add("_count", float64(v.Count))
	}
	if v.HasSum {
		add("_sum", v.Sum)
	}
}

func (e *exposed) flattenExemplars(b *exposition.Batch, first int32) {
	for i := first; i != exposition.NoIndex; i = b.Exemplars[i].Next {
		x := b.Exemplars[i]
		content := joined(labels.New(labelsOf(b, x.Labels)...), func(l labels.Label) string { return l.Value })
		e.exemplars = append(e.exemplars, exemplarSample{content, x.Value, x.TimestampNs / 1e6, x.HasTimestamp})
	}
}

func labelsOf(b *exposition.Batch, r exposition.Range) (set []labels.Label) {
	for l := range b.LabelsIn(r) {
		set = append(set, labels.Label{Name: l.Name, Value: l.Value})
	}
	return set
}

func either(whole uint64, fraction float64) float64 {
	if fraction != 0 {
		return fraction
	}
	return float64(whole)
}

func compareExposed(t *testing.T, want, got *exposed, body []byte) {
	rest := compareSamples(t, want, got, body)
	compareCreated(t, rest, got, body)
	compareExemplars(t, want, got, body)
	compareMetadata(t, want, got, body)
}

// key is comparable also if the value is NaN. Zero counts have lost their sign.
func (s sample) key() string {
	bits := math.Float64bits(s.value)
	if s.value == 0 {
		bits = 0
	}
	return fmt.Sprintf("%q{%s} %x %s", s.name, s.labels, bits, s.timestamp)
}

// compareSamples finds each of our samples among those of textparse and returns what is left of these.
func compareSamples(t *testing.T, want, got *exposed, body []byte) []sample {
	ours := map[string]int{}
	for _, s := range got.samples {
		ours[s.key()]++
	}
	var rest []sample
	for _, s := range want.samples {
		if ours[s.key()] > 0 {
			ours[s.key()]--
		} else {
			rest = append(rest, s)
		}
	}
	for k, n := range ours {
		require.Zero(t, n, "textparse has no sample %s\n%q", k, body)
	}
	return rest
}

// compareCreated checks that what textparse has more than we are the created timestamps of our series. Our nanoseconds
// are exact, and 0 is none.
func compareCreated(t *testing.T, rest []sample, got *exposed, body []byte) {
	isSame := func(s sample, c created) bool {
		return (s.name == c.names[0] || s.name == c.names[1]) && s.labels == c.labels &&
			math.Abs(s.value*1e9-float64(c.ns)) <= math.Max(1, math.Abs(float64(c.ns))*1e-14)
	}
	for _, s := range rest {
		known := slices.ContainsFunc(got.created, func(c created) bool { return isSame(s, c) })
		isZero := strings.HasSuffix(s.name, "_created") && math.Abs(s.value) < 1e-9
		require.True(t, known || isZero, "we have no sample %s\n%q", s.key(), body)
	}
	for _, c := range got.created {
		known := slices.ContainsFunc(rest, func(s sample) bool { return isSame(s, c) })
		require.True(t, known, "textparse has no created timestamp %v\n%q", c, body)
	}
}

// compareExemplars compares all exemplars whatever they belong to. Our timestamps are exact; textparse's are
// milliseconds cut off a float product.
func compareExemplars(t *testing.T, want, got *exposed, body []byte) {
	key := func(x exemplarSample) string {
		return fmt.Sprintf("%s %x %t %020d", x.labels, math.Float64bits(x.value), x.hasMs, x.ms)
	}
	order := func(a, b exemplarSample) int { return strings.Compare(key(a), key(b)) }
	slices.SortFunc(want.exemplars, order)
	slices.SortFunc(got.exemplars, order)
	require.Len(t, got.exemplars, len(want.exemplars), "exemplars\n%q", body)
	for i, w := range want.exemplars {
		g := got.exemplars[i]
		require.InDelta(t, w.ms, g.ms, 1+math.Abs(float64(w.ms))*1e-14, "exemplar timestamp\n%q", body)
		w.ms = g.ms
		require.Equal(t, key(w), key(g), "exemplar\n%q", body)
	}
}

// compareMetadata checks that one of our families of each name says what textparse read last about it, and that none has
// a type that was not read. Where it read nothing there may still be something: foo_total has the metadata of the counter foo.
func compareMetadata(t *testing.T, want, got *exposed, body []byte) {
	for name, w := range want.families {
		isSame := func(g metadata) bool {
			return (g.help == w[0].help || w[0].help == "") && (g.unit == w[0].unit || w[0].unit == "") &&
				(g.kind == w[0].kind || w[0].kind == "")
		}
		assert.True(t, slices.ContainsFunc(got.families[name], isSame), "metadata %q of %q\n%q", w, name, body)
	}
	for name, families := range got.families {
		for _, g := range families {
			isKnown := g.kind == "unknown" || strings.Contains(string(body), g.kind)
			assert.True(t, isKnown, "type %s of %q\n%q", g.kind, name, body)
		}
	}
}

var openMetricsTokens = []string{
	"# HELP ", "# TYPE ", "# UNIT ", "# EOF", "# EOF\n", "# ", "#", "\n", " ", "{", "}", ",", "=", `"`, `\`, `\n`, `\"`, " # {",
	"foo", "foo", "bar", "_total", "_created", "_info", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_seconds", "seconds",
	" counter\n", " gauge\n", " histogram\n", " gaugehistogram\n", " summary\n", " info\n", " stateset\n", " unknown\n",
	"# TYPE foo counter\n", "# TYPE foo histogram\n", "# TYPE foo gaugehistogram\n", "# TYPE foo summary\n", "# TYPE foo info\n",
	"# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n", "# HELP foo text\\\\ \\n\n",
	`{a="b"}`, `{b="c",a="b"}`, `{a="b",b="c"}`, `{le="1"}`, `{le="1.0",a="b"}`, `{a="b",le="+Inf"}`, `{quantile="0.5"}`,
	`{quantile="0.50",a="b"}`, `{"foo",a="b"}`, `{"foo.bar"}`, `"foo.bar"`, `"a.b"="c"`, `a="b"`, `le="2"`, `a="\"\\\n\x"`,
	" 0", " 1", " 2.5", " -3", " NaN", " +Inf", " 1e3", " 1.5e9", " 1700000000.123", " 17", " 1_0", " 0x1p3", "é", "\xff", "\x00", "\r",
	` # {a="b"} 1`, ` # {} 2 1700000000.1`, "foo 1\n", "foo_total 1\n", "foo_created 5\n", "foo_count 3\n", "foo_sum 3\n",
	"foo_bucket{le=\"1\"} 2\n", "foo{quantile=\"1\"} 2\n", "foo_total{a=\"b\"} 4\n", "foo_created{a=\"b\"} 6\n",
}

var openMetricsSeeds = []string{
	"a_total 1 # {x=\"\x00\"} 1\n",
	"",
	"# EOF",
	"# EOF\n",
	"foo 1\n# EOF\n",
	"foo 1 17.5\nfoo{a=\"b\",} -1e-3 # {t=\"x\"} 1 2.5\n",
	"# TYPE foo counter\n# HELP foo text\nfoo_total 17.0 1520879607.789 # {} 1\nfoo_created 1520430000.123 1520879607.789\n# EOF\n",
	"# TYPE foo counter\nfoo_created{a=\"b\"} 1.5\nfoo_total{a=\"c\"} 2\nfoo_total{a=\"b\"} 3\nfoo_created{a=\"d\"} 4\n",
	"# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n# HELP foo_seconds a \\n b \\\" c \\\\ d\nfoo_seconds_total 1\n",
	"# TYPE foo histogram\nfoo_bucket{le=\"0.1\"} 8 # {} 0.054\nfoo_bucket{le=\"1\"} 11 # {trace_id=\"K\"} 0.67\n" +
		"foo_bucket{le=\"+Inf\"} 17 # {trace_id=\"o\"} 9.8 1520879607.789\nfoo_count 17\nfoo_sum 324789.3\nfoo_created 1520430000.123\n",
	"foo{a=\"1\",b=\"2\"} 12\nfoo{a=\"3\",b=\"4\"} -0.25 5\nfoo{a=\"3\",a=\"4\"} 1e3\n",
	"foo{a=\"1\",b=\"2\"} 1 # {a=\"1\"} 1\nfoo{a=\"\\\\\",b=\"\u00e9\"} 2\n{\"foo.bar\",a=\"1\"} 3\nfoo.bar{a=\"1\"} 4\n",
	"# TYPE foo gaugehistogram\nfoo_bucket{le=\"0.01\"} 20.0\nfoo_bucket{le=\"+Inf\"} 42.0\nfoo_gcount 42.0\nfoo_gsum 3289.3\n",
	"# TYPE foo gaugehistogram\nfoo_bucket{a=\"b\",le=\"+Inf\"} 42.5\nfoo_count{a=\"b\"} 42\nfoo_sum{a=\"b\"} 3289.3\n",
	"# TYPE foo summary\nfoo{quantile=\"0.95\"} 123.7\nfoo_count 17.0\nfoo_sum 324789.3\nfoo_created 1520430000.123\n",
	"# TYPE foo stateset\nfoo{foo=\"a\"} 0\nfoo{foo=\"bb\"} 1\n",
	"# TYPE foo info\nfoo_info{name=\"pretty name\",version=\"8.2.7\"} 1\n",
	"{\"\x00\"} 0\n",
	"# TYPE \"a.b\" counter\n{\"a.b_total\",\"c.d\"=\"e\\\"\"} 5\n{\"a.b_created\",\"c.d\"=\"e\\\"\"} 6\n# HELP \"a.b\" x\n",
	"foo 1\n# TYPE foo gauge\nfoo 2\n# TYPE foo counter\n# TYPE foo histogram\nfoo_count 1\nfoo_total 1\n",
}
