// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"slices"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// groupsAtOnce is the number of groups that are read while Store.mu is held once.
const groupsAtOnce = 1024

// Search returns the groups that a query selects. Each group is consistent, but not all at the same moment. Pushes wait for at most
// groupsAtOnce groups. The error is store.ErrCursor or the context's.
func (s *Store) Search(ctx context.Context, q store.Query) (store.Found, error) {
	top := &topGroups{query: q}
	if q.After != "" {
		after, err := parseCursor(q.After)
		if err != nil {
			return store.Found{}, err
		}
		top.after = &after
	}
	var buffer, name []byte
	var found store.Found
	err := s.eachGroup(ctx, func(g *group) {
		if q.Job != "" && g.key.Job != q.Job {
			return
		}
		var matches bool
		if matches, buffer = q.Filter.Matches(g.key, buffer); !matches {
			return
		}
		value, alive := g.orderValue(q.Order)
		if !alive {
			return
		}
		found.Matched++
		if !top.excludes(value) {
			name = store.AppendName(name[:0], g.key)
			top.offer(g, value, name)
		}
	})
	if err != nil {
		return store.Found{}, err
	}
	sorted := top.sorted()
	found.Groups = s.summaries(sorted)
	found.Total = s.Counts().Groups
	if last := len(sorted); last > 0 && top.more {
		found.Next = sorted[last-1].String()
	}
	return found, nil
}

// eachGroup calls do for each group, without holding a lock.
func (s *Store) eachGroup(ctx context.Context, do func(*group)) error {
	chunk := make([]*group, 0, groupsAtOnce)
	for start := 0; ; start += groupsAtOnce {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		end := min(start+groupsAtOnce, len(s.byNumber))
		chunk = append(chunk[:0], s.byNumber[min(start, end):end]...)
		s.mu.Unlock()
		if len(chunk) == 0 {
			return nil
		}
		for _, g := range chunk {
			if g != nil {
				do(g)
			}
		}
	}
}

// orderValue returns the number by which the group is ordered.
func (g *group) orderValue(o store.Order) (_ int64, alive bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch o {
	case store.ByPush:
		return store.Nanoseconds(g.pushed), g.alive
	case store.ByFailure:
		return store.Nanoseconds(g.failed), g.alive
	case store.BySeries:
		_, series, _ := g.volume()
		return int64(series), g.alive
	case store.BySize:
		_, _, size := g.volume()
		return size, g.alive
	default:
		return 0, g.alive
	}
}

// volume returns the number of families, of series and the size in bytes, without pushers. The group's mu is held.
func (g *group) volume() (families, series int, size int64) {
	count := func(f *family) {
		series += len(f.series)
		size += f.size()
	}
	for _, f := range g.families {
		count(f)
	}
	families = len(g.families)
	if g.aggregate != nil {
		names := make(map[string]bool)
		for _, chunk := range g.aggregate.chunks {
			names[chunk.name] = true
			count(chunk)
		}
		families += len(names)
	}
	return families, series, size
}

// summaries describes groups. Those that have been removed in the meantime are left out.
func (s *Store) summaries(of []candidate) []store.Summary {
	all := make([]store.Summary, 0, len(of))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range of {
		if summary, alive := s.summary(c.group); alive {
			summary.Cursor = c.String()
			all = append(all, summary)
		}
	}
	return all
}

// summary describes a group. Store.mu is held.
func (s *Store) summary(g *group) (_ store.Summary, alive bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	families, series, size := g.volume()
	summary := store.Summary{
		Key: g.key, Families: families, Series: series, Size: size, Pending: len(g.pendingSeries),
		PushTime: g.pushed, PushFailureTime: g.failed,
	}
	if g.aggregate != nil {
		summary.Aggregate = g.aggregate.info()
	}
	if g.expiry != nil {
		summary.Expires = g.expiry.Value.(*expiring).since.Add(s.options.TTL)
	}
	return summary, g.alive
}

// Group returns one group, with and without its values. The error is store.ErrNoGroup.
func (s *Store) Group(_ context.Context, key groupingkey.Key) (store.Summary, store.Snapshot, error) {
	s.mu.Lock()
	g := s.groups[path(key)]
	var summary store.Summary
	alive := false
	if g != nil {
		summary, alive = s.summary(g)
	}
	s.mu.Unlock()
	if !alive {
		return store.Summary{}, store.Snapshot{}, store.ErrNoGroup
	}
	snapshot, alive := g.snapshot()
	if !alive {
		return store.Summary{}, store.Snapshot{}, store.ErrNoGroup
	}
	return summary, snapshot, nil
}

// Jobs returns the jobs that have groups, in no order. The error is the context's.
func (s *Store) Jobs(ctx context.Context) ([]store.Job, error) {
	jobs := make(map[string]*store.Job)
	err := s.eachGroup(ctx, func(g *group) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.alive {
			return
		}
		j := jobs[g.key.Job]
		if j == nil {
			j = &store.Job{Name: g.key.Job}
			jobs[j.Name] = j
		}
		j.Groups++
		j.PushTime, j.PushFailureTime = later(j.PushTime, g.pushed), later(j.PushFailureTime, g.failed)
	})
	if err != nil {
		return nil, err
	}
	all := make([]store.Job, 0, len(jobs))
	for _, j := range jobs {
		all = append(all, *j)
	}
	return all, nil
}

// position is the place of a group in the order of a query. It is a group's or a cursor's.
type position struct {
	Value int64  `json:"v"`
	Name  []byte `json:"n"` // up to store.MaxCursorName
	Hash  uint64 `json:"h"` // of the whole name: it orders names that differ later
}

func (p position) String() string {
	text, _ := json.Marshal(p) // cannot fail
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(text string) (p position, err error) {
	encoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(encoded, &p) != nil {
		return p, store.ErrCursor
	}
	return p, nil
}

// compare orders positions ascending.
func (p position) compare(other position) int {
	return cmp.Or(cmp.Compare(p.Value, other.Value), slices.Compare(p.Name, other.Name), cmp.Compare(p.Hash, other.Hash))
}

func hashOf(name []byte) uint64 {
	if len(name) <= store.MaxCursorName {
		return 0 // Name says it all.
	}
	h := fnv.New64a()
	_, _ = h.Write(name) // never fails
	return h.Sum64()
}

// candidate is a group that may be among the first.
type candidate struct {
	position

	group *group
}

// topGroups keeps the first groups of a query. As a heap it has the last of them at its root.
type topGroups struct {
	query store.Query
	after *position // nil for the first page
	kept  []candidate
	more  bool // there are further groups
}

// excludes reports whether the value alone excludes a group: the name decides between equal values.
func (t *topGroups) excludes(value int64) bool {
	if t.after != nil && t.isBefore(value, t.after.Value) {
		return true
	}
	if len(t.kept) < t.query.Limit || !t.isBefore(t.kept[0].Value, value) {
		return false
	}
	t.more = true // It comes behind a group that is kept.
	return true
}

func (t *topGroups) isBefore(a, b int64) bool {
	if t.query.Descending {
		return a > b
	}
	return a < b
}

// offer considers a group. The name is copied if the group is kept.
func (t *topGroups) offer(g *group, value int64, name []byte) {
	p := position{Value: value, Name: name[:min(len(name), store.MaxCursorName)], Hash: hashOf(name)}
	if t.after != nil && !t.precedes(*t.after, p) {
		return
	}
	if len(t.kept) < t.query.Limit {
		p.Name = slices.Clone(p.Name)
		heap.Push(t, candidate{p, g})
		return
	}
	t.more = true
	if last := &t.kept[0]; t.precedes(p, last.position) {
		p.Name = append(last.Name[:0], p.Name...)
		*last = candidate{p, g}
		heap.Fix(t, 0)
	}
}

// precedes reports whether a comes before b.
func (t *topGroups) precedes(a, b position) bool {
	if t.query.Descending {
		return a.compare(b) > 0
	}
	return a.compare(b) < 0
}

// sorted returns the groups in order.
func (t *topGroups) sorted() []candidate {
	slices.SortFunc(t.kept, func(a, b candidate) int {
		if t.query.Descending {
			a, b = b, a
		}
		return a.compare(b.position)
	})
	return slices.CompactFunc(t.kept, func(a, b candidate) bool { return a.group.path == b.group.path })
}

// Len implements heap.Interface.
func (t *topGroups) Len() int { return len(t.kept) }

// Less implements heap.Interface.
func (t *topGroups) Less(i, j int) bool { return t.precedes(t.kept[j].position, t.kept[i].position) }

// Swap implements heap.Interface.
func (t *topGroups) Swap(i, j int) { t.kept[i], t.kept[j] = t.kept[j], t.kept[i] }

// Push implements heap.Interface.
func (t *topGroups) Push(c any) { t.kept = append(t.kept, c.(candidate)) }

// Pop implements heap.Interface. The last group is replaced, never removed.
func (*topGroups) Pop() any { panic("not used") }
