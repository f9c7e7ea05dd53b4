// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import "math"

// labelCache recognizes that a histogram or summary line has the same label bytes as the previous line. Such lines
// usually follow each other and differ only in the boundary label, which comes last. Then only the bound has to be read.
type labelCache struct {
	known  bool
	labels string // text between the braces, without the boundary label

	// The bounds of the previous series after its first. The next series usually has the same.
	bounds [16]writtenBound
	next   int // index of the expected bound
}

// writtenBound is a bound as written, with its closing quote and brace.
type writtenBound struct {
	text  string
	bound float64
}

// note caches the text between the braces of a line. Its last label must be the boundary label with that value, unless
// boundary is empty. An unusual spelling is not cached.
func (c *labelCache) note(text, boundary, value string) {
	c.known, c.next = false, 0
	if boundary != "" {
		rest := len(text) - len(boundary) - len(value) - len(`=""`)
		if rest < 0 || text[rest:rest+len(boundary)] != boundary || text[len(text)-len(value)-1:len(text)-1] != value {
			return
		}
		text = text[:rest]
		if rest > 0 {
			if text[rest-1] != ',' {
				return
			}
			text = text[:rest-1]
		}
	}
	c.labels = text
	c.known = text == "" || text[len(text)-1] == '"'
}

// read reads the labels from after the opening brace if they are the cached ones. The bound is NaN without a boundary
// label. It returns false if the labels may differ.
func (c *labelCache) read(data []byte, pos int, boundary string) (bound float64, end int, ok bool) {
	n := len(c.labels)
	if !c.known || n >= len(data)-pos || view(data[pos:pos+n]) != c.labels {
		return 0, 0, false
	}
	pos += n
	if data[pos] == '}' {
		return math.NaN(), pos + 1, true
	}
	if n > 0 {
		if data[pos] != ',' {
			return 0, 0, false
		}
		pos++
	}
	return c.readBound(data, pos, boundary)
}

// readBound reads the boundary label and the closing brace.
func (c *labelCache) readBound(data []byte, pos int, boundary string) (bound float64, end int, ok bool) {
	start := pos + len(boundary) + len(`="`)
	if start >= len(data) || view(data[pos:pos+len(boundary)]) != boundary || data[start-2] != '=' || data[start-1] != '"' {
		return 0, 0, false
	}
	var expected *writtenBound
	if c.next < len(c.bounds) {
		expected = &c.bounds[c.next]
		c.next++
		if n := len(expected.text); n > 0 && n <= len(data)-start && view(data[start:start+n]) == expected.text {
			return expected.bound, start + n, true
		}
	}
	var err error
	if bound, end = readDecimal(data, start); end == start || end == len(data) || data[end] != '"' {
		end = plainEnd(data, start)
		bound, err = parseOther(view(data[start:end]))
	}
	if err != nil || end+1 >= len(data) || data[end] != '"' || data[end+1] != '}' {
		return 0, 0, false
	}
	end += len(`"}`)
	if expected != nil {
		*expected = writtenBound{view(data[start:end]), bound}
	}
	return bound, end, true
}
