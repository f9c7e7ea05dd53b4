// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pushtest creates translated pushes and measures the heap, for tests.
package pushtest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// Scope is the name of the receiver's scope.
const Scope = "example.com/receiver"

// Options are a receiver's with groups.
func Options() translate.Options {
	return translate.Options{Held: true, PushTime: true, ScopeName: Scope, ScopeVersion: "1.2.3", Timestamps: translate.Drop}
}

// Key returns the grouping key for a path after /metrics/.
func Key(tb testing.TB, path string) groupingkey.Key {
	tb.Helper()
	key, ok, err := groupingkey.Parse(path, true)
	require.NoError(tb, err)
	require.True(tb, ok)
	return key
}

// Translate decodes and translates a body. The result has no times.
func Translate(key groupingkey.Key, format exposition.Format, body []byte) (*translate.Push, error) {
	var b exposition.Batch
	if err := b.Decode(format, body, exposition.Options{UTF8Names: true}); err != nil {
		return nil, err
	}
	return translate.Translate(&b, key, Options())
}

// Text translates a body in the text format, or in OpenMetrics if it ends with # EOF.
func Text(tb testing.TB, path, body string) *translate.Push {
	tb.Helper()
	push, err := Translate(Key(tb, path), formatOf(body), []byte(body))
	require.NoError(tb, err)
	return push
}

func formatOf(body string) exposition.Format {
	const end = "# EOF\n"
	if len(body) >= len(end) && body[len(body)-len(end):] == end {
		return exposition.OpenMetrics
	}
	return exposition.Text
}

// Copied returns a copy of pdata.
func Copied(md pmetric.Metrics) pmetric.Metrics {
	copied := pmetric.NewMetrics()
	md.CopyTo(copied)
	return copied
}
