// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readmeBlocks finds the blocks of the README that are marked to be run, as in "<!-- run: curl -->".
var readmeBlocks = regexp.MustCompile("(?s)<!-- run: (\\w+) -->\n```\\w+\n(.*?)```")

// TestReadme runs what the README tells to try, word for word but for the ports, on the quickstart configuration.
func TestReadme(t *testing.T) {
	t.Parallel()
	page := freeEndpoint(t)
	c := startCollector(t, settings{
		config: "../configs/quickstart.yaml",
		set:    []string{"exporters::prometheus::endpoint: " + page},
	})
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	ports := strings.NewReplacer("http://127.0.0.1:9091", c.url, "127.0.0.1:8889", page)
	blocks := map[string]string{}
	for _, block := range readmeBlocks.FindAllStringSubmatch(string(readme), -1) {
		blocks[block[1]] = ports.Replace(block[2])
	}

	t.Run("curl", func(t *testing.T) {
		require.Contains(t, blocks, "curl")
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("curl is not installed")
		}
		out, err := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", blocks["curl"]).CombinedOutput()
		require.NoError(t, err, string(out))
		shows(t, page, `some_metric{job="some_job"} 3.14`)
		shows(t, page, `{instance="some_instance",job="some_job",label="val1"} 42`)
		shows(t, page, `another_metric{instance="some_instance",job="some_job"} 2398.283`)
	})
	t.Run("go", func(t *testing.T) {
		require.Contains(t, blocks, "go")
		program := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(program, []byte(blocks["go"]), 0o600))
		out, err := exec.CommandContext(t.Context(), "go", "run", program).CombinedOutput()
		require.NoError(t, err, string(out))
		shows(t, page, `db_backup_last_completion_timestamp_seconds{db="customers",job="db_backup"} `)
	})
}

// shows waits until the quickstart's page has a series.
func shows(t *testing.T, page, series string) {
	t.Helper()
	var body string
	assert.Eventually(t, func() bool {
		response, err := http.Get("http://" + page + "/metrics")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		read, err := io.ReadAll(response.Body)
		body = string(read)
		return err == nil && strings.Contains(body, series)
	}, dataTimeout, pollInterval)
	assert.Contains(t, body, series)
}
