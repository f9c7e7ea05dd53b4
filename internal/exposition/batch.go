// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

// None is the index that ends a list and marks an absent part.
const None int32 = -1

// Type is the type of a metric family.
type Type uint8

// The types of the text format, of OpenMetrics and of the protobuf format together.
const (
	Untyped Type = iota // "untyped" in the text format, "unknown" in OpenMetrics
	Counter
	Gauge
	Summary
	Histogram
	GaugeHistogram
	Info
	StateSet
)

var typeNames = [...]string{
	Untyped: "unknown", Counter: "counter", Gauge: "gauge", Summary: "summary",
	Histogram: "histogram", GaugeHistogram: "gaugehistogram", Info: "info", StateSet: "stateset",
}

// String spells the type as OpenMetrics does, which is also how "prometheus.type" is written in pdata.
func (t Type) String() string { return typeNames[t] }

// Batch holds one decoded push in flat pools: everything that grows with the push is an element of one of its slices,
// and parts refer to each other by index. A Batch is reused; Reset forgets its contents and keeps the memory.
//
// Its strings are views into the decoded body (or, where an escape had to be resolved, into memory of the Batch). They
// are valid until the body is changed or the Batch is reset, so whoever keeps one longer must clone it. Only the few of the
// families are there as such. Those of labels, most of what a Batch holds, are places in the body: half as large, and nothing
// for the garbage collector to follow, which takes 5 % off the time of a push of 10,000 gauges.
type Batch struct {
	Families   []Family
	Series     []Series
	Labels     []LabelRef
	Histograms []HistogramValue
	Buckets    []Bucket
	Natives    []NativeBuckets
	Spans      []Span
	Deltas     []int64
	Counts     []float64
	Summaries  []SummaryValue
	Quantiles  []Quantile
	Exemplars  []Exemplar

	// SharedName tells that several families have one name, as they may in OpenMetrics.
	SharedName bool
	// OnlyPushed tells that a sum or count that was not pushed is absent, as in OpenMetrics. Else it is 0, as a Pushgateway shows it.
	OnlyPushed bool
	// ValidValues tells that the decoder has checked all label values to be UTF-8.
	ValidValues bool

	body    string
	scratch scratch
}

// Size is the size of the decoded body in bytes.
func (b *Batch) Size() int { return len(b.body) }

// Family is a metric family. Its series form a list that starts at First, in the order in which they were pushed; a
// family without series has First == None and is to be passed over.
type Family struct {
	Name string
	Help string // may hold invalid UTF-8, as in a Pushgateway
	Unit string
	Type Type

	// GaugeSuffixes tells that the sum and count of these gauge histograms are called _gsum and _gcount, as OpenMetrics
	// has it.
	GaugeSuffixes bool
	// Named tells that the family was pushed whether it has series or not, as in protobuf. In the text formats one without
	// samples was only announced, and a Pushgateway drops it.
	Named bool

	First int32 // index into Batch.Series
	last  int32
	typed bool // a TYPE line or a sample has settled the type
}

// Series is one label set of a family with its value: one data point.
type Series struct {
	Labels Range // of Batch.Labels, in the order pushed; `le` and `quantile` are not among them where they are structure

	// Value is the value of a counter, gauge, untyped, info or stateset series.
	Value float64
	// Complex indexes Batch.Histograms for histograms and gauge histograms, and Batch.Summaries for summaries.
	// It is None for all other types.
	Complex int32
	// Exemplar heads the list of this series' own exemplars (a counter's, or those of a native histogram).
	Exemplar int32

	// TimestampMs is the explicit timestamp in milliseconds, meaningful if HasTimestamp. Zero is a timestamp too.
	TimestampMs int64
	// CreatedNs is the created timestamp in nanoseconds since the epoch; 0 if there was none.
	CreatedNs int64

	Line         int32 // 1-based line of the first sample in a text format; 0 in protobuf
	Next         int32 // index of the family's next series
	HasTimestamp bool
	// SameNames tells that the labels are known to have the names of those of the series before it in Batch.Series, in the
	// same order. They may also if it is not set.
	SameNames bool
	// Mismatched tells that a protobuf message carried no value of its family's type.
	Mismatched bool
	family     int32
}

// Label is a label of a series or exemplar.
type Label struct{ Name, Value string }

// LabelRef is a label by the places of its name and value. [Batch.LabelsIn], [Batch.Name] and [Batch.Value] tell what stands there.
type LabelRef struct{ name, value textRef }

// Range is a part of a pool: elements Start up to, not including, End.
type Range struct{ Start, End int32 }

// HistogramValue is the value of a (gauge) histogram.
type HistogramValue struct {
	Count      uint64
	CountFloat float64 // overrides Count unless 0; set where the count is no whole number
	Sum        float64
	HasCount   bool
	HasSum     bool

	FirstBucket int32 // list of classic buckets in the order pushed, +Inf among them if it was pushed
	lastBucket  int32
	Native      int32 // index into Batch.Natives, or None
}

// Bucket is a classic, cumulative bucket.
type Bucket struct {
	UpperBound float64
	Count      uint64
	CountFloat float64 // overrides Count unless 0
	Exemplar   int32   // at most one; None without
	Next       int32
}

// NativeBuckets is the native part of a histogram, as in the protobuf format: either deltas or absolute counts.
type NativeBuckets struct {
	Schema         int32
	ZeroThreshold  float64
	ZeroCount      uint64
	ZeroCountFloat float64 // overrides ZeroCount unless 0
	PositiveSpans  Range   // of Batch.Spans
	NegativeSpans  Range
	PositiveDeltas Range // of Batch.Deltas
	NegativeDeltas Range
	PositiveCounts Range // of Batch.Counts
	NegativeCounts Range
}

// Span is a run of consecutive native buckets.
type Span struct {
	Offset int32 // gap to the previous span, or the index of the first bucket
	Length uint32
}

// SummaryValue is the value of a summary.
type SummaryValue struct {
	Count    uint64
	Sum      float64
	HasCount bool
	HasSum   bool

	FirstQuantile int32 // list in the order pushed
	lastQuantile  int32
}

// Quantile is one quantile of a summary.
type Quantile struct {
	Quantile float64
	Value    float64
	Next     int32
}

// Exemplar is an exemplar of a counter, a classic bucket or a native histogram.
type Exemplar struct {
	Labels       Range
	Value        float64
	TimestampNs  int64 // meaningful if HasTimestamp
	Next         int32
	HasTimestamp bool
}
