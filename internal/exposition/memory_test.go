// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// TestMemoryCheckEndsDecoding decodes bodies of a million elements with a CheckMemory that refuses more than ten
// thousand.
func TestMemoryCheckEndsDecoding(t *testing.T) {
	t.Parallel()
	const many = 1_000_000
	metric := []byte("\x22\x00")
	oneFamily := append([]byte("\x83\x89\x7a\x0a\x01a"), bytes.Repeat(metric, many)...)
	for name, tc := range map[string]struct {
		format exposition.Format
		body   []byte
	}{
		"text lines":          {exposition.Text, bytes.Repeat([]byte("a 1\n"), many)},
		"OpenMetrics lines":   {exposition.OpenMetrics, bytes.Repeat([]byte("a 1\n"), many)},
		"created timestamps":  {exposition.OpenMetrics, append([]byte("# TYPE a counter\n"), bytes.Repeat([]byte("a_created 1\n"), many)...)},
		"protobuf metrics":    {exposition.Protobuf, oneFamily},
		"protobuf families":   {exposition.Protobuf, distinctFamilies(many)},
		"protobuf labels":     {exposition.Protobuf, metricOf(bytes.Repeat([]byte("\x0a\x00"), many))},
		"protobuf buckets":    {exposition.Protobuf, metricOf(fieldOf(7, bytes.Repeat([]byte("\x1a\x00"), many)))},
		"protobuf quantiles":  {exposition.Protobuf, metricOf(fieldOf(4, bytes.Repeat([]byte("\x1a\x00"), many)))},
		"protobuf spans":      {exposition.Protobuf, metricOf(fieldOf(7, bytes.Repeat([]byte("\x62\x00"), many)))},
		"protobuf deltas":     {exposition.Protobuf, metricOf(fieldOf(7, fieldOf(13, make([]byte, many))))},
		"negative deltas":     {exposition.Protobuf, metricOf(fieldOf(7, fieldOf(10, make([]byte, many))))},
		"protobuf counts":     {exposition.Protobuf, metricOf(fieldOf(7, fieldOf(14, make([]byte, 8*many))))},
		"exemplar labels":     {exposition.Protobuf, metricOf(fieldOf(3, fieldOf(2, bytes.Repeat([]byte("\x0a\x00"), many))))},
		"one protobuf family": {exposition.Protobuf, bytes.Repeat([]byte("\x05\x0a\x01a\x22\x00"), many)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := errors.New("full")
			var batch exposition.Batch
			err := batch.Decode(tc.format, tc.body, exposition.Options{CheckMemory: func(b *exposition.Batch) error {
				if elements(b) > 10_000 {
					return full
				}
				return nil
			}})
			require.ErrorIs(t, err, full)
			assert.Less(t, elements(&batch), 20_000)
		})
	}
}

// elements returns the total number of elements in the pools.
func elements(b *exposition.Batch) int {
	labels, natives, created := b.Pending()
	return len(b.Series) + len(b.Families) + len(b.Labels) + len(b.Buckets) + len(b.Quantiles) +
		len(b.Spans) + len(b.Deltas) + len(b.Counts) + labels + natives + created
}

// metricOf returns a protobuf body of one counter with one metric.
func metricOf(metric []byte) []byte {
	family := append([]byte("\x0a\x01a"), fieldOf(4, metric)...)
	return append(binary.AppendUvarint(nil, uint64(len(family))), family...)
}

// fieldOf returns a field of bytes.
func fieldOf(number int, content []byte) []byte {
	b := append(binary.AppendUvarint(nil, uint64(number<<3|2)), binary.AppendUvarint(nil, uint64(len(content)))...)
	return append(b, content...)
}

// distinctFamilies returns a protobuf body of n families with distinct names and one empty metric each.
func distinctFamilies(n int) []byte {
	var body []byte
	for i := range n {
		body = append(body, 9, 0x0a, 5, 'a'+byte(i>>20&15), 'a'+byte(i>>15&15), 'a'+byte(i>>10&31), 'a'+byte(i>>5&31), 'a'+byte(i&31), 0x22, 0)
	}
	return body
}

// A body beyond the range of textRef is refused unread.
func TestBodyBeyondAllPlaces(t *testing.T) {
	t.Parallel()
	size := math.MaxInt32
	size++ // not a constant, which would not compile for 32 bits
	if size < 0 {
		t.Skip("no slice is that long where an int has 32 bits")
	}
	var b exposition.Batch
	err := b.Decode(exposition.Text, make([]byte, size), exposition.Options{})
	require.EqualError(t, err, "the body has 2147483648 bytes; at most 2147483647 can be decoded")
}
