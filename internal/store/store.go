// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package store remembers groups: the current value of each series, which series are owed a stale marker, and when was
// pushed last. It is what makes a Pushgateway of the receiver.
//
// A change is claimed, written and then shown. Claiming takes the series into the index of all series, in which each has
// one owner, and fails for what another group holds or a limit forbids; writing goes to the storage extension, if there is
// one; only then does anybody see the change. So what a change costs depends on the push and on the families that it
// replaces, and a change that fails has changed nothing.
//
// Series that a change removes stay in the index and with their group until somebody reports that their stale markers were
// accepted (Settle), or refused for good for so long that it no longer matters (GiveUp). The caller sees to it that one group is changed by one goroutine at a time; different groups, and
// readers, do not wait for each other.
package store

import (
	"container/list"
	"context"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Options are the settings of a Store.
type Options struct {
	// MaxGroups bounds the groups, MaxSeries the series that they hold as Prometheus counts them, without the push times;
	// and no push makes them more than twice as many together with those that are owed a marker. 0 means no limit.
	MaxGroups, MaxSeries int
	// MaxBytes bounds the bytes that families are held in; and no push that brings series is taken when they are twice as many
	// together with the markers that are owed. 0 means no limit.
	MaxBytes int64
	// TTL is the time after its last push that a group expires; 0 means never.
	TTL time.Duration
	// Scope is the name of the scope whose metrics have no scope labels.
	Scope string
	// PushTimes makes the metrics of the times of a group's last successful and last failed push, zero if there was none.
	// If nil, groups have no such series.
	PushTimes func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics
	// Forwarded is what is forwarded of held metrics, which it does not change. Only these are series and get stale markers. If nil,
	// everything is forwarded.
	Forwarded func(held pmetric.Metrics) pmetric.Metrics
	// Client is where groups are written to; nil keeps them in memory alone.
	Client storage.Client
	// StorageFailed is told of each failure of the storage, for telemetry. It may be called by several goroutines at once.
	StorageFailed func(Operation, error)

	_ struct{}
}

// Store holds groups. All methods are safe for concurrent use, but see the package's description.
type Store struct {
	options Options
	storage *records

	mu     sync.Mutex
	groups map[string]*group // by canonical path, those that only owe markers included
	series map[series.Hash]int32
	// ended are the times of the last markers of series that were free since, in milliseconds, by their hash modulo ends.
	ended   [ends]int64
	numbers []*group // by number; nil where free
	vacant  []int    // free numbers below len(numbers)
	// pushes lists the groups by the time of their last push, if they are to expire.
	pushes list.List
	counts Counts
}

// ends is how many times of markers are remembered: who takes over a series must not write before its end.
const ends = 4096

// Counts tells how much is held.
type Counts struct {
	// Groups are those that a reader sees; Series are theirs, without the push times.
	Groups, Series int
	// Owed are series whose stale marker has not been accepted yet.
	Owed int
	// Size is that of the families that are held, and OwedSize that of the markers, in bytes.
	Size, OwedSize int64
}

// group is a group that lives, or one that has been deleted and still owes markers.
type group struct {
	key    groupingkey.Key
	path   string
	number int
	id     uint64 // tells its records from those of earlier groups of that number or key, and is higher

	// mu guards what follows against readers; changes come one at a time.
	mu       sync.Mutex
	alive    bool
	pushed   time.Time
	failed   time.Time
	families map[string]*Family
	times    content              // the series of the push times; not encoded
	owed     []*content           // those of later changes come later; what is in it stays as it is, for whoever reads it
	ending   map[series.Hash]bool // the series of owed
	slots    slots
	refused  map[*content]time.Time // since when something that is owed has been refused for good

	expiry *list.Element // in Store.pushes
	after  int64         // milliseconds since the epoch; see After
}

// New makes an empty store. Groups that its storage holds come with Restore.
func New(o Options) *Store {
	s := &Store{
		options: o,
		groups:  make(map[string]*group),
		series:  make(map[series.Hash]int32),
	}
	if o.Client != nil {
		s.storage = &records{client: o.Client, failed: o.StorageFailed, undo: make(map[string]*storage.Operation)}
	}
	return s
}

// path is the canonical name of a group.
func path(key groupingkey.Key) string { return key.Path(true) }

func (s *Store) find(key groupingkey.Key) *group {
	p := path(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups[p]
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

// Snapshots gives all groups, sorted by their canonical paths. All snapshots are taken before the first one is given out, which
// copies no content, so that what is done with them does not set them apart in time. They are not of the very same moment:
// that would make all pushes wait.
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
	families := slices.SortedFunc(maps.Values(g.families), func(a, b *Family) int { return strings.Compare(a.Name, b.Name) })
	return Snapshot{Key: g.key, PushTime: g.pushed, PushFailureTime: g.failed, Families: families}, g.alive
}

// Keys lists the groups whose number belongs to the given share of all, those that only owe markers included. The shares
// of count, a power of two, are as large as each other, and few groups are spread over all of them.
func (s *Store) Keys(share, count int) []groupingkey.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []groupingkey.Key
	width := bits.Len(uint(count - 1))
	for n := int(bits.Reverse32(uint32(share)) >> (32 - width)); n < len(s.numbers); n += count {
		if g := s.numbers[n]; g != nil {
			keys = append(keys, g.key)
		}
	}
	return keys
}

// AllKeys lists the groups that a reader sees.
func (s *Store) AllKeys() []groupingkey.Key {
	var keys []groupingkey.Key
	for snapshot := range s.Snapshots() {
		keys = append(keys, snapshot.Key)
	}
	return keys
}

// Current makes the current values of a group anew, without times, its push times last. A group that
// is unknown or deleted has none.
func (s *Store) Current(key groupingkey.Key) pmetric.Metrics {
	md := pmetric.NewMetrics()
	g := s.find(key)
	if g == nil {
		return md
	}
	snapshot, alive := g.snapshot()
	if !alive {
		return md
	}
	for _, f := range snapshot.Families {
		series.Join(md, s.forwarded(f.Metrics()))
	}
	series.Join(md, s.pushTimes(snapshot.Key, snapshot.PushTime, snapshot.PushFailureTime))
	return md
}

// forwarded is what is forwarded of held metrics.
func (s *Store) forwarded(held pmetric.Metrics) pmetric.Metrics {
	if s.options.Forwarded == nil {
		return held
	}
	return s.options.Forwarded(held)
}

// PushTimes makes the push times of a group anew, without times of their own.
func (s *Store) PushTimes(key groupingkey.Key) pmetric.Metrics {
	g := s.find(key)
	if g == nil {
		return pmetric.NewMetrics()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.alive {
		return pmetric.NewMetrics()
	}
	return s.pushTimes(g.key, g.pushed, g.failed)
}

func (s *Store) pushTimes(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	if s.options.PushTimes == nil {
		return pmetric.NewMetrics()
	}
	return s.options.PushTimes(key, pushed, failed)
}

// After is a time that everything later said of the group must exceed: other groups had some of its series up to then.
func (s *Store) After(key groupingkey.Key) time.Time {
	p := path(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[p]; g != nil {
		return time.UnixMilli(g.after)
	}
	return time.Time{}
}

// Expired lists some groups whose time is over, those for which it has been longest first.
func (s *Store) Expired(now time.Time, most int) []groupingkey.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []groupingkey.Key
	for e := s.pushes.Front(); e != nil && len(keys) < most && s.isOver(e.Value.(*expiring), now); e = e.Next() {
		keys = append(keys, e.Value.(*expiring).group.key)
	}
	return keys
}

// expiring is a group with the time its life is counted from.
type expiring struct {
	group *group
	since time.Time
}

func (s *Store) isOver(e *expiring, now time.Time) bool { return now.Sub(e.since) >= s.options.TTL }

// HasExpired tells whether a group's time is over still: it may have been pushed to since it was listed.
func (s *Store) HasExpired(key groupingkey.Key, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[path(key)]
	return g != nil && g.expiry != nil && s.isOver(g.expiry.Value.(*expiring), now)
}

// live notes that the life of a group is counted from then on. The store's lock is held.
func (s *Store) live(g *group, since time.Time) {
	if s.options.TTL == 0 {
		return
	}
	if g.expiry == nil {
		g.expiry = s.pushes.PushBack(&expiring{g, since})
		return
	}
	g.expiry.Value.(*expiring).since = since
	s.pushes.MoveToBack(g.expiry)
}

// die ends the life of a group. The store's lock is held.
func (s *Store) die(g *group) {
	if g.expiry != nil {
		s.pushes.Remove(g.expiry)
		g.expiry = nil
	}
}

// Close ends the use of the storage.
func (s *Store) Close(ctx context.Context) error {
	if s.storage == nil {
		return nil
	}
	return s.options.Client.Close(ctx)
}
