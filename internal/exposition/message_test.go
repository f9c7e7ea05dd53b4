// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

func TestIsMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body   string
		fields []uint64
		want   bool
	}{
		"nothing":                   {"", []uint64{1}, false},
		"one field":                 {"\x0a\x01a", []uint64{1}, true},
		"one field twice":           {"\x0a\x01a\x0a\x00", []uint64{1}, true},
		"fields of several types":   {"\x0a\x01a\x18\x01\x22\x00", []uint64{1, 3, 4}, true},
		"another field":             {"\x0a\x01a\x12\x01b", []uint64{1}, false},
		"a length before it":        {"\x03\x0a\x01a", []uint64{1}, false},
		"cut off":                   {"\x0a\x02a", []uint64{1}, false},
		"text":                      {"a 1\n", []uint64{1, 2, 3, 4, 5}, false},
		"text behind an empty line": {"\na 1\n", []uint64{1, 2, 3, 4, 5}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, exposition.IsMessage([]byte(c.body), c.fields...))
		})
	}
}
