// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// openMetricsDecoder reads OpenMetrics text where specification 1.0 (section "Text format") and Prometheus' parser
// (v0.315.0, model/textparse) agree. Where they differ, or cannot be followed, the decoder does this:
//
//	missing "# EOF"                   accepted if the last line is complete: client_golang's pushes have none
//	comma after the last label        accepted, as in Prometheus
//	metadata late, repeated or        accepted, as in Prometheus; the last line wins, and another TYPE after samples
//	between other families            begins a new family of that name
//	samples of one family apart       accepted, as in Prometheus
//	counter or info without suffix    accepted, as in Prometheus: metrics named for the text format have none
//	values of info and stateset       any, as in Prometheus
//	exemplars of other samples        kept with the series
//	names and HELP                    valid UTF-8 and within their line; HELP does not end in a single backslash
//	labels                            __name__ and repeated names are refused, as in a scrape by Prometheus
//	timestamps, created timestamps    refused beyond the range of 64-bit milliseconds and nanoseconds
//	parts of histograms and summaries refused if OTLP cannot represent them: see openmetrics_sample.go
//
// This file reads lines and tokens. openmetrics_sample.go assigns samples to families and series.
type openMetricsDecoder struct {
	b         *Batch
	data      []byte
	pos       int
	utf8Names bool

	line      int // 1-based
	lineStart int // its offset

	// The family of the last metadata line or sample, and the family of its counter or info samples, whose name has the
	// suffix.
	declared int32 // NoIndex before the first
	samples  int32

	name      string // metric name of the line
	lastName  string // metric name of the last sample, empty after metadata
	lastRole  role
	bareName  string     // metric name of the last line if unquoted, else empty
	lastMulti int32      // the last histogram or summary series, or NoIndex
	cached    labelCache // labels of lastMulti
	labels    int32      // index of the line's first label
	bare      bool       // no label name of the line is quoted
	before    Range      // labels of the last series if its bare was true: the expected names
	expected  int32      // number of labels read by readExpected
	written   string     // text between the braces, if the name precedes them

	// The family whose HELP line followed its samples, and its previous text.
	redescribed int32 // NoIndex before the first
	formerHelp  string
}

// exemplarStart starts an exemplar.
const exemplarStart = " # {"

// decodeOpenMetrics reads OpenMetrics 1.0 text.
func decodeOpenMetrics(b *Batch, body []byte, o Options) error {
	b.OnlyPushed, b.ValidValues = true, true
	d := openMetricsDecoder{
		b: b, data: body, utf8Names: o.UTF8Names, declared: NoIndex, samples: NoIndex, lastMulti: NoIndex, redescribed: NoIndex,
	}
	for d.pos < len(body) {
		d.line++
		d.lineStart = d.pos
		if err := d.readLine(); err != nil {
			return err
		}
		if d.line == estimateAfter {
			b.reserveRest(body, d.pos)
		}
		if err := o.checkMemory(b, d.line); err != nil {
			return err
		}
	}
	if err := d.attachCreated(); err != nil {
		return err
	}
	b.unifyCounts()
	return nil
}

// readLine reads a line and its line feed. Only the line "# EOF" may lack the line feed.
func (d *openMetricsDecoder) readLine() error {
	switch {
	case d.data[d.pos] != '#':
		return d.readSample()
	case d.take("# HELP "):
		return d.readMetadata(d.readHelp)
	case d.take("# TYPE "):
		return d.readMetadata(d.readType)
	case d.take("# UNIT "):
		return d.readMetadata(d.readUnit)
	case d.take("# EOF"):
		return d.readEnd()
	default:
		return d.fail(d.pos, `"# HELP ", "# TYPE ", "# UNIT " or "# EOF", since OpenMetrics has no other comments`)
	}
}

// readEnd requires that only a line feed follows "# EOF".
func (d *openMetricsDecoder) readEnd() error {
	if d.take("\n") {
		d.line++
		d.lineStart = d.pos
	}
	if d.pos < len(d.data) {
		return d.fail(d.pos, `nothing after "# EOF"`)
	}
	return nil
}

// readMetadata reads a metadata line: the family's name, and the rest with readText.
func (d *openMetricsDecoder) readMetadata(readText func(family int32) error) error {
	start := d.pos
	if d.at('"') {
		name, err := d.readQuotedName()
		if err != nil {
			return err
		}
		d.name, d.bareName = name, ""
	} else if d.pos = d.bareNameEnd(); d.pos > start {
		d.name = view(d.data[start:d.pos])
		d.bareName = d.name
	} else {
		return d.fail(start, "a metric name")
	}
	if !d.take(" ") {
		return d.fail(d.pos, "a space after the metric name")
	}
	if err := readText(d.declare(d.name)); err != nil {
		return err
	}
	return d.endLine()
}

func (d *openMetricsDecoder) readHelp(family int32) error {
	text, end, f := d.b.restOfLine(d.data, d.pos, false)
	switch {
	case f == escapeFault:
		return d.fail(end, "a character after the backslash")
	case !utf8.ValidString(text):
		return d.failf(d.pos, "the HELP text of %s is not valid UTF-8", quote(d.name))
	}
	d.setHelp(family, text)
	d.pos = end
	return nil
}

func (d *openMetricsDecoder) readType(family int32) error {
	end := lineEnd(d.data, d.pos)
	text := view(d.data[d.pos:end])
	for t, name := range typeNames {
		if name == text {
			d.setType(family, Type(t))
			d.pos = end
			return nil
		}
	}
	return d.fail(d.pos, "unknown, counter, gauge, histogram, gaugehistogram, summary, info or stateset")
}

func (d *openMetricsDecoder) readUnit(family int32) error {
	end := lineEnd(d.data, d.pos)
	unit := view(d.data[d.pos:end])
	rest, isSuffix := strings.CutSuffix(d.name, unit)
	if unit != "" && (!isSuffix || !strings.HasSuffix(rest, "_")) {
		return d.failf(d.pos, "the name %s does not end in an underscore and the unit %s", quote(d.name), quote(unit))
	}
	d.b.Families[family].Unit = unit
	d.pos = end
	return nil
}

// readSample reads a sample. The role of its name in the family decides how to read the part after the series.
func (d *openMetricsDecoder) readSample() error {
	start := d.pos
	d.labels, d.bare, d.expected = int32(len(d.b.Labels)), true, 0
	d.pos = d.bareNameEnd()
	d.name = view(d.data[start:d.pos])
	d.bareName, d.written = d.name, ""
	if d.take("{") {
		if done, err := d.readRepeatedPart(); done || err != nil {
			return err
		}
		opening := d.pos
		d.pos = d.b.readExpected(d.data, opening, d.before)
		d.expected = int32(len(d.b.Labels)) - d.labels
		if err := d.readLabels(d.labels, true); err != nil {
			return err
		}
		if opening > start+1 {
			d.written = view(d.data[opening : d.pos-1])
		}
	}
	if d.name == "" {
		if d.pos > start {
			return d.failf(start, "there is no metric name before or within the braces")
		}
		return d.fail(start, "a metric name")
	}
	switch r := d.enterFamily(); r {
	case valueSample:
		return d.readValueSample()
	case createdSample:
		return d.readCreatedSample()
	default:
		return d.readPart(r)
	}
}

// bareNameEnd returns the end of the unquoted metric name at the current position. Usually it is the previous line's
// name.
func (d *openMetricsDecoder) bareNameEnd() int {
	end := d.pos + len(d.bareName)
	if end < len(d.data) && nameClass[d.data[end]] == 0 && view(d.data[d.pos:end]) == d.bareName {
		return end
	}
	return metricNameEnd(d.data, d.pos)
}

// readLabels reads labels up to and including the closing brace. The labels since start are already read.
func (d *openMetricsDecoder) readLabels(start int32, ofSeries bool) error {
	for !d.take("}") {
		if err := d.readLabel(start, ofSeries); err != nil {
			return err
		}
		if !d.take(",") && !d.at('}') {
			return d.fail(d.pos, `"," or "}"`)
		}
	}
	return nil
}

// readLabel reads a label. If a series starts with the brace, its quoted metric name is among the labels.
func (d *openMetricsDecoder) readLabel(start int32, ofSeries bool) error {
	at := d.pos
	name, quoted, err := d.readLabelName()
	switch {
	case err != nil:
		return err
	case quoted && ofSeries && (d.at(',') || d.at('}')):
		if d.name != "" {
			return d.failf(at, "%s is a second metric name", quote(name))
		}
		d.name = name
		return nil
	case ofSeries && name == "__name__":
		return d.failf(at, `the label name "__name__" is reserved`)
	}
	d.bare = d.bare && !quoted
	d.b.Labels = append(d.b.Labels, LabelRef{name: d.b.ref(name)})
	if d.b.repeatedLabel(start) {
		return d.failf(at, "the label name %s occurs twice", quote(name))
	}
	if !d.take("=") {
		return d.fail(d.pos, `"=" after the label name`)
	}
	value, err := d.readLabelValue()
	d.b.Labels[len(d.b.Labels)-1].value = d.b.ref(value)
	return err
}

// readLabelName returns a label's name and whether it was quoted.
func (d *openMetricsDecoder) readLabelName() (string, bool, error) {
	start := d.pos
	if d.at('"') {
		name, err := d.readQuotedName()
		return name, true, err
	}
	d.pos = labelNameEnd(d.data, start)
	if d.pos == start {
		return "", false, d.fail(start, "a label name")
	}
	return view(d.data[start:d.pos]), false, nil
}

func (d *openMetricsDecoder) readLabelValue() (string, error) {
	start := d.pos
	if !d.at('"') {
		return "", d.fail(start, "a label value in quotes")
	}
	if end := plainEnd(d.data, start+1); end < len(d.data) && d.data[end] == '"' {
		d.pos = end + 1
		return view(d.data[start+1 : end]), nil
	}
	value, err := d.readQuoted("label value")
	if err == nil && !utf8.ValidString(value) {
		err = d.failf(start, "the label value %s is not valid UTF-8", quote(value))
	}
	return value, err
}

// readQuotedName reads a quoted metric or label name, if the options allow it.
func (d *openMetricsDecoder) readQuotedName() (string, error) {
	start := d.pos
	name, err := d.readQuoted("name")
	switch {
	case err != nil:
		return "", err
	case !d.utf8Names:
		return "", d.failf(start, "the quoted name %s needs the setting utf8_names: true", quote(name))
	case !validMetricName(name, true):
		return "", d.failf(start, "the quoted name %s is empty or not valid UTF-8", quote(name))
	}
	return name, nil
}

// readQuoted reads a quoted text. A backslash that escapes nothing stands for itself.
func (d *openMetricsDecoder) readQuoted(kind string) (string, error) {
	text, end, f := d.b.quoted(d.data, d.pos+1, false)
	if f != noFault {
		return "", d.fail(end, "the closing quote of the "+kind)
	}
	d.pos = end
	return text, nil
}

// point is the rest of a line after the series.
type point struct {
	value        float64
	token        string // the value as written
	timestampMs  int64
	hasTimestamp bool
	exemplar     int32
}

// readPoint reads a value, an optional timestamp, an optional exemplar and the line end.
func (d *openMetricsDecoder) readPoint() (p point, err error) {
	p.exemplar = NoIndex
	if p.value, p.token, err = d.readNumber("a value"); err != nil {
		return p, err
	}
	if d.at(' ') && !d.atExemplar() {
		p.hasTimestamp = true
		if p.timestampMs, err = d.readTimestamp(); err != nil {
			return p, err
		}
	}
	if d.atExemplar() {
		if p.exemplar, err = d.readExemplar(); err != nil {
			return p, err
		}
	}
	return p, d.endLine()
}

// readNumber reads a space and a number.
func (d *openMetricsDecoder) readNumber(what string) (value float64, token string, err error) {
	if !d.take(" ") {
		return 0, "", d.fail(d.pos, "a space and "+what)
	}
	start := d.pos
	value, end := readDecimal(d.data, start)
	if end == start || tokenEnd(d.data, end) != end {
		end = tokenEnd(d.data, start)
		if value, err = parseOther(view(d.data[start:end])); err != nil {
			return 0, "", d.fail(start, what)
		}
	}
	d.pos = end
	return value, view(d.data[start:end]), nil
}

// readTimestamp reads a timestamp in seconds. It truncates to milliseconds as Prometheus does, including the rounding of
// the product, so that samples are the same.
func (d *openMetricsDecoder) readTimestamp() (ms int64, err error) {
	start := d.pos
	seconds, token, err := d.readNumber("a timestamp or an exemplar")
	if err != nil {
		return 0, err
	}
	product := seconds * 1000
	if math.IsNaN(product) || product < math.MinInt64 || product >= -math.MinInt64 {
		return 0, d.failf(start+1, "the timestamp %s is not a valid time in seconds", quote(token))
	}
	return int64(product), nil
}

func (d *openMetricsDecoder) atExemplar() bool {
	return len(d.data)-d.pos >= len(exemplarStart) && view(d.data[d.pos:d.pos+len(exemplarStart)]) == exemplarStart
}

// readExemplar reads an exemplar and returns its index.
func (d *openMetricsDecoder) readExemplar() (int32, error) {
	d.pos += len(exemplarStart)
	e := Exemplar{Next: NoIndex}
	e.Labels.Start = int32(len(d.b.Labels))
	err := d.readLabels(e.Labels.Start, false)
	e.Labels.End = int32(len(d.b.Labels))
	if err != nil {
		return NoIndex, err
	}
	if e.Value, _, err = d.readNumber("the value of the exemplar"); err != nil {
		return NoIndex, err
	}
	if start := d.pos; d.at(' ') {
		_, token, err := d.readNumber("the timestamp of the exemplar")
		if err != nil {
			return NoIndex, err
		}
		if e.TimestampNs, e.HasTimestamp = secondsToNanos(token); !e.HasTimestamp {
			return NoIndex, d.failf(start+1, "the timestamp %s is not a valid time in seconds", quote(token))
		}
	}
	d.b.Exemplars = append(d.b.Exemplars, e)
	return int32(len(d.b.Exemplars) - 1), nil
}

// endLine consumes the line feed, which the last line must have too.
func (d *openMetricsDecoder) endLine() error {
	if !d.take("\n") {
		return d.fail(d.pos, "the end of the line")
	}
	return nil
}

// at reports whether the next byte is c.
func (d *openMetricsDecoder) at(c byte) bool { return d.pos < len(d.data) && d.data[d.pos] == c }

// take consumes the text if it comes next.
func (d *openMetricsDecoder) take(text string) bool {
	end := d.pos + len(text)
	if end > len(d.data) || view(d.data[d.pos:end]) != text {
		return false
	}
	d.pos = end
	return true
}

// fail returns the error for a missing token at the given position.
func (d *openMetricsDecoder) fail(at int, expected string) error {
	rest := d.data[at:lineEnd(d.data, at)]
	switch {
	case at == len(d.data):
		return d.failf(at, "expected %s, found the end of the body", expected)
	case len(rest) == 0:
		return d.failf(at, "expected %s, found the end of the line", expected)
	case bytes.HasSuffix(rest, []byte{'\r'}) && len(rest) <= maxQuoted:
		return d.failf(at, "expected %s, found %s (lines end with a line feed alone)", expected, quote(view(rest)))
	default:
		return d.failf(at, "expected %s, found %s", expected, quote(view(rest)))
	}
}

// failf returns the error for a fault at the given position of the line.
func (d *openMetricsDecoder) failf(at int, format string, args ...any) error {
	return &ParseError{OpenMetrics, d.line, at - d.lineStart + 1, fmt.Sprintf(format, args...)}
}

// maxQuoted is the number of bytes that an error quotes.
const maxQuoted = 40

// quote quotes a text for an error and truncates a long one.
func quote(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%q...", text[:maxQuoted])
	}
	return fmt.Sprintf("%q", text)
}
