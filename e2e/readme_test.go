// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readmeBlocks finds the blocks of a page that are marked to be run, as in "<!-- run: curl -->".
var readmeBlocks = regexp.MustCompile("(?s)<!-- run: (\\w+) -->\n```\\w+\n(.*?)```")

// readmeBlock is a block of the README that is marked otherwise, as in "<!-- manifest -->".
func readmeBlock(t *testing.T, mark string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readFile(t, "../README.md"), "<!-- "+mark+" -->\n```")
	require.True(t, ok, mark)
	_, rest, _ = strings.Cut(rest, "\n")
	block, _, _ := strings.Cut(rest, "```")
	return block
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// runReadme runs a block of the README with other addresses and returns what it prints.
func runReadme(t *testing.T, mark string, addresses *strings.Replacer) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed and make clients could not install it")
	}
	script := addresses.Replace(readmeBlock(t, mark))
	out, err := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script).Output()
	require.NoError(t, err, string(out))
	return string(out)
}

// TestReadme runs what the README tells to try, word for word but for the ports, on the quickstart configuration.
func TestReadme(t *testing.T) {
	t.Parallel()
	page := freeEndpoint(t)
	c := startCollector(t, settings{
		config: "../configs/quickstart.yaml",
		set:    []string{"exporters::prometheus::endpoint: " + page},
	})
	addresses := strings.NewReplacer("http://127.0.0.1:9091", c.url, "127.0.0.1:8889", page)

	t.Run("try", func(t *testing.T) {
		assert.Equal(t, readmeBlock(t, "output: try"), runReadme(t, "run: try", addresses))
	})
	t.Run("curl", func(t *testing.T) {
		runReadme(t, "run: curl", addresses)
		shows(t, page, `{instance="some_instance",job="some_job",label="val1"} 42`)
		shows(t, page, `another_metric{instance="some_instance",job="some_job"} 2398.283`)
	})
	t.Run("go", func(t *testing.T) {
		program := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(program, []byte(addresses.Replace(readmeBlock(t, "run: go"))), 0o600))
		out, err := exec.CommandContext(t.Context(), "go", "run", program).CombinedOutput()
		require.NoError(t, err, string(out))
		shows(t, page, `db_backup_last_completion_timestamp_seconds{db="customers",job="db_backup"} `)
	})
}

// TestReadmePipeline starts the README's configuration in front of a Prometheus, and pushes with its recipe for retries.
func TestReadmePipeline(t *testing.T) {
	t.Parallel()
	server := startPrometheus(t, prometheusFile(t, ""))
	target, err := url.Parse(server.url)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	var requests atomic.Int32
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(backend.Close)
	config := filepath.Join(t.TempDir(), "config.yaml")
	pipeline := strings.Replace(readmeBlock(t, "config: pipeline"), "http://localhost:9090", backend.URL, 1)
	require.NoError(t, os.WriteFile(config, []byte(pipeline), 0o600))
	c := startCollector(t, settings{config: config})

	runReadme(t, "run: retry", strings.NewReplacer("http://127.0.0.1:9091", c.url))
	assert.Equal(t, []string{"3.14"}, server.query(t, `some_metric{job="some_job"}`))
	assert.Greater(t, requests.Load(), int32(1), "the first try was refused")
}

var gomod = regexp.MustCompile(`gomod: (\S+) (v\S+)`)

// TestReadmeManifest holds the README's manifest to builder-config.yaml, which is built, and lets OCB read it.
func TestReadmeManifest(t *testing.T) {
	t.Parallel()
	manifest, built := readmeBlock(t, "manifest"), readFile(t, "../builder-config.yaml")
	version := regexp.MustCompile(`(?m)^ {2}version: (\S+)$`).FindStringSubmatch(built)
	require.NotNil(t, version)
	modules := gomod.FindAllStringSubmatch(manifest, -1)
	require.Greater(t, len(modules), 5)
	assert.Equal(t, []string{"github.com/otelcol-pushgateway/pushgatewayreceiver", "v" + version[1]}, modules[0][1:], "the released version")
	for _, module := range modules[1:] {
		assert.Contains(t, built, module[0])
	}

	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "builder-config.yaml"), []byte(manifest), 0o600))
	builder, err := filepath.Abs("../.tools/builder")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), builder, "--config", "builder-config.yaml", "--skip-get-modules", "--skip-compilation")
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, readFile(t, filepath.Join(folder, "_build", "components.go")), `"`+modules[0][1]+`"`)
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
