// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// Operation is what the storage was asked to do.
type Operation string

// The operations of the storage that can fail.
const (
	Read    Operation = "read"
	Write   Operation = "write"
	Corrupt Operation = "corrupt" // it gave something, which cannot be read
)

// records writes the groups to a storage client. What a change writes is in proportion to the change: a record for each
// family and for each part of its markers, and the one of the group.
type records struct {
	client storage.Client
	failed func(Operation, error)

	// The fields below are the writer's: only one goroutine writes at a time.
	end  int // The storage knows that groups may have numbers below it.
	most int // Groups that were restored have numbers below it.
	// undo restores the records of groups after a failed write, of which the storage may have done a part. It comes before
	// everything else that is written, so that nothing acknowledged later ever stands beside a change that was refused.
	undo map[string]*storage.Operation
}

// newID is the time of day in microseconds and 12 random bits, so that it is higher than those used before, also before a
// restart.
func newID() uint64 { return uint64(time.Now().UnixMicro())<<12 | rand.Uint64N(1<<12) }

// write stores what the change leads to, before anybody sees it: what was acknowledged is there after a restart. The
// error is a *StorageError or ErrBusy.
func (s *Store) write(ctx context.Context, c *change) error {
	if s.storage == nil {
		return nil
	}
	err := s.commits.commit(ctx, c)
	if err != nil && !errors.Is(err, ErrBusy) {
		return &StorageError{err}
	}
	return err
}

// writeAll writes changes of different groups in one batch. A storage that does only a part of a batch must do its operations
// in order: the record of a group comes behind what it refers to, so that each change is in the storage whole or not at all.
func (r *records) writeAll(ctx context.Context, changes []*change) error {
	ops := slices.Collect(maps.Values(r.undo))
	end := r.endFor(changes)
	if end > r.end {
		ops = append(ops, storage.SetOperation(numbersName, encodeJSON(numbersRecord{End: end})))
	}
	after := make([]slots, len(changes))
	for i, c := range changes {
		after[i] = c.group.slots.clone()
		ops = append(ops, contents(c, &after[i])...)
		c.group.slots.written = after[i].written
	}
	for i, c := range changes {
		ops = append(ops, groupOperation(c, &after[i]))
	}
	if err := r.client.Batch(ctx, ops...); err != nil {
		r.failed(Write, err)
		for _, c := range changes {
			r.doubt(c.group)
		}
		return err
	}
	clear(r.undo)
	r.end = end
	for i, c := range changes {
		after[i].lost = nil
		c.group.slots = after[i]
	}
	r.cleanUp(ctx, changes)
	return nil
}

// endFor is below which number the storage must know that groups may be.
func (r *records) endFor(changes []*change) int {
	end := r.end
	for _, c := range changes {
		if n := c.group.number; n >= end {
			end = max(r.most, (n/numbersPerReservation+1)*numbersPerReservation)
		}
	}
	return end
}

// groupOperation writes the record of the group as it is after the change, or deletes it with the last marker of a deleted group.
func groupOperation(c *change, after *slots) *storage.Operation {
	name := groupName(c.group.number)
	if c.removes() {
		return storage.DeleteOperation(name)
	}
	free(c, after)
	return storage.SetOperation(name, encodeJSON(newGroupRecord(c.group, !c.die, c.pushed, c.failed, after)))
}

// removes tells whether the change leaves nothing of the group.
func (c *change) removes() bool {
	return c.die && len(c.markers) == 0 && len(c.group.pending) == len(c.acked)
}

// doubt notes that the record of the group is to be as it was.
func (r *records) doubt(g *group) {
	name := groupName(g.number)
	r.undo[name] = storage.DeleteOperation(name)
	if g.alive || len(g.pending) > 0 {
		r.undo[name] = storage.SetOperation(name, encodeJSON(newGroupRecord(g, g.alive, g.pushed, g.failed, &g.slots)))
	}
}

// contents gives slots to what is new.
func contents(c *change, after *slots) []*storage.Operation {
	taken := after.take(len(c.add) + len(c.markers))
	ops := make([]*storage.Operation, 0, len(taken))
	set := func(content *content, header contentHeader) {
		content.slot, taken = taken[0], taken[1:]
		header.ID = c.group.id
		ops = append(ops, storage.SetOperation(slotName(c.group.number, content.slot), encodeContent(header, content.encoded)))
	}
	for _, f := range c.add {
		set(&f.content, contentHeader{Name: f.Name, Type: f.Type, Pushed: nanoseconds(f.PushTime)})
	}
	for _, m := range c.markers {
		set(&m.content, contentHeader{})
	}
	return ops
}

// free gives up the slots of what is no more.
func free(c *change, after *slots) {
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

// spareSlots is how many free slots a group may have behind its last one before their records are deleted.
const spareSlots = 64

// cleanUp deletes records that mean nothing any more: those of removed groups, and those behind the last slot of a group if there are
// many. If it fails, they are overwritten one day.
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
		r.failed(Write, err)
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

// numbersPerReservation spares most new groups the write of where groups end.
const numbersPerReservation = 256
