// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import "math"

// The keys of the fields of io.prometheus.client's values, message by message. A repeated number has two keys, since it
// may come packed.
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

	nativeSchema               = 5<<3 | wireVarint // from here on still fields of Histogram
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

// value reads the value of a Metric, or a part of it.
func (d *protobufDecoder) value(f field) error {
	switch f.key {
	case metricCounter:
		return d.counter(f.data)
	case metricSummary:
		return d.summary(f.data)
	case metricHistogram:
		return d.histogram(f.data)
	default: // Gauge and Untyped look the same
		return d.number(f.data)
	}
}

func (d *protobufDecoder) number(message []byte) error {
	for len(message) > 0 {
		f, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		if f.key == numberValue {
			d.b.Series[d.metric.series].Value = math.Float64frombits(f.scalar)
		}
	}
	return nil
}

func (d *protobufDecoder) counter(message []byte) error {
	for len(message) > 0 {
		f, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		switch f.key {
		case numberValue:
			d.b.Series[d.metric.series].Value = math.Float64frombits(f.scalar)
		case counterExemplar:
			err = d.exemplar(&d.metric.exemplar, f.data)
		case counterCreated:
			err = d.timestamp(&d.metric.created, f.data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *protobufDecoder) summary(message []byte) error {
	i := d.b.Series[d.metric.series].Complex
	if i == None {
		i = d.b.addSummary(d.metric.series)
	}
	for len(message) > 0 {
		f, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		s := &d.b.Summaries[i]
		switch f.key {
		case summaryCount:
			s.Count, s.HasCount = f.scalar, true
		case summarySum:
			s.Sum, s.HasSum = math.Float64frombits(f.scalar), true
		case summaryQuantile:
			err = d.quantile(i, f.data)
		case summaryCreated:
			err = d.timestamp(&d.metric.created, f.data)
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
		f, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		switch f.key {
		case quantileQuantile:
			quantile = math.Float64frombits(f.scalar)
		case quantileValue:
			value = math.Float64frombits(f.scalar)
		}
	}
	d.b.addQuantile(summary, quantile, value)
	return nil
}

func (d *protobufDecoder) histogram(message []byte) error {
	i := d.b.Series[d.metric.series].Complex
	if i == None {
		i = d.b.addHistogram(d.metric.series)
	}
	for len(message) > 0 {
		f, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		var err error
		h := &d.b.Histograms[i]
		switch f.key {
		case histogramCount:
			h.Count, h.HasCount = f.scalar, true
		case histogramCountFloat:
			h.CountFloat, h.HasCount = math.Float64frombits(f.scalar), true
		case histogramSum:
			h.Sum, h.HasSum = math.Float64frombits(f.scalar), true
		case histogramBucket:
			err = d.bucket(i, f.data)
		case histogramCreated:
			err = d.timestamp(&d.metric.created, f.data)
		case histogramExemplar:
			err = d.nativeExemplar(f.data)
		default:
			err = d.nativeField(h, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *protobufDecoder) bucket(histogram int32, message []byte) error {
	bucket := Bucket{Exemplar: None}
	var exemplar pendingExemplar
	for len(message) > 0 {
		f, n := consumeField(message)
		if n <= 0 {
			return d.malformed(message)
		}
		message = message[n:]
		switch f.key {
		case bucketCount:
			bucket.Count = f.scalar
		case bucketCountFloat:
			bucket.CountFloat = math.Float64frombits(f.scalar)
		case bucketUpperBound:
			bucket.UpperBound = math.Float64frombits(f.scalar)
		case bucketExemplar:
			if err := d.exemplar(&exemplar, f.data); err != nil {
				return err
			}
		}
	}
	if exemplar.present {
		bucket.Exemplar = d.addExemplar(exemplar)
	}
	d.b.addBucket(histogram, bucket)
	return nil
}

// nativeField reads a field of the native part of a histogram. Any such field makes the histogram have one; whether it
// is a native histogram is not for the decoder to say.
func (d *protobufDecoder) nativeField(h *HistogramValue, f field) (err error) {
	negative := &d.b.scratch.protobuf
	switch f.key {
	case nativeSchema:
		d.native(h).Schema = int32(zigZag(f.scalar & math.MaxUint32))
	case nativeZeroThreshold:
		d.native(h).ZeroThreshold = math.Float64frombits(f.scalar)
	case nativeZeroCount:
		d.native(h).ZeroCount = f.scalar
	case nativeZeroCountFloat:
		d.native(h).ZeroCountFloat = math.Float64frombits(f.scalar)
	case nativeNegativeSpan:
		d.native(h)
		negative.spans, err = d.appendSpan(negative.spans, f.data)
	case nativeNegativeDelta, nativeNegativeDeltasPacked:
		d.native(h)
		negative.deltas, err = d.appendDeltas(negative.deltas, f)
	case nativeNegativeCount, nativeNegativeCountsPacked:
		d.native(h)
		negative.counts, err = d.appendCounts(negative.counts, f)
	case nativePositiveSpan:
		d.native(h)
		d.b.Spans, err = d.appendSpan(d.b.Spans, f.data)
	case nativePositiveDelta, nativePositiveDeltasPacked:
		d.native(h)
		d.b.Deltas, err = d.appendDeltas(d.b.Deltas, f)
	case nativePositiveCount, nativePositiveCountsPacked:
		d.native(h)
		d.b.Counts, err = d.appendCounts(d.b.Counts, f)
	}
	return err
}

// native is the native part of the histogram. If there is none yet, it begins where the pools end.
func (d *protobufDecoder) native(h *HistogramValue) *NativeBuckets {
	b := d.b
	if h.Native == None {
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
		f, n := consumeField(message)
		if n <= 0 {
			return spans, d.malformed(message)
		}
		message = message[n:]
		switch f.key {
		case spanOffset:
			span.Offset = int32(zigZag(f.scalar & math.MaxUint32))
		case spanLength:
			span.Length = uint32(f.scalar)
		}
	}
	return append(spans, span), nil
}

// appendDeltas appends one delta, or all of a packed field: then a byte of body can become a delta of eight.
func (d *protobufDecoder) appendDeltas(deltas []int64, f field) ([]int64, error) {
	if f.key&7 == wireVarint {
		return append(deltas, zigZag(f.scalar)), nil
	}
	for packed := f.data; len(packed) > 0; {
		delta, n := consumeVarint(packed)
		if n <= 0 {
			return deltas, d.malformed(packed)
		}
		deltas, packed = append(deltas, zigZag(delta)), packed[n:]
	}
	return deltas, nil
}

// appendCounts appends one count, or all of a packed field.
func (d *protobufDecoder) appendCounts(counts []float64, f field) ([]float64, error) {
	if f.key&7 == wireFixed64 {
		return append(counts, math.Float64frombits(f.scalar)), nil
	}
	for packed := f.data; len(packed) > 0; {
		count, n := consumeFixed64(packed)
		if n <= 0 {
			return counts, d.malformed(packed)
		}
		counts, packed = append(counts, math.Float64frombits(count)), packed[n:]
	}
	return counts, nil
}

// finishNative ends the positive side of the native histogram read last and puts the negative side after it.
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

// appendRange appends part to the pool and returns its place there.
func appendRange[E any](pool, part []E) ([]E, Range) {
	start := int32(len(pool))
	pool = append(pool, part...)
	return pool, Range{start, int32(len(pool))}
}
