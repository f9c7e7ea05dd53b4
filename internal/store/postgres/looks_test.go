// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLooksReadNoGroups that are not due. What a look costs does not depend on the number of groups.
func TestLooksReadNoGroups(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	g := newGate(t, datasource)
	const later = "4000000000000000000"
	g.execute(`INSERT INTO pushgateway_group (hash, path, shard, name, words, alive, plain, due, round, lives, lives_from)
		SELECT int8send(n), n::text, n % 64, int8send(n), int8send(n), true, true, ` + later + ", " + later + ", " + later + ", " + later + `
		FROM generate_series(1, 6400) n`)
	g.execute("INSERT INTO pushgateway_markers (grp, shard, lapsed, hashes, content) SELECT id, shard, due, '{}', '' FROM pushgateway_group")
	removed := regexp.MustCompile(`Rows Removed by Filter: (\d{3,})`) // 64 shards are fewer
	for name, look := range s.Looks() {
		conn, err := s.Pool().Acquire(t.Context()) // with the store's settings of the planner
		require.NoError(t, err)
		rows, err := conn.Query(t.Context(), "EXPLAIN ANALYZE "+look)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		conn.Release()
		assert.NotRegexp(t, removed, strings.Join(plan, "\n"), name)
	}
}
