// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import "math"

// Field keys of io.prometheus.client's values by message. A repeated number has a second key for the packed form.
const (
	numberValue = 1<<3 | wireFixed64 // of Counter, Gauge and Untyped

	counterExemplar = 2<<3 | wireBytes
	counterCreated  = 3<<3 | wireBytes

	summaryCount    = 1<<3 | wireVarint
	summarySum      = 2<<3 | wireFixed64
	summaryQuantile = 3<<3 | wireBytes
	summaryCreated  = 4<<3 | wireBytes

	histogramCount      = 1<<3 | wireVarint
	histogramSum        = 2<<3 | wireFixed64
	histogramBucket     = 3<<3 | wireBytes
	histogramCountFloat = 4<<3 | wireFixed64
	histogramCreated    = 15<<3 | wireBytes
	histogramExemplar   = 16<<3 | wireBytes

	nativeSchema               = 5<<3 | wireVarint // more fields of Histogram
	nativeZeroThreshold        = 6<<3 | wireFixed64
	nativeZeroCount            = 7<<3 | wireVarint
	nativeZeroCountFloat       = 8<<3 | wireFixed64
	nativeNegativeSpan         = 9<<3 | wireBytes
	nativeNegativeDelta        = 10<<3 | wireVarint
	nativeNegativeDeltasPacked = 10<<3 | wireBytes
	nativeNegativeCount        = 11<<3 | wireFixed64
	nativeNegativeCountsPacked = 11<<3 | wireBytes
	nativePositiveSpan         = 12<<3 | wireBytes
	nativePositiveDelta        = 13<<3 | wireVarint
	nativePositiveDeltasPacked = 13<<3 | wireBytes
	nativePositiveCount        = 14<<3 | wireFixed64
	nativePositiveCountsPacked = 14<<3 | wireBytes

	bucketCount      = 1<<3 | wireVarint
	bucketUpperBound = 2<<3 | wireFixed64
	bucketExemplar   = 3<<3 | wireBytes
	bucketCountFloat = 4<<3 | wireFixed64

	spanOffset = 1<<3 | wireVarint
	spanLength = 2<<3 | wireVarint

	quantileQuantile = 1<<3 | wireFixed64
	quantileValue    = 2<<3 | wireFixed64
)

// value reads the value of a Metric or a part of it.
func (d *protobufDecoder) value(key uint64, data []byte) error {
	switch key {
	case metricCounter:
		return d.counter(data)
	case metricSummary:
		return d.summary(data)
	case metricHistogram:
		return d.histogram(data)
	default: // Gauge and Untyped have the same field.
		return d.number(data)
	}
}

func (d *protobufDecoder) number(message []byte) error {
	for len(message) > 0 {
		key, scalar, _, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		if key == numberValue {
			d.b.Series[d.metric.series].Value = math.Float64frombits(scalar)
		}
	}
	return nil
}

func (d *protobufDecoder) counter(message []byte) error {
	for len(message) > 0 {
		key, scalar, data, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		switch key {
		case numberValue:
			d.b.Series[d.metric.series].Value = math.Float64frombits(scalar)
		case counterExemplar:
			err = d.exemplar(&d.metric.exemplar, data)
		case counterCreated:
			err = d.timestamp(&d.metric.created, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *protobufDecoder) summary(message []byte) error {
	i := d.b.Series[d.metric.series].ValueIndex
	if i == NoIndex {
		i = d.b.addSummary(d.metric.series)
	}
	for len(message) > 0 {
		key, scalar, data, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		s := &d.b.Summaries[i]
		switch key {
		case summaryCount:
			s.Count, s.HasCount = scalar, true
		case summarySum:
			s.Sum, s.HasSum = math.Float64frombits(scalar), true
		case summaryQuantile:
			err = d.quantile(i, data)
		case summaryCreated:
			err = d.timestamp(&d.metric.created, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *protobufDecoder) quantile(summary int32, message []byte) error {
	var quantile, value float64
	for len(message) > 0 {
		key, scalar, _, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		switch key {
		case quantileQuantile:
			quantile = math.Float64frombits(scalar)
		case quantileValue:
			value = math.Float64frombits(scalar)
		}
	}
	d.b.addQuantile(summary, quantile, value)
	return d.checkMemory()
}

func (d *protobufDecoder) histogram(message []byte) error {
	i := d.b.Series[d.metric.series].ValueIndex
	if i == NoIndex {
		i = d.b.addHistogram(d.metric.series)
	}
	for len(message) > 0 {
		key, scalar, data, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		h := &d.b.Histograms[i]
		switch key {
		case histogramCount:
			h.Count, h.HasCount = scalar, true
		case histogramCountFloat:
			h.CountFloat, h.HasCount = math.Float64frombits(scalar), true
		case histogramSum:
			h.Sum, h.HasSum = math.Float64frombits(scalar), true
		case histogramBucket:
			err = d.bucket(i, data)
		case histogramCreated:
			err = d.timestamp(&d.metric.created, data)
		case histogramExemplar:
			err = d.nativeExemplar(data)
		default:
			message, err = d.nativeField(h, key, scalar, data, message)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *protobufDecoder) bucket(histogram int32, message []byte) error {
	bucket := d.b.addBucket(histogram)
	var exemplar pendingExemplar
	for len(message) > 0 {
		key, scalar, data, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		switch key {
		case bucketCount:
			bucket.Count = scalar
		case bucketCountFloat:
			bucket.CountFloat = math.Float64frombits(scalar)
		case bucketUpperBound:
			bucket.UpperBound = math.Float64frombits(scalar)
		case bucketExemplar:
			if err := d.exemplar(&exemplar, data); err != nil {
				return err
			}
		}
	}
	if exemplar.present {
		bucket.Exemplar = d.addExemplar(exemplar)
	}
	return d.checkMemory()
}

// nativeField reads a field of the native part of a histogram and returns the rest of the message. The decoder does not
// judge whether the part is a native histogram.
func (d *protobufDecoder) nativeField(
	h *HistogramValue, key, scalar uint64, data, message []byte,
) (rest []byte, err error) {
	negative := &d.b.scratch.protobuf
	switch key {
	case nativeSchema:
		d.native(h).Schema = int32(zigZag(scalar & math.MaxUint32))
	case nativeZeroThreshold:
		d.native(h).ZeroThreshold = math.Float64frombits(scalar)
	case nativeZeroCount:
		d.native(h).ZeroCount = scalar
	case nativeZeroCountFloat:
		d.native(h).ZeroCountFloat = math.Float64frombits(scalar)
	case nativeNegativeSpan:
		d.native(h)
		negative.spans, err = d.appendSpan(negative.spans, data)
	case nativeNegativeDelta:
		d.native(h)
		return d.appendDeltas(&negative.deltas, key, scalar, message)
	case nativeNegativeDeltasPacked:
		d.native(h)
		err = d.appendPackedDeltas(&negative.deltas, data)
	case nativeNegativeCount, nativeNegativeCountsPacked:
		d.native(h)
		err = d.appendCounts(&negative.counts, key, scalar, data)
	case nativePositiveSpan:
		d.native(h)
		d.b.Spans, err = d.appendSpan(d.b.Spans, data)
	case nativePositiveDelta:
		d.native(h)
		return d.appendDeltas(&d.b.Deltas, key, scalar, message)
	case nativePositiveDeltasPacked:
		d.native(h)
		err = d.appendPackedDeltas(&d.b.Deltas, data)
	case nativePositiveCount, nativePositiveCountsPacked:
		d.native(h)
		err = d.appendCounts(&d.b.Counts, key, scalar, data)
	}
	return message, err
}

// native returns the native part of the histogram and creates it if needed.
func (d *protobufDecoder) native(h *HistogramValue) *NativeBuckets {
	b := d.b
	if h.Native == NoIndex {
		h.Native = int32(len(b.Natives))
		b.Natives = append(b.Natives, NativeBuckets{
			PositiveSpans:  Range{Start: int32(len(b.Spans))},
			PositiveDeltas: Range{Start: int32(len(b.Deltas))},
			PositiveCounts: Range{Start: int32(len(b.Counts))},
		})
		d.metric.hasNative = true
	}
	return &b.Natives[h.Native]
}

func (d *protobufDecoder) appendSpan(spans []Span, message []byte) ([]Span, error) {
	var span Span
	for len(message) > 0 {
		key, scalar, _, n := consumeField(message)
		if n <= 0 {
			return spans, d.malformed(message)
		}
		message = message[n:]
		switch key {
		case spanOffset:
			span.Offset = int32(zigZag(scalar & math.MaxUint32))
		case spanLength:
			span.Length = uint32(scalar)
		}
	}
	return append(spans, span), d.checkMemory()
}

// appendDeltas appends a delta and those that directly follow it under the same key: clients write one field for each
// delta. It returns the rest of the message. Deltas of more than two bytes are left to consumeField.
func (d *protobufDecoder) appendDeltas(deltas *[]int64, key, scalar uint64, message []byte) (rest []byte, err error) {
	*deltas = append(*deltas, zigZag(scalar))
	err = d.checkMemory()
	pos := 0
	for err == nil && pos < len(message) && uint64(message[pos]) == key {
		delta, n := consumeShortVarint(message[pos+1:])
		if n == 0 {
			break
		}
		*deltas = append(*deltas, zigZag(delta))
		pos += 1 + n
		err = d.checkMemory()
	}
	return message[pos:], err
}

// appendPackedDeltas appends all deltas of a packed field. A byte of the body can become a delta of eight bytes.
func (d *protobufDecoder) appendPackedDeltas(deltas *[]int64, packed []byte) error {
	for len(packed) > 0 {
		delta, n := consumeVarint(packed)
		if n <= 0 {
			return d.malformed(packed)
		}
		*deltas, packed = append(*deltas, zigZag(delta)), packed[n:]
		if err := d.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// appendCounts appends one count or all counts of a packed field.
func (d *protobufDecoder) appendCounts(counts *[]float64, key, scalar uint64, data []byte) error {
	if key&7 == wireFixed64 {
		*counts = append(*counts, math.Float64frombits(scalar))
		return d.checkMemory()
	}
	for packed := data; len(packed) > 0; {
		count, n := consumeFixed64(packed)
		if n <= 0 {
			return d.malformed(packed)
		}
		*counts, packed = append(*counts, math.Float64frombits(count)), packed[n:]
		if err := d.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// finishNative completes the positive side of the last native histogram and appends the negative side.
func (d *protobufDecoder) finishNative() {
	b, negative := d.b, &d.b.scratch.protobuf
	n := &b.Natives[len(b.Natives)-1]
	n.PositiveSpans.End = int32(len(b.Spans))
	n.PositiveDeltas.End = int32(len(b.Deltas))
	n.PositiveCounts.End = int32(len(b.Counts))
	b.Spans, n.NegativeSpans = appendRange(b.Spans, negative.spans)
	b.Deltas, n.NegativeDeltas = appendRange(b.Deltas, negative.deltas)
	b.Counts, n.NegativeCounts = appendRange(b.Counts, negative.counts)
	negative.reset()
}

// appendRange appends part to the pool and returns its range.
func appendRange[E any](pool, part []E) ([]E, Range) {
	start := int32(len(pool))
	pool = append(pool, part...)
	return pool, Range{start, int32(len(pool))}
}
