// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// shareLanes is the number of transactions that pushes share at the same time.
	shareLanes = 2
	// shareBytes limits a push that shares a transaction. A larger one gains little, and the others would wait for it.
	shareBytes = 64 << 10
)

// errAlone says that a push needs a transaction of its own.
var errAlone = errors.New("the push needs a transaction of its own")

// sharedPush is a push that can share a transaction. Most pushes are usual: their families have the layout of the group. So they neither
// can be refused nor end a series, and they change no counts.
type sharedPush struct {
	hash     []byte // of the group's path
	layout   int64
	families []*store.Family
	at       int64
	made     bool
}

// layoutOf is the contribution of a family to the layout of its group, which is the sum. It depends on all that is compared or counted.
// Clients do not know the hashes of series, so they cannot make two families with the same layout.
func layoutOf(f *store.Family) int64 {
	b := make([]byte, 0, 256)
	for _, text := range []string{f.Name, f.Type} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Encoded)))
	b = binary.AppendUvarint(b, uint64(len(f.First)))
	for _, h := range f.Series {
		b = binary.BigEndian.AppendUint64(b, uint64(h))
	}
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// share makes a push together with others that wait. The error is errAlone if the push is not usual, or if its group is being changed.
func (s *Store) share(ctx context.Context, path string, families []*store.Family, at int64) error {
	p := &sharedPush{hash: hashOf(path), families: families, at: at}
	size := 0
	for _, f := range families {
		if f.First != nil { // Exemplars are removed, and counted less, without a push.
			return errAlone
		}
		size += len(f.Encoded) + 8*len(f.Series)
		p.layout += layoutOf(f)
	}
	if size == 0 || size > shareBytes {
		return errAlone
	}
	return s.lanes[int(p.hash[0])%shareLanes].Commit(ctx, p, size)
}

// shareAll makes the usual pushes, the first of each group: the others come after it.
func (s *Store) shareAll(ctx context.Context, all []*sharedPush) []error {
	err := s.transact(ctx, KindChange, store.Write, func(conn *pgxpool.Conn) error { return s.writeShared(ctx, conn, all) })
	errs := make([]error, len(all))
	for i, p := range all {
		switch {
		case err != nil:
			errs[i] = err
		case !p.made:
			errs[i] = errAlone
		}
	}
	if err == nil {
		s.signal()
	}
	return errs
}

// shareStatement changes the groups that have the layout of their push and are not locked. The division fails if the statement does not
// see a family of a group, because it was replaced between the beginning of the statement and the lock. OFFSET keeps the planner from looking for
// families by name alone, which it prefers while the table is small.
const shareStatement = `WITH push AS (
		SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::int[]) WITH ORDINALITY AS p (hash, layout, pushed, families, i)
	), locked AS (
		SELECT g.id, p.pushed, p.families, p.i FROM push p JOIN pushgateway_group g ON g.hash = p.hash AND g.layout = p.layout
		WHERE g.plain AND g.without IS NULL AND (g.round IS NOT NULL OR NOT $5) FOR UPDATE OF g SKIP LOCKED
	), changed AS (
		UPDATE pushgateway_group g SET pushed = l.pushed, version = g.version + 1, urgent = g.version + 1, changed = t.now,
			since = CASE WHEN g.since IS NULL OR g.suspect THEN t.now ELSE g.since END, suspect = false,
			due = coalesce(g.due, g.round), lives = l.pushed, lives_from = least(g.lives_from, l.pushed)
		FROM locked l, (SELECT NOW AS now) t WHERE g.id = l.id
		RETURNING g.id, g.shard, g.version, g.pushed, g.changed, l.families, l.i
	), families AS (
		UPDATE pushgateway_family f SET version = n.version, pushed = n.pushed, content = n.content
		FROM (SELECT * FROM changed c JOIN unnest($6::int[], $7::bytea[], $8::bytea[]) AS n (of, name, content) ON n.of = c.i OFFSET 0) n
		WHERE f.grp = n.id AND f.name = n.name
		RETURNING f.grp
	), queued AS (
		INSERT INTO pushgateway_queue (grp, shard, queued) SELECT id, shard, changed FROM changed ON CONFLICT DO NOTHING
	)
	SELECT i FROM changed WHERE 1 = 1 / ((SELECT count(*) FROM families) = (SELECT sum(families) FROM changed))::int`

// writeShared makes the usual pushes. One statement is a transaction.
func (s *Store) writeShared(ctx context.Context, conn *pgxpool.Conn, all []*sharedPush) error {
	var groups, names, contents [][]byte
	var layouts, pushed []int64
	var families, of []int32
	var sent []*sharedPush
	seen := make(map[string]bool, len(all))
	for _, p := range all {
		if p.made = false; seen[string(p.hash)] {
			continue
		}
		seen[string(p.hash)], sent = true, append(sent, p)
		groups, layouts, pushed = append(groups, p.hash), append(layouts, p.layout), append(pushed, p.at)
		families = append(families, int32(len(p.families)))
		for _, f := range p.families {
			of, names, contents = append(of, int32(len(sent))), append(names, []byte(f.Name)), append(contents, f.Encoded)
		}
	}
	limited, cancel := s.limited(ctx)
	defer cancel()
	rows, err := conn.Query(limited, s.sql(shareStatement), groups, layouts, pushed, families, s.options.RepublishInterval > 0, of, names, contents)
	if err != nil {
		return uncertain(conn, err)
	}
	var i int
	_, err = pgx.ForEachRow(rows, []any{&i}, func() error {
		sent[i-1].made = true
		return nil
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == codeDivision {
		return nil // Nothing was changed.
	}
	return uncertain(conn, err)
}
