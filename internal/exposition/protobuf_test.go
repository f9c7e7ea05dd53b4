// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// Manual encoding of fields that no encoder writes.

func tag(number protowire.Number, wireType protowire.Type) []byte {
	return protowire.AppendTag(nil, number, wireType)
}

func varint(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(tag(number, protowire.VarintType), v)
}

func sint(number protowire.Number, v int64) []byte { return varint(number, protowire.EncodeZigZag(v)) }

func double(number protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(tag(number, protowire.Fixed64Type), math.Float64bits(v))
}

func text(number protowire.Number, v string) []byte {
	return protowire.AppendString(tag(number, protowire.BytesType), v)
}

// message encodes a message field or a packed field.
func message(number protowire.Number, fields ...[]byte) []byte {
	return protowire.AppendBytes(tag(number, protowire.BytesType), slices.Concat(fields...))
}

func group(number protowire.Number, fields ...[]byte) []byte {
	return slices.Concat(tag(number, protowire.StartGroupType), slices.Concat(fields...), tag(number, protowire.EndGroupType))
}

// family encodes a delimited MetricFamily.
func family(fields ...[]byte) []byte { return protowire.AppendBytes(nil, slices.Concat(fields...)) }

func label(name, value string) []byte { return message(1, text(1, name), text(2, value)) }

// one encodes a counter's Metric with value 1.
func one(fields ...[]byte) []byte {
	return message(4, slices.Concat(fields...), message(3, double(1, 1)))
}

func histogramOf(fields ...[]byte) []byte {
	return family(text(1, "h"), varint(3, 4), message(4, message(7, fields...)))
}

// delimited encodes families as client_golang pushes them.
func delimited(families ...*dto.MetricFamily) []byte {
	var body bytes.Buffer
	for _, f := range families {
		if _, err := protodelim.MarshalTo(&body, f); err != nil {
			panic(err)
		}
	}
	return body.Bytes()
}

func of(name string, t dto.MetricType, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Type: &t, Metric: metrics}
}

func pair(name, value string) []*dto.LabelPair { return []*dto.LabelPair{{Name: &name, Value: &value}} }

var (
	created  = &timestamppb.Timestamp{Seconds: 1700000000, Nanos: 5}
	exemplar = &dto.Exemplar{Label: pair("trace_id", "abc"), Value: new(0.5), Timestamp: created}
	integers = &dto.Histogram{
		SampleCount: proto.Uint64(12), SampleSum: new(18.5), CreatedTimestamp: created,
		Schema: proto.Int32(-1), ZeroThreshold: new(0.25), ZeroCount: proto.Uint64(2),
		NegativeSpan: []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(2)}}, NegativeDelta: []int64{1, -1},
		PositiveSpan:  []*dto.BucketSpan{{Offset: proto.Int32(-3), Length: proto.Uint32(1)}, {Offset: proto.Int32(2), Length: proto.Uint32(1)}},
		PositiveDelta: []int64{2, 4}, Exemplars: []*dto.Exemplar{exemplar, {Value: proto.Float64(7)}},
	}
	floats = &dto.Histogram{
		SampleCountFloat: new(12.5), SampleSum: new(18.5), ZeroCountFloat: new(2.5),
		NegativeCount: []float64{0.5}, PositiveCount: []float64{3, 4.5},
	}
	classic = &dto.Histogram{SampleCount: proto.Uint64(5), SampleSum: new(12.5), Bucket: []*dto.Bucket{
		{UpperBound: proto.Float64(1), CumulativeCount: proto.Uint64(2), Exemplar: exemplar},
		{UpperBound: new(math.Inf(1)), CumulativeCountFloat: new(4.5)},
	}}
)

var protobufAccepted = []struct {
	name string
	body []byte
	want string
}{
	{"empty body", nil, ""},
	{"empty messages", []byte{0, 0, 0}, ""},
	{"family without metrics", delimited(of("c", dto.MetricType_COUNTER)), ""},
	{"family without a name", family(one()), `counter "" help="" unit=""` + "\n  {} 1"},
	{"help and unit", family(text(1, "c"), text(2, "a\nb"), text(5, "s"), one()), `counter "c" help="a\nb" unit="s"` + "\n  {} 1"},
	{"UTF-8 name", family(text(1, "a.ä"), one(label("l.ä", "v"))), `counter "a.ä" help="" unit=""` + "\n" + `  {"l.ä"="v"} 1`},
	{"no UTF-8", family(text(1, "\xff"), text(2, "\xfe"), one(label("\xfd", "\xfc"))), `counter "\xff" help="\xfe" unit=""` + "\n" + `  {"\xfd"="\xfc"} 1`},

	{"counter", delimited(of("c", dto.MetricType_COUNTER, &dto.Metric{Label: pair("l", "v"), Counter: &dto.Counter{Value: proto.Float64(7), Exemplar: exemplar, CreatedTimestamp: created}})), `counter "c" help="" unit=""` + "\n" + `  {"l"="v"} created=1700000000000000005 7 # {"trace_id"="abc"} 0.5 @1700000000000000005`},
	{"gauge", delimited(of("g", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: new(math.Inf(-1))}})), `gauge "g" help="" unit=""` + "\n  {} -Inf"},
	{"untyped", delimited(of("u", dto.MetricType_UNTYPED, &dto.Metric{Untyped: &dto.Untyped{Value: new(-0.5)}})), `unknown "u" help="" unit=""` + "\n  {} -0.5"},
	{"stale NaN", family(text(1, "c"), message(4, message(3, double(1, math.Float64frombits(0x7ff0000000000002))))), `counter "c" help="" unit=""` + "\n  {} NaN(7ff0000000000002)"},
	{"summary", delimited(of("s", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{SampleCount: proto.Uint64(10), SampleSum: proto.Float64(99), CreatedTimestamp: created, Quantile: []*dto.Quantile{{Quantile: new(0.5), Value: proto.Float64(4)}, {Quantile: new(0.99), Value: proto.Float64(9)}}}})), `summary "s" help="" unit=""` + "\n  {} created=1700000000000000005 count=10 sum=99 q(0.5)=4 q(0.99)=9"},
	{"histogram", delimited(of("h", dto.MetricType_HISTOGRAM, &dto.Metric{Label: pair("l", "v"), Histogram: classic})), `histogram "h" help="" unit=""` + "\n" + `  {"l"="v"} count=5 sum=12.5 le(1) count=2 # {"trace_id"="abc"} 0.5 @1700000000000000005 le(+Inf) count=0/4.5`},
	{"gauge histogram", delimited(of("h", dto.MetricType_GAUGE_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{SampleCount: proto.Uint64(5)}})), `gaugehistogram "h" help="" unit=""` + "\n  {} count=5"},
	{"native histogram", delimited(of("h", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: integers})), `histogram "h" help="" unit=""` + "\n" + `  {} created=1700000000000000005 count=12 sum=18.5 native(-1 zero 0.25 count=2 pos -3:1 2:1 +2 +4 neg 0:2 +1 -1) # {"trace_id"="abc"} 0.5 @1700000000000000005 # {} 7`},
	{"native histogram of floats", delimited(of("h", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: floats})), `histogram "h" help="" unit=""` + "\n  {} count=0/12.5 sum=18.5 native(0 zero 0 count=0/2.5 pos 3 4.5 neg 0.5)"},
	{"two native histograms", delimited(of("h", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: floats}, &dto.Metric{Histogram: floats})), `histogram "h" help="" unit=""` + strings.Repeat("\n  {} count=0/12.5 sum=18.5 native(0 zero 0 count=0/2.5 pos 3 4.5 neg 0.5)", 2)},
	{"absent counts and sums", delimited(of("h", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{}}), of("s", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{}})), `histogram "h" help="" unit=""` + "\n  {}\n" + `summary "s" help="" unit=""` + "\n  {}"},
	{"absent value", family(text(1, "c"), message(4, message(3))), `counter "c" help="" unit=""` + "\n  {} 0"},

	{"timestamp", family(text(1, "c"), one(varint(6, 1000))), `counter "c" help="" unit=""` + "\n  {} @1000 1"},
	{"timestamp zero", family(text(1, "c"), one(varint(6, 0))), `counter "c" help="" unit=""` + "\n  {} @0 1"},
	{"timestamp before the epoch", family(text(1, "c"), one(varint(6, math.MaxUint64))), `counter "c" help="" unit=""` + "\n  {} @-1 1"},
	{"created too late", family(text(1, "c"), one(message(3, message(3, varint(1, math.MaxInt64))))), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"created before the epoch", family(text(1, "c"), one(message(3, message(3, varint(1, math.MaxUint64))))), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"created with bad nanoseconds", family(text(1, "c"), one(message(3, message(3, varint(1, 1), varint(2, 1e9))))), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"exemplar at the epoch", family(text(1, "c"), one(message(3, message(2, message(3))))), `counter "c" help="" unit=""` + "\n  {} 1 # {} 0 @0"},

	{"type missing, counter value", family(text(1, "c"), one()), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"type missing, gauge value", family(text(1, "c"), message(4, message(2, double(1, 1)))), `counter "c" help="" unit=""` + "\n  {} mismatched"},
	{"type unknown before a known one", family(text(1, "g"), varint(3, math.MaxUint64), varint(3, 1), message(4, message(2, double(1, 1)))), `gauge "g" help="" unit=""` + "\n  {} 1"},
	{"type of more than 32 bits", family(text(1, "g"), varint(3, 1<<32+1), message(4, message(2, double(1, 1)))), `gauge "g" help="" unit=""` + "\n  {} 1"},
	{"metric without a value", family(text(1, "c"), message(4, label("a", "b"))), `counter "c" help="" unit=""` + "\n" + `  {"a"="b"} mismatched`},
	{"gauge histogram without a value", family(text(1, "h"), varint(3, 5), message(4)), `gaugehistogram "h" help="" unit=""` + "\n  {} mismatched"},
	{"values of other types too", family(text(1, "c"), message(4, message(7, message(3, message(3, label("x", "y")))), message(3, message(2, label("a", "b")), double(1, 2)), message(4, message(3)), message(5), message(2))), `counter "c" help="" unit=""` + "\n" + `  {} 2 # {"a"="b"} 0`},

	{"fields in any order", family(one(label("a", "b")), varint(3, 0), text(2, "help"), text(1, "c")), `counter "c" help="help" unit=""` + "\n" + `  {"a"="b"} 1`},
	{"the last scalar counts", family(text(1, "x"), text(1, "g"), varint(3, 0), varint(3, 1), message(4, varint(6, 1), varint(6, 2), message(2, double(1, 1), double(1, 2)))), `gauge "g" help="" unit=""` + "\n  {} @2 2"},
	{"family twice", slices.Concat(family(text(1, "c"), text(2, "first"), one(label("n", "1"))), family(text(1, "d"), one()), family(text(1, "c"), text(2, "second"), text(5, "s"), one(label("n", "2")))), `counter "c" help="first" unit="s"` + "\n" + `  {"n"="1"} 1` + "\n" + `  {"n"="2"} 1` + "\n" + `counter "d" help="" unit=""` + "\n  {} 1"},
	{"family three times, help in the second", slices.Concat(family(text(1, "c"), one()), family(text(1, "c"), text(2, "help"), one()), family(text(1, "c"), text(2, "other"), text(5, "s"), one())), `counter "c" help="help" unit="s"` + "\n  {} 1\n  {} 1\n  {} 1"},
	{"family twice, the second one empty", slices.Concat(family(text(1, "c"), one()), family(text(1, "c"), text(2, "help"))), `counter "c" help="help" unit=""` + "\n  {} 1"},
	{"family twice, the second one empty and of another type", slices.Concat(family(text(1, "c"), one()), family(text(1, "c"), varint(3, 1))), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"family twice, the first one empty and of another type", slices.Concat(family(text(1, "c"), varint(3, 1)), family(text(1, "c"), one())), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"family twice, of two types", slices.Concat(family(text(1, "c"), one()), family(text(1, "c"), varint(3, 1), message(4, message(2, double(1, 2))))), `counter "c" help="" unit=""` + "\n  {} 1\n" + `gauge "c" help="" unit=""` + "\n  {} 2"},
	{"histogram twice", slices.Concat(histogramOf(message(3, double(2, 1)), sint(13, 1), message(12, sint(1, 3))), histogramOf(message(3, double(2, 2)), sint(13, 2), message(12, sint(1, 4)))), `histogram "h" help="" unit=""` + "\n  {} le(1) count=0 native(0 zero 0 count=0 pos 3:0 +1 neg)\n  {} le(2) count=0 native(0 zero 0 count=0 pos 4:0 +2 neg)"},
	{"labels around the value", family(text(1, "c"), message(4, label("a", "1"), message(3, message(2, label("x", "1"))), label("b", "2"), message(3, message(2, label("y", "2"), double(2, 3))), label("c", "3"))), `counter "c" help="" unit=""` + "\n" + `  {"a"="1","b"="2","c"="3"} 0 # {"x"="1","y"="2"} 3`},
	{"merged counter", family(text(1, "c"), one(message(3, message(3, varint(1, 5)), message(2, double(2, 1))), message(3, message(3, varint(2, 7)), message(2, message(3, varint(1, 9)))))), `counter "c" help="" unit=""` + "\n  {} created=5000000007 1 # {} 1 @9000000000"},
	{"merged summary", family(text(1, "s"), varint(3, 2), message(4, message(4, varint(1, 3), message(3, double(1, 0.5))), message(4, message(3, double(1, 0.9)), double(2, 8)))), `summary "s" help="" unit=""` + "\n  {} count=3 sum=8 q(0.5)=0 q(0.9)=0"},
	{"merged histogram", family(text(1, "h"), varint(3, 4), message(4, message(7, message(3, double(2, 1)), sint(13, 1), sint(10, 2), message(12, sint(1, 3))), message(7, message(3, double(2, 2)), varint(1, 4), sint(10, -2), sint(13, -1)))), `histogram "h" help="" unit=""` + "\n  {} count=4 le(1) count=0 le(2) count=0 native(0 zero 0 count=0 pos 3:0 +1 -1 neg +2 -2)"},
	{"merged exemplar of a bucket", histogramOf(message(3, message(3, label("a", "1")), message(3, label("b", "2")))), `histogram "h" help="" unit=""` + "\n" + `  {} le(0) count=0 # {"a"="1","b"="2"} 0`},
	{"packed and unpacked", histogramOf(message(13, []byte{2, 3}), sint(13, 5), message(10), message(14, double(0, 1)[1:], double(0, 2)[1:]), double(11, 3)), `histogram "h" help="" unit=""` + "\n  {} native(0 zero 0 count=0 pos +1 -2 +5 1 2 neg 3)"},
	{"span as 64-bit numbers", histogramOf(message(9, varint(1, 1<<32|3), varint(2, 1<<32|4))), `histogram "h" help="" unit=""` + "\n  {} native(0 zero 0 count=0 pos neg -2:4)"},

	{"unknown fields", family(varint(9, 1), double(10, 1), text(11, "x"), append(tag(12, protowire.Fixed32Type), 1, 2, 3, 4), text(1, "c"), one(varint(99, 1), message(1, varint(3, 1)), message(3, text(4, "x")))), `counter "c" help="" unit=""` + "\n" + `  {""=""} 1`},
	{"fields longer than 127 bytes", family(text(1, "c"), text(2, strings.Repeat("x", 300)), one()), `counter "c" help="` + strings.Repeat("x", 300) + `" unit=""` + "\n  {} 1"},
	{"unknown groups", family(group(9, varint(1, 1), group(9, text(2, "x"))), text(1, "c"), one(group(1<<29-1))), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"groups as deep as allowed", family(bytes.Repeat(tag(9, protowire.StartGroupType), 100), bytes.Repeat(tag(9, protowire.EndGroupType), 100), text(1, "c"), one()), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"other wire types", family(varint(1, 7), text(3, "x"), varint(4, 0), text(1, "c"), one(text(6, "1"), varint(1, 0), message(3, varint(1, 5)))), `counter "c" help="" unit=""` + "\n  {} 1"},
	{"a gauge has no exemplar", family(text(1, "g"), varint(3, 1), message(4, message(2, text(2, "\xff"), text(3, "\xff"), double(1, 1)))), `gauge "g" help="" unit=""` + "\n  {} 1"},
	{"numbers of one to ten bytes", family(text(1, "c"), one(varint(6, 0x7f)), one(varint(6, 0x80)), one(varint(6, 0x3fff)), one(varint(6, 0x4000)), one(varint(6, math.MaxInt64))), `counter "c" help="" unit=""` + "\n  {} @127 1\n  {} @128 1\n  {} @16383 1\n  {} @16384 1\n  {} @9223372036854775807 1"},
	{"long spellings of numbers", slices.Concat([]byte{0x98, 0x80, 0x00}, []byte{0x8a, 0x80, 0x00, 0x81, 0x00, 'c'}, []byte{0x98, 0x00, 0x81, 0x80, 0x00}, message(4, message(2, double(1, 1)))), `gauge "c" help="" unit=""` + "\n  {} 1"},
}

func TestProtobufAccepted(t *testing.T) {
	t.Parallel()
	var b exposition.Batch // shared, so that leaks between pushes show
	for _, tt := range protobufAccepted {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, b.Decode(exposition.Protobuf, tt.body, exposition.Options{}))
			assert.Equal(t, tt.want, dumpBatch(&b))
		})
	}
}

func TestProtobufAcceptedIsReference(t *testing.T) {
	t.Parallel()
	for _, tt := range protobufAccepted {
		families, err := referenceDecode(tt.body)
		require.NoError(t, err, tt.name)
		assert.Equal(t, tt.want, dumpReference(families), tt.name)
	}
}

func undelimited() []byte {
	body, err := base64.StdEncoding.DecodeString("CgZwYl9vbmUSDmhlbHAgb2YgcGJfb25lGAEiCxIJCQAAAAAAAPA/")
	if err != nil {
		panic(err)
	}
	return body
}

const (
	unexpectedEOF = "unexpected EOF"
	invalidWire   = "proto: cannot parse invalid wire-format data"
)

var protobufRefused = []struct {
	name   string
	body   []byte
	msg    string
	column int
}{
	{"undelimited message", undelimited(), invalidWire, 2},
	{"garbage", []byte("\x05\xff\xff\xff\xff\xff"), invalidWire, 2},
	{"truncated length", []byte{0x80}, unexpectedEOF, 1},
	{"truncated message", family(text(1, "c"), one())[:10], unexpectedEOF, 1},
	{"truncated second message", append(family(text(1, "c")), 5, 0), unexpectedEOF, 5},
	{"length without message", []byte{1}, unexpectedEOF, 1},
	{"length of 63 bits", append(bytes.Repeat([]byte{0xff}, 8), 0x7f, 0), unexpectedEOF, 1},
	{"length of 64 bits", append(bytes.Repeat([]byte{0xff}, 9), 1, 0), unexpectedEOF, 1},
	{"length of 65 bits", append(bytes.Repeat([]byte{0xff}, 9), 2, 0), "proto: variable length integer overflow", 1},
	{"length that never ends", bytes.Repeat([]byte{0xff}, 11), "proto: variable length integer overflow", 1},

	{"field number 0", family([]byte{0x00, 0x00}), invalidWire, 2},
	{"field number too large", family(varint(1<<29, 1)), invalidWire, 2},
	{"reserved wire type 6", family([]byte{0x0e}), invalidWire, 2},
	{"reserved wire type 7", family([]byte{0x0f}), invalidWire, 2},
	{"tag without value", family([]byte{0x0a}), invalidWire, 2},
	{"tag cut", family([]byte{0x80}), invalidWire, 2},
	{"tag of 65 bits", family(bytes.Repeat([]byte{0xff}, 10)), invalidWire, 2},
	{"string too long", family([]byte{0x0a, 5, 'a'}), invalidWire, 2},
	{"varint cut", family(text(1, "c"), []byte{0x18, 0x80}), invalidWire, 5},
	{"varint of 65 bits", family(append(append([]byte{0x18}, bytes.Repeat([]byte{0xff}, 9)...), 2)), invalidWire, 2},
	{"unknown fixed32 cut", family([]byte{0x4d, 1, 2, 3}), invalidWire, 2},
	{"unknown fixed64 cut", family([]byte{0x49, 1, 2, 3}), invalidWire, 2},

	{"type unknown", family(text(1, "c"), varint(3, 6), one()), `metric family "c" has an unknown type: 6`, 2},
	{"type unknown after a known one", family(text(1, "g"), varint(3, 1), varint(3, math.MaxUint64)), `metric family "g" has an unknown type: -1`, 2},
	{"type unknown in the second family", slices.Concat(family(text(1, "c"), one()), family(varint(3, 7), text(1, "\xff"))), `metric family "\xff" has an unknown type: 7`, 19},

	{"end of no group", family(tag(9, protowire.EndGroupType)), invalidWire, 2},
	{"group without end", family(tag(9, protowire.StartGroupType)), invalidWire, 2},
	{"group with another end", family(tag(9, protowire.StartGroupType), tag(8, protowire.EndGroupType)), invalidWire, 2},
	{"group with a bad field", family(group(9, []byte{0x0f})), invalidWire, 2},
	{"group with field number 0", family(group(9, []byte{0x00, 0x00})), invalidWire, 2},

	{"bad metric", family(message(4, []byte{0x0f})), invalidWire, 4},
	{"bad label", family(one(message(1, []byte{0x0f}))), invalidWire, 6},
	{"bad counter", family(message(4, message(3, []byte{0x0f}))), invalidWire, 6},
	{"bad gauge", family(varint(3, 1), message(4, message(2, []byte{0x0f}))), invalidWire, 8},
	{"bad summary", family(varint(3, 2), message(4, message(4, []byte{0x0f}))), invalidWire, 8},
	{"bad quantile", family(varint(3, 2), message(4, message(4, message(3, []byte{0x0f})))), invalidWire, 10},
	{"bad created", family(message(4, message(3, message(3, []byte{0x0f})))), invalidWire, 8},
	{"bad exemplar", family(message(4, message(3, message(2, []byte{0x0f})))), invalidWire, 8},
	{"bad exemplar label", family(message(4, message(3, message(2, message(1, []byte{0x0f}))))), invalidWire, 10},
	{"bad histogram", histogramOf([]byte{0x0f}), invalidWire, 11},
	{"bad bucket", histogramOf(message(3, []byte{0x0f})), invalidWire, 13},
	{"bad exemplar of a bucket", histogramOf(message(3, message(3, []byte{0x0f}))), invalidWire, 15},
	{"bad exemplar of a native histogram", histogramOf(message(16, []byte{0x0f})), invalidWire, 14},
	{"bad span", histogramOf(message(9, []byte{0x0f})), invalidWire, 13},
	{"packed deltas cut", histogramOf(message(13, []byte{2, 0x80})), invalidWire, 14},
	{"packed counts cut", histogramOf(message(11, double(0, 1)[1:], []byte{1, 2})), invalidWire, 21},
	{"bad value of another type", family(text(1, "c"), one(message(7, message(3, []byte{0x0f})))), invalidWire, 11},
	{"bad number of another type", family(text(1, "c"), one(message(5, []byte{0x0f}))), invalidWire, 9},
}

func TestProtobufRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range protobufRefused {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b exposition.Batch
			err := b.Decode(exposition.Protobuf, tt.body, exposition.Options{})
			assert.Equal(t, &exposition.ParseError{Format: exposition.Protobuf, Column: tt.column, Msg: tt.msg}, err)
		})
	}
}

func TestProtobufRefusedIsReference(t *testing.T) {
	t.Parallel()
	for _, tt := range protobufRefused {
		_, err := referenceDecode(tt.body)
		require.Error(t, err, tt.name)
		assert.Equal(t, tt.msg, plainSpaces(err), tt.name)
	}
}

// plainSpaces returns the error without the non-breaking space of some builds of the protobuf library.
func plainSpaces(err error) string { return strings.ReplaceAll(err.Error(), "\u00a0", " ") }

// Go's protobuf accepts 10000 nested groups, which would need too much stack.
func TestProtobufGroupsTooDeep(t *testing.T) {
	t.Parallel()
	var b exposition.Batch
	for _, depth := range []int{101, 1_000_000} {
		body := family(bytes.Repeat(tag(9, protowire.StartGroupType), depth), bytes.Repeat(tag(9, protowire.EndGroupType), depth))
		require.EqualError(t, b.Decode(exposition.Protobuf, body, exposition.Options{}), invalidWire)
	}
}

func TestProtobufEveryTruncationIsRefused(t *testing.T) {
	t.Parallel()
	var b exposition.Batch
	body := delimited(of("h", dto.MetricType_HISTOGRAM, &dto.Metric{Label: pair("l", "v"), Histogram: integers}))
	for n := 1; n < len(body); n++ {
		require.EqualError(t, b.Decode(exposition.Protobuf, body[:n], exposition.Options{}), unexpectedEOF)
	}
}

func TestProtobufNativePart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		field []byte
		want  int32
	}{
		"none":            {double(2, 1), exposition.NoIndex},
		"schema":          {sint(5, 0), 0},
		"zero threshold":  {double(6, 0), 0},
		"zero count":      {varint(7, 0), 0},
		"zero float":      {double(8, 0), 0},
		"negative span":   {message(9), 0},
		"negative delta":  {sint(10, 0), 0},
		"negative count":  {double(11, 0), 0},
		"positive span":   {message(12), 0},
		"positive delta":  {sint(13, 0), 0},
		"positive count":  {double(14, 0), 0},
		"exemplar only":   {message(16), exposition.NoIndex},
		"other wire type": {text(5, "x"), exposition.NoIndex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b exposition.Batch
			require.NoError(t, b.Decode(exposition.Protobuf, histogramOf(tt.field), exposition.Options{}))
			require.Len(t, b.Histograms, 1)
			assert.Equal(t, tt.want, b.Histograms[0].Native)
		})
	}
}

// thousandCounters returns a body of 1000 counters with five labels each.
func thousandCounters() []byte {
	c := of("requests_total", dto.MetricType_COUNTER)
	for i := range 1000 {
		m := &dto.Metric{Counter: &dto.Counter{Value: new(float64(i))}}
		for _, name := range []string{"code", "handler", "host", "method", "path"} {
			m.Label = append(m.Label, pair(name, fmt.Sprintf("%s-%d", name, i))...)
		}
		c.Metric = append(c.Metric, m)
	}
	return delimited(c)
}

func TestProtobufDoesNotAllocateWhenWarm(t *testing.T) {
	bodies := [][]byte{thousandCounters()}
	for _, h := range []*dto.Histogram{integers, floats, classic} {
		bodies = append(bodies, delimited(of("h", dto.MetricType_HISTOGRAM, &dto.Metric{Label: pair("l", "v"), Histogram: h})))
	}
	var b exposition.Batch
	for _, body := range bodies {
		assert.Zero(t, testing.AllocsPerRun(10, func() {
			require.NoError(t, b.Decode(exposition.Protobuf, body, exposition.Options{}))
		}))
	}
}

func BenchmarkProtobuf(b *testing.B) {
	body := thousandCounters()
	var batch exposition.Batch
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Decode(exposition.Protobuf, body, exposition.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProtobufReference decodes the same body as a Pushgateway does.
func BenchmarkProtobufReference(b *testing.B) {
	body := thousandCounters()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var c dto.MetricFamily
		if err := protodelim.UnmarshalFrom(bytes.NewReader(body), &c); err != nil {
			b.Fatal(err)
		}
	}
}
