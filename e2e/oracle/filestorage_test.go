// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// TestFileStorage brings groups back from the storage extension that most collectors have, after each of several restarts.
func TestFileStorage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(12, 1))
	s, o := openStore(t, dir), options(t)
	paths := []string{"job/a", "job/b/x/1", "job/c/instance/i", "job/d"}
	everPending := false
	for i := range 120 {
		key := pushtest.Key(t, paths[r.IntN(len(paths))])
		switch r.IntN(8) {
		case 0:
			require.NoError(t, s.Delete(t.Context(), key))
		case 1:
			exportSome(t, r, s)
		default:
			push := pushtest.Random(r, key)
			var families []*store.Family
			for _, f := range push.Families {
				push.WithFamily(f, func(md pmetric.Metrics) {
					family, err := o.NewFamily(f.Name, f.Type.String(), md)
					require.NoError(t, err)
					families = append(families, family)
				})
			}
			// Some clash with what the group has, which changes nothing.
			_ = s.Push(t.Context(), key, families, r.IntN(2) == 0, time.Now())
		}
		if i%10 == 0 {
			want, pending := heldBy(t, s), s.Counts().Pending
			require.NoError(t, s.Close(t.Context()))
			s = openStore(t, dir)
			require.Equal(t, want, heldBy(t, s))
			// A record of markers stays until all its series are accepted, so that some are pending again.
			require.GreaterOrEqual(t, s.Counts().Pending, pending)
			everPending = everPending || pending > 0
		}
	}
	assert.True(t, everPending)
	require.NoError(t, s.Close(t.Context()))
}

// exportSome claims two groups and accepts most of their parts.
func exportSome(t *testing.T, r *rand.Rand, s *memory.Store) {
	t.Helper()
	claim, _ := s.Claim(t.Context(), store.Limits{Groups: 2, Series: 1000, Bytes: 1 << 20})
	if claim == nil {
		return
	}
	for _, part := range claim.Parts {
		part.Outcome.Tried, part.Outcome.Accepted = true, r.IntN(4) > 0
	}
	require.NoError(t, s.Settle(t.Context(), claim))
}

func openStore(t *testing.T, dir string) *memory.Store {
	t.Helper()
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = dir
	ext, err := factory.Create(t.Context(), extension.Settings{
		ID: component.NewID(factory.Type()), TelemetrySettings: component.TelemetrySettings{Logger: zap.NewNop()},
	}, config)
	require.NoError(t, err)
	require.NoError(t, ext.Start(t.Context(), componenttest.NewNopHost()))
	client, err := ext.(storage.Extension).GetClient(t.Context(), component.KindReceiver, component.MustNewID("pushgateway"), "")
	require.NoError(t, err)
	s := memory.New(options(t), client)
	require.NoError(t, s.Restore(t.Context()))
	return s
}

func options(t *testing.T) store.Options {
	t.Helper()
	return store.Options{
		Scope: pushtest.Scope, Now: time.Now, Tick: time.Now,
		StorageFailed: func(operation store.Operation, err error) { assert.NoError(t, err, operation) },
	}
}

// heldBy is what a store holds of each group.
func heldBy(t *testing.T, s *memory.Store) map[string][]int {
	t.Helper()
	held := map[string][]int{}
	for snapshot, err := range s.Snapshots(t.Context()) {
		require.NoError(t, err)
		at := []int{int(snapshot.PushTime.UnixNano()), int(snapshot.PushFailureTime.UnixNano())}
		for _, f := range snapshot.Families {
			encoded, _ := new(pmetric.ProtoMarshaler).MarshalMetrics(f.Metrics())
			at = append(at, int(f.PushTime.UnixNano()), len(encoded))
		}
		held[snapshot.Key.String()] = at
	}
	return held
}
