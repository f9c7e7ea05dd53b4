// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// FuzzText compares the decoder with expfmt's TextParser: same refusals with the same messages, same content. Batch and
// buffer are reused, as between pushes.
func FuzzText(f *testing.F) {
	for _, body := range textSeeds(f) {
		f.Add(body, false)
		f.Add(body, true)
	}
	var batch exposition.Batch
	var buffer []byte
	f.Fuzz(func(t *testing.T, body []byte, utf8Names bool) {
		oracle := readByExpfmt(body, utf8Names)
		if oracle.mixedUp > 0 { // earlier content must be the same
			body = body[:oracle.mixedUp]
			oracle = readByExpfmt(body, utf8Names)
		}
		buffer = append(buffer[:0], body...)
		oracle.requireSame(t, &batch, buffer)

		// Nothing of one push may leak into the next.
		const next = "# TYPE h histogram\nh_bucket{x=\"\\\\\",le=\"1\"} 2\nh_sum{x=\"\\\\\"} 3\n"
		buffer = append(buffer[:0], next...)
		readByExpfmt([]byte(next), utf8Names).requireSame(t, &batch, buffer)
	})
}

// textSeeds returns the bodies of the tables and the recorded payloads.
func textSeeds(tb testing.TB) [][]byte {
	seeds := [][]byte{textBody(20)}
	for _, tt := range acceptedTexts {
		seeds = append(seeds, []byte(tt.body))
	}
	for _, tt := range refusedTexts {
		seeds = append(seeds, []byte(tt.body))
	}
	for _, tt := range utf8Texts {
		seeds = append(seeds, []byte(tt.body))
	}
	payload, err := os.ReadFile("testdata/client_python.prom")
	require.NoError(tb, err)
	return append(seeds, payload)
}

// expfmtResult is expfmt's result for a body.
type expfmtResult struct {
	utf8Names bool
	families  map[string]*dto.MetricFamily
	err       error
	// mixedUp is the offset of the first line that expfmt assigns to an earlier line's series, the one known difference:
	// a histogram or summary named in braces other than the previous family. 0 if there is none.
	mixedUp int
}

// readByExpfmt reads the body as a Pushgateway does.
func readByExpfmt(body []byte, utf8Names bool) (r expfmtResult) {
	scheme := model.LegacyValidation
	if utf8Names {
		scheme = model.UTF8Validation
	}
	parser := expfmt.NewTextParser(scheme)
	lines := lineReader{body: body, current: reflect.ValueOf(&parser).Elem().FieldByName("currentMF")}
	defer func() {
		failure := recover()
		lines.endLine()
		r.mixedUp = lines.mixedUp
		if failure != nil && r.mixedUp == 0 {
			panic(failure)
		}
	}()
	r.utf8Names = utf8Names
	r.families, r.err = parser.TextToMetricFamilies(&lines)
	return r
}

// lineReader feeds expfmt line by line, to observe the family of each line.
type lineReader struct {
	body    []byte
	pos     int
	line    int           // start of the current line
	before  uintptr       // the parser's family before the line
	current reflect.Value // the parser's family pointer
	mixedUp int
}

// Read returns the rest of the line.
func (l *lineReader) Read(p []byte) (int, error) {
	if l.pos == 0 || l.body[l.pos-1] == '\n' {
		l.endLine()
		l.line, l.before = l.pos, l.current.Pointer()
	}
	if l.pos == len(l.body) {
		return 0, io.EOF
	}
	rest := l.body[l.pos:]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end+1]
	}
	n := copy(p, rest)
	l.pos += n
	return n, nil
}

// endLine examines the line that was read.
func (l *lineReader) endLine() {
	inBraces := bytes.HasPrefix(bytes.TrimLeft(l.body[l.line:l.pos], " \t"), []byte("{"))
	if l.mixedUp > 0 || !inBraces || l.current.IsNil() || l.current.Pointer() == l.before {
		return
	}
	if t := l.current.Elem().FieldByName("Type"); !t.IsNil() {
		switch dto.MetricType(t.Elem().Int()) {
		case dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
			l.mixedUp = l.line
		}
	}
}

// requireSame requires that the Batch has expfmt's content.
func (r expfmtResult) requireSame(t *testing.T, b *exposition.Batch, body []byte) {
	t.Helper()
	err := b.Decode(exposition.Text, body, exposition.Options{UTF8Names: r.utf8Names})
	if r.err != nil {
		require.EqualError(t, err, r.err.Error())
		var parseErr *exposition.ParseError
		require.ErrorAs(t, err, &parseErr)
		require.Positive(t, parseErr.Column)
		return
	}
	require.NoError(t, err)
	families := 0
	for i := range b.Families {
		f := &b.Families[i]
		if f.First == exposition.NoIndex {
			continue
		}
		families++
		require.Contains(t, r.families, f.Name)
		requireSameFamily(t, r.families[f.Name], b, f)
	}
	require.Len(t, r.families, families)
	requireSameNames(t, b)
}

// requireSameNames verifies Series.SameNames.
func requireSameNames(t *testing.T, b *exposition.Batch) {
	t.Helper()
	for i := range b.Series {
		if b.Series[i].SameNames {
			require.Positive(t, i)
			require.Equal(t, labelNames(b, &b.Series[i-1]), labelNames(b, &b.Series[i]))
		}
	}
}

func labelNames(b *exposition.Batch, s *exposition.Series) (names []string) {
	for l := range b.LabelsIn(s.Labels) {
		names = append(names, l.Name)
	}
	return names
}

func requireSameFamily(t *testing.T, want *dto.MetricFamily, b *exposition.Batch, f *exposition.Family) {
	t.Helper()
	types := map[dto.MetricType]exposition.Type{
		dto.MetricType_COUNTER: exposition.Counter, dto.MetricType_GAUGE: exposition.Gauge,
		dto.MetricType_SUMMARY: exposition.Summary, dto.MetricType_UNTYPED: exposition.Untyped,
		dto.MetricType_HISTOGRAM: exposition.Histogram, dto.MetricType_GAUGE_HISTOGRAM: exposition.GaugeHistogram,
	}
	require.Equal(t, want.GetHelp(), f.Help)
	require.Equal(t, types[want.GetType()], f.Type)
	next := f.First
	for _, metric := range want.Metric {
		require.NotEqual(t, exposition.NoIndex, next, "fewer series than expfmt has")
		s := &b.Series[next]
		require.Equal(t, describe(metric), describeSeries(b, f.Type, s))
		next = s.Next
	}
	require.Equal(t, exposition.NoIndex, next, "more series than expfmt has")
}

// describe returns all content of an expfmt metric, with floats bit by bit.
func describe(m *dto.Metric) string {
	var s bytes.Buffer
	for _, l := range m.Label {
		fmt.Fprintf(&s, "%q=%q ", l.GetName(), l.GetValue())
	}
	if m.TimestampMs != nil {
		fmt.Fprintf(&s, "at %d ", *m.TimestampMs)
	}
	switch {
	case m.Counter != nil:
		fmt.Fprint(&s, bits(m.Counter.GetValue()))
	case m.Gauge != nil:
		fmt.Fprint(&s, bits(m.Gauge.GetValue()))
	case m.Untyped != nil:
		fmt.Fprint(&s, bits(m.Untyped.GetValue()))
	case m.Summary != nil:
		fmt.Fprintf(&s, "count %d sum %s", m.Summary.GetSampleCount(), bits(m.Summary.GetSampleSum()))
		fmt.Fprint(&s, m.Summary.SampleCount != nil, m.Summary.SampleSum != nil)
		for _, q := range m.Summary.Quantile {
			fmt.Fprintf(&s, " %s: %s", bits(q.GetQuantile()), bits(q.GetValue()))
		}
	case m.Histogram != nil:
		h := m.Histogram
		fmt.Fprintf(&s, "count %d %s sum %s %t", h.GetSampleCount(), bits(h.GetSampleCountFloat()), bits(h.GetSampleSum()), h.SampleSum != nil)
		for _, u := range h.Bucket {
			fmt.Fprintf(&s, " %s: %d %s", bits(u.GetUpperBound()), u.GetCumulativeCount(), bits(u.GetCumulativeCountFloat()))
		}
	}
	return s.String()
}

// describeSeries is describe for a series of a Batch.
func describeSeries(b *exposition.Batch, t exposition.Type, series *exposition.Series) string {
	var s bytes.Buffer
	for l := range b.LabelsIn(series.Labels) {
		fmt.Fprintf(&s, "%q=%q ", l.Name, l.Value)
	}
	if series.HasTimestamp {
		fmt.Fprintf(&s, "at %d ", series.TimestampMs)
	}
	switch t {
	case exposition.Summary:
		v := b.Summaries[series.ValueIndex]
		fmt.Fprintf(&s, "count %d sum %s", v.Count, bits(v.Sum))
		fmt.Fprint(&s, v.HasCount, v.HasSum)
		for i := v.FirstQuantile; i != exposition.NoIndex; i = b.Quantiles[i].Next {
			fmt.Fprintf(&s, " %s: %s", bits(b.Quantiles[i].Quantile), bits(b.Quantiles[i].Value))
		}
	case exposition.Histogram, exposition.GaugeHistogram:
		v := b.Histograms[series.ValueIndex]
		fmt.Fprintf(&s, "count %d %s sum %s %t", v.Count, bits(v.CountFloat), bits(v.Sum), v.HasSum)
		for i := v.FirstBucket; i != exposition.NoIndex; i = b.Buckets[i].Next {
			u := b.Buckets[i]
			fmt.Fprintf(&s, " %s: %d %s", bits(u.UpperBound), u.Count, bits(u.CountFloat))
		}
	default:
		fmt.Fprint(&s, bits(series.Value))
	}
	return s.String()
}

// bits formats a float uniquely, except that all NaNs are equal.
func bits(v float64) string {
	if math.IsNaN(v) {
		return "NaN"
	}
	return fmt.Sprintf("%g/%x", v, math.Float64bits(v))
}

// TestLineReader verifies that FuzzText's one exception is narrow.
func TestLineReader(t *testing.T) {
	t.Parallel()
	const types = "# TYPE h histogram\n# TYPE s summary\n"
	assert.Zero(t, readByExpfmt([]byte(types+"{\"s\",quantile=\"1\"} 2\n{s_sum} 1\n"), false).mixedUp)
	assert.Zero(t, readByExpfmt([]byte(types+"a 1\nh_sum 1\n{a} 2\n"), false).mixedUp)
	assert.Positive(t, readByExpfmt([]byte(types+"{\"h_bucket\",le=\"1\"} 2\n"), false).mixedUp)
	assert.Positive(t, readByExpfmt([]byte(types+"a 1\n{\"h_bucket\",x=\"panics\"} 2\n"), false).mixedUp)
}
