// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
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
)

// backend is what claims are exported to. It holds each series to one call at a time and to times that increase.
type Backend struct {
	mu      sync.Mutex
	busy    map[series.Hash]bool
	last    map[series.Hash]time.Time
	showing map[series.Hash]bool   // series whose last sample is a value
	totals  map[string]total       // of counters of TotalsOf
	of      map[series.Hash]string // the group and part of the latest sample
	// Wipes says that all is wiped now and then, so totals begin again.
	Wipes bool
	// Lossy says that claims can be lost during their calls. Then it refuses what comes late instead.
	Lossy bool
	// Kill ends a connection of some store to its database, if it is not nil.
	Kill func()
	// Hang waits until the claim is lost, as those of a process that is stopped for a while, if it is not nil.
	Hang func(*store.Claim)
	// Broken is the first rule that was broken.
	Broken error
}

// NewBackend creates a backend that shows nothing.
func NewBackend() *Backend {
	return &Backend{busy: map[series.Hash]bool{}, last: map[series.Hash]time.Time{}, showing: map[series.Hash]bool{}, totals: map[string]total{}, of: map[series.Hash]string{}}
}

func (b *Backend) fail(format string, args ...any) {
	if b.Broken == nil {
		b.Broken = fmt.Errorf(format, args...)
	}
}

// begin begins a call with the parts of a claim.
func (b *Backend) begin(claim *store.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Lossy {
		return
	}
	for _, p := range claim.Parts {
		for _, h := range slices.Compact(SortedSeries(p.Metrics())) { // A zero comes with a value.
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
func (b *Backend) end(claim *store.Claim, takes func(*store.Part) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range claim.Parts {
		taken := takes(p)
		if taken && p.Chunk != 0 && p.Group == TotalsOf && !b.Wipes {
			b.takeTotals(claim, p)
		}
		for _, h := range slices.Compact(SortedSeries(p.Metrics())) { // A zero comes with a value.
			delete(b.busy, h)
			if taken && claim.At.Equal(b.last[h]) {
				b.fail("a series of %s comes twice at %s", p.Key, claim.At)
			}
			if taken && claim.At.After(b.last[h]) {
				b.last[h], b.showing[h], b.of[h] = claim.At, !IsMarkers(p), p.Group+" "+p.Name()
			}
		}
	}
}

// outcomeOf draws the outcome of a part, and whether the backend has taken it. It may have done so although it returned an error.
func outcomeOf(r *rand.Rand, now time.Time) (store.Outcome, bool) {
	switch r.IntN(8) {
	case 0:
		return store.Outcome{}, false
	case 1, 2:
		outcome := store.Outcome{Tried: true, Err: ErrRefused, Doubtful: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			outcome.Retry = now.Add(time.Second)
		}
		return outcome, outcome.Doubtful && r.IntN(2) == 0
	case 3:
		return store.Outcome{Tried: true, Err: ErrRefused, Retry: now.Add(2 * time.Second), Suspect: true}, false
	default:
		return Accepted, true
	}
}

// ExportSome claims some groups, draws what becomes of them and settles the claim, often with its markers divided.
func ExportSome(t *testing.T, s *Store, b *Backend, r *rand.Rand) {
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
	s.Pass(time.Duration(r.IntN(int(100 * time.Millisecond))))
	hangs := b.Hang != nil && r.IntN(10) == 0
	if hangs {
		b.Hang(claim)
	}
	taken := map[*store.Part]bool{}
	for _, p := range claim.Parts {
		p.Outcome, taken[p] = outcomeOf(r, s.Now())
	}
	b.end(claim, func(p *store.Part) bool { return taken[p] })
	// If it cannot be stored, markers are exported again after a restart.
	if err := s.Settle(t.Context(), claim); hangs {
		assert.Error(t, err, "another claim may have the groups")
	}
}

// Drain exports all that there is, until nothing waits.
func Drain(t *testing.T, s *Store, b *Backend) {
	t.Helper()
	for range 1000 {
		s.Pass(10 * time.Second)
		for claim, _ := s.Claim(t.Context(), All); claim != nil; claim, _ = s.Claim(t.Context(), All) {
			b.begin(claim)
			b.end(claim, func(*store.Part) bool { return true })
			SettleAll(t, s, claim, Accepted)
		}
		if groups, _ := s.Waiting(); groups == 0 {
			return
		}
	}
	assert.Fail(t, "some groups wait for ever")
}

// live are the series that a backend should show.
func live(t *testing.T, s *Store) map[series.Hash]bool {
	t.Helper()
	held := StateOf(t, s)
	require.Empty(t, held.Pending)
	return held.Series(t)
}

func (b *Backend) killNowAndThen(r *rand.Rand) {
	if b.Kill != nil && r.IntN(8) == 0 {
		b.Kill()
	}
}

// Concurrently changes each group in a goroutine of its own, exports in others and expires in one, with stores on one
// database in turn.
func Concurrently(t *testing.T, b *Backend, seed uint64, round int, stores ...*Store) {
	t.Helper()
	var all sync.WaitGroup
	for i, path := range Paths {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(100*round+i)))
			for range 20 {
				_ = b.changeAtRandom(t, stores[r.IntN(len(stores))], r, path)
				b.killNowAndThen(r)
			}
		})
	}
	for i := range 3 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(100*round+50+i)))
			for range 40 {
				ExportSome(t, stores[r.IntN(len(stores))], b, r)
			}
		})
	}
	all.Go(func() {
		for i := range 5 {
			s := stores[i%len(stores)]
			_, _ = s.Expire(t.Context())
			s.Waiting()
			s.Counts()
		}
	})
	all.Wait()
}

func (b *Backend) changeAtRandom(t *testing.T, s *Store, r *rand.Rand, path string) error {
	key := pushtest.Key(t, path)
	switch kind := r.IntN(12); kind {
	case 0, 1:
		return s.Delete(t.Context(), key)
	case 2:
		return s.Fail(t.Context(), key, s.Now())
	case 3:
		if r.IntN(10) == 0 && b.Wipes {
			return s.Wipe(t.Context())
		}
		return nil
	default:
		return s.Push(t.Context(), key, FamiliesOf(t, s, pushtest.Random(r, key)), kind%2 == 0, s.Now())
	}
}

// RequireShown compares what a backend shows with what is held. All of it has been exported.
func RequireShown(t *testing.T, s *Store, b *Backend) {
	t.Helper()
	want := live(t, s)
	for h := range want {
		require.True(t, b.showing[h], "a value was not exported")
	}
	for h, shown := range b.showing {
		require.Equal(t, want[h], shown, "a series of %s that is gone has a marker", b.of[h])
	}
}
