// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is n seconds after some time.
func at(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 123) }

// failures are those that a store reported.
type failures struct {
	mu  sync.Mutex
	all []string
}

func (f *failures) report(operation store.Operation, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, string(operation)+" "+err.Error())
}

// clock is a time of day that tests set. It never goes back.
type clock struct {
	mu        sync.Mutex
	day, last time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.day
}

// set sets the time of day, unless it is later already.
func (c *clock) set(day time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if day.After(c.day) {
		c.day = day
	}
}

func (c *clock) pass(d time.Duration) { c.set(c.now().Add(d)) }

// tick gives out whole milliseconds, each later than the one before.
func (c *clock) tick() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.UnixMilli(max(c.day.UnixMilli(), c.last.UnixMilli()+1))
	return c.last
}

// testStore is a store with its clock.
type testStore struct {
	*memory.Store
	*clock

	options store.Options
}

func newStore(o store.Options) *testStore { return newStoreOn(nil, o) }

// newStoreOn is a store on what a client has, before it is restored.
func newStoreOn(client storage.Client, o store.Options) *testStore {
	c := &clock{day: at(0)}
	o.Now, o.Tick = c.now, c.tick
	return &testStore{memory.New(o, client), c, o}
}

// snapshotsOf lists what readers see.
func snapshotsOf(tb testing.TB, s *testStore) []store.Snapshot {
	tb.Helper()
	snapshots, err := s.Snapshots(tb.Context())
	require.NoError(tb, err)
	return snapshots
}

// options are those of a store of which nothing is limited, with push times and without rounds.
func options() store.Options {
	return store.Options{Scope: pushtest.Scope, PushTimes: pushTimes}
}

func pushTimes(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	return translate.PushTimes(key, pushtest.Options(), pushed, failed)
}

// restored is a store on what a client has.
func restored(tb testing.TB, c storage.Client) (*testStore, *failures) {
	tb.Helper()
	return restoredWith(tb, c, options())
}

func restoredWith(tb testing.TB, c storage.Client, o store.Options) (*testStore, *failures) {
	tb.Helper()
	failed := &failures{}
	o.StorageFailed = failed.report
	s := newStoreOn(c, o)
	require.NoError(tb, s.Restore(tb.Context()))
	return s, failed
}

// familiesOf encodes the families of a push.
func familiesOf(tb testing.TB, s *testStore, push *translate.Push) (families []*store.Family) {
	tb.Helper()
	for _, f := range push.Families {
		push.WithFamily(f, func(md pmetric.Metrics) {
			family, err := s.options.NewFamily(f.Name, f.Type.String(), md)
			require.NoError(tb, err)
			families = append(families, family)
		})
	}
	return families
}

// do carries out a step at second n and then exports all values, but no markers. A step is PUT, POST, FAIL, DELETE or SETTLE, the group
// and what is pushed:
//
//	POST job/j a b{x="1"} h:1,2 s|0.5 -e
//
// is a push of two numbers, a histogram with two bounds, a summary with one quantile and a family without series. SETTLE exports the
// group with its markers.
func do(tb testing.TB, s *testStore, n int, step string) error {
	tb.Helper()
	if path, ok := strings.CutPrefix(step, "SETTLE "); ok {
		return settle(tb, s, path)
	}
	if err := change(tb, s, n, step); err != nil {
		return err
	}
	exportValues(tb, s)
	return nil
}

// change carries out a step and exports nothing.
func change(tb testing.TB, s *testStore, n int, step string) error {
	tb.Helper()
	s.set(at(n))
	fields := strings.Fields(step)
	key := pushtest.Key(tb, fields[1])
	switch verb := fields[0]; verb {
	case "PUT", "POST":
		metrics, emptied := fields[2:], []string(nil)
		for i, m := range slices.Backward(metrics) {
			if name, ok := strings.CutPrefix(m, "-"); ok {
				metrics, emptied = slices.Delete(metrics, i, i+1), append(emptied, name)
			}
		}
		push := pushtest.Text(tb, fields[1], body(metrics))
		return s.Push(tb.Context(), key, familiesOf(tb, s, push), verb == "PUT", at(n), emptied...)
	case "FAIL":
		return s.Fail(tb.Context(), key, at(n))
	case "DELETE":
		return s.Delete(tb.Context(), key)
	default:
		require.Fail(tb, "unknown step "+step)
		return nil
	}
}

// all is a claim of all that is due.
var all = store.Limits{Groups: math.MaxInt, Series: math.MaxInt, Bytes: math.MaxInt64}

var errRefused = errors.New("refused by the test")

// accepted and refused are outcomes of a part. What is refused is due again at once.
var (
	accepted = store.Outcome{Tried: true, Accepted: true}
	refused  = store.Outcome{Tried: true, Err: errRefused}
)

// export claims all that is due and settles it with the outcome of each part.
func export(tb testing.TB, s *testStore, outcome func(*store.Part) store.Outcome) error {
	tb.Helper()
	claim, _ := s.Claim(tb.Context(), all)
	if claim == nil {
		return nil
	}
	for _, p := range claim.Parts {
		p.Outcome = outcome(p)
	}
	return s.Settle(tb.Context(), claim)
}

// exportValues exports all that is due, but for markers, which are refused.
func exportValues(tb testing.TB, s *testStore) {
	tb.Helper()
	_ = export(tb, s, func(p *store.Part) store.Outcome { // Only what was accepted before can fail to be stored.
		if isMarkers(p) {
			return refused
		}
		return accepted
	})
}

func isMarkers(p *store.Part) bool { return p.Name() == "stale markers" }

// settle exports the group of that path alone. It may have been restored, and be due within a round.
func settle(tb testing.TB, s *testStore, path string) error {
	tb.Helper()
	s.pass(memory.FirstRound)
	key := pushtest.Key(tb, path)
	return export(tb, s, func(p *store.Part) store.Outcome {
		if p.Key.Path(true) == key.Path(true) {
			return accepted
		}
		return store.Outcome{}
	})
}

func body(metrics []string) string {
	var b strings.Builder
	for _, m := range metrics {
		if name, bounds, ok := strings.Cut(m, ":"); ok {
			fmt.Fprintf(&b, "# TYPE %s histogram\n%s_count 1\n", name, name)
			for bound := range strings.SplitSeq(bounds, ",") {
				fmt.Fprintf(&b, "%s_bucket{le=%q} 1\n", name, bound)
			}
		} else if name, quantiles, ok := strings.Cut(m, "|"); ok {
			fmt.Fprintf(&b, "# TYPE %s summary\n%s_count 1\n", name, name)
			for q := range strings.SplitSeq(quantiles, ",") {
				fmt.Fprintf(&b, "%s{quantile=%q} 1\n", name, q)
			}
		} else {
			fmt.Fprintf(&b, "%s 1\n", m)
		}
	}
	return b.String()
}

// shown is what a store holds, a line for each group: its families, or none if it is deleted, and its pending markers.
func shown(tb testing.TB, s *testStore) (lines []string) {
	tb.Helper()
	requireSound(tb, s)
	alive := map[string]string{}
	for _, snapshot := range snapshotsOf(tb, s) {
		line := "lives"
		for _, f := range snapshot.Families {
			line += " " + f.Name
		}
		alive[snapshot.Key.String()] = line
	}
	for _, g := range s.Held() {
		line, pending := alive[g.Key.String()], spelledMarkers(joined(g.Pending))
		if line == "" {
			line = "deleted"
		}
		if len(pending) > 0 {
			line += ", pending " + strings.Join(pending, " ")
		}
		lines = append(lines, strings.TrimPrefix(g.Key.Path(true), "/metrics/")+" "+line)
	}
	slices.Sort(lines)
	return lines
}

func joined(all []pmetric.Metrics) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, part := range all {
		series.AppendMetrics(md, part)
	}
	return md
}

// spelledMarkers are the names and attributes of markers.
func spelledMarkers(md pmetric.Metrics) (all []string) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				name := m.Name()
				if m.Type() == pmetric.MetricTypeGauge {
					for k, v := range m.Gauge().DataPoints().At(0).Attributes().All() {
						name += fmt.Sprintf("{%s=%q}", k, v.Str())
					}
				}
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

// requireSound holds the store to its invariants.
func requireSound(tb testing.TB, s *testStore) {
	tb.Helper()
	want, err := s.Recount()
	require.NoError(tb, err)
	require.Equal(tb, want, s.Counts())
}

// pendingOf are all pending markers of a group.
func pendingOf(s *testStore, path string) pmetric.Metrics {
	for _, g := range s.Held() {
		if strings.TrimPrefix(g.Key.Path(true), "/metrics/") == path {
			return joined(g.Pending)
		}
	}
	return pmetric.NewMetrics()
}

// state is all that a store holds, comparable.
type state struct {
	Groups  map[string]groupState    // those that are visible, by path
	Pending map[string][]series.Hash // by path
}

type groupState struct {
	Pushed, Failed int64
	Families       []string
	Times          []series.Hash
}

func stateOf(tb testing.TB, s *testStore) state {
	tb.Helper()
	requireSound(tb, s)
	all := state{Groups: map[string]groupState{}, Pending: map[string][]series.Hash{}}
	times := map[string][]series.Hash{}
	for _, g := range s.Held() {
		path := g.Key.Path(true)
		times[path] = g.Times
		if pending := sortedSeries(joined(g.Pending)); len(pending) > 0 {
			all.Pending[path] = pending
		}
	}
	for _, snapshot := range snapshotsOf(tb, s) {
		path := snapshot.Key.Path(true)
		g := groupState{Pushed: unix(snapshot.PushTime), Failed: unix(snapshot.PushFailureTime), Times: times[path]}
		for _, f := range snapshot.Families {
			text, err := new(pmetric.JSONMarshaler).MarshalMetrics(f.Metrics())
			assert.NoError(tb, err)
			g.Families = append(g.Families, fmt.Sprint(f.Name, f.Type, unix(f.PushTime), string(text)))
		}
		all.Groups[path] = g
	}
	return all
}

// pending are the series that are pending in any group.
func (s state) pending() map[series.Hash]bool {
	all := map[series.Hash]bool{}
	for _, hashes := range s.Pending {
		for _, h := range hashes {
			all[h] = true
		}
	}
	return all
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
	again := got.pending()
	for h := range want.pending() {
		require.Contains(tb, again, h)
	}
	for h := range again {
		require.Contains(tb, stored, h)
	}
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func sortedSeries(md pmetric.Metrics) []series.Hash {
	return slices.Sorted(slices.Values(series.Append(nil, md, pushtest.Scope)))
}
