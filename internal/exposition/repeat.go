// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import "math"

// repeat knows how the labels of a histogram or summary were written in its last line. Its lines mostly follow each other,
// and differ in the boundary label only, which comes last: where the same bytes follow the brace again, the series is known
// to be the same, and only the bound is left to be read.
type repeat struct {
	known  bool
	labels string // what stood between the braces, less the boundary label

	// The bounds that followed the first one of a series, since those of the next series mostly are the same.
	bounds [16]writtenBound
	next   int // index of the one to expect
}

// writtenBound is a bound as it was written, with the quote and brace after it.
type writtenBound struct {
	text  string
	bound float64
}

// note remembers what stood between the braces of a line. Its last label is to be the boundary label with that value,
// unless its name is empty. What is written in an unusual way is not worth remembering.
func (r *repeat) note(text, boundary, value string) {
	r.known, r.next = false, 0
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
	r.labels = text
	r.known = text == "" || text[len(text)-1] == '"'
}

// read reads labels, from behind the opening brace to behind the closing one, if they are those that were noted. The bound
// is NaN if there is no boundary label. It is not ok if the labels may be others.
func (r *repeat) read(data []byte, pos int, boundary string) (bound float64, end int, ok bool) {
	n := len(r.labels)
	if !r.known || n >= len(data)-pos || view(data[pos:pos+n]) != r.labels {
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
	return r.readBound(data, pos, boundary)
}

// readBound reads the boundary label and the closing brace that must follow.
func (r *repeat) readBound(data []byte, pos int, boundary string) (bound float64, end int, ok bool) {
	start := pos + len(boundary) + len(`="`)
	if start >= len(data) || view(data[pos:pos+len(boundary)]) != boundary || data[start-2] != '=' || data[start-1] != '"' {
		return 0, 0, false
	}
	var expected *writtenBound
	if r.next < len(r.bounds) {
		expected = &r.bounds[r.next]
		r.next++
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
