// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// assembler makes groups of the rows of readShown and readFragments. Those of a group come one after the other.
type assembler struct {
	yield   func(store.Fragment) bool
	path    string // of current; empty if there is none
	current store.Fragment
	chunks  map[string][]*store.Chunk // of current, by family
	stopped bool                      // yield has returned false
}

// addAll adds rows until yield returns false.
func (a *assembler) addAll(rows pgx.Rows) error {
	defer rows.Close()
	for !a.stopped && rows.Next() {
		if err := a.add(rows); err != nil {
			return err
		}
	}
	rows.Close()
	return rows.Err()
}

func (a *assembler) add(rows pgx.Rows) error {
	var set int
	var path string
	var pushed, failed int64
	var info aggregateRow
	var familyPushed *int64
	var name, content []byte
	var typ *string
	if err := rows.Scan(&set, &path, &pushed, &failed, &info.rule, &info.without, &info.pushers, &info.lastPusher, &info.lastPush,
		&name, &typ, &familyPushed, &content); err != nil {
		return err
	}
	if path != a.path || set != a.current.Set {
		a.flush()
		a.path, a.chunks = path, make(map[string][]*store.Chunk)
		a.current = store.Fragment{Set: set, Snapshot: store.Snapshot{
			Key: keyOf(path), PushTime: store.TimeOf(pushed), PushFailureTime: store.TimeOf(failed), Aggregate: info.info(),
		}}
	}
	if typ == nil {
		return nil
	}
	if family, number := familyOf(string(name)); number != 0 {
		return a.addChunk(family, *typ, content)
	}
	a.current.Families = append(a.current.Families, store.Held{
		Name: string(name), Type: *typ, PushTime: store.TimeOf(*familyPushed),
		Metrics: func() pmetric.Metrics { return store.Decode(content) },
	})
	return nil
}

// addChunk adds a chunk. Those of a family come one after the other and are one family to readers.
func (a *assembler) addChunk(name, typ string, content []byte) error {
	chunk, err := store.DecodeState(content)
	if err != nil {
		return err
	}
	a.chunks[name] = append(a.chunks[name], chunk)
	all := a.chunks[name]
	held := store.Held{Name: name, Type: typ, Metrics: func() pmetric.Metrics { return store.JoinChunks(all) }}
	for _, c := range all {
		if at := c.LastPush(); at.After(held.PushTime) {
			held.PushTime = at
		}
	}
	if len(all) > 1 {
		a.current.Families = a.current.Families[:len(a.current.Families)-1]
	}
	a.current.Families = append(a.current.Families, held)
	return nil
}

// flush yields the current group, if there is one.
func (a *assembler) flush() {
	if a.path == "" || a.stopped {
		return
	}
	slices.SortStableFunc(a.current.Families, func(a, b store.Held) int { return strings.Compare(a.Name, b.Name) })
	a.stopped = !a.yield(a.current)
	a.path = ""
}

// aggregateRow has the columns of a group that describe its aggregate.
type aggregateRow struct {
	rule       *string
	without    []string
	pushers    int
	lastPusher *string
	lastPush   *int64
}

func (a *aggregateRow) info() *store.AggregateInfo {
	if a.without == nil || a.rule == nil {
		return nil
	}
	info := &store.AggregateInfo{Rule: *a.rule, Without: a.without, Pushers: a.pushers}
	if a.lastPusher != nil {
		info.LastPusher, info.LastPush = keyOf(*a.lastPusher), store.TimeOf(*a.lastPush)
	}
	return info
}
