// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"container/list"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// aggregate is the part of a group that pushers contribute to. Only who has the group locked writes it, with the group's mu held.
type aggregate struct {
	id    uint64 // distinguishes its pushers from those of earlier aggregates of the group
	rule  *store.Rule
	state *store.Aggregate
	// chunks are the current contents, by number. Those of a family are one family to readers.
	chunks  map[uint64]*family
	pushers map[string]*pusher // by path
	byPush  list.List          // of *pusher, the one that has been quiet longest first
	last    time.Time          // of the latest push
	oldest  time.Time          // no series was last pushed before
	why     string             // it cannot go on with the rules of this process: Restore, or else Expire, ends it

	// zeros are the totals that begin and whose zero was not exported yet. exemplars were not either. Both are by number of the series.
	zeros     map[uint64]bool
	exemplars map[uint64]pmetric.ExemplarSlice

	// holders are pushers that contributed to a family when it was pushed as another type, to find them soon.
	holders map[string]string
}

func (s *Store) newAggregate(id uint64, rule *store.Rule) *aggregate {
	state, err := store.NewAggregate(s.options.Space(), 1)
	if err != nil {
		panic(err) // It has no chunks that could contradict each other.
	}
	return &aggregate{
		id: id, rule: rule, state: state, chunks: make(map[uint64]*family), pushers: make(map[string]*pusher),
		zeros: make(map[uint64]bool), exemplars: make(map[uint64]pmetric.ExemplarSlice), holders: make(map[string]string),
	}
}

// newChunk is a chunk as a content of the group.
func newChunk(c *store.Chunk, d *store.Draft, old *family) *family {
	f := &family{name: c.Family, typ: c.Type, content: content{chunk: c, series: c.Series, slot: noSlot}}
	if old != nil {
		f.unchanged = !d.Values(c.Number)
		if !d.Rewrite(c.Number) {
			f.slot = old.slot // It holds all that is stored of the chunk.
		}
	}
	return f
}

// info describes the aggregate. The group's mu is held.
func (a *aggregate) info() *store.AggregateInfo {
	info := &store.AggregateInfo{Rule: a.rule.Name, Without: a.rule.Without, Pushers: len(a.pushers)}
	if latest := a.byPush.Back(); latest != nil {
		p := latest.Value.(*pusher)
		info.LastPusher, info.LastPush = p.key, p.pushed
	}
	return info
}

// show adds the aggregate to a snapshot. The group's mu is held.
func (a *aggregate) show(snapshot *store.Snapshot) {
	snapshot.Aggregate = a.info()
	byFamily := make(map[string][]*store.Chunk)
	for _, f := range a.chunks {
		byFamily[f.name] = append(byFamily[f.name], f.chunk)
	}
	for name, chunks := range byFamily {
		slices.SortFunc(chunks, func(a, b *store.Chunk) int { return cmp.Compare(a.Number, b.Number) })
		held := store.Held{Name: name, Type: chunks[0].Type, Metrics: func() pmetric.Metrics { return store.JoinChunks(chunks) }}
		for _, c := range chunks {
			held.PushTime = later(held.PushTime, c.LastPush())
		}
		snapshot.Families = append(snapshot.Families, held)
	}
	slices.SortStableFunc(snapshot.Families, func(a, b store.Held) int { return cmp.Compare(a.Name, b.Name) })
}

// part is the part of a claim for a chunk. The group's mu is held.
func (a *aggregate) part(c *claim, f *family) *store.Part {
	o := &origin{content: &f.content, family: f}
	for i := range f.chunk.Members {
		n := f.chunk.Members[i].Number
		if a.zeros[n] {
			if o.zeros == nil {
				o.zeros = make(map[uint64]bool)
			}
			o.zeros[n], c.zeros = true, true
		}
		if e, has := a.exemplars[n]; has {
			if o.exemplars == nil {
				o.exemplars = make(map[uint64]pmetric.ExemplarSlice)
			}
			o.exemplars[n] = e
		}
	}
	part := &store.Part{Family: f.name, Chunk: f.chunk.Number, Series: len(f.series), Origin: o}
	part.Build = func([]series.Hash) pmetric.Metrics {
		if part.Outcome.Doubtful { // The zeros may have arrived, and values after them.
			return f.chunk.Render(c.zero, nil, o.exemplars)
		}
		return f.chunk.Render(c.zero, o.zeros, o.exemplars)
	}
	return part
}

// settleExtras drops zeros and exemplars that were exported. A zero that may have been accepted is not exported again, because it would
// look like a reset. The group's mu is held.
func (a *aggregate) settleExtras(p *origin, outcome store.Outcome) {
	if a == nil || p.family == nil || p.family.chunk == nil {
		return
	}
	if outcome.Accepted || outcome.Doubtful {
		for n := range p.zeros {
			delete(a.zeros, n)
		}
	}
	if outcome.Accepted {
		for n, e := range p.exemplars {
			if a.exemplars[n] == e {
				delete(a.exemplars, n)
			}
		}
	}
}

// contribution is what a change does to an aggregate: the requests of several pushers, one after the other, or its end.
type contribution struct {
	of     *aggregate
	begins bool
	over   bool // the aggregate ends
	draft  *store.Draft
	// pushers are those that change, by path; nil if they are forgotten. order is that of their last changes.
	pushers map[string]*pusher
	order   []string
	rule    *store.Rule        // of the latest push
	last    time.Time          // of the latest push
	oldest  time.Time          // that of the aggregate after the change, or zero
	folded  []uint64           // ids of the pushers that are folded
	stored  bool               // there is a storage
	records map[*family][]byte // of chunks that are to be stored, encoded
	begun   store.Counts
	notes   store.Notes
}

// contribute begins a change of the group's aggregate. The group is locked.
func (c *change) contribute(s *Store, rule *store.Rule) *contribution {
	k := &contribution{
		of: c.group.aggregate, pushers: make(map[string]*pusher), rule: rule, records: make(map[*family][]byte),
	}
	if k.of == nil {
		k.begins, k.of = true, s.newAggregate(newID(), rule)
	}
	k.stored = s.storage != nil
	k.draft, k.last = k.of.state.Draft(), k.of.last
	c.contribution = k
	return k
}

// endAggregate ends the aggregate of the group and forgets its pushers.
func (c *change) endAggregate() {
	a := c.group.aggregate
	k := &contribution{of: a, over: true, pushers: make(map[string]*pusher)}
	for p := range a.pushers {
		k.set(p, nil)
	}
	for _, f := range a.chunks {
		c.drop = append(c.drop, f)
	}
	slices.SortFunc(c.drop, byName)
	c.contribution = k
}

// listAggregate lists the group in Store.aggregates if it has an aggregate. Store.mu and the group's mu are held.
func (s *Store) listAggregate(g *group) {
	if g.aggregate != nil {
		s.aggregates[g] = struct{}{}
	} else {
		delete(s.aggregates, g)
	}
}

func (k *contribution) ends() bool { return k != nil && k.over }

// rule is that of the group's aggregate before or after the change.
func (c *change) rule() *store.Rule {
	switch {
	case c.contribution != nil:
		return c.contribution.rule
	case c.group.aggregate != nil:
		return c.group.aggregate.rule
	default:
		return nil
	}
}

// finish completes the change of the chunks. It reports whether there is any change.
func (k *contribution) finish(c *change) (bool, error) {
	if err := k.draft.Finish(k.contributions); err != nil {
		return false, err
	}
	changed := k.draft.Changed()
	numbers := make([]uint64, 0, len(changed))
	for n := range changed {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		old := k.of.chunks[n]
		if old != nil {
			c.drop = append(c.drop, old)
		}
		if chunk := changed[n]; chunk != nil {
			f := newChunk(chunk, k.draft, old)
			c.add = append(c.add, f)
			if f.slot != noSlot || !k.stored {
				continue
			}
			record, err := chunk.Encode()
			if err != nil {
				return false, &store.StorageError{Err: err}
			}
			k.records[f] = record
		}
	}
	k.over = k.draft.Empty() && k.remembered() == 0
	if k.over && !c.group.alive {
		return false, nil
	}
	if k.over {
		c.hideIfOver()
	}
	return len(k.order) > 0 || len(numbers) > 0, nil
}

// remembered is the number of pushers after the change.
func (k *contribution) remembered() int {
	n := len(k.of.pushers)
	for path, p := range k.pushers {
		if k.of.pushers[path] != nil {
			n--
		}
		if p != nil {
			n++
		}
	}
	return n
}

// contributions yields those of all pushers after the change.
func (k *contribution) contributions(yield func(store.Contributions) bool) {
	for path := range k.of.pushers {
		if _, changed := k.pushers[path]; changed {
			continue
		}
		if !yield(k.of.pushers[path].contributions()) {
			return
		}
	}
	for _, p := range k.pushers {
		if p != nil && !yield(p.contributions()) {
			return
		}
	}
}

// count adds the differences that the change makes to pushers.
func (k *contribution) count(counts *store.Counts) {
	if k == nil {
		return
	}
	for path, p := range k.pushers {
		old := k.of.pushers[path]
		counts.Size += p.size() - old.size()
		if p != nil {
			counts.Pushers++
		}
		if old != nil {
			counts.Pushers--
		}
	}
}

// begin makes a new aggregate a part of the group. Store.mu and the group's mu are held.
func (k *contribution) begin(g *group) {
	if k != nil && k.begins {
		g.aggregate = k.of
	}
}

// publish makes the change of pushers and series. Store.mu and the group's mu are held.
func (k *contribution) publish(g *group) {
	if k.over {
		g.aggregate = nil
		return
	}
	a := k.of
	a.state.Commit(k.draft)
	for _, n := range k.draft.Zeros {
		a.zeros[n] = true
	}
	maps.Copy(a.exemplars, k.draft.Exemplars)
	for _, n := range k.draft.Ended {
		delete(a.zeros, n)
		delete(a.exemplars, n)
	}
	for _, path := range k.order {
		a.setPusher(path, k.pushers[path])
	}
	a.rule, a.last = k.rule, k.last
}
