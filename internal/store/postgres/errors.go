// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

var (
	errDatasource = errors.New("the datasource is not a connection string or URL of PostgreSQL, or one of its settings has a wrong value")
	errUnsettled  = errors.New("the claim was lost before it was settled: its transaction had ended")
)

// SQLSTATE codes.
const (
	codeDeadlock       = "40P01"
	codeSerialization  = "40001"
	codeUniqueViolated = "23505"
	codeDivision       = "22012" // a guard of a statement
	codeLockTimeout    = "55P03"
	codeCanceled       = "57014" // statement_timeout
	codePlanChanged    = "0A000" // of a prepared statement: a replica of another release has changed a table
	codeReadOnly       = "25006" // the server is a standby
)

// failure is what to do about an error of the database.
type failure int

const (
	fatal failure = iota
	retry         // a conflict with another transaction
	busy          // something took too long
)

// uncertainError says that the connection broke after COMMIT was sent, so the transaction may have been committed.
type uncertainError struct{ err error }

func (e *uncertainError) Error() string { return e.err.Error() }
func (e *uncertainError) Unwrap() error { return e.err }

// begunError says that the result of a transaction was used before it failed, so that it cannot be tried again.
type begunError struct{ err error }

func (e *begunError) Error() string { return e.err.Error() }
func (e *begunError) Unwrap() error { return e.err }

// lostError says that the connection broke, and that the transaction was not committed.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// is reports whether an error has one of the type in its tree.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// uncommitted reports whether the error of a transaction whose end was sent proves that it was not committed.
//
// PostgreSQL ends sessions, such as at its shutdown, between two messages or during a statement (ProcessInterrupts), but not between the
// decision to commit and the answer. While a commit waits for a standby it only warns and closes the connection, since a FATAL error
// would say that the transaction was aborted. A pooler can send the same code, but knows nothing of the transaction.
func uncommitted(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.SeverityUnlocalized == "FATAL" && pg.Routine == "ProcessInterrupts"
	}
	// pgx returns ErrConnClosed also for an answer that it cannot read any more.
	return pgconn.SafeToRetry(err) && !errors.Is(err, pgconn.ErrConnClosed)
}

// classify decides what to do about an error.
func classify(err error) failure {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return fatal
	}
	switch pg.Code {
	case codeDeadlock, codeSerialization, codeUniqueViolated, codeDivision, codePlanChanged:
		return retry
	case codeLockTimeout, codeCanceled:
		return busy
	default:
		return fatal
	}
}

// datasourceError replaces an error of the parser, which has parts of the datasource.
func datasourceError(err error) error {
	if unread, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("a file that the datasource names cannot be read: %w", unread.Err)
	}
	return errDatasource
}

// secretsOf lists the values of a datasource that no error may contain, the longest first. Names are hidden as whole words only: the
// tables have names that begin like the usual user's.
func secretsOf(datasource string, config *pgx.ConnConfig) (secrets []*regexp.Regexp) {
	names := []string{config.User, config.Database, config.Host}
	for _, fallback := range config.Fallbacks {
		names = append(names, fallback.Host)
	}
	patterns := make(map[string]string, len(names)+2)
	for _, name := range names {
		patterns[name] = word(name)
	}
	for _, text := range []string{datasource, config.Password} {
		patterns[text] = regexp.QuoteMeta(text)
	}
	delete(patterns, "")
	for _, secret := range slices.SortedFunc(maps.Keys(patterns), func(a, b string) int { return len(b) - len(a) }) {
		secrets = append(secrets, regexp.MustCompile(patterns[secret]))
	}
	return secrets
}

var wordByte = regexp.MustCompile(`^\w`)

// word matches a name that is not a part of a longer one.
func word(name string) string {
	pattern := regexp.QuoteMeta(name)
	if name != "" && wordByte.MatchString(name) {
		pattern = `\b` + pattern
	}
	if name != "" && wordByte.MatchString(name[len(name)-1:]) {
		pattern += `\b`
	}
	return pattern
}

// masked describes an error without anything of the datasource. Errors of pgx have the user, the database and addresses.
func (s *Store) masked(err error) error {
	var pg *pgconn.PgError
	var errno syscall.Errno
	var text string
	switch {
	case errors.As(err, &pg):
		text = "the database refused: " + pg.Message
		for _, secret := range s.secrets {
			text = secret.ReplaceAllLiteralString(text, "***")
		}
		text += " (SQLSTATE " + pg.Code + ")"
	case errors.Is(err, errNewerSchema), errors.Is(err, errUnsettled), errors.Is(err, errUncommitted):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), pgconn.Timeout(err):
		text = "the database did not answer in time"
	case errors.As(err, &errno):
		text = "cannot reach the database: " + errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "the database closed the connection"
	case errors.Is(err, context.Canceled):
		text = "the request ended"
	case is[*net.DNSError](err):
		text = "cannot reach the database: its host name is not found"
	case is[*tls.CertificateVerificationError](err):
		text = "cannot reach the database: its certificate is not trusted: see sslmode and sslrootcert of the datasource"
	case strings.Contains(err.Error(), "server refused TLS connection"): // It is no type or value.
		text = "cannot reach the database: it does not offer TLS, which sslmode of the datasource demands"
	default:
		text = "the connection to the database failed"
	}
	return errors.New(text)
}

// failed reports an error and returns it for the client: a *StorageError or ErrBusy.
func (s *Store) failed(operation store.Operation, err error) error {
	uncertain := is[*uncertainError](err)
	if !uncertain && (errors.Is(err, store.ErrBusy) || classify(err) != fatal) {
		return store.ErrBusy
	}
	masked := s.masked(err)
	s.options.StorageFailed(operation, masked)
	return &store.StorageError{Err: masked, Reading: operation == store.Read, Uncertain: uncertain}
}
