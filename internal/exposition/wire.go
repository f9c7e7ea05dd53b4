// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"encoding/binary"
	"math"
)

// The functions of this file take protobuf's wire format apart: the first argument is what is left of a message, the
// last result how many bytes of it were consumed. Zero or less says that the bytes are no wire format or end too early.
// They keep no state, allocate nothing and know no schema.

// Wire types, the lowest three bits of a tag. See https://protobuf.dev/programming-guides/encoding.
const (
	wireVarint     = 0
	wireFixed64    = 1
	wireBytes      = 2
	wireStartGroup = 3
	wireEndGroup   = 4
	wireFixed32    = 5
)

const (
	// maxFieldNumber is the largest field number that a message can have.
	maxFieldNumber = 1<<29 - 1
	// maxGroupDepth bounds how deeply groups may nest in a field that is skipped, and with it the stack that a push can
	// take. It is the bound of protobuf in C++ and Java. Go's is 10000, which no message needs and which would let
	// 20 KB of input take a megabyte of stack.
	maxGroupDepth = 100
)

// What consumeVarint returns as length when there is no varint.
const (
	varintTruncated = 0
	varintOverflow  = -1
)

// consumeField reads the first field of a message. Its key is the field number times eight plus the wire type, so that a
// field of the right number but the wrong wire type compares unequal and is skipped as unknown, which is protobuf's rule.
// The scalar is that of a varint or fixed64, and data those of a length-delimited field; groups and fixed32 have no place
// in any message here and are only skipped. All four results stay in registers: as a struct they would be copied through
// memory, which took a third of the time of decoding.
func consumeField(b []byte) (key, scalar uint64, data []byte, n int) {
	// Fast path: most fields have a tag of one byte, and a length or number of one or two.
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

// consumeTag reads a tag. Inside groups Go's protobuf takes any positive int32 as a field number, hence the wider bound.
func consumeTag(b []byte) (key uint64, n int) {
	key, n = consumeVarint(b)
	if number := key >> 3; number < 1 || number > math.MaxInt32 {
		return 0, 0
	}
	return key, n
}

// consumeValue reads the value that follows the tag.
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

// consumeVarint reads a varint of at most ten bytes and 64 bits. Longer spellings of small numbers are valid.
func consumeVarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return consumeLongVarint(b)
}

// consumeLongVarint is apart so that consumeVarint can be inlined for the many varints of one byte.
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

// consumeShortVarint reads a varint of one or two bytes. It consumes nothing if there is none, or if b ends with it. There
// is no branch for the second byte, as none could be predicted: numbers on both sides of 128 come in no order.
func consumeShortVarint(b []byte) (v uint64, n int) {
	if len(b) < 2 || b[0]&b[1] >= 0x80 { // after both of them more follows
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

// consumeBytes reads a length and that many bytes, which stay where they are.
func consumeBytes(b []byte) (data []byte, n int) {
	size, n := consumeVarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, 0
	}
	end := n + int(size)
	return b[n:end], end
}

// skipGroup skips the rest of the group of that number, its end included. depth is how many groups it may still hold
// one in the other, itself included.
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

// zigZag undoes the encoding in which sint32 and sint64 keep small negative numbers short.
func zigZag(v uint64) int64 {
	return int64(v>>1) ^ -int64(v&1)
}
