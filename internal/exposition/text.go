// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"fmt"
	"math"
	"strings"
)

// textDecoder reads the text format as expfmt's TextParser (prometheus/common v0.73.1) does: it takes and refuses the
// same bodies with the same message for the same line, so what looks odd here is so there. Where several rules are
// broken, the order in which they are checked decides which one is named.
//
// One thing differs. After a line of another family, expfmt mixes a line such as {"h_bucket",le="1"} 2 up with the last
// histogram or summary line before it, or panics if there was none. Here its labels and its value are its own. (Labels
// that stand before the name are still judged, as in expfmt, by the family that was named last.)
type textDecoder struct {
	b         *Batch
	data      []byte
	pos       int
	utf8Names bool

	line      int // 1-based
	lineStart int // its position

	// The family that was named last, by a sample or in a comment.
	name     string // as it was written there
	bareName string // the same if it was written without quotes, else empty
	family   int32  // None before the first
	part     part   // what the samples of that name are in the family
	boundary string // the label that is structure there: "le", "quantile" or none

	labels    int32   // where the labels of the current line start
	bound     float64 // value of its boundary label; NaN without
	bare      bool    // no label name of it has a quoted part
	before    Range   // the labels of the line before if that was true there: the names to expect
	expected  int32   // number of labels that were read as expected
	lastMulti int32   // the histogram or summary series read last; None before the first
	repeat    repeat  // of lastMulti

	boundaries int    // number of boundary labels of the current line
	boundText  string // value of the last one of them, as it was written
}

// part is what the samples of one name are in their family.
type part uint8

const (
	whole part = iota // everything but the following
	count             // the count of a histogram or summary
	sum               // the sum of a histogram or summary
)

// decodeText reads the text format 0.0.4, with quoted names as in 1.0.0 if the options say so.
func decodeText(b *Batch, body []byte, o Options) error {
	b.ValidValues = true
	d := textDecoder{b: b, data: body, utf8Names: o.UTF8Names, family: None, lastMulti: None}
	for {
		more, err := d.readLine()
		if d.line == expectAfter {
			b.expect(body, d.pos)
		}
		if err == nil {
			err = o.weigh(b, d.line)
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

// readLine reads the next line. It returns false if there is none but blanks.
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

// readComment reads a line that starts with #: HELP, TYPE or anything else.
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

// readCommentName reads the metric name in a HELP or TYPE line. It returns true if the line ends there, as it may.
func (d *textDecoder) readCommentName() (bool, error) {
	start := d.pos
	end := start + len(d.bareName)
	if !d.repeatsName() { // The TYPE line mostly follows the HELP line.
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

// withoutBackslashes is what expfmt reads where it expects no escapes.
func withoutBackslashes(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	return strings.ReplaceAll(text, `\`, "")
}

// textTypes holds the types of the text format by name, and the two ways in which gauge histograms are tolerated.
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

// textType returns the type of that name, in any mixture of upper and lower case.
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

// boundaryLabel is the label that is structure in a family of that type, not part of the label set.
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

// readName reads a metric or label name of which the part up to bareEnd needs no quotes; a quoted part that ends the name
// may follow. It returns the name, which is empty if none starts here, and whether it has no quoted part.
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

// enterFamily makes the family that samples of that name belong to the current one. It is created if there is none.
func (d *textDecoder) enterFamily(at int, name string, bare bool) error {
	d.bareName = ""
	if bare {
		d.bareName = name
	}
	if name == d.name && d.family != None {
		return nil
	}
	if !bare && !validMetricName(name, d.utf8Names) {
		return d.fail(at, "invalid metric name %q", name)
	}
	d.name = name
	d.family, d.part = d.findFamily(name)
	if d.family == None {
		d.family = d.b.addFamily(name, Untyped)
	}
	d.setBoundary()
	return nil
}

// setBoundary makes the label that is structure in the current family the one to look for. It may have been an ordinary
// one in the line before, whose names are therefore no longer expected.
func (d *textDecoder) setBoundary() {
	if boundary := boundaryLabel(d.b.Families[d.family].Type); boundary != d.boundary {
		d.boundary = boundary
		d.before = Range{}
		d.bound = math.NaN()
	}
}

// findFamily returns the family of that name or, failing that, the histogram or summary of which the name is a part.
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
	if d.family == None || d.b.Families[d.family].Name != base { // The lines of a histogram mostly follow each other.
		family, ok = d.b.family(base)
	}
	if !ok {
		return None, whole
	}
	switch d.b.Families[family].Type {
	case Histogram, GaugeHistogram:
		return family, p
	case Summary:
		if p != whole {
			return family, p
		}
	}
	return None, whole
}

// atLineEnd tells whether the line or the body ends here.
func (d *textDecoder) atLineEnd() bool { return d.pos == len(d.data) || d.data[d.pos] == '\n' }

// endLine passes over the line feed that even the last line must end with.
func (d *textDecoder) endLine() error {
	if d.pos == len(d.data) {
		return d.failEnd()
	}
	d.pos++
	return nil
}

// familyName is the name of the current family, empty if there is none yet.
func (d *textDecoder) familyName() string {
	if d.family == None {
		return ""
	}
	return d.b.Families[d.family].Name
}

// fail makes the error for a fault at the given position. A body that ends there is said to have ended too soon.
func (d *textDecoder) fail(at int, format string, args ...any) error {
	if at == len(d.data) {
		return d.failEnd()
	}
	return d.parseError(at, fmt.Sprintf(format, args...))
}

// failEscape makes the error for an escape whose second byte is at the current position.
func (d *textDecoder) failEscape() error {
	return d.parseError(d.pos-1, fmt.Sprintf(`invalid escape sequence '\%c'`, d.data[d.pos]))
}

// failEnd makes the error for a body that ends in the middle of a line.
func (d *textDecoder) failEnd() error {
	return d.parseError(len(d.data), "unexpected end of input stream")
}

func (d *textDecoder) parseError(at int, msg string) error {
	return &ParseError{Format: Text, Line: d.line, Column: at - d.lineStart + 1, Msg: msg}
}
