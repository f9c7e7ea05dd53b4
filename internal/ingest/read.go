// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/outbox"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// ready refuses to read groups that are being restored.
func (in *Ingest) ready() error {
	if in.groups == nil || !in.isRestored() {
		return &Refusal{Reason: ReasonStarting, Err: in.errStarting("; try again in some seconds"), RetryAfter: defaultRetryAfter}
	}
	return nil
}

// refuseUnread refuses to read after an error of the store. Other errors are returned as they are: they are the client's.
func refuseUnread(err error) error {
	if _, ok := errors.AsType[*store.StorageError](err); ok {
		return &Refusal{Reason: ReasonStorage, Err: err, RetryAfter: defaultRetryAfter}
	}
	if errors.Is(err, store.ErrBusy) {
		return &Refusal{Reason: ReasonOverload, Err: errBusyReading, RetryAfter: defaultRetryAfter}
	}
	return err
}

var errBusyReading = errors.New("the groups could not be read in time; try again later")

// Search returns the groups that a query selects. The error is a *Refusal or one of Store.Search.
func (in *Ingest) Search(ctx context.Context, q store.Query) (store.Found, error) {
	if err := in.ready(); err != nil {
		return store.Found{}, err
	}
	found, err := in.groups.store.Search(ctx, q)
	return found, refuseUnread(err)
}

// Jobs returns the jobs that have groups. The error is a *Refusal or one of Store.Jobs.
func (in *Ingest) Jobs(ctx context.Context) ([]store.Job, error) {
	if err := in.ready(); err != nil {
		return nil, err
	}
	jobs, err := in.groups.store.Jobs(ctx)
	return jobs, refuseUnread(err)
}

// Group returns one group. The error is a *Refusal or one of Store.Group.
func (in *Ingest) Group(ctx context.Context, key groupingkey.Key) (store.Summary, gather.Group, error) {
	if err := in.ready(); err != nil {
		return store.Summary{}, gather.Group{}, err
	}
	summary, snapshot, err := in.groups.store.Group(ctx, key)
	if err != nil {
		return store.Summary{}, gather.Group{}, refuseUnread(err)
	}
	return summary, readable(snapshot), nil
}

// State is the state of the groups and of their export.
type State struct {
	Counts store.Counts
	// Waiting is the number of groups with unaccepted changes, and Oldest the time of the oldest change.
	Waiting int
	Oldest  time.Time
	// Database is the state of the database that has the groups, or nil.
	Database *store.Database
}

// State returns the state of the groups. While they are being restored it has only the state of the database, and returns false.
func (in *Ingest) State() (s State, restored bool) {
	if in.groups == nil {
		return s, false
	}
	if replicated, ok := in.groups.store.(store.Replicated); ok {
		database := replicated.Database()
		s.Database = &database
	}
	if in.ready() != nil {
		return s, false
	}
	s.Counts = in.groups.store.Counts()
	s.Waiting, s.Oldest = in.groups.store.Waiting()
	return s, true
}

// Refused returns up to limit of the parts of groups that the next consumer refuses, the oldest first, and their number. pick selects
// by group and must not block.
func (in *Ingest) Refused(limit int, pick func(groupingkey.Key) bool) ([]outbox.Refused, int) {
	return in.outbox.Refused(limit, pick)
}
