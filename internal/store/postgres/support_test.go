// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

var server *pgtest.Server

func TestMain(m *testing.M) {
	code := pgtest.Main(func(s *pgtest.Server) { server = s }, func() int {
		defer closeGrounds()
		return m.Run()
	})
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

type noObserver struct{}

func (noObserver) Started(bool)               {}
func (noObserver) Transaction(string, string) {}
func (noObserver) Waited(time.Duration)       {}
func (noObserver) Reached(time.Duration)      {}
func (noObserver) Claimed(int)                {}

// database creates a database, or skips the test if there is no server.
func database(tb testing.TB) string {
	tb.Helper()
	if server == nil {
		tb.Skip("PostgreSQL is not installed")
	}
	return server.Database(tb)
}

func settings(datasource string) postgres.Settings {
	return postgres.Settings{
		Datasource: datasource, MaxConnections: 6, ConnectTimeout: time.Minute, StatementTimeout: time.Minute, Observer: noObserver{},
	}
}

// testClock is a table with the time of a storetest.Clock.
const testClock = "(SELECT now FROM test_clock)"

// ground is a schema with a table for the time of a clock.
type ground struct {
	datasource string
	conn       *pgx.Conn
}

func newGround(tb testing.TB) *ground {
	tb.Helper()
	g := &ground{datasource: database(tb)}
	var err error
	g.conn, err = pgx.Connect(context.WithoutCancel(tb.Context()), g.datasource)
	require.NoError(tb, err)
	g.execute(tb, "CREATE TABLE test_clock (now bigint, started bigint)")
	g.execute(tb, "INSERT INTO test_clock SELECT 0, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
	return g
}

func (g *ground) execute(tb testing.TB, statement string, arguments ...any) {
	tb.Helper()
	_, err := g.conn.Exec(context.WithoutCancel(tb.Context()), statement, arguments...)
	require.NoError(tb, err)
}

// clock lets the database have the time of a new clock.
func (g *ground) clock(tb testing.TB) *storetest.Clock {
	tb.Helper()
	clock := storetest.NewClock()
	set := func(now time.Time) { g.execute(tb, "UPDATE test_clock SET now = $1", now.UnixNano()) }
	set(clock.Now())
	clock.OnSet = set // The clock calls it once at a time.
	return clock
}

// grounds are those that no test uses now. To empty one costs a tenth of making one.
var grounds struct {
	mu   sync.Mutex
	free []*ground
}

// borrowGround returns an empty ground with a schema of one shard, or without a schema. It is given back with the end of the test.
func borrowGround(tb testing.TB) *ground {
	tb.Helper()
	grounds.mu.Lock()
	var g *ground
	if last := len(grounds.free) - 1; last >= 0 {
		g, grounds.free = grounds.free[last], grounds.free[:last]
	}
	grounds.mu.Unlock()
	if g == nil {
		g = newGround(tb)
	}
	tb.Cleanup(func() {
		for _, table := range []string{"queue", "group", "family", "series", "markers", "pusher"} {
			g.execute(tb, "DELETE FROM pushgateway_"+table)
		}
		g.execute(tb, "UPDATE pushgateway_shard SET last = 0, next = 0")
		g.execute(tb, "UPDATE pushgateway_counts SET groups = 0, series = 0, pending = 0, size = 0, pending_size = 0, pushers = 0")
		grounds.mu.Lock()
		defer grounds.mu.Unlock()
		grounds.free = append(grounds.free, g)
	})
	return g
}

func closeGrounds() {
	for _, g := range grounds.free {
		_ = g.conn.Close(context.Background())
	}
}

// open opens a store with one shard, so that one claim can have all groups.
func open(tb testing.TB, o store.Options) *storetest.Store {
	tb.Helper()
	g := borrowGround(tb)
	return openWith(tb, settings(g.datasource).ForTest(1, testClock, 0), g.clock(tb), o)
}

func openWith(tb testing.TB, set postgres.Settings, clock *storetest.Clock, o store.Options) *storetest.Store {
	tb.Helper()
	o.Now, o.SeriesKey = clock.Now, new(series.Key)
	if o.StorageFailed == nil {
		o.StorageFailed = func(_ store.Operation, err error) { tb.Error(err) }
	}
	s, err := postgres.New(o, set.WithoutPause())
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close(context.WithoutCancel(tb.Context()))) })
	require.NoError(tb, s.Restore(context.WithoutCancel(tb.Context())))
	nothing := func(testing.TB) {}
	return &storetest.Store{
		Store: s, Clock: clock, Options: o, Held: s.Held, Recount: s.Recount, RequireDurable: nothing, RequireExact: nothing, OneClaim: true,
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
}
