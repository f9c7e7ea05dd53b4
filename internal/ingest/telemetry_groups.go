// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/outbox"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// observeGroups registers the gauges of groups.
func (t *telemetry) observeGroups(s store.Store, o *outbox.Outbox) error {
	observe := func(value func() int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(value())
			return nil
		}
	}
	return errors.Join(
		t.builder.RegisterReceiverPushgatewayGroupsCallback(observe(func() int64 { return int64(s.Counts().Groups) })),
		t.builder.RegisterReceiverPushgatewayGroupSeriesCallback(observe(func() int64 { return int64(s.Counts().Series) })),
		t.builder.RegisterReceiverPushgatewayGroupSizeCallback(observe(func() int64 { c := s.Counts(); return c.Size + c.PendingSize })),
		t.builder.RegisterReceiverPushgatewayAggregatePushersCallback(observe(func() int64 { return int64(s.Counts().Pushers) })),
		t.builder.RegisterReceiverPushgatewayPendingStaleMarkersCallback(observe(func() int64 { return int64(s.Counts().Pending) })),
		t.builder.RegisterReceiverPushgatewayUnsentGroupsCallback(observe(func() int64 {
			groups, _ := s.Waiting()
			return int64(groups)
		})),
		t.builder.RegisterReceiverPushgatewayUnsentAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			age := 0.0
			if _, oldest := s.Waiting(); !oldest.IsZero() {
				age = max(0, time.Since(oldest).Seconds())
			}
			o.Observe(age)
			return nil
		}),
		t.builder.RegisterReceiverPushgatewayQuarantinedFamiliesCallback(observe(func() int64 { return int64(o.Quarantined()) })),
	)
}

// restored logs the result of restoring groups, if there are any.
func (t *telemetry) restored(c store.Counts) {
	if c == (store.Counts{}) {
		return
	}
	t.logger.Info("Groups restored", zap.Int("groups", c.Groups), zap.Int("series", c.Series), zap.Int("pushers", c.Pushers), zap.Int("pending_stale_markers", c.Pending))
}

// Called implements outbox.Observer. With groups it logs errors of the next consumer, which no client sees.
func (t *telemetry) Called(ctx context.Context, points int, err error) {
	outcome := outcomeAccepted
	if err != nil {
		refusal := refuseDownstream(err)
		outcome = string(refusal.Reason)
		if suppressed, ok := t.allowLog("export "+outcome, time.Now()); ok && t.groups {
			t.logger.Warn("The next consumer refused groups; they will be exported again",
				zap.Error(refusal), zap.Int("refused_since_last_log", suppressed))
		}
	}
	if t.watcher != nil {
		t.watcher.Exported(points, outcome)
	}
	t.builder.ReceiverPushgatewayExports.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
	t.builder.ReceiverPushgatewayExportPoints.Record(ctx, int64(points))
}

// Quarantined implements outbox.Observer.
func (t *telemetry) Quarantined(p *store.Part, err error) {
	t.logger.Warn("A part of a group is refused while others are accepted; it is now tried by itself, once per republish interval", append(partFields(p),
		zap.String("error", refuseDownstream(err).Error()))...)
}

// Accepted implements outbox.Observer.
func (t *telemetry) Accepted(p *store.Part) {
	t.logger.Info("A part of a group that was refused is accepted again", partFields(p)...)
}

func partFields(p *store.Part) []zap.Field {
	return []zap.Field{zap.String("grouping_key", truncate(p.Key.String())), zap.String("part", p.Name()), zap.Int("series", p.Series)}
}

// wiped logs who deleted all groups.
func (t *telemetry) wiped(client string, err error) {
	if err != nil {
		t.logger.Warn("Deleting all groups failed", zap.String("client_address", client), zap.Error(err))
		return
	}
	t.logger.Info("All groups deleted", zap.String("client_address", client))
}

// expired counts and logs the result of an expiry.
func (t *telemetry) expired(e store.Expired) {
	t.builder.ReceiverPushgatewayExpiredGroups.Add(context.Background(), int64(len(e.Groups)))
	if len(e.Groups) > 0 {
		if suppressed, ok := t.allowLog("expired", time.Now()); ok {
			t.logger.Info("Groups expired: groups::ttl has passed since their last push", zap.String("grouping_key", truncate(e.Groups[0].String())),
				zap.Int("groups", len(e.Groups)), zap.Int("expiries_since_last_log", suppressed))
		}
	}
	if e.LapsedSeries > 0 {
		if suppressed, ok := t.allowLog("lapsed", time.Now()); ok {
			t.logger.Warn("Stale markers were not accepted within five minutes and are dropped; backends do not show their series any more",
				zap.String("grouping_key", truncate(e.Lapsed[0].String())), zap.Int("series", e.LapsedSeries), zap.Int("dropped_since_last_log", suppressed))
		}
	}
}

// storageFailed counts and logs a failure of the storage. Corrupt records are always logged.
func (t *telemetry) storageFailed(operation string, err error) {
	t.builder.ReceiverPushgatewayStorageErrors.Add(context.Background(), 1, metric.WithAttributes(
		attribute.String("operation", operation)))
	suppressed, ok := t.allowLog("storage "+operation, time.Now())
	if ok || operation == string(store.Corrupt) {
		t.logger.Error("The "+t.store+" of groups failed", zap.String("operation", operation), zap.String("error", withoutURLs(err.Error())),
			zap.Int("failed_since_last_log", suppressed))
	}
}
