// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/e2e/loopback"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
)

// start runs a server until its test is over and waits until a GET of ready succeeds. What it writes goes to a file, which
// is shown when it does not start.
func start(t *testing.T, ready string, env []string, binary string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
		_ = log.Close()
	}()
	t.Cleanup(func() { stop(t, cmd, exited) })
	waitUntilReady(t, ready, log.Name(), exited)
}

func waitUntilReady(t *testing.T, ready, log string, exited <-chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		select {
		case <-exited:
			require.Fail(t, "The server ended while it was starting", readFile(t, log))
		case <-time.After(50 * time.Millisecond):
		}
		response, err := http.Get(ready)
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
	}
	require.Fail(t, "The server did not become ready", readFile(t, log))
}

// stop ends a process as an operator does, and kills it when it does not end.
func stop(t *testing.T, cmd *exec.Cmd, exited <-chan struct{}) {
	t.Helper()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		t.Errorf("%s did not end", cmd.Path)
	}
}

var freeEndpoint = loopback.FreeEndpoints(12000, 2500)

// built is the absolute path of what a target of the Makefile builds, which is named by its path in the repository.
func built(t *testing.T, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(filepath.Join("..", "..", path))
	require.NoError(t, err)
	require.FileExists(t, absolute, "run make e2e, which builds it")
	return absolute
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}
