// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// TestUsualPush takes one transaction and changes no counts. Whatever else a push changes, it is made too.
func TestUsualPush(t *testing.T) {
	t.Parallel()
	s := newReplica(t, database(t), "", postgres.DatabaseClock)
	require.NoError(t, s.push(t, "job/j", "a 1\nb 1\n"))
	for _, body := range []string{
		"a 2\nb 2\n",
		"a 3\n",
		"a 4\n",
		"# TYPE a counter\na 5\n",
		"a{x=\"1\"} 6\na{x=\"2\"} 6\n",
		"a{x=\"1\"} 7\na{x=\"2\"} 7\n",
		"# TYPE c counter\nc_total 1 # {trace_id=\"1\"} 1\n# EOF\n",
		"# TYPE c counter\nc_total 2 # {trace_id=\"1\"} 1\n# EOF\n",
		"# TYPE c counter\nc_total 3\n# EOF\n",
		"# TYPE c counter\nc_total 4\n# EOF\n",
		"",
	} {
		require.NoError(t, s.push(t, "job/j", body))
		_, snapshot, err := s.Group(t.Context(), pushtest.Key(t, "job/j"))
		require.NoError(t, err)
		want := storetest.FamiliesOf(t, &storetest.Store{Options: s.options}, pushtest.Text(t, "job/j", body))
		require.Len(t, snapshot.Families, len(want), body)
		for i, f := range snapshot.Families {
			assert.Equal(t, store.Decode(want[i].Encoded), f.Metrics(), body)
		}
		counts, err := s.Recount()
		require.NoError(t, err)
		assert.Equal(t, counts, s.Counts(), body)
	}
	assert.Zero(t, s.outcomes.retried())
}

// TestUsualPushesTogether wait only for a transaction that has locked their own group.
func TestUsualPushesTogether(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	const groups = 20
	path := func(i int) string { return fmt.Sprintf("job/j/x/%d", i) }
	for i := range groups {
		require.NoError(t, s.push(t, path(i), "a 1\n"))
	}
	g := newGate(t, datasource)
	g.execute("BEGIN")
	g.execute("SELECT FROM pushgateway_group WHERE path LIKE '%/0' FOR UPDATE")
	var others, all sync.WaitGroup
	for i := range 3 * groups {
		wait := &others
		if i%groups == 0 {
			wait = &all
		}
		wait.Go(func() { assert.NoError(t, s.push(t, path(i%groups), fmt.Sprintf("a %d\n", i))) })
	}
	others.Wait()
	g.execute("COMMIT")
	all.Wait()
	counts, err := s.Recount()
	require.NoError(t, err)
	assert.Equal(t, counts, s.Counts())
	waiting, _ := s.Waiting()
	assert.Equal(t, groups, waiting)
}

// TestUsualPushWithoutItsFamily is made alone if the group has not what its layout says.
func TestUsualPushWithoutItsFamily(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	require.NoError(t, s.push(t, "job/j", "a 1\nb 1\n"))
	g := newGate(t, datasource)
	g.execute(`WITH gone AS (DELETE FROM pushgateway_family WHERE name = 'b' RETURNING series)
		DELETE FROM pushgateway_series s USING gone WHERE s.hash = ('x' || encode(gone.series, 'hex'))::bit(64)::bigint`)
	began := time.Now()
	require.NoError(t, s.push(t, "job/j", "a 2\nb 2\n"))
	_, snapshot, err := s.Group(t.Context(), pushtest.Key(t, "job/j"))
	require.NoError(t, err)
	assert.Len(t, snapshot.Families, 2)
	assert.False(t, snapshot.PushTime.Before(began.Truncate(time.Microsecond)))
}
