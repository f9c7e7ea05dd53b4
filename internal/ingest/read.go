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

// errRestoring is the cause of refusals to read while groups are being restored.
var errRestoring = errors.New("groups are being restored after a start; try again in some seconds")

// ready refuses to read groups that are being restored.
func (in *Ingest) ready() error {
	if in.groups == nil || !in.isRestored() {
		return &Refusal{Reason: ReasonStarting, Err: errRestoring, RetryAfter: defaultRetryAfter}
	}
	return nil
}

// Search returns the groups that a query selects. The error is a *Refusal or one of Store.Search.
func (in *Ingest) Search(ctx context.Context, q store.Query) (store.Found, error) {
	if err := in.ready(); err != nil {
		return store.Found{}, err
	}
	return in.groups.store.Search(ctx, q)
}

// Jobs returns the jobs that have groups. The error is a *Refusal or one of Store.Jobs.
func (in *Ingest) Jobs(ctx context.Context) ([]store.Job, error) {
	if err := in.ready(); err != nil {
		return nil, err
	}
	return in.groups.store.Jobs(ctx)
}

// Group returns one group. The error is a *Refusal or one of Store.Group.
func (in *Ingest) Group(ctx context.Context, key groupingkey.Key) (store.Summary, gather.Group, error) {
	if err := in.ready(); err != nil {
		return store.Summary{}, gather.Group{}, err
	}
	summary, snapshot, err := in.groups.store.Group(ctx, key)
	if err != nil {
		return store.Summary{}, gather.Group{}, err
	}
	return summary, readable(snapshot), nil
}

// State is the state of the groups and of their export.
type State struct {
	Counts store.Counts
	// Waiting is the number of groups with unaccepted changes, and Oldest the time of the oldest change.
	Waiting int
	Oldest  time.Time
}

// State returns the state of the groups, and false while there are none.
func (in *Ingest) State() (State, bool) {
	if in.ready() != nil {
		return State{}, false
	}
	s := State{Counts: in.groups.store.Counts()}
	s.Waiting, s.Oldest = in.groups.store.Waiting()
	return s, true
}

// Refused returns up to limit of the parts of groups that the next consumer refuses, the oldest first, and their number. pick selects
// by group and must not block.
func (in *Ingest) Refused(limit int, pick func(groupingkey.Key) bool) ([]outbox.Refused, int) {
	return in.outbox.Refused(limit, pick)
}
