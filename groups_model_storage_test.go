// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

// disk is what a storage extension keeps. It survives the processes that use it.
type disk struct {
	mu      sync.Mutex
	records map[string][]byte
}

func newDisk() *disk { return &disk{records: map[string][]byte{}} }

// names lists the records.
func (d *disk) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.records))
}

// keeping is what keeps groups longer than a process does: a disk, a database, or nothing.
type keeping struct {
	disk       *disk
	database   *pgtest.Proxy
	datasource string // of the database, past the proxy
}

// awaitSessions waits until the database has ended the sessions of dead processes, and with them their locks. The time of a bubble does
// not wait for that.
func (k keeping) awaitSessions(t *testing.T) {
	t.Helper()
	if k.database == nil {
		return
	}
	ctx := context.WithoutCancel(t.Context()) // That of the test may be over.
	conn, err := pgx.Connect(ctx, k.datasource)
	require.NoError(t, err)
	const others = `SELECT count(*) FROM pg_stat_activity WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()`
	for {
		var n int
		require.NoError(t, conn.QueryRow(ctx, others).Scan(&n))
		if n == 0 {
			break
		}
		_, err := conn.Exec(ctx, "SELECT pg_sleep(0.01)") // Unlike time.Sleep, this takes time outside of the bubble.
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close(ctx))
}

// onStores runs a test with groups in memory, which a disk keeps unless they are volatile, and with groups in a database.
func onStores(t *testing.T, volatile bool, run func(*testing.T, keeping)) {
	t.Helper()
	pgtest.OnStores(t, func(t *testing.T, datasource string) {
		switch {
		case datasource != "":
			run(t, keeping{database: pgtest.NewProxy(t, datasource), datasource: datasource})
		case volatile:
			run(t, keeping{})
		default:
			run(t, keeping{disk: newDisk()})
		}
	})
}

// life is that of one process. Nothing that a dead one does has an effect.
type life struct {
	keeping

	mu     sync.Mutex
	dead   bool
	trial  trial
	writes int // until the trial
}

// trial is what befalls one write.
type trial int

const (
	none    trial = iota
	crash         // the process dies before the write
	refuse        // the write fails
	deceive       // the write is done and reported as failed
	trials
)

var trialNames = [trials]string{"none", "crash", "refuse", "deceive"}

func (t trial) String() string { return trialNames[t] }

// try lets something befall the write that comes after so many others.
func (l *life) try(t trial, after int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trial, l.writes = t, after
}

// end ends the life.
func (l *life) end() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	if l.database != nil {
		l.database.Cut()
	}
}

// over tells whether it has ended.
func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// rules let what befalls writes befall the commits of the process, and admit it as long as it lives.
func (l *life) rules() pgtest.Rules {
	return pgtest.Rules{
		Admit: func() bool { return !l.over() },
		Commit: func() pgtest.Fate {
			l.mu.Lock()
			befalls := l.befall()
			l.mu.Unlock()
			switch befalls {
			case crash:
				l.end()
				return pgtest.Lost
			case refuse:
				return pgtest.Lost
			case deceive:
				return pgtest.Unanswered
			default:
				return pgtest.Passed
			}
		},
	}
}

// befall counts a write and tells what befalls it. The lock is held.
func (l *life) befall() (befalls trial) {
	if l.trial != none {
		if l.writes == 0 {
			befalls, l.trial = l.trial, none
		}
		l.writes--
	}
	l.dead = l.dead || befalls == crash
	if l.dead {
		return crash
	}
	return befalls
}

// Start, Shutdown and GetClient make a storage extension of it.
func (*life) Start(context.Context, component.Host) error { return nil }
func (*life) Shutdown(context.Context) error              { return nil }
func (l *life) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return storageClient{l}, nil
}

// storageClient gives no guarantees but those of storage.Client: a batch is not atomic, values belong to the storage.
type storageClient struct{ life *life }

var (
	errDead    = errors.New("the process is dead")
	errStorage = errors.New("the storage failed by the test's will")
)

func (c storageClient) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := c.Batch(ctx, op)
	return op.Value, err
}

func (c storageClient) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c storageClient) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c storageClient) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	for _, op := range ops {
		if err := c.life.do(op); err != nil {
			return err
		}
	}
	return nil
}

// do does an operation as far as the trial lets it.
func (l *life) do(op *storage.Operation) error {
	befalls := none
	if op.Type != storage.Get {
		befalls = l.befall()
	}
	switch {
	case l.dead:
		return errDead
	case befalls == refuse:
		return errStorage
	}
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	switch op.Type {
	case storage.Get:
		op.Value = slices.Clone(l.disk.records[op.Key])
	case storage.Set:
		l.disk.records[op.Key] = slices.Clone(op.Value)
	case storage.Delete:
		delete(l.disk.records, op.Key)
	}
	if befalls == deceive {
		return errStorage
	}
	return nil
}

func (storageClient) Close(context.Context) error { return nil }
