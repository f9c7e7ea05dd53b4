// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
)

const unit = "deploy/systemd/otelcol-pushgateway.service"

// TestSystemd compares the unit's memory with the example's configuration, which it starts, and lets systemd verify it where that is
// installed.
func TestSystemd(t *testing.T) {
	t.Parallel()
	content, config := string(readFile(t, unit)), string(readFile(t, "configs/replicas.yaml"))
	memory, err := resource.ParseQuantity(captured(t, content, `(?m)^MemoryMax=(.+)$`) + "i")
	require.NoError(t, err)
	assertInFlight(t, memory.Value(), captured(t, content, `(?m)^Environment=GOMEMLIMIT=(.+)$`), config)
	validate(t, config, map[string]string{"DATABASE_URL": datasource})

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	path := filepath.Join(t.TempDir(), filepath.Base(unit))
	installed := strings.ReplaceAll(content, "ExecStart=/usr/local/bin/otelcol-pushgateway ", "ExecStart=/bin/true ")
	require.NotEqual(t, content, installed)
	require.NoError(t, os.WriteFile(path, []byte(installed), 0o600))
	out, err := exec.CommandContext(t.Context(), analyze, "verify", path).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.Empty(t, string(out))
}

func captured(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, found, pattern)
	return found[1]
}
