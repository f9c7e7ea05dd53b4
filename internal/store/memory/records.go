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
}

// newID combines the time in microseconds and 12 random bits, so that it increases even across restarts.
func newID() uint64 { return uint64(time.Now().UnixMicro())<<12 | rand.Uint64N(1<<12) }

// write stores the change before it is published, so that a restart restores every acknowledged change. The error is a
// *StorageError or ErrBusy.
func (s *Store) write(ctx context.Context, c *change) error {
	if s.storage == nil {
		return nil
	}
	err := s.commits.commit(ctx, c)
	if err != nil && !errors.Is(err, store.ErrBusy) {
		return &store.StorageError{Err: err}
	}
	return err
}

// writeAll writes changes of different groups in one batch. A group's record follows the records that it refers to. If
// the storage executes operations in order, each change is stored completely or not at all.
func (r *records) writeAll(ctx context.Context, changes []*change) error {
	ops := slices.Collect(maps.Values(r.undo))
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
		ops = append(ops, groupOperation(c, &after[i]))
	}
	if err := r.client.Batch(ctx, ops...); err != nil {
		r.failed(store.Write, err)
		for _, c := range changes {
			r.scheduleUndo(c.group)
		}
		return err
	}
	clear(r.undo)
	r.end = end
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
	freeSlots(c, after)
	return storage.SetOperation(name, encodeJSON(newGroupRecord(c.group, !c.hide, c.pushed, c.failed, after)))
}

// removes reports whether the change leaves nothing of the group.
func (c *change) removes() bool {
	return c.hide && len(c.markers) == 0 && len(c.group.pending) == len(c.acked)
}

// scheduleUndo schedules the group's previous record for undo.
func (r *records) scheduleUndo(g *group) {
	name := groupName(g.number)
	r.undo[name] = storage.DeleteOperation(name)
	if g.alive || len(g.pending) > 0 {
		r.undo[name] = storage.SetOperation(name, encodeJSON(newGroupRecord(g, g.alive, g.pushed, g.failed, &g.slots)))
	}
}

// contentOperations assigns slots to new contents and writes them.
func contentOperations(c *change, after *slots) []*storage.Operation {
	taken := after.take(len(c.add) + len(c.markers))
	ops := make([]*storage.Operation, 0, len(taken))
	set := func(content *content, header contentHeader) {
		content.slot, taken = taken[0], taken[1:]
		header.ID = c.group.id
		ops = append(ops, storage.SetOperation(slotName(c.group.number, content.slot), encodeContent(header, content.encoded)))
	}
	for _, f := range c.add {
		set(&f.content, contentHeader{Name: f.name, Type: f.typ, Pushed: nanoseconds(f.pushTime)})
	}
	for _, m := range c.markers {
		set(&m.content, contentHeader{})
	}
	return ops
}

// freeSlots releases the slots of removed contents.
func freeSlots(c *change, after *slots) {
	for _, f := range c.drop {
		if f.slot != noSlot {
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
