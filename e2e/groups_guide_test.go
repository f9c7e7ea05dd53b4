// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGroupsGuide does what docs/groups.md tells to try, with free ports.
func TestGroupsGuide(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed and make clients could not install it", tool)
		}
	}
	server := startPrometheus(t, prometheusFile(t, ""))
	collector := freeEndpoint(t)
	g := newGuide(t, "../docs/groups.md", map[string]string{
		"COLLECTOR": "http://" + collector, "PROMETHEUS": server.url, "STORAGE_DIRECTORY": t.TempDir(),
		"COLLECTOR_FOLDER": withTelemetryAt(t, freeEndpoint(t)),
	})
	g.run(t, "start")
	out, _ := g.run(t, "push")
	assert.Contains(t, out, `rows{instance="",job="nightly"} 43`)
	assert.Contains(t, out, `duration_seconds{instance="",job="nightly"} 3.5`)
	assert.Contains(t, out, `"job": "nightly"`)
	assert.Contains(t, out, `{"__name__":"rows","job":"nightly"}`)
	out, _ = g.run(t, "delete")
	assert.Contains(t, out, `"result":[]`)
}

// TestGroupsGuideNamesWhatExists looks for the receiver's metrics that the page names in metadata.yaml.
func TestGroupsGuideNamesWhatExists(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/groups.md")
	require.NoError(t, err)
	names := regexp.MustCompile(`otelcol_receiver_pushgateway_[a-z_]+`).FindAllString(string(page), -1)
	require.NotEmpty(t, names)
	generated := generatedNames(t)
	for _, name := range names {
		assert.Contains(t, generated, strings.TrimSuffix(name, "_bucket"))
	}
}
