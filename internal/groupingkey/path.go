// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey

import (
	"encoding/base64"
	"strings"
)

// Path returns the group's canonical path: labels in order, and base64 for values with characters that URLs encode. With
// UTF-8 names, other than legacy names are escaped. Parse with the same utf8Names returns the key.
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
		b.WriteString(base64Suffix + "/=") // Padding prevents an empty element.
	default:
		b.WriteString(base64Suffix + "/")
		b.WriteString(base64.RawURLEncoding.EncodeToString([]byte(value)))
	}
}

// isPlainElement reports whether the value needs no encoding: not empty, only RFC 3986's unreserved characters, and not a
// dot segment.
func isPlainElement(value string) bool {
	for i := range len(value) {
		if c := value[i]; !isLegacyByte(c) && c != '-' && c != '.' && c != '~' {
			return false
		}
	}
	return value != "" && value != "." && value != ".."
}
