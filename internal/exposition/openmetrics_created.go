// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"math"
	"strconv"
	"strings"
)

// createdLine is a created timestamp that did not follow its series.
type createdLine struct {
	family int32  // the family that the name is a part of
	name   string // the metric name
	ns     int64
	series Series // the series to add if none matches
	found  bool
}

// readCreatedSample reads the rest of a created sample. If the previous series is not its own, attachCreated resolves it
// at the end.
func (d *openMetricsDecoder) readCreatedSample() error {
	labels := Range{d.labels, int32(len(d.b.Labels))}
	at := d.pos + 1
	p, err := d.readPoint()
	if err != nil {
		return err
	}
	ns, ok := secondsToNanos(p.token)
	if !ok {
		return d.failf(at, "the created timestamp %s is not a valid time in seconds", quote(p.token))
	}
	own := d.b.Labels[labels.Start:labels.End]
	last := d.b.Families[d.samples].last
	if last != NoIndex && d.b.Series[last].CreatedNs == 0 && d.b.equalLabels(d.b.labels(last), own) {
		d.b.Series[last].CreatedNs = ns
		d.b.dropLabels(d.labels)
		return nil
	}
	d.b.scratch.created = append(d.b.scratch.created, createdLine{
		family: d.declared, name: d.name, ns: ns, series: Series{
			Labels: labels, Value: p.value, ValueIndex: NoIndex, Exemplar: p.exemplar, Line: int32(d.line),
			TimestampMs: p.timestampMs, HasTimestamp: p.hasTimestamp,
		},
	})
	return nil
}

// attachCreated assigns the waiting created timestamps to their series. One without a series becomes a series of unknown
// type, as in Prometheus.
func (d *openMetricsDecoder) attachCreated() error {
	waiting := d.b.scratch.created
	if len(waiting) == 0 {
		return nil
	}
	if err := d.indexCreated(waiting); err != nil {
		return err
	}
	for i := range d.b.Series {
		s := &d.b.Series[i]
		k := d.findCreated(waiting, s.family, d.b.labels(int32(i)))
		if k == NoIndex {
			continue
		}
		if s.CreatedNs != 0 {
			return d.failCreated(&waiting[k])
		}
		s.CreatedNs = waiting[k].ns
		waiting[k].found = true
	}
	for i := range waiting {
		if !waiting[i].found {
			d.addCreatedSeries(&waiting[i])
		}
	}
	return nil
}

// indexCreated indexes the created timestamps by family and labels.
func (d *openMetricsDecoder) indexCreated(waiting []createdLine) error {
	d.b.scratch.series.reset()
	declared, target := NoIndex, NoIndex
	for i := range waiting {
		c := &waiting[i]
		if c.family != declared {
			declared, target = c.family, d.createdTarget(c.family)
		}
		c.family = target
		labels := d.b.Labels[c.series.Labels.Start:c.series.Labels.End]
		if d.findCreated(waiting, target, labels) != NoIndex {
			return d.failCreated(c)
		}
		d.b.scratch.series.put(d.b.hashLabels(target, labels), int32(i), differs)
	}
	return nil
}

// createdTarget returns the family of the series: for a counter, the family with the suffix.
func (d *openMetricsDecoder) createdTarget(family int32) int32 {
	if f := &d.b.Families[family]; f.Type == Counter {
		if i, ok := d.b.family(f.Name + "_total"); ok && d.b.Families[i].Type == Counter {
			return i
		}
	}
	return family
}

// findCreated returns the index of the series' waiting created timestamp, or NoIndex.
func (d *openMetricsDecoder) findCreated(waiting []createdLine, family int32, labels []LabelRef) int32 {
	d.b.indexLabels(labels)
	return d.b.scratch.series.find(d.b.hashLabels(family, labels), func(i int32) bool {
		r := waiting[i].series.Labels
		return waiting[i].family == family && d.b.sameLabels(d.b.Labels[r.Start:r.End], labels)
	})
}

// indexLabels prepares labels for comparison as the current ones.
func (b *Batch) indexLabels(labels []LabelRef) {
	if len(labels) <= fewLabels {
		return
	}
	x := &b.scratch.labels
	x.reset()
	for i := range labels {
		x.put(hashString(b.Name(labels[i])), int32(i), differs)
	}
}

// addCreatedSeries adds a created timestamp as a series of its own.
func (d *openMetricsDecoder) addCreatedSeries(c *createdLine) {
	family, ok := d.b.family(c.name)
	if !ok || d.b.Families[family].Type != Untyped {
		family = d.b.addFamily(c.name, Untyped)
	}
	i := d.b.addSeries(family)
	s := &d.b.Series[i]
	s.Labels, s.Value, s.Exemplar, s.Line = c.series.Labels, c.series.Value, c.series.Exemplar, c.series.Line
	s.TimestampMs, s.HasTimestamp = c.series.TimestampMs, c.series.HasTimestamp
}

// failCreated returns the error for a second created timestamp of a series.
func (d *openMetricsDecoder) failCreated(c *createdLine) error {
	d.line, d.lineStart = int(c.series.Line), 0
	return d.failf(0, "%s was already given for a series with these labels", quote(c.name))
}

// secondsToNanos converts decimal seconds to nanoseconds by digits, because a float64 lacks precision. It truncates below
// a nanosecond and returns false beyond 64 bits.
func secondsToNanos(token string) (int64, bool) {
	negative := token[0] == '-'
	mantissa := strings.TrimLeft(token, "+-")
	if mantissa[0] != '.' && nameClass[mantissa[0]] != digit {
		return 0, false // an infinity or NaN
	}
	exponent := 0
	if e := strings.IndexAny(mantissa, "eE"); e >= 0 {
		var err error
		if exponent, err = strconv.Atoi(mantissa[e+1:]); err != nil {
			return 0, true // beyond 64 bits: parseFloat accepts it only if the value is 0
		}
		mantissa = mantissa[:e]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	nanos := uint64(0)
	for i := range len(whole) + exponent + 9 {
		d := byte('0')
		switch {
		case i < len(whole):
			d = whole[i]
		case i < len(whole)+len(fraction):
			d = fraction[i-len(whole)]
		case nanos == 0:
			return 0, true
		}
		nanos = nanos*10 + uint64(d-'0')
		if nanos > math.MaxInt64/10 && i+1 < len(whole)+exponent+9 || nanos > math.MaxInt64 {
			return 0, false
		}
	}
	if negative {
		return -int64(nanos), true
	}
	return int64(nanos), true
}
