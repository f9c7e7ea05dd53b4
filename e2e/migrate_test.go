// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// guide runs the commands of a page of docs/, in one folder and with one set of addresses.
type guide struct {
	blocks map[string]string
	env    map[string]string
}

const migrationGuide = "../docs/migrate-from-pushgateway.md"

func newGuide(t *testing.T, path string, env map[string]string) *guide {
	t.Helper()
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	m := &guide{blocks: map[string]string{}, env: env}
	for _, block := range readmeBlocks.FindAllStringSubmatch(string(page), -1) {
		m.blocks[block[1]] = block[2]
	}
	for name := range env {
		require.True(t, name == "COLLECTOR_FOLDER" || strings.Contains(m.blocks["settings"], "export "+name+"=${"+name), "the page shows %s", name)
	}
	configs := strings.Count(string(page), "<!-- config: ")
	require.Len(t, m.blocks, strings.Count(string(page), "```\n")-configs, "every block is marked to be run, or as a configuration")
	return m
}

// run runs blocks behind the settings, as one person does in one shell, and returns what they print. A collector that they
// leave in the background ends with the test, or when the returned function is called.
func (m *guide) run(t *testing.T, names ...string) (string, func()) {
	t.Helper()
	script := m.blocks["settings"] + "PATH=$COLLECTOR_FOLDER:$PATH\n"
	for _, name := range names {
		require.Contains(t, m.blocks, name)
		script += m.blocks[name]
	}
	printed := filepath.Join(t.TempDir(), "printed")
	file, err := os.Create(printed)
	require.NoError(t, err)
	defer file.Close()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = "..", environment(m.env)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what stays in the background can be ended
	require.NoError(t, cmd.Start())
	end := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	t.Cleanup(end)
	err = cmd.Wait()
	out, readErr := os.ReadFile(printed)
	require.NoError(t, readErr)
	require.NoError(t, err, "%s", out)
	return string(out), end
}

// TestMigration does what the page says, on a real Pushgateway and the distribution, with free ports.
func TestMigration(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed and make clients could not install it")
	}
	gateway, stopGateway := startPushgateway(t)
	b := newBackend(t)
	collector, telemetry := freeEndpoint(t), freeEndpoint(t)
	m := newGuide(t, migrationGuide, map[string]string{
		"PUSHGATEWAY": gateway, "COLLECTOR": "http://" + collector, "PAGE": "http://" + freeEndpoint(t),
		"TELEMETRY": "http://" + telemetry, "REMOTE_WRITE_ENDPOINT": b.URL, "COLLECTOR_FOLDER": withTelemetryAt(t, telemetry),
	})

	_, err := script("shell/curl.sh")(t, gateway)
	require.NoError(t, err)
	_, err = script("shell/curl-delete.sh")(t, gateway)
	require.NoError(t, err)
	out, _ := m.run(t, "inventory")
	assert.Contains(t, out, `push_time_seconds{instance="some_instance",job="curl_job"}`)
	assert.Contains(t, out, `pushgateway_http_requests_total{code="202",handler="delete",method="delete"} 1`)

	_, stopBeside := m.run(t, "beside", "push")
	out, _ = m.run(t, "check")
	assert.Empty(t, out)
	out, _ = m.run(t, "refused")
	assert.Contains(t, out, `outcome="accepted"} 2`)
	assertNamesExist(t, telemetry)
	changed, err := run(t, "bash", "-c", "echo 'rows_copied{table=\"users\"} 41' | curl -sS --fail-with-body --data-binary @- http://"+collector+"/metrics/job/nightly/instance/db-1")
	require.NoError(t, err, changed)
	assert.Contains(t, m.fails(t, "check"), "rows_copied", "the check finds a difference")

	stopBeside()
	waitUntilFree(t, collector)
	waitUntilFree(t, telemetry)
	m.run(t, "beside", "end")
	stopGateway()
	waitUntilFree(t, collector)
	_, stopInstead := m.run(t, "instead")
	assert.Equal(t, 43.0, b.take(t, "nightly").samples[`rows_copied{instance="db-1",job="nightly",table="users"}`])
	m.run(t, "prefix")
	assert.Equal(t, 44.0, b.take(t, "nightly").samples[`rows_copied{instance="db-2",job="nightly",table="users"}`])
	stopInstead()
	waitUntilFree(t, strings.TrimPrefix(gateway, "http://"))
}

// TestMigrationToGroups does what the page says for groups, in one shell, down to the restart at the Pushgateway's address.
func TestMigrationToGroups(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed and make clients could not install it", tool)
		}
	}
	gateway, _ := startPushgateway(t, "--web.enable-lifecycle")
	fillPushgateway(t, gateway)
	want := ofPushes(shown(t, gateway+"/metrics"))
	server := startPrometheus(t, prometheusFile(t, ""))
	telemetry := freeEndpoint(t)
	m := newGuide(t, migrationGuide, map[string]string{
		"PUSHGATEWAY": gateway, "COLLECTOR": "http://" + freeEndpoint(t), "STORAGE_DIRECTORY": t.TempDir(),
		"TELEMETRY": "http://" + telemetry, "REMOTE_WRITE_ENDPOINT": server.url + "/api/v1/write", "COLLECTOR_FOLDER": withTelemetryAt(t, telemetry),
	})
	// The page says "stop the Pushgateway" here.
	m.blocks["stop"] = "curl -sS -X PUT $PUSHGATEWAY/-/quit\nwhile curl -s -o /dev/null $PUSHGATEWAY/-/ready; do sleep 0.1; done\n"

	out, _ := m.run(t, "memory", "carryover", "stop", "takeover")
	assert.Contains(t, out, "5 groups were carried over, 0 problems")
	assert.Contains(t, out, `push_time_seconds{instance="",job="nightly"}`)
	assert.Equal(t, want, ofPushes(shown(t, gateway+"/metrics")), "the groups are at the Pushgateway's address")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, []string{"5"}, server.query(c, "count(push_time_seconds)"))
		assert.Equal(c, []string{"1"}, server.query(c, `rows{job="nightly"}`))
	}, dataTimeout, pollInterval)
}

// TestMirror copies what jobs push to a Pushgateway to a collector, with nginx.
func TestMirror(t *testing.T) {
	t.Parallel()
	gateway, _ := startPushgateway(t)
	page := freeEndpoint(t)
	c := startCollector(t, settings{config: "../configs/quickstart.yaml", set: []string{"exporters::prometheus::endpoint: " + page}})
	front := startNginx(t, "mirror.conf", []string{strings.TrimPrefix(gateway, "http://"), strings.TrimPrefix(c.url, "http://")})

	status, answer := send(t, http.MethodPut, front+"/metrics/job/nightly/path@base64/L3Zhcg", "rows 1\n")
	require.Equal(t, http.StatusOK, status, answer)
	assert.Contains(t, shown(t, gateway+"/metrics"), `rows{job="nightly",path="/var"}`)
	shows(t, page, `rows{job="nightly",path="/var"} 1`)
}

// fails runs a block that is to fail and returns what it printed.
func (m *guide) fails(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", m.blocks["settings"]+m.blocks[name])
	cmd.Dir, cmd.Env = "..", environment(m.env)
	out, err := cmd.CombinedOutput()
	require.Error(t, err, string(out))
	return string(out)
}

var ownMetrics = regexp.MustCompile("(?:otelcol|http_server)_[a-z_]+")

// assertNamesExist looks for the collector's metrics that the page names on the collector's own page.
func assertNamesExist(t *testing.T, telemetry string) {
	t.Helper()
	page, err := os.ReadFile(migrationGuide)
	require.NoError(t, err)
	shown, err := run(t, "curl", "-s", "http://"+telemetry+"/metrics")
	require.NoError(t, err)
	names := ownMetrics.FindAllString(string(page), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		assert.Contains(t, shown, "\n"+name+"{", name)
	}
}

// withTelemetryAt makes a folder with an otelcol-pushgateway that shows its own metrics, all of them, at an address.
func withTelemetryAt(t *testing.T, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	const reader = "yaml:service::telemetry::metrics: {level: detailed, readers: [{pull: {exporter: {prometheus: {host: %s, port: %s}}}}]}"
	wrapper := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\" --config '"+reader+"'\n", distribution(t), host, port)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "otelcol-pushgateway"), []byte(wrapper), 0o700))
	return folder
}

// waitUntilFree waits until nothing listens on an address.
func waitUntilFree(t *testing.T, address string) {
	t.Helper()
	require.Eventually(t, func() bool {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		return listener.Close() == nil
	}, stopTimeout, 50*time.Millisecond, address)
}
