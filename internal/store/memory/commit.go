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

// commit is a change to write.
type commit struct {
	change *change
	bytes  int

	written chan error    // receives the result
	lead    chan struct{} // receives if the commit is first in the queue and no write is running
}

// committer batches writes. Changes that arrive during a write wait and are written together next, by the goroutine of
// the first one.
type committer struct {
	write func(ctx context.Context, changes []*change) error

	mu      sync.Mutex
	writing bool
	queue   []*commit
}

// commit writes a change. It does not write a change whose context ends while it waits. The error is ErrBusy or write's,
// which all changes of a batch share.
func (c *committer) commit(ctx context.Context, ch *change) error {
	own := &commit{change: ch, bytes: ch.bytes(), written: make(chan error, 1), lead: make(chan struct{}, 1)}
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
	c.writeBatch(context.WithoutCancel(ctx)) // The batch is not only the leader's.
	return <-own.written
}

// enter appends a commit to the queue. It becomes the leader if no write is running.
func (c *committer) enter(own *commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, own)
	if !c.writing {
		c.writing = true
		own.lead <- struct{}{}
	}
}

// leave removes a commit from the queue and reports success. It fails for a leader or a commit being written.
func (c *committer) leave(own *commit) bool {
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
func (c *committer) writeBatch(ctx context.Context) {
	batch := c.take()
	changes := make([]*change, len(batch))
	for i, own := range batch {
		changes[i] = own.change
	}
	err := c.write(ctx, changes)
	for _, own := range batch {
		own.written <- err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing = len(c.queue) > 0; c.writing {
		c.queue[0].lead <- struct{}{}
	}
}

// take removes a batch from the queue. Its first commit may exceed the limit in bytes.
func (c *committer) take() []*commit {
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
	for _, m := range c.markers {
		n += len(m.encoded)
	}
	return n
}
