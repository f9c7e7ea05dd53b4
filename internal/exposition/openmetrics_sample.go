// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"math"
	"slices"
	"strings"
)

// role is what the samples of one name are in a metric family.
type role uint8

const (
	noMember       role = iota // the name belongs to another family
	valueSample                // the value of a series
	bucketSample               // a bucket of a (gauge) histogram
	quantileSample             // a quantile of a summary
	countSample                // the count of a (gauge) histogram or summary
	sumSample                  // its sum
	createdSample              // the created timestamp of a series
	bareSample                 // a histogram's name without suffix, which means nothing
)

// roleOf returns the role of a sample name in the family of that name and type, as the specification's section
// "Suffixes" lists them. Gauge histograms come with the suffixes of histograms from client libraries built on
// prometheus/common.
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

// hasBound tells whether samples of the role have the boundary label.
func (r role) hasBound() bool { return r == bucketSample || r == quantileSample }

func roleIf(member bool, r role) role {
	if member {
		return r
	}
	return noMember
}

// declare makes the family that a metadata line names the current one and returns it.
func (d *openMetricsDecoder) declare(name string) int32 {
	i := d.declared
	if i == None || d.b.Families[i].Name != name { // The TYPE line mostly follows the HELP line.
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

// setHelp sets the text of a family, and keeps the former one of a family with samples: the line may belong to another
// family of that name, which only its TYPE tells.
func (d *openMetricsDecoder) setHelp(family int32, text string) {
	f := &d.b.Families[family]
	d.redescribed = None
	if f.First != None {
		d.redescribed, d.formerHelp = family, f.Help
	}
	f.Help = text
}

// setType sets the type of a family, or of a new one of the same name if it has samples of another type. client_golang's
// go_memstats_alloc_bytes and go_memstats_alloc_bytes_total are such families.
func (d *openMetricsDecoder) setType(family int32, t Type) {
	if f := d.b.Families[family]; f.Type != t && f.First != None {
		if d.redescribed == family {
			d.b.Families[family].Help = d.formerHelp
		}
		family = d.b.addFamily(f.Name, t)
		d.b.Families[family].Help, d.b.Families[family].Unit = f.Help, f.Unit
		d.setDeclared(family)
	}
	d.b.Families[family].Type = t
}

// enterFamily makes the family that the line's sample belongs to the current one and returns the sample's role in it.
// That is the current one if the name fits it, for only a name that does not begins another family; then the family of
// that name, then the one of which the name is a part, and in the end a new one of unknown type.
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
	if family == None {
		return noMember
	}
	f := &d.b.Families[family]
	return roleOf(f.Type, f.Name, d.name)
}

// findFamily returns the family that a name not fitting the current one belongs to.
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

// valueFamily returns the family of the Batch in which the values of that name are. For a counter or info that is one
// with the suffix in its name and the metadata of the current family, because metric names are never altered.
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

// addSeries appends a series with the labels of the line to the family.
func (d *openMetricsDecoder) addSeries(family int32) int32 {
	i := d.b.addSeries(family)
	labels := Range{d.labels, int32(len(d.b.Labels))}
	d.b.setLabels(i, labels, d.before, d.expected)
	d.b.Series[i].Line = int32(d.line)
	d.before = expected(labels, d.bare)
	return i
}

// readValueSample reads the rest of a sample that is a series by itself.
func (d *openMetricsDecoder) readValueSample() error {
	i := d.addSeries(d.samples)
	p, err := d.readPoint()
	s := &d.b.Series[i]
	s.Value, s.Exemplar = p.value, p.exemplar
	s.TimestampMs, s.HasTimestamp = p.timestampMs, p.hasTimestamp
	return err
}

// readPart reads the rest of a sample that is a part of a histogram or summary.
func (d *openMetricsDecoder) readPart(r role) error {
	if err := d.settleSuffixes(r); err != nil {
		return err
	}
	bound, err := d.takeBound(r)
	if err != nil {
		return err
	}
	series := d.b.findSeries(d.declared, d.labels, d.lastMulti)
	isNew := series == None
	if isNew {
		series = d.addMultiSeries()
	}
	d.lastMulti = series
	return d.readPartPoint(r, series, isNew, bound)
}

// readRepeatedPart reads the rest of a sample from behind the opening brace if it is a part of lastMulti whose labels are
// written as in its line before. It returns false, with nothing read, if they may be others.
func (d *openMetricsDecoder) readRepeatedPart() (bool, error) {
	if d.name == "" || d.lastMulti == None {
		return false, nil
	}
	r := d.enterFamily()
	if r == valueSample || r == createdSample || r == bareSample || d.b.Series[d.lastMulti].family != d.declared {
		return false, nil
	}
	bound, end, ok := d.repeat.read(d.data, d.pos, boundaryLabel(d.b.Families[d.declared].Type))
	if !ok || r.hasBound() == math.IsNaN(bound) {
		return false, nil
	}
	d.pos = end
	if err := d.settleSuffixes(r); err != nil {
		return false, err
	}
	return true, d.readPartPoint(r, d.lastMulti, false, bound)
}

// readPartPoint reads the rest of a sample after the labels and stores it in its series.
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
	if p.exemplar != None && r != bucketSample {
		d.b.Exemplars[p.exemplar].Next = s.Exemplar
		s.Exemplar = p.exemplar
	}
	if d.b.Families[d.declared].Type == Summary {
		return d.storeInSummary(r, s, bound, p, valueAt)
	}
	return d.storeInHistogram(r, s, bound, p, valueAt)
}

// addMultiSeries appends a histogram or summary series without any part yet.
func (d *openMetricsDecoder) addMultiSeries() int32 {
	i := d.addSeries(d.declared)
	if d.b.Families[d.declared].Type == Summary {
		d.b.addSummary(i)
	} else {
		d.b.addHistogram(i)
	}
	return i
}

// takeBound takes the le or quantile label, which is structure, out of the labels of the line and returns its value.
// Buckets and quantiles must have it, and other samples must not, as there is no place for it.
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
		return 0, d.failf(d.lineStart, "the label %q of %s is no number: %s", label, quote(d.name), quote(text))
	}
	return bound, nil
}

// noteLabels remembers how the labels of the line are written, with the boundary label of that name and value if it has one.
func (d *openMetricsDecoder) noteLabels(boundary, value string) {
	d.repeat.note(d.written, boundary, value)
	d.repeat.known = d.repeat.known && d.data[d.lineStart] != '{'
}

func histogramSuffixes(t Type) string {
	if t == GaugeHistogram {
		return "_bucket, _gcount or _gsum"
	}
	return "_bucket, _count, _sum or _created"
}

// takeLabel removes a label from those of the line and returns its value.
func (d *openMetricsDecoder) takeLabel(name string) (value string, ok bool) {
	labels := d.b.Labels[d.labels:]
	i := slices.IndexFunc(labels, func(l LabelRef) bool { return d.b.Name(l) == name })
	if i < 0 {
		return "", false
	}
	if i < int(d.expected) {
		d.expected = 0 // The line before was of another family, where that label was an ordinary one.
	}
	value = d.b.Value(labels[i])
	copy(labels[i:], labels[i+1:])
	d.b.dropLabels(int32(len(d.b.Labels) - 1))
	d.b.indexLabels(d.b.Labels[d.labels:])
	return value, true
}

// settleSuffixes notes with the first count or sum of a gauge histogram which suffixes its family has. It cannot have
// both sorts, since names are never altered.
func (d *openMetricsDecoder) settleSuffixes(r role) error {
	f := &d.b.Families[d.declared]
	if f.Type != GaugeHistogram || r == bucketSample {
		return nil
	}
	gauge := strings.HasSuffix(d.name, "_gcount") || strings.HasSuffix(d.name, "_gsum")
	if f.GaugeSuffixes == gauge {
		return nil
	}
	if f.GaugeSuffixes || d.hasCountOrSum(f) {
		return d.failf(d.lineStart, "%s does not go with the other samples of its family: use _gcount and _gsum", quote(d.name))
	}
	f.GaugeSuffixes = true
	return nil
}

// hasCountOrSum tells whether any histogram of the family has a count or sum.
func (d *openMetricsDecoder) hasCountOrSum(f *Family) bool {
	for i := f.First; i != None; i = d.b.Series[i].Next {
		if h := &d.b.Histograms[d.b.Series[i].Complex]; h.HasCount || h.HasSum {
			return true
		}
	}
	return false
}

func (d *openMetricsDecoder) storeInSummary(r role, s *Series, bound float64, p point, at int) error {
	v := &d.b.Summaries[s.Complex]
	switch {
	case r == quantileSample:
		d.b.addQuantile(s.Complex, bound, p.value)
	case r == sumSample && v.HasSum, r == countSample && v.HasCount:
		return d.failRepeated(s)
	case r == sumSample:
		v.Sum, v.HasSum = p.value, true
	default:
		n, isWhole := wholeNumber(p.value)
		if !isWhole {
			return d.failf(at, "the count of a summary is a whole number, not %s", quote(p.token))
		}
		v.Count, v.HasCount = n, true
	}
	return nil
}

func (d *openMetricsDecoder) storeInHistogram(r role, s *Series, bound float64, p point, at int) error {
	h := &d.b.Histograms[s.Complex]
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
		return d.failf(at, "the count of a %s is a number from 0 on, not %s", d.b.Families[d.declared].Type, quote(p.token))
	case r == bucketSample:
		u := d.b.addBucket(s.Complex)
		u.UpperBound, u.Count, u.CountFloat, u.Exemplar = bound, n, fraction, p.exemplar
	case h.HasCount:
		return d.failRepeated(s)
	default:
		h.Count, h.CountFloat, h.HasCount = n, fraction, true
	}
	return nil
}

// wholeNumber returns the value as an integer if it is one that 64 bits hold.
func wholeNumber(value float64) (uint64, bool) {
	if !(value >= 0 && value < 1<<64) || value != math.Trunc(value) {
		return 0, false
	}
	return uint64(value), true
}

// failRepeated makes the error for a second count or sum of a series.
func (d *openMetricsDecoder) failRepeated(s *Series) error {
	return d.failEarlier(d.lineStart, quote(d.name)+" was already given for the series of line %d: a %s has one", s)
}

// failEarlier makes an error whose text names an earlier line and the type of its series.
func (d *openMetricsDecoder) failEarlier(at int, format string, s *Series) error {
	return d.failf(at, format, s.Line, d.b.Families[s.family].Type)
}
