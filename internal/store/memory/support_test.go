// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the tests of the contract have, too.
type (
	testStore  = storetest.Store
	failures   = storetest.Failures
	state      = storetest.State
	groupState = storetest.GroupState
)

var (
	at           = storetest.At
	options      = storetest.DefaultOptions
	body         = storetest.Body
	do           = storetest.Do
	change       = storetest.Change
	changes      = storetest.Changes
	export       = storetest.Export
	exportValues = storetest.ExportValues
	exported     = storetest.Exported
	settle       = storetest.Settle
	claimed      = storetest.Claimed
	settleAll    = storetest.SettleAll
	shown        = storetest.Shown
	stateOf      = storetest.StateOf
	spelled      = storetest.Spelled
	pendingOf    = storetest.PendingOf
	snapshotsOf  = storetest.SnapshotsOf
	familiesOf   = storetest.FamiliesOf
	sortedSeries = storetest.SortedSeries
	expired      = storetest.Expired
	bothParts    = storetest.BothParts
	kindsOf      = storetest.KindsOf
	many         = storetest.Many
	randomChange = storetest.RandomChange
	changeOf     = storetest.ChangeOf
	stepOf       = storetest.StepOf

	newBackend   = storetest.NewBackend
	exportSome   = storetest.ExportSome
	drain        = storetest.Drain
	concurrently = storetest.Concurrently
	requireShown = storetest.RequireShown
	aggregating  = storetest.Aggregating
	contribution = storetest.ContributionOf
	contribute   = storetest.Contribute
	text         = storetest.Text
	values       = storetest.Values

	requireSound      = storetest.RequireSound
	requireNothingDue = storetest.RequireNothingDue

	all      = storetest.All
	accepted = storetest.Accepted
	refused  = storetest.Refused
	paths    = storetest.Paths
)

const times = storetest.Times

type randomStep = storetest.RandomStep

func newStore(o store.Options) *testStore { return newStoreOn(nil, o) }

// newStoreOn is a store on what a client has, before it is restored.
func newStoreOn(client storage.Client, o store.Options) *testStore {
	c := storetest.NewClock()
	o.Now, o.Tick = c.Now, c.Tick
	m := memory.New(o, client)
	return &testStore{
		Store: m, Clock: c, Options: o, Held: m.Held, Recount: m.Recount, RequireDurable: func(testing.TB) {}, RequireExact: func(testing.TB) {},
	}
}

// TestContract tests groups in memory only, and with a storage.
func TestContract(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		storetest.Run(t, func(_ testing.TB, o store.Options) *testStore { return newStore(o) })
	})
	t.Run("storage", func(t *testing.T) {
		storetest.Run(t, func(tb testing.TB, o store.Options) *testStore {
			c := newClient(map[string][]byte{})
			s, _ := restoredWith(tb, c, o)
			s.RequireDurable = func(tb testing.TB) { requireRestored(tb, s, c.crashed()) }
			s.RequireExact = func(tb testing.TB) { require.Equal(tb, stateOf(tb, s), reopened(tb, c.crashed())) }
			return s
		})
	})
}

// memoryOf is the implementation of a store.
func memoryOf(s *testStore) *memory.Store { return s.Store.(*memory.Store) }

// restored is a store on what a client has.
func restored(tb testing.TB, c storage.Client) (*testStore, *failures) {
	tb.Helper()
	return restoredWith(tb, c, options())
}

func restoredWith(tb testing.TB, c storage.Client, o store.Options) (*testStore, *failures) {
	tb.Helper()
	failed := &failures{}
	o.StorageFailed = failed.Report
	s := newStoreOn(c, o)
	require.NoError(tb, s.Restore(tb.Context()))
	return s, failed
}

// storedMarkers are the series that a restart may find markers of.
func storedMarkers(s *testStore) map[series.Hash]bool {
	all := map[series.Hash]bool{}
	for _, g := range s.Held() {
		for _, h := range g.Stored {
			all[h] = true
		}
	}
	return all
}

// requireRestored compares what a restart restores with what there is. Each pending marker is still pending then, and so are perhaps
// markers of which a part was accepted, or whose series was taken over and has gone since.
func requireRestored(tb testing.TB, s *testStore, records map[string][]byte) {
	tb.Helper()
	want, got, stored := stateOf(tb, s), reopened(tb, records), storedMarkers(s)
	require.Equal(tb, want.Groups, got.Groups)
	again := got.PendingSeries()
	for h := range want.PendingSeries() {
		require.Contains(tb, again, h)
	}
	for h := range again {
		require.Contains(tb, stored, h)
	}
}
