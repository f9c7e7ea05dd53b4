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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// remembering is a receiver with groups, in a bubble of synctest, before a consumer that needs some time.
type remembering struct {
	*testing.T
	*Ingest

	mu       sync.Mutex
	takes    time.Duration               // how long a call takes
	stuck    chan struct{}               // what a call waits for whatever becomes of its context, if not nil
	refuses  consumer.ConsumeMetricsFunc // tells what a call is refused for; nil if none is
	calls    int
	most     int                    // points in a call
	received map[string][]time.Time // when values came, by job
	ended    map[string]time.Time   // when markers came last, by job
}

func newRemembering(t *testing.T, ttl, takes time.Duration) *remembering {
	t.Helper()
	return newRememberingWith(t, GroupOptions{RepublishInterval: time.Minute}, store.Options{TTL: ttl}, takes)
}

func newRememberingWith(t *testing.T, groups GroupOptions, holding store.Options, takes time.Duration) *remembering {
	t.Helper()
	r := &remembering{T: t, takes: takes, received: map[string][]time.Time{}, ended: map[string]time.Time{}}
	next, err := consumer.NewMetrics(r.consume)
	require.NoError(t, err)
	r.Ingest, err = New(receivertest.NewNopSettings(metadata.Type), Options{
		Translate: pushtest.Options(), Groups: &groups,
	}, next)
	require.NoError(t, err)
	holding.Scope, holding.PushTimes = pushtest.Scope, r.PushTimes()
	require.NoError(t, r.Start(store.New(holding)))
	return r
}

func (r *remembering) consume(ctx context.Context, md pmetric.Metrics) error {
	job, _ := md.ResourceMetrics().At(0).Resource().Attributes().Get("service.name")
	name := job.Str()
	r.mu.Lock()
	takes, stuck, refuses := r.takes, r.stuck, r.refuses
	r.calls++
	r.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	if refuses != nil {
		if err := refuses(ctx, md); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = max(r.most, md.DataPointCount())
	point := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
	if point.Flags().NoRecordedValue() {
		r.ended[name] = time.Now()
	} else {
		r.received[name] = append(r.received[name], time.Now())
	}
	return nil
}

// refuse sets what later calls are refused for; nil for nothing.
func (r *remembering) refuse(refuses consumer.ConsumeMetricsFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuses, r.most, r.calls = refuses, 0, 0
}

// away refuses everything for now.
func away(context.Context, pmetric.Metrics) error { return errors.New("refused by the test") }

// values are when values of a job came.
func (r *remembering) values(job string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.received[job])
}

// called is how often the consumer was called since refuse.
func (r *remembering) called() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// owed is how many series are owed a marker.
func (r *remembering) owed() int { return r.groups.store.Counts().Owed }

// put pushes nothing but the push times to the group of a job.
func (r *remembering) put(job string) {
	r.Helper()
	r.push(job, "")
}

// push replaces a group.
func (r *remembering) push(job, body string) {
	r.Helper()
	r.send(http.MethodPut, job, body)
}

// add replaces families of a group.
func (r *remembering) add(job, body string) {
	r.Helper()
	r.send(http.MethodPost, job, body)
}

func (r *remembering) send(method, job, body string) {
	r.Helper()
	ctx, o := r.Begin(r.Context(), method)
	err := r.Push(ctx, o, Request{
		Key: pushtest.Key(r.T, "job/"+job), Format: exposition.Text, Body: []byte(body), Replace: method == http.MethodPut,
	})
	o.End(err)
	assert.NoError(r, err)
}

// take sets how long later calls take.
func (r *remembering) take(takes time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takes = takes
}

// TestExpiryHoldsNobodyUp lets many groups expire at once before a slow consumer, while another one is to stay visible.
func TestExpiryHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups, ttl = 400, 5 * time.Minute
		r := newRemembering(t, ttl, 500*time.Millisecond)
		var pushes sync.WaitGroup
		for i := range groups {
			pushes.Go(func() { r.put(fmt.Sprint("dies", i)) })
		}
		pushes.Wait()
		pushed := time.Now()
		time.Sleep(ttl / 2)
		r.put("lives")
		time.Sleep(ttl * 4 / 5)
		require.NoError(t, r.Shutdown(t.Context()))

		lives := r.received["lives"]
		for i := range lives[1:] {
			assert.Less(t, lives[i+1].Sub(lives[i]), 2*time.Minute, "how long it was not told of")
		}
		assert.Less(t, time.Since(lives[len(lives)-1]), 2*time.Minute)
		for i := range groups {
			job := fmt.Sprint("dies", i)
			require.Contains(t, r.ended, job)
			last := r.received[job][len(r.received[job])-1]
			require.Less(t, last.Sub(pushed), ttl+2*time.Second, "a group whose time is over is not told of")
		}
	})
}

// TestSlowConsumerGetsSomeAtOnce has few groups, each in a share of its own. They would need four minutes one after the other.
func TestSlowConsumerGetsSomeAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups = 64
		r := newRemembering(t, 0, 0)
		for i := range groups {
			r.put(strconv.Itoa(i))
		}
		r.take(4 * time.Second)
		time.Sleep(10 * time.Minute)
		require.NoError(t, r.Shutdown(t.Context()))
		for i := range groups {
			assert.GreaterOrEqual(t, len(r.received[strconv.Itoa(i)]), 9, "in ten minutes, one of them each")
		}
	})
}

// TestBusyGroupIsNotMissed is busy when its group is due, which must not wait for a whole interval then.
func TestBusyGroupIsNotMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemembering(t, 0, 0)
		r.put("j") // The first group is due at whole minutes.
		time.Sleep(10*time.Minute + 30*time.Second)
		r.take(40 * time.Second)
		r.put("j")
		free := time.Now()
		r.take(0)
		time.Sleep(time.Second)
		require.NoError(t, r.Shutdown(t.Context()))
		times := r.received["j"]
		assert.Greater(t, times[len(times)-1], free)
	})
}

// TestGroupThatIsAlwaysBusy has some wait for their turn at all times, who name one of its two families.
func TestGroupThatIsAlwaysBusy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pushers int
		takes   time.Duration
	}{{2, time.Second}, {20, 2 * time.Second}, {4, 8 * time.Second}} {
		t.Run(fmt.Sprintf("%d pushers, %s each", tc.pushers, tc.takes), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				end := time.Now().Add(20 * time.Minute)
				r := newRemembering(t, 0, tc.takes)
				r.push("j", "a 1\nb 1\n")
				var republished []time.Time
				r.refuse(func(_ context.Context, md pmetric.Metrics) error {
					if names(md)["b"] {
						republished = append(republished, time.Now())
					}
					return nil
				})
				var pushers sync.WaitGroup
				for range tc.pushers {
					pushers.Go(func() {
						for time.Now().Before(end) {
							r.add("j", "a 2\n")
						}
					})
				}
				pushers.Wait()
				require.NoError(t, r.Shutdown(t.Context()))
				require.NotEmpty(t, republished)
				last := republished[0]
				for _, at := range append(republished, end) {
					assert.Less(t, at.Sub(last), 2*time.Minute, "b would be gone after five minutes")
					last = at
				}
			})
		})
	}
}

// names are those of the metrics of md.
func names(md pmetric.Metrics) map[string]bool {
	names := map[string]bool{}
	for _, sm := range md.ResourceMetrics().At(0).ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			names[m.Name()] = true
		}
	}
	return names
}

// TestWipeDeletesSomeAtOnce needs much less time than the consumer needs for all groups one after the other.
func TestWipeDeletesSomeAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemembering(t, 0, 100*time.Millisecond)
		for i := range 80 {
			r.put(strconv.Itoa(i))
		}
		began := time.Now()
		require.NoError(t, r.Wipe(t.Context()))
		assert.Less(t, time.Since(began), 2*time.Second)
		assert.Len(t, r.ended, 80)

		r.put("j")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var refusal *Refusal
		require.ErrorAs(t, r.Wipe(gone), &refusal, "it is not told to be done unless it is")
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestShutdownOfTheSweep has no time left for it, because requests used it up. That is no fault of a sweep that has ended.
func TestShutdownOfTheSweep(t *testing.T) {
	t.Parallel()
	for name, stuck := range map[string]bool{"ended": false, "stuck": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRemembering(t, 0, 0)
				r.put("j")
				r.take(time.Hour)
				release := make(chan struct{})
				if stuck {
					r.mu.Lock()
					r.stuck = release
					r.mu.Unlock()
				}
				time.Sleep(2 * time.Minute)
				r.Stopping()
				synctest.Wait()
				over, cancel := context.WithCancel(t.Context())
				cancel()
				if err := r.Shutdown(over); stuck {
					require.ErrorIs(t, err, errStuck)
				} else {
					require.NoError(t, err)
				}
				close(release)
			})
		})
	}
}

// TestMarkersOfAnOutage replaces series by others for a long time while nothing is accepted. A push must not cost what those
// before it left behind, and in the end all of it is told.
func TestMarkersOfAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const pushes, each = 100, 50
		r := newRemembering(t, 0, 0)
		r.refuse(away)
		for i := range pushes {
			var body strings.Builder
			for n := range each {
				fmt.Fprintf(&body, "m{n=\"%d\"} 1\n", i*each+n)
			}
			r.push("j", body.String())
		}
		assert.Equal(t, (pushes-1)*each, r.owed())
		r.refuse(nil)
		r.put("j")
		assert.Less(t, r.most, store.EnoughMarkers+2*each)
		assert.Positive(t, r.owed())
		time.Sleep(time.Second)
		assert.Zero(t, r.owed(), "who takes some is given the others soon")
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestHangingGroup hangs whenever it is handed on. The others must not wait for it until Prometheus shows them no longer.
func TestHangingGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups, interval = 40, 4 * time.Minute
		r := newRememberingWith(t, GroupOptions{RepublishInterval: interval}, store.Options{}, 0)
		for i := range groups {
			r.put(strconv.Itoa(i))
		}
		r.refuse(func(ctx context.Context, md pmetric.Metrics) error {
			if job, _ := md.ResourceMetrics().At(0).Resource().Attributes().Get("service.name"); job.Str() == "7" {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		time.Sleep(time.Hour)
		require.NoError(t, r.Shutdown(t.Context()))
		for i := range groups {
			times := r.received[strconv.Itoa(i)]
			for n := range times[1:] {
				require.Less(t, times[n+1].Sub(times[n]), 5*time.Minute)
			}
			require.True(t, i == 7 || time.Since(times[len(times)-1]) < 5*time.Minute)
		}
	})
}

// failingStorage has nothing, and fails to write if it is told to.
type failingStorage struct {
	storage.Client
	fails  atomic.Bool
	writes atomic.Int32
}

func (*failingStorage) Get(context.Context, string) ([]byte, error) { return nil, nil }

func (*failingStorage) Close(context.Context) error { return nil }

func (s *failingStorage) Delete(ctx context.Context, _ string) error { return s.Batch(ctx) }

func (s *failingStorage) Set(ctx context.Context, _ string, _ []byte) error { return s.Batch(ctx) }

func (s *failingStorage) Batch(context.Context, ...*storage.Operation) error {
	s.writes.Add(1)
	if s.fails.Load() {
		return errors.New("the disk is full")
	}
	return nil
}

// TestExpiryWaitsForTheStorage cannot end groups whose time is over. They are handed on as long as they live, and ended soon
// after the storage is back.
func TestExpiryWaitsForTheStorage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups, ttl = 20, time.Minute
		disk := &failingStorage{}
		r := newRememberingWith(t, GroupOptions{RepublishInterval: time.Second}, store.Options{
			TTL: ttl, Client: disk, StorageFailed: func(store.Operation, error) {},
		}, 0)
		synctest.Wait()
		for i := range groups {
			r.put(strconv.Itoa(i))
		}
		disk.fails.Store(true)
		time.Sleep(ttl)
		disk.writes.Store(0)
		time.Sleep(ttl)
		assert.Less(t, disk.writes.Load(), int32(200), "it is tried at times, and not at every tick")
		for i := range groups {
			times := r.values(strconv.Itoa(i))
			assert.Less(t, time.Since(times[len(times)-1]), 3*time.Second)
		}
		disk.fails.Store(false)
		back := time.Now()
		time.Sleep(10 * time.Second)
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Len(t, r.ended, groups)
		for _, ended := range r.ended {
			assert.False(t, ended.Before(back))
		}
	})
}
