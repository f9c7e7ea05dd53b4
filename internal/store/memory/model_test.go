// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// backend is what claims are exported to. It holds each series to one call at a time and to times that increase.
type backend struct {
	mu      sync.Mutex
	busy    map[series.Hash]bool
	last    map[series.Hash]time.Time
	showing map[series.Hash]bool // series whose last sample is a value
	broken  error                // the first rule that was broken
}

func newBackend() *backend {
	return &backend{busy: map[series.Hash]bool{}, last: map[series.Hash]time.Time{}, showing: map[series.Hash]bool{}}
}

func (b *backend) fail(format string, args ...any) {
	if b.broken == nil {
		b.broken = fmt.Errorf(format, args...)
	}
}

// begin begins a call with the parts of a claim.
func (b *backend) begin(claim *store.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range claim.Parts {
		for _, h := range slices.Compact(sortedSeries(p.Metrics())) { // A zero comes with a value.
			if b.busy[h] {
				b.fail("two calls at once have a series of %s", p.Key)
			}
			if !claim.At.After(b.last[h]) {
				b.fail("a series of %s comes at %s and then at %s", p.Key, b.last[h], claim.At)
			}
			b.busy[h] = true
		}
	}
}

// end ends the call. The backend has taken what takes says.
func (b *backend) end(claim *store.Claim, takes func(*store.Part) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range claim.Parts {
		taken := takes(p)
		for _, h := range slices.Compact(sortedSeries(p.Metrics())) { // A zero comes with a value.
			delete(b.busy, h)
			if taken {
				b.last[h], b.showing[h] = claim.At, !isMarkers(p)
			}
		}
	}
}

// outcomeOf draws the outcome of a part, and whether the backend has taken it. It may have done so although it returned an error.
func outcomeOf(r *rand.Rand, now time.Time) (store.Outcome, bool) {
	switch r.IntN(8) {
	case 0:
		return store.Outcome{}, false
	case 1:
		return refused, r.IntN(2) == 0
	case 2:
		return store.Outcome{Tried: true, Err: errRefused, Retry: now.Add(time.Second)}, r.IntN(2) == 0
	case 3:
		return store.Outcome{Tried: true, Err: errRefused, Retry: now.Add(2 * time.Second), Suspect: true}, false
	default:
		return accepted, true
	}
}

// exportSome claims some groups, draws what becomes of them and settles the claim, often with its markers divided.
func exportSome(t *testing.T, s *testStore, b *backend, r *rand.Rand) {
	t.Helper()
	claim, _ := s.Claim(t.Context(), store.Limits{Groups: 1 + r.IntN(4), Series: 200, Bytes: 1 << 20})
	if claim == nil {
		return
	}
	for range r.IntN(3) {
		if len(claim.Parts) > 0 {
			claim.Divide(claim.Parts[r.IntN(len(claim.Parts))])
		}
	}
	b.begin(claim)
	s.pass(time.Duration(r.IntN(int(100 * time.Millisecond))))
	taken := map[*store.Part]bool{}
	for _, p := range claim.Parts {
		p.Outcome, taken[p] = outcomeOf(r, s.now())
	}
	b.end(claim, func(p *store.Part) bool { return taken[p] })
	_ = s.Settle(t.Context(), claim) // If it cannot be stored, markers are exported again after a restart.
}

// drain exports all that there is, until nothing waits.
func drain(t *testing.T, s *testStore, b *backend) {
	t.Helper()
	for range 1000 {
		s.pass(10 * time.Second)
		for claim, _ := s.Claim(t.Context(), all); claim != nil; claim, _ = s.Claim(t.Context(), all) {
			b.begin(claim)
			b.end(claim, func(*store.Part) bool { return true })
			settleAll(t, s, claim, accepted)
		}
		if groups, _ := s.Waiting(); groups == 0 {
			return
		}
	}
	assert.Fail(t, "some groups wait for ever")
}

// live are the series that a backend should show.
func live(t *testing.T, s *testStore) map[series.Hash]bool {
	t.Helper()
	held := stateOf(t, s)
	require.Empty(t, held.Pending)
	return held.series(t)
}

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
				for round := range 10 {
					c.fault = failNowAndThen(storage, seed)
					concurrently(t, s, b, seed, round)
					c.fault = nil
					requireSound(t, s)
					require.NoError(t, b.broken)
					switch round % 3 {
					case 1:
						drain(t, s, b)
						require.NoError(t, b.broken)
						requireShown(t, s, b)
					case 2: // The times go on after a restart.
						require.NoError(t, s.Fail(t.Context(), pushtest.Key(t, "job/j"), s.now()))
						requireRestored(t, s, c.crashed())
						day := s.now()
						again, failed := restoredWith(t, c, o)
						require.Empty(t, failed.all)
						again.set(day.Add(time.Second))
						s = again
					}
				}
				require.NoError(t, s.Wipe(t.Context()))
				drain(t, s, b)
				require.NoError(t, b.broken)
				requireShown(t, s, b)
				assert.Zero(t, s.Counts())
				if storage == works { // Else records of groups that could not be made stay until they are overwritten.
					assert.Equal(t, []string{memory.NumbersName}, slices.Collect(maps.Keys(c.records)))
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

// concurrently changes each group in a goroutine of its own, exports in others and expires in one.
func concurrently(t *testing.T, s *testStore, b *backend, seed uint64, round int) {
	t.Helper()
	var all sync.WaitGroup
	for i, path := range paths {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(100*round+i)))
			for range 20 {
				_ = changeAtRandom(t, s, r, path)
			}
		})
	}
	for i := range 3 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(100*round+50+i)))
			for range 40 {
				exportSome(t, s, b, r)
			}
		})
	}
	all.Go(func() {
		for range 5 {
			_, _ = s.Expire(t.Context())
			s.Waiting()
			s.Counts()
		}
	})
	all.Wait()
}

func changeAtRandom(t *testing.T, s *testStore, r *rand.Rand, path string) error {
	key := pushtest.Key(t, path)
	switch kind := r.IntN(12); kind {
	case 0, 1:
		return s.Delete(t.Context(), key)
	case 2:
		return s.Fail(t.Context(), key, s.now())
	case 3:
		if r.IntN(10) == 0 {
			return s.Wipe(t.Context())
		}
		return nil
	default:
		return s.Push(t.Context(), key, familiesOf(t, s, pushtest.Random(r, key)), kind%2 == 0, s.now())
	}
}

// requireShown compares what a backend shows with what is held. All of it has been exported.
func requireShown(t *testing.T, s *testStore, b *backend) {
	t.Helper()
	want := live(t, s)
	for h := range want {
		require.True(t, b.showing[h], "a value was not exported")
	}
	for h, shown := range b.showing {
		require.Equal(t, want[h], shown, "a series that is gone has a marker")
	}
}
