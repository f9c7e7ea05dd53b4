// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey

import (
	"bytes"
	"strings"
)

// Filter selects keys by words. The zero Filter selects every key. It is immutable and safe for concurrent use.
type Filter struct{ words [][]byte }

// NewFilter returns the filter of a text: words separated by blanks. Each word must occur in one "name=value" pair of a key, job
// included. The case of ASCII letters is ignored.
func NewFilter(text string) Filter {
	var f Filter
	for word := range strings.FieldsSeq(text) {
		f.words = append(f.words, lowered(nil, word))
	}
	return f
}

// Matches reports whether the key has all words. It appends the text of the key to buffer and returns it, so that the next call can
// use its memory.
func (f Filter) Matches(k Key, buffer []byte) (matches bool, _ []byte) {
	if len(f.words) == 0 {
		return true, buffer
	}
	buffer = AppendText(buffer[:0], k)
	return f.in(buffer), buffer
}

// AppendText appends the text of a key: the filter selects the keys whose text has all its words.
func AppendText(buffer []byte, k Key) []byte {
	buffer = appendPair(buffer, jobLabel, k.Job)
	for _, l := range k.Labels {
		buffer = appendPair(buffer, l.Name, l.Value)
	}
	return buffer
}

// Words returns the words that the text of a key must have. The caller must not change them.
func (f Filter) Words() [][]byte { return f.words }

// MatchesText reports whether the text has all words.
func (f Filter) MatchesText(text string) bool { return len(f.words) == 0 || f.in(lowered(nil, text)) }

func (f Filter) in(text []byte) bool {
	for _, word := range f.words {
		if !bytes.Contains(text, word) {
			return false
		}
	}
	return true
}

// appendPair appends a pair in lower case. The separator is in no word, so that no word spans two pairs.
func appendPair(buffer []byte, name, value string) []byte {
	buffer = append(lowered(buffer, name), '=')
	return append(lowered(buffer, value), separator)
}

// lowered appends a text with its ASCII letters in lower case. A separator byte in it is replaced: it is no UTF-8.
func lowered(buffer []byte, text string) []byte {
	for i := range len(text) {
		c := text[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == separator:
			c = '?'
		}
		buffer = append(buffer, c)
	}
	return buffer
}
