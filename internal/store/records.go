// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
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
// family and the one of the group.
type records struct {
	client storage.Client
	failed func(Operation, error)

	mu   sync.Mutex
	end  int // the storage knows that groups may have numbers below it
	most int // groups that were restored have numbers below it
	// undo brings those records of groups back that may have been written, or not: the storage failed. It comes before all
	// else that is written, so that nothing acknowledged later ever stands beside a change that was refused.
	undo map[string]*storage.Operation
}

// newID is of the time of day in microseconds and 12 random bits, so that it differs from those that were used before a
// restart, too, and is higher.
func newID() uint64 { return uint64(time.Now().UnixMicro())<<12 | rand.Uint64N(1<<12) }

// write writes what the change leads to. It is in the storage before anybody sees it, so that what was acknowledged comes
// back after a restart. On failure the storage may hold a part that nothing refers to.
func (s *Store) write(ctx context.Context, c *change) error {
	if s.storage == nil {
		return nil
	}
	err := s.storage.write(ctx, c)
	if err != nil {
		s.storage.failed(Write, err)
		return &StorageError{err}
	}
	return nil
}

func (r *records) write(ctx context.Context, c *change) error {
	g := c.group
	if err := r.prepare(ctx, g.number); err != nil {
		return err
	}
	if c.die && len(c.owing()) == 0 {
		return r.remove(ctx, g)
	}
	after := g.slots.clone()
	ops := r.contents(c, &after)
	g.slots.written = after.written
	if len(ops) > 0 {
		if err := r.client.Batch(ctx, ops...); err != nil {
			return err
		}
	}
	free(c, &after)
	record := newGroupRecord(g, !c.die, c.pushed, c.failed, &after)
	if err := r.client.Set(ctx, groupName(g.number), encodeJSON(record)); err != nil {
		r.doubt(g)
		return err
	}
	after.lost = nil
	g.slots = after
	r.trim(ctx, g)
	return nil
}

// doubt notes that the record of the group is to be as it was.
func (r *records) doubt(g *group) {
	name := groupName(g.number)
	op := storage.DeleteOperation(name)
	if g.alive || len(g.owed) > 0 {
		op = storage.SetOperation(name, encodeJSON(newGroupRecord(g, g.alive, g.pushed, g.failed, &g.slots)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undo[name] = op
}

// contents gives slots to what is new.
func (*records) contents(c *change, after *slots) []*storage.Operation {
	taken := after.take(len(c.add) + len(c.incurred))
	ops := make([]*storage.Operation, 0, len(taken))
	set := func(content *content, header contentHeader) {
		content.slot, taken = taken[0], taken[1:]
		header.ID = c.group.id
		ops = append(ops, storage.SetOperation(slotName(c.group.number, content.slot), encodeContent(header, content.encoded)))
	}
	for _, f := range c.add {
		set(&f.content, contentHeader{Name: f.Name, Type: f.Type, Pushed: nanoseconds(f.PushTime)})
	}
	for _, owed := range c.incurred {
		set(owed, contentHeader{})
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
	for _, owed := range c.paid {
		if owed.slot != noSlot {
			after.set(owed.slot, false)
		}
	}
}

// spareSlots is how many free slots a group may have behind its last one before their records are deleted.
const spareSlots = 64

// trim deletes records behind the last slot in use, if there are many. If it fails, they are overwritten one day.
func (r *records) trim(ctx context.Context, g *group) {
	end := g.slots.end()
	if g.slots.written <= 2*end+spareSlots {
		return
	}
	if err := r.client.Batch(ctx, slotDeletions(g.number, end, g.slots.written)...); err != nil {
		r.failed(Write, err)
		return
	}
	g.slots.written = end
	g.slots.used = slices.Clip(g.slots.used[:(end+7)/8])
}

func slotDeletions(number, first, end int) []*storage.Operation {
	var ops []*storage.Operation
	for i := first; i < end; i++ {
		ops = append(ops, storage.DeleteOperation(slotName(number, i)))
	}
	return ops
}

// remove deletes the group, whose record comes first: without it, the others mean nothing.
func (r *records) remove(ctx context.Context, g *group) error {
	if err := r.client.Delete(ctx, groupName(g.number)); err != nil {
		r.doubt(g)
		return err
	}
	if ops := slotDeletions(g.number, 0, g.slots.written); len(ops) > 0 {
		if err := r.client.Batch(ctx, ops...); err != nil {
			r.failed(Write, err)
		}
	}
	return nil
}

// numbersPerReservation spares most new groups the write of where groups end.
const numbersPerReservation = 256

// prepare brings back what is in doubt, and sees to it that the storage knows that there may be a group of that number.
func (r *records) prepare(ctx context.Context, number int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.undo) > 0 {
		if err := r.client.Batch(ctx, slices.Collect(maps.Values(r.undo))...); err != nil {
			return err
		}
		clear(r.undo)
	}
	if number < r.end {
		return nil
	}
	end := max(r.most, (number/numbersPerReservation+1)*numbersPerReservation)
	if err := r.client.Set(ctx, numbersName, encodeJSON(numbersRecord{End: end})); err != nil {
		return err
	}
	r.end = end
	return nil
}
