// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
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

// options are those of a store of which nothing is limited, with push times.
func options() store.Options {
	return store.Options{Scope: pushtest.Scope, PushTimes: pushTimes}
}

func pushTimes(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	return translate.PushTimes(key, pushtest.Options(), pushed, failed)
}

// restored is a store on what a client has.
func restored(tb testing.TB, c storage.Client) (*store.Store, *failures) {
	tb.Helper()
	failed := &failures{}
	o := options()
	o.Client, o.StorageFailed = c, failed.report
	s := store.New(o)
	require.NoError(tb, s.Restore(tb.Context()))
	return s, failed
}

// familiesOf encodes the families of a push.
func familiesOf(tb testing.TB, s *store.Store, push *translate.Push) (families []*store.Family) {
	tb.Helper()
	for _, f := range push.Families {
		push.With(f, func(md pmetric.Metrics) {
			family, err := s.NewFamily(f.Name, f.Type.String(), md)
			require.NoError(tb, err)
			families = append(families, family)
		})
	}
	return families
}

// do carries out a step: PUT, POST, FAIL, DELETE or SETTLE, the group and what is pushed, at second n.
//
//	POST job/j a b{x="1"} h:1,2 s|0.5 -e
//
// is a push of two numbers, a histogram with two bounds, a summary with one quantile and a family without series.
func do(tb testing.TB, s *store.Store, n int, step string) error {
	tb.Helper()
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
		_, err := s.Delete(tb.Context(), key)
		return err
	case "SETTLE":
		for markers := range s.Owed(key) {
			if err := s.Settle(tb.Context(), key, markers, at(n)); err != nil {
				return err
			}
		}
		return nil
	default:
		require.Fail(tb, "unknown step "+step)
		return nil
	}
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

// shown is what a store holds, a line for each group: its families, or none if it is deleted, and the markers that it owes.
func shown(tb testing.TB, s *store.Store) (lines []string) {
	tb.Helper()
	requireSound(tb, s)
	alive := map[string]string{}
	for snapshot := range s.Snapshots() {
		line := "lives"
		for _, f := range snapshot.Families {
			line += " " + f.Name
		}
		alive[snapshot.Key.String()] = line
	}
	for _, key := range s.Keys(0, 1) {
		line, owed := alive[key.String()], spelledMarkers(owedBy(s, key))
		if line == "" {
			line = "deleted"
		}
		if len(owed) > 0 {
			line += ", owes " + strings.Join(owed, " ")
		}
		lines = append(lines, strings.TrimPrefix(key.Path(true), "/metrics/")+" "+line)
	}
	slices.Sort(lines)
	return lines
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
func requireSound(tb testing.TB, s *store.Store) {
	tb.Helper()
	want, err := s.Recount()
	require.NoError(tb, err)
	require.Equal(tb, want, s.Counts())
}

// owedBy are all markers that a group owes.
func owedBy(s *store.Store, key groupingkey.Key) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for markers := range s.Owed(key) {
		series.Join(md, markers.Metrics())
	}
	return md
}

// state is all that a store holds, comparable.
type state map[string]groupState

type groupState struct {
	Alive          bool
	Pushed, Failed int64
	Families       []string
	Owed           []series.Hash
	Times          []series.Hash
}

func stateOf(tb testing.TB, s *store.Store) state {
	tb.Helper()
	requireSound(tb, s)
	all := state{}
	for _, key := range s.Keys(0, 1) {
		all[key.Path(true)] = groupState{
			Owed:  sortedSeries(owedBy(s, key)),
			Times: sortedSeries(s.PushTimes(key)),
		}
	}
	for snapshot := range s.Snapshots() {
		g := all[snapshot.Key.Path(true)]
		g.Alive, g.Pushed, g.Failed = true, unix(snapshot.PushTime), unix(snapshot.PushFailureTime)
		for _, f := range snapshot.Families {
			text, err := new(pmetric.JSONMarshaler).MarshalMetrics(f.Metrics())
			assert.NoError(tb, err)
			g.Families = append(g.Families, fmt.Sprint(f.Name, f.Type, unix(f.PushTime), string(text)))
		}
		all[snapshot.Key.Path(true)] = g
	}
	return all
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
