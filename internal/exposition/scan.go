// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// Classes of bytes in names. A byte of class 0 ends an unquoted name.
const (
	letter = 1 << iota // letters and the underscore
	digit              // not as the first byte
	colon              // metric names only
)

// nameClass maps a byte to its class.
var nameClass = func() (class [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		class[c], class[c-'a'+'A'] = letter, letter
	}
	for c := '0'; c <= '9'; c++ {
		class[c] = digit
	}
	class['_'], class[':'] = letter, colon
	return class
}()

// metricNameEnd returns where the unquoted metric name at pos ends: at pos itself if there is none.
func metricNameEnd(data []byte, pos int) int {
	if pos < len(data) && nameClass[data[pos]] == digit {
		return pos
	}
	for pos < len(data) && nameClass[data[pos]] != 0 {
		pos++
	}
	return pos
}

// labelNameEnd returns where the unquoted label name at pos ends: at pos itself if there is none.
func labelNameEnd(data []byte, pos int) int {
	if pos < len(data) && nameClass[data[pos]] == digit {
		return pos
	}
	for pos < len(data) && nameClass[data[pos]]&(letter|digit) != 0 {
		pos++
	}
	return pos
}

// validMetricName tells whether a name that was quoted is one: non-empty UTF-8, or what needs no quotes.
func validMetricName(name string, utf8Names bool) bool {
	if utf8Names {
		return name != "" && utf8.ValidString(name)
	}
	return name != "" && metricNameEnd(viewBytes(name), 0) == len(name)
}

// validLabelName is validMetricName for labels, which may hold no colon unless names may be UTF-8.
func validLabelName(name string, utf8Names bool) bool {
	if utf8Names {
		return name != "" && utf8.ValidString(name)
	}
	return name != "" && labelNameEnd(viewBytes(name), 0) == len(name)
}

// skipBlanks returns the position of the first byte from pos on that is neither a space nor a tab.
func skipBlanks(data []byte, pos int) int {
	for pos < len(data) && (data[pos] == ' ' || data[pos] == '\t') {
		pos++
	}
	return pos
}

// tokenEnd returns the position of the next space, tab or line feed, or len(data).
func tokenEnd(data []byte, pos int) int {
	for pos < len(data) && data[pos] != ' ' && data[pos] != '\t' && data[pos] != '\n' {
		pos++
	}
	return pos
}

// lineEnd returns the position of the next line feed, or len(data).
func lineEnd(data []byte, pos int) int {
	if i := bytes.IndexByte(data[pos:], '\n'); i >= 0 {
		return pos + i
	}
	return len(data)
}

// plainText marks ASCII bytes that need no escape in a quoted text.
var plainText = func() (plain [256]bool) {
	for c := range utf8.RuneSelf {
		plain[c] = c != '"' && c != '\\' && c != '\n'
	}
	return plain
}()

// plainEnd returns the end of the run of plainText bytes at pos.
func plainEnd(data []byte, pos int) int {
	for pos < len(data) && plainText[data[pos]] {
		pos++
	}
	return pos
}

// fault says why a text ended early.
type fault uint8

const (
	noFault      fault = iota
	endFault           // end of the body
	newlineFault       // line feed in a quoted text
	escapeFault        // backslash before a byte that needs none
)

// quoted reads a quoted text from after its opening quote and returns the position after the closing quote. On a fault it
// returns the text so far and the position of the invalid byte, which for an escape is the byte after the backslash.
// Without strict, an unknown escape stands for itself.
func (b *Batch) quoted(data []byte, pos int, strict bool) (string, int, fault) {
	for i := pos; i < len(data); i++ {
		switch data[i] {
		case '"':
			return view(data[pos:i]), i + 1, noFault
		case '\n':
			return view(data[pos:i]), i, newlineFault
		case '\\':
			text, end, f := b.unescape(data, pos, '"', strict)
			if f == noFault {
				end++
			}
			return text, end, f
		}
	}
	return view(data[pos:]), len(data), endFault
}

// restOfLine reads an escaped text up to the line feed and returns its position. Faults are as in quoted.
func (b *Batch) restOfLine(data []byte, pos int, strict bool) (string, int, fault) {
	end := lineEnd(data, pos)
	if bytes.IndexByte(data[pos:end], '\\') >= 0 {
		return b.unescape(data, pos, '\n', strict)
	}
	if end == len(data) {
		return view(data[pos:]), end, endFault
	}
	return view(data[pos:end]), end, noFault
}

// unescape copies the text up to the closing byte into the Batch's memory and resolves \\, \" and \n.
func (b *Batch) unescape(data []byte, pos int, closing byte, strict bool) (string, int, fault) {
	text := b.scratch.reserve(escapedLen(data[pos:], closing))
	result := func(end int, f fault) (string, int, fault) {
		b.scratch.keep(text)
		return view(text), end, f
	}
	for ; pos < len(data); pos++ {
		switch c := data[pos]; c {
		case closing:
			return result(pos, noFault)
		case '\n':
			return result(pos, newlineFault)
		case '\\':
			pos++
			if pos == len(data) {
				return result(pos, endFault)
			}
			switch data[pos] {
			case 'n':
				text = append(text, '\n')
			case '\\', '"':
				text = append(text, data[pos])
			default:
				if strict || data[pos] == '\n' {
					return result(pos, escapeFault)
				}
				text = append(text, '\\', data[pos])
			}
		default:
			text = append(text, c)
		}
	}
	return result(pos, endFault)
}

// escapedLen returns the length of an escaped text up to the closing byte or line end. Resolving never lengthens a text.
func escapedLen(data []byte, closing byte) int {
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case closing, '\n':
			return i
		case '\\':
			i++
		}
	}
	return len(data)
}

var errFloat = errors.New("not a decimal number")

// parseFloat reads a float in Go's syntax without hexadecimal and underscores, as both text formats do. A number beyond
// the range of a float64 is an error.
func parseFloat(token string) (float64, error) {
	if v, end := readDecimal(viewBytes(token), 0); end == len(token) && end > 0 {
		return v, nil
	}
	return parseOther(token)
}

// parseOther is parseFloat for numbers that readDecimal does not support.
func parseOther(token string) (float64, error) {
	if token == "+Inf" { // the last bucket of every histogram
		return math.Inf(1), nil
	}
	for i := range len(token) {
		if c := token[i]; c == 'p' || c == 'P' || c == '_' {
			return 0, errFloat
		}
	}
	return strconv.ParseFloat(token, 64)
}

// exactDigits is the number of decimal digits that a float64 always represents exactly.
const exactDigits = 15

// powersOfTen are readDecimal's divisors, all exact.
var powersOfTen = [exactDigits + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// readDecimal reads a number such as 12 or -0.25 with at most 15 digits. Such a number is the quotient of two exact
// integers, so one division rounds correctly. It returns the end, or pos for other numbers. The caller checks the byte
// after the end.
func readDecimal(data []byte, pos int) (v float64, end int) {
	first, sign := pos, 1.0
	if pos < len(data) && data[pos] == '-' {
		first, sign = pos+1, -1
	}
	mantissa, point := readDigits(0, data, first)
	digits, places := point-first, 0
	end = point
	if point < len(data) && data[point] == '.' {
		mantissa, end = readDigits(mantissa, data, point+1)
		places = end - point - 1
		digits += places
	}
	if digits == 0 || digits > exactDigits {
		return 0, pos
	}
	v = sign * float64(mantissa)
	if places > 0 {
		v /= powersOfTen[places]
	}
	return v, end
}

// readDigits appends decimal digits to a number. The result is invalid after an overflow.
func readDigits(number int64, data []byte, pos int) (result int64, end int) {
	for pos < len(data) && data[pos]-'0' <= 9 {
		number = number*10 + int64(data[pos]-'0')
		pos++
	}
	return number, pos
}
