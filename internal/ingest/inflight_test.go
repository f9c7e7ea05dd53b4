// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInFlight(t *testing.T) {
	t.Parallel()
	f := NewInFlight(100)
	require.NoError(t, f.Reserve(60))
	require.NoError(t, f.Reserve(40))

	err := f.Reserve(1)
	assert.Equal(t, ReasonOverload, reasonOf(err))
	require.ErrorContains(t, err, "limits::in_flight_bytes (100) is reached: 100 bytes of pushes are in progress and this push needs 1 more; nothing was kept, try again later")
	assert.EqualValues(t, 100, f.Bytes(), "a refused reservation takes nothing")

	err = f.Reserve(101)
	assert.Equal(t, ReasonTooLarge, reasonOf(err), "what can never fit is not worth a retry")

	f.Release(40)
	require.NoError(t, f.Reserve(40))
	f.bytes.Add(1) // As another reservation does for a moment before it is refused.
	require.NoError(t, f.Reserve(0))
	f.Release(101)
	assert.Zero(t, f.Bytes())
}

// What grows little by little is told apart, too: what needs more than there is, its body included, from what comes at the
// wrong time.
func TestReservation(t *testing.T) {
	t.Parallel()
	f := NewInFlight(100)
	require.NoError(t, f.Reserve(50), "the body")
	mine := &reservation{inFlight: f, body: 50}
	require.NoError(t, mine.upTo(40))

	require.NoError(t, f.Reserve(5), "of somebody else")
	assert.Equal(t, ReasonOverload, reasonOf(mine.upTo(48)))
	err := mine.upTo(51)
	assert.Equal(t, ReasonTooLarge, reasonOf(err))
	require.ErrorContains(t, err, "the push needs at least 101 bytes")
	mine.release()
	assert.EqualValues(t, 55, f.Bytes())
}

func TestInFlightWithoutLimit(t *testing.T) {
	t.Parallel()
	f := NewInFlight(0)
	const large int64 = 1 << 60
	require.NoError(t, f.Reserve(large))
	assert.Equal(t, large, f.Bytes())
}

func TestInFlightIsExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	f := NewInFlight(10)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 1000 {
				if f.Reserve(3) == nil {
					f.Release(3)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, f.Bytes())
}
