// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	ownerName = "pushgateway/owner"
	// ownerInterval is the minimum time between two reads of the owner's record.
	ownerInterval = 10 * time.Second
)

var errShared = errors.New("another process uses the same records, and both overwrite groups of each other; " +
	"give each collector a storage of its own, or set groups::postgres so that they share groups")

// owner detects another process on the same records. Storage extensions have no lock, and some can be opened twice. Each
// process writes its id and reads it again and again: another id was written by a process that runs at the same time. No
// start waits for an earlier process, which may have been killed.
type owner struct {
	client storage.Client
	failed func(store.Operation, error)
	record []byte

	mu      sync.Mutex
	written bool      // the storage has accepted the record since the last failure
	checked time.Time // last read or write
}

// ownerRecord names a process.
type ownerRecord struct {
	ID uint64 `json:"id"`
}

func newOwner(client storage.Client, failed func(store.Operation, error)) *owner {
	return &owner{client: client, failed: failed, record: encodeJSON(ownerRecord{ID: rand.Uint64()})}
}

// claim writes the record.
func (o *owner) claim(ctx context.Context, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write(ctx, now)
}

// check reads the record if ownerInterval has passed. If it is another process's, check reports that and writes the own
// record, so that the other process notices too.
func (o *owner) check(ctx context.Context, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.checked) < ownerInterval {
		return
	}
	if !o.written {
		o.write(ctx, now) // The record may be that of an earlier process.
		return
	}
	o.checked = now
	found, err := o.client.Get(ctx, ownerName)
	if err != nil {
		o.report(ctx, store.Read, err)
		return
	}
	if bytes.Equal(found, o.record) {
		return
	}
	if found != nil {
		o.report(ctx, store.Shared, errShared)
	}
	o.write(ctx, now)
}

func (o *owner) write(ctx context.Context, now time.Time) {
	err := o.client.Set(ctx, ownerName, o.record)
	o.written, o.checked = err == nil, now
	if err != nil {
		o.report(ctx, store.Write, err)
	}
}

// report reports a failure, unless the context has ended.
func (o *owner) report(ctx context.Context, operation store.Operation, err error) {
	if ctx.Err() == nil {
		o.failed(operation, fmt.Errorf("%s: %w", ownerName, err))
	}
}
