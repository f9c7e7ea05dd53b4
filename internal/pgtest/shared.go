// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"errors"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// OnStores runs a test once for each store of groups: "memory", without a datasource, and "postgres", with that of an empty schema.
func OnStores(t *testing.T, run func(t *testing.T, datasource string)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		run(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		run(t, Database(t))
	})
}

// Database returns the URL of an empty schema, on a server that all tests of a binary share. It skips the test if PostgreSQL is missing.
func Database(tb testing.TB) string {
	tb.Helper()
	s, err := shared()
	if errors.Is(err, ErrMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s.Database(tb)
}

// shared starts the server of the binary. No test knows when it is the last one, so another process waits for the end of this one to stop
// the server.
var shared = sync.OnceValues(func() (*Server, error) {
	s, err := Start()
	if err != nil {
		return nil, err
	}
	const script = `read -r _; kill -QUIT "$0"; while kill -0 "$0" 2>/dev/null; do sleep 0.1; done; rm -rf "$1"`
	guard := exec.Command("sh", "-c", script, strconv.Itoa(s.process.Process.Pid), s.dir) //nolint:gosec // Both are the server's.
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.guard, err = guard.StdinPipe(); err == nil { // It is closed with this process.
		err = guard.Start()
	}
	if err != nil {
		s.Stop()
	}
	return s, err
})
