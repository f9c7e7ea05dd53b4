// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// gate is a client whose batches wait while it is shut.
type gate struct {
	*client

	mu      sync.Mutex
	shutter chan struct{} // closed while the gate is open
	begun   chan struct{} // receives for each batch that has to wait
	batches [][]string    // what was written, the keys of a batch each
}

func newGate(c *client) *gate {
	g := &gate{client: c, shutter: make(chan struct{}), begun: make(chan struct{}, 100)}
	close(g.shutter)
	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shutter, g.batches = make(chan struct{}), nil
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shutter)
}

// awaitBatch waits until a batch waits.
func (g *gate) awaitBatch() { <-g.begun }

// begin makes a change in a goroutine of its own.
func (*gate) begin(change func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- change() }()
	return done
}

func (g *gate) Batch(ctx context.Context, ops ...*storage.Operation) error {
	var keys []string
	for _, op := range ops {
		keys = append(keys, op.Key)
	}
	g.mu.Lock()
	shutter := g.shutter
	g.batches = append(g.batches, keys)
	g.mu.Unlock()
	select {
	case <-shutter:
	default:
		g.begun <- struct{}{}
		<-shutter
	}
	return g.client.Batch(ctx, ops...)
}

// groupsOf are the groups whose records a batch writes.
func groupsOf(batch []string) (groups []string) {
	for _, key := range batch {
		if key != memory.NumbersName && strings.Count(key, "/") == 1 {
			groups = append(groups, key)
		}
	}
	return groups
}

// TestCommitsTogether writes the changes that come while the storage is busy in one batch, as many as a batch may have.
func TestCommitsTogether(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat("x", memory.MaxCommitBytes/4)
	for name, tc := range map[string]struct {
		steps func(i int) string
		count int
		want  []int // changes in each batch
	}{
		"a few": {func(i int) string { return fmt.Sprintf("PUT job/%d a", i) }, 10, []int{1, 10}},
		"as many as a batch may have, and one more": {
			func(i int) string { return fmt.Sprintf("FAIL job/%d", i) }, memory.MaxCommitChanges + 1, []int{1, memory.MaxCommitChanges, 1},
		},
		"large ones": {func(i int) string { return fmt.Sprintf("PUT job/%d a{x=%q}", i, wide) }, 5, []int{1, 3, 2}},
		"larger than a batch may be": {
			func(i int) string { return fmt.Sprintf("PUT job/%d a{x=%q}", i, strings.Repeat(wide, 5)) }, 2, []int{1, 1, 1},
		},
		"without bytes": {func(i int) string { return fmt.Sprintf("PUT job/%d", i) }, 10, []int{1, 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newGate(newClient(map[string][]byte{}))
				s, _ := restored(t, c)
				c.shut()
				changes := []<-chan error{c.begin(func() error { return change(t, s, 0, "PUT job/first a") })}
				c.awaitBatch()
				for i := range tc.count {
					changes = append(changes, c.begin(func() error { return change(t, s, i, tc.steps(i)) }))
				}
				synctest.Wait()
				assert.Equal(t, tc.count, memoryOf(s).Queued())
				assert.Empty(t, snapshotsOf(t, s), "nothing is visible before it is stored")
				c.open()
				for _, done := range changes {
					require.NoError(t, <-done)
				}
				var written []int
				for _, batch := range c.batches {
					written = append(written, len(groupsOf(batch)))
				}
				assert.Equal(t, tc.want, written)
				assert.Len(t, shown(t, s), tc.count+1)
				requireRestored(t, s, c.crashed())
			})
		})
	}
}

// TestContentsComeFirst writes what the records of all groups of a batch refer to before the first of these.
func TestContentsComeFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newGate(newClient(map[string][]byte{}))
		s, _ := restored(t, c)
		together(t, c, s, func() {}, "PUT job/a x y", "PUT job/b x", "FAIL job/c")
		batch := c.batches[1]
		require.Len(t, groupsOf(batch), 3)
		assert.Equal(t, groupsOf(batch), batch[len(batch)-3:])
	})
}

// together makes changes that are written in one batch, behind one of another group. It calls meanwhile when all wait.
func together(t *testing.T, c *gate, s *testStore, meanwhile func(), steps ...string) (errs []error) {
	t.Helper()
	c.shut()
	first := c.begin(func() error { return change(t, s, 0, "FAIL job/first") })
	c.awaitBatch()
	var changes []<-chan error
	for i, step := range steps {
		changes = append(changes, c.begin(func() error { return change(t, s, i, step) }))
		synctest.Wait()
	}
	meanwhile()
	c.open()
	require.NoError(t, <-first)
	for _, done := range changes {
		errs = append(errs, <-done)
	}
	return errs
}

// TestCommitsFailTogether refuses all changes of a batch that fails. Each change is in the storage whole or not at all, and none is
// after the next batch.
func TestCommitsFailTogether(t *testing.T) {
	t.Parallel()
	steps := []string{"PUT job/a x y", "POST job/b z", "DELETE job/c", "FAIL job/d", "PUT job/new/x/1 p"}
	for _, how := range []fault{before, inPart, after} {
		synctest.Test(t, func(t *testing.T) {
			c := newGate(newClient(map[string][]byte{}))
			s, failed := restored(t, c)
			for i, step := range []string{"PUT job/a v w", "PUT job/b y z", "PUT job/c x", `PUT job/new p{x="1"}`, "PUT job/new", "FAIL job/first"} {
				require.NoError(t, do(t, s, i, step))
			}
			held := stateOf(t, s)
			batches := 0
			c.fault = func() fault {
				batches++
				if batches == 2 {
					return how
				}
				return works
			}
			for _, err := range together(t, c, s, func() {}, steps...) {
				var refused *store.StorageError
				require.ErrorAs(t, err, &refused)
			}
			assert.Len(t, failed.All, 1)
			now := stateOf(t, s)
			delete(held.Groups, "/metrics/job/first")
			delete(now.Groups, "/metrics/job/first")
			assert.Equal(t, held, now, "nothing has changed")

			require.NoError(t, do(t, s, 9, "FAIL job/other"))
			requireRestored(t, s, c.crashed())
			for i, step := range steps {
				require.NoError(t, do(t, s, 10+i, step))
			}
			requireRestored(t, s, c.crashed())
		})
	}
}

// TestCrashesOfABatch restarts after every single operation of a batch of changes: each is there whole or not at all.
func TestCrashesOfABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newGate(newClient(map[string][]byte{}))
		s, _ := restored(t, c)
		for i, step := range []string{"PUT job/a v w", "PUT job/b y z", "PUT job/c x", `PUT job/new p{x="1"}`, "PUT job/new"} {
			require.NoError(t, do(t, s, i, step))
		}
		before := stateOf(t, s)
		var crashes []map[string][]byte
		for _, err := range together(t, c, s, func() {
			c.applied = func() { crashes = append(crashes, c.crashed()) }
		}, "PUT job/a x y", "POST job/b z", "DELETE job/c", "FAIL job/d", "PUT job/new/x/1 p") {
			require.NoError(t, err)
		}
		after := stateOf(t, s)
		kept := before.Series(t)
		require.Greater(t, len(crashes), 10)
		for _, records := range crashes {
			crashed := reopened(t, records)
			for path := range after.Groups {
				if path != "/metrics/job/first" {
					require.Contains(t, []groupState{before.Groups[path], after.Groups[path]}, crashed.Groups[path], path)
				}
			}
			requireKept(t, kept, crashed)
		}
	})
}

// endedContext is the context of a request whose client has gone.
func endedContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// push pushes like change, with a context.
func push(ctx context.Context, t *testing.T, s *testStore, path string, metrics ...string) error {
	t.Helper()
	return s.Push(ctx, pushtest.Key(t, path), familiesOf(t, s, pushtest.Text(t, path, body(metrics))), true, at(1))
}

// TestChangeWhoseClientHasGone is not written if it still waits, and leaves no trace. Others in the queue are written.
func TestChangeWhoseClientHasGone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"job/new", "job/held", "job/held/x/1"} {
		synctest.Test(t, func(t *testing.T) {
			c := newGate(newClient(map[string][]byte{}))
			s, _ := restored(t, c)
			for i, step := range []string{`PUT job/held a{x="1"} b`, "PUT job/held b", "FAIL job/first"} {
				require.NoError(t, do(t, s, i, step))
			}
			held, counts := stateOf(t, s), s.Counts()
			ctx, cancel := context.WithCancel(t.Context())
			var gone <-chan error
			errs := together(t, c, s, func() {
				gone = c.begin(func() error { return push(ctx, t, s, path, "a") })
				synctest.Wait()
				assert.Equal(t, 3, memoryOf(s).Queued())
				cancel()
				require.ErrorIs(t, <-gone, store.ErrBusy)
				assert.Equal(t, 2, memoryOf(s).Queued())
			}, "FAIL job/y", "FAIL job/z")
			assert.Equal(t, []error{nil, nil}, errs)
			for _, job := range []string{"y", "z"} {
				require.NoError(t, s.Delete(t.Context(), pushtest.Key(t, "job/"+job)))
			}
			now := stateOf(t, s)
			delete(held.Groups, "/metrics/job/first")
			delete(now.Groups, "/metrics/job/first")
			assert.Equal(t, held, now)
			assert.Equal(t, counts, s.Counts())
			requireRestored(t, s, c.crashed())
		})
	}
}

// TestLeaderWhoseClientHasGone has the change that leads a batch lose its client while the batch is written. All of it is stored.
func TestLeaderWhoseClientHasGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newGate(newClient(map[string][]byte{}))
		s, _ := restored(t, c)
		c.shut()
		ctx, cancel := context.WithCancel(t.Context())
		leader := c.begin(func() error { return push(ctx, t, s, "job/leader", "a") })
		c.awaitBatch()
		other := c.begin(func() error { return push(t.Context(), t, s, "job/other", "a") })
		synctest.Wait()
		cancel()
		synctest.Wait()
		c.open()
		require.NoError(t, <-leader, "it was being written")
		require.NoError(t, <-other)
		assert.Equal(t, []string{"job/leader lives a", "job/other lives a"}, shown(t, s))
		requireRestored(t, s, c.crashed())
	})
}

// TestNoChangeAfterTheRequest has a request that is over come to a group that is free: the client may have sent newer values.
func TestNoChangeAfterTheRequest(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	ended := endedContext(t)
	key := pushtest.Key(t, "job/j")
	for range 2 {
		require.ErrorIs(t, push(ended, t, s, "job/j", "a"), store.ErrBusy)
		require.ErrorIs(t, s.Fail(ended, key, at(1)), store.ErrBusy)
		require.ErrorIs(t, s.Delete(ended, key), store.ErrBusy)
		held := stateOf(t, s)
		require.NoError(t, do(t, s, 2, "POST job/j"))
		assert.Contains(t, []int{0, 1}, len(held.Groups))
	}
	assert.Equal(t, []string{"job/j lives"}, shown(t, s))
}

// ending is a context that ends just after it was asked whether it has.
type ending struct {
	context.Context
	done chan struct{}
}

func (e ending) Done() <-chan struct{} { return e.done }

// TestRequestThatEndsBeforeItsGroupIsLocked leaves no empty group behind.
func TestRequestThatEndsBeforeItsGroupIsLocked(t *testing.T) {
	t.Parallel()
	s := newStore(options())
	done := make(chan struct{})
	close(done)
	for range 100 {
		if err := push(ending{t.Context(), done}, t, s, "job/j", "a"); err != nil {
			require.ErrorIs(t, err, store.ErrBusy)
		}
		requireSound(t, s)
		require.NoError(t, s.Delete(t.Context(), pushtest.Key(t, "job/j")))
		requireSound(t, s)
	}
}

// TestChangesOfOneGroupInOrder lets the changes of a group wait for each other, in the order of their calls.
func TestChangesOfOneGroupInOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		then string
		want []string
	}{
		"POST":   {"POST job/j b", []string{"job/j lives a b"}},
		"PUT":    {"PUT job/j b", []string{"job/j lives b"}},
		"DELETE": {"DELETE job/j", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newGate(newClient(map[string][]byte{}))
				s, _ := restored(t, c)
				c.shut()
				first := c.begin(func() error { return change(t, s, 1, "PUT job/j a") })
				c.awaitBatch()
				second := c.begin(func() error { return change(t, s, 2, tc.then) })
				synctest.Wait()
				assert.Zero(t, memoryOf(s).Queued(), "it waits for its group")
				ctx, cancel := context.WithCancel(t.Context())
				third := c.begin(func() error { return push(ctx, t, s, "job/j", "c") })
				synctest.Wait()
				cancel()
				require.ErrorIs(t, <-third, store.ErrBusy)
				c.open()
				require.NoError(t, <-first)
				require.NoError(t, <-second)
				assert.Equal(t, tc.want, shown(t, s))
				requireRestored(t, s, c.crashed())
			})
		})
	}
}

// TestSeriesOfAnotherChange is a conflict while that change waits for the storage, and free again if it fails.
func TestSeriesOfAnotherChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newGate(newClient(map[string][]byte{}))
		s, _ := restored(t, c)
		c.shut()
		c.fault = failing(1, before)
		first := c.begin(func() error { return change(t, s, 1, `PUT job/j a{x="1"}`) })
		c.awaitBatch()
		var conflict *store.ConflictError
		require.ErrorAs(t, change(t, s, 2, "PUT job/j/x/1 a"), &conflict)
		c.open()
		require.Error(t, <-first)
		assert.Empty(t, shown(t, s))
		require.NoError(t, change(t, s, 3, "PUT job/j/x/1 a"))
		assert.Equal(t, []string{"job/j/x/1 lives a"}, shown(t, s))
	})
}
