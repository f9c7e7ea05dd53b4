// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import "time"

// Kinds of transactions.
const (
	KindChange = "change" // a push, DELETE or another change of one group
	KindClaim  = "claim"  // a look for what is due, if it fails
	KindSettle = "settle" // an export
	KindExpire = "expire"
	KindRead   = "read"
)

// Outcomes of transactions.
const (
	OutcomeCommitted = "committed"
	OutcomeRefused   = "refused" // a conflict or a limit of the store
	OutcomeRetried   = "retried" // a deadlock, another conflict of transactions or a lost connection
	OutcomeBusy      = "busy"    // waited too long for a lock or a connection
	OutcomeFailed    = "failed"
)

// Observer receives events for telemetry. Its methods can be called concurrently.
type Observer interface {
	// Started reports that the store is ready. If commits do not wait for a standby, a failover can lose acknowledged pushes.
	Started(synchronous bool)
	// Transaction reports the end of a transaction.
	Transaction(kind, outcome string)
	// Waited reports the time that a transaction waited for a connection.
	Waited(d time.Duration)
	// Reached reports that the database is reached again, after it was away for the time.
	Reached(after time.Duration)
	// Claimed reports the change of the number of shards that are claimed here.
	Claimed(difference int)
}
