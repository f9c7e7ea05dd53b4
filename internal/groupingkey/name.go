// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escapePrefix starts a label name in the value encoding of UTF-8 names ("escaping=values").
const escapePrefix = "U__"

// maxEscape is the largest code point that Prometheus' unescaping (common, model.UnescapeName) reads: it stops after five
// hexadecimal digits.
const maxEscape = 0xfffff

// isLegacyName reports whether the name matches [a-zA-Z_][a-zA-Z0-9_]*.
func isLegacyName(name string) bool {
	for i := range len(name) {
		if !isLegacyByte(name[i]) || i == 0 && '0' <= name[0] && name[0] <= '9' {
			return false
		}
	}
	return name != ""
}

func isLegacyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// unescape decodes the value encoding: after U__, __ is an underscore and _<hex>_ a code point. As in a Pushgateway, an
// invalid encoding is kept as written.
func unescape(name string) string {
	rest, ok := strings.CutPrefix(name, escapePrefix)
	if !ok {
		return name
	}
	var b strings.Builder
	for {
		plain, escape, ok := strings.Cut(rest, "_")
		b.WriteString(plain)
		if !ok {
			return b.String()
		}
		digits, after, ok := strings.Cut(escape, "_")
		if !ok {
			return name
		}
		if !writeRune(&b, digits) {
			return name
		}
		rest = after
	}
}

// writeRune writes the code point of the hexadecimal digits, or an underscore without digits.
func writeRune(b *strings.Builder, digits string) bool {
	if digits == "" {
		b.WriteByte('_')
		return true
	}
	for i := range len(digits) {
		if strings.IndexByte("0123456789abcdefABCDEF", digits[i]) < 0 {
			return false // ParseUint would accept a sign and, with base 0, a prefix.
		}
	}
	r, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || len(digits) > 5 || !utf8.ValidRune(rune(r)) {
		return false
	}
	b.WriteRune(rune(r))
	return true
}

// escape is the inverse of unescape.
func escape(name string) string {
	b := []byte(escapePrefix)
	for _, r := range name {
		switch {
		case r == '_':
			b = append(b, "__"...)
		case r < utf8.RuneSelf && isLegacyByte(byte(r)) || r > maxEscape:
			b = utf8.AppendRune(b, r)
		default:
			b = append(strconv.AppendInt(append(b, '_'), int64(r), 16), '_')
		}
	}
	return string(b)
}
