// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

// NoIndex ends a list and marks an absent part.
const NoIndex int32 = -1

// Type is the type of a metric family.
type Type uint8

// The types of the text format, OpenMetrics and protobuf.
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

// String returns the OpenMetrics spelling, which pdata carries as "prometheus.type".
func (t Type) String() string { return typeNames[t] }

// Batch holds one decoded push. Each slice is a pool, and parts refer to each other by index. [Batch.Reset] empties a
// Batch and keeps its memory.
//
// Strings are views into the decoded body, or into memory of the Batch where an escape was resolved. They are valid until
// the body changes or the Batch is reset; clone a string to keep it longer. Labels are offsets into the body instead of
// strings: they need half the memory and the garbage collector does not scan them.
//
// A Batch is not safe for concurrent use.
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

	// SharedName says that several families have one name. Only OpenMetrics and protobuf allow this.
	SharedName bool
	// OnlyPushed says that a missing sum or count is absent, as in OpenMetrics. Otherwise it is 0, as in a Pushgateway.
	OnlyPushed bool
	// ValidValues says that the decoder checked all label values to be UTF-8.
	ValidValues bool

	body    string
	scratch scratch
}

// Size returns the size of the decoded body in bytes.
func (b *Batch) Size() int { return len(b.body) }

// Family is a metric family. Its series form a list that starts at First, in the order of the push. Skip a family whose
// First is NoIndex: it has no series.
type Family struct {
	Name string
	Help string // may be invalid UTF-8, as in a Pushgateway
	Unit string
	Type Type

	// GaugeSuffixes says that these gauge histograms use _gsum and _gcount, as in OpenMetrics.
	GaugeSuffixes bool
	// Named says that the family counts as pushed even without series, as in protobuf. In the text formats a family
	// without samples is dropped, as in a Pushgateway.
	Named bool

	First int32 // index into Batch.Series
	last  int32
	typed bool // set by a TYPE line or a sample
}

// Series is one data point: a label set of a family with its value.
type Series struct {
	Labels Range // of Batch.Labels, in the order of the push; without a structural `le` or `quantile`

	// Value is the value of a counter, gauge, untyped, info or stateset series.
	Value float64
	// ValueIndex is an index into Batch.Histograms or Batch.Summaries, by the family's type. It is NoIndex for all other
	// types.
	ValueIndex int32
	// Exemplar starts the list of exemplars of a counter or native histogram.
	Exemplar int32

	// TimestampMs is the explicit timestamp in milliseconds. It is valid if HasTimestamp is set, even when 0.
	TimestampMs int64
	// CreatedNs is the created timestamp in nanoseconds since the epoch, or 0.
	CreatedNs int64

	Line         int32 // 1-based line of the first sample; 0 in protobuf
	Next         int32 // index of the family's next series
	HasTimestamp bool
	// SameNames says that the label names equal those of the previous series in Batch.Series, in order. If it is not set,
	// they may still be equal.
	SameNames bool
	// Mismatched says that a protobuf message had no value of its family's type.
	Mismatched bool
	family     int32
}

// Label is a label of a series or exemplar.
type Label struct{ Name, Value string }

// LabelRef is a label as offsets. Read it with [Batch.LabelsIn], [Batch.Name] or [Batch.Value].
type LabelRef struct{ name, value textRef }

// Range is the half-open part [Start, End) of a pool.
type Range struct{ Start, End int32 }

// HistogramValue is the value of a histogram or gauge histogram.
type HistogramValue struct {
	Count      uint64
	CountFloat float64 // overrides Count unless 0; for counts that are not whole
	Sum        float64
	HasCount   bool
	HasSum     bool

	FirstBucket int32 // list of classic buckets in the order of the push, with +Inf if it was pushed
	lastBucket  int32
	Native      int32 // index into Batch.Natives, or NoIndex
}

// Bucket is a classic, cumulative bucket.
type Bucket struct {
	UpperBound float64
	Count      uint64
	CountFloat float64 // overrides Count unless 0
	Exemplar   int32   // at most one, or NoIndex
	Next       int32
}

// NativeBuckets is the native part of a histogram: either deltas or absolute counts.
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

	FirstQuantile int32 // list in the order of the push
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
	TimestampNs  int64 // valid if HasTimestamp is set
	Next         int32
	HasTimestamp bool
}
