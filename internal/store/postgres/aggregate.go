// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// minPause is the pause between exports of an aggregate whose values change.
const minPause = 10 * time.Second

// aggregated is the aggregate of a group, if without is not nil.
type aggregated struct {
	aggregateColumns

	claimed int64
	chunks  map[string]*family // by the name of their rows
	known   map[string]*pusher // those that were read, by path
}

// aggregateColumns are those of the group's row.
type aggregateColumns struct {
	rule        string
	without     []string
	contributed int64 // the latest push of a pusher
	next        int64 // number of the next series
	pushers     int64
	silent      int64
}

// pusher is a remembered pusher.
type pusher struct {
	path        string
	pushed, ttl int64
	content     []byte
}

// pusherSize is what a pusher counts for the limit of bytes, beside its path and contributions.
const pusherSize = 256

func (p *pusher) size() int64 {
	if p == nil {
		return 0
	}
	return pusherSize + int64(len(p.path)+len(p.content))
}

func (p *pusher) contributions() (store.Contributions, error) {
	if p == nil {
		return nil, nil
	}
	return store.DecodeContributions(p.content)
}

// chunkMark separates the family's name from the chunk's number in the name of a row. It does not occur in UTF-8.
const chunkMark = '\xff'

// rowName names the row of a chunk. Numbers are not used twice in a group, so neither are names.
func rowName(family string, number uint64) string {
	b := append([]byte(family), chunkMark)
	return string(binary.BigEndian.AppendUint64(b, number))
}

func isChunk(row string) bool { return strings.IndexByte(row, chunkMark) >= 0 }

// familyOf splits the name of a row. The number is 0 if it is not a chunk's.
func familyOf(row string) (family string, chunk uint64) {
	i := strings.IndexByte(row, chunkMark)
	if i < 0 || len(row) != i+9 {
		return row, 0
	}
	return row[:i], binary.BigEndian.Uint64([]byte(row[i+1:]))
}

// decodeRow decodes the values of a family or chunk.
func decodeRow(row string, content []byte) pmetric.Metrics {
	if !isChunk(row) {
		return store.Decode(content)
	}
	chunk, err := store.DecodeState(content)
	if err != nil {
		return pmetric.NewMetrics() // Only a damaged row has such a content.
	}
	return chunk.Metrics()
}

// contribution is what a change does to an aggregate: requests of several pushers, one after the other, or its end.
type contribution struct {
	aggregateColumns // after the change

	over    bool // the aggregate ends
	draft   *store.Draft
	of      *store.Aggregate
	latest  *store.Rule
	changed map[string]*pusher // by path; nil if they are forgotten
	before  map[string]*pusher // what they were
	ended   store.Counts       // pushers and bytes of an aggregate that ends
	rows    map[string]*store.Chunk
	quiet   map[string]bool // rows whose values stay as they are, so they are not exported
	extras  map[string][][]byte
	begun   store.Counts
	notes   store.Notes
}

// contribute begins a change of the group's aggregate, whose state was read.
func (s *Store) contribute(g *group) (*contribution, error) {
	k := &contribution{
		aggregateColumns: g.aggregateColumns, changed: make(map[string]*pusher), before: make(map[string]*pusher),
		rows: make(map[string]*store.Chunk), quiet: make(map[string]bool), extras: make(map[string][][]byte),
	}
	var chunks []*store.Chunk
	for _, row := range g.chunks {
		chunk, err := store.DecodeState(row.state)
		if err != nil {
			return nil, err
		}
		chunk.Series, chunk.Size = row.series, row.size
		chunks = append(chunks, chunk)
	}
	var err error
	if k.of, err = store.NewAggregate(s.options.Space(), uint64(g.next), chunks...); err != nil {
		return nil, err
	}
	k.draft = k.of.Draft()
	return k, nil
}

// pusher returns a pusher as the change leaves it, or nil.
func (k *contribution) pusher(g *group, path string) *pusher {
	if p, changed := k.changed[path]; changed {
		return p
	}
	return g.known[path]
}

// set changes a pusher; nil forgets it.
func (k *contribution) set(g *group, path string, p *pusher) {
	if _, again := k.changed[path]; !again {
		k.before[path] = g.known[path]
	}
	switch old := k.pusher(g, path); {
	case old == nil && p != nil:
		k.pushers++
	case old != nil && p == nil:
		k.pushers--
	}
	k.changed[path] = p
}

// fold ends a pusher. One that is not known is no error.
func (k *contribution) fold(g *group, path string, cause store.FoldCause) error {
	p := k.pusher(g, path)
	if p == nil {
		return nil
	}
	cs, err := p.contributions()
	if err == nil {
		err = k.draft.Fold(cs)
	}
	if err != nil {
		return err
	}
	k.set(g, path, nil)
	k.notes.Folded(path, cause)
	return nil
}

// ends reports whether the aggregate ends with the change.
func (k *contribution) ends() bool { return k != nil && k.over }

// endAggregate ends the aggregate of the group and forgets its pushers.
func (c *change) endAggregate(ended store.Counts) {
	k := &contribution{over: true, ended: ended}
	k.next = c.next
	for _, row := range c.chunks {
		c.drop = append(c.drop, row)
	}
	c.agg = k
}

// pacedChange reports whether the change waits for the pause after the last export.
func (c *change) pacedChange() bool { return c.agg != nil && !c.agg.over && c.plain == c.group.plain }

// after is the aggregate after the change.
func (c *change) after() aggregateColumns {
	switch {
	case c.agg == nil:
		return c.aggregateColumns
	case c.agg.over:
		return aggregateColumns{next: c.agg.next}
	default:
		return c.agg.aggregateColumns
	}
}

// ruleOf is the rule of the aggregate, for errors.
func (c *change) ruleOf() *store.Rule {
	if c.agg != nil && c.agg.latest != nil {
		return c.agg.latest
	}
	return &store.Rule{Name: c.rule, Without: c.without}
}

// sizeOf is what an added row counts for the limit of bytes.
func (c *change) sizeOf(f *store.Family) int64 {
	if c.agg != nil && c.agg.rows[f.Name] != nil {
		return c.agg.rows[f.Name].Size
	}
	return int64(len(f.Encoded) + 8*len(f.Series) + len(f.First))
}

// rowOf is the size, the time of the push and the layout of an added row. The size of families is counted, so it is null. Chunks have no layout.
func (c *change) rowOf(f *store.Family) (size *int64, pushed, layout int64) {
	if c.agg != nil && c.agg.rows[f.Name] != nil {
		chunk := c.agg.rows[f.Name]
		return &chunk.Size, store.Nanoseconds(chunk.LastPush()), 0
	}
	return nil, c.at, layoutOf(f)
}

// countPushers adds the differences that the change makes to pushers.
func (c *change) countPushers(counts *store.Counts) {
	k := c.agg
	if k == nil {
		return
	}
	counts.Pushers -= k.ended.Pushers
	counts.Size -= k.ended.Size
	for path, p := range k.changed {
		old := k.before[path]
		counts.Size += p.size() - old.size()
		if p != nil {
			counts.Pushers++
		}
		if old != nil {
			counts.Pushers--
		}
	}
}

// finish completes the change of the aggregate. It reports whether there is any. All yields the contributions of the pushers that do
// not change.
func (c *change) finish(all iter.Seq[store.Contributions]) (bool, error) {
	k := c.agg
	err := k.draft.Finish(func(yield func(store.Contributions) bool) {
		for cs := range all {
			if !yield(cs) {
				return
			}
		}
		for _, p := range k.changed {
			if cs, err := p.contributions(); err == nil && p != nil && !yield(cs) {
				return
			}
		}
	})
	if err != nil {
		return false, err
	}
	changed := k.draft.Changed()
	for n, chunk := range changed {
		if err := c.setChunk(n, chunk); err != nil {
			return false, err
		}
	}
	k.next = int64(k.draft.Next())
	k.over = k.draft.Empty() && k.pushers == 0
	if k.over {
		c.hideIfOver()
	}
	return len(k.changed) > 0 || len(changed) > 0, nil
}

// setChunk adds, replaces or removes a chunk.
func (c *change) setChunk(number uint64, chunk *store.Chunk) error {
	k := c.agg
	var old *family
	if was := k.of.Chunk(number); was != nil {
		if old = c.chunks[rowName(was.Family, number)]; old != nil {
			c.drop = append(c.drop, old)
		}
	}
	if chunk == nil {
		return nil
	}
	state, err := chunk.EncodeState()
	if err != nil {
		return err
	}
	f := &store.Family{Name: rowName(chunk.Family, number), Type: chunk.Type, Encoded: state, Series: chunk.Series}
	k.rows[f.Name] = chunk
	c.add = append(c.add, f)
	if old != nil && !k.draft.Values(number) {
		k.quiet[f.Name] = true
		return nil
	}
	if extras := mergeExtras(chunk, old, k.draft); len(extras) > 0 {
		k.extras[f.Name] = extras
	}
	return nil
}

const (
	writePushers = `INSERT INTO pushgateway_pusher (grp, hash, path, pushed, ttl, content)
		SELECT $1, * FROM unnest($2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[])
		ON CONFLICT (grp, hash) DO UPDATE SET pushed = EXCLUDED.pushed, ttl = EXCLUDED.ttl, content = EXCLUDED.content`
	readPushers = `SELECT p.path, p.pushed, p.ttl, p.content FROM pushgateway_pusher p JOIN pushgateway_group g ON p.grp = g.id
		WHERE g.hash = $1 AND p.hash = ANY($2)`
)

// writePushers writes the pushers of a change and what its chunks export beside values.
func (*Store) writePushers(batch *pgx.Batch, c *change) {
	k := c.agg
	if k == nil {
		return
	}
	if k.over {
		batch.Queue("DELETE FROM pushgateway_pusher WHERE grp = $1", c.id)
		return
	}
	for name, extras := range k.extras {
		batch.Queue("UPDATE pushgateway_family SET extras = $3 WHERE grp = $1 AND name = $2", c.id, []byte(name), extras)
	}
	var forgotten, hashes, contents [][]byte
	var paths []string
	var pushed, ttls []int64
	for path, p := range k.changed {
		if p == nil {
			forgotten = append(forgotten, hashOf(path))
			continue
		}
		hashes, paths, contents = append(hashes, hashOf(path)), append(paths, path), append(contents, p.content)
		pushed, ttls = append(pushed, p.pushed), append(ttls, p.ttl)
	}
	if len(forgotten) > 0 {
		batch.Queue("DELETE FROM pushgateway_pusher WHERE grp = $1 AND hash = ANY($2)", c.id, forgotten)
	}
	if len(hashes) > 0 {
		batch.Queue(writePushers, c.id, hashes, paths, pushed, ttls, contents)
	}
}

// queuePushers reads some pushers of the group that is read before.
func queuePushers(batch *pgx.Batch, hash []byte, pushers [][]byte, of func() *group) {
	batch.Queue(readPushers, hash, pushers).Query(func(rows pgx.Rows) error {
		all, err := scanPushers(rows)
		for _, p := range all {
			of().known[p.path] = p
		}
		return err
	})
}

func scanPushers(rows pgx.Rows) ([]*pusher, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*pusher, error) {
		p := &pusher{}
		return p, row.Scan(&p.path, &p.pushed, &p.ttl, &p.content)
	})
}

// others yields the contributions of the pushers that do not change. It reads them when it is first used, which is seldom: all of them,
// for the next smallest or largest value. The error is set afterwards.
func (*Store) others(ctx context.Context, conn *pgxpool.Conn, c *change, failed *error) iter.Seq[store.Contributions] {
	return func(yield func(store.Contributions) bool) {
		rows, err := conn.Query(ctx, "SELECT path, pushed, ttl, content FROM pushgateway_pusher WHERE grp = $1", c.id)
		if err != nil {
			*failed = err
			return
		}
		all, err := scanPushers(rows)
		for _, p := range all {
			if _, changed := c.agg.changed[p.path]; changed {
				continue
			}
			cs, broken := p.contributions()
			if broken != nil {
				err = broken
				break
			}
			if !yield(cs) {
				break
			}
		}
		*failed = err
	}
}

// EndAggregate implements store.Store.
func (s *Store) EndAggregate(ctx context.Context, key groupingkey.Key) error {
	return s.end(ctx, key, func(*group) (plain, aggregate bool) { return false, true })
}

// end ends the parts of a group that are there and selected. The group ends with the last of them.
func (s *Store) end(ctx context.Context, key groupingkey.Key, selected func(*group) (plain, aggregate bool)) error {
	r := &request{key: key}
	r.decide = func(ctx context.Context, conn *pgxpool.Conn, g *group) (*change, error) {
		plain, aggregate := selected(g)
		plain, aggregate = plain && g.plain, aggregate && g.without != nil
		if !plain && !aggregate {
			return nil, nil
		}
		c := g.change(r)
		if plain {
			c.endPlain()
		}
		if aggregate {
			var ended store.Counts
			err := conn.QueryRow(ctx, "SELECT count(*), coalesce(sum($2 + octet_length(path) + octet_length(content)), 0)::bigint FROM pushgateway_pusher WHERE grp = $1",
				g.id, pusherSize).Scan(&ended.Pushers, &ended.Size)
			if err != nil {
				return nil, err
			}
			c.endAggregate(ended)
		}
		c.hideIfOver()
		return c, nil
	}
	return s.apply(ctx, r)
}

// extra is something that the next export of a chunk has beside the values: the zero with which a total begins, or the exemplars of the
// latest push. It is the number of the series and a metric with the exemplars, which is empty for a zero.
func extra(number uint64, exemplars []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, number), exemplars...)
}

func isZero(extra []byte) bool { return len(extra) == 8 }

// extras are decoded. Those of series that have ended mean nothing.
type extras struct {
	zeros     map[uint64]bool
	exemplars map[uint64]pmetric.ExemplarSlice
	encoded   map[uint64][]byte // exemplars
}

func decodeExtras(all [][]byte) extras {
	e := extras{zeros: map[uint64]bool{}, exemplars: map[uint64]pmetric.ExemplarSlice{}, encoded: map[uint64][]byte{}}
	for _, b := range all {
		if len(b) < 8 {
			continue
		}
		number := binary.BigEndian.Uint64(b)
		if isZero(b) {
			e.zeros[number] = true
			continue
		}
		e.encoded[number] = b[8:]
		for _, rm := range store.Decode(b[8:]).ResourceMetrics().All() {
			e.exemplars[number] = rm.ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).Exemplars()
		}
	}
	return e
}

// encodeExemplars encodes exemplars as those of a histogram, whatever they are of.
func encodeExemplars(e pmetric.ExemplarSlice) []byte {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	e.CopyTo(m.SetEmptyHistogram().DataPoints().AppendEmpty().Exemplars())
	b, err := store.Encode(md)
	if err != nil {
		return nil // Exemplars are no reason to refuse a push.
	}
	return b
}

// mergeExtras are those of a chunk after a change.
func mergeExtras(chunk *store.Chunk, old *family, d *store.Draft) (all [][]byte) {
	var before extras
	if old != nil {
		before = decodeExtras(old.extras)
	}
	for i := range chunk.Members {
		n := chunk.Members[i].Number
		if before.zeros[n] || slices.Contains(d.Zeros, n) {
			all = append(all, extra(n, nil))
		}
		encoded := before.encoded[n]
		if e, has := d.Exemplars[n]; has {
			encoded = encodeExemplars(e)
		}
		if len(encoded) > 0 {
			all = append(all, extra(n, encoded))
		}
	}
	return all
}
