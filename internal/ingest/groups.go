// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// GroupOptions are the settings of groups.
type GroupOptions struct {
	// RepublishInterval is the time within which each group is exported again; 0 means never.
	RepublishInterval time.Duration
	// Store are the settings of the store, without those that Ingest knows itself.
	Store store.Options

	_ struct{}
}

// expireInterval is the time between two expiries, and expireRetry the time after one that failed.
const (
	expireInterval = time.Second
	expireRetry    = defaultRetryAfter
)

// groups are the use cases of a receiver that remembers.
type groups struct {
	in       *Ingest
	store    *store.Store
	restored chan struct{} // closed when groups are restored
	stop     context.CancelFunc
	running  sync.WaitGroup
	closed   sync.Once
}

// Start restores the groups of the storage, which may be nil, and then exports and expires groups until Shutdown. Until they are
// restored, requests wait.
func (in *Ingest) Start(client store.Client) error {
	ctx, cancel := context.WithCancel(context.Background())
	g := &groups{in: in, store: store.New(in.storeOptions(client)), restored: make(chan struct{}), stop: cancel}
	in.groups = g
	g.running.Go(func() {
		if err := g.store.Restore(ctx); err != nil {
			return // It was shut down before.
		}
		in.outbox.Serve(g.store)
		close(g.restored)
		g.expire(ctx)
	})
	return in.telemetry.observeGroups(g.store, in.outbox)
}

func (in *Ingest) storeOptions(client store.Client) store.Options {
	o := in.options.Groups.Store
	o.RepublishInterval = in.options.Groups.RepublishInterval
	o.Scope = in.options.Translate.ScopeName
	o.Forwarded = in.options.Translate.Histograms.Forwarded
	o.PushTimes = in.pushTimes()
	o.Now = time.Now
	o.Tick = in.outbox.Tick
	o.Client = client
	o.StorageFailed = func(operation store.Operation, err error) { in.telemetry.storageFailed(string(operation), err) }
	return o
}

// pushTimes makes the metrics of a group's push times, as store.Options has it; nil if they are switched off.
func (in *Ingest) pushTimes() func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	if !in.options.Translate.PushTime {
		return nil
	}
	return func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
		return translate.PushTimes(key, in.options.Translate, pushed, failed)
	}
}

// wait waits until nothing is expired any more.
func (g *groups) wait() { g.running.Wait() }

// close ends the use of the storage, once.
func (g *groups) close(ctx context.Context) (err error) {
	g.closed.Do(func() { err = g.store.Close(context.WithoutCancel(ctx)) })
	return err
}

// expire removes groups whose time to live has passed and markers that have lapsed, until the context ends.
func (g *groups) expire(ctx context.Context) {
	timer := time.NewTimer(expireInterval)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		expired, err := g.store.Expire(ctx)
		g.in.telemetry.expired(expired)
		if err != nil {
			timer.Reset(expireRetry) // The store has reported it, and nothing was removed.
			continue
		}
		timer.Reset(expireInterval)
	}
}

// push stores a push.
func (g *groups) push(ctx context.Context, r Request, push *translate.Push) error {
	families, err := g.families(push)
	if err != nil {
		return Refuse(ReasonInconsistent, err)
	}
	if err := g.store.Push(ctx, r.Key, families, r.Replace, time.Now(), push.Emptied...); err != nil {
		refusal := refuseUnstored(err)
		g.in.noteFailure(ctx, r.Key, refusal)
		return refusal
	}
	return nil
}

// families encodes each family of a push.
func (g *groups) families(push *translate.Push) ([]*store.Family, error) {
	families := make([]*store.Family, 0, len(push.Families))
	var failed error
	for _, f := range push.Families {
		push.With(f, func(md pmetric.Metrics) {
			family, err := g.store.NewFamily(f.Name, f.Type.String(), md)
			families, failed = append(families, family), errors.Join(failed, err)
		})
	}
	return families, failed
}

func refuseUnstored(err error) *Refusal {
	if errors.Is(err, store.ErrBusy) {
		return &Refusal{Reason: ReasonOverload, Err: err, RetryAfter: defaultRetryAfter}
	}
	if _, ok := errors.AsType[*store.LimitError](err); ok {
		return &Refusal{Reason: ReasonFull, Err: err, RetryAfter: defaultRetryAfter}
	}
	if _, ok := errors.AsType[*store.StorageError](err); ok {
		return &Refusal{Reason: ReasonStorage, Err: err, RetryAfter: defaultRetryAfter}
	}
	return Refuse(ReasonInconsistent, err)
}

// noteFailure notes the time of a failed push, as a Pushgateway does: for refused timestamps and for what is inconsistent, not for what
// cannot be read or is too much. If it cannot be noted, that is not the client's concern: failures of the storage are counted, and a
// group that may not be made is not.
func (in *Ingest) noteFailure(ctx context.Context, key groupingkey.Key, err error) {
	if in.groups != nil && reasonOf(err) == ReasonInconsistent {
		_ = in.groups.store.Fail(ctx, key, time.Now())
	}
}

// Delete removes the group and ends its series. It is not an error that there is none. The error is a *Refusal.
func (in *Ingest) Delete(ctx context.Context, key groupingkey.Key) error {
	return in.remove(ctx, func(s *store.Store) error { return s.Delete(ctx, key) })
}

// Wipe removes all groups that there are now. The error is a *Refusal; some are removed then.
func (in *Ingest) Wipe(ctx context.Context) error {
	return in.remove(ctx, func(s *store.Store) error { return s.Wipe(ctx) })
}

func (in *Ingest) remove(ctx context.Context, remove func(*store.Store) error) error {
	if err := in.awaitGroups(ctx); err != nil {
		return err
	}
	if err := remove(in.groups.store); err != nil {
		return refuseUnstored(err)
	}
	return nil
}

var errStarting = errors.New("the groups are being restored; try again later")

// awaitGroups waits for groups to be restored, if there are any, but not for long.
func (in *Ingest) awaitGroups(ctx context.Context) error {
	if in.isRestored() {
		return nil
	}
	if in.groups != nil {
		limited, cancel := context.WithTimeout(ctx, defaultRetryAfter)
		defer cancel()
		select {
		case <-in.groups.restored:
			return nil
		case <-limited.Done():
		}
	}
	return &Refusal{Reason: ReasonStarting, Err: errStarting, RetryAfter: defaultRetryAfter}
}

// isRestored tells whether there is nothing left to restore.
func (in *Ingest) isRestored() bool {
	if in.options.Groups == nil {
		return true
	}
	if in.groups == nil {
		return false
	}
	select {
	case <-in.groups.restored:
		return true
	default:
		return false
	}
}

// Groups gives all groups, for reading. The error is a *Refusal.
func (in *Ingest) Groups(ctx context.Context) (iter.Seq[gather.Group], error) {
	if err := in.awaitGroups(ctx); err != nil {
		return nil, err
	}
	return func(yield func(gather.Group) bool) {
		for snapshot := range in.groups.store.Snapshots() {
			if !yield(readable(snapshot)) {
				return
			}
		}
	}, nil
}

func readable(s store.Snapshot) gather.Group {
	group := gather.Group{Key: s.Key, PushTime: s.PushTime, PushFailureTime: s.PushFailureTime}
	for _, f := range s.Families {
		group.Families = append(group.Families, gather.Family{Name: f.Name, Type: f.Type, PushTime: f.PushTime, Metrics: f.Metrics})
	}
	return group
}
