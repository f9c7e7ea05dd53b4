// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Series are those that a backend shows unless their markers are exported.
func (s State) Series(tb testing.TB) map[series.Hash]bool {
	tb.Helper()
	all := s.PendingSeries()
	for _, g := range s.Groups {
		for _, h := range g.Times {
			all[h] = true
		}
		for _, family := range g.Families {
			_, text, _ := strings.Cut(family, "{")
			md, err := new(pmetric.JSONUnmarshaler).UnmarshalMetrics([]byte("{" + text))
			require.NoError(tb, err)
			for _, h := range SortedSeries(md) {
				all[h] = true
			}
		}
	}
	return all
}
