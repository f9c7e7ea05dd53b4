// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// TestExportsOfConcurrentChanges lets groups that share series change while they are exported, refused, expired and restored, and then
// compares what a backend shows with what is held.
func TestExportsOfConcurrentChanges(t *testing.T) {
	t.Parallel()
	for _, storage := range []fault{works, inPart} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(storage, seed), func(t *testing.T) {
				t.Parallel()
				c := newClient(map[string][]byte{})
				o := options()
				o.RepublishInterval, o.TTL = 64*time.Second, time.Hour
				s, _ := restoredWith(t, c, o)
				b := newBackend()
				b.Wipes = true
				for round := range 10 {
					c.fault = failNowAndThen(storage, seed)
					concurrently(t, b, seed, round, s)
					c.fault = nil
					requireSound(t, s)
					require.NoError(t, b.Broken)
					switch round % 3 {
					case 1:
						drain(t, s, b)
						require.NoError(t, b.Broken)
						requireShown(t, s, b)
					case 2: // The times go on after a restart.
						require.NoError(t, s.Fail(t.Context(), pushtest.Key(t, "job/j"), s.Now()))
						requireRestored(t, s, c.crashed())
						day := s.Now()
						again, failed := restoredWith(t, c, o)
						require.Empty(t, failed.All)
						again.Set(day.Add(time.Second))
						s = again
					}
				}
				require.NoError(t, s.Wipe(t.Context()))
				drain(t, s, b)
				require.NoError(t, b.Broken)
				requireShown(t, s, b)
				assert.Zero(t, s.Counts())
				if storage == works { // Else records of groups that could not be made stay until they are overwritten.
					assert.Equal(t, []string{memory.NumbersName, memory.OwnerName}, slices.Sorted(maps.Keys(c.records)))
				}
			})
		}
	}
}

// failNowAndThen makes some batches fail.
func failNowAndThen(how fault, seed uint64) func() fault {
	r := rand.New(rand.NewPCG(12, seed))
	return func() fault {
		if r.IntN(10) == 0 {
			return how
		}
		return works
	}
}
