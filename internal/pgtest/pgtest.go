// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pgtest runs a PostgreSQL server for tests and benchmarks.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL server with an empty data directory of its own. It does not wait for the disk.
type Server struct {
	// Port is that of the server on 127.0.0.1.
	Port int

	bin, dir   string
	settings   []string
	credential *syscall.Credential
	process    *exec.Cmd
	schemas    atomic.Int64
	guard      io.Closer // of a shared server, which stops when it is closed
}

// ErrMissing says that PostgreSQL is not installed.
var ErrMissing = errors.New("PostgreSQL is not installed: there is no initdb in PATH or under /usr/lib/postgresql; " +
	"install it with `make clients` or, on Debian and Ubuntu, with `apt-get install postgresql`")

// Optional reports whether tests can be skipped where PostgreSQL is missing. They cannot in CI, which sets CI.
func Optional() bool { return os.Getenv("CI") == "" }

// User is the name of the superuser, and Password its password.
const (
	User     = "pgtest_user"
	Password = "pgtest_password"
)

// Durable are the settings of a server that keeps what it has committed as by default.
var Durable = []string{"fsync=on", "full_page_writes=on"}

// Start starts a server. Settings are name=value, as in postgresql.conf, and override the defaults for tests. Stop ends the server.
func Start(settings ...string) (_ *Server, err error) {
	s := &Server{settings: settings}
	if s.bin, err = findBinaries(); err != nil {
		return nil, err
	}
	if s.credential, err = unprivileged(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return nil, err
	}
	if err = s.initialize(); err == nil {
		err = s.Launch()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

func findBinaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // The pattern is valid.
	if len(found) == 0 {
		return "", ErrMissing
	}
	return filepath.Dir(slices.Max(found)), nil
}

// unprivileged returns whom the server runs as: it refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
			gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
		}
	}
	return nil, errors.New("there is no user to run PostgreSQL as")
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...) //nolint:gosec // A program of PostgreSQL.
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	return cmd
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
func (s *Server) log() string  { return filepath.Join(s.dir, "log") }

func (s *Server) initialize() error {
	if s.credential != nil {
		if err := os.Chown(s.dir, int(s.credential.Uid), int(s.credential.Gid)); err != nil {
			return err
		}
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil { //nolint:gosec // The server's user reads it.
		return err
	}
	out, err := s.command("initdb", "-D", s.data(), "-U", User, "--pwfile="+password, "--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// freePort returns an unused port below 32768, where Linux's ports of outgoing connections start. No connection takes it while the server
// is down.
func freePort() (int, error) {
	const first, ports, tries = 28_500, 4_000, 1000
	for range tries {
		port := first + rand.IntN(ports)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("there is no free port")
}

// Launch starts the server again after Terminate or Shutdown, on the same port.
func (s *Server) Launch() (err error) {
	if s.Port == 0 {
		if s.Port, err = freePort(); err != nil {
			return err
		}
	}
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.Port)}
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off",
		"max_connections=300", "shared_buffers=64MB", "deadlock_timeout=100ms",
	}, s.settings...) {
		args = append(args, "-c", setting)
	}
	s.process = s.command("postgres", args...)
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.process.Stderr = log
	if err := errors.Join(s.process.Start(), log.Close()); err != nil {
		return err
	}
	for range 600 {
		if s.Execute("SELECT 1") == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.Terminate()
	output, _ := os.ReadFile(s.log())
	return fmt.Errorf("the server does not answer: %s", output)
}

// Execute executes a statement.
func (s *Server) Execute(statement string) error {
	_, err := s.Query(Application, statement)
	return err
}

// Application is the name of the sessions of Execute.
const Application = "pgtest_application"

// Query executes statements in a session with that name, in one transaction. It returns the rows, one a line, with columns separated by |.
func (s *Server) Query(application, statements string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, URL(s.Endpoint(), application))
	if err != nil {
		return "", err
	}
	results, err := conn.PgConn().Exec(ctx, statements).ReadAll()
	var lines []string
	for _, result := range results {
		for _, row := range result.Rows {
			lines = append(lines, string(bytes.Join(row, []byte("|"))))
		}
	}
	return strings.Join(lines, "\n"), errors.Join(err, conn.Close(ctx))
}

// Endpoint is the address of the server.
func (s *Server) Endpoint() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL is the datasource of a client that connects to the server at an endpoint, which may be a proxy's. The database shows the name of the
// application in pg_stat_activity.
func URL(endpoint, application string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable&application_name=%s", User, Password, endpoint, application)
}

// Database returns the URL of an empty schema. That is cheaper than a database, and as separate.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("pgtest_schema_%d", s.schemas.Add(1))
	if err := s.Execute("CREATE SCHEMA " + name); err != nil {
		tb.Fatal(err)
	}
	return URL(s.Endpoint(), name) + "&search_path=" + name
}

// Terminate stops the server at once, as a crash does. What was committed is lost only if the machine fails.
func (s *Server) Terminate() {
	_ = s.process.Process.Signal(syscall.SIGQUIT)
	_ = s.process.Wait() // It ends by the signal.
}

// Shutdown stops the server as a restart does: it ends all sessions and aborts their transactions.
func (s *Server) Shutdown() error {
	_ = s.process.Process.Signal(syscall.SIGINT)
	return s.process.Wait()
}

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	s.Terminate()
	_ = os.RemoveAll(s.dir)
}

// Main runs the tests of a package with a server, which set receives before. Where PostgreSQL is missing and Optional, it runs them without
// one.
func Main(set func(*Server), run func() int) int {
	s, err := Start()
	switch {
	case errors.Is(err, ErrMissing) && Optional():
		fmt.Fprintln(os.Stderr, err.Error()+". Its tests are skipped.")
		return run()
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Stop()
	set(s)
	return run()
}
