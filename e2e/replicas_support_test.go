// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

// startDatabase starts a PostgreSQL server. It does without fsync, which matters to the end of a machine, not of a process.
func startDatabase(t *testing.T) *pgtest.Server {
	t.Helper()
	server, err := pgtest.Start()
	if errors.Is(err, pgtest.ErrMissing) && pgtest.Optional() {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

// replica is a collector with groups in PostgreSQL. It can be ended and started again, which begins another life.
type replica struct {
	*collector

	number, lives int
	start         settings
	link          *link // to the database
}

// newReplica is a replica that has not been started.
func newReplica(t *testing.T, number int, databaseEndpoint, backend string) *replica {
	t.Helper()
	r := &replica{number: number, link: newLink(t, databaseEndpoint), start: settings{
		config: "../configs/replicas.yaml", set: []string{everySecond, overPushers}, args: permissive, listen: freeEndpoint(t),
	}}
	r.start.env = map[string]string{"REMOTE_WRITE_ENDPOINT": backend}
	return r
}

// life names the process in the database and to the backend.
func (r *replica) life() string { return fmt.Sprintf("replica_%d_%d", r.number, r.lives) }

// launch starts the process, which ends with the test, and does not wait until it is ready.
func (r *replica) launch(t *testing.T) {
	t.Helper()
	r.lives++
	start := r.start
	start.env = map[string]string{
		"DATABASE_URL":          pgtest.URL(r.link.endpoint(), r.life()),
		"REMOTE_WRITE_ENDPOINT": r.start.env["REMOTE_WRITE_ENDPOINT"] + "/" + r.life(),
	}
	r.collector = launchCollector(t, start)
}

func (r *replica) restart(t *testing.T) {
	t.Helper()
	r.launch(t)
	r.waitUntilReady(t, nil)
}

// link is a TCP proxy that can lose its connections, or keep them and let nothing pass.
type link struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu          sync.Mutex
	changed     *sync.Cond
	lost        bool // connections are closed, and new ones too
	silent      bool // nothing passes
	connections map[net.Conn]struct{}
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{listener: listener, to: to, connections: map[net.Conn]struct{}{}}
	l.changed = sync.NewCond(&l.mu)
	l.running.Go(l.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		l.lose()
		l.running.Wait()
	})
	return l
}

func (l *link) endpoint() string { return l.listener.Addr().String() }

// lose closes all connections until mend.
func (l *link) lose() { l.set(func() { l.lost = true }) }

// silence lets nothing pass until mend.
func (l *link) silence() { l.set(func() { l.silent = true }) }

func (l *link) mend() { l.set(func() { l.lost, l.silent = false, false }) }

func (l *link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	if l.lost {
		for c := range l.connections {
			_ = c.Close()
		}
	}
	l.changed.Broadcast()
}

func (l *link) serve() {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.connect(from) })
	}
}

func (l *link) connect(from net.Conn) {
	defer from.Close()
	if !l.keep(from) {
		return
	}
	defer l.forget(from)
	to, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer to.Close()
	if !l.keep(to) {
		return
	}
	defer l.forget(to)
	l.running.Go(func() {
		l.pass(to, from)
		_ = to.Close()
	})
	l.pass(from, to)
}

func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost {
		l.connections[c] = struct{}{}
	}
	return !l.lost
}

func (l *link) forget(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.connections, c)
}

// pass copies what comes until an end is closed.
func (l *link) pass(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.awaitVoice()
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *link) awaitVoice() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.silent && !l.lost {
		l.changed.Wait()
	}
}

// balancer sends each request to the replicas in turns, and to the next one if there is no answer in time or a 503, as
// deploy/nginx/proxy.conf does.
type balancer struct {
	urls     []string
	patience atomic.Int64 // nanoseconds that a replica has for an answer
	client   *http.Client
	next     atomic.Uint64

	mu    sync.Mutex
	until []time.Time // a replica that was too slow is not asked before
}

// rest is how long a replica that was too slow is left alone.
const rest = 2 * time.Second

func newBalancer(replicas []*replica) *balancer {
	b := &balancer{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}, until: make([]time.Time, len(replicas))}
	for _, r := range replicas {
		b.urls = append(b.urls, "http://"+r.start.listen)
	}
	b.patience.Store(int64(startTimeout))
	return b
}

// send returns the status of the last replica that was asked, 0 without an answer. The request is in doubt if a replica has failed: it
// may have carried it out, or do so later.
func (b *balancer) send(method, path, contentType, body string) (status int, doubtful bool) {
	for _, i := range b.order() {
		if status = b.try(i, method, path, contentType, body); status != 0 && status != http.StatusServiceUnavailable {
			return status, doubtful
		}
		doubtful = true
	}
	return status, doubtful
}

// order starts with the next replica. Those that were too slow come last.
func (b *balancer) order() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, now := b.next.Add(1), time.Now()
	var order []int
	for i := range b.urls {
		order = append(order, int((first+uint64(i))%uint64(len(b.urls))))
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(max(0, b.until[i].Sub(now)), max(0, b.until[j].Sub(now)))
	})
	return order
}

func (b *balancer) try(i int, method, path, contentType, body string) (status int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(b.patience.Load()))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, b.urls[i]+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Content-Type", contentType)
	response, err := b.client.Do(request)
	if err == nil {
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
	}
	if err == nil {
		return response.StatusCode
	}
	if ctx.Err() != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.until[i] = time.Now().Add(rest)
	}
	return 0
}

// withoutTimes splits series into push times, whose values depend on when a push arrived, and others, without aggregates.
func withoutTimes(series map[string]string) (others map[string]string, times []string) {
	others = maps.Clone(series)
	maps.DeleteFunc(others, func(name, _ string) bool {
		if isPushTime(name) && !isAggregate(name) {
			times = append(times, name)
		}
		return isPushTime(name) || isAggregate(name)
	})
	slices.Sort(times)
	return others, times
}

// writer changes the groups of one job, one request after the other, each until it is acknowledged.
type writer struct {
	*pusher
	fleet *fleet
}

// change sends a change to the fleet and, once it is acknowledged, to the single collector.
func (w *writer) change(t *testing.T, n int, method string) {
	next, body := w.next(n, method)
	late := func() { w.fleet.backend.allow(doubt{w.job, strconv.Itoa(w.value)}) }
	if w.fleet.send(t, method, fmt.Sprintf("/metrics/job/%s/group/%d", w.job, n), "", body, late) {
		w.groups[n].state = *next
	}
}

// overPushers adds the pushes of an aggregator up: no other group has the label pusher.
const overPushers = "receivers::pushgateway::groups::aggregate: [{without: [pusher]}]"

// aggregator pushes the counters of many pushers into one aggregate. They have created timestamps, so that a push that is carried out late
// is known to be old.
type aggregator struct {
	job    string
	counts [20]int // acknowledged, by pusher
}

func (a *aggregator) push(t *testing.T, f *fleet) {
	n := rand.IntN(len(a.counts))
	count := a.counts[n] + 1 + rand.IntN(3)
	body := fmt.Sprintf("# TYPE done counter\ndone_total %d\ndone_created 17%08d\n# EOF\n", count, n)
	path := fmt.Sprintf("/metrics/job/%s/pusher/%d", a.job, n)
	if f.send(t, http.MethodPut, path, "application/openmetrics-text; version=1.0.0; charset=utf-8", body, func() {}) {
		a.counts[n] = count
	}
}

func (a *aggregator) series() string { return fmt.Sprintf("done_total{job=%q}", a.job) }

func (a *aggregator) total() (sum int) {
	for _, n := range a.counts {
		sum += n
	}
	return sum
}

// isAggregate tells whether a series is an aggregator's. Those are exported every ten seconds, and compared at the end.
func isAggregate(series string) bool { return strings.Contains(series, `job="aggregate_`) }

// fleet is three replicas on one database, with a balancer before and a backend behind them. A single collector with groups in memory,
// which has a backend of its own, gets every acknowledged change too, to compare with.
type fleet struct {
	t        *testing.T // of all processes
	database *pgtest.Server
	replicas []*replica
	balancer *balancer
	backend  *timeSeries

	single        *collector
	singleBackend *timeSeries

	writers              []*writer
	aggregators          []*aggregator
	acknowledged, failed atomic.Int64 // requests
	settled              []settled
	stopped              atomic.Bool
	writing              sync.WaitGroup
}

// settled is a moment at which nothing was under way, with the series that both backends must show then.
type settled struct {
	at   time.Time
	want map[string]string
}

const (
	fleetJobs  = 8
	jobsGroups = 6 // groups of each job
)

func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, backend: newTimeSeries(t), singleBackend: newTimeSeries(t)}
	f.database = startDatabase(t)
	for i := range 3 {
		f.replicas = append(f.replicas, newReplica(t, i, f.database.Endpoint(), f.backend.URL))
	}
	for _, r := range f.replicas {
		r.launch(t) // All at once: each finds an empty database.
	}
	f.single = startCollector(t, settings{
		config: "../configs/remote-write.yaml", set: []string{everySecond, overPushers}, args: permissive,
		env: map[string]string{"REMOTE_WRITE_ENDPOINT": f.singleBackend.URL},
	})
	for _, r := range f.replicas {
		r.waitUntilReady(t, nil)
	}
	f.balancer = newBalancer(f.replicas)
	t.Cleanup(f.balancer.client.CloseIdleConnections)
	for i := range fleetJobs {
		f.writers = append(f.writers, &writer{newPusher(i, jobsGroups), f})
	}
	for i := range 2 {
		f.aggregators = append(f.aggregators, &aggregator{job: fmt.Sprintf("aggregate_%d", i)})
	}
	return f
}

// send sends a request to the fleet until it is acknowledged, and then to the single collector. If a replica may carry it out late, it
// calls late first.
func (f *fleet) send(t *testing.T, method, path, contentType, body string, late func()) bool {
	for {
		status, doubtful := f.balancer.send(method, path, contentType, body)
		if doubtful {
			late()
		}
		if status/100 == 2 {
			break
		}
		f.failed.Add(1)
		if status != 0 && status != http.StatusServiceUnavailable {
			assert.Fail(t, "a request was refused", "%s %s: %d", method, path, status)
			return false
		}
		time.Sleep(100 * time.Millisecond) // as a client that heeds Retry-After, only faster
	}
	f.acknowledged.Add(1)
	r, err := http.NewRequest(method, f.single.url+path, strings.NewReader(body))
	if !assert.NoError(t, err) {
		return false
	}
	r.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(r)
	return assert.NoError(t, err) && assert.NoError(t, response.Body.Close()) &&
		assert.Equal(t, 2, response.StatusCode/100, "the single collector takes everything")
}

// load writes while something happens to the fleet.
func (f *fleet) load(t *testing.T, happens func()) {
	t.Helper()
	f.stopped.Store(false)
	for _, w := range f.writers {
		f.writing.Go(func() {
			for !f.stopped.Load() {
				method := []string{http.MethodPut, http.MethodPut, http.MethodPost, http.MethodDelete}[rand.IntN(4)]
				w.change(t, rand.IntN(len(w.groups)), method)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for _, a := range f.aggregators {
		f.writing.Go(func() {
			for !f.stopped.Load() {
				a.push(t, f)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	defer f.writing.Wait()
	defer f.stopped.Store(true)
	f.await(t)
	happens()
	f.await(t)
}

// await waits until so many more requests are acknowledged that every job has probably had several.
func (f *fleet) await(t *testing.T) {
	t.Helper()
	enough := f.acknowledged.Load() + 5*fleetJobs
	require.Eventually(t, func() bool { return f.acknowledged.Load() >= enough }, dataTimeout, pollInterval)
}

// settle replaces or deletes each group once more, whatever was carried out late before. It demands that all replicas and the backend have
// what was acknowledged last, no series less and none more, and that this stays so. Exports of other lives than those may not have been
// rejected.
func (f *fleet) settle(t *testing.T, disturbed ...string) {
	t.Helper()
	f.awaitSessions(t)
	want := map[string]string{}
	for _, w := range f.writers {
		for n, group := range w.groups {
			w.change(t, n, []string{http.MethodPut, http.MethodPut, http.MethodDelete}[(w.value+n)%3])
			maps.Copy(want, group.series)
		}
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		got, times := withoutTimes(f.backend.alive())
		assert.Equal(c, want, got)
		same, sameTimes := withoutTimes(f.singleBackend.alive())
		assert.Equal(c, same, got)
		assert.Equal(c, sameTimes, times)
	}, dataTimeout, pollInterval)
	for _, r := range f.replicas {
		all := shown(t, r.url+"/metrics")
		held, _ := withoutTimes(all)
		assert.Equal(t, want, held, "replica %d", r.number)
		for _, a := range f.aggregators {
			assert.Equal(t, strconv.Itoa(a.total()), all[a.series()], "replica %d: each contribution counts once", r.number)
		}
	}
	f.backend.awaitRounds(t)
	got, times := withoutTimes(f.backend.alive())
	same, sameTimes := withoutTimes(f.singleBackend.alive())
	assert.Equal(t, want, got)
	assert.Equal(t, same, got)
	assert.Equal(t, sameTimes, times)

	faults, rejected := f.backend.takeFaults()
	t.Logf("so far %d requests were acknowledged, and %d refused by all replicas; exports rejected: %v", f.acknowledged.Load(), f.failed.Load(), rejected)
	assert.Empty(t, faults)
	for _, life := range disturbed {
		delete(rejected, life)
	}
	assert.Empty(t, rejected, "requests that were rejected")
	f.settled = append(f.settled, settled{time.Now(), want})
}

// awaitSessions waits until the database has finished the transactions of processes that have ended.
func (f *fleet) awaitSessions(t *testing.T) {
	t.Helper()
	living := []string{"'" + pgtest.Application + "'"}
	for _, r := range f.replicas {
		living = append(living, "'"+r.life()+"'")
	}
	awaitQuery(t, f.database, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name NOT IN (%s)",
		strings.Join(living, ", ")), "0")
}

// holdLock executes a statement that takes a lock, and keeps the lock until release.
func holdLock(t *testing.T, server *pgtest.Server, statement string) (release func()) {
	t.Helper()
	const sessions = "FROM pg_stat_activity WHERE application_name = 'locker' AND wait_event = 'PgSleep'"
	ended := make(chan error, 1)
	go func() {
		_, err := server.Query("locker", statement+"; SELECT pg_sleep(3600)")
		ended <- err
	}()
	awaitQuery(t, server, "SELECT count(*) "+sessions, "1")
	return func() {
		t.Helper()
		_, err := server.Query(pgtest.Application, "SELECT pg_terminate_backend(pid) "+sessions)
		require.NoError(t, err)
		require.Error(t, <-ended)
	}
}

// awaitQuery waits until a query has a result.
func awaitQuery(t *testing.T, server *pgtest.Server, sql, want string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		rows, err := server.Query(pgtest.Application, sql)
		assert.NoError(c, err)
		assert.Equal(c, want, rows)
	}, dataTimeout, pollInterval)
}
