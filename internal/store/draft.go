// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"iter"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Aggregate is the series of an aggregate. Drafts change it. It is not safe for concurrent use, but its chunks are immutable.
type Aggregate struct {
	// Next is the number of the next series.
	Next uint64

	space    series.Space
	chunks   map[uint64]*Chunk
	homes    map[uint64]uint64 // the chunk of each series
	numbers  map[string]uint64 // series by key
	families map[string]*aggregateFamily
}

// aggregateFamily is a family of an aggregate. It is immutable.
type aggregateFamily struct {
	pushed, typ string
	function    merge.Function
	kinds       map[pmetric.MetricType]bool
	chunks      map[uint64]bool
	open        map[string]uint64 // the latest chunk of each metric
}

// NewAggregate returns an aggregate of the chunks. Two series of the same key are an error, and next must exceed all numbers.
func NewAggregate(space series.Space, next uint64, chunks ...*Chunk) (*Aggregate, error) {
	a := &Aggregate{
		Next: max(next, 1), space: space, chunks: make(map[uint64]*Chunk), homes: make(map[uint64]uint64),
		numbers: make(map[string]uint64), families: make(map[string]*aggregateFamily),
	}
	d := a.Draft()
	for _, c := range chunks {
		if d.chunk(c.Number) != nil || c.Number >= a.Next {
			return nil, ErrCorruptAggregate
		}
		d.chunks[c.Number] = c
		if !d.join(c) {
			return nil, ErrCorruptAggregate
		}
		for i := range c.Members {
			m := &c.Members[i]
			if d.number(m.key) != 0 || d.home(m.Number) != 0 || m.Number >= a.Next {
				return nil, ErrCorruptAggregate
			}
			d.numbers[m.key], d.homes[m.Number] = m.Number, c.Number
		}
	}
	a.Commit(d)
	return a, nil
}

// Chunks returns all chunks.
func (a *Aggregate) Chunks() iter.Seq[*Chunk] { return maps.Values(a.chunks) }

// Chunk returns a chunk, or nil.
func (a *Aggregate) Chunk(number uint64) *Chunk { return a.chunks[number] }

// Has reports whether there is a series of the number.
func (a *Aggregate) Has(number uint64) bool { return a.homes[number] != 0 }

// Draft begins a change of the aggregate. The aggregate must not change until the draft is committed or given up.
func (a *Aggregate) Draft() *Draft {
	return &Draft{
		of: a, next: a.Next, chunks: make(map[uint64]*Chunk), homes: make(map[uint64]uint64), numbers: make(map[string]uint64),
		families: make(map[string]*aggregateFamily), relist: make(map[uint64]bool), rewrite: make(map[uint64]bool),
		values:    make(map[uint64]bool),
		Exemplars: make(map[uint64]pmetric.ExemplarSlice),
	}
}

// Commit makes the changes of a draft.
func (a *Aggregate) Commit(d *Draft) {
	a.Next = d.next
	commit(a.chunks, d.chunks, func(c *Chunk) bool { return c == nil })
	commit(a.homes, d.homes, func(n uint64) bool { return n == 0 })
	commit(a.numbers, d.numbers, func(n uint64) bool { return n == 0 })
	commit(a.families, d.families, func(f *aggregateFamily) bool { return f == nil })
}

func commit[K comparable, V any](to, from map[K]V, gone func(V) bool) {
	for k, v := range from {
		if gone(v) {
			delete(to, k)
		} else {
			to[k] = v
		}
	}
}

// Draft is a change of an aggregate: several pushes and ends of pushers, one after the other. Finish completes it.
type Draft struct {
	of   *Aggregate
	next uint64
	// What changes. Zero values stand for what is removed.
	chunks   map[uint64]*Chunk
	homes    map[uint64]uint64
	numbers  map[string]uint64
	families map[string]*aggregateFamily

	relist  map[uint64]bool // chunks whose Series change
	rewrite map[uint64]bool // chunks of which more than values changes
	values  map[uint64]bool // chunks with new values

	// Zeros are the totals that begin, and Ended the series that end. Exemplars are those of the pushes. All are numbers of series; one
	// that begins and ends is among both.
	Zeros, Ended []uint64
	Exemplars    map[uint64]pmetric.ExemplarSlice
}

func (d *Draft) chunk(number uint64) *Chunk {
	if c, changed := d.chunks[number]; changed {
		return c
	}
	return d.of.chunks[number]
}

func (d *Draft) home(series uint64) uint64 {
	if n, changed := d.homes[series]; changed {
		return n
	}
	return d.of.homes[series]
}

func (d *Draft) number(key string) uint64 {
	if n, changed := d.numbers[key]; changed {
		return n
	}
	return d.of.numbers[key]
}

func (d *Draft) family(name string) *aggregateFamily {
	if f, changed := d.families[name]; changed {
		return f
	}
	return d.of.families[name]
}

// member returns a series and its chunk, or nil.
func (d *Draft) member(number uint64) (*Chunk, *Member) {
	c := d.chunk(d.home(number))
	if c == nil {
		return nil, nil
	}
	i := c.find(number)
	if i < 0 {
		return nil, nil
	}
	return c, &c.Members[i]
}

// Contributes reports whether one of the contributions is to a series of the family.
func (d *Draft) Contributes(cs Contributions, family string) bool {
	return slices.ContainsFunc(cs, func(s Share) bool {
		c := d.chunk(d.home(s.Number))
		return c != nil && c.Family == family
	})
}

// edit returns the draft's own copy of a chunk.
func (d *Draft) edit(number uint64) *Chunk {
	if c := d.chunks[number]; c != nil {
		return c
	}
	c := *d.of.chunks[number]
	c.Members = slices.Clone(c.Members)
	d.chunks[number] = &c
	return &c
}

// editMember returns the draft's own copy of a series.
func (d *Draft) editMember(number uint64) *Member {
	c := d.edit(d.home(number))
	return &c.Members[c.find(number)]
}

// set changes the value of a series. It ends if it has none any more.
func (d *Draft) set(number uint64, value merge.Accumulator) {
	if value.Empty() {
		d.end(number)
		return
	}
	m, home := d.editMember(number), d.home(number)
	if !merge.SameSeries(m.Value, value) {
		d.relist[home] = true
	}
	m.Value, d.values[home] = value, true
}

// end ends a series.
func (d *Draft) end(number uint64) {
	c := d.edit(d.home(number))
	i := c.find(number)
	d.numbers[c.Members[i].key], d.homes[number] = 0, 0
	c.Members = slices.Delete(c.Members, i, i+1)
	d.relist[c.Number], d.rewrite[c.Number], d.values[c.Number] = true, true, true
	d.Ended = append(d.Ended, number)
	delete(d.Exemplars, number)
	if len(c.Members) == 0 {
		d.leave(c)
		d.chunks[c.Number] = nil
	}
}

// begin adds a series to a chunk of its metric.
func (d *Draft) begin(family *PushedFamily, metric string, template func() pmetric.Metrics, m Member) {
	c := d.open(family.Name, metric)
	if c == nil {
		c = &Chunk{
			Number: m.Number, Family: family.Name, Pushed: family.Type, Type: exposedType(family.Type, family.Function),
			Function: family.Function, template: template(), metric: metric,
		}
		d.chunks[c.Number] = c
		d.join(c)
	}
	c.Members = append(c.Members, m)
	d.numbers[m.key], d.homes[m.Number] = m.Number, c.Number
	d.next = max(d.next, m.Number+1)
	d.relist[c.Number], d.rewrite[c.Number], d.values[c.Number] = true, true, true
	if m.Value.Zero() != nil {
		d.Zeros = append(d.Zeros, m.Number)
	}
}

// open returns a chunk of a metric that has room, or nil.
func (d *Draft) open(family, metric string) *Chunk {
	f := d.family(family)
	if f == nil || f.open[metric] == 0 {
		return nil
	}
	c := d.chunk(f.open[metric])
	if c == nil || len(c.Members) >= MaxChunk {
		return nil
	}
	return d.edit(c.Number)
}

// join adds a chunk to its family. It fails if the family is of another type.
func (d *Draft) join(c *Chunk) bool {
	f := &aggregateFamily{
		pushed: c.Pushed, typ: c.Type, function: c.Function,
		kinds: make(map[pmetric.MetricType]bool), chunks: make(map[uint64]bool), open: make(map[string]uint64),
	}
	if old := d.family(c.Family); old != nil {
		if old.typ != f.typ || old.function != f.function {
			return false
		}
		f.pushed = old.pushed
		maps.Copy(f.kinds, old.kinds)
		maps.Copy(f.chunks, old.chunks)
		maps.Copy(f.open, old.open)
	}
	f.kinds[c.kind()], f.chunks[c.Number], f.open[c.metric] = true, true, max(c.Number, f.open[c.metric])
	d.families[c.Family] = f
	return true
}

// leave removes a chunk from its family.
func (d *Draft) leave(c *Chunk) {
	old := d.family(c.Family)
	if len(old.chunks) == 1 {
		d.families[c.Family] = nil
		return
	}
	f := *old
	f.chunks, f.open = maps.Clone(f.chunks), maps.Clone(f.open)
	delete(f.chunks, c.Number)
	if f.open[c.metric] == c.Number {
		delete(f.open, c.metric)
	}
	d.families[c.Family] = &f
}

// Fold ends a pusher. What outlives it goes to the bases.
func (d *Draft) Fold(cs Contributions) error {
	type folded struct {
		number      uint64
		base, value merge.Accumulator
	}
	var all []folded
	for _, s := range cs {
		_, m := d.member(s.Number)
		if m == nil {
			continue
		}
		base, value, err := merge.Fold(m.Base, m.Value, s.Contribution)
		if err != nil {
			return err
		}
		all = append(all, folded{s.Number, base, value})
	}
	for _, f := range all {
		if f.base.Empty() {
			d.set(f.number, f.value)
			continue
		}
		d.editMember(f.number).Base = merge.Shaped(f.base, f.value) // The value stays as it is.
		d.rewrite[d.home(f.number)] = true
	}
	return nil
}

// Expire ends the series that no push has had since the time. It returns the earliest last push of the others, zero if there are none.
func (d *Draft) Expire(since time.Time) (oldest time.Time) {
	for n := range d.of.chunks {
		c := d.chunk(n)
		if c == nil {
			continue
		}
		for _, m := range slices.Clone(c.Members) {
			if !m.LastPush.After(since) {
				d.end(m.Number)
			} else if oldest.IsZero() || m.LastPush.Before(oldest) {
				oldest = m.LastPush
			}
		}
	}
	return oldest
}

// EndFamily ends all series of a family.
func (d *Draft) EndFamily(name string) {
	f := d.family(name)
	if f == nil {
		return
	}
	for n := range f.chunks {
		for _, m := range slices.Clone(d.chunk(n).Members) {
			d.end(m.Number)
		}
	}
}

// Finish completes the changes, given the contributions of all remembered pushers as the draft leaves them. It reads them only if the
// next smallest or largest value of a series is to be found.
func (d *Draft) Finish(all iter.Seq[Contributions]) error {
	if err := d.rebuild(all); err != nil {
		return err
	}
	for n := range d.relist {
		if c := d.chunks[n]; c != nil {
			c.list(d.of.space)
		}
	}
	return nil
}

// rebuild finds the values that are not known.
func (d *Draft) rebuild(all iter.Seq[Contributions]) error {
	unknown := make(map[uint64]*Member)
	for _, c := range d.chunks {
		if c == nil {
			continue
		}
		for i := range c.Members {
			if m := &c.Members[i]; !m.Value.Known() {
				m.Value, unknown[m.Number] = m.Base, m
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	for cs := range all {
		for _, s := range cs {
			m := unknown[s.Number]
			if m == nil {
				continue
			}
			var err error
			if m.Value, err = m.Value.Add(s.Contribution); err != nil {
				return err
			}
		}
	}
	return nil
}

// Changed returns the new state of each chunk that changes, or nil if it is removed, by number.
func (d *Draft) Changed() map[uint64]*Chunk { return d.chunks }

// Rewrite reports whether more of a chunk changes than what the contributions tell: it must be stored.
func (d *Draft) Rewrite(number uint64) bool { return d.rewrite[number] }

// Values reports whether the values of a chunk change.
func (d *Draft) Values(number uint64) bool { return d.values[number] }

// Next is the number of the next series after the draft.
func (d *Draft) Next() uint64 { return d.next }

// Empty reports whether the draft leaves no series.
func (d *Draft) Empty() bool {
	for n := range d.of.chunks {
		if d.chunk(n) != nil {
			return false
		}
	}
	for _, c := range d.chunks {
		if c != nil {
			return false
		}
	}
	return true
}

// RebuildChunks computes the values of decoded chunks from their bases and the contributions of all remembered pushers, each with the time
// of the pusher's last push. It removes series that have none; a chunk may be left with no series. Corrupt is told about contributions
// that do not fit.
func RebuildChunks(space series.Space, chunks []*Chunk, pushers iter.Seq2[time.Time, Contributions], corrupt func(error)) {
	members := make(map[uint64]*Member)
	for _, c := range chunks {
		for i := range c.Members {
			members[c.Members[i].Number] = &c.Members[i]
		}
	}
	for at, cs := range pushers {
		for _, s := range cs {
			m := members[s.Number]
			if m == nil {
				continue // The series has ended.
			}
			value, err := m.Value.Add(s.Contribution)
			if err != nil {
				corrupt(err)
				continue
			}
			m.Value, m.LastPush = value, later(m.LastPush, at)
		}
	}
	for _, c := range chunks {
		c.Members = slices.DeleteFunc(c.Members, func(m Member) bool { return m.Value.Empty() })
		c.list(space)
	}
}
