// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/prometheusremotewrite"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// TestSeriesAreTheExporters compares what package series knows of random pushes with what the remote write exporter writes:
// one hash for each series, and for each subset of them markers that end exactly these.
func TestSeriesAreTheExporters(t *testing.T) {
	t.Parallel()
	for i := range 1000 {
		r := rand.New(rand.NewPCG(3, uint64(i)))
		key := pushtest.Key(t, []string{"job/j", "job/j/instance/i", "job/j/zone/z", "job/j/otel_scope_attr/1"}[i%4])
		md := pushtest.Random(r, key).Metrics
		written := exported(t, md)
		if otherwiseScoped(md) {
			continue
		}
		hashes := series.Append(nil, md, pushtest.Scope)
		require.Len(t, hashes, len(written), "push %d", i)
		require.Len(t, distinct(hashes), len(written), "push %d", i)

		names := named(t, md)
		gone := map[series.Hash]bool{}
		for _, h := range hashes {
			gone[h] = r.IntN(3) > 0
		}
		if i%7 == 0 {
			gone = everything(hashes)
		}
		most := 1 + r.IntN(20)
		markers := markersOf(md, func(h series.Hash) bool { return gone[h] }, most)
		requireEnds(t, markers, wanted(names, gone))

		again := map[series.Hash]bool{}
		for _, h := range series.Append(nil, markers, pushtest.Scope) {
			assert.True(t, gone[h])
			again[h] = r.IntN(2) == 0
		}
		requireEnds(t, markersOf(markers, func(h series.Hash) bool { return again[h] }, most), wanted(names, again))
	}
}

// markersOf joins the parts in which markers come.
func markersOf(md pmetric.Metrics, gone func(series.Hash) bool, most int) pmetric.Metrics {
	all := pmetric.NewMetrics()
	for part := range series.Markers(slices.Values([]pmetric.Metrics{md}), pushtest.Scope, gone, most) {
		series.AppendMetrics(all, part)
	}
	return all
}

// otherwiseScoped tells whether pushed labels name the receiver's own scope, whose series have no scope labels here, while
// the exporter writes some.
func otherwiseScoped(md pmetric.Metrics) bool {
	seen := 0
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			if sm.Scope().Name() == pushtest.Scope && sm.Scope().Attributes().Len() == 0 {
				seen++
			}
		}
	}
	return seen > 1
}

func everything(hashes []series.Hash) map[series.Hash]bool {
	all := map[series.Hash]bool{}
	for _, h := range hashes {
		all[h] = true
	}
	return all
}

func distinct(hashes []series.Hash) []series.Hash {
	sorted := slices.Sorted(slices.Values(hashes))
	return slices.Compact(sorted)
}

// named finds out which hash stands for which series, by ending one after the other.
func named(t *testing.T, md pmetric.Metrics) map[series.Hash]string {
	names := map[series.Hash]string{}
	for _, h := range series.Append(nil, md, pushtest.Scope) {
		ended := exported(t, markersOf(md, func(other series.Hash) bool { return other == h }, 1))
		require.Len(t, ended, 1)
		for name := range ended {
			names[h] = name
		}
	}
	all := exported(t, md)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(all)), slices.Collect(maps.Values(names)))
	return names
}

func wanted(names map[series.Hash]string, gone map[series.Hash]bool) (ended []string) {
	for h, name := range names {
		if gone[h] {
			ended = append(ended, name)
		}
	}
	return ended
}

// requireEnds holds markers to ending exactly these series, each once.
func requireEnds(t *testing.T, markers pmetric.Metrics, want []string) {
	t.Helper()
	got := exported(t, markers)
	require.ElementsMatch(t, want, slices.Collect(maps.Keys(got)))
	for name, ts := range got {
		require.Equal(t, 1, len(ts.Samples)+len(ts.Histograms), name)
		for _, s := range ts.Samples {
			require.True(t, value.IsStaleNaN(s.Value), name)
		}
		for i := range ts.Histograms {
			require.True(t, value.IsStaleNaN(ts.Histograms[i].Sum), name)
		}
	}
}

// exported is what the remote write exporter writes, by labels. The names of the receiver's own scope are left out.
func exported(t *testing.T, md pmetric.Metrics) map[string]*prompb.TimeSeries {
	t.Helper()
	md = pushtest.Copied(md)
	translate.Stamp(md, time.UnixMilli(1))
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			if sm.Scope().Name() == pushtest.Scope && sm.Scope().Attributes().Len() == 0 {
				sm.Scope().SetName("")
				sm.Scope().SetVersion("")
			}
		}
	}
	written, err := prometheusremotewrite.FromMetrics(md, prometheusremotewrite.Settings{
		TranslationStrategy: "NoTranslation", DisableTargetInfo: true,
	})
	require.NoError(t, err)
	byLabels := map[string]*prompb.TimeSeries{}
	for _, ts := range written {
		labels := spelled(ts.Labels)
		require.NotContains(t, byLabels, labels)
		byLabels[labels] = ts
	}
	return byLabels
}

func spelled(labels []prompb.Label) string {
	var pairs []string
	for _, l := range labels {
		pairs = append(pairs, fmt.Sprintf("%s=%q", l.Name, l.Value))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// TestMarkersOfEachTypeChange ends what a change of type ends, and nothing else.
func TestMarkersOfEachTypeChange(t *testing.T) {
	t.Parallel()
	for i := range 500 {
		r := rand.New(rand.NewPCG(4, uint64(i)))
		key := pushtest.Key(t, "job/j")
		before, after := pushtest.Random(r, key).Metrics, pushtest.Random(r, key).Metrics
		if otherwiseScoped(before) || otherwiseScoped(after) {
			continue
		}
		stays := everything(series.Append(nil, after, pushtest.Scope))
		markers := markersOf(before, func(h series.Hash) bool { return !stays[h] }, 1+r.IntN(20))
		var want []string
		held := exported(t, after)
		for name := range exported(t, before) {
			if held[name] == nil {
				want = append(want, name)
			}
		}
		requireEnds(t, markers, want)
	}
}
