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

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// observeGroups shows what is held whenever telemetry is collected.
func (t *telemetry) observeGroups(counts func() store.Counts) error {
	observe := func(pick func(store.Counts) int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(pick(counts()))
			return nil
		}
	}
	return errors.Join(
		t.builder.RegisterReceiverPushgatewayGroupsCallback(observe(func(c store.Counts) int64 { return int64(c.Groups) })),
		t.builder.RegisterReceiverPushgatewayGroupSeriesCallback(observe(func(c store.Counts) int64 { return int64(c.Series) })),
		t.builder.RegisterReceiverPushgatewayGroupSizeCallback(observe(func(c store.Counts) int64 { return c.Size + c.OwedSize })),
		t.builder.RegisterReceiverPushgatewayOwedMarkersCallback(observe(func(c store.Counts) int64 { return int64(c.Owed) })),
	)
}

// forwarded counts what groups handed on, and logs a refusal, of which nobody else is told.
func (t *telemetry) forwarded(ctx context.Context, cause string, err error) {
	outcome := outcomeAccepted
	if err != nil {
		refusal := refuseDownstream(err)
		outcome = string(refusal.Reason)
		if suppressed, ok := t.allowLog("forward "+outcome, time.Now()); ok {
			t.logger.Warn("What groups hold was refused downstream and will be handed on again",
				zap.String("cause", cause), zap.Error(refusal), zap.Int("refused_since_last_log", suppressed))
		}
	}
	t.builder.ReceiverPushgatewayForwards.Add(ctx, 1, metric.WithAttributes(
		attribute.String("cause", cause), attribute.String("outcome", outcome)))
}

// gaveUp logs that series were not ended, since downstream refused their markers for good until they had ended by themselves.
func (t *telemetry) gaveUp(key groupingkey.Key, series int) {
	if suppressed, ok := t.allowLog("gave up", time.Now()); ok {
		t.logger.Warn("Stale markers of a group were refused for good for five minutes and are owed no longer",
			zap.String("grouping_key", cut(key.String())), zap.Int("series", series), zap.Int("given_up_since_last_log", suppressed))
	}
}

// republished records how long it took to hand on all groups once.
func (t *telemetry) republished(ctx context.Context, took time.Duration) {
	t.builder.ReceiverPushgatewayRepublishDuration.Record(ctx, took.Seconds())
}

// expired counts a group that was forgotten because its time was over.
func (t *telemetry) expired(ctx context.Context) {
	t.builder.ReceiverPushgatewayExpiredGroups.Add(ctx, 1)
}

// storageFailed counts a failure of the storage and logs it: each entry that is lost, and of the others one in a while.
func (t *telemetry) storageFailed(operation string, err error) {
	t.builder.ReceiverPushgatewayStorageErrors.Add(context.Background(), 1, metric.WithAttributes(
		attribute.String("operation", operation)))
	suppressed, ok := t.allowLog("storage "+operation, time.Now())
	if ok || operation == string(store.Corrupt) {
		t.logger.Error("The storage of groups failed", zap.String("operation", operation), zap.String("error", withoutURLs(err.Error())),
			zap.Int("failed_since_last_log", suppressed))
	}
}
