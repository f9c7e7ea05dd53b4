// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"
	"unicode/utf8"
)

// copies makes copies of the strings that go into pdata, since those of the batch are views into a body that will be
// overwritten. It fills chunks with them. With 1000 counters of five labels, two of them different each time, that saves
// 2000 of 11000 allocations over one for each string, and hardly any time; chunks of more than 1 KiB gain nothing
// further, and whoever keeps a single label in memory keeps its chunk. They start small, for pushes of a few series.
type copies struct {
	chunk strings.Builder
	size  int
}

// The sizes of chunks in bytes.
const (
	minChunk = 128
	maxChunk = 1024
)

// of returns a copy of s.
func (c *copies) of(s string) string {
	if len(s) > c.chunk.Cap()-c.chunk.Len() {
		if len(s) > minChunk {
			return strings.Clone(s) // Would waste what is left of this chunk and much of the next one.
		}
		c.size = min(max(2*c.size, minChunk), maxChunk)
		c.chunk.Reset()
		c.chunk.Grow(c.size)
	}
	start := c.chunk.Len()
	c.chunk.WriteString(s)
	return c.chunk.String()[start:]
}

// valid returns a copy of s in which each run of invalid UTF-8 is replaced by U+FFFD: for texts that nobody checks,
// whereas pdata must hold UTF-8 lest an exporter fails on the whole batch.
func (c *copies) valid(s string) string {
	if utf8.ValidString(s) { // Eight bytes of ASCII at a time, where ToValidUTF8 takes one.
		return c.of(s)
	}
	return c.of(strings.ToValidUTF8(s, "\uFFFD"))
}
