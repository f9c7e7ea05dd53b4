// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package memory holds groups in this process, and in a storage extension if there is one. Package store has the contract.
//
// A change locks its group, reserves its added series in the index, is written to the storage extension and is then
// published. Changes that arrive during a write share the next one. A group that took over series from a claimed group
// waits for that claim, so that samples are never out of order. Snapshots are consistent for each group, but not all at
// the same moment, because that would block all pushes. No goroutine outlives a call.
package memory

import (
	"cmp"
	"container/list"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Client is the client of a storage extension.
type Client = storage.Client

// Store holds groups.
type Store struct {
	options store.Options
	client  Client
	storage *records // nil without a storage extension
	owner   *owner   // nil without a storage extension
	commits store.Committer[*change]
	changed chan struct{} // see Changed
	queues  store.Queues  // requests of pushers
	returns store.Returns // pushers that were folded

	mu          sync.Mutex
	groups      map[string]*group     // by canonical path; including groups with only pending markers
	series      map[series.Hash]int32 // number of the group that has the series
	byNumber    []*group              // by number; nil where free
	freeNumbers []int                 // unused numbers below len(byNumber)
	pushes      list.List             // groups by last push, if they can expire
	counts      store.Counts

	waiting map[*group]struct{} // groups with unaccepted changes, except suspects
	unsent  list.List           // groups with unsent changes, oldest first
	rounds  roundHeap           // groups with a due time
	claims  map[*claim]struct{} // unsettled claims
	lapses  lapseHeap           // pending markers by lapse time

	roundNext bool // Claim prefers rounds next.

	aggregates map[*group]struct{} // groups with an aggregate
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
	alive         bool // as an ordinary group, or with an aggregate
	plain         bool // an ordinary group
	aggregate     *aggregate
	pushed        time.Time
	failed        time.Time
	families      map[string]*family
	times         content                  // series of the push times; not encoded
	unsent        map[*family]struct{}     // families not yet accepted
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

var _ store.Store = (*Store)(nil)

// New creates an empty store. Restore loads its groups from the client. A nil client keeps groups in memory only.
func New(o store.Options, client Client) *Store {
	s := &Store{
		options: o,
		client:  client,
		changed: make(chan struct{}, 1),
		groups:  make(map[string]*group),
		series:  make(map[series.Hash]int32),
		claims:  make(map[*claim]struct{}),
		waiting: make(map[*group]struct{}),

		aggregates: make(map[*group]struct{}),
	}
	if client != nil {
		s.storage = &records{client: client, failed: o.StorageFailed, undo: make(map[string]*storage.Operation), undoPushers: make(map[string]*storage.Operation)}
		s.commits.Write = s.storage.writeAll
		s.owner = newOwner(client, o.StorageFailed)
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
			return nil, store.ErrBusy
		}
		if s.holds(g) {
			return g, nil
		}
		g.unlock() // removed in the meantime
	}
	return nil, store.ErrBusy // The client may have retried with newer values.
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
		changing: make(chan struct{}, 1), families: make(map[string]*family), schedule: schedule{index: notScheduled},
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

// Counts implements store.Store.
func (s *Store) Counts() store.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// sortedGroups returns the groups by path, also those that only have pending markers.
func (s *Store) sortedGroups() []*group {
	s.mu.Lock()
	groups := slices.Collect(maps.Values(s.groups))
	s.mu.Unlock()
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.path, b.path) })
	return groups
}

// Snapshots implements store.Store. Each group is consistent, but not all at the same moment.
func (s *Store) Snapshots(context.Context) iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) {
		for _, g := range s.sortedGroups() {
			if snapshot, alive := g.snapshot(); alive && !yield(snapshot, nil) {
				return
			}
		}
	}
}

// Families implements store.Store. Each group is consistent, but not all at the same moment.
func (s *Store) Families(ctx context.Context, plan func(types map[string][]string) [][]string) iter.Seq2[store.Fragment, error] {
	return func(yield func(store.Fragment, error) bool) {
		var all []store.Snapshot
		types := make(map[string][]string)
		for snapshot := range s.Snapshots(ctx) {
			all = append(all, snapshot)
			for _, f := range snapshot.Families {
				if !slices.Contains(types[f.Name], f.Type) {
					types[f.Name] = append(types[f.Name], f.Type)
				}
			}
		}
		for fragment := range fragments(all, plan(types)) {
			if !yield(fragment, nil) {
				return
			}
		}
	}
}

// place is where a family is: at an index of the families of a group. The index is everyGroup for none of them.
type place struct{ set, group, family int }

const everyGroup = -1

// fragments yields the fragments of groups for each set.
func fragments(groups []store.Snapshot, sets [][]string) iter.Seq[store.Fragment] {
	setOf := make(map[string]int)
	for i, names := range sets {
		for _, name := range names {
			setOf[name] = i
		}
	}
	var places []place
	for g := range groups {
		if set, ok := setOf[store.EveryGroup]; ok {
			places = append(places, place{set, g, everyGroup})
		}
		for f := range groups[g].Families {
			if set, ok := setOf[groups[g].Families[f].Name]; ok {
				places = append(places, place{set, g, f})
			}
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.set, b.set) })
	return func(yield func(store.Fragment) bool) {
		for len(places) > 0 {
			first, n := places[0], 0
			fragment := store.Fragment{Snapshot: groups[first.group], Set: first.set}
			fragment.Families = nil
			for ; n < len(places) && places[n].set == first.set && places[n].group == first.group; n++ {
				if i := places[n].family; i != everyGroup {
					fragment.Families = append(fragment.Families, groups[first.group].Families[i])
				}
			}
			if places = places[n:]; !yield(fragment) {
				return
			}
		}
	}
}

func (g *group) snapshot() (_ store.Snapshot, alive bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	snapshot := store.Snapshot{Key: g.key, PushTime: g.pushed, PushFailureTime: g.failed}
	for _, f := range g.sortedFamilies() {
		snapshot.Families = append(snapshot.Families, f.held())
	}
	if g.aggregate != nil {
		g.aggregate.show(&snapshot)
	}
	return snapshot, g.alive
}

// sortedFamilies returns the families by name. The group's mu is held.
func (g *group) sortedFamilies() []*family {
	return slices.SortedFunc(maps.Values(g.families), byName)
}

func byName(a, b *family) int {
	if order := strings.Compare(a.name, b.name); order != 0 {
		return order
	}
	return cmp.Compare(a.chunkNumber(), b.chunkNumber())
}

// current returns the family, or the chunk of the aggregate, that f replaces or is. The group is locked, or its mu is held.
func (g *group) current(f *family) *family {
	switch {
	case f.chunk == nil:
		return g.families[f.name]
	case g.aggregate == nil:
		return nil
	default:
		return g.aggregate.chunks[f.chunk.Number]
	}
}

// put adds or replaces a family. The group is locked and its mu is held.
func (g *group) put(f *family) {
	if f.chunk == nil {
		g.families[f.name] = f
	} else {
		g.aggregate.chunks[f.chunk.Number] = f
	}
}

// remove removes a family. The group is locked and its mu is held.
func (g *group) remove(f *family) {
	if f.chunk == nil {
		delete(g.families, f.name)
	} else {
		delete(g.aggregate.chunks, f.chunk.Number)
	}
}

// Close implements store.Store.
func (s *Store) Close(ctx context.Context) error {
	if s.storage == nil {
		return nil
	}
	return s.client.Close(ctx)
}
