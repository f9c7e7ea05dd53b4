// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// restoredAggregate is an aggregate as it is read.
type restoredAggregate struct {
	group   *group
	record  *aggregateRecord
	chunks  []restoredChunk
	pushers map[string]*pusher // by path
}

type restoredChunk struct {
	*store.Chunk

	slot int
}

// readChunk reads a chunk of an aggregate.
func (r *restoring) readChunk(g *group, slot int, encoded []byte) error {
	a := r.aggregates[g.number]
	if a == nil {
		return errWrongGroup
	}
	c, err := store.DecodeChunk(encoded)
	if err != nil {
		return err
	}
	if !c.IsOf(g.key) {
		return errWrongGroup
	}
	a.chunks = append(a.chunks, restoredChunk{c, slot})
	return nil
}

// readPushers reads all pushers. Those of aggregates that have ended, and those that were folded, are deleted.
func (r *restoring) readPushers(ctx context.Context) {
	records := r.s.storage
	end, probe := r.pushersEnd(ctx)
	taken := make(map[int]bool)
	var obsolete []int
	last := 0
	for first, missing := 0, 0; ctx.Err() == nil && (first < end || missing < probe); first += readAtOnce {
		names := make([]string, readAtOnce)
		for i := range names {
			names[i] = pusherName(first + i)
		}
		missing += readAtOnce
		for i, e := range records.read(ctx, names) {
			if e.record == nil && !e.failed {
				continue
			}
			missing, last = 0, max(last, first+i+1)
			switch keep, err := r.readPusher(first+i, e); {
			case err != nil:
				records.failed(store.Corrupt, fmt.Errorf("%s: %w", e.name, err))
				taken[first+i] = true
			case keep:
				taken[first+i] = true
			default:
				obsolete = append(obsolete, first+i)
			}
		}
	}
	r.deletePushers(ctx, obsolete, taken)
	records.pushers = pusherNumbers{stored: max(end, records.pushers.stored), end: last}
	for n := last - 1; n >= 0; n-- {
		if !taken[n] {
			records.pushers.free = append(records.pushers.free, n)
		}
	}
}

// pushersEnd returns the upper bound of the numbers of pushers, or how many unused ones end the search. Only a storage that has had
// aggregates has the bound.
func (r *restoring) pushersEnd(ctx context.Context) (end, probe int) {
	records := r.s.storage
	end, lost := records.readBound(ctx, pushersName)
	switch {
	case lost == nil:
		records.pushers.stored = end
		return end, 0
	case errors.Is(lost, errMissing) && len(r.aggregates) == 0:
		return 0, 0
	}
	if !errors.Is(lost, errMissing) {
		records.failed(store.Corrupt, fmt.Errorf("%s: %w", pushersName, lost))
	}
	return records.findBound(ctx, lost, pusherNumberOf)
}

// deletePushers deletes records. Numbers of those that it cannot delete stay taken.
func (r *restoring) deletePushers(ctx context.Context, numbers []int, taken map[int]bool) {
	for some := range slices.Chunk(numbers, readAtOnce) {
		ops := make([]*storage.Operation, len(some))
		for i, n := range some {
			ops[i] = storage.DeleteOperation(pusherName(n))
		}
		if err := r.s.client.Batch(ctx, ops...); err != nil {
			r.s.storage.failed(store.Write, err)
			for _, n := range some {
				taken[n] = true
			}
		}
	}
}

// readPusher reads a pusher. It reports whether its record is needed: also that of a group that cannot be read.
func (r *restoring) readPusher(number int, e entry) (keep bool, err error) {
	if e.failed {
		return true, nil
	}
	var header pusherHeader
	blob, err := decodeHeaded(e.record, &header)
	if err != nil {
		return true, err
	}
	a := r.aggregates[header.Group]
	if a == nil || a.record.ID != header.Aggregate || slices.Contains(a.record.Folded, header.ID) {
		return r.unreadable[header.Group], nil
	}
	if header.Job == "" {
		return true, errTruncated
	}
	if _, err := store.DecodeContributions(blob); err != nil {
		return true, err
	}
	p := &pusher{
		key: keyOf(header.Job, header.Labels), id: header.ID, number: number, pushed: store.TimeOf(header.Pushed), blob: slices.Clone(blob),
	}
	p.path = path(p.key)
	if other := a.pushers[p.path]; other != nil && other.id > p.id {
		return true, errDuplicate
	} else if other != nil {
		r.s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", pusherName(other.number), errDuplicate))
	}
	a.pushers[p.path] = p
	return true, nil
}

// rebuild computes the values of an aggregate, and when it was pushed.
func (r *restoring) rebuild(a *restoredAggregate) {
	latest := a.group.pushed
	pushers := slices.SortedFunc(maps.Values(a.pushers), func(a, b *pusher) int { return a.pushed.Compare(b.pushed) })
	chunks := make([]*store.Chunk, len(a.chunks))
	for i, c := range a.chunks {
		chunks[i] = c.Chunk
	}
	store.RebuildChunks(r.s.options.Space(), chunks, func(yield func(time.Time, store.Contributions) bool) {
		for _, p := range pushers {
			latest = later(latest, p.pushed)
			if !yield(p.pushed, p.contributions()) {
				return
			}
		}
	}, func(err error) {
		r.s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", groupName(a.group.number), err))
	})
	a.group.pushed = latest
}

// adopt adds the aggregate to its group. Store.mu is held.
func (r *restoring) adopt(restored *restoredAggregate) {
	s, g := r.s, restored.group
	rule, why := s.ruleFor(g, restored.record.Without)
	a := s.newAggregate(restored.record.ID, rule)
	a.why, a.last = why, g.pushed
	slices.SortFunc(restored.chunks, func(a, b restoredChunk) int { return cmp.Compare(a.Number, b.Number) })
	var chunks []*store.Chunk
	var adopted []*family
	next := restored.record.Next
	for _, c := range restored.chunks {
		if len(c.Members) == 0 {
			g.slots.set(c.slot, false) // A push began them whose pusher was not stored.
			continue
		}
		f := &family{name: c.Family, typ: c.Type, content: content{chunk: c.Chunk, series: c.Series, slot: c.slot, exported: s.options.Now()}}
		if !s.indexSeries(g, f.series) {
			g.slots.markCorrupt(c.slot)
			s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", slotName(g.number, c.slot), errSeriesConflict))
			continue
		}
		next = max(next, c.Members[len(c.Members)-1].Number+1, c.Number+1)
		chunks, adopted = append(chunks, c.Chunk), append(adopted, f)
		a.chunks[c.Number] = f
		g.unsent[f] = struct{}{}
		s.counts.Series += len(f.series)
		s.counts.Size += f.size()
	}
	state, err := store.NewAggregate(s.options.Space(), next, chunks...)
	if err != nil {
		s.storage.failed(store.Corrupt, fmt.Errorf("%s: %w", groupName(g.number), err))
		r.drop(adopted, g)
		return
	}
	a.state = state
	for _, p := range slices.SortedFunc(maps.Values(restored.pushers), func(a, b *pusher) int { return a.pushed.Compare(b.pushed) }) {
		p.ttl = rule.PusherTTL
		if own, _ := s.options.Rules.Of(p.key); own != nil {
			p.ttl = own.PusherTTL
		}
		a.setPusher(p.path, p)
		s.counts.Size += p.size()
		s.counts.Pushers++
	}
	if len(a.chunks) == 0 && len(a.pushers) == 0 {
		r.drop(nil, g)
		return
	}
	g.aggregate = a
	s.listAggregate(g)
}

// drop gives up an aggregate with its chunks. Store.mu is held.
func (r *restoring) drop(chunks []*family, g *group) {
	for _, f := range chunks {
		r.s.counts.Series -= len(f.series)
		r.s.counts.Size -= f.size()
		for _, h := range f.series {
			delete(r.s.series, h)
		}
		delete(g.unsent, f)
		g.slots.markCorrupt(f.slot)
	}
	if g.alive && !g.plain {
		g.alive = false
		r.s.counts.Groups--
		for _, h := range g.times.series {
			delete(r.s.series, h)
		}
		g.times = content{}
	}
}

// forgetRestored deletes the records of a group of which nothing is left, with the next write. Store.mu is held.
func (s *Store) forgetRestored(g *group) {
	s.storage.undo[groupName(g.number)] = storage.DeleteOperation(groupName(g.number))
	for slot := range g.slots.written {
		name := slotName(g.number, slot)
		s.storage.undo[name] = storage.DeleteOperation(name)
	}
}

// ruleFor finds the rule of a restored aggregate. If there is none any more, it says why, and the rule only names the labels.
func (s *Store) ruleFor(g *group, without []string) (rule *store.Rule, why string) {
	for i := range s.options.Rules {
		r := &s.options.Rules[i]
		if (r.Jobs == nil || r.Jobs.MatchString(g.key.Job)) && slices.Equal(r.Without, without) {
			return r, ""
		}
	}
	return &store.Rule{Without: without}, "no rule of groups::aggregate takes the job with these labels under without any more"
}

// endUnruled ends what the rules of this process do not allow.
func (s *Store) endUnruled(ctx context.Context) {
	s.mu.Lock()
	groups := slices.SortedFunc(maps.Values(s.groups), func(a, b *group) int { return cmp.Compare(a.path, b.path) })
	s.mu.Unlock()
	for _, g := range groups {
		if g.aggregate == nil {
			continue
		}
		if why := g.aggregate.why; why != "" {
			s.observeEnd(g, "", why)
			_ = s.endUnruledAggregate(ctx, g) // Expire tries again.
			continue
		}
		_ = s.changeAggregate(ctx, g, func(c *change) error {
			s.endChangedFamilies(c)
			return nil
		})
	}
}

func (s *Store) endUnruledAggregate(ctx context.Context, g *group) error {
	return s.end(ctx, g.key, func(g *group) (plain, aggregate bool) { return false, g.aggregate != nil && g.aggregate.why != "" })
}

// endChangedFamilies ends the families for which the rule has another function now.
func (s *Store) endChangedFamilies(c *change) {
	a := c.group.aggregate
	changed := make(map[string]bool)
	for chunk := range a.state.Chunks() {
		if !changed[chunk.Family] && !chunk.Follows(a.rule) {
			changed[chunk.Family] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		c.contribution.draft.EndFamily(name)
		s.observeEnd(c.group, name, "its rule has another function for it now")
	}
}

func (s *Store) observeEnd(g *group, family, why string) {
	if o := s.options.Observer; o != nil {
		o.AggregateEnded(g.key, family, why)
	}
}
