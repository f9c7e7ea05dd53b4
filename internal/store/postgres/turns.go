// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// turns lets one change of a group at a time use a connection. Otherwise changes of a group that another replica has locked would wait
// with all connections, and changes of other groups would get none. The zero value is ready. It is safe for concurrent use.
type turns struct {
	mu     sync.Mutex
	byPath map[string]*turn
}

// turn is that of a group with changes.
type turn struct {
	taken chan struct{} // holds a token while a change has its turn
	users int           // guarded by turns.mu
}

// take waits for the turn of a group, for the limit at most, and returns the function that ends it. The error is ErrBusy.
func (ts *turns) take(ctx context.Context, path string, limit time.Duration) (end func(), err error) {
	t := ts.enter(path)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case t.taken <- struct{}{}:
		return func() {
			<-t.taken
			ts.leave(path, t)
		}, nil
	case <-limited.Done():
		ts.leave(path, t)
		return nil, store.ErrBusy
	}
}

func (ts *turns) enter(path string) *turn {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.byPath[path]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		if ts.byPath == nil {
			ts.byPath = make(map[string]*turn)
		}
		ts.byPath[path] = t
	}
	t.users++
	return t
}

func (ts *turns) leave(path string, t *turn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.users--
	if t.users == 0 {
		delete(ts.byPath, path)
	}
}
