// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

const availabilityGuide = "../docs/high-availability.md"

// TestHighAvailabilityGuide does what docs/high-availability.md tells to try, with free ports, and then its backup and clean-up.
func TestHighAvailabilityGuide(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "psql", "pg_dump"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed and make clients could not install it", tool)
		}
	}
	database := startDatabase(t)
	first, second := freeEndpoint(t), freeEndpoint(t)
	g := newGuide(t, availabilityGuide, map[string]string{
		"DATABASE_URL": pgtest.URL(database.Endpoint(), "guide"), "PROMETHEUS": startPrometheus(t, prometheusFile(t, "")).url,
		"FIRST": "http://" + first, "SECOND": "http://" + second, "BACKUP": filepath.Join(t.TempDir(), "groups.sql"),
		"COLLECTOR_FOLDER": filepath.Dir(distribution(t)),
	})
	out, end := g.run(t, "start", "lose")
	assert.Contains(t, out, `rows{instance="",job="nightly"} 42`)
	end()
	waitUntilFree(t, first)
	waitUntilFree(t, second)

	const tables = `SELECT count(*) FROM pg_tables WHERE tablename LIKE 'pushgateway\_%'`
	before, err := database.Query("guide", tables)
	require.NoError(t, err)
	g.run(t, "backup")
	g.run(t, "remove")
	awaitQuery(t, database, tables, "0")
	g.run(t, "restore")
	awaitQuery(t, database, tables, before)
	awaitQuery(t, database, "SELECT count(*) FROM pushgateway_group WHERE alive", "1")
	g.run(t, "start")
	assert.Equal(t, "42", shown(t, "http://"+second+"/metrics")[`rows{job="nightly"}`])
}

// TestFailuresAreTested looks for the tests that the table of failures names. A row without one says that it is reasoned.
func TestFailuresAreTested(t *testing.T) {
	t.Parallel()
	_, page, ok := strings.Cut(readFile(t, availabilityGuide), "\n| failure |")
	require.True(t, ok)
	table, _, _ := strings.Cut(page, "\n\n")
	tests := sourcesOfTests(t)
	rows := strings.Split(table, "\n")[2:]
	require.Greater(t, len(rows), 15)
	var names []string
	for _, row := range rows {
		cells := strings.Split(row, " | ")
		last := cells[len(cells)-1]
		named := captures(testName, last)
		assert.True(t, len(named) > 0 || strings.Contains(last, "ʳ"), row)
		names = append(names, named...)
	}
	for _, name := range names {
		test, part, _ := strings.Cut(name, "/")
		require.Contains(t, tests, test)
		assert.Contains(t, tests[test], `"`+strings.ReplaceAll(part, "_", " "), name)
	}
	for _, part := range captures(regexp.MustCompile(`t\.Run\("([^"]+)"`), tests["TestReplicas"]) {
		if part != "load" && part != "aggregates" && part != "in Prometheus" {
			assert.Contains(t, names, "TestReplicas/"+strings.ReplaceAll(part, " ", "_"), "the table has every failure")
		}
	}
}

var testName = regexp.MustCompile("`(Test[^`]+)`")

// sourcesOfTests returns the functions of this package's tests.
func sourcesOfTests(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	function := regexp.MustCompile(`(?ms)^func (Test\w+)\(.*?^}`)
	sources := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, found := range function.FindAllStringSubmatch(string(content), -1) {
			sources[found[1]] = found[0]
		}
	}
	require.NotEmpty(t, slices.Collect(maps.Keys(sources)))
	return sources
}
