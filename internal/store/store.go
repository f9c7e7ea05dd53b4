// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package store holds groups: the current value of each series, the stale markers that the next consumer has not accepted yet,
// and the times of the last pushes. It is what makes a Pushgateway of the receiver.
//
// # Changes
//
// Push, Fail, Delete, Expire and Wipe change groups. A change locks its group, reserves the series that it adds in the index of
// all series, is written to the storage extension, if there is one, and is then published. A change that fails at any step
// leaves everything as it was. Changes of one group take effect in the order of their calls. Changes of different groups do
// not wait for each other: those that arrive while the storage is busy are written together in its next batch.
// The cost of a change depends on the push and on the families that it replaces.
//
// Each series belongs to one group. A series that another group shows cannot be added. A series that another group only has
// a pending stale marker for is taken over, and the marker is dropped.
//
// # Export
//
// The store decides what is due, and the outbox exports it. Claim returns a bounded batch: the groups with the oldest unsent
// changes and the groups whose round is due, with their newest values and their pending markers. A claimed group is in no other
// claim until Settle reports what became of each part. The changes of a group do not wait for its claim: what was replaced meanwhile
// stays unsent. All parts of a claim have the claim's time, which is later than that of every claim before. A group that took
// over a series from a claimed group waits for that claim, so that the series' samples arrive in order.
//
// A series that is removed needs a stale marker if a value of it was exported. The marker is pending until it is accepted, or until
// five minutes after the last export of a value: a backend shows the series no longer then. Exemplars are exported with the
// first export of their values only.
//
// All methods are safe for concurrent use.
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
	// MaxGroups bounds the groups. MaxSeries bounds their series as Prometheus counts them, without the push times. A push
	// that adds series is also refused if groups and pending markers together would have more than twice as many.
	// 0 means no limit.
	MaxGroups, MaxSeries int
	// MaxBytes bounds the encoded size of all families. A push that adds series is also refused if families and pending
	// markers together have twice that size. 0 means no limit.
	MaxBytes int64
	// TTL is the time after its last push that a group expires. 0 means never.
	TTL time.Duration
	// RepublishInterval is the time within which all values of a group are due again. 0 means never.
	RepublishInterval time.Duration
	// Scope is the name of the scope whose metrics have no scope labels.
	Scope string
	// Forwarded is what is forwarded of held metrics, which it does not change. Only these series are indexed, exported and
	// ended by markers. If nil, everything is forwarded.
	Forwarded func(held pmetric.Metrics) pmetric.Metrics
	// PushTimes makes the metrics of the times of a group's last successful and last failed push, zero if there was none.
	// If nil, groups have no such series.
	PushTimes func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics
	// Now is the time of day.
	Now func() time.Time
	// Tick gives the time of a claim. Each call returns a later millisecond. It must not block.
	Tick func() time.Time
	// Client is where groups are written to. If nil, they are in memory only.
	Client Client
	// StorageFailed is told of each failure of the storage. It may be called concurrently.
	StorageFailed func(Operation, error)

	_ struct{}
}

// Store holds groups.
type Store struct {
	options Options
	storage *records // nil if groups are in memory only
	commits committer
	changed chan struct{} // see Changed

	mu      sync.Mutex
	groups  map[string]*group     // by canonical path, those that only have pending markers included
	series  map[series.Hash]int32 // the number of the group that a series belongs to
	numbers []*group              // by number; nil where free
	vacant  []int                 // free numbers below len(numbers)
	pushes  list.List             // groups by the time of their last push, if they are to expire
	counts  Counts

	waiting map[*group]struct{} // groups with changes that have not been accepted, but for suspect parts
	unsent  list.List           // groups with unsent changes, the oldest change first
	rounds  roundHeap           // groups that are due at some time
	claims  map[*Claim]struct{} // those that are not settled
	lapses  lapseHeap           // pending markers by the time that they lapse

	roundNext bool // The next group to be claimed is one of rounds, if one is due.
}

// Counts tells how much is held.
type Counts struct {
	// Groups are those that a reader sees. Series are theirs, without the push times.
	Groups, Series int
	// Pending are the series whose stale marker is pending.
	Pending int
	// Size is the encoded size of the families, PendingSize that of the pending markers, in bytes.
	Size, PendingSize int64
}

// group is a group that a reader sees, or one that was deleted and has pending markers.
type group struct {
	key    groupingkey.Key
	path   string
	number int
	id     uint64 // distinguishes its records from those of earlier groups with this number or key, and is higher

	// changing holds one token while the group is being changed. Its holder alone writes the fields below it, up to schedule.
	changing chan struct{}

	// mu guards the fields below, up to schedule, against readers and claims.
	mu        sync.Mutex
	alive     bool
	pushed    time.Time
	failed    time.Time
	families  map[string]*Family
	times     content                  // the series of the push times; not encoded
	unsent    map[*Family]struct{}     // families that the next consumer has not accepted
	timesSent bool                     // The next consumer has accepted the push times.
	pending   []*markers               // in the order of the changes
	ending    map[series.Hash]*markers // the pending series, with the last markers that end them
	slots     slots
	dropping  map[*content]bool // contents that a change in progress removes, and that were never exported

	// The fields below are guarded by Store.mu.
	schedule
	expiry   *list.Element        // in Store.pushes
	reviving map[series.Hash]bool // pending series that a change in progress adds again
}

// New makes an empty store. Groups that its storage holds come with Restore.
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

// path is the canonical name of a group.
func path(key groupingkey.Key) string { return key.Path(true) }

// lock waits until nobody else changes the group and returns it, locked. If there is none, it makes one, or returns nil if create is
// not set. The error is errBusy.
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
		g.unlock() // It was removed meanwhile.
	}
	return nil, ErrBusy // The client may have retried with newer values.
}

func (g *group) unlock() { <-g.changing }

func (s *Store) holds(g *group) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups[g.path] == g
}

// findOrAdd finds a group, or makes one that has nothing yet and is locked, so that somebody will remove it if it stays empty.
func (s *Store) findOrAdd(key groupingkey.Key, path string, create bool) (_ *group, added bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[path]
	if g != nil || !create {
		return g, false
	}
	g = newGroup(key.Clone(), path, s.takeNumber(), newID())
	g.changing <- struct{}{}
	s.groups[path], s.numbers[g.number] = g, g
	return g, true
}

func newGroup(key groupingkey.Key, path string, number int, id uint64) *group {
	return &group{
		key: key, path: path, number: number, id: id,
		changing: make(chan struct{}, 1), families: make(map[string]*Family), schedule: schedule{index: notScheduled},
	}
}

// takeNumber finds a free number. Store.mu is held.
func (s *Store) takeNumber() int {
	if last := len(s.vacant) - 1; last >= 0 {
		n := s.vacant[last]
		s.vacant = s.vacant[:last]
		return n
	}
	s.numbers = append(s.numbers, nil)
	return len(s.numbers) - 1
}

// removeIfEmpty removes a group that nobody sees and that has no pending markers. The group is locked.
func (s *Store) removeIfEmpty(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.alive || len(g.pending) > 0 || s.groups[g.path] != g {
		return
	}
	s.unschedule(g)
	s.settled(g)
	delete(s.groups, g.path)
	s.numbers[g.number] = nil
	s.vacant = append(s.vacant, g.number)
}

// Counts tells how much is held now.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Snapshot is a group as it was at one moment.
type Snapshot struct {
	Key                       groupingkey.Key
	PushTime, PushFailureTime time.Time // zero if there was none
	Families                  []*Family // sorted by name, without the push times
}

// Snapshots returns all groups, sorted by their canonical paths. Every group is as it was at one moment, but not all at the same
// moment, since all pushes would have to wait for that. No content is copied.
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

// sortedFamilies are the families by their names. The group's mu is held.
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

// Close ends the use of the storage.
func (s *Store) Close(ctx context.Context) error {
	if s.storage == nil {
		return nil
	}
	return s.options.Client.Close(ctx)
}
