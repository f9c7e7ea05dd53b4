// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

var _ store.Observer = (*telemetry)(nil)

// PusherFolded implements store.Observer.
func (t *telemetry) PusherFolded(cause store.FoldCause, pushers int) {
	t.builder.ReceiverPushgatewayPushersFolded.Add(context.Background(), int64(pushers),
		metric.WithAttributes(attribute.String("cause", string(cause))))
}

// PusherReset implements store.Observer.
func (t *telemetry) PusherReset(series int) {
	t.builder.ReceiverPushgatewayPusherResets.Add(context.Background(), int64(series))
}

// PusherReturned implements store.Observer. It logs one pusher per interval: with a pusher_ttl that is too short, all of them return.
func (t *telemetry) PusherReturned(pusher groupingkey.Key) {
	t.builder.ReceiverPushgatewayPushersReturned.Add(context.Background(), 1)
	t.logOnce("returned", "A pusher that was forgotten pushes again, so that its counts are added again; raise pusher_ttl above the pause of its pushes",
		zap.String("grouping_key", truncate(pusher.String())))
}

// BoundsCapped implements store.Observer.
func (t *telemetry) BoundsCapped(series int) {
	t.builder.ReceiverPushgatewayAggregateBoundsCapped.Add(context.Background(), int64(series))
}

// TypeReplaced implements store.Observer.
func (t *telemetry) TypeReplaced(aggregate groupingkey.Key, family, from, to string) {
	t.builder.ReceiverPushgatewayAggregateTypesReplaced.Add(context.Background(), 1)
	t.logOnce("type replaced", "A metric is pushed as another type; its series of the old type ended, and totals begin anew",
		zap.String("grouping_key", truncate(aggregate.String())), zap.String("metric", truncate(family)), zap.String("from", from), zap.String("to", to))
}

// AggregateEnded implements store.Observer.
func (t *telemetry) AggregateEnded(aggregate groupingkey.Key, family, why string) {
	t.logOnce("aggregate ended", "An aggregate ended because groups::aggregate has changed; its totals begin anew",
		zap.String("grouping_key", truncate(aggregate.String())), zap.String("metric", truncate(family)), zap.String("reason", why))
}

// logOnce logs a warning at most once per kind and interval, with the number of suppressed ones.
func (t *telemetry) logOnce(kind, message string, fields ...zap.Field) {
	if suppressed, ok := t.allowLog(kind, time.Now()); ok {
		t.logger.Warn(message, append(fields, zap.Int("more_since_last_log", suppressed))...)
	}
}
