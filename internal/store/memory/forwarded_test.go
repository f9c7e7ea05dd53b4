// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// TestForwardedParts holds both parts of a histogram, forwards what the setting says, and ends no other series than these, also
// after a restart.
func TestForwardedParts(t *testing.T) {
	t.Parallel()
	const classic, native = "h Histogram", "h ExponentialHistogram"
	for name, c := range map[string]struct {
		setting   translate.Histograms
		forwarded []string
		series    int
	}{
		"classic": {translate.ClassicHistograms, []string{classic}, 4},
		"native":  {translate.NativeHistograms, []string{native}, 1},
		"both":    {translate.BothHistograms, []string{classic, native}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(map[string][]byte{})
			key := pushtest.Key(t, "job/j")
			start := func() *testStore {
				s, _ := restoredWith(t, client, store.Options{Scope: pushtest.Scope, Forwarded: c.setting.Forwarded})
				s.Pass(memory.FirstRound)
				return s
			}
			s := start()
			push := bothParts(t, "job/j")
			require.NoError(t, s.Push(t.Context(), key, familiesOf(t, s, push), true, at(1)))
			assert.Equal(t, c.forwarded, kindsOf(exported(t, s)))
			s = start()
			forwarded := exported(t, s)
			assert.Equal(t, c.forwarded, kindsOf(forwarded))
			assert.Equal(t, c.series, s.Counts().Series)
			for _, snapshot := range snapshotsOf(t, s) {
				assert.Equal(t, []string{classic, native}, kindsOf(snapshot.Families[0].Metrics()))
			}
			require.NoError(t, s.Delete(t.Context(), key))
			for _, s := range []*testStore{s, start()} {
				assert.Equal(t, c.series, s.Counts().Pending)
				pending := pendingOf(s, "job/j")
				assert.Equal(t, c.forwarded, kindsOf(pending))
				assert.Equal(t, sortedSeries(forwarded), sortedSeries(pending))
			}
		})
	}
}
