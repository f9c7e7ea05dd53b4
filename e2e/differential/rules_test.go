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

// TestRulesAreTheReadmeTable holds the rules and the README's table of deviations together.
func TestRulesAreTheReadmeTable(t *testing.T) {
	t.Parallel()
	rows := slices.Collect(maps.Keys(notCompared))
	for _, r := range rules {
		rows = append(rows, r.row)
	}
	assert.ElementsMatch(t, readmeRows(t), rows)
}

// readmeRows reads the first column of the table.
func readmeRows(t *testing.T) (rows []string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(readme), "\n## Deviations from Pushgateway 1.11.3\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, " | "); len(cells) > 1 {
			rows = append(rows, strings.TrimPrefix(cells[0], "| "))
		}
	}
	require.NotEmpty(t, rows)
	return rows[1:] // The first line is the head.
}
