// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package store holds groups: the current value of each series, pending stale markers and the times of the last pushes.
//
// # Changes
//
// Push, Fail, Delete, Expire and Wipe change groups. A change locks its group, reserves its added series in the index, is
// written to the storage extension, if any, and is then published. A change that fails has no effect. Changes of one
// group take effect in the order of the calls. Changes of different groups do not wait for each other; those that arrive
// during a write share the next one. The cost of a change depends on the push and the families that it replaces.
//
// Each series belongs to one group. A push cannot add a series of another group. If that group only has a pending stale
// marker for it, the series is taken over and the marker dropped.
//
// # Export
//
// The store decides what is due; the outbox exports it. Claim returns a bounded batch: groups with the oldest unsent
// changes and groups whose round is due, with their newest values and pending markers. A group is in at most one claim
// until Settle. Changes do not wait for claims: a value that is replaced during a claim stays unsent. All points of a
// claim have the claim's time, which is later than that of every earlier claim. A group that took over series from a
// claimed group waits for that claim, so that samples are never out of order.
//
// A removed series needs a stale marker if a value of it was exported. The marker is pending until it is accepted. It
// lapses five minutes after the last export of a value, because backends no longer return the series then. Exemplars are
// exported once.
//
// # Contract
//
// With a storage extension, a change that returned without an error survives a restart. All methods are safe for
// concurrent use; Restore must come first. The store does not call the next consumer, does not retry and starts no
// goroutine of its own that outlives a call.
package store

import (
	"container/list"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Client is the client of a storage extension.
type Client = storage.Client

// Options are the settings of a Store.
type Options struct {
	// MaxGroups limits the groups. MaxSeries limits their series as Prometheus counts them, without push times. A push
	// that adds series is also refused beyond twice MaxSeries of stored and pending series together. 0 means no limit.
	MaxGroups, MaxSeries int
	// MaxBytes limits the encoded size of all families. A push that adds series is also refused beyond twice MaxBytes of
	// families and pending markers together. 0 means no limit.
	MaxBytes int64
	// TTL is a group's time to live after its last push. 0 means forever.
	TTL time.Duration
	// RepublishInterval is the interval in which all values of a group are due again. 0 means never.
	RepublishInterval time.Duration
	// Scope is the name of the scope without scope labels.
	Scope string
	// Forwarded selects the forwarded part of stored metrics and must not change them. Only these series are indexed,
	// exported and ended by markers. Nil forwards everything.
	Forwarded func(held pmetric.Metrics) pmetric.Metrics
	// PushTimes builds the metrics of a group's last successful and failed push, which are zero if there was none. Nil
	// disables these series.
	PushTimes func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics
	// Now returns the current time.
	Now func() time.Time
	// Tick returns the time of a claim: a whole millisecond, later than all before. It must not block.
	Tick func() time.Time
	// Client is the storage client. Nil keeps groups in memory only.
	Client Client
	// StorageFailed is called for each failure of the storage, possibly concurrently.
	StorageFailed func(Operation, error)

	_ struct{}
}

// Store holds groups.
type Store struct {
	options Options
	storage *records // nil without a storage extension
	commits committer
	changed chan struct{} // see Changed

	mu          sync.Mutex
	groups      map[string]*group     // by canonical path; including groups with only pending markers
	series      map[series.Hash]int32 // number of the group that has the series
	byNumber    []*group              // by number; nil where free
	freeNumbers []int                 // unused numbers below len(byNumber)
	pushes      list.List             // groups by last push, if they can expire
	counts      Counts

	waiting map[*group]struct{} // groups with unaccepted changes, except suspects
	unsent  list.List           // groups with unsent changes, oldest first
	rounds  roundHeap           // groups with a due time
	claims  map[*Claim]struct{} // unsettled claims
	lapses  lapseHeap           // pending markers by lapse time

	roundNext bool // Claim prefers rounds next.
}

// Counts is the size of the store.
type Counts struct {
	// Groups are the visible groups, and Series theirs, without push times.
	Groups, Series int
	// Pending is the number of series with a pending stale marker.
	Pending int
	// Size is the encoded size of the families in bytes, PendingSize that of the pending markers.
	Size, PendingSize int64
}

// group is a visible group, or a deleted one with pending markers.
type group struct {
	key    groupingkey.Key
	path   string
	number int
	id     uint64 // distinguishes its records from those of earlier groups with its number or key; increasing

	// changing is a lock, held as a token, that lets Push give up when its context ends. Only the holder writes the
	// fields up to schedule.
	changing chan struct{}

	// mu guards the fields up to schedule against readers and claims.
	mu            sync.Mutex
	alive         bool
	pushed        time.Time
	failed        time.Time
	families      map[string]*Family
	times         content                  // series of the push times; not encoded
	unsent        map[*Family]struct{}     // families not yet accepted
	timesSent     bool                     // the push times were accepted
	pending       []*markers               // in the order of the changes
	pendingSeries map[series.Hash]*markers // pending series, and the last markers that end them
	slots         slots
	dropping      map[*content]bool // never exported contents that the current change removes

	// The fields below are guarded by Store.mu.
	schedule
	expiry   *list.Element        // in Store.pushes
	readding map[series.Hash]bool // pending series that the current change adds again
}

// New creates an empty store. Restore loads its groups from the storage.
func New(o Options) *Store {
	s := &Store{
		options: o,
		changed: make(chan struct{}, 1),
		groups:  make(map[string]*group),
		series:  make(map[series.Hash]int32),
		claims:  make(map[*Claim]struct{}),
		waiting: make(map[*group]struct{}),
	}
	if o.Client != nil {
		s.storage = &records{client: o.Client, failed: o.StorageFailed, undo: make(map[string]*storage.Operation)}
		s.commits.write = s.storage.writeAll
	}
	return s
}

// path returns the canonical name of a group.
func path(key groupingkey.Key) string { return key.Path(true) }

// lock locks and returns the group. If it does not exist, lock creates it or, without create, returns nil. The error is
// ErrBusy.
func (s *Store) lock(ctx context.Context, key groupingkey.Key, create bool) (*group, error) {
	p := path(key)
	for ctx.Err() == nil {
		g, added := s.findOrAdd(key, p, create)
		if g == nil || added {
			return g, nil
		}
		select {
		case g.changing <- struct{}{}:
		case <-ctx.Done():
			return nil, ErrBusy
		}
		if s.holds(g) {
			return g, nil
		}
		g.unlock() // removed in the meantime
	}
	return nil, ErrBusy // The client may have retried with newer values.
}

func (g *group) unlock() { <-g.changing }

func (s *Store) holds(g *group) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups[g.path] == g
}

// findOrAdd finds a group or adds an empty one. An added group is locked, so that its creator removes it if it stays
// empty.
func (s *Store) findOrAdd(key groupingkey.Key, path string, create bool) (_ *group, added bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[path]
	if g != nil || !create {
		return g, false
	}
	g = newGroup(key.Clone(), path, s.takeNumber(), newID())
	g.changing <- struct{}{}
	s.groups[path], s.byNumber[g.number] = g, g
	return g, true
}

func newGroup(key groupingkey.Key, path string, number int, id uint64) *group {
	return &group{
		key: key, path: path, number: number, id: id,
		changing: make(chan struct{}, 1), families: make(map[string]*Family), schedule: schedule{index: notScheduled},
	}
}

// takeNumber allocates a group number. Store.mu is held.
func (s *Store) takeNumber() int {
	if last := len(s.freeNumbers) - 1; last >= 0 {
		n := s.freeNumbers[last]
		s.freeNumbers = s.freeNumbers[:last]
		return n
	}
	s.byNumber = append(s.byNumber, nil)
	return len(s.byNumber) - 1
}

// removeIfEmpty removes an invisible group without pending markers. The group is locked.
func (s *Store) removeIfEmpty(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.alive || len(g.pending) > 0 || s.groups[g.path] != g {
		return
	}
	s.unschedule(g)
	s.clearWaiting(g)
	delete(s.groups, g.path)
	s.byNumber[g.number] = nil
	s.freeNumbers = append(s.freeNumbers, g.number)
}

// Counts returns the current size of the store.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Snapshot is the state of a group at one moment.
type Snapshot struct {
	Key                       groupingkey.Key
	PushTime, PushFailureTime time.Time // zero if there was none
	Families                  []*Family // sorted by name, without push times
}

// Snapshots returns all groups, sorted by canonical path. Each group is consistent, but not all at the same moment,
// because that would block all pushes. Content is not copied.
func (s *Store) Snapshots() iter.Seq[Snapshot] {
	s.mu.Lock()
	groups := slices.Collect(maps.Values(s.groups))
	s.mu.Unlock()
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.path, b.path) })
	snapshots := make([]Snapshot, 0, len(groups))
	for _, g := range groups {
		if snapshot, alive := g.snapshot(); alive {
			snapshots = append(snapshots, snapshot)
		}
	}
	return slices.Values(snapshots)
}

func (g *group) snapshot() (_ Snapshot, alive bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Snapshot{Key: g.key, PushTime: g.pushed, PushFailureTime: g.failed, Families: g.sortedFamilies()}, g.alive
}

// sortedFamilies returns the families by name. The group's mu is held.
func (g *group) sortedFamilies() []*Family {
	return slices.SortedFunc(maps.Values(g.families), byName)
}

func byName(a, b *Family) int { return strings.Compare(a.Name, b.Name) }

func (s *Store) forwarded(held pmetric.Metrics) pmetric.Metrics {
	if s.options.Forwarded == nil {
		return held
	}
	return s.options.Forwarded(held)
}

func (s *Store) pushTimes(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	if s.options.PushTimes == nil {
		return pmetric.NewMetrics()
	}
	return s.options.PushTimes(key, pushed, failed)
}

// Close closes the storage client.
func (s *Store) Close(ctx context.Context) error {
	if s.storage == nil {
		return nil
	}
	return s.options.Client.Close(ctx)
}
