// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// attempts limits the retries of a transaction that conflicts with others, or whose connection is lost.
const attempts = 10

// acquire waits for a connection. The error is ErrBusy if all are in use or the context ended.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, s.settings.ConnectTimeout)
	defer cancel()
	began := time.Now()
	conn, err := s.pool.Acquire(limited)
	s.settings.Observer.Waited(time.Since(began))
	switch {
	case err == nil:
		s.reached()
		return conn, nil
	case ctx.Err() != nil, limited.Err() != nil && s.pool.Stat().AcquiredConns() == s.pool.Config().MaxConns:
		return nil, store.ErrBusy
	default:
		s.awaySince.CompareAndSwap(0, began.UnixNano())
		return nil, err
	}
}

// reached ends the time for which the database was away. The pool tests connections that were idle for a second, so a shorter time says
// nothing: such a connection may be broken.
func (s *Store) reached() {
	since := s.awaySince.Load()
	if since == 0 || !s.awaySince.CompareAndSwap(since, 0) {
		return
	}
	if after := time.Since(time.Unix(0, since)); after > time.Second {
		s.settings.Observer.Reached(after)
	}
}

// limited returns a context for one round trip that does not end with the request: an interrupted commit would leave open
// whether it took effect. The database's own timeouts come first unless it cannot be reached.
func (s *Store) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.settings.StatementTimeout+s.settings.ConnectTimeout)
}

// transact runs a transaction until it does not conflict with others and its connection is not lost. Run begins it, and commits it unless it
// returns an error. The returned error is run's, if it is one of the contract, or a *StorageError or ErrBusy.
func (s *Store) transact(ctx context.Context, kind string, operation store.Operation, run func(*pgxpool.Conn) error) (err error) {
	for range attempts {
		err = s.try(ctx, run)
		outcome := outcomeOf(ctx, err)
		s.settings.Observer.Transaction(kind, outcome)
		switch outcome {
		case OutcomeCommitted, OutcomeRefused:
			return err
		case OutcomeRetried:
			continue
		case OutcomeBusy:
			return store.ErrBusy
		default:
			return s.failed(operation, err)
		}
	}
	if is[*lostError](err) {
		return s.failed(operation, err)
	}
	return store.ErrBusy
}

var errUncommitted = errors.New("the database did not commit the transaction")

var errRetry = errors.New("the transaction must be tried again")

func outcomeOf(ctx context.Context, err error) string {
	switch class := classify(err); {
	case err == nil:
		return OutcomeCommitted
	case is[*store.ConflictError](err), is[*store.LimitError](err):
		return OutcomeRefused
	case is[*uncertainError](err):
		return OutcomeFailed
	case !is[*begunError](err) && (is[*lostError](err) || errors.Is(err, errRetry) || class == retry):
		return OutcomeRetried
	case errors.Is(err, store.ErrBusy), class == busy, ctx.Err() != nil:
		return OutcomeBusy
	default:
		return OutcomeFailed
	}
}

// try runs a transaction once. If the connection is lost before the commit, the error is a *lostError, and the idle connections are closed:
// most often the database was restarted, so they are lost too.
func (s *Store) try(ctx context.Context, run func(*pgxpool.Conn) error) error {
	if ctx.Err() != nil {
		return store.ErrBusy
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // closes a connection whose transaction is open
	if err = run(conn); err != nil {
		if isLost(ctx, conn, err) {
			err = &lostError{err}
			s.pool.Reset()
		}
		s.leave(conn, err)
		s.rollBack(ctx, conn)
	}
	return err
}

// isLost reports whether a transaction failed because its connection was lost, and was not committed. A connection that is closed because
// the request ended, or because the database did not answer in time, is not a lost one.
func isLost(ctx context.Context, conn *pgxpool.Conn, err error) bool {
	return conn.Conn().IsClosed() && !is[*uncertainError](err) && ctx.Err() == nil && !pgconn.Timeout(err)
}

// rollBack ends a transaction, so that its connection can be used again.
func (s *Store) rollBack(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	limited, cancel := s.limited(ctx)
	defer cancel()
	_, _ = conn.Exec(limited, "ROLLBACK") // If it fails, Release closes the connection.
}

// leave closes a connection to a server that has become a standby, so that the next one is to the new primary.
func (s *Store) leave(conn *pgxpool.Conn, err error) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == codeReadOnly {
		s.hangUp(conn)
	}
}

// hangUp closes a connection, which the pool then replaces.
func (*Store) hangUp(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = conn.Conn().Close(ctx)
}

// send sends statements in one round trip. Their functions receive the results.
func send(ctx context.Context, conn *pgxpool.Conn, batch *pgx.Batch) error {
	return conn.SendBatch(ctx, batch).Close()
}

// commit sends statements and a COMMIT in one round trip. A transaction that cannot be committed ends without an error of
// the protocol. Without an answer of the database, the error is an *uncertainError. What happens to the connection after the answer
// changes nothing.
func commit(ctx context.Context, conn *pgxpool.Conn, batch *pgx.Batch) error {
	committed := false
	batch.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		committed = tag.String() == "COMMIT"
		return nil
	})
	switch err := send(ctx, conn, batch); {
	case committed:
		return nil
	case err != nil:
		return uncertain(conn, err)
	default:
		return errUncommitted
	}
}

// uncertain returns an error of what ends with a commit, as an *uncertainError if the connection is lost and the transaction may have been
// committed.
func uncertain(conn *pgxpool.Conn, err error) error {
	if err != nil && conn.Conn().IsClosed() && !uncommitted(err) {
		return &uncertainError{err}
	}
	return err
}
