// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

var errStorage = errors.New("the storage has failed")

// fault tells how an operation fails.
type fault int

const (
	works  fault = iota
	before       // nothing is done
	inPart       // of a batch, some is done
	after        // all is done, and an error returned nevertheless
)

// client is a storage.Client in memory. A batch is not atomic. Like any client, it is used by several goroutines.
type client struct {
	mu      sync.Mutex
	records map[string][]byte
	// fault tells what becomes of the next request; nil means that all work.
	fault func() fault
	// unreadable keys fail when they are read.
	unreadable map[string]bool
	// unwritable keys fail when they are written.
	unwritable map[string]fault
	// applied is called after each single change, if not nil.
	applied func()

	touched []string // keys written or deleted
	read    []string
	bytes   int // written
	closed  bool
}

func newClient(records map[string][]byte) *client { return &client{records: records} }

// crashed is what the storage has now.
func (c *client) crashed() map[string][]byte { return maps.Clone(c.records) }

// forget forgets what was done so far.
func (c *client) forget() { c.touched, c.read, c.bytes = nil, nil, 0 }

func (c *client) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := c.Batch(ctx, op)
	return op.Value, err
}

func (c *client) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c *client) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c *client) Batch(ctx context.Context, ops ...*storage.Operation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	how := works
	if c.fault != nil {
		how = c.fault()
	}
	for i, op := range ops {
		if how == before || how == inPart && i >= len(ops)/2 {
			return errStorage
		}
		if err := c.apply(op); err != nil {
			return err
		}
	}
	if how != works {
		return errStorage
	}
	return nil
}

func (c *client) apply(op *storage.Operation) error {
	switch op.Type {
	case storage.Get:
		c.read = append(c.read, op.Key)
		if c.unreadable[op.Key] {
			return errStorage
		}
		op.Value = c.records[op.Key]
		return nil
	case storage.Set:
		if c.unwritable[op.Key] == before {
			return errStorage
		}
		c.records[op.Key] = op.Value
		c.bytes += len(op.Value)
	case storage.Delete:
		delete(c.records, op.Key)
	}
	c.touched = append(c.touched, op.Key)
	if c.applied != nil {
		c.applied()
	}
	if c.unwritable[op.Key] != works {
		return errStorage
	}
	return nil
}

// walker is a client that lists its records, too.
type walker struct{ *client }

func (w walker) Walk(ctx context.Context, visit storage.WalkFunc) error {
	if err := w.Batch(ctx); err != nil {
		return err
	}
	for name, record := range w.crashed() {
		if _, err := visit(name, record); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) Close(context.Context) error {
	c.closed = true
	return nil
}

// numberOf is the number of the group that a record belongs to.
func numberOf(key string) string {
	number, _, _ := strings.Cut(strings.TrimPrefix(key, "pushgateway/"), "/")
	return number
}
