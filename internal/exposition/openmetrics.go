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

// openMetricsDecoder reads OpenMetrics text as its specification 1.0 (section "Text format") and Prometheus' parser
// (v0.315.0, model/textparse) agree. Where these two differ, or one of them cannot be followed, it holds that:
//
//	missing "# EOF"                   taken if the last line is complete: client_golang's pushes have none
//	comma after the last label        taken, as by Prometheus
//	metadata late, repeated or        taken, as by Prometheus; the last line counts, and another TYPE after samples
//	between other families            begins a new family of that name
//	samples of one family apart       taken, as by Prometheus
//	counter or info without suffix    taken, as by Prometheus: that is how metrics named for the text format come
//	values of info and stateset       any, as for Prometheus
//	exemplars of other samples        kept with the series
//	names and HELP                    valid UTF-8 and within their line; HELP does not end in a single backslash
//	labels                            __name__ and repeated names are refused, as when Prometheus scrapes
//	timestamps, created timestamps    refused beyond what milliseconds and nanoseconds in 64 bits hold
//	parts of histograms and summaries refused if OTLP could not hold them: see openmetrics_sample.go
//
// What belongs to which family, and to which series of it, is in openmetrics_sample.go; here are lines and tokens.
type openMetricsDecoder struct {
	b         *Batch
	data      []byte
	pos       int
	utf8Names bool

	line      int // 1-based
	lineStart int // its position

	// The family that metadata or a sample named last, and the one its counter or info samples are in, which the
	// suffix makes another.
	declared int32 // None before the first
	samples  int32

	name      string // metric name of the line
	lastName  string // metric name of the last sample, empty after metadata
	lastRole  role
	bareName  string // metric name of the last line if it was written without quotes, else empty
	lastMulti int32  // the histogram or summary series read last; None before the first
	repeat    repeat // of lastMulti
	labels    int32  // where the labels of the line start
	bare      bool   // no label name of it is quoted
	before    Range  // the labels of the last series if that was true there: the names to expect
	expected  int32  // number of labels that were read as expected
	written   string // what stands between the braces of the line, if its name stands before them

	// The family that a HELP line came for after its samples, and the text that it had before.
	redescribed int32 // None before the first
	formerHelp  string
}

// exemplarStart begins an exemplar.
const exemplarStart = " # {"

// decodeOpenMetrics reads OpenMetrics 1.0 text.
func decodeOpenMetrics(b *Batch, body []byte, o Options) error {
	b.OnlyPushed, b.ValidValues = true, true
	d := openMetricsDecoder{
		b: b, data: body, utf8Names: o.UTF8Names, declared: None, samples: None, lastMulti: None, redescribed: None,
	}
	for d.pos < len(body) {
		d.line++
		d.lineStart = d.pos
		if err := d.readLine(); err != nil {
			return err
		}
		if d.line == expectAfter {
			b.expect(body, d.pos)
		}
		if err := o.weigh(b, d.line); err != nil {
			return err
		}
	}
	if err := d.attachCreated(); err != nil {
		return err
	}
	b.unifyCounts()
	return nil
}

// readLine reads a line with its line feed, which only the last one may lack, if it is "# EOF".
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

// readEnd makes sure that nothing but a line feed follows "# EOF".
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

// readMetadata reads the name that a metadata line is about and then, with the given function, what it says.
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

// readSample reads a line with a sample: its series here, the rest depending on the role of its name in its family.
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

// bareNameEnd returns where the unquoted metric name at the current position ends. It mostly is that of the line before.
func (d *openMetricsDecoder) bareNameEnd() int {
	end := d.pos + len(d.bareName)
	if end < len(d.data) && nameClass[d.data[end]] == 0 && view(d.data[d.pos:end]) == d.bareName {
		return end
	}
	return metricNameEnd(d.data, d.pos)
}

// readLabels reads the labels of a series or exemplar up to and including the closing brace. Those from start on have been
// read already.
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

// readLabel reads a label. Among the labels of a series that starts with the brace, the quoted metric name stands, too.
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
		return d.failf(at, "the label name %s stands twice", quote(name))
	}
	if !d.take("=") {
		return d.fail(d.pos, `"=" after the label name`)
	}
	value, err := d.readLabelValue()
	d.b.Labels[len(d.b.Labels)-1].value = d.b.ref(value)
	return err
}

// readLabelName reads the name of a label and tells whether it was quoted.
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

// readQuotedName reads a metric or label name in quotes, if the options admit it.
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

// readQuoted reads a text from its opening to its closing quote. A backslash before anything but a backslash, a quote or
// an n stands for itself.
func (d *openMetricsDecoder) readQuoted(kind string) (string, error) {
	text, end, f := d.b.quoted(d.data, d.pos+1, false)
	if f != noFault {
		return "", d.fail(end, "the closing quote of the "+kind)
	}
	d.pos = end
	return text, nil
}

// point is what follows the series in a sample's line.
type point struct {
	value        float64
	token        string // the value as it was written
	timestampMs  int64
	hasTimestamp bool
	exemplar     int32
}

// readPoint reads a value, a timestamp and an exemplar, both optional, and the end of the line.
func (d *openMetricsDecoder) readPoint() (p point, err error) {
	p.exemplar = None
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

// readTimestamp reads a timestamp in seconds. Prometheus cuts what is less than a millisecond off the product, so a few
// decimal fractions come out a millisecond early; it is the same here so that the samples are the same.
func (d *openMetricsDecoder) readTimestamp() (ms int64, err error) {
	start := d.pos
	seconds, token, err := d.readNumber("a timestamp or an exemplar")
	if err != nil {
		return 0, err
	}
	product := seconds * 1000
	if math.IsNaN(product) || product < math.MinInt64 || product >= -math.MinInt64 {
		return 0, d.failf(start+1, "the timestamp %s is no time in seconds", quote(token))
	}
	return int64(product), nil
}

func (d *openMetricsDecoder) atExemplar() bool {
	return len(d.data)-d.pos >= len(exemplarStart) && view(d.data[d.pos:d.pos+len(exemplarStart)]) == exemplarStart
}

// readExemplar reads an exemplar and returns its index.
func (d *openMetricsDecoder) readExemplar() (int32, error) {
	d.pos += len(exemplarStart)
	e := Exemplar{Next: None}
	e.Labels.Start = int32(len(d.b.Labels))
	err := d.readLabels(e.Labels.Start, false)
	e.Labels.End = int32(len(d.b.Labels))
	if err != nil {
		return None, err
	}
	if e.Value, _, err = d.readNumber("the value of the exemplar"); err != nil {
		return None, err
	}
	if start := d.pos; d.at(' ') {
		_, token, err := d.readNumber("the timestamp of the exemplar")
		if err != nil {
			return None, err
		}
		if e.TimestampNs, e.HasTimestamp = secondsToNanos(token); !e.HasTimestamp {
			return None, d.failf(start+1, "the timestamp %s is no time in seconds", quote(token))
		}
	}
	d.b.Exemplars = append(d.b.Exemplars, e)
	return int32(len(d.b.Exemplars) - 1), nil
}

// endLine passes over the line feed that even the last line must end with.
func (d *openMetricsDecoder) endLine() error {
	if !d.take("\n") {
		return d.fail(d.pos, "the end of the line")
	}
	return nil
}

// at tells whether the next byte is c.
func (d *openMetricsDecoder) at(c byte) bool { return d.pos < len(d.data) && d.data[d.pos] == c }

// take passes over the text if it comes next.
func (d *openMetricsDecoder) take(text string) bool {
	end := d.pos + len(text)
	if end > len(d.data) || view(d.data[d.pos:end]) != text {
		return false
	}
	d.pos = end
	return true
}

// fail makes the error for something that was expected at the given position but is not there.
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

// failf makes the error for a fault at the given position of the current line.
func (d *openMetricsDecoder) failf(at int, format string, args ...any) error {
	return &ParseError{OpenMetrics, d.line, at - d.lineStart + 1, fmt.Sprintf(format, args...)}
}

// maxQuoted is the number of bytes of a body that an error quotes.
const maxQuoted = 40

// quote quotes a text for an error, cut if it is long.
func quote(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%q...", text[:maxQuoted])
	}
	return fmt.Sprintf("%q", text)
}
