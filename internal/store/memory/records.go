// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// records writes groups to a storage client. A write is proportional to the change: one record per family, per part of
// markers, and for the group.
type records struct {
	client storage.Client
	failed func(store.Operation, error)

	// The fields below belong to the writer: only one goroutine writes at a time.
	end         int // upper bound of group numbers in the storage
	restoredEnd int // upper bound of restored group numbers
	// undo restores group records after a failed write, which may be partly done. It precedes all later writes, so that
	// no acknowledged change coexists with a refused one.
	undo map[string]*storage.Operation
	// undoPushers does so for pushers' records. It precedes undo: until a group's record is back, its pushers count as they are named there.
	undoPushers map[string]*storage.Operation
	pushers     pusherNumbers
}

// pusherNumbers allocates the numbers of pushers' records.
type pusherNumbers struct {
	stored int   // upper bound in the storage
	end    int   // of the numbers that were taken
	free   []int // below end
}

// take allocates a number.
func (n *pusherNumbers) take() int {
	if last := len(n.free) - 1; last >= 0 {
		number := n.free[last]
		n.free = n.free[:last]
		return number
	}
	n.end++
	return n.end - 1
}

// newID combines the time in microseconds and 12 random bits, so that it increases even across restarts.
func newID() uint64 { return uint64(time.Now().UnixMicro())<<12 | rand.Uint64N(1<<12) }

// write stores the change before it is published, so that a restart restores every acknowledged change. The error is a
// *StorageError or ErrBusy.
func (s *Store) write(ctx context.Context, c *change) error {
	if s.storage == nil {
		return nil
	}
	err := s.commits.Commit(ctx, c, c.bytes())
	if err != nil && !errors.Is(err, store.ErrBusy) {
		return &store.StorageError{Err: err}
	}
	return err
}

// writeAll writes changes of different groups in one batch. A group's record follows the records that it refers to. If
// the storage executes operations in order, each change is stored completely or not at all.
func (r *records) writeAll(ctx context.Context, changes []*change) []error {
	ops := slices.AppendSeq(slices.Collect(maps.Values(r.undoPushers)), maps.Values(r.undo))
	end := r.endFor(changes)
	if end > r.end {
		ops = append(ops, storage.SetOperation(numbersName, encodeJSON(numbersRecord{End: end})))
	}
	after := make([]slots, len(changes))
	for i, c := range changes {
		after[i] = c.group.slots.clone()
		ops = append(ops, contentOperations(c, &after[i])...)
		c.group.slots.written = after[i].written
	}
	for i, c := range changes {
		freeSlots(c, &after[i])
		if c.changesGroup() {
			ops = append(ops, groupOperation(c, &after[i]))
		}
	}
	pushers, deleted, pushersEnd := r.pusherOperations(changes)
	ops = append(ops, pushers...)
	if err := r.client.Batch(ctx, ops...); err != nil {
		r.failed(store.Write, err)
		for _, c := range changes {
			r.scheduleUndo(c)
		}
		return slices.Repeat([]error{err}, len(changes))
	}
	clear(r.undo)
	clear(r.undoPushers)
	r.end, r.pushers.stored = end, pushersEnd
	r.pushers.free = append(r.pushers.free, deleted...)
	for i, c := range changes {
		after[i].corrupt = nil
		c.group.slots = after[i]
	}
	r.cleanUp(ctx, changes)
	return nil
}

// endFor returns the upper bound of group numbers that the storage must have.
func (r *records) endFor(changes []*change) int {
	end := r.end
	for _, c := range changes {
		if n := c.group.number; n >= end {
			end = max(r.restoredEnd, (n/numbersPerReservation+1)*numbersPerReservation)
		}
	}
	return end
}

// groupOperation writes the group's new record, or deletes it with the last marker of a deleted group.
func groupOperation(c *change, after *slots) *storage.Operation {
	name := groupName(c.group.number)
	if c.removes() {
		return storage.DeleteOperation(name)
	}
	record := newGroupRecord(c.group, !c.hide, c.pushed, c.failed, after)
	if k := c.contribution; k != nil && !k.over {
		record.addAggregate(c.plain, k.of, k.rule, k.draft.Next(), k.folded)
	} else if a := c.group.aggregate; k == nil && a != nil {
		record.addAggregate(c.plain, a, a.rule, a.state.Next, nil)
	}
	return storage.SetOperation(name, record.encode())
}

// changesGroup reports whether the change needs a new record of the group. Most pushes to an aggregate do not: the records of the pushers
// have all that is new.
func (c *change) changesGroup() bool {
	k := c.contribution
	return k == nil || c.create || k.begins || k.over || len(k.records) > 0 || len(k.folded) > 0 || len(c.markers) > 0 ||
		c.plain != c.group.plain || k.draft.Next() != k.of.state.Next || k.rule != k.of.rule || len(k.draft.Ended) > 0
}

// pusherOperations writes the records of pushers, and deletes those of forgotten ones. The records of groups that name the latter must
// precede. It returns the deleted numbers and the new upper bound.
func (r *records) pusherOperations(changes []*change) (ops []*storage.Operation, deleted []int, end int) {
	var deletions []*storage.Operation
	for _, c := range changes {
		k := c.contribution
		if k == nil {
			continue
		}
		for _, path := range k.order {
			p, old := k.pushers[path], k.of.pushers[path]
			if old != nil && (p == nil || p.number != old.number) {
				deletions = append(deletions, storage.DeleteOperation(pusherName(old.number)))
				deleted = append(deleted, old.number)
			}
			if p == nil {
				continue
			}
			if p.number == noSlot {
				p.number = r.pushers.take()
			}
			ops = append(ops, storage.SetOperation(pusherName(p.number), encodePusher(p, c.group.number, k.of.id)))
		}
	}
	if end = r.pushers.stored; r.pushers.end > end {
		end = (r.pushers.end/numbersPerReservation + 1) * numbersPerReservation
		bound := storage.SetOperation(pushersName, encodeJSON(numbersRecord{End: end}))
		ops = append([]*storage.Operation{bound}, ops...)
	}
	return append(ops, deletions...), deleted, end
}

// removes reports whether the change leaves nothing of the group.
func (c *change) removes() bool {
	return c.hide && len(c.markers) == 0 && len(c.group.pending) == len(c.acked)
}

// scheduleUndo schedules the group's previous record for undo.
func (r *records) scheduleUndo(c *change) {
	g := c.group
	if c.changesGroup() {
		name := groupName(g.number)
		r.undo[name] = storage.DeleteOperation(name)
		if g.alive || len(g.pending) > 0 {
			record := newGroupRecord(g, g.alive, g.pushed, g.failed, &g.slots)
			if a := g.aggregate; a != nil {
				record.addAggregate(g.plain, a, a.rule, a.state.Next, nil)
			}
			r.undo[name] = storage.SetOperation(name, record.encode())
		}
	}
	if c.contribution != nil {
		r.scheduleUndoPushers(g, c.contribution)
	}
}

// scheduleUndoPushers schedules the previous records of the pushers of a change for undo.
func (r *records) scheduleUndoPushers(g *group, k *contribution) {
	for _, path := range k.order {
		p, old := k.pushers[path], k.of.pushers[path]
		if old != nil {
			name := pusherName(old.number)
			r.undoPushers[name] = storage.SetOperation(name, encodePusher(old, g.number, k.of.id))
		}
		if p != nil && (old == nil || p.number != old.number) {
			name := pusherName(p.number)
			r.undoPushers[name] = storage.DeleteOperation(name)
			r.pushers.free = append(r.pushers.free, p.number)
		}
	}
}

// contentOperations assigns slots to new contents and writes them.
func contentOperations(c *change, after *slots) []*storage.Operation {
	n := len(c.markers)
	for _, f := range c.add {
		if f.slot == noSlot {
			n++
		}
	}
	taken := after.take(n)
	ops := make([]*storage.Operation, 0, n)
	set := func(content *content, version byte, header contentHeader, encoded []byte) {
		content.slot, taken = taken[0], taken[1:]
		header.ID = c.group.id
		ops = append(ops, storage.SetOperation(slotName(c.group.number, content.slot), encodeHeaded(version, header, encoded)))
	}
	for _, f := range c.add {
		if f.chunk == nil {
			set(&f.content, recordVersion, contentHeader{Name: f.name, Type: f.typ, Pushed: store.Nanoseconds(f.pushTime)}, f.encoded)
		} else if record, changed := c.contribution.records[f]; changed {
			set(&f.content, aggregateVersion, contentHeader{}, record)
		}
	}
	for _, m := range c.markers {
		set(&m.content, recordVersion, contentHeader{}, m.encoded)
	}
	return ops
}

// freeSlots releases the slots of removed contents. A chunk of which only values change keeps its slot.
func freeSlots(c *change, after *slots) {
	kept := make(map[int]bool)
	for _, f := range c.add {
		kept[f.slot] = true
	}
	for _, f := range c.drop {
		if f.slot != noSlot && !kept[f.slot] {
			after.set(f.slot, false)
		}
	}
	for _, m := range c.acked {
		if m.slot != noSlot {
			after.set(m.slot, false)
		}
	}
}

// spareSlots is the number of free slots that a group may keep at its end before their records are deleted.
const spareSlots = 64

// cleanUp deletes obsolete records: those of removed groups and excess free slots. On failure they are overwritten later.
func (r *records) cleanUp(ctx context.Context, changes []*change) {
	var ops []*storage.Operation
	for _, c := range changes {
		g, first := c.group, c.group.slots.end()
		if c.removes() {
			first = 0
		} else if g.slots.written <= 2*first+spareSlots {
			continue
		}
		ops = append(ops, slotDeletions(g.number, first, g.slots.written)...)
	}
	if len(ops) == 0 {
		return
	}
	if err := r.client.Batch(ctx, ops...); err != nil {
		r.failed(store.Write, err)
		return
	}
	for _, c := range changes {
		c.group.slots.trim()
	}
}

func slotDeletions(number, first, end int) []*storage.Operation {
	var ops []*storage.Operation
	for i := first; i < end; i++ {
		ops = append(ops, storage.DeleteOperation(slotName(number, i)))
	}
	return ops
}

// numbersPerReservation is the step of the upper bound, so that most new groups do not write it.
const numbersPerReservation = 256
