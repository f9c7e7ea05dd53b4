// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"slices"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Names of records, and how they are framed.
var (
	NumbersName = numbersName
	GroupName   = groupName
	SlotName    = slotName
	Frame       = frame
)

// Recount counts what is held anew and holds the index to its rules: it has exactly the series that groups show, owe or have
// as push times, each once and with the group that has it. It returns the first rule that is broken.
func (s *Store) Recount() (Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := recount{s: s, seen: make(map[series.Hash]bool)}
	for _, g := range s.groups {
		r.group(g)
	}
	if len(r.seen) != len(s.series) {
		r.fail("the index has %d series, groups have %d", len(s.series), len(r.seen))
	}
	free := 0
	for n, g := range s.numbers {
		if g == nil {
			free++
		} else if g.number != n || s.groups[g.path] != g {
			r.fail("the number %d does not lead to its group", n)
		}
	}
	if s.storage == nil && free != len(s.vacant) {
		r.fail("%d numbers are free, and %d are listed", free, len(s.vacant))
	}
	return r.counts, r.err
}

type recount struct {
	s      *Store
	seen   map[series.Hash]bool
	counts Counts
	err    error
}

func (r *recount) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *recount) group(g *group) {
	if !g.alive && len(g.owed) == 0 {
		r.fail("%s neither lives nor owes", g.path)
	}
	if g.alive {
		r.counts.Groups++
		r.content(g, &g.times)
	}
	if g.alive != (g.expiry != nil) && r.s.options.TTL > 0 {
		r.fail("%s is to expire: %t, lives: %t", g.path, g.expiry != nil, g.alive)
	}
	for name, f := range g.families {
		if name != f.Name || !g.alive {
			r.fail("%s has %s as %s", g.path, f.Name, name)
		}
		r.counts.Series += len(f.series)
		r.counts.Size += f.size()
		r.content(g, &f.content)
	}
	for owed := range g.refused {
		if !slices.Contains(g.owed, owed) {
			r.fail("%s remembers that something was refused which it does not owe", g.path)
		}
	}
	ending := 0
	for _, owed := range g.owed {
		for _, h := range owed.series {
			if !g.ending[h] {
				r.fail("a series that %s owes does not end", g.path)
			}
		}
		ending += len(owed.series)
		r.counts.Owed += len(owed.series)
		r.counts.OwedSize += owed.size()
		r.content(g, owed)
	}
	if ending != len(g.ending) {
		r.fail("%s owes %d series, and %d end", g.path, ending, len(g.ending))
	}
}

func (r *recount) content(g *group, c *content) {
	for _, h := range c.series {
		owner, held := r.s.series[h]
		if !held || int(owner) != g.number {
			r.fail("a series of %s belongs to %d (%t)", g.path, owner, held)
		}
		if r.seen[h] {
			r.fail("a series of %s is there twice", g.path)
		}
		r.seen[h] = true
	}
}

// Encoded are the records of the groups, encoded anew.
func (s *Store) Encoded() map[string][]byte {
	all := map[string][]byte{NumbersName: encodeJSON(numbersRecord{End: s.storage.end})}
	for _, g := range s.groups {
		all[groupName(g.number)] = encodeJSON(newGroupRecord(g, g.alive, g.pushed, g.failed, &g.slots))
		for _, f := range g.families {
			header := contentHeader{ID: g.id, Name: f.Name, Type: f.Type, Pushed: nanoseconds(f.PushTime)}
			all[slotName(g.number, f.slot)] = encodeContent(header, f.reencoded(s))
		}
		for _, owed := range g.owed {
			all[slotName(g.number, owed.slot)] = encodeContent(contentHeader{ID: g.id}, owed.reencoded(s))
		}
	}
	return all
}

// reencoded is the content decoded and encoded again.
func (c *content) reencoded(s *Store) []byte {
	md := c.Metrics()
	again, err := s.encode(md, md)
	if err != nil {
		panic(err)
	}
	return again.encoded
}
