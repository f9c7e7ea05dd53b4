// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// TestWarnOfAsynchronousDatabase logs once at the start what a failover can lose.
func TestWarnOfAsynchronousDatabase(t *testing.T) {
	t.Parallel()
	for _, synchronous := range []bool{false, true} {
		core, logged := observer.New(zapcore.WarnLevel)
		set := receivertest.NewNopSettings(metadata.Type)
		set.Logger = zap.New(core)
		in, err := New(set, Options{}, consumertest.NewNop())
		require.NoError(t, err)
		in.Database().Started(synchronous)
		in.Database().Transaction("change", "committed")
		if synchronous {
			assert.Empty(t, logged.All())
		} else if lines := logged.All(); assert.Len(t, lines, 1) {
			assert.Equal(t, "The database of groups does not wait for a standby, so a failover to one can lose acknowledged pushes. "+
				"Set synchronous_standby_names of PostgreSQL if it has a standby; docs/high-availability.md says more", lines[0].Message)
		}
		require.NoError(t, in.Shutdown(t.Context()))
	}
}

// unreadable is a store whose database is away.
type unreadable struct {
	store.Store
	err error
}

func (u *unreadable) Search(context.Context, store.Query) (store.Found, error) {
	return store.Found{}, u.err
}
func (u *unreadable) Jobs(context.Context) ([]store.Job, error) { return nil, u.err }

func (u *unreadable) Group(context.Context, groupingkey.Key) (store.Summary, store.Snapshot, error) {
	return store.Summary{}, store.Snapshot{}, u.err
}

func (u *unreadable) Snapshots(context.Context) iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) { yield(store.Snapshot{}, u.err) }
}

func (u *unreadable) Families(context.Context, func(map[string][]string) [][]string) iter.Seq2[store.Fragment, error] {
	return func(yield func(store.Fragment, error) bool) { yield(store.Fragment{}, u.err) }
}

func (u *unreadable) Database() store.Database { return store.Database{Err: u.err, MaxConnections: 7} }

// TestUnreadable refuses to read what a store cannot read. Errors of the client stay as they are.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemembering(t, store.Options{}, nil)
		require.NoError(t, r.put(t.Context(), "j", "a 1\n"))
		broken := &unreadable{Store: r.groups.store}
		r.groups.store = broken
		read := func() (errs []error) {
			_, err := r.Search(t.Context(), store.Query{Limit: 1})
			errs = append(errs, err)
			_, err = r.Jobs(t.Context())
			errs = append(errs, err)
			_, _, err = r.Group(t.Context(), groupingkey.Key{Job: "j"})
			errs = append(errs, err)
			for _, err := range r.Groups(t.Context()) {
				errs = append(errs, err)
			}
			for _, err := range r.Fragments(t.Context(), gather.NewScrape(gather.Options{}).Plan) {
				errs = append(errs, err)
			}
			return errs
		}
		for err, want := range map[error]struct {
			reason Reason
			text   string
		}{
			&store.StorageError{Err: errors.New("the database did not answer in time"), Reading: true}: {
				ReasonStorage, "the groups could not be read; try again later: the database did not answer in time",
			},
			store.ErrBusy: {ReasonOverload, "the groups could not be read in time; try again later"},
		} {
			broken.err = err
			errs := read()
			assert.Len(t, errs, 5)
			for _, err := range errs {
				r.requireRefused(err, want.reason)
				assert.EqualError(t, err, want.text)
			}
		}
		broken.err = store.ErrCursor
		for _, err := range read() {
			assert.ErrorIs(t, err, store.ErrCursor)
		}
		state, ok := r.State()
		require.True(t, ok)
		assert.Equal(t, &store.Database{Err: store.ErrCursor, MaxConnections: 7}, state.Database)
		r.groups.store = broken.Store
		require.NoError(t, r.Shutdown(t.Context()))
	})
}
