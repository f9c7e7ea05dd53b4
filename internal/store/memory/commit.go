// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Limits of one write.
const (
	maxCommitChanges = 256
	maxCommitBytes   = 8 << 20
)

// commit is an item to write.
type commit[T any] struct {
	item  T
	bytes int

	written chan error    // receives the result
	lead    chan struct{} // receives if the commit is first in the queue and no write is running
}

// committer batches writes. Items that arrive during a write wait and are written together next, by the goroutine of the first
// one.
type committer[T any] struct {
	// lock is called before the items of a write are known, with the context of the first. If it fails, that item is not written, and
	// the next one leads. Nil locks nothing.
	lock func(ctx context.Context) error
	// write writes items and ends what lock began. It returns the error of each item, or nil if there is none.
	write func(ctx context.Context, items []T) []error

	mu      sync.Mutex
	writing bool
	queue   []*commit[T]
}

// commit writes an item of the size in bytes. It does not write an item whose context ends while it waits. The error is ErrBusy, or
// that of lock or write.
func (c *committer[T]) commit(ctx context.Context, item T, bytes int) error {
	own := &commit[T]{item: item, bytes: bytes, written: make(chan error, 1), lead: make(chan struct{}, 1)}
	c.enter(own)
	select {
	case <-own.lead:
	case err := <-own.written:
		return err
	case <-ctx.Done():
		if c.leave(own) {
			return store.ErrBusy
		}
		select {
		case <-own.lead:
		case err := <-own.written:
			return err
		}
	}
	if c.lock != nil {
		if err := c.lock(ctx); err != nil {
			c.resign(own)
			return err
		}
	}
	c.writeBatch(context.WithoutCancel(ctx)) // The batch is not only the leader's.
	return <-own.written
}

// resign removes the leader's item from the queue and lets the next one lead.
func (c *committer[T]) resign(own *commit[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, own)
	c.queue = slices.Delete(c.queue, i, i+1)
	c.leadNext()
}

// leadNext lets the first item of the queue lead. The lock is held.
func (c *committer[T]) leadNext() {
	if c.writing = len(c.queue) > 0; c.writing {
		c.queue[0].lead <- struct{}{}
	}
}

// enter appends a commit to the queue. It becomes the leader if no write is running.
func (c *committer[T]) enter(own *commit[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, own)
	if !c.writing {
		c.writing = true
		own.lead <- struct{}{}
	}
}

// leave removes a commit from the queue and reports success. It fails for a leader or a commit being written.
func (c *committer[T]) leave(own *commit[T]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, own)
	if i < 0 || len(own.lead) > 0 {
		return false
	}
	c.queue = slices.Delete(c.queue, i, i+1)
	return true
}

// writeBatch writes the first commits of the queue, then lets the next one lead.
func (c *committer[T]) writeBatch(ctx context.Context) {
	batch := c.take()
	items := make([]T, len(batch))
	for i, own := range batch {
		items[i] = own.item
	}
	errs := c.write(ctx, items)
	for i, own := range batch {
		if errs == nil {
			own.written <- nil
		} else {
			own.written <- errs[i]
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leadNext()
}

// take removes a batch from the queue. Its first commit may exceed the limit in bytes.
func (c *committer[T]) take() []*commit[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for n < len(c.queue) && n < maxCommitChanges && (n == 0 || bytes+c.queue[n].bytes <= maxCommitBytes) {
		bytes += c.queue[n].bytes
		n++
	}
	batch := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return batch
}

// bytes returns the encoded size of what the change adds.
func (c *change) bytes() (n int) {
	for _, f := range c.add {
		n += len(f.encoded)
	}
	if k := c.contribution; k != nil {
		for _, record := range k.records {
			n += len(record)
		}
		for _, p := range k.pushers {
			n += int(p.size())
		}
	}
	for _, m := range c.markers {
		n += len(m.encoded)
	}
	return n
}
