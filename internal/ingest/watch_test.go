// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// watcher notes what it is told.
type watcher struct {
	mu      sync.Mutex
	events  []*Event
	exports []string
	peeked  string // a job
}

func (w *watcher) Ended(e *Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *watcher) Exported(_ int, outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exports = append(w.exports, outcome)
}

func (w *watcher) Peeks(job string) bool { return job == w.peeked }

func TestWatcherIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{peeked: "peeked"}
		next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
			job, _ := md.ResourceMetrics().At(0).Resource().Attributes().Get("service.name")
			if job.Str() == "away" {
				return errors.New("backend is away")
			}
			pmetric.NewMetrics().CopyTo(md) // What a consumer is given is its own.
			return nil
		})
		require.NoError(t, err)
		in, err := New(receivertest.NewNopSettings(metadata.Type), Options{Watcher: w}, next)
		require.NoError(t, err)
		push := func(job, body string) error {
			ctx, o := in.Begin(t.Context(), http.MethodPut)
			o.From("/metrics/job/"+job, "client:1")
			key := pushtest.Key(t, "job/"+job)
			o.Key(key)
			o.Format(exposition.Text)
			o.Size(int64(len(body)))
			time.Sleep(time.Second)
			err := in.Push(ctx, o, Request{Key: key, Format: exposition.Text, Body: []byte(body)})
			o.End(err)
			return err
		}
		began := time.Now()
		require.NoError(t, push("j", "a 1\nb 2\n"))
		require.NoError(t, push("peeked", "a 1\nb 2\n"))
		require.Error(t, push("j", "a x\n"))
		require.Error(t, push("away", "a 1\n"))
		_, o := in.Begin(t.Context(), http.MethodDelete)
		o.EndIgnored()
		require.NoError(t, in.Shutdown(t.Context()))

		require.Len(t, w.events, 5)
		assert.Equal(t, &Event{
			Began: began, Ended: began.Add(time.Second), Method: "PUT", Key: groupingkey.Key{Job: "j", Labels: w.events[0].Key.Labels}, Path: "/metrics/job/j",
			Client: "client:1", Format: "text", Size: 8, Series: 2, Outcome: "accepted",
		}, w.events[0])
		assert.True(t, w.events[0].Accepted())
		require.Len(t, w.events[1].Values, 2)
		assert.Equal(t, "a", w.events[1].Values[0].Name)
		assert.Equal(t, "1", w.events[1].Values[0].Value)
		assert.Equal(t, "parse", w.events[2].Outcome)
		assert.Equal(t, "unavailable", w.events[3].Outcome)
		assert.False(t, w.events[3].Accepted())
		assert.ErrorContains(t, w.events[3].Err, "backend is away")
		assert.Equal(t, "ignored", w.events[4].Outcome)
		assert.EqualValues(t, -1, w.events[4].Size)
		assert.Equal(t, []string{"accepted", "accepted", "unavailable"}, w.exports)
	})
}

// TestDeletionsAreLogged with the address of the client: once per interval, and a wipe each time.
func TestDeletionsAreLogged(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, datasource string) {
		core, logs := observer.New(zapcore.DebugLevel)
		r := newRememberingOn(t, datasource, zap.New(core), store.Options{})
		for range 3 {
			ctx, o := r.Begin(t.Context(), http.MethodDelete)
			o.From("/metrics/job/j", "192.0.2.7:1")
			o.Key(pushtest.Key(t, "job/j"))
			o.End(r.Delete(ctx, pushtest.Key(t, "job/j")))
		}
		require.NoError(t, r.Wipe(t.Context(), "192.0.2.8:1"))
		require.NoError(t, r.Wipe(t.Context(), "192.0.2.8:1"))
		deleted := logs.FilterMessage("Group deleted")
		assert.Equal(t, 1, deleted.FilterLevelExact(zapcore.InfoLevel).Len())
		assert.Equal(t, 2, deleted.FilterLevelExact(zapcore.DebugLevel).Len())
		assert.Equal(t, `{job="j"}`, deleted.All()[0].ContextMap()["grouping_key"])
		assert.Equal(t, "192.0.2.7:1", deleted.All()[0].ContextMap()["client_address"])
		wiped := logs.FilterMessage("All groups deleted").All()
		require.Len(t, wiped, 2)
		assert.Equal(t, "192.0.2.8:1", wiped[0].ContextMap()["client_address"])
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestReadingForThePage reads groups, first while they are being restored.
func TestReadingForThePage(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, datasource string) {
		starting, err := New(receivertest.NewNopSettings(metadata.Type), Options{Groups: &GroupOptions{}}, consumerOf(t, away))
		require.NoError(t, err)
		_, err = starting.Search(t.Context(), store.Query{Limit: 1})
		requireStarting(t, err)
		_, err = starting.Jobs(t.Context())
		requireStarting(t, err)
		_, _, err = starting.Group(t.Context(), pushtest.Key(t, "job/j"))
		requireStarting(t, err)
		_, ok := starting.State()
		assert.False(t, ok)
		require.NoError(t, starting.Start(func(o store.Options) (store.Store, error) { return memory.New(o, nil), nil }))
		require.NoError(t, starting.Shutdown(t.Context()))

		r := newRememberingOn(t, datasource, zap.NewNop(), store.Options{})
		r.refuse(away)
		synctest.Wait()
		require.NoError(t, r.put(t.Context(), "j", "a 1\nb 2\n"))
		synctest.Wait()
		found, err := r.Search(t.Context(), store.Query{Limit: 1, Order: store.ByName})
		require.NoError(t, err)
		require.Len(t, found.Groups, 1)
		jobs, err := r.Jobs(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, jobs[0].Groups)
		summary, group, err := r.Group(t.Context(), pushtest.Key(t, "job/j"))
		require.NoError(t, err)
		assert.Equal(t, 2, summary.Series)
		assert.Len(t, group.Families, 2)
		_, _, err = r.Group(t.Context(), pushtest.Key(t, "job/k"))
		require.ErrorIs(t, err, store.ErrNoGroup)
		time.Sleep(time.Second) // What was observed of a database is used again for so long.
		synctest.Wait()
		state, ok := r.State()
		assert.True(t, ok)
		assert.Equal(t, 1, state.Counts.Groups)
		assert.Equal(t, 1, state.Waiting)
		assert.False(t, state.Oldest.IsZero())
		refused, total := r.Refused(1, func(groupingkey.Key) bool { return true })
		assert.Empty(t, refused)
		assert.Zero(t, total)
		r.refuse(nil)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func consumerOf(t *testing.T, consume consumer.ConsumeMetricsFunc) consumer.Metrics {
	t.Helper()
	next, err := consumer.NewMetrics(consume)
	require.NoError(t, err)
	return next
}

func requireStarting(t *testing.T, err error) {
	t.Helper()
	refusal, ok := errors.AsType[*Refusal](err)
	require.True(t, ok)
	assert.Equal(t, ReasonStarting, refusal.Reason)
	assert.Positive(t, refusal.RetryAfter)
}
