// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// groupKey holds the grouping labels, job among them.
type groupKey map[string]string

// groupKeys are the groups that are pushed to. With the labels in the bodies, many of them can have the same series.
var groupKeys = []groupKey{
	{"job": "j"},
	{"job": "j", "zone": "a"},
	{"job": "j", "zone": ""},
	{"job": "j", "instance": "x"},
	{"job": "j", "instance": ""},
	{"job": "j", "zone": "a", "instance": "x"},
	{"job": "j", "zone": "b", "instance": "x"},
	{"job": "j", "le": "1"},
	{"job": "k/ü"},
	{"job": "k/ü", "zone": "a", "l": "1"},
}

// String is the key in canonical form. Empty labels tell keys apart.
func (k groupKey) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(k)) {
		fmt.Fprintf(&b, "/%s=%s", name, k[name])
	}
	return b.String()
}

// path spells the key in one of the ways that there are.
func (k groupKey) path(rng *rand.Rand) string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(k)), func(name string) bool { return name == "job" })
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	path := "/metrics"
	for _, name := range append([]string{"job"}, names...) {
		switch value := k[name]; {
		case value == "":
			path += "/" + name + "@base64/="
		case strings.Contains(value, "/") || rng.IntN(4) == 0:
			path += "/" + name + "@base64/" + base64.RawURLEncoding.EncodeToString([]byte(value))
		default:
			path += "/" + name + "/" + url.PathEscape(value)
		}
	}
	return path
}

// generator makes pushes. All of it depends on the seed alone.
type generator struct {
	*rand.Rand

	exemplars int
}

// fault is what is wrong with a push.
type fault string

const (
	sound      fault = ""
	unreadable fault = "cannot be parsed"
	timed      fault = "has a timestamp"
	repeated   fault = "has a series twice"
)

// body is a push as it is sent.
type body struct {
	format   expfmt.Format
	fault    fault
	families []*dto.MetricFamily
	bytes    []byte
}

func (b *body) String() string {
	text := new(bytes.Buffer)
	for _, f := range b.families {
		fmt.Fprintf(text, "    %v\n", f)
	}
	return fmt.Sprintf("%s %s\n%s", b.format, b.fault, text)
}

var (
	protobuf    = expfmt.NewFormat(expfmt.TypeProtoDelim)
	text        = expfmt.NewFormat(expfmt.TypeTextPlain)
	openMetrics = expfmt.NewFormat(expfmt.TypeOpenMetrics)
)

// The names of families. Of those for OpenMetrics none is a series of another one, which its grammar refuses.
var (
	names            = []string{"m", "m_total", "h", "h_count", "h_bucket", "s", "s_sum", "push_time_seconds"}
	openMetricsNames = []string{"m", "m_total", "h", "s"}
)

// body makes a push; one in badOneIn has a fault.
func (g *generator) body(badOneIn int) *body {
	b := &body{format: []expfmt.Format{protobuf, text, openMetrics}[g.IntN(3)]}
	if g.IntN(badOneIn) == 0 {
		b.fault = []fault{unreadable, timed, repeated}[g.IntN(3)]
	}
	for range g.IntN(4) {
		if f := g.family(b.format); !slices.ContainsFunc(b.families, func(o *dto.MetricFamily) bool { return o.GetName() == f.GetName() }) {
			b.families = append(b.families, f)
		}
	}
	if len(b.families) == 0 || b.fault == repeated && b.format == text && isBare(b.families[0].Metric[0]) {
		b.fault = sound
	} else if metrics := b.families[0].Metric; b.fault == timed {
		metrics[0].TimestampMs = new(int64(1e12))
	} else if b.fault == repeated {
		b.families[0].Metric = slices.Concat(metrics, []*dto.Metric{proto.CloneOf(metrics[0])})
	}
	b.bytes = encode(b.format, b.families)
	if b.fault == unreadable {
		b.bytes = b.bytes[:len(b.bytes)-1]
		if b.format != protobuf {
			b.bytes = append(b.bytes, "} what is this"...)
		}
	}
	return b
}

// isBare tells of a summary without quantiles. The text format has no way to say it twice: of two sums the last one counts.
func isBare(m *dto.Metric) bool { return m.Summary != nil && len(m.Summary.Quantile) == 0 }

func encode(format expfmt.Format, families []*dto.MetricFamily) []byte {
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			panic(err)
		}
	}
	if closer, ok := encoder.(io.Closer); ok {
		_ = closer.Close() // It writes into memory.
	}
	return b.Bytes()
}

// pick takes one of what there is to choose from.
func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// family makes a family of a type that its name may have in the format.
func (g *generator) family(format expfmt.Format) *dto.MetricFamily {
	f := &dto.MetricFamily{Name: new(pick(g, names...))}
	switch {
	case format == protobuf && g.IntN(8) == 0:
		f.Name = new("native")
	case format == openMetrics:
		f.Name = new(pick(g, openMetricsNames...))
	}
	f.Type = g.typeOf(format, f.GetName()).Enum()
	if g.IntN(2) == 0 {
		f.Help = new(pick(g, "Some help.", "Other help."))
	}
	used := map[string]bool{}
	for range 1 + g.IntN(3) {
		labels := g.labels()
		if name := fmt.Sprint(labels); !used[name] {
			used[name] = true
			f.Metric = append(f.Metric, g.metric(f, format, labels))
		}
	}
	return f
}

func (g *generator) typeOf(format expfmt.Format, name string) dto.MetricType {
	switch {
	case name == "native":
		return dto.MetricType_HISTOGRAM
	case format == openMetrics && name == "m_total":
		return dto.MetricType_COUNTER
	case format == openMetrics:
		return pick(g, dto.MetricType_GAUGE, dto.MetricType_UNTYPED, dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM)
	case name[0] == 'm' || name[0] == 'p':
		return pick(g, dto.MetricType_GAUGE, dto.MetricType_UNTYPED, dto.MetricType_COUNTER)
	case format == protobuf && g.IntN(6) == 0:
		return dto.MetricType_GAUGE_HISTOGRAM
	case name == "h" || g.IntN(8) == 0:
		return pick(g, dto.MetricType_HISTOGRAM, dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY, dto.MetricType_GAUGE)
	case name == "s":
		return pick(g, dto.MetricType_SUMMARY, dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM, dto.MetricType_UNTYPED)
	default:
		return pick(g, dto.MetricType_GAUGE, dto.MetricType_COUNTER)
	}
}

func (g *generator) labels() (labels []*dto.LabelPair) {
	put := func(name, value string) {
		labels = append(labels, &dto.LabelPair{Name: new(name), Value: new(value)})
	}
	if g.IntN(12) == 0 {
		put("job", "of the body")
	}
	if g.IntN(3) == 0 {
		put("instance", pick(g, "x", "x", ""))
	}
	if g.IntN(2) == 0 {
		put("l", pick(g, "1", "2"))
	}
	if g.IntN(3) == 0 {
		put("zone", pick(g, "a", "b", ""))
	}
	return labels
}

func (g *generator) number() float64 {
	switch g.IntN(30) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1)
	default:
		return float64(g.IntN(100)) / 4
	}
}

func (g *generator) metric(f *dto.MetricFamily, format expfmt.Format, labels []*dto.LabelPair) *dto.Metric {
	m := &dto.Metric{Label: labels}
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: new(float64(g.IntN(100)))}
		if format == openMetrics {
			g.exemplars++
			m.Counter.Exemplar = &dto.Exemplar{
				Value:     new(float64(1)),
				Label:     []*dto.LabelPair{{Name: new("op"), Value: new(strconv.Itoa(g.exemplars))}},
				Timestamp: timestamppb.Now(),
			}
		}
	case dto.MetricType_GAUGE:
		m.Gauge = &dto.Gauge{Value: new(g.number())}
	case dto.MetricType_UNTYPED:
		m.Untyped = &dto.Untyped{Value: new(g.number())}
	case dto.MetricType_SUMMARY:
		m.Summary = &dto.Summary{SampleCount: new(uint64(g.IntN(100))), SampleSum: new(float64(g.IntN(9)))}
		for _, q := range []float64{0.5, 0.9, 0.99, 1} {
			if g.IntN(2) == 0 {
				m.Summary.Quantile = append(m.Summary.Quantile, &dto.Quantile{Quantile: new(q), Value: new(g.number())})
			}
		}
	default:
		m.Histogram = g.histogram(f, format)
	}
	return m
}

// histogram makes a classic one, which cannot always be an OTLP histogram, or a native one.
func (g *generator) histogram(f *dto.MetricFamily, format expfmt.Format) *dto.Histogram {
	h := &dto.Histogram{SampleSum: new(float64(g.IntN(9)))}
	if f.GetName() == "native" && g.IntN(3) > 0 {
		h.SampleCount, h.Schema, h.ZeroThreshold = new(uint64(3)), new(int32(0)), new(0.5)
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(g.IntN(3))), Length: new(uint32(2))}}
		h.PositiveDelta = []int64{2, -1}
		return h
	}
	fractional := format != openMetrics && g.IntN(6) == 0
	count := 0
	for _, bound := range []float64{-1, 0.5, 1, 1e6, math.Inf(1)} {
		if g.IntN(2) == 0 && !math.IsInf(bound, 1) {
			continue
		}
		count += g.IntN(5)
		b := &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(uint64(count))}
		if fractional {
			b.CumulativeCount, b.CumulativeCountFloat = nil, new(float64(count)+0.5)
		}
		h.Bucket = append(h.Bucket, b)
	}
	h.SampleCount = new(uint64(count))
	if fractional {
		h.SampleCount, h.SampleCountFloat = nil, new(float64(count)+0.5)
	} else if format == protobuf && g.IntN(2) == 0 {
		h.Bucket = h.Bucket[:len(h.Bucket)-1] // That for +Inf may be left out.
	}
	return h
}
