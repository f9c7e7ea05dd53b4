// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"fmt"
	"math"
)

// The keys of the fields of io.prometheus.client, message by message: see metrics.proto in prometheus/client_model. Those
// of the values are in protobuf_value.go.
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

// The texts of the errors are those with which a Pushgateway answers.
const (
	msgTruncated = "unexpected EOF"
	msgOverflow  = "proto: variable length integer overflow"
	msgMalformed = "proto: cannot parse invalid wire-format data"
)

// metricTypes are the types by their number in the enum MetricType, and valueKeys the field of a Metric that holds the
// value of a family of that type.
var (
	metricTypes = [...]Type{Counter, Gauge, Summary, Untyped, Histogram, GaugeHistogram}
	valueKeys   = [...]uint64{
		Untyped: metricUntyped, Counter: metricCounter, Gauge: metricGauge, Summary: metricSummary,
		Histogram: metricHistogram, GaugeHistogram: metricHistogram,
	}
)

// decodeProtobuf reads MetricFamily messages, each with its length before it, up to the end of the body, and takes them
// as Go's protobuf and a Pushgateway do. What proto2 says therefore holds: fields come in any order, the last of a
// repeated scalar counts, parts of one message are merged, unknown fields are skipped. Strings need not be UTF-8. Two cases differ
// from a Pushgateway: families of one name (startFamily) and of an unknown type (familyHead).
//
// A byte of body adds at most about 30 bytes to the Batch: an empty Metric, the worst, takes two and becomes a Series.
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
		if err := d.weigh(); err != nil {
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

	metric pendingMetric
	spare  *protobufDecoder
	read   int // how many fields that put something into the Batch
}

// weigh is asked after each field that puts something into the Batch: one metric may be all of a large body.
func (d *protobufDecoder) weigh() error {
	d.read++
	if d.read%weighEvery != 0 {
		return nil
	}
	return d.weighNow()
}

// weighNow is apart, so that the usual case is inlined.
func (d *protobufDecoder) weighNow() error { return d.options.weigh(d.b, d.read) }

// pendingMetric is what is known of a Metric whose message is being read. Its value may come in several parts, with
// other fields in between, so what is contiguous in the Batch or takes its meaning from several fields is gathered here
// or in protobufScratch and handed over by finishMetric.
type pendingMetric struct {
	series       int32
	exemplar     pendingExemplar // of a counter
	created      timestamp
	lastExemplar int32 // of the series' own
	hasNative    bool  // then it is the last of Batch.Natives
}

// pendingExemplar is an exemplar whose message is being read. Its labels are in protobufScratch.
type pendingExemplar struct {
	labels  Range
	value   float64
	time    timestamp
	present bool
}

// protobufScratch holds what would not be contiguous in the Batch if it was put there as it comes: the labels of a
// Metric's exemplars, between the labels of its series, and the negative side of its native histogram, between the
// positive.
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

// memory is the size in bytes of all that the scratch has allocated.
func (s *protobufScratch) memory() uintptr {
	return size(s.exemplarLabels) + size(s.spans) + size(s.deltas) + size(s.counts)
}

// fault is the error at a place in the body.
func (d *protobufDecoder) fault(at []byte, msg string) error {
	return &ParseError{Format: Protobuf, Column: d.offset(at) + 1, Msg: msg}
}

// offset is where a part of the body starts. All end at its capacity, so their capacities tell.
func (d *protobufDecoder) offset(part []byte) int { return cap(d.body) - cap(part) }

// malformed is the error of a message whose next field cannot be read.
func (d *protobufDecoder) malformed(message []byte) error { return d.fault(message, msgMalformed) }

// family reads a MetricFamily. Its metrics come last because their meaning depends on the type, which may follow them.
func (d *protobufDecoder) family(message []byte) error {
	head, metrics, err := d.familyHead(message)
	if err != nil {
		return err
	}
	family := d.startFamily(head, metrics)
	for len(message) > 0 {
		key, _, data, n := consumeField(message) // cannot fail: familyHead has read all fields
		message = message[n:]
		if key == familyMetric {
			if err := d.readMetric(family, valueKeys[head.Type], data); err != nil {
				return err
			}
			if err := d.weigh(); err != nil {
				return err
			}
		}
	}
	return nil
}

// familyHead reads all of a MetricFamily but its metrics, and tells whether it has some. A type with an unknown number is refused:
// a Pushgateway takes it and then exposes nothing any more.
func (d *protobufDecoder) familyHead(message []byte) (head Family, metrics bool, err error) {
	head = Family{Type: Counter, Named: true, First: None, last: None}
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

// startFamily finds or makes the family that the metrics of a message belong to. Families of one name and type are one family,
// described by the first that has a text; and a body of nothing but empty messages is one family. Of different types, one
// without metrics gives way; otherwise the Batch has both.
func (d *protobufDecoder) startFamily(head Family, metrics bool) int32 {
	i, ok := d.b.family(head.Name)
	if !ok || d.b.Families[i].Type != head.Type && d.b.Families[i].First != None && metrics {
		i = d.b.addFamily(head.Name, head.Type)
		d.b.Families[i] = head
		return i
	}
	f := &d.b.Families[i]
	if f.First == None {
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

// readMetric reads a Metric of a family whose values are in the field valueKey.
func (d *protobufDecoder) readMetric(family int32, valueKey uint64, message []byte) error {
	series := d.b.addSeries(family)
	labels, exemplars := len(d.b.Labels), len(d.b.Exemplars)
	d.metric = pendingMetric{series: series, lastExemplar: None}
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
			err = d.aside().value(key, data)
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

// finishMetric hands over what was gathered of the Metric that ends. Its exemplars are those from the given index on.
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

// aside is a decoder for values that do not count, since they are not of the family's type: they must be well-formed
// like all others. It is made for the first such value of a push; clients send none.
func (d *protobufDecoder) aside() *protobufDecoder {
	if d.spare == nil {
		d.spare = &protobufDecoder{b: new(Batch), body: d.body, options: d.options}
	}
	b := d.spare.b
	b.Reset()
	b.body = d.b.body
	b.scratch.protobuf.reset()
	b.Series = append(b.Series, Series{Complex: None, Exemplar: None})
	d.spare.metric = pendingMetric{lastExemplar: None}
	return d.spare
}

// appendLabel reads a LabelPair.
func (d *protobufDecoder) appendLabel(labels *[]LabelRef, message []byte) error {
	if err := d.weigh(); err != nil {
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

// usualLabel reads a LabelPair as all clients write it: a name and then a value, both of less than 128 bytes.
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

// nativeExemplar reads an exemplar of a native histogram into the series' list.
func (d *protobufDecoder) nativeExemplar(message []byte) error {
	var e pendingExemplar
	if err := d.exemplar(&e, message); err != nil {
		return err
	}
	d.addSeriesExemplar(e)
	return nil
}

// exemplar reads an Exemplar, or a part of it. Between the parts of one no other is read, so its labels are contiguous.
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

// addExemplar puts an exemplar into the Batch, its labels still being those in protobufScratch.
func (d *protobufDecoder) addExemplar(e pendingExemplar) int32 {
	i := int32(len(d.b.Exemplars))
	ns, ok := e.time.unixNano()
	d.b.Exemplars = append(d.b.Exemplars, Exemplar{
		Labels: e.labels, Value: e.value, TimestampNs: ns, HasTimestamp: ok, Next: None,
	})
	return i
}

// addSeriesExemplar puts an exemplar at the end of the series' list.
func (d *protobufDecoder) addSeriesExemplar(e pendingExemplar) {
	i := d.addExemplar(e)
	if d.metric.lastExemplar == None {
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

// timestamp reads a Timestamp, or a part of it.
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

// unixNano is the time in nanoseconds since the epoch. A time before the epoch, after 2262 or with nanoseconds that are
// none is as good as absent: neither int64 nor OTLP's unsigned nanoseconds hold it, and as it only accompanies a value,
// it is no reason to refuse the push, in a Pushgateway neither.
func (t timestamp) unixNano() (ns int64, ok bool) {
	const maxSeconds = math.MaxInt64/1_000_000_000 - 1
	if !t.present || t.seconds < 0 || t.seconds > maxSeconds || t.nanos < 0 || t.nanos > 999_999_999 {
		return 0, false
	}
	return t.seconds*1_000_000_000 + int64(t.nanos), true
}
