// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
			out, err := validate(t, path, gatesOf(t, path)...)
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

var featureGates = regexp.MustCompile(`--feature-gates[\\\s#]+(\S+)`)

// gatesOf are the arguments for the feature gates that the first comment of an example names.
func gatesOf(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	if gates := featureGates.FindSubmatch(content); gates != nil {
		return []string{"--feature-gates", string(gates[1])}
	}
	return nil
}

func validate(t *testing.T, path string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), distribution(t), append([]string{"validate", "--config", path}, args...)...).CombinedOutput()
	return string(out), err
}
