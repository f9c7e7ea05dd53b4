// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

// Database observes a store in a database.
type Database struct{ telemetry *telemetry }

// Database returns the observer of a store in a database.
func (in *Ingest) Database() Database { return Database{in.telemetry} }

// Started reports that the store is ready, and whether a commit waits for a standby.
func (d Database) Started(synchronous bool) {
	d.telemetry.logger.Info("The database of groups is ready")
	if !synchronous {
		d.telemetry.logger.Warn("The database of groups does not wait for a standby, so a failover to one can lose acknowledged pushes. " +
			"Set synchronous_standby_names of PostgreSQL if it has a standby; docs/high-availability.md says more")
	}
}

// Transaction counts a transaction.
func (d Database) Transaction(kind, outcome string) {
	d.telemetry.builder.ReceiverPushgatewayDatabaseTransactions.Add(context.Background(), 1, metric.WithAttributes(
		attribute.String("kind", kind), attribute.String("outcome", outcome)))
}

// Waited records the time that a transaction waited for a connection.
func (d Database) Waited(wait time.Duration) {
	d.telemetry.builder.ReceiverPushgatewayDatabaseWait.Record(context.Background(), wait.Seconds())
}

// Reached logs that the database is reached again.
func (d Database) Reached(after time.Duration) {
	d.telemetry.logger.Info("The database of groups is reached again", zap.Stringer("away", after.Round(time.Second)))
}

// Claimed changes the number of shards that are claimed.
func (d Database) Claimed(difference int) {
	d.telemetry.builder.ReceiverPushgatewayDatabaseClaimedShards.Add(context.Background(), int64(difference))
}
