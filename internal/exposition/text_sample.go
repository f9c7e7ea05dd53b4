// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// readSample reads a line with a sample: name{labels} value timestamp, or {name,labels} value timestamp.
func (d *textDecoder) readSample() error {
	d.labels = int32(len(d.b.Labels))
	d.bare, d.expected = true, 0
	d.bound = math.NaN()
	named := d.data[d.pos] != '{'
	if named {
		if err := d.readSampleName(); err != nil {
			return err
		}
		d.pos = skipBlanks(d.data, d.pos)
	}
	if d.pos < len(d.data) && d.data[d.pos] == '{' {
		d.pos++
		if named && d.repeatsLabels() {
			return d.readValue(d.lastMulti)
		}
		if err := d.readLabels(named); err != nil {
			return err
		}
	} else if d.boundary != "" {
		d.cached.known = false
	}
	return d.readValue(d.enterSeries())
}

// repeatsLabels reads labels that equal lastMulti's bytes. It returns false and reads nothing if they may differ.
func (d *textDecoder) repeatsLabels() bool {
	if d.boundary == "" || d.lastMulti == NoIndex || d.b.Series[d.lastMulti].family != d.family {
		return false
	}
	bound, end, ok := d.cached.read(d.data, d.pos, d.boundary)
	if ok {
		d.bound, d.pos = bound, skipBlanks(d.data, end)
	}
	return ok
}

// noteLabels caches how the line's labels are written, if that is usual.
func (d *textDecoder) noteLabels(text []byte, usual bool) {
	boundary := ""
	if d.boundaries > 0 {
		boundary = d.boundary
	}
	d.cached.note(view(text), boundary, d.boundText)
	d.cached.known = d.cached.known && usual && d.bare && d.boundaries <= 1
}

// readSampleName reads the metric name at the start of a line.
func (d *textDecoder) readSampleName() error {
	if d.repeatsName() {
		d.pos += len(d.bareName)
	} else {
		start := d.pos
		name, bare, err := d.readName(metricNameEnd(d.data, start), "metric")
		if err != nil {
			return err
		}
		if name == "" {
			return d.fail(start, "invalid metric name")
		}
		if err := d.enterFamily(start, name, bare); err != nil {
			return err
		}
	}
	d.b.Families[d.family].typed = true
	return nil
}

// repeatsName reports whether the line starts with the last name, as most lines do.
func (d *textDecoder) repeatsName() bool {
	n := len(d.bareName)
	rest := d.data[d.pos:]
	return n > 0 && n < len(rest) && nameClass[rest[n]] == 0 && rest[n] != '"' && view(rest[:n]) == d.bareName
}

// readLabels reads from after the opening brace up to the value. A line without a name has it among the labels.
func (d *textDecoder) readLabels(named bool) error {
	nameInBraces, opening := !named, d.pos
	d.boundaries, d.boundText = 0, ""
	d.pos = d.b.readExpected(d.data, d.pos, d.before)
	d.expected = int32(len(d.b.Labels)) - d.labels
	for {
		d.pos = skipBlanks(d.data, d.pos)
		if d.pos < len(d.data) && d.data[d.pos] == '}' {
			return d.endLabels(opening, named, nameInBraces)
		}
		start := d.pos
		name, bare, err := d.readName(labelNameEnd(d.data, start), "label")
		if err != nil {
			return err
		}
		if name == "" {
			return d.fail(start, "invalid label name for metric %q", d.familyName())
		}
		d.pos = skipBlanks(d.data, d.pos)
		switch {
		case d.pos == len(d.data):
			return d.failEnd()
		case d.data[d.pos] == '=':
			err = d.readLabel(start, name, bare)
		case !nameInBraces:
			err = d.fail(d.pos, "expected '=' after label name, found %q", d.data[d.pos])
		case named:
			err = d.fail(start, "multiple metric names for metric %q", d.familyName())
		default:
			named = true
			err = d.enterFamilyInBraces(start, name, bare)
		}
		if err != nil {
			return err
		}
	}
}

// endLabels consumes the closing brace and the blanks after it.
func (d *textDecoder) endLabels(opening int, named, nameInBraces bool) error {
	if !named {
		return d.fail(d.pos, "invalid metric name")
	}
	if d.boundary != "" {
		d.noteLabels(d.data[opening:d.pos], !nameInBraces)
	}
	d.pos = skipBlanks(d.data, d.pos+1)
	return nil
}

// enterFamilyInBraces is enterFamily for a name among the labels.
func (d *textDecoder) enterFamilyInBraces(at int, name string, bare bool) error {
	switch c := d.data[d.pos]; c {
	case ',':
		d.pos++
	case '}':
	default:
		return d.fail(d.pos, "unexpected end of metric name %q", c)
	}
	if err := d.enterFamily(at, name, bare); err != nil {
		return err
	}
	d.b.Families[d.family].typed = true
	return nil
}

// readLabel reads a label from its = up to the comma or closing brace.
func (d *textDecoder) readLabel(at int, name string, bare bool) error {
	if name == "__name__" {
		return d.fail(at, "label name %q is reserved", name)
	}
	if !bare && !validLabelName(name, d.utf8Names) {
		return d.fail(at, "invalid label name %q", name)
	}
	if name == d.boundary {
		return d.readBoundaryLabel(name)
	}
	d.bare = d.bare && bare
	d.b.Labels = append(d.b.Labels, LabelRef{name: d.b.ref(name)})
	if d.b.repeatedLabel(d.labels) {
		return d.fail(at, "duplicate label names for metric %q", d.familyName())
	}
	value, err := d.readLabelValue()
	if err != nil {
		return err
	}
	d.b.Labels[len(d.b.Labels)-1].value = d.b.ref(value)
	return d.endLabel(value)
}

// readBoundaryLabel is readLabel for the structural label.
func (d *textDecoder) readBoundaryLabel(name string) error {
	start := d.pos + 1
	value, err := d.readLabelValue()
	if err != nil {
		return err
	}
	if d.bound, err = parseFloat(value); err != nil {
		return d.fail(start, "expected float as value for '%s' label, got %q", name, value)
	}
	d.boundaries++
	d.boundText = value
	return d.endLabel(value)
}

// endLabel consumes the comma after a label's value or stops at the closing brace.
func (d *textDecoder) endLabel(value string) error {
	d.pos = skipBlanks(d.data, d.pos)
	switch {
	case d.pos < len(d.data) && d.data[d.pos] == ',':
		d.pos++
		return nil
	case d.pos < len(d.data) && d.data[d.pos] == '}':
		return nil
	default:
		return d.fail(d.pos, "unexpected end of label value %q", value)
	}
}

// readLabelValue reads the = and the quoted value.
func (d *textDecoder) readLabelValue() (string, error) {
	d.pos = skipBlanks(d.data, d.pos+1)
	if d.pos == len(d.data) {
		return "", d.failEnd()
	}
	if c := d.data[d.pos]; c != '"' {
		return "", d.fail(d.pos, "expected '\"' at start of label value, found %q", c)
	}
	start := d.pos
	if end := plainEnd(d.data, start+1); end < len(d.data) && d.data[end] == '"' {
		d.pos = end + 1
		return view(d.data[start+1 : end]), nil
	}
	value, end, fault := d.b.quoted(d.data, start+1, true)
	d.pos = end
	switch {
	case fault == endFault:
		return "", d.failEnd()
	case fault == newlineFault:
		return "", d.fail(end, "label value %q contains unescaped new-line", value)
	case fault == escapeFault:
		return "", d.failEscape()
	case !utf8.ValidString(value):
		return "", d.fail(start, "invalid label value %q", value)
	}
	return value, nil
}

// readValue reads the value and the optional timestamp into the series.
func (d *textDecoder) readValue(series int32) error {
	d.before = expected(d.b.Series[series].Labels, d.bare)
	start := d.pos
	var err error
	value, end := readDecimal(d.data, start)
	if end == start || tokenEnd(d.data, end) != end {
		end = tokenEnd(d.data, start)
		value, err = parseOther(view(d.data[start:end]))
	}
	d.pos = end
	switch {
	case end == len(d.data):
		return d.failEnd()
	case err != nil:
		return d.fail(start, "expected float as value, got %q", d.data[start:end])
	}
	s := &d.b.Series[series]
	switch d.boundary {
	case "":
		s.Value = value
	case "quantile":
		d.storeInSummary(s.ValueIndex, value)
	default:
		err = d.storeInHistogram(start, s.ValueIndex, value)
	}
	switch {
	case err != nil:
		return err
	case d.data[d.pos] == '\n':
		return d.endLine()
	default:
		return d.readTimestamp(s)
	}
}

// enterSeries returns the sample's series. It adds one unless the sample continues a histogram or summary.
func (d *textDecoder) enterSeries() int32 {
	if d.boundary != "" {
		if found := d.b.findSeries(d.family, d.labels, d.lastMulti); found != NoIndex {
			d.lastMulti = found
			return found
		}
		d.lastMulti = int32(len(d.b.Series))
	}
	i := d.b.addSeries(d.family)
	d.b.setLabels(i, Range{d.labels, int32(len(d.b.Labels))}, d.before, d.expected)
	d.b.Series[i].Line = int32(d.line)
	switch d.boundary {
	case "":
	case "quantile":
		d.b.addSummary(i)
	default:
		d.b.addHistogram(i)
	}
	return i
}

// storeInSummary stores a value. One that is no count, sum or quantile is dropped.
func (d *textDecoder) storeInSummary(summary int32, value float64) {
	s := &d.b.Summaries[summary]
	switch {
	case d.part == count:
		s.Count, s.HasCount = uint64(value), true
	case d.part == sum:
		s.Sum, s.HasSum = value, true
	case !math.IsNaN(d.bound):
		d.b.addQuantile(summary, d.bound, value)
	}
}

// storeInHistogram stores a value. One that is no count, sum or bucket is dropped.
func (d *textDecoder) storeInHistogram(at int, histogram int32, value float64) error {
	h := &d.b.Histograms[histogram]
	n := uint64(value)
	isWhole := value == float64(n)
	switch {
	case d.part == sum:
		h.Sum, h.HasSum = value, true
	case d.part == whole && math.IsNaN(d.bound):
	case !isWhole && value < 0 && d.part == count:
		return d.fail(at, "negative count for histogram %q", d.familyName())
	case !isWhole && value < 0:
		return d.fail(at, "negative bucket population for histogram %q", d.familyName())
	case d.part == count && isWhole:
		h.Count, h.HasCount = n, true
	case d.part == count:
		h.CountFloat, h.HasCount = value, true
		d.b.scratch.floatCounts = true
	case isWhole:
		u := d.b.addBucket(histogram)
		u.UpperBound, u.Count = d.bound, n
	default:
		u := d.b.addBucket(histogram)
		u.UpperBound, u.CountFloat = d.bound, value
		d.b.scratch.floatCounts = true
	}
	return nil
}

// readTimestamp reads the timestamp in milliseconds after a value.
func (d *textDecoder) readTimestamp(s *Series) error {
	start := skipBlanks(d.data, d.pos)
	d.pos = tokenEnd(d.data, start)
	if d.pos == len(d.data) {
		return d.failEnd()
	}
	token := view(d.data[start:d.pos])
	ms, err := strconv.ParseInt(token, 10, 64)
	if err != nil {
		return d.fail(start, "expected integer as timestamp, got %q", token)
	}
	s.TimestampMs, s.HasTimestamp = ms, true
	rest := d.pos
	d.pos = lineEnd(d.data, rest)
	if d.pos > rest && d.pos < len(d.data) {
		return d.fail(rest, "spurious string after timestamp: %q", withoutBackslashes(view(d.data[rest:d.pos])))
	}
	return d.endLine()
}

// unifyCounts makes all counts of a histogram floats if one is a float.
func (b *Batch) unifyCounts() {
	if !b.scratch.floatCounts {
		return
	}
	for i := range b.Histograms {
		h := &b.Histograms[i]
		if b.hasFloatCount(h) {
			b.makeCountsFloats(h)
		}
	}
}

// hasFloatCount reports whether a count of the histogram is not whole.
func (b *Batch) hasFloatCount(h *HistogramValue) bool {
	anyFloat := h.CountFloat != 0
	for i := h.FirstBucket; i != NoIndex && !anyFloat; i = b.Buckets[i].Next {
		anyFloat = b.Buckets[i].CountFloat != 0
	}
	return anyFloat
}

// makeCountsFloats makes all counts of the histogram floats.
func (b *Batch) makeCountsFloats(h *HistogramValue) {
	if h.CountFloat == 0 {
		h.Count, h.CountFloat = 0, float64(h.Count)
	}
	for i := h.FirstBucket; i != NoIndex; i = b.Buckets[i].Next {
		if u := &b.Buckets[i]; u.CountFloat == 0 {
			u.Count, u.CountFloat = 0, float64(u.Count)
		}
	}
}
