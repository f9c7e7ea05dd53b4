// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// readAtOnce is the number of groups per read request.
	readAtOnce = 256
	// maxProbe is the number of unused group numbers that ends the search if the storage lost the upper bound and cannot
	// list records. It is more than twice the default limit of groups and takes about a second.
	maxProbe = 1 << 18
	// readPause is the delay before the upper bound is read again.
	readPause = time.Second
	// maxLeftOver limits the obsolete records that a group can have and that are deleted with it.
	maxLeftOver = 1 << 20
)

// Restore implements store.Store. Unreadable data is reported and skipped; the number of an unreadable group is not
// reused, so that its record is kept.
func (s *Store) Restore(ctx context.Context) error {
	if s.storage == nil {
		return nil
	}
	r := restoring{
		s: s, groups: make(map[string]*group), taken: make(map[int]bool), unreadable: make(map[int]bool),
		aggregates: make(map[int]*restoredAggregate),
	}
	r.readAll(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	r.readPushers(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	s.owner.claim(ctx, s.options.Now())
	s.adoptAll(&r)
	s.endUnruled(ctx)
	return nil
}

// restoring is the data read so far.
type restoring struct {
	s          *Store
	groups     map[string]*group // by path
	taken      map[int]bool      // numbers with a record, readable or not
	end        int               // end of the taken numbers, rounded up
	unreadable map[int]bool      // numbers of groups that could not be read
	aggregates map[int]*restoredAggregate
}

// readAll reads all groups.
func (r *restoring) readAll(ctx context.Context) {
	end, lost := r.s.storage.readBound(ctx, numbersName)
	probe := 0
	if lost == nil {
		r.s.storage.end = end
	} else {
		end, probe = r.s.storage.findBound(ctx, lost, numberOf)
	}
	for first, missing := 0, 0; ctx.Err() == nil && (first < end || missing < probe); first += readAtOnce {
		if !r.readSome(ctx, first) {
			missing += readAtOnce
			continue
		}
		missing, r.end = 0, first+readAtOnce
		if probe > 0 {
			probe = maxProbe
		}
	}
	if lost != nil && ctx.Err() == nil && (!errors.Is(lost, errMissing) || r.end > 0) {
		r.s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", numbersName, lost))
	}
}

// readBound reads an upper bound of numbers. It retries until the context ends, because everything depends on it. The error says that
// the record is corrupt or missing.
func (r *records) readBound(ctx context.Context, name string) (int, error) {
	for {
		record, err := r.client.Get(ctx, name)
		if err == nil {
			return decodeEnd(record)
		}
		if ctx.Err() != nil {
			return 0, err
		}
		r.failed(store.Read, fmt.Errorf("%s: %w", name, err))
		select {
		case <-time.After(readPause):
		case <-ctx.Done():
		}
	}
}

func decodeEnd(record []byte) (int, error) {
	if record == nil {
		return 0, errMissing
	}
	var numbers numbersRecord
	if err := decodeJSON(record, &numbers); err != nil {
		return 0, err
	}
	if numbers.End < 0 || numbers.End > math.MaxInt32 {
		return 0, errRange
	}
	return numbers.End, nil
}

// findBound derives the upper bound from the numbered records. If the storage cannot list them, it returns the number of
// unused numbers that ends the search. Usually a storage without an upper bound has no groups.
func (r *records) findBound(ctx context.Context, lost error, numberOf func(name string) (int, bool)) (end, probe int) {
	if walker, ok := r.client.(storage.Walker); ok {
		err := walker.Walk(ctx, func(name string, _ []byte) ([]*storage.Operation, error) {
			if number, ok := numberOf(name); ok {
				end = max(end, number+1)
			}
			return nil, nil
		})
		if err == nil || ctx.Err() != nil {
			return end, 0
		}
		r.failed(store.Read, err)
	}
	if errors.Is(lost, errMissing) {
		return 0, readAtOnce
	}
	return 0, maxProbe
}

// entry is a read record, or nil if there is none.
type entry struct {
	name   string
	record []byte
	failed bool // the record could not be read and may exist
}

// read reads records, one by one if reading them together fails.
func (r *records) read(ctx context.Context, names []string) []entry {
	if len(names) == 0 {
		return nil
	}
	ops := make([]*storage.Operation, len(names))
	for i, name := range names {
		ops[i] = storage.GetOperation(name)
	}
	entries := make([]entry, len(names))
	together := r.client.Batch(ctx, ops...)
	for i, name := range names {
		record, err := ops[i].Value, error(nil)
		if together != nil {
			record, err = r.client.Get(ctx, name)
		}
		if err != nil && ctx.Err() == nil {
			r.failed(store.Read, fmt.Errorf("%s: %w", name, err))
		}
		entries[i] = entry{name: name, record: record, failed: err != nil}
	}
	return entries
}

// readSome reads the groups of some numbers and reports whether any is taken.
func (r *restoring) readSome(ctx context.Context, first int) (taken bool) {
	names := make([]string, readAtOnce)
	for i := range names {
		names[i] = groupName(first + i)
	}
	for i, e := range r.s.storage.read(ctx, names) {
		if e.record == nil && !e.failed {
			continue
		}
		taken, r.taken[first+i] = true, true
		if e.failed {
			r.unreadable[first+i] = true
			continue
		}
		g, err := r.readGroup(ctx, first+i, e)
		if err != nil {
			r.unreadable[first+i] = true
			r.s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", e.name, err))
			continue
		}
		r.keep(g)
	}
	return taken
}

// keep keeps the newest group of a key. An older one was unreadable when the newer was created, and must not reappear
// when that is deleted.
func (r *restoring) keep(g *group) {
	older := r.groups[g.path]
	if older == nil || older.id < g.id {
		r.groups[g.path] = g
	} else {
		older = g
	}
	if older != nil {
		name := groupName(older.number)
		delete(r.aggregates, older.number)
		r.s.storage.undo[name] = storage.DeleteOperation(name)
		r.s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", name, errDuplicateGroup))
	}
}

// readGroup reads a group and its contents.
func (r *restoring) readGroup(ctx context.Context, number int, e entry) (*group, error) {
	s := r.s
	var record groupRecord
	if err := decodeJSON(e.record, &record); err != nil {
		return nil, err
	}
	if record.Job == "" {
		return nil, errTruncated
	}
	key := keyOf(record.Job, record.Labels)
	g := newGroup(key, path(key), number, record.ID)
	g.alive, g.pushed, g.failed = record.Alive, store.TimeOf(record.Pushed), store.TimeOf(record.Failed)
	g.plain, g.unsent = g.alive, make(map[*family]struct{})
	if record.Aggregate != nil && g.alive {
		g.plain = record.Plain
		r.aggregates[number] = &restoredAggregate{group: g, record: record.Aggregate, pushers: make(map[string]*pusher)}
	}
	g.slots.used = record.Used
	g.slots.written = max(g.slots.end(), min(record.Written, maxLeftOver))
	var names []string
	used := g.slots.all()
	for _, slot := range used {
		names = append(names, slotName(number, slot))
	}
	for i, e := range s.storage.read(ctx, names) {
		err := r.readContent(g, used[i], e)
		if err != nil {
			g.slots.markCorrupt(used[i])
		}
		if err != nil && !e.failed {
			s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", e.name, err))
		}
	}
	return g, nil
}

// readContent reads one slot of the group.
func (r *restoring) readContent(g *group, slot int, e entry) error {
	s := r.s
	if e.record == nil {
		return errMissing
	}
	header, encoded, err := decodeContent(e.record)
	if err != nil {
		return err
	}
	if header.ID != g.id {
		return errWrongGroup
	}
	if e.record[0] == aggregateVersion {
		return r.readChunk(g, slot, encoded)
	}
	md, err := new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(encoded)
	if err != nil {
		return err
	}
	if header.Type != "" {
		md = s.options.ForwardedPart(md)
	}
	c := content{
		encoded: slices.Clone(encoded), series: series.Append(nil, md, s.options.Scope), slot: slot, exported: s.options.Now(),
	}
	if header.Type == "" {
		g.pending = append(g.pending, &markers{content: c, group: g, lapsed: c.exported.Add(store.Lookback)})
		return nil
	}
	f := &family{name: header.Name, typ: header.Type, pushTime: store.TimeOf(header.Pushed), content: c}
	g.families[header.Name], g.unsent[f] = f, struct{}{}
	return nil
}

// adoptAll adds the groups to the store. The group with the latest push keeps a duplicate series.
func (s *Store) adoptAll(r *restoring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storage.restoredEnd, s.byNumber = r.end, make([]*group, r.end)
	for n := r.end - 1; n >= 0; n-- {
		if !r.taken[n] {
			s.freeNumbers = append(s.freeNumbers, n)
		}
	}
	for _, a := range r.aggregates {
		r.rebuild(a)
	}
	groups := slices.SortedFunc(maps.Values(r.groups), func(a, b *group) int { return a.lastPush().Compare(b.lastPush()) })
	for _, g := range slices.Backward(groups) {
		s.adopt(g)
		if a := r.aggregates[g.number]; a != nil {
			r.adopt(a)
		}
		if g.alive || len(g.pending) > 0 {
			s.groups[g.path], s.byNumber[g.number] = g, g
		} else {
			s.forgetRestored(g)
		}
	}
	for _, g := range slices.Backward(groups) { // Live series precede pending ones.
		s.adoptMarkers(g)
	}
	for i, g := range groups {
		if g.plain {
			s.touch(g, g.lastPush())
		}
		if s.groups[g.path] == g {
			s.placeRestored(g, i, len(groups))
		}
	}
}

// placeRestored spreads the first export of restored groups over a round. Groups with pending markers are due
// immediately. Store.mu is held.
func (s *Store) placeRestored(g *group, i, of int) {
	now, round := s.options.Now(), s.options.RepublishInterval
	if round == 0 {
		round = firstRound
	}
	g.round = now.Add(round * time.Duration(i) / time.Duration(of)).Truncate(round / stepsPerRound)
	if len(g.pending) > 0 {
		g.round = now
		s.markWaiting(g, now)
	}
	s.place(g)
}

// adopt adds a group to the store, unless it is deleted and has no markers left. Store.mu is held.
func (s *Store) adopt(g *group) {
	if g.alive {
		s.counts.Groups++
		if times := s.timesOf(g.key); s.indexSeries(g, times.series) {
			times.exported = s.options.Now()
			g.times = times
		}
	}
	maps.DeleteFunc(g.families, func(_ string, f *family) bool {
		if s.indexSeries(g, f.series) {
			s.counts.Series += len(f.series)
			s.counts.Size += f.size()
			return false
		}
		delete(g.unsent, f)
		g.slots.markCorrupt(f.slot)
		s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", slotName(g.number, f.slot), errSeriesConflict))
		return true
	})
}

// adoptMarkers makes markers pending for series that no group has. The others were added again or taken over. Store.mu is
// held.
func (s *Store) adoptMarkers(g *group) {
	pending := g.pending
	g.pending = nil
	for _, m := range pending {
		taken := make(map[series.Hash]bool)
		for _, h := range m.series {
			if _, held := s.series[h]; held && g.pendingSeries[h] == nil {
				taken[h] = true
			} else if !held {
				s.series[h] = int32(g.number)
				s.counts.Pending++
			}
		}
		s.addMarkers(m)
		maps.DeleteFunc(g.pendingSeries, func(h series.Hash, _ *markers) bool { return taken[h] })
	}
}

// indexSeries adds series to the index, unless one is already there.
func (s *Store) indexSeries(g *group, hashes []series.Hash) bool {
	for _, h := range hashes {
		if _, held := s.series[h]; held {
			return false
		}
	}
	for _, h := range hashes {
		s.series[h] = int32(g.number)
	}
	return true
}

// lastPush returns the start of the group's time to live: its last successful push, or else its last failure.
func (g *group) lastPush() time.Time {
	if g.pushed.IsZero() {
		return g.failed
	}
	return g.pushed
}
