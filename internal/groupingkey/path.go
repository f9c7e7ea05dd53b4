// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey

import (
	"encoding/base64"
	"strings"
)

// Path is the canonical path of the group, one for each key: labels in order, values in base64 unless they consist of
// characters that no URL encodes, and, where UTF-8 names are in use, names escaped that are not plain ones. Parse gives
// the key back from what follows /metrics/, with the same utf8Names.
func (k Key) Path(utf8Names bool) string {
	var b strings.Builder
	b.WriteString("/metrics")
	writeElements(&b, jobLabel, k.Job)
	for _, l := range k.Labels {
		name := l.Name
		if utf8Names && (!isLegacyName(name) || unescape(name) != name) {
			name = escape(name)
		}
		writeElements(&b, name, l.Value)
	}
	return b.String()
}

func writeElements(b *strings.Builder, name, value string) {
	b.WriteByte('/')
	b.WriteString(name)
	switch {
	case isPlainElement(value):
		b.WriteByte('/')
		b.WriteString(value)
	case value == "":
		b.WriteString(base64Suffix + "/=") // The padding keeps the element from being empty.
	default:
		b.WriteString(base64Suffix + "/")
		b.WriteString(base64.RawURLEncoding.EncodeToString([]byte(value)))
	}
}

// isPlainElement reports whether the value can stand in a path as it is: not empty, of RFC 3986's unreserved characters
// only, and none of the dots that are taken for a directory.
func isPlainElement(value string) bool {
	for i := range len(value) {
		if c := value[i]; !isLegacyByte(c) && c != '-' && c != '.' && c != '~' {
			return false
		}
	}
	return value != "" && value != "." && value != ".."
}
