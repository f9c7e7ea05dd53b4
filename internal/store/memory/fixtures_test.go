// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
)

// The directories of testdata hold records as a version of the encoding wrote them, a file for each, / in their names
// replaced by _. They are frozen: a receiver must read forever what an earlier one has written. So nothing rewrites them,
// and update only makes a directory that is not there: if the encoding changes, the tests below fail until recordVersion is
// raised, the old version is still read, and the new one has fixtures of its own.
var update = flag.Bool("update", false, "write the fixtures of a version of the encoding that has none")

const (
	fixtures          = "testdata/v1"
	aggregateFixtures = "testdata/v2" // of groups with aggregates
)

func TestFixtures(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(fixtures); os.IsNotExist(err) && *update {
		writeFixtures(t)
	}
	c := newClient(readFixtures(t, fixtures))
	s, failed := restored(t, c)
	require.Empty(t, failed.All)
	assert.Equal(t, []string{
		`job/deleted/U__a_2e_b/x deleted, pending a{a.b="x"} push_failure_time_seconds{a.b="x"} push_time_seconds{a.b="x"}`,
		`job/failed lives`,
		`job@base64/w6k/instance/1/z@base64/= lives c_total e h s, pending h_bucket{le="2"}`,
	}, shown(t, s))
	held := stateOf(t, s).Groups["/metrics/job@base64/w6k/instance/1/z@base64/="]
	assert.Equal(t, at(2).UnixNano(), held.Pushed)
	assert.Equal(t, at(3).UnixNano(), held.Failed)
	assert.Equal(t, strings.Split(strings.TrimSpace(string(readFixture(t, fixtures, "families.txt"))), "\n"), held.Families)
	for name, record := range memoryOf(s).Encoded() {
		assert.Equal(t, string(c.records[name]), string(record), name)
	}
}

func readFixture(t *testing.T, from, name string) []byte {
	t.Helper()
	record, err := os.ReadFile(filepath.Join(from, name))
	require.NoError(t, err)
	return record
}

func readFixtures(t *testing.T, from string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(from + "/pushgateway_*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	records := map[string][]byte{}
	for _, file := range files {
		name := filepath.Base(file)
		records[strings.ReplaceAll(name, "_", "/")] = readFixture(t, from, name)
	}
	return records
}

func writeRecords(t *testing.T, to string, records map[string][]byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o755))
	for name, record := range records {
		require.NoError(t, os.WriteFile(filepath.Join(to, strings.ReplaceAll(name, "/", "_")), record, 0o644))
	}
}

// TestAggregateFixtures has all functions, kinds of points, and what a base and contributions can have.
func TestAggregateFixtures(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(aggregateFixtures); os.IsNotExist(err) && *update {
		c := newClient(map[string][]byte{})
		s, _ := restoredWith(t, c, aggregating())
		for _, step := range []string{
			"PUT folded c 5; h:1=4,+Inf=5 6; g 1; sum_g 1", "DELETE folded", `PUT a c 14; c{x="é"} 0.1; h:2=3,+Inf=3 4; g NaN; sum_g 2; max_g -1; avg_g 1`,
			"PUT a c 2; sum_g 2", "PUT b c 1; max_g 3; avg_g 2",
		} {
			require.NoError(t, contribute(t, s, step))
		}
		require.NoError(t, change(t, s, 1, "PUT job/X n"))
		writeRecords(t, aggregateFixtures, c.records)
	}
	c := newClient(readFixtures(t, aggregateFixtures))
	s, failed := restoredWith(t, c, aggregating())
	require.Empty(t, failed.All)
	assert.Equal(t, "avg_g 2; c 22; c{x=\"é\"} 0.1; g NaN; h [1 2] [4 3 1] 8 10; max_g 3; n 1; sum_g 2", values(t, s))
	assert.Equal(t, 2, s.Counts().Pushers)
	require.NoError(t, contribute(t, s, "PUT b c 1; max_g 3; avg_g 2"))
	require.NoError(t, contribute(t, s, "DELETE a"))
	assert.Equal(t, "avg_g 2; c 22; c{x=\"é\"} 0.1; g NaN; h [1 2] [4 3 1] 8 10; max_g 3; n 1", values(t, s))
}

func writeFixtures(t *testing.T) {
	t.Helper()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	key := pushtest.Key(t, "job/é/z@base64/=/instance/1")
	for i, body := range []string{
		"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n# EOF\n",
		"# TYPE e gaugehistogram\ne_bucket{le=\"+Inf\"} 1.5\ne_gsum 1\ne_gcount 1.5\n# EOF\n",
		"# HELP c help\n# TYPE c counter\nc_total{x=\"1\",otel_scope_name=\"s\",otel_scope_a=\"1\"} 1 # {trace_id=\"1\"} 1 1\n" +
			"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n# EOF\n",
	} {
		push, err := pushtest.Translate(key, 1, []byte(body))
		require.NoError(t, err)
		require.NoError(t, s.Push(t.Context(), key, familiesOf(t, s, push), false, at(i)))
		exportValues(t, s)
	}
	require.NoError(t, s.Fail(t.Context(), key, at(3)))
	require.NoError(t, do(t, s, 4, "FAIL job/failed"))
	require.NoError(t, do(t, s, 5, "PUT job/deleted/U__a_2e_b/x a"))
	require.NoError(t, do(t, s, 6, "DELETE job/deleted/U__a_2e_b/x"))
	writeRecords(t, fixtures, c.records)
	families := strings.Join(stateOf(t, s).Groups[key.Path(true)].Families, "\n") + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(fixtures, "families.txt"), []byte(families), 0o644))
}
