// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"slices"
	"sync"
)

// Limits of one write of a Committer.
const (
	MaxCommitItems = 256
	MaxCommitBytes = 8 << 20
)

// waiting is an item to write.
type waiting[T any] struct {
	item  T
	bytes int

	written chan error    // receives the result
	lead    chan struct{} // receives if the commit is first in the queue and no write is running
}

// Committer batches writes. Items that arrive during a write wait and are written together next, by the goroutine of the first
// one.
type Committer[T any] struct {
	// Lock is called before the items of a write are known, with the context of the first. If it fails, that item is not written, and
	// the next one leads. Nil locks nothing.
	Lock func(ctx context.Context) error
	// Write writes items and ends what Lock began. It returns the error of each item, or nil if there is none.
	Write func(ctx context.Context, items []T) []error

	mu      sync.Mutex
	writing bool
	queue   []*waiting[T]
}

// Commit writes an item of the size in bytes. It does not write an item whose context ends while it waits. The error is ErrBusy, or
// that of Lock or Write.
func (c *Committer[T]) Commit(ctx context.Context, item T, bytes int) error {
	own := &waiting[T]{item: item, bytes: bytes, written: make(chan error, 1), lead: make(chan struct{}, 1)}
	c.enter(own)
	select {
	case <-own.lead:
	case err := <-own.written:
		return err
	case <-ctx.Done():
		if c.leave(own) {
			return ErrBusy
		}
		select {
		case <-own.lead:
		case err := <-own.written:
			return err
		}
	}
	if c.Lock != nil {
		if err := c.Lock(ctx); err != nil {
			c.resign(own)
			return err
		}
	}
	c.writeBatch(context.WithoutCancel(ctx)) // The batch is not only the leader's.
	return <-own.written
}

// resign removes the leader's item from the queue and lets the next one lead.
func (c *Committer[T]) resign(own *waiting[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, own)
	c.queue = slices.Delete(c.queue, i, i+1)
	c.leadNext()
}

// leadNext lets the first item of the queue lead. The lock is held.
func (c *Committer[T]) leadNext() {
	if c.writing = len(c.queue) > 0; c.writing {
		c.queue[0].lead <- struct{}{}
	}
}

// enter appends a commit to the queue. It becomes the leader if no write is running.
func (c *Committer[T]) enter(own *waiting[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, own)
	if !c.writing {
		c.writing = true
		own.lead <- struct{}{}
	}
}

// leave removes a commit from the queue and reports success. It fails for a leader or a commit being written.
func (c *Committer[T]) leave(own *waiting[T]) bool {
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
func (c *Committer[T]) writeBatch(ctx context.Context) {
	batch := c.take()
	items := make([]T, len(batch))
	for i, own := range batch {
		items[i] = own.item
	}
	errs := c.Write(ctx, items)
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
func (c *Committer[T]) take() []*waiting[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for n < len(c.queue) && n < MaxCommitItems && (n == 0 || bytes+c.queue[n].bytes <= MaxCommitBytes) {
		bytes += c.queue[n].bytes
		n++
	}
	batch := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return batch
}

// Waiting returns the number of items that wait for a write.
func (c *Committer[T]) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}
