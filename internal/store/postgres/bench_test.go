// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// BenchmarkSearch searches 100,000 groups: pages, pages with words, the jobs, one group, and reads all of them.
func BenchmarkSearch(b *testing.B) {
	var failures storetest.Failures
	s, o := production(b, settings(database(b)), &failures)
	require.NoError(b, s.Restore(b.Context()))
	families := storetest.FamiliesOf(b, &storetest.Store{Options: o}, pushtest.Text(b, "job/j", "metric_a 1\n"))
	keys := make([]groupingkey.Key, 100_000)
	for i := range keys {
		keys[i] = groupingkey.Key{Job: fmt.Sprintf("job-%d", i%500), Labels: []groupingkey.Label{
			{Name: "instance", Value: fmt.Sprintf("db-%d.cluster-3.example.com", i)}, {Name: "zone", Value: fmt.Sprintf("eu-west-%d", i%3)},
		}}
	}
	require.NoError(b, s.Fill(b.Context(), keys, families[0].Encoded))
	words := groupingkey.NewFilter("job-42 zone=eu-west-1 example")
	middle, err := s.Search(b.Context(), store.Query{Order: store.ByPush, Limit: 50_000})
	require.NoError(b, err)
	queries := map[string]store.Query{
		"first page":       {Order: store.ByPush, Descending: true, Limit: 50},
		"page in between":  {Order: store.ByPush, Limit: 200, After: middle.Next},
		"by failure":       {Order: store.ByFailure, Limit: 200},
		"by series":        {Order: store.BySeries, Descending: true, Limit: 50},
		"by size":          {Order: store.BySize, Descending: true, Limit: 50},
		"by name":          {Order: store.ByName, Limit: 50},
		"three words":      {Order: store.ByPush, Limit: 50, Filter: words},
		"three words, job": {Order: store.ByName, Limit: 50, Filter: words, Job: "job-42"},
	}
	measure := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			before, err := server.CPU()
			require.NoError(b, err)
			for b.Loop() {
				require.NoError(b, do())
			}
			after, err := server.CPU()
			require.NoError(b, err)
			b.ReportMetric(float64((after-before).Milliseconds())/float64(b.N), "server-ms/op")
		})
	}
	for name, q := range queries {
		measure(name, func() error {
			_, err := s.Search(b.Context(), q)
			return err
		})
	}
	measure("jobs", func() error {
		_, err := s.Jobs(b.Context())
		return err
	})
	measure("group", func() error {
		_, _, err := s.Group(b.Context(), keys[77])
		return err
	})
	measure("waiting", func() error {
		s.Waiting()
		return nil
	})
	measure("snapshots", func() error {
		for _, err := range s.Snapshots(b.Context()) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	measure("families", func() error {
		for _, err := range s.Families(b.Context(), func(types map[string][]string) (sets [][]string) {
			for name := range types {
				sets = append(sets, []string{name})
			}
			slices.SortFunc(sets, slices.Compare)
			return append(sets, []string{store.EveryGroup})
		}) {
			if err != nil {
				return err
			}
		}
		return nil
	})
}
