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
	// RepublishInterval is the time after which a group is exported again. 0 means never.
	RepublishInterval time.Duration
	// Database says that the store is in a database. Texts for clients and in the log say so.
	Database bool
	// Store are the settings of the store. Ingest sets the callbacks.
	Store store.Options

	_ struct{}
}

// expireInterval is the time between two expiries. In a database, which each replica asks, it is databaseExpireInterval. expireRetry is
// the time after a failed one.
const (
	expireInterval         = time.Second
	databaseExpireInterval = 5 * time.Second
	expireRetry            = defaultRetryAfter
)

// groups implements the use cases with groups.
type groups struct {
	in       *Ingest
	options  store.Options
	store    store.Store
	restored chan struct{} // closed when groups are restored
	stop     context.CancelFunc
	running  sync.WaitGroup
	closed   sync.Once
}

// Start opens the store and restores its groups. Then it exports and expires groups until Shutdown. Requests wait until
// groups are restored. Start is called once, before the first request.
func (in *Ingest) Start(open func(store.Options) (store.Store, error)) error {
	options := in.storeOptions()
	opened, err := open(options)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &groups{in: in, options: options, store: opened, restored: make(chan struct{}), stop: cancel}
	in.groups = g
	g.running.Go(func() {
		if err := g.store.Restore(ctx); err != nil {
			return // Shutdown came first.
		}
		in.telemetry.restored(g.store.Counts())
		in.outbox.Serve(g.store)
		close(g.restored)
		g.expire(ctx)
	})
	return in.telemetry.observeGroups(g.store, in.outbox)
}

func (in *Ingest) storeOptions() store.Options {
	o := in.options.Groups.Store
	o.RepublishInterval = in.options.Groups.RepublishInterval
	o.Scope = in.options.Translate.ScopeName
	o.Forwarded = in.options.Translate.Histograms.Forwarded
	o.PushTimes = in.pushTimes()
	o.Now = time.Now
	o.Tick = in.outbox.Tick
	o.Observer = in.telemetry
	o.StorageFailed = func(operation store.Operation, err error) { in.telemetry.storageFailed(string(operation), err) }
	return o
}

// pushTimes returns the function of store.Options that makes the metrics of push times, or nil if they are disabled.
func (in *Ingest) pushTimes() func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	if !in.options.Translate.PushTime {
		return nil
	}
	return func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
		return translate.PushTimes(key, in.options.Translate, pushed, failed)
	}
}

// wait waits for the end of restoring and expiring.
func (g *groups) wait() { g.running.Wait() }

// close closes the store once.
func (g *groups) close(ctx context.Context) (err error) {
	g.closed.Do(func() { err = g.store.Close(context.WithoutCancel(ctx)) })
	return err
}

// expire removes expired groups and lapsed markers until the context ends.
func (g *groups) expire(ctx context.Context) {
	interval := expireInterval
	if g.in.options.Groups.Database {
		interval = databaseExpireInterval
	}
	timer := time.NewTimer(interval)
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
			timer.Reset(expireRetry) // The store has reported the error.
			continue
		}
		timer.Reset(interval)
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

// families encodes the families of a push.
func (g *groups) families(push *translate.Push) ([]*store.Family, error) {
	families := make([]*store.Family, 0, len(push.Families))
	var failed error
	for _, f := range push.Families {
		push.WithFamily(f, func(md pmetric.Metrics) {
			family, err := g.options.NewFamily(f.Name, f.Type.String(), md)
			families, failed = append(families, family), errors.Join(failed, err)
		})
	}
	return families, failed
}

// helpGroupLimit says what to do about a limit of groups.
const helpGroupLimit = "nothing was changed; delete groups or raise the limit, then push again"

func refuseUnstored(err error) *Refusal {
	if errors.Is(err, store.ErrBusy) {
		return &Refusal{Reason: ReasonOverload, Err: err, RetryAfter: defaultRetryAfter}
	}
	if _, ok := errors.AsType[*store.LimitError](err); ok {
		return &Refusal{Reason: ReasonGroupLimit, Err: err, Help: helpGroupLimit, RetryAfter: groupLimitRetryAfter}
	}
	if _, ok := errors.AsType[*store.StorageError](err); ok {
		return &Refusal{Reason: ReasonStorage, Err: err, RetryAfter: defaultRetryAfter}
	}
	return Refuse(ReasonInconsistent, err)
}

// noteFailure sets the time of the last failed push, as a Pushgateway does: for refused timestamps and inconsistent pushes, but not
// for those that cannot be parsed or exceed a limit. Failures of the storage are counted, and do not change the response.
func (in *Ingest) noteFailure(ctx context.Context, key groupingkey.Key, err error) {
	if in.groups != nil && reasonOf(err) == ReasonInconsistent {
		_ = in.groups.store.Fail(ctx, key, time.Now())
	}
}

// Delete removes a group and marks its series stale, or ends a pusher of an aggregate. A group or pusher that does not exist is no
// error. The error is a *Refusal.
func (in *Ingest) Delete(ctx context.Context, key groupingkey.Key) error {
	return in.remove(ctx, func(s store.Store) error {
		if rule, aggregate := in.ruleOf(key); rule != nil {
			return endPusher(ctx, s, aggregate, key)
		}
		return s.Delete(ctx, key)
	})
}

// Wipe removes all groups for a client, whose address is logged. The error is a *Refusal; some groups may be removed then.
func (in *Ingest) Wipe(ctx context.Context, client string) error {
	err := in.remove(ctx, func(s store.Store) error { return s.Wipe(ctx) })
	in.telemetry.wiped(client, err)
	return err
}

func (in *Ingest) remove(ctx context.Context, remove func(store.Store) error) error {
	if err := in.awaitGroups(ctx); err != nil {
		return err
	}
	if err := remove(in.groups.store); err != nil {
		return refuseUnstored(err)
	}
	return nil
}

// errStarting says why groups are not ready.
func (in *Ingest) errStarting(consequence string) error {
	if in.options.Groups != nil && in.options.Groups.Database {
		return errors.New("the database of groups has not answered since the start" + consequence)
	}
	return errors.New("groups are being restored after a start" + consequence)
}

// awaitGroups waits until groups are restored, at most for defaultRetryAfter.
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
	return &Refusal{Reason: ReasonStarting, Err: in.errStarting("; nothing was changed; try again in some seconds"), RetryAfter: defaultRetryAfter}
}

// isRestored reports whether groups are restored. It is true for a proxy.
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

// Groups yields all groups, for reading. An error is the last element, and a *Refusal.
func (in *Ingest) Groups(ctx context.Context) iter.Seq2[gather.Group, error] {
	return func(yield func(gather.Group, error) bool) {
		if err := in.awaitGroups(ctx); err != nil {
			yield(gather.Group{}, err)
			return
		}
		for snapshot, err := range in.groups.store.Snapshots(ctx) {
			if err != nil {
				yield(gather.Group{}, refuseUnread(err))
				return
			}
			if !yield(readable(snapshot), nil) {
				return
			}
		}
	}
}

// Fragments yields all groups by the names of their families, for a gather.Scrape and its plan. An error is the last element, and a
// *Refusal.
func (in *Ingest) Fragments(ctx context.Context, plan func(types map[string][]string) [][]string) iter.Seq2[gather.Fragment, error] {
	return func(yield func(gather.Fragment, error) bool) {
		if err := in.awaitGroups(ctx); err != nil {
			yield(gather.Fragment{}, err)
			return
		}
		for fragment, err := range in.groups.store.Families(ctx, plan) {
			if err != nil {
				yield(gather.Fragment{}, refuseUnread(err))
				return
			}
			if !yield(gather.Fragment{Group: readable(fragment.Snapshot), Set: fragment.Set}, nil) {
				return
			}
		}
	}
}

func readable(s store.Snapshot) gather.Group {
	group := gather.Group{Key: s.Key, PushTime: s.PushTime, PushFailureTime: s.PushFailureTime}
	for _, f := range s.Families {
		group.Families = append(group.Families, gather.Family{Name: f.Name, Type: f.Type, PushTime: f.PushTime, Metrics: f.Metrics})
	}
	return group
}
