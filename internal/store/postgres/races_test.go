// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// gate stops sessions in the middle of a statement: those that call the function gate() wait until it is open.
type gate struct {
	t    *testing.T
	conn *pgx.Conn
	key  int64
}

// newGate makes a closed gate.
func newGate(t *testing.T, datasource string) *gate {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), datasource)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	g := &gate{t: t, conn: conn}
	// Locks are the database's, which has the schemas of other tests too.
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT hashtext(current_schema())::bigint").Scan(&g.key))
	g.execute(fmt.Sprintf("CREATE FUNCTION gate() RETURNS void LANGUAGE sql VOLATILE AS 'SELECT pg_advisory_xact_lock_shared(%d)'", g.key))
	g.shut()
	return g
}

func (g *gate) execute(statement string) {
	g.t.Helper()
	_, err := g.conn.Exec(g.t.Context(), statement)
	require.NoError(g.t, err)
}

// on closes the way of sessions of an application that do something to a row, such as BEFORE UPDATE, of a table.
func (g *gate) on(event, table, application string) {
	g.t.Helper()
	g.function(table, application)
	g.execute(fmt.Sprintf("CREATE TRIGGER gate %[1]s ON pushgateway_%[2]s FOR EACH ROW EXECUTE FUNCTION gate_%[2]s()", event, table))
}

// onCommit closes the way of sessions of an application that commit a change of a table.
func (g *gate) onCommit(table, application string) {
	g.t.Helper()
	g.function(table, application)
	g.execute(fmt.Sprintf(`CREATE CONSTRAINT TRIGGER gate AFTER UPDATE ON pushgateway_%[1]s DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION gate_%[1]s()`, table))
}

func (g *gate) function(table, application string) {
	g.t.Helper()
	g.execute(fmt.Sprintf(`CREATE FUNCTION gate_%[1]s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF current_setting('application_name') = '%[2]s' THEN PERFORM gate(); END IF;
		RETURN coalesce(NEW, OLD);
	END $$`, table, application))
}

func (g *gate) open() {
	g.t.Helper()
	g.execute(fmt.Sprintf("SELECT pg_advisory_unlock(%d)", g.key))
}

func (g *gate) shut() {
	g.t.Helper()
	g.execute(fmt.Sprintf("SELECT pg_advisory_lock(%d)", g.key))
}

// wait waits until a session is at the gate.
func (g *gate) wait() {
	g.t.Helper()
	g.waitFor("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid::bigint = $1 & 4294967295", g.key)
}

// waitFor waits until a query counts something.
func (g *gate) waitFor(query string, arguments ...any) {
	g.t.Helper()
	require.Eventually(g.t, func() bool {
		var n int
		require.NoError(g.t, g.conn.QueryRow(g.t.Context(), query, arguments...).Scan(&n))
		return n > 0
	}, time.Minute, time.Millisecond)
}

// waitForBlocked waits until a session of an application waits for a row that another transaction has locked.
func (g *gate) waitForBlocked(application string) {
	g.t.Helper()
	g.waitFor(`SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock' AND wait_event IN ('transactionid', 'tuple')`,
		application)
}

// counter counts the outcomes of transactions.
type counter struct {
	noObserver

	mu       sync.Mutex
	outcomes map[string]int
}

func (c *counter) Transaction(_, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outcomes == nil {
		c.outcomes = make(map[string]int)
	}
	c.outcomes[outcome]++
}

func (c *counter) retried() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcomes[postgres.OutcomeRetried]
}

// replica is a store of a database with the clock of the database.
type replica struct {
	*postgres.Store

	options  store.Options
	name     string
	failures storetest.Failures
	outcomes counter
}

// newReplica opens a store whose sessions have the name. It is restored.
func newReplica(t *testing.T, datasource, name, clock string) *replica {
	t.Helper()
	config, err := pgx.ParseConfig(datasource)
	require.NoError(t, err)
	r := &replica{name: config.RuntimeParams["application_name"] + name}
	set := settings(datasource + "&application_name=" + r.name)
	set.Observer = &r.outcomes
	if clock != "" {
		set = set.ForTest(1, clock, 0)
	}
	r.Store, r.options = production(t, set, &r.failures)
	require.NoError(t, r.Restore(t.Context()))
	return r
}

func (r *replica) push(t *testing.T, path, body string) error {
	t.Helper()
	push := storetest.FamiliesOf(t, &storetest.Store{Options: r.options}, pushtest.Text(t, path, body))
	return r.Push(t.Context(), pushtest.Key(t, path), push, true, time.Now())
}

// export claims what is due and settles it.
func (r *replica) export(t *testing.T, outcome store.Outcome) {
	t.Helper()
	claim, _ := r.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim)
	require.NoError(t, r.settle(t, claim, outcome))
}

func (r *replica) settle(t *testing.T, claim *store.Claim, outcome store.Outcome) error {
	t.Helper()
	for _, p := range claim.Parts {
		p.Outcome = outcome
	}
	return r.Settle(t.Context(), claim)
}

// background runs something until the test needs its result.
func background[T any](run func() T) <-chan T {
	result := make(chan T, 1)
	go func() { result <- run() }()
	return result
}

// TestTimeOfALostClaim has a replica look at the clock, and another one claim, export and die before the first one has the shard.
// Values of the first one are newer, so their time must be later.
func TestTimeOfALostClaim(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	dying := newReplica(t, datasource, "dying", postgres.DatabaseClock) // with one shard
	require.NoError(t, dying.push(t, "job/j", "a 1\n"))
	dying.export(t, storetest.Refused) // The next claim exports nothing for the first time, so it commits nothing before it is settled.
	g := newGate(t, datasource)
	g.execute(`CREATE FUNCTION slow_clock() RETURNS bigint LANGUAGE plpgsql AS $$
		DECLARE now bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000; BEGIN PERFORM gate(); RETURN now; END $$`)
	slow := newReplica(t, datasource, "slow", "(SELECT slow_clock())")
	second := background(func() *store.Claim {
		claim, _ := slow.Claim(t.Context(), storetest.All)
		return claim
	})
	g.wait()
	first, _ := dying.Claim(t.Context(), storetest.All)
	if first != nil { // else the slow one has the shard already
		kill(t, g, dying.name)
	}
	g.open()
	claim := <-second
	require.NotNil(t, claim)
	if first != nil {
		assert.Greater(t, claim.At, first.At)
		var failed *store.StorageError
		require.ErrorAs(t, dying.settle(t, first, storetest.Accepted), &failed)
	}
	require.NoError(t, slow.settle(t, claim, storetest.Accepted))
}

// kill ends the sessions of an application that are in a transaction, as the end of their process does.
func kill(t *testing.T, g *gate, application string) {
	t.Helper()
	g.end("application_name = $1 AND state = 'idle in transaction'", application)
}

// end ends the sessions that a condition selects. There must be some.
func (g *gate) end(condition string, arguments ...any) {
	g.t.Helper()
	g.waitFor("SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "+condition+") ended", arguments...)
	g.waitForNone(condition, arguments...)
}

// waitForNone waits until a condition selects no session.
func (g *gate) waitForNone(condition string, arguments ...any) {
	g.t.Helper()
	g.waitFor("SELECT CASE WHEN count(*) = 0 THEN 1 ELSE 0 END FROM pg_stat_activity WHERE "+condition, arguments...)
}

// TestTimeOfAClaimIsOver when it begins to export. If it is lost then, the next claim has a later time.
func TestTimeOfAClaimIsOver(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", postgres.DatabaseClock) // without a pause between claims
	require.NoError(t, s.push(t, "job/j", "a 1\n"))
	for range 20 {
		claim, _ := s.Claim(t.Context(), storetest.All)
		require.NotNil(t, claim)
		var now time.Time
		require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now))
		require.Greater(t, now.UnixMilli(), claim.At.UnixMilli())
		require.NoError(t, s.settle(t, claim, storetest.Refused))
	}
}

// TestSeriesBecomesPendingDuringItsPush has another group push, export and remove the series between the look of a push and its
// write. A value was exported, so the series ends with a marker.
func TestSeriesBecomesPendingDuringItsPush(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	slow := newReplica(t, datasource, "slow", "")
	g := newGate(t, datasource)
	g.on("BEFORE INSERT", "family", slow.name)
	pushed := background(func() error { return slow.push(t, "job/j/x/1", "a 1\n") })
	g.wait()
	require.NoError(t, s.push(t, "job/j", `a{x="1"} 1`+"\n"))
	s.export(t, storetest.Accepted)
	require.NoError(t, s.push(t, "job/j", ""))
	g.open()
	require.NoError(t, <-pushed)
	require.NoError(t, slow.Delete(t.Context(), pushtest.Key(t, "job/j/x/1")))
	counts, err := s.Recount()
	require.NoError(t, err)
	assert.Equal(t, counts, s.Counts())
	assert.NotZero(t, storetest.PendingOf(&storetest.Store{Held: s.Held}, "job/j/x/1").DataPointCount())
}

// TestGroupIsDeletedBeforeItsFirstExport between the two looks of a claim. Its push times have no marker, so they are not exported.
func TestGroupIsDeletedBeforeItsFirstExport(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	deleting := newReplica(t, datasource, "deleting", "")
	require.NoError(t, s.push(t, "job/j", "a 1\n"))
	g := newGate(t, datasource)
	g.on("BEFORE DELETE", "family", deleting.name)
	deleted := background(func() error { return deleting.Delete(t.Context(), pushtest.Key(t, "job/j")) })
	g.wait()
	claimed := background(func() *store.Claim {
		claim, _ := s.Claim(t.Context(), storetest.All)
		return claim
	})
	g.waitForBlocked(s.name)
	g.open()
	require.NoError(t, <-deleted)
	assert.Nil(t, <-claimed)
	counts, err := s.Recount()
	require.NoError(t, err)
	assert.Zero(t, counts)
	require.NoError(t, s.push(t, "job/j", "a 1\n"))
	s.export(t, storetest.Accepted)
}

// TestSettleAndTakeover lock series before counts, so that neither is the victim of a deadlock.
func TestSettleAndTakeover(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	taking := newReplica(t, datasource, "taking", "")
	require.NoError(t, s.push(t, "job/j", `a{x="1"} 1`+"\n"))
	s.export(t, storetest.Accepted)
	require.NoError(t, s.push(t, "job/j", ""))
	exemplar := storetest.FamiliesOf(t, &storetest.Store{Options: s.options}, pushtest.Text(t, "job/j/y/1",
		"# TYPE c counter\nc_total 1 # {trace_id=\"1\"} 1\n# EOF\n"))
	require.NoError(t, s.Push(t.Context(), pushtest.Key(t, "job/j/y/1"), exemplar, true, time.Now()))
	claim, _ := s.Claim(t.Context(), storetest.All)
	require.NotNil(t, claim)

	g := newGate(t, datasource)
	g.on("BEFORE UPDATE", "series", taking.name)
	pushed := background(func() error { return taking.push(t, "job/j/x/1", "a 1\n") })
	g.wait()
	settled := background(func() error { return s.settle(t, claim, storetest.Accepted) })
	g.waitForBlocked(s.name)
	g.open()
	require.NoError(t, <-pushed)
	require.NoError(t, <-settled)
	assert.Zero(t, taking.outcomes.retried())
	counts, err := s.Recount()
	require.NoError(t, err)
	assert.Equal(t, counts, s.Counts())
}

// TestLapseWaitsForAGroup and pushes to other groups of the shard do not wait for it.
func TestLapseWaitsForAGroup(t *testing.T) {
	t.Parallel()
	datasource := database(t)
	s := newReplica(t, datasource, "", "")
	expiring := newReplica(t, datasource, "expiring", "")
	require.NoError(t, s.push(t, "job/j", "a 1\n"))
	s.export(t, storetest.Accepted)
	require.NoError(t, s.push(t, "job/j", ""))
	g := newGate(t, datasource)
	g.execute("UPDATE pushgateway_markers SET lapsed = 0")
	g.execute("BEGIN")
	g.execute("SELECT FROM pushgateway_group FOR UPDATE")
	expired := background(func() error {
		_, err := expiring.Expire(t.Context())
		return err
	})
	g.waitForBlocked(expiring.name)
	require.NoError(t, s.push(t, "job/j/x/1", "b 1\n"))
	g.execute("COMMIT")
	require.NoError(t, <-expired)
	counts, err := s.Recount()
	require.NoError(t, err)
	assert.Zero(t, counts.Pending)
	assert.Equal(t, counts, s.Counts())
	assert.Zero(t, s.outcomes.retried()+expiring.outcomes.retried())
}
