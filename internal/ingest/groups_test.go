// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
)

// remembering is a receiver with groups, in a bubble of synctest.
type remembering struct {
	*testing.T
	*Ingest

	mu       sync.Mutex
	refuses  consumer.ConsumeMetricsFunc // what a call waits for and is refused for; nil if it is accepted
	received map[string][]time.Time      // when values came, by job
	ended    map[string][]time.Time      // when markers came, by job
}

func newRemembering(t *testing.T, holding store.Options, client memory.Client) *remembering {
	t.Helper()
	return newRememberingWith(t, zap.NewNop(), holding, client)
}

func newRememberingWith(t *testing.T, logger *zap.Logger, holding store.Options, client memory.Client) *remembering {
	t.Helper()
	return newRememberingIn(t, logger, GroupOptions{Store: holding}, func(_ *Ingest, o store.Options) (store.Store, error) { return memory.New(o, client), nil })
}

// onStores runs a test in a bubble for each store. The time of the bubble waits for answers of the database.
func onStores(t *testing.T, run func(t *testing.T, datasource string)) {
	t.Helper()
	pgtest.OnStores(t, func(t *testing.T, datasource string) {
		synctest.Test(t, func(t *testing.T) { run(t, datasource) })
	})
}

// newRememberingOn has groups in a database, or on a disk of its own if there is no datasource.
func newRememberingOn(t *testing.T, datasource string, logger *zap.Logger, holding store.Options) *remembering {
	t.Helper()
	if datasource == "" {
		return newRememberingWith(t, logger, holding, &disk{})
	}
	r := newRememberingIn(t, logger, inDatabase(holding), func(in *Ingest, o store.Options) (store.Store, error) { return openDatabase(in, o, datasource) })
	<-r.groups.restored
	return r
}

func inDatabase(holding store.Options) GroupOptions {
	holding.SeriesKey = new(series.Key)
	return GroupOptions{Store: holding, Database: true}
}

// openDatabase opens a database that has the time of the bubble.
func openDatabase(in *Ingest, o store.Options, datasource string) (store.Store, error) {
	return postgres.New(o, postgres.Settings{
		Datasource: datasource, MaxConnections: 6, ConnectTimeout: time.Minute, StatementTimeout: time.Minute, Observer: in.Database(), Clock: time.Now,
	})
}

func newRememberingIn(
	t *testing.T, logger *zap.Logger, groups GroupOptions, open func(*Ingest, store.Options) (store.Store, error),
) *remembering {
	t.Helper()
	groups.RepublishInterval = time.Minute
	r := &remembering{T: t, received: map[string][]time.Time{}, ended: map[string][]time.Time{}}
	next, err := consumer.NewMetrics(r.consume)
	require.NoError(t, err)
	set := receivertest.NewNopSettings(metadata.Type)
	set.Logger = logger
	r.Ingest, err = New(set, Options{
		Translate: pushtest.Options(), Groups: &groups,
	}, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(func(o store.Options) (store.Store, error) { return open(r.Ingest, o) }))
	return r
}

func (r *remembering) consume(ctx context.Context, md pmetric.Metrics) error {
	r.mu.Lock()
	refuses := r.refuses
	r.mu.Unlock()
	if refuses != nil {
		if err := refuses(ctx, md); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		job, _ := rm.Resource().Attributes().Get("service.name")
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				to := r.received
				if m.Gauge().DataPoints().At(0).Flags().NoRecordedValue() {
					to = r.ended
				}
				to[job.Str()] = append(to[job.Str()], time.Now())
			}
		}
	}
	return nil
}

// refuse sets what later calls wait for and are refused for; nil for nothing.
func (r *remembering) refuse(refuses consumer.ConsumeMetricsFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuses = refuses
}

// away refuses everything for now.
func away(context.Context, pmetric.Metrics) error { return errors.New("refused by the test") }

// hangs does not return until it is cancelled.
func hangs(ctx context.Context, _ pmetric.Metrics) error {
	<-ctx.Done()
	return ctx.Err()
}

// values are when values of a job came, markers when its markers did.
func (r *remembering) values(job string) []time.Time  { return r.times(r.received, job) }
func (r *remembering) markers(job string) []time.Time { return r.times(r.ended, job) }

func (r *remembering) times(of map[string][]time.Time, job string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(of[job])
}

// put replaces the group of a job.
func (r *remembering) put(ctx context.Context, job, body string) error {
	ctx, o := r.Begin(ctx, http.MethodPut)
	err := r.Push(ctx, o, Request{Key: pushtest.Key(r.T, "job/"+job), Format: exposition.Text, Body: []byte(body), Replace: true})
	o.End(err)
	return err
}

// held lists the jobs of the groups that there are.
func (r *remembering) held() (jobs []string) {
	r.Helper()
	for g, err := range r.Groups(r.Context()) {
		require.NoError(r, err)
		jobs = append(jobs, g.Key.Job)
	}
	return jobs
}

// group is the group of a job.
func (r *remembering) group(job string) (found gather.Group) {
	r.Helper()
	for g, err := range r.Groups(r.Context()) {
		require.NoError(r, err)
		if g.Key.Job == job {
			found = g
		}
	}
	return found
}

func (r *remembering) requireRefused(err error, reason Reason) {
	r.Helper()
	var refusal *Refusal
	require.ErrorAs(r, err, &refusal)
	require.Equal(r, reason, refusal.Reason)
	require.Equal(r, reason == ReasonInconsistent || reason == ReasonParse, refusal.RetryAfter == 0)
}

// disk is a storage that can fail or hang.
type disk struct {
	mu      sync.Mutex
	records map[string][]byte
	fails   bool
	hangs   chan struct{} // what each request waits for, if not nil
	batches int
	closed  int
}

func (d *disk) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := d.Batch(ctx, op)
	return op.Value, err
}

func (d *disk) Set(ctx context.Context, key string, value []byte) error {
	return d.Batch(ctx, storage.SetOperation(key, value))
}

func (d *disk) Delete(ctx context.Context, key string) error {
	return d.Batch(ctx, storage.DeleteOperation(key))
}

func (d *disk) Batch(ctx context.Context, ops ...*storage.Operation) error {
	d.mu.Lock()
	hangs := d.hangs
	d.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.batches++
	if d.fails {
		return errors.New("the disk is full")
	}
	if d.records == nil {
		d.records = map[string][]byte{}
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = d.records[op.Key]
		case storage.Set:
			d.records[op.Key] = op.Value
		case storage.Delete:
			delete(d.records, op.Key)
		}
	}
	return nil
}

func (d *disk) Close(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed++
	return nil
}

// set sets whether requests fail and what they wait for.
func (d *disk) set(fails bool, hangs chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails, d.hangs, d.batches = fails, hangs, 0
}

func (d *disk) requests() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.batches
}

// TestAnswersWhileTheConsumerHangs come at once, from requests that add, replace and remove groups.
func TestAnswersWhileTheConsumerHangs(t *testing.T) {
	t.Parallel()
	for name, consume := range map[string]consumer.ConsumeMetricsFunc{"hangs": hangs, "is away": away} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStores(t, func(t *testing.T, datasource string) {
				r := newRememberingOn(t, datasource, zap.NewNop(), store.Options{})
				r.refuse(consume)
				time.Sleep(time.Second)
				began := time.Now()
				for n := range 100 {
					require.NoError(t, r.put(t.Context(), fmt.Sprint("j", n%10), fmt.Sprintf("a%d 1\n", n)))
				}
				for n := range 5 {
					require.NoError(t, r.Delete(t.Context(), pushtest.Key(t, fmt.Sprint("job/j", n))))
				}
				assert.Equal(t, []string{"j5", "j6", "j7", "j8", "j9"}, r.held())
				require.NoError(t, r.Wipe(t.Context(), "client"))
				assert.Empty(t, r.held())
				require.NoError(t, r.put(t.Context(), "last", "a 1\n"))
				assert.Zero(t, time.Since(began))
				assert.Empty(t, r.values("last"))

				r.refuse(nil)
				time.Sleep(2 * time.Minute)
				assert.NotEmpty(t, r.values("last"), "it goes out later")
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}

// TestExpiryOfGroups ends their series soon after their time has passed.
func TestExpiryOfGroups(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, datasource string) {
		const ttl = 5 * time.Minute
		within := 2 * expireInterval
		if datasource != "" {
			within = databaseExpireInterval + time.Second
		}
		r := newRememberingOn(t, datasource, zap.NewNop(), store.Options{TTL: ttl})
		pushed := time.Now()
		for i := range 100 {
			require.NoError(t, r.put(t.Context(), fmt.Sprint("dies", i), "a 1\n"))
		}
		time.Sleep(ttl / 2)
		require.NoError(t, r.put(t.Context(), "lives", "a 1\n"))
		time.Sleep(ttl * 3 / 4)
		assert.Equal(t, []string{"lives"}, r.held())
		for i := range 100 {
			job := fmt.Sprint("dies", i)
			values, markers := r.values(job), r.markers(job)
			require.Len(t, markers, 3)
			for _, at := range markers {
				assert.WithinRange(t, at, pushed.Add(ttl), pushed.Add(ttl+within))
			}
			assert.False(t, values[len(values)-1].After(markers[0]), "no value comes later")
		}
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestMarkersThatLapse are no longer pending when no backend shows their series any more.
func TestMarkersThatLapse(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, datasource string) {
		r := newRememberingOn(t, datasource, zap.NewNop(), store.Options{})
		require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
		time.Sleep(time.Second)
		r.refuse(away)
		require.NoError(t, r.Delete(t.Context(), pushtest.Key(t, "job/j")))
		pending := func() int { return r.groups.store.Counts().Pending }
		time.Sleep(4 * time.Minute)
		assert.Equal(t, 3, pending())
		time.Sleep(2 * time.Minute)
		assert.Zero(t, pending())
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestExpiryWaitsForTheStorage cannot remove groups whose time is over. They are exported as long as they are held, and removed soon
// after the storage is back.
func TestExpiryWaitsForTheStorage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups, ttl = 20, time.Minute
		d := &disk{}
		r := newRemembering(t, store.Options{TTL: ttl}, d)
		for i := range groups {
			require.NoError(t, r.put(t.Context(), strconv.Itoa(i), "a 1\n"))
		}
		d.set(true, nil)
		time.Sleep(ttl)
		d.set(true, nil)
		time.Sleep(10 * ttl)
		assert.LessOrEqual(t, d.requests(), groups*int(10*ttl/expireRetry), "it is tried at times, and not at every tick")
		assert.Len(t, r.held(), groups)
		for i := range groups {
			values := r.values(strconv.Itoa(i))
			assert.Less(t, time.Since(values[len(values)-1]), 2*time.Minute)
			assert.Empty(t, r.markers(strconv.Itoa(i)))
		}
		d.set(false, nil)
		back := time.Now()
		time.Sleep(2 * expireRetry)
		for i := range groups {
			markers := r.markers(strconv.Itoa(i))
			require.Len(t, markers, 3)
			assert.False(t, markers[0].Before(back))
		}
		assert.Empty(t, r.held())
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestStorageFails refuses what cannot be stored, and changes nothing.
func TestStorageFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		r := newRemembering(t, store.Options{}, d)
		require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
		d.set(true, nil)
		for _, job := range []string{"j", "k"} {
			r.requireRefused(r.put(t.Context(), job, "b 1\n"), ReasonStorage)
		}
		r.requireRefused(r.Delete(t.Context(), pushtest.Key(t, "job/j")), ReasonStorage)
		r.requireRefused(r.Wipe(t.Context(), "client"), ReasonStorage)
		assert.Equal(t, []string{"j"}, r.held())
		assert.Equal(t, "a", r.group("j").Families[0].Name)
		d.set(false, nil)
		require.NoError(t, r.put(t.Context(), "k", "b 1\n"))
		assert.Equal(t, []string{"j", "k"}, r.held())
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestRequestsThatEndWhileTheyWait for the storage are refused for now, and change nothing.
func TestRequestsThatEndWhileTheyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		r := newRemembering(t, store.Options{}, d)
		require.NoError(t, r.put(t.Context(), "k", "a 1\n"))
		time.Sleep(time.Second)
		back := make(chan struct{})
		d.set(false, back)
		first := make(chan error, 1)
		go func() { first <- r.put(t.Context(), "j", "first 1\n") }()
		synctest.Wait()
		for name, request := range map[string]func(context.Context) error{
			"a push to the same group": func(ctx context.Context) error { return r.put(ctx, "j", "b 1\n") },
			"a push to another group":  func(ctx context.Context) error { return r.put(ctx, "l", "b 1\n") },
			"a deletion":               func(ctx context.Context) error { return r.Delete(ctx, pushtest.Key(t, "job/k")) },
			"a wipe":                   func(ctx context.Context) error { return r.Wipe(ctx, "client") },
		} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			r.requireRefused(request(ctx), ReasonOverload)
			cancel()
			assert.Equal(t, 3*time.Second, time.Since(began), name)
		}
		close(back)
		require.NoError(t, <-first)
		assert.Equal(t, []string{"j", "k"}, r.held())
		assert.Equal(t, "first", r.group("j").Families[0].Name)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestRestoring lets requests wait until the groups are restored, but not for long.
func TestRestoring(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		before := newRemembering(t, store.Options{}, d)
		require.NoError(t, before.put(t.Context(), "j", "a 1\n"))
		require.NoError(t, before.Shutdown(t.Context()))

		back := make(chan struct{})
		d.set(false, back)
		r := newRemembering(t, store.Options{}, d)
		assert.False(t, r.Ready())
		began := time.Now()
		r.requireRefused(r.put(t.Context(), "j", "b 1\n"), ReasonStarting)
		assert.Equal(t, defaultRetryAfter, time.Since(began))
		r.requireRefused(r.Delete(t.Context(), pushtest.Key(t, "job/j")), ReasonStarting)
		r.requireRefused(r.Wipe(t.Context(), "client"), ReasonStarting)
		for _, err := range r.Groups(t.Context()) {
			r.requireRefused(err, ReasonStarting)
		}
		for _, err := range r.Fragments(t.Context(), gather.NewScrape(gather.Options{}).Plan) {
			r.requireRefused(err, ReasonStarting)
		}
		waits := make(chan error, 1)
		go func() { waits <- r.put(t.Context(), "k", "b 1\n") }()
		synctest.Wait()
		close(back)
		require.NoError(t, <-waits)
		assert.True(t, r.Ready())
		assert.Equal(t, []string{"j", "k"}, r.held())
		time.Sleep(time.Minute)
		assert.NotEmpty(t, r.values("j"), "what was restored goes out within a round")
		r.Stopping()
		assert.False(t, r.Ready())
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestShutdownWhileRestoring ends the search for groups.
func TestShutdownWhileRestoring(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		d.set(false, make(chan struct{}))
		r := newRemembering(t, store.Options{}, d)
		synctest.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 1, d.closed)
		r.requireRefused(r.put(t.Context(), "j", "a 1\n"), ReasonStarting)
	})
}

// TestShutdown exports what is left and closes the storage, once, whatever becomes of the consumer.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		consume consumer.ConsumeMetricsFunc
		taken   bool
		within  time.Duration
	}{
		"accepted":  {nil, true, time.Second},
		"away":      {away, false, time.Second},
		"hanging":   {hangs, false, 11 * time.Second},
		"recovered": {nil, true, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				r := newRemembering(t, store.Options{}, d)
				if name == "recovered" {
					r.refuse(hangs)
					require.NoError(t, r.put(t.Context(), "other", "a 1\n"))
					synctest.Wait()
				}
				r.refuse(tc.consume)
				for i := range 10 {
					require.NoError(t, r.put(t.Context(), strconv.Itoa(i), "a 1\n"))
				}
				r.Stopping()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				err := r.Shutdown(ctx)
				assert.Equal(t, 1, d.closed)
				if name == "recovered" { // The call that hangs is cancelled.
					tc.within = 11 * time.Second
				}
				require.NoError(t, err)
				assert.LessOrEqual(t, time.Since(began), tc.within)
				for i := range 10 {
					assert.Equal(t, tc.taken, len(r.values(strconv.Itoa(i))) > 0, i)
				}
				require.NoError(t, r.Shutdown(t.Context()))
				assert.Equal(t, 1, d.closed, "once")

				again := newRemembering(t, store.Options{}, d)
				synctest.Wait()
				assert.Subset(t, again.held(), []string{"0", "9"}, "they are stored")
				require.NoError(t, again.Shutdown(t.Context()))
			})
		})
	}
}

// TestShutdownOfAConsumerThatIsStuck reports it and closes the storage nevertheless.
func TestShutdownOfAConsumerThatIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		r := newRemembering(t, store.Options{}, d)
		release := make(chan struct{})
		r.refuse(func(context.Context, pmetric.Metrics) error {
			<-release
			return nil
		})
		require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorContains(t, r.Shutdown(ctx), "did not return")
		assert.Equal(t, 1, d.closed)
		close(release)
	})
}

// TestFailedPushes are noted if they are inconsistent, and not if they cannot be read or are too much.
func TestFailedPushes(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, datasource string) {
		r := newRememberingOn(t, datasource, zap.NewNop(), store.Options{MaxSeries: 3})
		require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
		time.Sleep(time.Second)
		r.requireRefused(r.put(t.Context(), "j", "a 1\n{"), ReasonParse)
		r.requireRefused(r.put(t.Context(), "j", "a 1\nb 1\nc 1\nd 1\n"), ReasonGroupLimit)
		assert.Zero(t, r.group("j").PushFailureTime)
		r.requireRefused(r.put(t.Context(), "j", "a 1\na 2\n"), ReasonInconsistent)
		assert.Equal(t, time.Now(), r.group("j").PushFailureTime)
		r.requireRefused(r.put(t.Context(), "new", "a 1\na 2\n"), ReasonInconsistent)
		assert.Equal(t, []string{"j", "new"}, r.held(), "it makes a group, as in a Pushgateway")
		assert.Zero(t, r.group("new").PushTime)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestInFlightIsReleased when a push is stored, although nothing was exported.
func TestInFlightIsReleased(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, datasource string) {
		r := newRememberingOn(t, datasource, zap.NewNop(), store.Options{})
		r.refuse(hangs)
		require.NoError(t, r.put(t.Context(), "j", string(lines(1000, "m%d 1\n"))))
		assert.Zero(t, r.InFlight.Bytes())
		require.NoError(t, r.Delete(t.Context(), pushtest.Key(t, "job/j")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, r.Shutdown(ctx))
	})
}
