// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"sync"
)

// PusherRequest is a push of a pusher, or its end if Push is nil.
type PusherRequest struct {
	Push *Contribution
	// Path is the canonical path of the pusher.
	Path string
}

// size is the estimated size of a request in bytes.
func (r *PusherRequest) size() (n int) {
	if r.Push == nil {
		return 0
	}
	for _, f := range r.Push.Families {
		n += 64 * f.Metrics.DataPointCount()
	}
	return n
}

// Queues combines the requests of the pushers of each aggregate: those that arrive during a change share the next one. The zero value
// is ready. Its methods are safe for concurrent use.
type Queues struct {
	mu     sync.Mutex
	byPath map[string]*queue
}

// queue is that of an aggregate with requests.
type queue struct {
	Committer[*PusherRequest]

	users int // guarded by Queues.mu
}

// Do carries out a request of an aggregate, together with others. Begin sets up the committer if the aggregate has no other request.
// The error is one of Committer.Commit's.
func (qs *Queues) Do(ctx context.Context, path string, r *PusherRequest, begin func(*Committer[*PusherRequest])) error {
	qs.mu.Lock()
	q := qs.byPath[path]
	if q == nil {
		q = &queue{}
		begin(&q.Committer)
		if qs.byPath == nil {
			qs.byPath = make(map[string]*queue)
		}
		qs.byPath[path] = q
	}
	q.users++
	qs.mu.Unlock()
	defer func() {
		qs.mu.Lock()
		defer qs.mu.Unlock()
		q.users--
		if q.users == 0 {
			delete(qs.byPath, path)
		}
	}()
	return q.Commit(ctx, r, r.size())
}

// Waiting is the number of requests of an aggregate that no change has taken yet.
func (qs *Queues) Waiting(path string) int {
	qs.mu.Lock()
	q := qs.byPath[path]
	qs.mu.Unlock()
	if q == nil {
		return 0
	}
	return q.Waiting()
}

// IsRefusal reports whether a change failed because of what was pushed.
func IsRefusal(err error) bool {
	_, conflict := errors.AsType[*ConflictError](err)
	_, limit := errors.AsType[*LimitError](err)
	return conflict || limit
}
