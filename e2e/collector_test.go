// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/e2e/loopback"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = time.Minute
)

// distribution is the absolute path of the built collector.
func distribution(tb testing.TB) string {
	tb.Helper()
	path, err := filepath.Abs(filepath.Join("..", "_build", "otelcol-pushgateway"))
	require.NoError(tb, err)
	_, err = os.Stat(path)
	require.NoError(tb, err, "build the distribution first: make build")
	return path
}

// collector is a running distribution. It is told to end, and waited for, when its test is over.
type collector struct {
	url    string // of the pushgateway receiver, without a path
	cmd    *exec.Cmd
	output *output
	exited chan error
}

// settings of one start.
type settings struct {
	config string            // path of a configuration, from this folder
	set    []string          // single settings that override it, as the yaml provider takes them: "a::b: c"
	env    map[string]string // environment variables
	args   []string          // further arguments
	client *http.Client      // for the readiness check; nil: the default client
	scheme string            // of the receiver; empty: http
	listen string            // address of the receiver; empty: a free one
}

// startCollector starts the distribution with its pushgateway receiver on a free port and waits until that is ready.
func startCollector(t *testing.T, s settings) *collector {
	t.Helper()
	c := launchCollector(t, s)
	c.waitUntilReady(t, s.client)
	return c
}

// launchCollector does not wait.
func launchCollector(t *testing.T, s settings) *collector {
	t.Helper()
	endpoint := s.listen
	if endpoint == "" {
		endpoint = freeEndpoint(t)
	}
	c := &collector{
		url:    cmp.Or(s.scheme, "http") + "://" + endpoint,
		output: &output{},
		exited: make(chan error, 1),
	}
	args := []string{"--config", s.config, "--config", "yaml:receivers::pushgateway::endpoint: " + endpoint}
	for _, setting := range append(s.set, "service::telemetry::metrics::level: none") {
		args = append(args, "--config", "yaml:"+setting)
	}
	c.cmd = exec.Command(distribution(t), append(args, s.args...)...)
	c.cmd.Env = environment(s.env)
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	require.NoError(t, c.cmd.Start())
	go func() { c.exited <- c.cmd.Wait() }()
	t.Cleanup(func() { c.stop(t) })
	return c
}

func (c *collector) waitUntilReady(t *testing.T, client *http.Client) {
	t.Helper()
	if client == nil {
		client = http.DefaultClient
	}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-c.exited:
			c.exited <- err
			require.Fail(t, "The collector ended while it was starting", "%v\n%s", err, c.output)
		default:
		}
		response, err := client.Get(c.url + "/-/ready")
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		// With authentication in front, 401 also says that it is served.
		if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized {
			return
		}
	}
	require.Fail(t, "The collector did not become ready", "%s", c.output)
}

// stop ends the process as an operator does and demands that it ends well.
func (c *collector) stop(t *testing.T) {
	t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.exited:
		assert.True(t, err == nil || isUnheard(err), "%v\n%s", err, c.output)
		c.exited <- err
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		assert.Fail(t, "The collector did not end", "%s", c.output)
	}
}

// isUnheard tells whether a signal to end has ended the process itself: a collector listens for it a moment after it serves.
func isUnheard(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM
}

// kill ends the process as a crash does.
func (c *collector) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Kill())
	<-c.exited
	c.exited <- nil
}

var freeEndpoint = loopback.FreeEndpoints(18000, 10000)

// environment is this process's own with some variables set.
func environment(set map[string]string) []string {
	env := os.Environ()
	for name, value := range set {
		env = append(env, fmt.Sprintf("%s=%s", name, value))
	}
	return env
}

// output is what a process wrote, safe to read while it writes.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}
