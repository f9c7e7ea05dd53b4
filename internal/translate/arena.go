// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"
	"unicode/utf8"
)

// stringArena copies strings from the batch, whose body will be overwritten, into shared chunks. For 1000 counters of
// five labels it saves 2000 of 11000 allocations. Chunks start small for small pushes and stay at most 1 KiB, because one
// live string keeps its chunk alive.
type stringArena struct {
	chunk strings.Builder
	size  int
}

// Chunk sizes in bytes.
const (
	minChunk = 128
	maxChunk = 1024
)

// clone returns a copy of s.
func (a *stringArena) clone(s string) string {
	if len(s) > a.chunk.Cap()-a.chunk.Len() {
		if len(s) > minChunk {
			return strings.Clone(s) // Too long: would waste the rest of the chunk.
		}
		a.size = min(max(2*a.size, minChunk), maxChunk)
		a.chunk.Reset()
		a.chunk.Grow(a.size)
	}
	start := a.chunk.Len()
	a.chunk.WriteString(s)
	return a.chunk.String()[start:]
}

// valid returns a copy of s with each run of invalid UTF-8 replaced by U+FFFD. An exporter can fail on a whole batch
// because of invalid UTF-8.
func (a *stringArena) valid(s string) string {
	if utf8.ValidString(s) { // Faster than ToValidUTF8 for ASCII.
		return a.clone(s)
	}
	return a.clone(strings.ToValidUTF8(s, "\uFFFD"))
}
