// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// referenceDecode unmarshals message by message, as a Pushgateway does. Unlike a Pushgateway, it merges families of one
// name and type and refuses unknown types.
func referenceDecode(body []byte) ([]*dto.MetricFamily, error) {
	var families []*dto.MetricFamily
	reader := bytes.NewReader(body)
	for {
		rest := body[len(body)-reader.Len():]
		size, n := protowire.ConsumeVarint(rest)
		if n > 0 && size > uint64(len(rest)-n) {
			return nil, io.ErrUnexpectedEOF // the reference would allocate the size first
		}
		if err := unknownType(rest, n, size); err != nil {
			return nil, err
		}
		family := &dto.MetricFamily{}
		err := protodelim.UnmarshalOptions{MaxSize: -1}.UnmarshalFrom(reader, family)
		switch {
		case errors.Is(err, io.EOF):
			return families, nil
		case err != nil:
			return nil, err
		}
		families = addReference(families, family)
	}
}

// unknownType refuses a message whose last type is not in the enum. size is its length, after n bytes of length.
func unknownType(body []byte, n int, size uint64) error {
	if n <= 0 {
		return nil
	}
	family, name, last := body[n:n+int(size)], "", uint64(0)
	for len(family) > 0 {
		number, wireType, length := protowire.ConsumeField(family)
		if length < 0 {
			return nil // Go's protobuf refuses it.
		}
		_, _, tagLength := protowire.ConsumeTag(family)
		switch value := family[tagLength:]; {
		case number == 1 && wireType == protowire.BytesType:
			name, _ = protowire.ConsumeString(value)
		case number == 3 && wireType == protowire.VarintType:
			last, _ = protowire.ConsumeVarint(value)
		}
		family = family[length:]
	}
	if _, ok := dto.MetricType_name[int32(last)]; !ok {
		return fmt.Errorf("metric family %.300q has an unknown type: %d", name, int32(last))
	}
	return nil
}

// addReference merges a family into that of its name and type, if any.
func addReference(families []*dto.MetricFamily, family *dto.MetricFamily) []*dto.MetricFamily {
	for _, f := range slices.Backward(families) {
		if f.GetName() != family.GetName() {
			continue
		}
		if f.GetType() != family.GetType() && len(f.Metric) > 0 && len(family.Metric) > 0 {
			break
		}
		if len(f.Metric) == 0 {
			f.Type = family.Type
		}
		f.Metric = append(f.Metric, family.Metric...)
		if f.GetHelp() == "" {
			f.Help = family.Help
		}
		if f.GetUnit() == "" {
			f.Unit = family.Unit
		}
		return families
	}
	return append(families, family)
}

// dumpReference writes families as dumpBatch does.
func dumpReference(families []*dto.MetricFamily) string {
	var lines []string
	for _, family := range families {
		if len(family.Metric) == 0 {
			continue
		}
		kind := referenceTypes[family.GetType()]
		text := fmt.Sprintf("%s %q help=%q unit=%q", kind, family.GetName(), family.GetHelp(), family.GetUnit())
		for _, m := range family.Metric {
			text += "\n  " + dumpMetric(kind, m)
		}
		lines = append(lines, text)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

var referenceTypes = map[dto.MetricType]exposition.Type{
	dto.MetricType_COUNTER: exposition.Counter, dto.MetricType_GAUGE: exposition.Gauge,
	dto.MetricType_SUMMARY: exposition.Summary, dto.MetricType_UNTYPED: exposition.Untyped,
	dto.MetricType_HISTOGRAM: exposition.Histogram, dto.MetricType_GAUGE_HISTOGRAM: exposition.GaugeHistogram,
}

func dumpMetric(kind exposition.Type, m *dto.Metric) string {
	text := dumpPairs(m.Label)
	if m.TimestampMs != nil {
		text += fmt.Sprintf(" @%d", *m.TimestampMs)
	}
	switch {
	case kind == exposition.Counter && m.Counter != nil:
		text += dumpCreated(m.Counter.CreatedTimestamp) + " " + float(m.Counter.GetValue()) + dumpExemplar(m.Counter.Exemplar)
	case kind == exposition.Gauge && m.Gauge != nil:
		text += " " + float(m.Gauge.GetValue())
	case kind == exposition.Untyped && m.Untyped != nil:
		text += " " + float(m.Untyped.GetValue())
	case kind == exposition.Summary && m.Summary != nil:
		text += dumpCreated(m.Summary.CreatedTimestamp) + dumpSummary(m.Summary)
	case (kind == exposition.Histogram || kind == exposition.GaugeHistogram) && m.Histogram != nil:
		text += dumpCreated(m.Histogram.CreatedTimestamp) + dumpHistogram(m.Histogram)
	default:
		text += " mismatched"
	}
	return text
}

func dumpSummary(s *dto.Summary) string {
	text := count(s.SampleCount != nil, s.GetSampleCount(), 0) + sum(s.SampleSum != nil, s.GetSampleSum())
	for _, q := range s.Quantile {
		text += fmt.Sprintf(" q(%s)=%s", float(q.GetQuantile()), float(q.GetValue()))
	}
	return text
}

func dumpHistogram(h *dto.Histogram) string {
	text := count(h.SampleCount != nil || h.SampleCountFloat != nil, h.GetSampleCount(), h.GetSampleCountFloat()) +
		sum(h.SampleSum != nil, h.GetSampleSum())
	for _, b := range h.Bucket {
		text += fmt.Sprintf(" le(%s)%s%s", float(b.GetUpperBound()),
			count(true, b.GetCumulativeCount(), b.GetCumulativeCountFloat()), dumpExemplar(b.Exemplar))
	}
	text += native(h.GetSchema(), h.GetZeroThreshold(), h.GetZeroCount(), h.GetZeroCountFloat(),
		dumpSide(spans(h.PositiveSpan), h.PositiveDelta, h.PositiveCount),
		dumpSide(spans(h.NegativeSpan), h.NegativeDelta, h.NegativeCount))
	for _, e := range h.Exemplars {
		text += dumpExemplar(e)
	}
	return text
}

func spans(in []*dto.BucketSpan) (out []exposition.Span) {
	for _, s := range in {
		out = append(out, exposition.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	return out
}

func dumpPairs(pairs []*dto.LabelPair) string {
	labels := make([]exposition.Label, len(pairs))
	for i, p := range pairs {
		labels[i] = exposition.Label{Name: p.GetName(), Value: p.GetValue()}
	}
	return dumpLabels(labels)
}

func dumpExemplar(e *dto.Exemplar) string {
	if e == nil {
		return ""
	}
	text := " # " + dumpPairs(e.Label) + " " + float(e.GetValue())
	if ns, ok := nanoseconds(e.Timestamp); ok {
		text += fmt.Sprintf(" @%d", ns)
	}
	return text
}

func dumpCreated(t *timestamppb.Timestamp) string {
	if ns, ok := nanoseconds(t); ok && ns != 0 {
		return fmt.Sprintf(" created=%d", ns)
	}
	return ""
}

// nanoseconds converts t if it fits int64 nanoseconds, except for about the last second.
func nanoseconds(t *timestamppb.Timestamp) (int64, bool) {
	last := time.Unix(math.MaxInt64/int64(time.Second), 0)
	if !t.IsValid() || t.AsTime().Before(time.Unix(0, 0)) || !t.AsTime().Before(last) {
		return 0, false
	}
	return t.AsTime().UnixNano(), true
}

// dumpBatch writes the families that have series, sorted, with one line per series.
func dumpBatch(b *exposition.Batch) string {
	var lines []string
	for _, f := range b.Families {
		if f.First == exposition.NoIndex {
			continue
		}
		text := fmt.Sprintf("%s %q help=%q unit=%q", f.Type, f.Name, f.Help, f.Unit)
		for i := f.First; i != exposition.NoIndex; i = b.Series[i].Next {
			text += "\n  " + dumpSeries(b, f.Type, b.Series[i])
		}
		lines = append(lines, text)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func dumpSeries(b *exposition.Batch, kind exposition.Type, s exposition.Series) string {
	text := dumpLabels(slices.Collect(b.LabelsIn(s.Labels)))
	if s.HasTimestamp {
		text += fmt.Sprintf(" @%d", s.TimestampMs)
	}
	if s.CreatedNs != 0 {
		text += fmt.Sprintf(" created=%d", s.CreatedNs)
	}
	switch {
	case s.Mismatched:
		text += " mismatched"
	case kind == exposition.Summary:
		text += dumpSummaryValue(b, b.Summaries[s.ValueIndex])
	case kind == exposition.Histogram || kind == exposition.GaugeHistogram:
		text += dumpHistogramValue(b, b.Histograms[s.ValueIndex])
	default:
		text += " " + float(s.Value)
	}
	return text + dumpExemplars(b, s.Exemplar)
}

func dumpSummaryValue(b *exposition.Batch, s exposition.SummaryValue) string {
	text := count(s.HasCount, s.Count, 0) + sum(s.HasSum, s.Sum)
	for i := s.FirstQuantile; i != exposition.NoIndex; i = b.Quantiles[i].Next {
		text += fmt.Sprintf(" q(%s)=%s", float(b.Quantiles[i].Quantile), float(b.Quantiles[i].Value))
	}
	return text
}

func dumpHistogramValue(b *exposition.Batch, h exposition.HistogramValue) string {
	text := count(h.HasCount, h.Count, h.CountFloat) + sum(h.HasSum, h.Sum)
	for i := h.FirstBucket; i != exposition.NoIndex; i = b.Buckets[i].Next {
		bucket := b.Buckets[i]
		text += fmt.Sprintf(" le(%s)%s%s", float(bucket.UpperBound), count(true, bucket.Count, bucket.CountFloat),
			dumpExemplars(b, bucket.Exemplar))
	}
	if h.Native == exposition.NoIndex {
		return text
	}
	n := b.Natives[h.Native]
	return text + native(n.Schema, n.ZeroThreshold, n.ZeroCount, n.ZeroCountFloat,
		dumpSide(part(b.Spans, n.PositiveSpans), part(b.Deltas, n.PositiveDeltas), part(b.Counts, n.PositiveCounts)),
		dumpSide(part(b.Spans, n.NegativeSpans), part(b.Deltas, n.NegativeDeltas), part(b.Counts, n.NegativeCounts)))
}

func dumpExemplars(b *exposition.Batch, first int32) (text string) {
	for i := first; i != exposition.NoIndex; i = b.Exemplars[i].Next {
		e := b.Exemplars[i]
		text += " # " + dumpLabels(slices.Collect(b.LabelsIn(e.Labels))) + " " + float(e.Value)
		if e.HasTimestamp {
			text += fmt.Sprintf(" @%d", e.TimestampNs)
		}
	}
	return text
}

func part[E any](pool []E, r exposition.Range) []E { return pool[r.Start:r.End] }

func dumpLabels(labels []exposition.Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = fmt.Sprintf("%q=%q", l.Name, l.Value)
	}
	return "{" + strings.Join(texts, ",") + "}"
}

func dumpSide(spans []exposition.Span, deltas []int64, counts []float64) (text string) {
	for _, s := range spans {
		text += fmt.Sprintf(" %d:%d", s.Offset, s.Length)
	}
	for _, d := range deltas {
		text += fmt.Sprintf(" %+d", d)
	}
	for _, c := range counts {
		text += " " + float(c)
	}
	return text
}

// native returns "" for an empty native part, which an empty packed field creates in the decoder but not in the
// reference.
func native(schema int32, threshold float64, zero uint64, zeroFloat float64, positive, negative string) string {
	if schema == 0 && math.Float64bits(threshold) == 0 && zero == 0 && math.Float64bits(zeroFloat) == 0 &&
		positive == "" && negative == "" {
		return ""
	}
	return fmt.Sprintf(" native(%d zero %s%s pos%s neg%s)",
		schema, float(threshold), count(true, zero, zeroFloat), positive, negative)
}

func count(present bool, n uint64, f float64) string {
	switch {
	case !present:
		return ""
	case math.Float64bits(f) != 0:
		return fmt.Sprintf(" count=%d/%s", n, float(f))
	default:
		return fmt.Sprintf(" count=%d", n)
	}
}

func sum(present bool, v float64) string {
	if !present {
		return ""
	}
	return " sum=" + float(v)
}

// float formats v, and a NaN by its bits.
func float(v float64) string {
	if math.IsNaN(v) {
		return fmt.Sprintf("NaN(%x)", math.Float64bits(v))
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
