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

const fixtures = "testdata/v1"

func TestFixtures(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(fixtures); os.IsNotExist(err) && *update {
		writeFixtures(t)
	}
	c := newClient(readFixtures(t))
	s, failed := restored(t, c)
	require.Empty(t, failed.all)
	assert.Equal(t, []string{
		`job/deleted/U__a_2e_b/x deleted, pending a{a.b="x"} push_failure_time_seconds{a.b="x"} push_time_seconds{a.b="x"}`,
		`job/failed lives`,
		`job@base64/w6k/instance/1/z@base64/= lives c_total e h s, pending h_bucket{le="2"}`,
	}, shown(t, s))
	held := stateOf(t, s).Groups["/metrics/job@base64/w6k/instance/1/z@base64/="]
	assert.Equal(t, at(2).UnixNano(), held.Pushed)
	assert.Equal(t, at(3).UnixNano(), held.Failed)
	assert.Equal(t, strings.Split(strings.TrimSpace(string(readFixture(t, "families.txt"))), "\n"), held.Families)
	for name, record := range s.Encoded() {
		assert.Equal(t, string(c.records[name]), string(record), name)
	}
}

func readFixture(t *testing.T, name string) []byte {
	t.Helper()
	record, err := os.ReadFile(filepath.Join(fixtures, name))
	require.NoError(t, err)
	return record
}

func readFixtures(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(fixtures + "/pushgateway_*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	records := map[string][]byte{}
	for _, file := range files {
		name := filepath.Base(file)
		records[strings.ReplaceAll(name, "_", "/")] = readFixture(t, name)
	}
	return records
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
	require.NoError(t, os.MkdirAll(fixtures, 0o755))
	for name, record := range c.records {
		require.NoError(t, os.WriteFile(filepath.Join(fixtures, strings.ReplaceAll(name, "/", "_")), record, 0o644))
	}
	families := strings.Join(stateOf(t, s).Groups[key.Path(true)].Families, "\n") + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(fixtures, "families.txt"), []byte(families), 0o644))
}
