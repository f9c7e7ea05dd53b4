// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

// interruption is what happens to the replica that has a push, and to the push.
type interruption func(t *testing.T, p *interruptedPush)

// TestInterruptedPush ends or stops a replica in the middle of a push to an aggregate, so that the client gets no answer and repeats the
// push at another replica. The push counts once, wherever the first attempt was interrupted.
func TestInterruptedPush(t *testing.T) {
	t.Parallel()
	server := startDatabase(t)
	backend := newTimeSeries(t)
	replicas := make([]*replica, 2)
	for i := range replicas {
		replicas[i] = newReplica(t, i, server.Endpoint(), backend.URL)
		// No lock is given up before the test has seen it.
		replicas[i].start.set = append(replicas[i].start.set, "receivers::pushgateway::groups::postgres::statement_timeout: 10m")
		replicas[i].restart(t)
	}
	// Transactions of pushers wait for a lock when they commit.
	require.NoError(t, server.Execute(`
		CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE ON pushgateway_pusher DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()`))

	var all []*interruptedPush
	for name, interrupt := range map[string]interruption{
		"killed, and committed":                        killedAndCommitted,
		"killed, and committed while it is repeated":   killedAndCommittedLate,
		"killed, and not committed":                    killedAndRolledBack,
		"answer lost":                                  answerLost,
		"stopped with locks, and continued afterwards": stoppedWithLocks,
	} {
		p := &interruptedPush{t: t, server: server, first: replicas[0], second: replicas[1], job: fmt.Sprintf("aggregate_%d", len(all))}
		all = append(all, p)
		t.Run(name, func(t *testing.T) {
			require.Equal(t, http.StatusOK, p.push(p.second, 2, 3), "another pusher, and the row of the aggregate")
			interrupt(t, p)
			assert.Equal(t, "8", p.total(t, p.second))
			assert.Equal(t, http.StatusOK, p.push(p.second, 1, 7), "it goes on")
			for _, r := range replicas {
				assert.Equal(t, "10", p.total(t, r))
			}
		})
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		alive := backend.alive()
		for _, p := range all {
			assert.Equal(c, "10", alive[p.series()], p.job)
		}
	}, dataTimeout, pollInterval)
	faults, _ := backend.takeFaults()
	assert.Empty(t, faults)
}

// interruptedPush is a push of 5 by pusher 1. Pusher 2 has pushed 3.
type interruptedPush struct {
	t             *testing.T // of the processes
	server        *pgtest.Server
	first, second *replica
	job           string
}

// push returns the status, or 0 without an answer.
func (p *interruptedPush) push(r *replica, pusher, count int) (status int) {
	body := fmt.Sprintf("# TYPE done_total counter\ndone_total %d\n", count)
	request, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/metrics/job/%s/pusher/%d", r.url, p.job, pusher), strings.NewReader(body))
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// begin pushes and returns the status later.
func (p *interruptedPush) begin(r *replica) <-chan int {
	status := make(chan int, 1)
	go func() { status <- p.push(r, 1, 5) }()
	return status
}

func (p *interruptedPush) series() string { return fmt.Sprintf("done_total{job=%q}", p.job) }

func (p *interruptedPush) total(t *testing.T, r *replica) string {
	t.Helper()
	return shown(t, r.url+"/metrics")[p.series()]
}

// holdCommit lets pushes wait when they commit.
func (p *interruptedPush) holdCommit(t *testing.T) (release func()) {
	t.Helper()
	return holdLock(t, p.server, "SELECT pg_advisory_lock(1)")
}

// sessions selects those of a life.
func sessions(life, state string) string {
	return fmt.Sprintf("FROM pg_stat_activity WHERE application_name = '%s' AND %s", life, state)
}

const (
	committing = "wait_event = 'advisory'"
	waiting    = "wait_event IN ('transactionid', 'tuple') AND query LIKE '%WHERE hash = $1 FOR UPDATE'" // of changes, not of exports
)

// await waits until a life has sessions in a state.
func (p *interruptedPush) await(t *testing.T, life, state string) {
	t.Helper()
	awaitQuery(t, p.server, "SELECT count(*) > 0 "+sessions(life, state), "t")
}

// awaitEnd waits until a life has no session in a state any more.
func (p *interruptedPush) awaitEnd(t *testing.T, life, state string) {
	t.Helper()
	awaitQuery(t, p.server, "SELECT count(*) "+sessions(life, state), "0")
}

// killWhileCommitting kills the first replica once its COMMIT is under way, and returns its life. The database goes on with the COMMIT.
func (p *interruptedPush) killWhileCommitting(t *testing.T) (life string) {
	t.Helper()
	life = p.first.life()
	status := p.begin(p.first)
	p.await(t, life, committing)
	p.first.kill(t)
	require.Zero(t, <-status, "there is no answer")
	return life
}

func killedAndCommitted(t *testing.T, p *interruptedPush) {
	release := p.holdCommit(t)
	life := p.killWhileCommitting(t)
	assert.Equal(t, "3", p.total(t, p.second))
	release()
	p.awaitEnd(t, life, "true")
	assert.Equal(t, "8", p.total(t, p.second), "it was committed after all")
	assert.Equal(t, http.StatusOK, p.push(p.second, 1, 5))
	p.first.restart(p.t)
}

func killedAndCommittedLate(t *testing.T, p *interruptedPush) {
	release := p.holdCommit(t)
	p.killWhileCommitting(t)
	repeated := p.begin(p.second)
	p.await(t, p.second.life(), waiting)
	release()
	assert.Equal(t, http.StatusOK, <-repeated)
	p.first.restart(p.t)
}

func killedAndRolledBack(t *testing.T, p *interruptedPush) {
	release := p.holdCommit(t)
	life := p.killWhileCommitting(t)
	require.NoError(t, p.server.Execute("SELECT pg_terminate_backend(pid) "+sessions(life, committing)))
	p.awaitEnd(t, life, committing)
	release()
	assert.Equal(t, "3", p.total(t, p.second), "it was not committed")
	assert.Equal(t, http.StatusOK, p.push(p.second, 1, 5))
	p.first.restart(p.t)
}

// answerLost is a push that was answered, but the client did not get the answer.
func answerLost(t *testing.T, p *interruptedPush) {
	require.Equal(t, http.StatusOK, p.push(p.first, 1, 5))
	p.first.kill(t)
	assert.Equal(t, "8", p.total(t, p.second))
	assert.Equal(t, http.StatusOK, p.push(p.second, 1, 5))
	p.first.restart(p.t)
}

// stoppedWithLocks stops the first replica before it writes, with the lock of the aggregate's row. The database ends its transaction, and
// the repeated push, which has waited for it, goes on.
func stoppedWithLocks(t *testing.T, p *interruptedPush) {
	life := p.first.life()
	release := holdLock(t, p.server, fmt.Sprintf("BEGIN; SELECT FROM pushgateway_group WHERE path LIKE '%%%s%%' FOR UPDATE", p.job))
	status := p.begin(p.first)
	p.await(t, life, waiting)
	require.NoError(t, p.first.cmd.Process.Signal(syscall.SIGSTOP))
	defer func() { _ = p.first.cmd.Process.Signal(syscall.SIGCONT) }()
	release()
	p.awaitEnd(t, life, waiting)
	require.Eventually(t, func() bool { return p.push(p.second, 1, 5) == http.StatusOK }, dataTimeout, pollInterval)
	assert.Equal(t, "8", p.total(t, p.second))
	require.NoError(t, p.first.cmd.Process.Signal(syscall.SIGCONT))
	assert.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, <-status, "it says that it is in doubt, or repeats the push itself")
}
