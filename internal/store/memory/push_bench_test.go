// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// BenchmarkPush pushes three families of three series each: again and again, with other series each time, and to new groups that are
// then deleted. The three differ in how much they have to compare.
func BenchmarkPush(b *testing.B) {
	families := func(b *testing.B, s *testStore, generation int) []*store.Family {
		b.Helper()
		body := ""
		for i := range 9 {
			body += fmt.Sprintf("f%d{g=\"%d\",l=\"%d\"} 1\n", i/3, generation, i)
		}
		return storetest.FamiliesOf(b, s, pushtest.Text(b, "job/X", body))
	}
	for _, bc := range []struct {
		name        string
		generations int
		after       func(*testing.B, *testStore)
	}{
		{"again", 1, func(*testing.B, *testStore) {}},
		{"others", 2, func(b *testing.B, s *testStore) { b.Helper(); exportValues(b, s) }},
		{"new", 1, func(b *testing.B, s *testStore) {
			b.Helper()
			require.NoError(b, s.Delete(b.Context(), pushtest.Key(b, "job/X")))
		}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s := newStore(options())
			key := pushtest.Key(b, "job/X")
			var pushes [][]*store.Family
			for g := range bc.generations {
				pushes = append(pushes, families(b, s, g))
			}
			b.ReportAllocs()
			for i := range b.N {
				require.NoError(b, s.Push(b.Context(), key, pushes[i%len(pushes)], true, s.Now()))
				bc.after(b, s)
			}
		})
	}
}
