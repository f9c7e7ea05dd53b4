// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// TestRefusalsOfAProxySayWhetherToRetry has the texts for the owner of a job.
func TestRefusalsOfAProxySayWhetherToRetry(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"backend away":      {errors.New("context deadline exceeded"), "the backend did not accept the push: context deadline exceeded; nothing was kept, and a retry is safe"},
		"backend exhausted": {status.Error(codes.ResourceExhausted, "quota"), "the backend did not accept the push: rpc error: code = ResourceExhausted desc = quota; nothing was kept, and a retry is safe"},
		"permanent":         {consumererror.NewPermanent(errors.New("no")), "the backend did not accept the push: Permanent error: no; nothing was kept, and a retry fails too unless the cause is removed"},
		"with a URL":        {errors.New("Post http://user:hunter2@host: refused"), "the backend did not accept the push: Post (URL): refused; nothing was kept, and a retry is safe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusal := refuseForwarding(tc.err)
			require.EqualError(t, refusal, tc.want)
			require.ErrorIs(t, refusal, tc.err)
		})
	}
}

// TestRefusalsOfGroupsSayWhatToDo reaches each limit of groups, and has the storage fail.
func TestRefusalsOfGroupsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limits     store.Options
		fails      bool
		want       string
		retryAfter time.Duration
	}{
		"max_groups": {store.Options{MaxGroups: 1}, false, "the limit groups::max_groups is 1; nothing was changed; delete groups or raise the limit, then push again", 5 * time.Minute},
		"max_series": {store.Options{MaxSeries: 1}, false, "the limit groups::max_series is 1; nothing was changed; delete groups or raise the limit, then push again", 5 * time.Minute},
		"storage":    {store.Options{}, true, "the push could not be stored, so nothing was changed; try again later: the disk is full", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				r := newRemembering(t, tc.limits, d)
				require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
				d.set(tc.fails, nil)
				var refusal *Refusal
				require.ErrorAs(t, r.put(t.Context(), "k", "b 1\n"), &refusal)
				assert.Contains(t, refusal.Error(), tc.want)
				assert.Equal(t, tc.retryAfter, refusal.RetryAfter)
				d.set(false, nil)
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}

// TestLogOfGroups has the lines that say what became of groups without a request.
func TestLogOfGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		before := newRemembering(t, store.Options{}, d)
		require.NoError(t, before.put(t.Context(), "j", "a 1\nb 1\n"))
		require.NoError(t, before.put(t.Context(), "k", "c 1\n"))
		require.NoError(t, before.Shutdown(t.Context()))

		core, logs := observer.New(zapcore.InfoLevel)
		r := newRememberingWith(t, zap.New(core), store.Options{TTL: time.Hour}, d)
		synctest.Wait()
		restored := logs.FilterMessage("Groups restored").All()
		require.Len(t, restored, 1)
		assert.Equal(t, map[string]any{"groups": int64(2), "series": int64(3), "pending_stale_markers": int64(0), "pushers": int64(0)}, restored[0].ContextMap())

		time.Sleep(time.Hour + 2*time.Second)
		expired := logs.FilterMessage("Groups expired: groups::ttl has passed since their last push").All()
		require.Len(t, expired, 1)
		assert.Equal(t, zapcore.InfoLevel, expired[0].Level)
		assert.Contains(t, []any{`{job="j"}`, `{job="k"}`}, expired[0].ContextMap()["grouping_key"])
		assert.EqualValues(t, 2, expired[0].ContextMap()["groups"])
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestRefusalsNameTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		r := newRememberingWith(t, zap.New(core), store.Options{}, nil)
		_, o := r.Begin(t.Context(), "DELETE")
		o.From("/metrics/job/ü", "192.0.2.1:1234")
		o.Key(groupingkey.Key{Job: "ü"})
		o.End(Refuse(ReasonMethod, errors.New("no")))
		lines := logs.FilterMessage("Push refused").All()
		require.Len(t, lines, 1)
		assert.Equal(t, map[string]any{
			"method": "DELETE", "path": "/metrics/job/%C3%BC", "client_address": "192.0.2.1:1234", "error": "no", "grouping_key": `{job="ü"}`, "reason": "method",
		}, lines[0].ContextMap())
		require.NoError(t, r.Shutdown(t.Context()))
	})
}
