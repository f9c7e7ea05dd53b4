// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// largest is a body of almost max_request_body_size.
const largest = 20<<20 - 1024

// tooMuch is what a push is told that could not be worked on even alone.
const tooMuch = "limits::in_flight_bytes (33554432)"

// tooMuchText is what a push is told that says once what each of its series has.
const tooMuchText = "the names, labels and help texts of all series of the push have"

func textAttacks() []attack {
	return []attack{
		{name: "100,000 labels", body: of(manyLabels(100_000)), want: 200},
		{name: "100,000 labels of one name", body: of([]byte("a{" + strings.Repeat(`b="",`, 100_000) + "} 1\n")), want: 400},
		{name: "a million labels", body: of(manyLabels(1_000_000)), want: 200},
		{name: "as many labels as a body holds", body: of(manyLabels(2_050_000)), want: 413, text: tooMuch},
		{name: "label values of 1 MB", body: of(page(19<<20, longValue)), want: 200},
		{name: "label values of 1 MB of escapes", body: of([]byte(`a{b="` + strings.Repeat(`\\`, 5<<20) + "\"} 1\n")), want: 200},
		{name: "help of 10 MB", body: of([]byte("# HELP a " + strings.Repeat("x", 10<<20) + "\na 1\n")), want: 200},
		{name: "name of 10 MB", body: of([]byte(strings.Repeat("x", 10<<20) + " 1\n")), want: 200},
		{name: "fault of 10 MB", body: of([]byte("a " + strings.Repeat("x", 10<<20) + "\n")), want: 400, text: "line 1"},
		{name: "short lines", body: of(page(largest, shortLine)), want: 413, text: tooMuch},
		{name: "short lines of one family", body: of(page(largest, shortSeries)), want: 413, text: tooMuch},
		{name: "short lines of families of their own", body: of(page(largest, shortFamily)), want: 413, text: tooMuch},
		{name: "families without samples", body: of(page(largest, bareFamily)), want: 413, text: tooMuch},
		{name: "buckets of one histogram", body: of(append([]byte("# TYPE a histogram\n"), page(largest, bucket)...)), want: 413, text: tooMuch},
		{name: "histograms of one bucket", body: of(append([]byte("# TYPE a histogram\n"), page(largest, histogramOfOne)...)), want: 413, text: tooMuch},
		{name: "blank lines", body: of([]byte(strings.Repeat("\n", largest))), want: 200},
		{name: "50 grouping labels on many series", path: "j" + groupingLabels(50), body: of(page(2<<20, shortSeries)), want: 413, text: tooMuch},
		{name: "50 grouping labels on as many as go", path: "j" + groupingLabels(50), body: of(page(600<<10, shortSeries)), want: 200},
		{name: "20,000 grouping labels", path: "j" + groupingLabels(20_000), body: of([]byte("a 1\n")), want: 200},
		{name: "20,000 grouping labels on many series", path: "j" + groupingLabels(20_000), body: of(page(2<<10, shortSeries)), want: 400, text: tooMuchText},
		{name: "job of 1 MB", path: strings.Repeat("x", 1_000_000), body: of([]byte("a 1\n")), want: 200},
		{name: "job of 1 MB on many series", path: strings.Repeat("x", 1_000_000), body: of(page(2<<10, shortSeries)), want: 400, text: tooMuchText},
		{name: "help of 1 MB in many scopes", body: of(append([]byte("# HELP a "+strings.Repeat("x", 1<<20)+"\n"), page(4<<10, scopedSeries)...)), want: 400, text: tooMuchText},
		{name: "scopes", body: of(page(largest, scopedSeries)), want: 413, text: tooMuch},
		{name: "as many scopes as go", body: of(page(700<<10, scopedSeries)), want: 200},
		{name: "path above 1 MiB", path: strings.Repeat("x", 2<<20), body: of([]byte("a 1\n")), want: 431},
		{name: "base64 of base64 of base64", path: "j/l@base64/" + deepBase64(), body: of([]byte("a 1\n")), want: 200},
		{name: "OpenMetrics, short lines of one family", header: openMetricsHeader(), body: of(append(append([]byte("# TYPE a gauge\n"), page(largest-100, shortSeries)...), "# EOF\n"...)), want: 413, text: tooMuch},
		{name: "OpenMetrics, families", header: openMetricsHeader(), body: of(append(page(largest-100, shortFamily), "# EOF\n"...)), want: 413, text: tooMuch},
		{name: "OpenMetrics, created timestamps of one series", header: openMetricsHeader(), body: of(append(append([]byte("# TYPE a counter\n"), page(largest-100, createdLine)...), "# EOF\n"...)), want: 413, text: tooMuch},
		{name: "OpenMetrics, exemplars", header: openMetricsHeader(), body: of(append(append([]byte("# TYPE a counter\n"), page(largest-100, exemplar)...), "# EOF\n"...)), want: 413, text: tooMuch},
	}
}

func manyLabels(n int) []byte {
	b := []byte("a{")
	for i := range n {
		b = strconv.AppendInt(append(b, 'l'), int64(i), 36)
		b = append(b, `="x",`...)
	}
	return append(b, "} 1\n"...)
}

func longValue(b []byte, i int) []byte {
	b = append(b, `a{b="`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, strings.Repeat("x", 1<<20)...)
	return append(b, `"} 1`...)
}

func shortLine(b []byte, _ int) []byte { return append(b, "a 1"...) }

func shortSeries(b []byte, i int) []byte {
	b = strconv.AppendInt(append(b, `a{b="`...), int64(i), 36)
	return append(b, `"} 1`...)
}

func scopedSeries(b []byte, i int) []byte {
	b = strconv.AppendInt(append(b, `a{otel_scope_x="`...), int64(i), 36)
	return append(b, `"} 1`...)
}

func createdLine(b []byte, _ int) []byte { return append(b, "a_created 1"...) }

func shortFamily(b []byte, i int) []byte {
	return append(strconv.AppendInt(append(b, 'a'), int64(i), 36), " 1"...)
}

func bareFamily(b []byte, i int) []byte {
	return append(strconv.AppendInt(append(b, "# TYPE a"...), int64(i), 36), " gauge"...)
}

func bucket(b []byte, i int) []byte {
	b = strconv.AppendInt(append(b, `a_bucket{le="`...), int64(i), 10)
	return append(b, `"} 1`...)
}

func histogramOfOne(b []byte, i int) []byte {
	b = strconv.AppendInt(append(b, `a_bucket{b="`...), int64(i), 36)
	return append(b, `",le="1"} 1`...)
}

func exemplar(b []byte, i int) []byte {
	b = strconv.AppendInt(append(b, `a_total{b="`...), int64(i), 36)
	return append(b, `"} 1 # {} 1`...)
}

func groupingLabels(n int) string {
	var path strings.Builder
	for i := range n {
		path.WriteString("/l" + strconv.Itoa(i) + "/" + strings.Repeat("v", 10))
	}
	return path.String()
}

// deepBase64 is 1 KiB coded as often as fits into a path: it is decoded once.
func deepBase64() string {
	text := strings.Repeat("x", 1024)
	for len(text) < 500_000 {
		text = base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	return text
}

func openMetricsHeader() http.Header {
	return http.Header{"Content-Type": {"application/openmetrics-text; version=1.0.0; charset=utf-8"}}
}

func protobufHeader() http.Header {
	return http.Header{"Content-Type": {"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"}}
}

func protobufAttacks() []attack {
	attacks := []attack{
		{name: "protobuf, message of 2^63 bytes", body: of(append(binary.AppendUvarint(nil, math.MaxInt64), 1)), want: 400},
		{name: "protobuf, message of 4 GiB", body: of(append(binary.AppendUvarint(nil, math.MaxUint32), 1)), want: 400},
		{name: "protobuf, endless varint", body: of([]byte(strings.Repeat("\xff", 1<<20))), want: 400},
		{name: "protobuf, field of 2^63 bytes", body: of(delimited(append([]byte{0x0a}, binary.AppendUvarint(nil, math.MaxInt64)...))), want: 400},
		{name: "protobuf, empty families", body: of([]byte(strings.Repeat("\x00", largest))), want: 200},
		{name: "protobuf, families without metrics", body: of(repeat(largest, func(i int) []byte { return delimited(family(i)) })), want: 413, text: tooMuch},
		{name: "protobuf, families of one metric", body: of(repeat(largest, func(i int) []byte { return delimited(family(i, field(4, field(3, nil)))) })), want: 413, text: tooMuch},
		{name: "protobuf, empty metrics of one family", body: of(delimited(family(0, repeat(largest, func(int) []byte { return field(4, nil) })))), want: 413, text: tooMuch},
		{name: "protobuf, empty labels of one metric", body: of(delimited(family(0, field(4, repeat(largest-100, func(int) []byte { return field(1, nil) }))))), want: 413, text: tooMuch},
		{name: "protobuf, empty buckets of one histogram", body: of(delimited(histogramFamily(repeat(largest-100, func(int) []byte { return field(3, nil) })))), want: 413, text: tooMuch},
		{name: "protobuf, empty spans of one histogram", body: of(delimited(histogramFamily(repeat(largest-100, func(int) []byte { return field(12, nil) })))), want: 413, text: tooMuch},
		{name: "protobuf, packed deltas of one histogram", body: of(delimited(histogramFamily(field(13, make([]byte, largest-100))))), want: 413, text: tooMuch},
		{name: "protobuf, packed negative deltas of one histogram", body: of(delimited(histogramFamily(field(10, make([]byte, largest-100))))), want: 413, text: tooMuch},
		{name: "protobuf, histogram of a gauge", body: of(delimited(family(0, field(4, field(7, field(13, make([]byte, largest-100))))))), want: 413, text: tooMuch},
		{name: "protobuf, empty quantiles of one summary", body: of(delimited(append(append(field(1, []byte("s")), 0x18, 0x02), field(4, field(4, []byte(strings.Repeat("\x1a\x00", largest/2-100))))...))), want: 413, text: tooMuch},
		{name: "protobuf, empty exemplar labels", body: of(delimited(append(append(field(1, []byte("c")), 0x18, 0x00), field(4, field(3, field(2, []byte(strings.Repeat("\x0a\x00", largest/2-100)))))...))), want: 413, text: tooMuch},
		{name: "protobuf, span of 4 billion buckets", body: of(delimited(histogramFamily(native(field(12, append([]byte{0x08, 0x00, 0x10}, binary.AppendUvarint(nil, math.MaxUint32)...)))))), want: 400},
		{name: "protobuf, spans 4 billion buckets apart", body: of(delimited(histogramFamily(native(
			field(12, []byte{0x08, 0x00, 0x10, 0x01}),
			field(12, append(append([]byte{0x08}, binary.AppendUvarint(nil, math.MaxUint32-1)...), 0x10, 0x01)),
			field(13, []byte{0x02, 0x00}))))), want: 400},
		{name: "protobuf, name of 1 MB on many metrics", body: of(delimited(append(field(1, []byte(strings.Repeat("x", 1<<20))), repeat(1<<10, func(i int) []byte {
			return field(4, append(field(1, append(field(1, []byte("l")), field(2, []byte(strconv.Itoa(i)))...)), field(5, nil)...))
		})...))), want: 400, text: tooMuchText},
		{name: "protobuf, nested groups", body: of(delimited([]byte(strings.Repeat("\x0b", 1<<20)))), want: 400},
	}
	for i := range attacks {
		attacks[i].header = protobufHeader()
	}
	return attacks
}

// delimited puts the length of a message in front of it.
func delimited(message []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(message))), message...)
}

// field is a field of bytes in a message.
func field(number int, content []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(number<<3|2))
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}

// family is a message MetricFamily with a name of its own and of type untyped.
func family(i int, fields ...[]byte) []byte {
	b := append(field(1, []byte("a"+strconv.FormatInt(int64(i), 36))), 0x18, 0x03)
	for _, f := range fields {
		b = append(b, f...)
	}
	return b
}

// histogramFamily is a message MetricFamily with one histogram.
func histogramFamily(histogram []byte) []byte {
	return append(append(field(1, []byte("h")), 0x18, 0x04), field(4, field(7, histogram))...)
}

// native is the fields of a native histogram of one observation.
func native(fields ...[]byte) []byte {
	b := []byte{0x08, 0x01, 0x28, 0x00, 0x31, 0, 0, 0, 0, 0, 0, 0, 0} // sample_count, schema, zero_threshold
	for _, f := range fields {
		b = append(b, f...)
	}
	return b
}

// repeat appends pieces up to so many bytes.
func repeat(size int, piece func(i int) []byte) []byte {
	var b []byte
	for i := 0; len(b) < size; i++ {
		b = append(b, piece(i)...)
	}
	return b
}
