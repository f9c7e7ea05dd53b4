// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// TestReserved verifies that exactly the memory that the batch does not tell is reserved before use.
func TestReserved(t *testing.T) {
	t.Parallel()
	const fits = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
	const fraction = "# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 1.5\nh_bucket{a=\"b\",le=\"+Inf\"} 2\nh_sum{a=\"b\"} 3\nh_count{a=\"b\"} 2\n"
	full := errors.New("full")
	for name, tc := range map[string]struct {
		body   string
		held   bool
		answer error
		asked  bool
	}{
		"a histogram that fits":                 {fits, false, full, false},
		"one that does not":                     {fraction, false, nil, true},
		"one that there is no room for":         {fraction, false, full, true},
		"a scope that a label names":            {"a{otel_scope_x=\"1\"} 1\n", false, nil, true},
		"one that there is no room for either":  {"a{otel_scope_x=\"1\"} 1\n", false, full, true},
		"the text of a push":                    {"# HELP a help\na 1\n", false, full, false},
		"that of one that is held":              {"# HELP a help\na 1\n", true, nil, true},
		"that of one that is held without room": {"# HELP a help\na 1\n", true, full, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var batch exposition.Batch
			require.NoError(t, batch.Decode(exposition.Text, []byte(tc.body), exposition.Options{}))
			var reserved int64
			_, err := translate.Translate(&batch, groupingkey.Key{Job: "j"}, translate.Options{Held: tc.held, Reserve: func(bytes int64) error {
				reserved += bytes
				return tc.answer
			}})
			assert.Equal(t, tc.asked, reserved > 0)
			if tc.asked && tc.answer != nil {
				require.ErrorIs(t, err, full)
			} else {
				require.NoError(t, err)
			}
		})
	}
}
