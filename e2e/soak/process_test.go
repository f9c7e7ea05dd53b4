// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

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
	startTimeout = time.Minute
	stopTimeout  = time.Minute
)

// process is a server under test. It can be started again after its end, with the same arguments and the same port.
type process struct {
	url    string
	binary string
	args   []string
	env    []string
	log    string // path of the file that takes its output

	cmd     *exec.Cmd
	exited  chan error
	running bool
	starts  int
	started time.Time // the last time that it was ready
}

func (p *process) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	p.cmd = exec.Command(p.binary, p.args...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(t, p.cmd.Start())
	p.running = true
	p.starts++
	p.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan<- error) {
		defer log.Close()
		exited <- cmd.Wait()
	}(p.cmd, p.exited)
	require.Eventually(t, p.ready, startTimeout, 50*time.Millisecond, p.log)
	p.started = time.Now()
}

func (p *process) ready() bool {
	response, err := http.Get(p.url + "/-/ready")
	return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// stop ends the process as an operator does, and demands that it ends well. A collector is ready a moment before it heeds
// signals.
func (p *process) stop(t *testing.T) {
	t.Helper()
	time.Sleep(time.Until(p.started.Add(time.Second)))
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-p.exited:
		p.running = false
		require.NoError(t, err, p.log)
	case <-time.After(stopTimeout):
		p.kill(t)
		require.Fail(t, "The process did not end", p.log)
	}
}

// kill ends the process as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	<-p.exited
	p.running = false
}

// newProcess prepares a server whose output is shown when the test fails.
func newProcess(t *testing.T, path, endpoint string, env []string, args ...string) *process {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join("..", "..", path))
	require.NoError(t, err)
	require.FileExists(t, binary, "run make soak, which builds it")
	p := &process{url: "http://" + endpoint, binary: binary, args: args, env: env, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		if p.running {
			p.kill(t)
		}
		if t.Failed() {
			t.Log(tail(p.log))
		}
	})
	return p
}

// tail is the end of a file.
func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-8192):])
}

var freeEndpoint = loopback.FreeEndpoints(10000, 1500)
