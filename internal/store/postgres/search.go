// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	rowSize = "coalesce(size, octet_length(content) + octet_length(series) + coalesce(octet_length(first), 0))"
	// The name of a chunk's row has its family's before the byte that is no UTF-8.
	readSummaries = `SELECT g.id, g.path, g.pushed, g.failed, g.lives, g.rule, g.without, g.pushers, l.path, l.pushed, f.families, f.series, f.size, (
			SELECT count(*) FROM pushgateway_markers m, unnest(m.hashes) h JOIN pushgateway_series s ON s.hash = h WHERE m.grp = g.id AND s.pending = m.id
		)
		FROM pushgateway_group g
		LEFT JOIN LATERAL (SELECT path, pushed FROM pushgateway_pusher WHERE g.without IS NOT NULL AND grp = g.id ORDER BY pushed DESC LIMIT 1) l ON true
		CROSS JOIN LATERAL (
			SELECT count(DISTINCT CASE WHEN position('\xff'::bytea IN name) > 0 THEN substring(name FOR position('\xff'::bytea IN name)) ELSE name END) AS families,
				coalesce(sum(octet_length(series) / 8), 0)::bigint AS series, coalesce(sum(` + rowSize + `), 0)::bigint AS size
			FROM pushgateway_family WHERE grp = g.id
		) f
		WHERE g.alive AND g.id = ANY($1)`
	// The job is what is before the first separator.
	readJobs = `SELECT substring(name FOR position('\x00ff'::bytea IN name) - 1), count(*), max(pushed), max(failed)
		FROM pushgateway_group WHERE alive GROUP BY 1`
)

// position is the place of a group in the order of a query. It is a cursor, too.
type position struct {
	Value int64  `json:"v"`
	Name  []byte `json:"n"` // up to store.MaxCursorName
	ID    int64  `json:"i"` // orders names that differ later
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
	if p.Name == nil {
		p.Name = []byte{} // not null
	}
	return p, nil
}

// orderValues are the numbers by which groups are ordered, and the tables that they come from.
var orderValues = map[store.Order]struct{ value, table string }{
	store.ByPush:    {value: "g.pushed"},
	store.ByFailure: {value: "g.failed"},
	store.BySeries:  {"coalesce(f.value, 0)", familySum("octet_length(series) / 8")},
	store.BySize:    {"coalesce(f.value, 0)", familySum(rowSize)},
	store.ByName:    {value: "0::bigint"},
}

func familySum(of string) string {
	return " LEFT JOIN (SELECT grp, sum(" + of + ")::bigint AS value FROM pushgateway_family GROUP BY grp) f ON f.grp = g.id"
}

// statement is SQL with its arguments.
type statement struct {
	strings.Builder
	arguments []any
}

// add appends a text and arguments, which are in the place of question marks.
func (s *statement) add(text string, arguments ...any) {
	for _, a := range arguments {
		before, after, _ := strings.Cut(text, "?")
		s.arguments = append(s.arguments, a)
		s.WriteString(before + "$" + strconv.Itoa(len(s.arguments)))
		text = after
	}
	s.WriteString(text)
}

// selects appends the condition for the groups that a query selects. There are at most some hundred words.
func (s *statement) selects(q *store.Query) {
	s.add(" WHERE g.alive")
	if q.Job != "" {
		prefix := store.AppendName(nil, groupingkey.Key{Job: q.Job})
		s.add(" AND substring(g.name FOR ?) = ?", len(prefix), prefix)
	}
	for _, word := range q.Filter.Words() {
		s.add(" AND position(?::bytea IN g.words) > 0", word)
	}
}

// pageOf counts the groups that a query selects, and finds those of a page and the one after it. It reads all groups once, and takes less
// than a microsecond for each. If the page has no group, there is one row with the count.
func pageOf(q *store.Query, after *position) *statement {
	of, known := orderValues[q.Order]
	if !known {
		of = orderValues[store.ByName]
	}
	order, beyond := "", ">"
	if q.Descending {
		order, beyond = " DESC", "<"
	}
	order = "value" + order + ", name" + order + ", id" + order
	s := &statement{}
	s.add("WITH selected AS MATERIALIZED (SELECT "+of.value+" AS value, substring(g.name FOR ?) AS name, g.id FROM pushgateway_group g"+of.table, store.MaxCursorName)
	s.selects(q)
	s.add("), page AS (SELECT * FROM selected")
	if after != nil {
		s.add(" WHERE (value, name, id) "+beyond+" (?::bigint, ?::bytea, ?::bigint)", after.Value, after.Name, after.ID)
	}
	s.add(" ORDER BY "+order+" LIMIT ?) SELECT n, value, name, id FROM (SELECT count(*) AS n FROM selected) c LEFT JOIN page ON true ORDER BY "+order, q.Limit+1)
	return s
}

// Search implements store.Store. The database filters and orders: it reads each group's row, and only the groups of the page are sent.
func (s *Store) Search(ctx context.Context, q store.Query) (found store.Found, err error) {
	var after *position
	if q.After != "" {
		p, invalid := parseCursor(q.After)
		if invalid != nil {
			return found, invalid
		}
		after = &p
	}
	err = s.atOneMoment(ctx, func(conn *pgxpool.Conn) error {
		page, failed := findGroups(ctx, conn, &q, after, &found)
		if failed != nil {
			return failed
		}
		if len(page) > q.Limit {
			page = page[:q.Limit]
			found.Next = page[q.Limit-1].String()
		}
		found.Groups, failed = s.summaries(ctx, conn, page)
		return failed
	})
	return found, err
}

// findGroups finds a page of groups and counts those of all pages.
func findGroups(ctx context.Context, conn *pgxpool.Conn, q *store.Query, after *position, found *store.Found) ([]position, error) {
	var page []position
	batch := &pgx.Batch{}
	batch.Queue(wholeTables)
	batch.Queue("SELECT coalesce(sum(groups), 0)::bigint FROM pushgateway_counts").QueryRow(func(row pgx.Row) error { return row.Scan(&found.Total) })
	statement := pageOf(q, after)
	batch.Queue(statement.String(), statement.arguments...).Query(func(rows pgx.Rows) error {
		var value, id *int64
		var name []byte
		_, err := pgx.ForEachRow(rows, []any{&found.Matched, &value, &name, &id}, func() error {
			if id != nil {
				page = append(page, position{*value, name, *id})
			}
			return nil
		})
		return err
	})
	err := send(ctx, conn, batch)
	return page, err
}

// summaries describes groups, in their order. Those that have been removed in the meantime are left out.
func (s *Store) summaries(ctx context.Context, conn *pgxpool.Conn, of []position) ([]store.Summary, error) {
	ids := make([]int64, len(of))
	for i, p := range of {
		ids[i] = p.ID
	}
	rows, err := conn.Query(ctx, readSummaries, ids)
	if err != nil {
		return nil, err
	}
	read := make(map[int64]store.Summary)
	for rows.Next() {
		id, summary, err := s.scanSummary(rows)
		if err != nil {
			rows.Close()
			return nil, err
		}
		read[id] = summary
	}
	all := make([]store.Summary, 0, len(of))
	for _, p := range of {
		if summary, alive := read[p.ID]; alive {
			summary.Cursor = p.String()
			all = append(all, summary)
		}
	}
	return all, rows.Err()
}

func (s *Store) scanSummary(rows pgx.Rows) (id int64, g store.Summary, err error) {
	var path string
	var pushed, failed int64
	var lives *int64
	var a aggregateRow
	err = rows.Scan(&id, &path, &pushed, &failed, &lives, &a.rule, &a.without, &a.pushers, &a.lastPusher, &a.lastPush,
		&g.Families, &g.Series, &g.Size, &g.Pending)
	g.Key, g.PushTime, g.PushFailureTime, g.Aggregate = keyOf(path), store.TimeOf(pushed), store.TimeOf(failed), a.info()
	if lives != nil && s.options.TTL > 0 {
		g.Expires = store.TimeOf(*lives).Add(s.options.TTL)
	}
	return id, g, err
}

// Group implements store.Store.
func (s *Store) Group(ctx context.Context, key groupingkey.Key) (store.Summary, store.Snapshot, error) {
	var summary store.Summary
	var snapshot store.Snapshot
	found := false
	err := s.atOneMoment(ctx, func(conn *pgxpool.Conn) error {
		var id int64
		err := conn.QueryRow(ctx, "SELECT id FROM pushgateway_group WHERE alive AND hash = $1", hashOf(pathOf(key))).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		all, err := s.summaries(ctx, conn, []position{{ID: id}})
		if err != nil || len(all) == 0 {
			return err
		}
		summary, found = all[0], true
		summary.Cursor = ""
		rows, err := conn.Query(ctx, readShown+" AND g.id = $1 ORDER BY f.name", id)
		if err != nil {
			return err
		}
		a := assembler{yield: func(f store.Fragment) bool {
			snapshot = f.Snapshot
			return true
		}}
		err = a.addAll(rows)
		if err != nil {
			return err
		}
		a.flush()
		return nil
	})
	if err == nil && !found {
		err = store.ErrNoGroup
	}
	return summary, snapshot, err
}

// Jobs implements store.Store.
func (s *Store) Jobs(ctx context.Context) ([]store.Job, error) {
	var all []store.Job
	err := s.transact(ctx, KindRead, store.Read, func(conn *pgxpool.Conn) error {
		batch := &pgx.Batch{}
		batch.Queue(wholeTables)
		batch.Queue(readJobs).Query(func(rows pgx.Rows) (err error) {
			all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (j store.Job, err error) {
				var name []byte
				var pushed, failed int64
				err = row.Scan(&name, &j.Groups, &pushed, &failed)
				j.Name, j.PushTime, j.PushFailureTime = string(name), store.TimeOf(pushed), store.TimeOf(failed)
				return j, err
			})
			return err
		})
		return send(ctx, conn, batch)
	})
	return all, err
}
