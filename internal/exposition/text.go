// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"fmt"
	"math"
	"strings"
)

// textDecoder accepts and refuses the same bodies as expfmt's TextParser (prometheus/common v0.73.1), with the same
// message and line. Unusual rules and the order of checks are expfmt's.
//
// One case differs. After a line of another family, expfmt assigns a line such as {"h_bucket",le="1"} 2 to the last
// histogram or summary line, or panics if there is none. This decoder keeps the line's own labels and value. As in
// expfmt, labels before the name are judged by the previously named family.
type textDecoder struct {
	b         *Batch
	data      []byte
	pos       int
	utf8Names bool

	line      int // 1-based
	lineStart int // its offset

	// The family of the last sample or comment.
	name     string // as written
	bareName string // the name if unquoted, else empty
	family   int32  // NoIndex before the first
	part     part   // role of the name in the family
	boundary string // structural label: "le", "quantile" or empty

	labels    int32      // index of the line's first label
	bound     float64    // value of the boundary label, or NaN
	bare      bool       // no label name has a quoted part
	before    Range      // labels of the previous line if its bare was true: the expected names
	expected  int32      // number of labels read by readExpected
	lastMulti int32      // the last histogram or summary series, or NoIndex
	cached    labelCache // labels of lastMulti

	boundaries int    // number of boundary labels in the line
	boundText  string // value of the last boundary label, as written
}

// part is the role of a sample name in its family.
type part uint8

const (
	whole part = iota // everything else
	count             // the count of a histogram or summary
	sum               // the sum of a histogram or summary
)

// decodeText reads the text format 0.0.4 and, if enabled, the quoted names of 1.0.0.
func decodeText(b *Batch, body []byte, o Options) error {
	b.ValidValues = true
	d := textDecoder{b: b, data: body, utf8Names: o.UTF8Names, family: NoIndex, lastMulti: NoIndex}
	for {
		more, err := d.readLine()
		if d.line == estimateAfter {
			b.reserveRest(body, d.pos)
		}
		if err == nil {
			err = o.checkMemory(b, d.line)
		}
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	b.unifyCounts()
	return nil
}

// readLine reads the next line. It returns false at the end of the body.
func (d *textDecoder) readLine() (bool, error) {
	d.line++
	d.lineStart = d.pos
	d.pos = skipBlanks(d.data, d.pos)
	if d.pos == len(d.data) {
		return false, nil
	}
	switch d.data[d.pos] {
	case '\n':
		d.pos++
		return true, nil
	case '#':
		return true, d.readComment()
	default:
		return true, d.readSample()
	}
}

// readComment reads a line that starts with #.
func (d *textDecoder) readComment() error {
	d.pos = skipBlanks(d.data, d.pos+1)
	start := d.pos
	d.pos = tokenEnd(d.data, d.pos)
	keyword := view(d.data[start:d.pos])
	if keyword != "HELP" && keyword != "TYPE" {
		d.pos = lineEnd(d.data, d.pos)
		return d.endLine()
	}
	d.pos = skipBlanks(d.data, d.pos)
	if done, err := d.readCommentName(); done || err != nil {
		return err
	}
	d.pos = skipBlanks(d.data, d.pos)
	switch {
	case d.atLineEnd():
		return d.endLine()
	case keyword == "HELP":
		return d.readHelp()
	default:
		return d.readType()
	}
}

// readCommentName reads the name in a HELP or TYPE line. It returns true if the line ends there, which is valid.
func (d *textDecoder) readCommentName() (bool, error) {
	start := d.pos
	end := start + len(d.bareName)
	if !d.repeatsName() { // TYPE usually follows HELP.
		end = metricNameEnd(d.data, start)
	}
	name, bare, err := d.readName(end, "metric")
	switch {
	case err != nil:
		return true, err
	case d.atLineEnd():
		return true, d.endLine()
	case d.data[d.pos] != ' ' && d.data[d.pos] != '\t':
		return true, d.fail(start, "invalid metric name in comment")
	default:
		return false, d.enterFamily(start, name, bare)
	}
}

// readHelp reads the rest of a HELP line.
func (d *textDecoder) readHelp() error {
	f := &d.b.Families[d.family]
	if f.Help != "" {
		return d.fail(d.pos, "second HELP line for metric name %q", f.Name)
	}
	text, end, fault := d.b.restOfLine(d.data, d.pos, true)
	d.pos = end
	if fault == escapeFault {
		return d.failEscape()
	}
	f.Help = text
	return d.endLine()
}

// readType reads the rest of a TYPE line.
func (d *textDecoder) readType() error {
	f := &d.b.Families[d.family]
	if f.typed {
		return d.fail(d.pos, "second TYPE line for metric name %q, or TYPE reported after samples", f.Name)
	}
	start := d.pos
	d.pos = lineEnd(d.data, d.pos)
	if d.pos == len(d.data) {
		return d.failEnd()
	}
	name := withoutBackslashes(view(d.data[start:d.pos]))
	t, ok := textType(name)
	if !ok {
		return d.fail(start, "unknown metric type %q", name)
	}
	f.Type, f.typed = t, true
	d.setBoundary()
	return d.endLine()
}

// withoutBackslashes drops backslashes, as expfmt does where it expects no escapes.
func withoutBackslashes(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	return strings.ReplaceAll(text, `\`, "")
}

// textTypes lists the type names, including both spellings of gauge histograms.
var textTypes = []struct {
	lower, upper string
	t            Type
}{
	{"counter", "COUNTER", Counter},
	{"gauge", "GAUGE", Gauge},
	{"histogram", "HISTOGRAM", Histogram},
	{"summary", "SUMMARY", Summary},
	{"untyped", "UNTYPED", Untyped},
	{"gaugehistogram", "GAUGEHISTOGRAM", GaugeHistogram},
	{"gauge_histogram", "GAUGE_HISTOGRAM", GaugeHistogram},
}

// textType returns the type of that name in any case.
func textType(name string) (Type, bool) {
	for _, known := range textTypes {
		if name == known.lower {
			return known.t, true
		}
	}
	name = strings.ToUpper(name)
	for _, known := range textTypes {
		if name == known.upper {
			return known.t, true
		}
	}
	return Untyped, false
}

// boundaryLabel returns the structural label of a type, which is not part of the label set.
func boundaryLabel(t Type) string {
	switch t {
	case Summary:
		return "quantile"
	case Histogram, GaugeHistogram:
		return "le"
	default:
		return ""
	}
}

// readName reads a metric or label name that is unquoted up to bareEnd; a quoted part may follow. It returns the name,
// empty if there is none, and whether it has no quoted part.
func (d *textDecoder) readName(bareEnd int, kind string) (string, bool, error) {
	name := d.data[d.pos:bareEnd]
	d.pos = bareEnd
	if bareEnd == len(d.data) {
		return "", false, d.failEnd()
	}
	if d.data[bareEnd] != '"' {
		return view(name), true, nil
	}
	text, end, fault := d.b.quoted(d.data, bareEnd+1, true)
	if len(name) > 0 {
		text = d.b.concatenate(view(name), text)
	}
	d.pos = end
	switch {
	case fault == newlineFault:
		return "", false, d.fail(end, "%s name %q contains unescaped new-line", kind, text)
	case fault == escapeFault:
		return "", false, d.failEscape()
	case end == len(d.data):
		return "", false, d.failEnd()
	}
	return text, false, nil
}

// enterFamily makes the family for a sample name the current one, and adds it if needed.
func (d *textDecoder) enterFamily(at int, name string, bare bool) error {
	d.bareName = ""
	if bare {
		d.bareName = name
	}
	if name == d.name && d.family != NoIndex {
		return nil
	}
	if !bare && !validMetricName(name, d.utf8Names) {
		return d.fail(at, "invalid metric name %q", name)
	}
	d.name = name
	d.family, d.part = d.findFamily(name)
	if d.family == NoIndex {
		d.family = d.b.addFamily(name, Untyped)
	}
	d.setBoundary()
	return nil
}

// setBoundary updates the structural label. It clears the expected names if the label changes.
func (d *textDecoder) setBoundary() {
	if boundary := boundaryLabel(d.b.Families[d.family].Type); boundary != d.boundary {
		d.boundary = boundary
		d.before = Range{}
		d.bound = math.NaN()
	}
}

// findFamily returns the family of that name, or the histogram or summary that it is a part of.
func (d *textDecoder) findFamily(name string) (int32, part) {
	if family, ok := d.b.family(name); ok {
		return family, whole
	}
	base, p := name, whole
	if n, ok := strings.CutSuffix(name, "_count"); ok {
		base, p = n, count
	} else if n, ok := strings.CutSuffix(name, "_sum"); ok {
		base, p = n, sum
	} else if n, ok := strings.CutSuffix(name, "_bucket"); ok {
		base = n
	}
	family, ok := d.family, true
	if d.family == NoIndex || d.b.Families[d.family].Name != base { // Lines of a histogram usually follow each other.
		family, ok = d.b.family(base)
	}
	if !ok {
		return NoIndex, whole
	}
	switch d.b.Families[family].Type {
	case Histogram, GaugeHistogram:
		return family, p
	case Summary:
		if p != whole {
			return family, p
		}
	}
	return NoIndex, whole
}

// atLineEnd reports whether the line or body ends here.
func (d *textDecoder) atLineEnd() bool { return d.pos == len(d.data) || d.data[d.pos] == '\n' }

// endLine consumes the line feed, which the last line must have too.
func (d *textDecoder) endLine() error {
	if d.pos == len(d.data) {
		return d.failEnd()
	}
	d.pos++
	return nil
}

// familyName returns the current family's name, or "".
func (d *textDecoder) familyName() string {
	if d.family == NoIndex {
		return ""
	}
	return d.b.Families[d.family].Name
}

// fail returns the error for a fault. At the end of the body it is failEnd's.
func (d *textDecoder) fail(at int, format string, args ...any) error {
	if at == len(d.data) {
		return d.failEnd()
	}
	return d.parseError(at, fmt.Sprintf(format, args...))
}

// failEscape returns the error for an escape whose second byte is the current one.
func (d *textDecoder) failEscape() error {
	return d.parseError(d.pos-1, fmt.Sprintf(`invalid escape sequence '\%c'`, d.data[d.pos]))
}

// failEnd returns the error for a body that ends within a line.
func (d *textDecoder) failEnd() error {
	return d.parseError(len(d.data), "unexpected end of input stream")
}

func (d *textDecoder) parseError(at int, msg string) error {
	return &ParseError{Format: Text, Line: d.line, Column: at - d.lineStart + 1, Msg: msg}
}
