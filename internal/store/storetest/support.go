// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

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
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// At is n seconds after some time.
func At(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 123) }

// Failures are those that a store reported.
type Failures struct {
	mu  sync.Mutex
	All []string
}

// Report is for store.Options.
func (f *Failures) Report(operation store.Operation, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.All = append(f.All, string(operation)+" "+err.Error())
}

// List returns what was reported so far.
func (f *Failures) List() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.All)
}

// Count is the number of failures so far.
func (f *Failures) Count() int { return len(f.List()) }

// Clock is a time of day that tests set. It never goes back.
type Clock struct {
	// OnSet is called with each new time.
	OnSet func(time.Time)

	mu        sync.Mutex
	day, last time.Time
}

// NewClock returns a clock at At(0).
func NewClock() *Clock { return &Clock{day: At(0)} }

// Now returns the time of day.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.day
}

// Set sets the time of day, unless it is later already.
func (c *Clock) Set(day time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !day.After(c.day) {
		return
	}
	c.day = day
	if c.OnSet != nil {
		c.OnSet(day)
	}
}

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) { c.Set(c.Now().Add(d)) }

// Tick gives out whole milliseconds, each later than the one before.
func (c *Clock) Tick() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.UnixMilli(max(c.day.UnixMilli(), c.last.UnixMilli()+1))
	return c.last
}

// Store is a store with its clock.
type Store struct {
	store.Store
	*Clock

	Options store.Options
	// Held lists all groups, and Recount counts what is held anew. Its error is the first invariant that is broken.
	Held    func() []HeldGroup
	Recount func() (store.Counts, error)
	// RequireDurable holds the store to what a restart restores.
	RequireDurable func(testing.TB)
	// RequireExact wants nothing else to be restored.
	RequireExact func(testing.TB)
	// OneClaim says that only one claim of these groups is possible at once.
	OneClaim bool
}

// HeldGroup is a group, also one that only has pending markers.
type HeldGroup struct {
	Key     groupingkey.Key
	Alive   bool
	Times   []series.Hash
	Pending []pmetric.Metrics // the markers that are pending, a part each
	Stored  []series.Hash     // the series of all markers that a restart restores, unless somebody has them
}

// Open opens an empty store and restores it. The store ends with the test.
type Open func(testing.TB, store.Options) *Store

// SnapshotsOf lists what readers see.
func SnapshotsOf(tb testing.TB, s *Store) []store.Snapshot {
	tb.Helper()
	var snapshots []store.Snapshot
	for snapshot, err := range s.Snapshots(tb.Context()) {
		require.NoError(tb, err)
		snapshots = append(snapshots, snapshot)
	}
	return snapshots
}

// DefaultOptions are those of a store of which nothing is limited, with push times and without rounds.
func DefaultOptions() store.Options {
	return store.Options{Scope: pushtest.Scope, PushTimes: PushTimes}
}

func PushTimes(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	return translate.PushTimes(key, pushtest.Options(), pushed, failed)
}

// FamiliesOf encodes the families of a push.
func FamiliesOf(tb testing.TB, s *Store, push *translate.Push) (families []*store.Family) {
	tb.Helper()
	for _, f := range push.Families {
		push.WithFamily(f, func(md pmetric.Metrics) {
			family, err := s.Options.NewFamily(f.Name, f.Type.String(), md)
			require.NoError(tb, err)
			families = append(families, family)
		})
	}
	return families
}

// Do carries out a step at second n and then exports all values, but no markers. A step is PUT, POST, FAIL, DELETE or SETTLE, the group
// and what is pushed:
//
//	POST job/j a b{x="1"} h:1,2 s|0.5 -e
//
// is a push of two numbers, a histogram with two bounds, a summary with one quantile and a family without series. SETTLE exports the
// group with its markers.
func Do(tb testing.TB, s *Store, n int, step string) error {
	tb.Helper()
	if path, ok := strings.CutPrefix(step, "SETTLE "); ok {
		return Settle(tb, s, path)
	}
	if err := Change(tb, s, n, step); err != nil {
		return err
	}
	ExportValues(tb, s)
	return nil
}

// Change carries out a step and exports nothing.
func Change(tb testing.TB, s *Store, n int, step string) error {
	tb.Helper()
	s.Set(At(n))
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
		push := pushtest.Text(tb, fields[1], Body(metrics))
		return s.Push(tb.Context(), key, FamiliesOf(tb, s, push), verb == "PUT", At(n), emptied...)
	case "FAIL":
		return s.Fail(tb.Context(), key, At(n))
	case "DELETE":
		return s.Delete(tb.Context(), key)
	default:
		require.Fail(tb, "unknown step "+step)
		return nil
	}
}

// All is a claim of all that is due.
var All = store.Limits{Groups: math.MaxInt, Series: math.MaxInt, Bytes: math.MaxInt64}

var ErrRefused = errors.New("refused by the test")

// Accepted and Refused are outcomes of a part. What is Refused is due again at once.
var (
	Accepted = store.Outcome{Tried: true, Accepted: true}
	Refused  = store.Outcome{Tried: true, Err: ErrRefused}
)

// Export claims all that is due and settles it with the outcome of each part.
func Export(tb testing.TB, s *Store, outcome func(*store.Part) store.Outcome) error {
	tb.Helper()
	claim, _ := s.Claim(tb.Context(), All)
	if claim == nil {
		return nil
	}
	for _, p := range claim.Parts {
		p.Outcome = outcome(p)
	}
	return s.Settle(tb.Context(), claim)
}

// ExportValues exports all that is due, but for markers, which are refused.
func ExportValues(tb testing.TB, s *Store) {
	tb.Helper()
	_ = Export(tb, s, func(p *store.Part) store.Outcome { // Only what was accepted before can fail to be stored.
		if IsMarkers(p) {
			return Refused
		}
		return Accepted
	})
}

func IsMarkers(p *store.Part) bool { return p.Name() == "stale markers" }

// Settle exports the group of that path alone. It may have been restored, and be due within a round.
func Settle(tb testing.TB, s *Store, path string) error {
	tb.Helper()
	s.Pass(time.Minute)
	key := pushtest.Key(tb, path)
	return Export(tb, s, func(p *store.Part) store.Outcome {
		if p.Key.Path(true) == key.Path(true) {
			return Accepted
		}
		return store.Outcome{}
	})
}

// Body is a push of the metrics of a step.
func Body(metrics []string) string {
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

// Shown is what a store holds, a line for each group: its families, or none if it is deleted, and its pending markers.
func Shown(tb testing.TB, s *Store) (lines []string) {
	tb.Helper()
	RequireSound(tb, s)
	alive := map[string]string{}
	for _, snapshot := range SnapshotsOf(tb, s) {
		line := "lives"
		for _, f := range snapshot.Families {
			line += " " + f.Name
		}
		alive[snapshot.Key.String()] = line
	}
	for _, g := range s.Held() {
		line, pending := alive[g.Key.String()], spelledMarkers(Joined(g.Pending))
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

func Joined(all []pmetric.Metrics) pmetric.Metrics {
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

// RequireSound holds the store to its invariants.
func RequireSound(tb testing.TB, s *Store) {
	tb.Helper()
	want, err := s.Recount()
	require.NoError(tb, err)
	require.Equal(tb, want, s.Counts())
}

// PendingOf are all pending markers of a group.
func PendingOf(s *Store, path string) pmetric.Metrics {
	for _, g := range s.Held() {
		if strings.TrimPrefix(g.Key.Path(true), "/metrics/") == path {
			return Joined(g.Pending)
		}
	}
	return pmetric.NewMetrics()
}

// State is all that a store holds, comparable.
type State struct {
	Groups  map[string]GroupState    // those that are visible, by path
	Pending map[string][]series.Hash // by path
}

type GroupState struct {
	Pushed, Failed int64
	Families       []string
	Times          []series.Hash
}

func StateOf(tb testing.TB, s *Store) State {
	tb.Helper()
	RequireSound(tb, s)
	all := State{Groups: map[string]GroupState{}, Pending: map[string][]series.Hash{}}
	times := map[string][]series.Hash{}
	for _, g := range s.Held() {
		path := g.Key.Path(true)
		times[path] = g.Times
		if pending := SortedSeries(Joined(g.Pending)); len(pending) > 0 {
			all.Pending[path] = pending
		}
	}
	for _, snapshot := range SnapshotsOf(tb, s) {
		path := snapshot.Key.Path(true)
		g := GroupState{Pushed: unix(snapshot.PushTime), Failed: unix(snapshot.PushFailureTime), Times: times[path]}
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
func (s State) PendingSeries() map[series.Hash]bool {
	all := map[series.Hash]bool{}
	for _, hashes := range s.Pending {
		for _, h := range hashes {
			all[h] = true
		}
	}
	return all
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func SortedSeries(md pmetric.Metrics) []series.Hash {
	return slices.Sorted(slices.Values(series.Append(nil, md, pushtest.Scope)))
}
