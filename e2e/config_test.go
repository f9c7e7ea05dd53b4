// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExamplesAreValid lets the distribution validate every example as it is shipped.
func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	for _, path := range configs(t, "../configs/*.yaml", 4) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			out, err := validate(t, path)
			assert.NoError(t, err, out)
		})
	}
}

// TestBrokenConfigs lets the distribution validate configurations with one fault each. The first line of each, a comment, is
// what a person should be told.
func TestBrokenConfigs(t *testing.T) {
	t.Parallel()
	for _, path := range configs(t, "testdata/broken/*.yaml", 10) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			first, _, _ := strings.Cut(string(content), "\n")
			out, err := validate(t, path)
			require.Error(t, err)
			assert.Contains(t, out, strings.TrimPrefix(first, "# "))
			assert.Contains(t, out, "pushgateway", "names the component")
		})
	}
}

// configs are the files that match a pattern, of which there are at least some.
func configs(t *testing.T, pattern string, atLeast int) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), atLeast)
	return paths
}

func validate(t *testing.T, path string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), distribution(t), "validate", "--config", path).CombinedOutput()
	return string(out), err
}
