// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"encoding/binary"
	"math"
)

// The functions of this file parse protobuf's wire format without a schema, state or allocations. The first argument is
// the rest of a message. The last result is the number of consumed bytes; zero or less means malformed or truncated.

// Wire types, the low three bits of a tag: https://protobuf.dev/programming-guides/encoding.
const (
	wireVarint     = 0
	wireFixed64    = 1
	wireBytes      = 2
	wireStartGroup = 3
	wireEndGroup   = 4
	wireFixed32    = 5
)

const (
	// maxFieldNumber is the largest valid field number.
	maxFieldNumber = 1<<29 - 1
	// maxGroupDepth limits nested groups in a skipped field and thus the stack. It is the limit of protobuf in C++ and
	// Java. With Go's 10000, 20 KB of input would need a megabyte of stack.
	maxGroupDepth = 100
)

// Lengths that consumeVarint returns for an invalid varint.
const (
	varintTruncated = 0
	varintOverflow  = -1
)

// consumeField reads the first field of a message. The key is field number times eight plus wire type, so a wrong wire
// type is skipped as unknown, as in protobuf. scalar is a varint or fixed64, data a length-delimited field; groups and
// fixed32 are skipped. The four results stay in registers; copying a struct took a third of the decoding time.
func consumeField(b []byte) (key, scalar uint64, data []byte, n int) {
	// Fast path: most fields have a tag of one byte and a length or number of one or two.
	if len(b) >= 9 && 1<<3 <= b[0] && b[0] < 0x80 {
		key = uint64(b[0])
		switch {
		case key&7 == wireBytes && b[1] < 0x80 && 2+int(b[1]) <= len(b):
			end := 2 + int(b[1])
			return key, 0, b[2:end], end
		case key&7 == wireVarint && b[1] < 0x80:
			return key, uint64(b[1]), nil, 2
		case key&7 == wireVarint && b[2] < 0x80:
			return key, uint64(b[1]&0x7f) | uint64(b[2])<<7, nil, 3
		case key&7 == wireFixed64:
			return key, binary.LittleEndian.Uint64(b[1:]), nil, 9
		}
	}
	key, tagLen := consumeTag(b)
	if tagLen <= 0 || key>>3 > maxFieldNumber {
		return 0, 0, nil, 0
	}
	scalar, data, valueLen := consumeValue(b[tagLen:], key, maxGroupDepth)
	if valueLen <= 0 {
		return 0, 0, nil, 0
	}
	return key, scalar, data, tagLen + valueLen
}

// consumeTag reads a tag. Within groups Go's protobuf accepts any positive int32 as field number.
func consumeTag(b []byte) (key uint64, n int) {
	key, n = consumeVarint(b)
	if number := key >> 3; number < 1 || number > math.MaxInt32 {
		return 0, 0
	}
	return key, n
}

// consumeValue reads the value after a tag.
func consumeValue(b []byte, key uint64, depth int) (scalar uint64, data []byte, n int) {
	switch key & 7 {
	case wireVarint:
		scalar, n = consumeVarint(b)
	case wireFixed64:
		scalar, n = consumeFixed64(b)
	case wireBytes:
		data, n = consumeBytes(b)
	case wireStartGroup:
		n = skipGroup(b, key>>3, depth)
	case wireFixed32:
		if len(b) >= 4 {
			n = 4
		}
	}
	return scalar, data, n
}

// consumeVarint reads a varint of at most ten bytes and 64 bits. Overlong encodings are valid.
func consumeVarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return consumeLongVarint(b)
}

// consumeLongVarint is separate, so that consumeVarint is inlined.
func consumeLongVarint(b []byte) (v uint64, n int) {
	b = b[:min(len(b), binary.MaxVarintLen64)]
	for n, c := range b {
		v |= uint64(c&0x7f) << (7 * n)
		switch {
		case n == binary.MaxVarintLen64-1 && c > 1:
			return 0, varintOverflow
		case c < 0x80:
			return v, n + 1
		}
	}
	return 0, varintTruncated
}

// consumeShortVarint reads a varint of one or two bytes. It consumes nothing for a longer one or at the end of b. It has
// no branch for the second byte, which would be unpredictable.
func consumeShortVarint(b []byte) (v uint64, n int) {
	if len(b) < 2 || b[0]&b[1] >= 0x80 { // more than two bytes
		return 0, 0
	}
	more := uint64(b[0] >> 7)
	return uint64(b[0]&0x7f) | more*uint64(b[1])<<7, 1 + int(more)
}

func consumeFixed64(b []byte) (v uint64, n int) {
	if len(b) < 8 {
		return 0, 0
	}
	return binary.LittleEndian.Uint64(b), 8
}

// consumeBytes reads a length and returns that many bytes without copying.
func consumeBytes(b []byte) (data []byte, n int) {
	size, n := consumeVarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, 0
	}
	end := n + int(size)
	return b[n:end], end
}

// skipGroup skips the rest of a group including its end tag. depth is the remaining nesting, this group included.
func skipGroup(b []byte, number uint64, depth int) (n int) {
	if depth == 0 {
		return 0
	}
	for {
		key, tagLen := consumeTag(b[n:])
		if tagLen <= 0 {
			return 0
		}
		n += tagLen
		if key&7 == wireEndGroup {
			if key>>3 != number {
				return 0
			}
			return n
		}
		_, _, valueLen := consumeValue(b[n:], key, depth-1)
		if valueLen <= 0 {
			return 0
		}
		n += valueLen
	}
}

// zigZag decodes a sint32 or sint64.
func zigZag(v uint64) int64 {
	return int64(v>>1) ^ -int64(v&1)
}
