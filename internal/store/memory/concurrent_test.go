// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestConcurrentGroups changes each group one change at a time and all groups at once, with readers and a storage that fails
// now and then. The groups want the same series.
func TestConcurrentGroups(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	var drawn sync.Mutex
	r := rand.New(rand.NewPCG(10, 1))
	c.fault = func() fault {
		drawn.Lock()
		defer drawn.Unlock()
		return []fault{works, works, works, works, works, works, before, inPart, after}[r.IntN(9)]
	}
	var changes, readers sync.WaitGroup
	for i, path := range paths {
		changes.Go(func() {
			r := rand.New(rand.NewPCG(11, uint64(i)))
			for n := range 100 {
				_ = changeOf(r, path, n).Do(t, s)
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() { read(t, s, done) })
	}
	changes.Wait()
	close(done)
	readers.Wait()
	requireSound(t, s)

	c.fault = nil
	assert.NoError(t, do(t, s, 1000, "POST job/last last"))
	requireRestored(t, s, c.crashed())
}

// read reads all that can be read until it is done.
func read(t *testing.T, s *testStore, done <-chan struct{}) {
	t.Helper()
	for {
		select {
		case <-done:
			return
		default:
		}
		for _, snapshot := range snapshotsOf(t, s) {
			assert.True(t, strings.HasPrefix(snapshot.Key.Job, "j") || snapshot.Key.Job == "k")
			for _, f := range snapshot.Families {
				f.Metrics()
			}
		}
		s.Waiting()
		assert.GreaterOrEqual(t, s.Counts().Pending, 0)
	}
}
