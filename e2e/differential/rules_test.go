// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRulesAreTheTablesOfDeviations holds the rules and the rows of docs/deviations.md together.
func TestRulesAreTheTablesOfDeviations(t *testing.T) {
	t.Parallel()
	rows := slices.Collect(maps.Keys(notCompared))
	for _, r := range rules {
		rows = append(rows, r.row)
	}
	assert.ElementsMatch(t, deviations(t), rows)
}

// deviations reads the first column of the tables, but for their heads.
func deviations(t *testing.T) (rows []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "deviations.md"))
	require.NoError(t, err)
	for line := range strings.Lines(string(page)) {
		first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if ok && strings.HasPrefix(line, "| ") && first != "case" {
			rows = append(rows, first)
		}
	}
	return rows
}
