// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// script has all that happens to an aggregate: series begin and end, pushers restart, are deleted and folded, series expire, and a family
// changes its type.
var script = []string{
	"PUT a c 5; sum_g 1", "PUT a c 5; sum_g 1", "PUT b c 3; sum_g 2; max_g 7", `PUT c c{x="1"} 0.1; g 4; max_g 9`, "PUT a c 2", "DELETE b",
	"PUT a h:1=4,+Inf=5 6", "PUT b h:2=3,+Inf=3 4; c 1", "DELETE c", "DELETE a", "PUT a c 1; h:1=4,+Inf=5 6", "PASS 59m", "PUT d d 1", "EXPIRE",
	"PASS 2m", "EXPIRE", "PUT d c 1", "PUT e d_total 4", "PASS 2h", "EXPIRE", "PUT e c 2", "END", "PUT a c 1", "WIPE",
}

// play does a step of the script.
func play(tb testing.TB, s *testStore, step string) error {
	tb.Helper()
	switch verb, rest, _ := strings.Cut(step, " "); verb {
	case "PASS":
		d, err := time.ParseDuration(rest)
		require.NoError(tb, err)
		s.Pass(d)
		return nil
	case "EXPIRE":
		_, err := s.Expire(tb.Context())
		return err
	case "END":
		return s.EndAggregate(tb.Context(), pushtest.Key(tb, "job/X"))
	case "WIPE":
		return s.Wipe(tb.Context())
	default:
		return contribute(tb, s, step)
	}
}

// again is what a restart at that time of day finds.
func again(tb testing.TB, records map[string][]byte, day time.Time) *testStore {
	tb.Helper()
	o := aggregating()
	o.TTL = 3 * time.Hour
	s, failed := restoredWith(tb, newClient(records), o)
	s.Set(day)
	require.Empty(tb, failed.All)
	return s
}

// TestAggregateCrashes restarts after every single operation of the storage. What a restart finds is as before the step or as after it, and
// repeating the step counts nothing twice.
func TestAggregateCrashes(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	o := aggregating()
	o.TTL = 3 * time.Hour
	s, failed := restoredWith(t, c, o)
	operations := 0
	for _, step := range script {
		before := values(t, s)
		var crashes []map[string][]byte
		c.applied = func() { crashes = append(crashes, c.crashed()) }
		require.NoError(t, play(t, s, step), step)
		c.applied = nil
		operations += len(crashes)
		after := values(t, s)
		for i, records := range crashes {
			restarted := again(t, records, s.Now())
			require.Contains(t, []string{before, after}, values(t, restarted), "%s, operation %d", step, i)
			require.NoError(t, play(t, restarted, step))
			require.Equal(t, after, values(t, restarted), "%s again, operation %d", step, i)
		}
		restarted := again(t, c.crashed(), s.Now())
		require.Equal(t, after, values(t, restarted), step)
		require.Equal(t, s.Counts().Pushers, restarted.Counts().Pushers, step)
		require.Equal(t, s.Counts().Series, restarted.Counts().Series, step)
		exportValues(t, s)
	}
	require.Empty(t, failed.All)
	assert.Greater(t, operations, 2*len(script))
	for range 3 {
		require.NoError(t, export(t, s, func(*store.Part) store.Outcome { return accepted }))
		s.Pass(time.Minute)
	}
	assert.ElementsMatch(t, []string{memory.NumbersName, memory.PushersName, memory.OwnerName}, slices.Collect(maps.Keys(c.records)))
}

// TestAggregateFailures has each operation fail in each way, then the storage work again.
func TestAggregateFailures(t *testing.T) {
	t.Parallel()
	for _, how := range []fault{before, inPart, after} {
		for n := range 30 {
			c := newClient(map[string][]byte{})
			o := aggregating()
			o.TTL = 3 * time.Hour
			s, _ := restoredWith(t, c, o)
			c.fault = failing(n+1, how)
			for _, step := range script {
				was := values(t, s)
				err := play(t, s, step)
				if err == nil {
					continue
				}
				if step != "EXPIRE" { // which can have done a part
					require.Equal(t, was, values(t, s))
				}
				crashed := again(t, c.crashed(), s.Now())
				day := s.Now()
				require.NoError(t, play(t, s, step))
				want := values(t, s)
				s.Set(day)
				require.NoError(t, play(t, crashed, step))
				require.Equal(t, want, values(t, crashed), "%s fails at %d", step, n)
				require.Equal(t, want, values(t, again(t, c.crashed(), s.Now())), step)
			}
		}
	}
}
