// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"math"
	"slices"
	"strings"
)

// role is the meaning of a sample name within a family.
type role uint8

const (
	noMember       role = iota // the name belongs to another family
	valueSample                // the value of a series
	bucketSample               // a bucket of a (gauge) histogram
	quantileSample             // a quantile of a summary
	countSample                // the count of a (gauge) histogram or summary
	sumSample                  // the sum of a (gauge) histogram or summary
	createdSample              // the created timestamp of a series
	bareSample                 // a histogram's name without suffix: invalid
)

// roleOf returns the role of a sample name in a family, by section "Suffixes" of the specification. Gauge histograms may
// have the suffixes of histograms, because clients based on prometheus/common send them.
func roleOf(t Type, family, sample string) role {
	suffix, ok := strings.CutPrefix(sample, family)
	if !ok {
		return noMember
	}
	isHistogram := t == Histogram || t == GaugeHistogram
	switch suffix {
	case "":
		switch {
		case isHistogram:
			return bareSample
		case t == Summary:
			return quantileSample
		}
		return valueSample
	case "_total":
		return roleIf(t == Counter, valueSample)
	case "_info":
		return roleIf(t == Info, valueSample)
	case "_bucket":
		return roleIf(isHistogram, bucketSample)
	case "_count":
		return roleIf(isHistogram || t == Summary, countSample)
	case "_sum":
		return roleIf(isHistogram || t == Summary, sumSample)
	case "_gcount":
		return roleIf(t == GaugeHistogram, countSample)
	case "_gsum":
		return roleIf(t == GaugeHistogram, sumSample)
	case "_created":
		return roleIf(t == Counter || t == Histogram || t == Summary, createdSample)
	}
	return noMember
}

// hasBound reports whether samples of the role have the boundary label.
func (r role) hasBound() bool { return r == bucketSample || r == quantileSample }

func roleIf(member bool, r role) role {
	if member {
		return r
	}
	return noMember
}

// declare makes the family of a metadata line the current one.
func (d *openMetricsDecoder) declare(name string) int32 {
	i := d.declared
	if i == NoIndex || d.b.Families[i].Name != name { // TYPE usually follows HELP.
		var ok bool
		if i, ok = d.b.family(name); !ok {
			i = d.b.addFamily(name, Untyped)
		}
	}
	d.setDeclared(i)
	d.lastName = ""
	return i
}

func (d *openMetricsDecoder) setDeclared(family int32) { d.declared, d.samples = family, family }

// setHelp sets a family's text and keeps the previous text of a family with samples: only the TYPE line shows whether a
// new family begins.
func (d *openMetricsDecoder) setHelp(family int32, text string) {
	f := &d.b.Families[family]
	d.redescribed = NoIndex
	if f.First != NoIndex {
		d.redescribed, d.formerHelp = family, f.Help
	}
	f.Help = text
}

// setType sets a family's type. If the family has samples of another type, it starts a new family of the same name, such
// as client_golang's go_memstats_alloc_bytes and go_memstats_alloc_bytes_total.
func (d *openMetricsDecoder) setType(family int32, t Type) {
	if f := d.b.Families[family]; f.Type != t && f.First != NoIndex {
		if d.redescribed == family {
			d.b.Families[family].Help = d.formerHelp
		}
		family = d.b.addFamily(f.Name, t)
		d.b.Families[family].Help, d.b.Families[family].Unit = f.Help, f.Unit
		d.setDeclared(family)
	}
	d.b.Families[family].Type = t
}

// enterFamily finds the family of the line's sample and returns the sample's role in it. It tries the current family, the
// family of that name, and the family that the name is a part of. Otherwise it adds a family of unknown type.
func (d *openMetricsDecoder) enterFamily() role {
	if d.name == d.lastName {
		return d.lastRole
	}
	r := d.roleIn(d.declared)
	if r == noMember {
		family := d.findFamily()
		d.setDeclared(family)
		r = d.roleIn(family)
	}
	if r == valueSample {
		d.samples = d.valueFamily()
	}
	d.lastName, d.lastRole = d.name, r
	return r
}

// roleIn returns the role of the line's name in the family.
func (d *openMetricsDecoder) roleIn(family int32) role {
	if family == NoIndex {
		return noMember
	}
	f := &d.b.Families[family]
	return roleOf(f.Type, f.Name, d.name)
}

// findFamily returns the family for a name that does not fit the current one.
func (d *openMetricsDecoder) findFamily() int32 {
	if i, ok := d.b.family(d.name); ok {
		return i
	}
	if cut := strings.LastIndexByte(d.name, '_'); cut > 0 {
		if i, ok := d.b.family(d.name[:cut]); ok && d.roleIn(i) != noMember {
			return i
		}
	}
	return d.b.addFamily(d.name, Untyped)
}

// valueFamily returns the family with the values of that name. For a counter or info it is a family whose name has the
// suffix, because metric names are never altered.
func (d *openMetricsDecoder) valueFamily() int32 {
	declared := d.b.Families[d.declared]
	if declared.Name == d.name {
		return d.declared
	}
	if d.b.Families[d.samples].Name == d.name { // fast path
		return d.samples
	}
	if i, ok := d.b.family(d.name); ok && d.b.Families[i].Type == declared.Type {
		return i
	}
	i := d.b.addFamily(d.name, declared.Type)
	d.b.Families[i].Help, d.b.Families[i].Unit = declared.Help, declared.Unit
	return i
}

// addSeries appends a series with the line's labels to the family.
func (d *openMetricsDecoder) addSeries(family int32) int32 {
	i := d.b.addSeries(family)
	labels := Range{d.labels, int32(len(d.b.Labels))}
	d.b.setLabels(i, labels, d.before, d.expected)
	d.b.Series[i].Line = int32(d.line)
	d.before = expected(labels, d.bare)
	return i
}

// readValueSample reads the rest of a sample that is a complete series.
func (d *openMetricsDecoder) readValueSample() error {
	i := d.addSeries(d.samples)
	p, err := d.readPoint()
	s := &d.b.Series[i]
	s.Value, s.Exemplar = p.value, p.exemplar
	s.TimestampMs, s.HasTimestamp = p.timestampMs, p.hasTimestamp
	return err
}

// readPart reads the rest of a sample of a histogram or summary.
func (d *openMetricsDecoder) readPart(r role) error {
	if err := d.setGaugeSuffixes(r); err != nil {
		return err
	}
	bound, err := d.takeBound(r)
	if err != nil {
		return err
	}
	series := d.b.findSeries(d.declared, d.labels, d.lastMulti)
	isNew := series == NoIndex
	if isNew {
		series = d.addMultiSeries()
	}
	d.lastMulti = series
	return d.readPartPoint(r, series, isNew, bound)
}

// readRepeatedPart reads the rest of a sample whose labels equal lastMulti's bytes, from the opening brace on. It returns
// false and reads nothing if they may differ.
func (d *openMetricsDecoder) readRepeatedPart() (bool, error) {
	if d.name == "" || d.lastMulti == NoIndex {
		return false, nil
	}
	r := d.enterFamily()
	if r == valueSample || r == createdSample || r == bareSample || d.b.Series[d.lastMulti].family != d.declared {
		return false, nil
	}
	bound, end, ok := d.cached.read(d.data, d.pos, boundaryLabel(d.b.Families[d.declared].Type))
	if !ok || r.hasBound() == math.IsNaN(bound) {
		return false, nil
	}
	d.pos = end
	if err := d.setGaugeSuffixes(r); err != nil {
		return false, err
	}
	return true, d.readPartPoint(r, d.lastMulti, false, bound)
}

// readPartPoint reads the part after the labels and stores it in the series.
func (d *openMetricsDecoder) readPartPoint(r role, series int32, isNew bool, bound float64) error {
	valueAt := d.pos + 1
	p, err := d.readPoint()
	if err != nil {
		return err
	}
	s := &d.b.Series[series]
	if isNew {
		s.TimestampMs, s.HasTimestamp = p.timestampMs, p.hasTimestamp
	} else if s.TimestampMs != p.timestampMs || s.HasTimestamp != p.hasTimestamp {
		return d.failEarlier(valueAt, "the timestamp differs from that in line %d, which has a sample of the same %s", s)
	}
	if p.exemplar != NoIndex && r != bucketSample {
		d.b.Exemplars[p.exemplar].Next = s.Exemplar
		s.Exemplar = p.exemplar
	}
	if d.b.Families[d.declared].Type == Summary {
		return d.storeInSummary(r, s, bound, p, valueAt)
	}
	return d.storeInHistogram(r, s, bound, p, valueAt)
}

// addMultiSeries appends an empty histogram or summary series.
func (d *openMetricsDecoder) addMultiSeries() int32 {
	i := d.addSeries(d.declared)
	if d.b.Families[d.declared].Type == Summary {
		d.b.addSummary(i)
	} else {
		d.b.addHistogram(i)
	}
	return i
}

// takeBound removes the structural le or quantile label and returns its value. Only buckets and quantiles may have it,
// and they must.
func (d *openMetricsDecoder) takeBound(r role) (float64, error) {
	t := d.b.Families[d.declared].Type
	if r == bareSample {
		return 0, d.failf(d.lineStart, "a sample of the %s %s must end in %s", t, quote(d.name), histogramSuffixes(t))
	}
	label := boundaryLabel(t)
	text, ok := d.takeLabel(label)
	switch needed := r.hasBound(); {
	case needed && !ok:
		return 0, d.failf(d.lineStart, "%s of a %s has no label %q", quote(d.name), t, label)
	case !needed && ok:
		return 0, d.failf(d.lineStart, "%s of a %s has a label %q", quote(d.name), t, label)
	case !ok:
		d.noteLabels("", "")
		return 0, nil
	}
	d.noteLabels(label, text)
	bound, err := parseFloat(text)
	if err != nil || math.IsNaN(bound) {
		return 0, d.failf(d.lineStart, "the label %q of %s is not a number: %s", label, quote(d.name), quote(text))
	}
	return bound, nil
}

// noteLabels caches how the line's labels are written, with its boundary label if it has one.
func (d *openMetricsDecoder) noteLabels(boundary, value string) {
	d.cached.note(d.written, boundary, value)
	d.cached.known = d.cached.known && d.data[d.lineStart] != '{'
}

func histogramSuffixes(t Type) string {
	if t == GaugeHistogram {
		return "_bucket, _gcount or _gsum"
	}
	return "_bucket, _count, _sum or _created"
}

// takeLabel removes a label of the line and returns its value.
func (d *openMetricsDecoder) takeLabel(name string) (value string, ok bool) {
	labels := d.b.Labels[d.labels:]
	i := slices.IndexFunc(labels, func(l LabelRef) bool { return d.b.Name(l) == name })
	if i < 0 {
		return "", false
	}
	if i < int(d.expected) {
		d.expected = 0 // The label was an ordinary one in the previous line.
	}
	value = d.b.Value(labels[i])
	copy(labels[i:], labels[i+1:])
	d.b.dropLabels(int32(len(d.b.Labels) - 1))
	d.b.indexLabels(d.b.Labels[d.labels:])
	return value, true
}

// setGaugeSuffixes records the suffixes of a gauge histogram at its first count or sum. A family cannot mix both kinds,
// because names are never altered.
func (d *openMetricsDecoder) setGaugeSuffixes(r role) error {
	f := &d.b.Families[d.declared]
	if f.Type != GaugeHistogram || r == bucketSample {
		return nil
	}
	gauge := strings.HasSuffix(d.name, "_gcount") || strings.HasSuffix(d.name, "_gsum")
	if f.GaugeSuffixes == gauge {
		return nil
	}
	if f.GaugeSuffixes || d.hasCountOrSum(f) {
		return d.failf(d.lineStart, "%s does not match the other samples of its family: use _gcount and _gsum", quote(d.name))
	}
	f.GaugeSuffixes = true
	return nil
}

// hasCountOrSum reports whether any histogram of the family has a count or sum.
func (d *openMetricsDecoder) hasCountOrSum(f *Family) bool {
	for i := f.First; i != NoIndex; i = d.b.Series[i].Next {
		if h := &d.b.Histograms[d.b.Series[i].ValueIndex]; h.HasCount || h.HasSum {
			return true
		}
	}
	return false
}

func (d *openMetricsDecoder) storeInSummary(r role, s *Series, bound float64, p point, at int) error {
	v := &d.b.Summaries[s.ValueIndex]
	switch {
	case r == quantileSample:
		d.b.addQuantile(s.ValueIndex, bound, p.value)
	case r == sumSample && v.HasSum, r == countSample && v.HasCount:
		return d.failRepeated(s)
	case r == sumSample:
		v.Sum, v.HasSum = p.value, true
	default:
		n, isWhole := wholeNumber(p.value)
		if !isWhole {
			return d.failf(at, "the count of a summary must be a whole number, not %s", quote(p.token))
		}
		v.Count, v.HasCount = n, true
	}
	return nil
}

func (d *openMetricsDecoder) storeInHistogram(r role, s *Series, bound float64, p point, at int) error {
	h := &d.b.Histograms[s.ValueIndex]
	if r == sumSample {
		if h.HasSum {
			return d.failRepeated(s)
		}
		h.Sum, h.HasSum = p.value, true
		return nil
	}
	n, isWhole := wholeNumber(p.value)
	fraction := 0.0
	if !isWhole {
		fraction = p.value
		d.b.scratch.floatCounts = true
	}
	switch {
	case !isWhole && !(p.value > 0 && p.value <= math.MaxFloat64):
		return d.failf(at, "the count of a %s must be a number of at least 0, not %s", d.b.Families[d.declared].Type, quote(p.token))
	case r == bucketSample:
		u := d.b.addBucket(s.ValueIndex)
		u.UpperBound, u.Count, u.CountFloat, u.Exemplar = bound, n, fraction, p.exemplar
	case h.HasCount:
		return d.failRepeated(s)
	default:
		h.Count, h.CountFloat, h.HasCount = n, fraction, true
	}
	return nil
}

// wholeNumber converts the value to an integer, if it is one of 64 bits.
func wholeNumber(value float64) (uint64, bool) {
	if !(value >= 0 && value < 1<<64) || value != math.Trunc(value) {
		return 0, false
	}
	return uint64(value), true
}

// failRepeated returns the error for a second count or sum of a series.
func (d *openMetricsDecoder) failRepeated(s *Series) error {
	return d.failEarlier(d.lineStart, quote(d.name)+" was already given for the series of line %d: a %s has one", s)
}

// failEarlier returns an error that names an earlier line and its type.
func (d *openMetricsDecoder) failEarlier(at int, format string, s *Series) error {
	return d.failf(at, format, s.Line, d.b.Families[s.family].Type)
}
