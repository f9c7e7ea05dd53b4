// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// GroupOptions are the settings of groups.
type GroupOptions struct {
	// RepublishInterval is the time within which each group is handed on again; 0 means never.
	RepublishInterval time.Duration

	_ struct{}
}

// settleTimeout bounds how long it may take to write down that markers were accepted, which a request that has gone must
// not stop.
const settleTimeout = 10 * time.Second

// groups are the use cases of a receiver that remembers.
//
// A change is made in the group's turn: it is stored together with the stale markers owed from then on, and then handed on
// once. What the next consumer makes of it changes neither the answer nor what is stored: values go out again with the next
// republishing, markers until they were accepted or their series have ended without them.
type groups struct {
	in    *Ingest
	store *store.Store
	sweep sweep
}

// PushTimes makes the metrics of a group's push times, as store.Options has it; nil if they are switched off.
func (in *Ingest) PushTimes() func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	if !in.options.Translate.PushTime {
		return nil
	}
	return func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
		return translate.PushTimes(key, in.options.Translate, pushed, failed)
	}
}

// Forwarded is what is forwarded of held metrics, as store.Options has it.
func (in *Ingest) Forwarded(held pmetric.Metrics) pmetric.Metrics {
	return in.options.Translate.Histograms.Forwarded(held)
}

// push holds a push and hands it on.
func (g *groups) push(ctx context.Context, r Request, push *translate.Push) error {
	families, err := g.families(push)
	if err != nil {
		return Refuse(ReasonInconsistent, err)
	}
	turn, err := g.in.clock.turn(ctx, r.Key)
	if err != nil {
		return err
	}
	defer turn.release()
	if err := g.store.Push(ctx, r.Key, families, r.Replace, g.in.clock.now(), push.Emptied...); err != nil {
		refusal := refuseUnheld(err)
		if refusal.Reason == ReasonInconsistent {
			g.fail(ctx, turn, r.Key)
		}
		return refusal
	}
	forwarded := g.in.Forwarded(push.Metrics)
	series.Join(forwarded, g.store.PushTimes(r.Key))
	g.emit(ctx, turn, r.Key, forwarded, func() pmetric.Metrics {
		md := pmetric.NewMetrics()
		for _, f := range families {
			series.Join(md, g.in.Forwarded(f.Metrics()))
		}
		series.Join(md, g.store.PushTimes(r.Key))
		return md
	})
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

func refuseUnheld(err error) *Refusal {
	if _, ok := errors.AsType[*store.LimitError](err); ok {
		return &Refusal{Reason: ReasonFull, Err: err, RetryAfter: defaultRetryAfter}
	}
	if _, ok := errors.AsType[*store.StorageError](err); ok {
		return &Refusal{Reason: ReasonStorage, Err: err, RetryAfter: defaultRetryAfter}
	}
	return Refuse(ReasonInconsistent, err)
}

// fail notes a failed push in the group's turn. What keeps it from being noted is not the pusher's concern: failures of the
// storage are counted, and a group that is not to be is not made.
func (g *groups) fail(ctx context.Context, turn *turn, key groupingkey.Key) {
	if err := g.store.Fail(ctx, key, g.in.clock.now()); err == nil {
		times := func() pmetric.Metrics { return g.store.PushTimes(key) }
		g.emit(ctx, turn, key, times(), times)
	}
}

// noteFailure notes a push that was refused before its turn, as a Pushgateway does: for refused timestamps and for what is
// inconsistent, not for what cannot be read or is too much.
func (in *Ingest) noteFailure(ctx context.Context, key groupingkey.Key, err error) {
	if in.groups == nil || reasonOf(err) != ReasonInconsistent {
		return
	}
	turn, waited := in.clock.turn(ctx, key)
	if waited != nil {
		return // The request is over, and its answer with it.
	}
	defer turn.release()
	in.groups.fail(ctx, turn, key)
}

// Delete forgets the group and ends its series. It is not an error that there is none. The error is a *Refusal.
func (in *Ingest) Delete(ctx context.Context, key groupingkey.Key) error {
	if err := in.awaitGroups(ctx); err != nil {
		return err
	}
	return in.groups.delete(ctx, key)
}

func (g *groups) delete(ctx context.Context, key groupingkey.Key) error {
	turn, err := g.in.clock.turn(ctx, key)
	if err != nil {
		return err
	}
	defer turn.release()
	return g.end(ctx, turn, key, causeDelete)
}

// end deletes a group in its turn.
func (g *groups) end(ctx context.Context, turn *turn, key groupingkey.Key, cause string) error {
	existed, err := g.store.Delete(ctx, key)
	if err != nil {
		return refuseUnheld(err)
	}
	if existed {
		g.endOwed(ctx, turn, key, cause)
	}
	return nil
}

// Wipe deletes all groups that there are now, some at once, since each waits for its consumer. The error is a *Refusal; some
// are deleted then.
func (in *Ingest) Wipe(ctx context.Context) error {
	if err := in.awaitGroups(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	var failed error
	eachOf(ctx, slices.Values(in.groups.store.AllKeys()), func(key groupingkey.Key) {
		if err := in.groups.delete(ctx, key); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = err
		}
	})
	if failed == nil && ctx.Err() != nil {
		return refuseBusy() // Some have not come to their turn.
	}
	return failed
}

// emit hands on, in the group's turn, values with the latest of the markers that the group owes. The values do not wait for
// more of these, which are the sweep's: a push would cost what those before it left behind while downstream was away. The
// values are made anew by again if they have to be handed on once more.
func (g *groups) emit(ctx context.Context, turn *turn, key groupingkey.Key, values pmetric.Metrics, again func() pmetric.Metrics) {
	markers := g.store.Latest(key)
	together := !markers.IsEmpty() && values.DataPointCount() > 0
	err := g.handOn(ctx, turn, key, markers, values, causePush)
	if together && isPermanent(err) {
		err = g.emitApart(ctx, turn, key, markers, again())
	}
	if err == nil && !g.store.Latest(key).IsEmpty() {
		g.sweep.comeSoon(due{key, g.in.clock.now()})
	}
}

// emitApart hands on once more, each in a call of its own, what was refused for good together. One series that a backend never
// takes would keep the ends of all others from it otherwise, or a marker the values.
func (g *groups) emitApart(ctx context.Context, turn *turn, key groupingkey.Key, markers store.Markers, values pmetric.Metrics) error {
	err := g.handOn(ctx, turn, key, markers, pmetric.NewMetrics(), causePush)
	return errors.Join(err, g.handOn(ctx, turn, key, store.Markers{}, values, causePush))
}

// endOwed hands on all markers that the group owes, in its turn, part by part: a part that is refused for good keeps no other
// from being handed on. A consumer that refuses for now is asked no further. What is left after some time is the sweep's, since
// others wait for the turn.
func (g *groups) endOwed(ctx context.Context, turn *turn, key groupingkey.Key, cause string) {
	began, accepted := time.Now(), false
	for markers := range g.store.Owed(key) {
		if ctx.Err() != nil || time.Since(began) >= g.patience()/2 {
			if accepted {
				g.sweep.comeSoon(due{key, g.in.clock.now()})
			}
			return
		}
		err := g.handOn(ctx, turn, key, markers, pmetric.NewMetrics(), cause)
		if err != nil && !isPermanent(err) {
			return
		}
		accepted = accepted || err == nil
	}
}

// handOn hands on markers and then values in one call. The markers carry the earlier millisecond. The error is the next
// consumer's, or of the storage if it could not take down that the markers were accepted.
func (g *groups) handOn(
	ctx context.Context, turn *turn, key groupingkey.Key, markers store.Markers, values pmetric.Metrics, cause string,
) error {
	owing, alone := !markers.IsEmpty(), values.DataPointCount() == 0
	if !owing && alone {
		return nil
	}
	md := markers.Metrics()
	after := g.store.After(key)
	var markersAt time.Time
	if owing {
		markersAt = turn.next(after)
		translate.Stamp(md, markersAt)
	}
	if !alone {
		translate.Stamp(values, turn.next(after))
		values.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	}
	err := g.in.next.ConsumeMetrics(ctx, md)
	g.in.telemetry.forwarded(ctx, cause, err)
	switch {
	case !owing:
	case err == nil:
		err = g.settle(ctx, key, markers, markersAt)
	case alone && isPermanent(err):
		g.giveUp(ctx, key, markers, markersAt)
	}
	return err
}

// isPermanent tells whether to hand on the same again would be in vain. A request that is too large is exhausted by its status,
// and permanent all the same.
func isPermanent(err error) bool {
	return err != nil && (consumererror.IsPermanent(err) || refuseDownstream(err).Reason == ReasonPermanent)
}

// settle notes that the markers were accepted. From then on another group may have their series, at later times only. If the
// storage fails, which is counted, the markers are owed still, and repeated.
func (g *groups) settle(ctx context.Context, key groupingkey.Key, markers store.Markers, markersAt time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return g.store.Settle(ctx, key, markers, markersAt)
}

// giveUp notes that the markers were refused for good.
func (g *groups) giveUp(ctx context.Context, key groupingkey.Key, markers store.Markers, markersAt time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if given, err := g.store.GiveUp(ctx, key, markers, markersAt); err == nil && given > 0 {
		g.in.telemetry.gaveUp(key, given)
	}
}

var errStarting = errors.New("the groups are being restored; try again later")

// awaitGroups waits for groups to be restored, if there are any, but not for long.
func (in *Ingest) awaitGroups(ctx context.Context) error {
	if in.isRestored() {
		return nil
	}
	if in.groups != nil {
		patience, cancel := context.WithTimeout(ctx, defaultRetryAfter)
		defer cancel()
		select {
		case <-in.groups.sweep.restored:
			return nil
		case <-patience.Done():
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
	case <-in.groups.sweep.restored:
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
