// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"fmt"
	"math"
)

// Field keys of io.prometheus.client by message: see metrics.proto in prometheus/client_model. Those of the values are in
// protobuf_value.go.
const (
	familyName   = 1<<3 | wireBytes
	familyHelp   = 2<<3 | wireBytes
	familyType   = 3<<3 | wireVarint
	familyMetric = 4<<3 | wireBytes
	familyUnit   = 5<<3 | wireBytes

	metricLabel       = 1<<3 | wireBytes
	metricGauge       = 2<<3 | wireBytes
	metricCounter     = 3<<3 | wireBytes
	metricSummary     = 4<<3 | wireBytes
	metricUntyped     = 5<<3 | wireBytes
	metricTimestampMs = 6<<3 | wireVarint
	metricHistogram   = 7<<3 | wireBytes

	labelName  = 1<<3 | wireBytes
	labelValue = 2<<3 | wireBytes

	exemplarLabel = 1<<3 | wireBytes
	exemplarValue = 2<<3 | wireFixed64
	exemplarTime  = 3<<3 | wireBytes

	timeSeconds = 1<<3 | wireVarint // of google.protobuf.Timestamp
	timeNanos   = 2<<3 | wireVarint
)

// A Pushgateway's error texts.
const (
	msgTruncated = "unexpected EOF"
	msgOverflow  = "proto: variable length integer overflow"
	msgMalformed = "proto: cannot parse invalid wire-format data"
)

// metricTypes maps the numbers of the enum MetricType. valueKeys is the field of a Metric that holds a value of that
// type.
var (
	metricTypes = [...]Type{Counter, Gauge, Summary, Untyped, Histogram, GaugeHistogram}
	valueKeys   = [...]uint64{
		Untyped: metricUntyped, Counter: metricCounter, Gauge: metricGauge, Summary: metricSummary,
		Histogram: metricHistogram, GaugeHistogram: metricHistogram,
	}
)

// decodeProtobuf reads delimited MetricFamily messages by the rules of proto2: fields in any order, the last of a
// repeated scalar wins, parts of a message are merged, unknown fields are skipped. Strings may be invalid UTF-8. Two
// cases differ from a Pushgateway: families of one name (startFamily) and unknown types (familyHead).
//
// A byte of the body adds at most about 30 bytes to the Batch: an empty Metric of two bytes becomes a Series.
func decodeProtobuf(b *Batch, body []byte, o Options) error {
	d := protobufDecoder{b: b, body: body, options: o}
	defer b.scratch.protobuf.reset()
	for rest := body; len(rest) > 0; {
		size, n := consumeVarint(rest)
		switch {
		case n == varintOverflow:
			return d.fault(rest, msgOverflow)
		case n == varintTruncated || size > uint64(len(rest)-n):
			return d.fault(rest, msgTruncated)
		}
		end := n + int(size)
		if err := d.family(rest[n:end]); err != nil {
			return err
		}
		if err := d.checkMemory(); err != nil {
			return err
		}
		rest = rest[end:]
	}
	return nil
}

// protobufDecoder reads one body into one Batch.
type protobufDecoder struct {
	b       *Batch
	body    []byte
	options Options

	metric  pendingMetric
	discard *protobufDecoder
	read    int // number of fields read into the Batch
}

// checkMemory runs after each field that adds to the Batch, because one metric can fill a large body.
func (d *protobufDecoder) checkMemory() error {
	d.read++
	if d.read%checkMemoryEvery != 0 {
		return nil
	}
	return d.checkMemoryNow()
}

// checkMemoryNow is separate, so that checkMemory is inlined.
func (d *protobufDecoder) checkMemoryNow() error { return d.options.checkMemory(d.b, d.read) }

// pendingMetric is the Metric being read. Its value may come in parts, between other fields; finishMetric moves these
// parts into the Batch.
type pendingMetric struct {
	series       int32
	exemplar     pendingExemplar // of a counter
	created      timestamp
	lastExemplar int32 // end of the series' list
	hasNative    bool  // it is the last of Batch.Natives
}

// pendingExemplar is the Exemplar being read. Its labels are in protobufScratch.
type pendingExemplar struct {
	labels  Range
	value   float64
	time    timestamp
	present bool
}

// protobufScratch holds data that would not be contiguous in the Batch: exemplar labels, which come between series
// labels, and the negative side of a native histogram.
type protobufScratch struct {
	exemplarLabels []LabelRef
	spans          []Span
	deltas         []int64
	counts         []float64
}

func (s *protobufScratch) reset() {
	s.exemplarLabels = s.exemplarLabels[:0]
	s.spans, s.deltas, s.counts = s.spans[:0], s.deltas[:0], s.counts[:0]
}

// memory returns the allocated bytes.
func (s *protobufScratch) memory() uintptr {
	return size(s.exemplarLabels) + size(s.spans) + size(s.deltas) + size(s.counts)
}

// fault returns the error at a position in the body.
func (d *protobufDecoder) fault(at []byte, msg string) error {
	return &ParseError{Format: Protobuf, Column: d.offset(at) + 1, Msg: msg}
}

// offset returns the start of a part of the body. All parts share the body's end of capacity.
func (d *protobufDecoder) offset(part []byte) int { return cap(d.body) - cap(part) }

// malformed returns the error for a message with an unreadable field.
func (d *protobufDecoder) malformed(message []byte) error { return d.fault(message, msgMalformed) }

// family reads a MetricFamily in two passes, because the type may follow the metrics.
func (d *protobufDecoder) family(message []byte) error {
	head, metrics, err := d.familyHead(message)
	if err != nil {
		return err
	}
	family := d.startFamily(head, metrics)
	for len(message) > 0 {
		key, _, data, n := consumeField(message) // cannot fail: familyHead read all fields
		message = message[n:]
		if key == familyMetric {
			if err := d.readMetric(family, valueKeys[head.Type], data); err != nil {
				return err
			}
			if err := d.checkMemory(); err != nil {
				return err
			}
		}
	}
	return nil
}

// familyHead reads the fields of a MetricFamily other than its metrics and reports whether it has metrics. It refuses
// unknown types: a Pushgateway accepts them and can then no longer expose anything.
func (d *protobufDecoder) familyHead(message []byte) (head Family, metrics bool, err error) {
	head = Family{Type: Counter, Named: true, First: NoIndex, last: NoIndex}
	whole, number := message, uint32(0)
	for len(message) > 0 {
		key, scalar, data, n := consumeField(message)
		if n <= 0 {
			return Family{}, false, d.malformed(message)
		}
		message = message[n:]
		switch key {
		case familyName:
			head.Name = view(data)
		case familyHelp:
			head.Help = view(data)
		case familyUnit:
			head.Unit = view(data)
		case familyType:
			number = uint32(scalar)
		case familyMetric:
			metrics = true
		}
	}
	if number >= uint32(len(metricTypes)) {
		return Family{}, false, d.fault(whole, fmt.Sprintf("metric family %.300q has an unknown type: %d", head.Name, int32(number)))
	}
	head.Type = metricTypes[number]
	return head, metrics, nil
}

// startFamily returns the family for a message. Messages of one name and type share a family, with the first non-empty
// text. A family without metrics takes the type of the next message of its name; otherwise a second family is added.
func (d *protobufDecoder) startFamily(head Family, metrics bool) int32 {
	i, ok := d.b.family(head.Name)
	if !ok || d.b.Families[i].Type != head.Type && d.b.Families[i].First != NoIndex && metrics {
		i = d.b.addFamily(head.Name, head.Type)
		d.b.Families[i] = head
		return i
	}
	f := &d.b.Families[i]
	if f.First == NoIndex {
		f.Type = head.Type
	}
	if f.Help == "" {
		f.Help = head.Help
	}
	if f.Unit == "" {
		f.Unit = head.Unit
	}
	return i
}

// readMetric reads a Metric whose value is in the field valueKey.
func (d *protobufDecoder) readMetric(family int32, valueKey uint64, message []byte) error {
	series := d.b.addSeries(family)
	labels, exemplars := len(d.b.Labels), len(d.b.Exemplars)
	d.metric = pendingMetric{series: series, lastExemplar: NoIndex}
	mismatched := true
	for len(message) > 0 {
		key, scalar, data, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		switch key {
		case metricLabel:
			err = d.appendLabel(&d.b.Labels, data)
		case metricTimestampMs:
			s := &d.b.Series[series]
			s.TimestampMs, s.HasTimestamp = int64(scalar), true
		case valueKey:
			mismatched = false
			err = d.value(key, data)
		case metricGauge, metricCounter, metricSummary, metricUntyped, metricHistogram:
			err = d.discarding().value(key, data)
		}
		if err != nil {
			return err
		}
	}
	s := &d.b.Series[series]
	s.Labels, s.Mismatched = Range{int32(labels), int32(len(d.b.Labels))}, mismatched
	d.finishMetric(exemplars)
	return nil
}

// finishMetric moves the pending parts into the Batch. The Metric's exemplars start at the given index.
func (d *protobufDecoder) finishMetric(exemplars int) {
	b, scratch := d.b, &d.b.scratch.protobuf
	if d.metric.exemplar.present {
		d.addSeriesExemplar(d.metric.exemplar)
	}
	b.Series[d.metric.series].CreatedNs, _ = d.metric.created.unixNano()

	base := int32(len(b.Labels))
	for i := exemplars; i < len(b.Exemplars); i++ {
		b.Exemplars[i].Labels.Start += base
		b.Exemplars[i].Labels.End += base
	}
	b.Labels = append(b.Labels, scratch.exemplarLabels...)
	scratch.exemplarLabels = scratch.exemplarLabels[:0]
	if d.metric.hasNative {
		d.finishNative()
	}
}

// discarding returns a decoder for values of other types than the family's, which are checked and dropped. It is created
// on demand, since clients do not send such values.
func (d *protobufDecoder) discarding() *protobufDecoder {
	if d.discard == nil {
		d.discard = &protobufDecoder{b: new(Batch), body: d.body, options: d.options}
	}
	b := d.discard.b
	b.Reset()
	b.body = d.b.body
	b.scratch.protobuf.reset()
	b.Series = append(b.Series, Series{ValueIndex: NoIndex, Exemplar: NoIndex})
	d.discard.metric = pendingMetric{lastExemplar: NoIndex}
	return d.discard
}

// appendLabel reads a LabelPair.
func (d *protobufDecoder) appendLabel(labels *[]LabelRef, message []byte) error {
	if err := d.checkMemory(); err != nil {
		return err
	}
	if label, ok := d.usualLabel(message); ok {
		*labels = append(*labels, label)
		return nil
	}
	var label LabelRef
	for len(message) > 0 {
		key, _, data, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		switch key {
		case labelName:
			label.name = d.b.ref(view(data))
		case labelValue:
			label.value = d.b.ref(view(data))
		}
	}
	*labels = append(*labels, label)
	return nil
}

// usualLabel is the fast path for a LabelPair of a name and a value, in this order and each shorter than 128 bytes.
func (d *protobufDecoder) usualLabel(message []byte) (LabelRef, bool) {
	if len(message) < 4 || message[0] != labelName || message[1] >= 0x80 {
		return LabelRef{}, false
	}
	middle := 2 + int(message[1])
	if middle+2 > len(message) || message[middle] != labelValue || message[middle+1] >= 0x80 ||
		int(message[middle+1]) != len(message)-middle-2 {
		return LabelRef{}, false
	}
	start := uint32(d.offset(message))
	return LabelRef{
		textRef{start + 2, uint32(message[1])},
		textRef{start + uint32(middle) + 2, uint32(message[middle+1])},
	}, true
}

// nativeExemplar reads an exemplar of a native histogram.
func (d *protobufDecoder) nativeExemplar(message []byte) error {
	var e pendingExemplar
	if err := d.exemplar(&e, message); err != nil {
		return err
	}
	d.addSeriesExemplar(e)
	return nil
}

// exemplar reads an Exemplar or a part of it. Parts of different exemplars do not interleave, so the labels are
// contiguous.
func (d *protobufDecoder) exemplar(e *pendingExemplar, message []byte) error {
	scratch := &d.b.scratch.protobuf
	if !e.present {
		*e = pendingExemplar{labels: Range{Start: int32(len(scratch.exemplarLabels))}, present: true}
	}
	for len(message) > 0 {
		key, scalar, data, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		switch key {
		case exemplarLabel:
			err = d.appendLabel(&scratch.exemplarLabels, data)
		case exemplarValue:
			e.value = math.Float64frombits(scalar)
		case exemplarTime:
			err = d.timestamp(&e.time, data)
		}
		if err != nil {
			return err
		}
	}
	e.labels.End = int32(len(scratch.exemplarLabels))
	return nil
}

// addExemplar appends an exemplar to the Batch. Its labels are still in protobufScratch.
func (d *protobufDecoder) addExemplar(e pendingExemplar) int32 {
	i := int32(len(d.b.Exemplars))
	ns, ok := e.time.unixNano()
	d.b.Exemplars = append(d.b.Exemplars, Exemplar{
		Labels: e.labels, Value: e.value, TimestampNs: ns, HasTimestamp: ok, Next: NoIndex,
	})
	return i
}

// addSeriesExemplar appends an exemplar to the series' list.
func (d *protobufDecoder) addSeriesExemplar(e pendingExemplar) {
	i := d.addExemplar(e)
	if d.metric.lastExemplar == NoIndex {
		d.b.Series[d.metric.series].Exemplar = i
	} else {
		d.b.Exemplars[d.metric.lastExemplar].Next = i
	}
	d.metric.lastExemplar = i
}

// timestamp is a google.protobuf.Timestamp.
type timestamp struct {
	seconds int64
	nanos   int32
	present bool
}

// timestamp reads a Timestamp or a part of it.
func (d *protobufDecoder) timestamp(t *timestamp, message []byte) error {
	t.present = true
	for len(message) > 0 {
		key, scalar, _, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		switch key {
		case timeSeconds:
			t.seconds = int64(scalar)
		case timeNanos:
			t.nanos = int32(scalar)
		}
	}
	return nil
}

// unixNano returns nanoseconds since the epoch. A time that is invalid, before the epoch or after 2262 counts as absent:
// OTLP cannot represent it, and a Pushgateway accepts the push too.
func (t timestamp) unixNano() (ns int64, ok bool) {
	const maxSeconds = math.MaxInt64/1_000_000_000 - 1
	if !t.present || t.seconds < 0 || t.seconds > maxSeconds || t.nanos < 0 || t.nanos > 999_999_999 {
		return 0, false
	}
	return t.seconds*1_000_000_000 + int64(t.nanos), true
}
