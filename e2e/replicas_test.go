// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

// TestReplicas does to three replicas under load what docs/high-availability.md has a row for. After each failure the replicas and the
// backend have what was acknowledged, as those of a single collector that nothing happened to.
func TestReplicas(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	t.Run("load", func(t *testing.T) {
		f.load(t, func() { f.backend.awaitRounds(t) })
		assert.Zero(t, f.failed.Load())
		f.settle(t)
	})
	t.Run("kill", f.testKill)
	t.Run("stall", f.testStall)
	t.Run("connection lost", func(t *testing.T) { f.testLink(t, f.replicas[0].link.lose) })
	t.Run("connection silent", func(t *testing.T) { f.testLink(t, f.replicas[0].link.silence) })
	t.Run("database restarted", func(t *testing.T) { f.testDatabase(t, f.database.Shutdown) })
	t.Run("database crashed", func(t *testing.T) {
		f.testDatabase(t, func() error {
			f.database.Terminate()
			return nil
		})
	})
	t.Run("rolling restart", f.testRollingRestart)
	t.Run("aggregates", f.testAggregates)
	t.Run("in Prometheus", f.testReplay)
}

// testAggregates waits until the backends have the totals.
func (f *fleet) testAggregates(t *testing.T) {
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		alive, single := f.backend.alive(), f.singleBackend.alive()
		for _, a := range f.aggregators {
			assert.Equal(c, strconv.Itoa(a.total()), alive[a.series()])
			assert.Equal(c, single[a.series()], alive[a.series()])
		}
	}, dataTimeout, pollInterval)
	f.settled = append(f.settled, settled{at: time.Now()})
}

// testReplay sends what the backend got to a Prometheus, and what that of the single collector got to another. Both then show the same at
// each moment when the fleet had settled.
func (f *fleet) testReplay(t *testing.T) {
	for name, path := range map[string]func(*testing.T) string{"Prometheus 2": debiansPrometheus, "Prometheus 3": builtPrometheus} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleet := startPrometheusWith(t, path(t), prometheusFile(t, ""), takesRemoteWrite)
			single := startPrometheusWith(t, path(t), prometheusFile(t, ""), takesRemoteWrite)
			f.backend.replay(t, fleet)
			f.singleBackend.replay(t, single)
			for _, s := range f.settled {
				all := fleet.instantAt(t, `{job!=""}`, s.at)
				got, times := withoutTimes(all)
				same, sameTimes := withoutTimes(single.instantAt(t, `{job!=""}`, s.at))
				assert.Equal(t, same, got)
				assert.Equal(t, sameTimes, times)
				if s.want != nil {
					assert.Equal(t, s.want, got)
				}
			}
			for _, a := range f.aggregators {
				assert.Equal(t, []string{strconv.Itoa(a.total())}, fleet.query(t, a.series()))
				assert.Equal(t, fleet.query(t, a.series()), single.query(t, a.series()))
				assert.InDelta(t, a.total(), increase(t, fleet, a.series()), 0, "no total falls")
			}
		})
	}
}

// testKill kills replicas in the middle of requests and exports.
func (f *fleet) testKill(t *testing.T) {
	var killed []string
	f.load(t, func() {
		for i := range 20 {
			r := f.replicas[i%len(f.replicas)]
			killed = append(killed, r.life())
			r.kill(t)
			f.await(t) // The others go on.
			r.restart(f.t)
			f.await(t)
		}
	})
	f.settle(t, killed...)
}

// testStall stops a process while the backend has an export of it, until the others have exported all of that again. They can once the
// database has ended the transaction. When the process goes on, its export is rejected.
func (f *fleet) testStall(t *testing.T) {
	r := f.replicas[0]
	stalled := r.life()
	f.balancer.patience.Store(int64(2 * time.Second))
	defer f.balancer.patience.Store(int64(startTimeout))
	held := f.backend.hold(stalled)
	defer held.release()
	f.load(t, func() {
		export := held.await(t)
		since := time.Now()
		require.NoError(t, r.cmd.Process.Signal(syscall.SIGSTOP))
		defer func() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }()
		f.await(t)
		require.Eventually(t, func() bool { return f.backend.overtook(export) }, dataTimeout, pollInterval, "others export")
		t.Logf("its groups were exported again after %v", time.Since(since))
		f.backend.awaitRounds(t)
		f.await(t)
	})
	held.release()
	f.balancer.patience.Store(int64(startTimeout))
	f.load(t, func() {
		assert.NotEmpty(t, shown(t, r.url+"/metrics"), "it serves again")
		require.Eventually(t, func() bool { return f.backend.rejections(stalled) > 0 }, dataTimeout, pollInterval, "its export comes late")
	})
	r.stop(t) // The requests that it had when it was stopped are done, too.
	r.restart(f.t)
	f.settle(t, stalled)
}

// testLink breaks the connection between one replica and the database. That replica answers 503, and the others go on.
func (f *fleet) testLink(t *testing.T, breakLink func()) {
	r := f.replicas[0]
	f.balancer.patience.Store(int64(2 * time.Second))
	defer f.balancer.patience.Store(int64(startTimeout))
	f.load(t, func() {
		breakLink()
		defer r.link.mend()
		assertUnavailable(t, r)
		f.backend.awaitRounds(t)
	})
	f.load(t, func() { awaitService(t, r) })
	interrupted := r.life()
	r.stop(t)
	r.restart(f.t)
	f.settle(t, interrupted)
}

// testDatabase ends the database and starts it again. All replicas answer 503 meanwhile, and then go on without help.
func (f *fleet) testDatabase(t *testing.T, end func() error) {
	var interrupted []string
	f.load(t, func() {
		require.NoError(t, end())
		for _, r := range f.replicas {
			assertUnavailable(t, r)
			interrupted = append(interrupted, r.life())
		}
		require.NoError(t, f.database.Launch())
		for _, r := range f.replicas {
			awaitService(t, r)
		}
	})
	f.settle(t, interrupted...)
}

// testRollingRestart restarts one replica after the other. No request fails, and no sample is rejected.
func (f *fleet) testRollingRestart(t *testing.T) {
	before := f.failed.Load()
	f.load(t, func() {
		for _, r := range f.replicas {
			f.await(t)
			r.stop(t)
			f.await(t)
			r.restart(f.t)
		}
	})
	assert.Equal(t, before, f.failed.Load())
	f.settle(t)
}

// deleteNothing deletes a group that does not exist, which takes the database and changes nothing, and returns the answer.
func deleteNothing(r *replica) (status int, header http.Header) {
	request, err := http.NewRequest(http.MethodDelete, r.url+"/metrics/job/never_pushed", http.NoBody)
	if err != nil {
		return 0, nil
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header
}

func awaitService(t *testing.T, r *replica) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, _ := deleteNothing(r)
		return status == http.StatusAccepted
	}, dataTimeout, pollInterval, "%s", r.output)
}

// assertUnavailable waits until a replica without a database refuses changes and readers with 503, and demands that it lives.
func assertUnavailable(t *testing.T, r *replica) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, header := deleteNothing(r)
		return status == http.StatusServiceUnavailable && header.Get("Retry-After") != ""
	}, dataTimeout, pollInterval, "%s", r.output)
	status, _ := send(t, http.MethodGet, r.url+"/metrics", "")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	status, _ = send(t, http.MethodGet, r.url+"/-/healthy", "")
	assert.Equal(t, http.StatusOK, status)
}

// TestDatabaseIsAwayAtStart starts a replica without a database. It waits for it, answers 503 meanwhile, and then serves.
func TestDatabaseIsAwayAtStart(t *testing.T) {
	t.Parallel()
	server := startDatabase(t)
	backend := newTimeSeries(t)
	r := newReplica(t, 0, server.Endpoint(), backend.URL)
	r.link.lose()
	r.launch(t)
	require.Eventually(t, func() bool {
		response, err := http.Get(r.url + "/-/healthy")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, startTimeout, pollInterval, "%s", r.output)
	status, _ := send(t, http.MethodGet, r.url+"/-/ready", "")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assertUnavailable(t, r)
	assert.NotContains(t, r.output.String(), pgtest.Password)

	r.link.mend()
	r.waitUntilReady(t, nil)
	got := put(t, r.url, "nightly", []byte("rows 1\n"))
	assert.Equal(t, http.StatusOK, got.status, got.body)
	require.Eventually(t, func() bool { return backend.alive()[`rows{job="nightly"}`] == "1" }, dataTimeout, pollInterval, "%s", r.output)
}

// TestConnectionsInUse has all connections wait for a lock. Pushes wait for them and are then refused, and go on when the lock is gone.
func TestConnectionsInUse(t *testing.T) {
	t.Parallel()
	server := startDatabase(t)
	r := newReplica(t, 0, server.Endpoint(), newTimeSeries(t).URL)
	const settings = "receivers::pushgateway::groups::postgres::"
	r.start.set = append(r.start.set, settings+"max_connections: 2", settings+"connect_timeout: 2s", settings+"statement_timeout: 2s")
	r.restart(t)

	release := holdLock(t, server, "LOCK TABLE pushgateway_group")
	var pushing sync.WaitGroup
	for i := range 16 {
		pushing.Go(func() {
			got := put(t, r.url, fmt.Sprintf("job_%d", i), []byte("a 1\n"))
			assert.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
			assert.NotEmpty(t, got.header.Get("Retry-After"))
		})
	}
	pushing.Wait()

	release()
	awaitService(t, r)
	for i := range 16 {
		got := put(t, r.url, fmt.Sprintf("job_%d", i), []byte("a 1\n"))
		assert.Equal(t, http.StatusOK, got.status, got.body)
	}
	assert.Len(t, shown(t, r.url+"/metrics"), 3*16)
}
