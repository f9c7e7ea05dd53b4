// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"hash/maphash"
	"math/bits"
)

// secrets make collisions unforeseeable to whoever writes the labels.
var secrets = [2]uint64{maphash.String(maphash.MakeSeed(), ""), maphash.String(maphash.MakeSeed(), "")}

// hashString hashes a text, beginning with the hash of what stands before it. Sixteen bytes at a time go into one
// multiplication, as in wyhash. Most label values are that short, and for these it takes a third of the time of
// hash/maphash, which was a tenth of a push's.
func hashString(before uint64, s string) uint64 {
	h := before
	for len(s) > 16 {
		h = multiply(h^word(s), secrets[0]^word(s[8:]))
		s = s[16:]
	}
	first, last := ends(s)
	return multiply(h^first, secrets[1]^last^uint64(len(s)))
}

// multiply spreads each bit of either factor over the whole result.
func multiply(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// ends returns all bytes of a text of at most 16 bytes in two numbers. Those in its middle may be in both.
func ends(s string) (first, last uint64) {
	switch n := len(s); {
	case n >= 8:
		return word(s), word(s[n-8:])
	case n >= 4:
		return halfWord(s), halfWord(s[n-4:])
	case n > 0:
		return uint64(s[0])<<16 | uint64(s[n/2])<<8 | uint64(s[n-1]), 0
	default:
		return 0, 0
	}
}

// isASCII tells whether all bytes are ASCII. It takes a third of the time of utf8.ValidString, which looks at each of the
// last seven bytes.
func isASCII(s string) bool {
	const high = 0x8080808080808080
	var all uint64
	for ; len(s) > 16; s = s[16:] {
		all |= word(s) | word(s[8:])
	}
	first, last := ends(s)
	return (all|first|last)&high == 0
}

// word returns the first eight bytes as a number, and halfWord the first four.
func word(s string) uint64 { return halfWord(s) | halfWord(s[4:])<<32 }

func halfWord(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
