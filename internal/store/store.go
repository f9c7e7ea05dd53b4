// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package store is the contract of what holds groups: the current value of each series, pending stale markers and the
// times of the last pushes. Package memory implements it in this process.
//
// # Changes
//
// Push, Contribute, EndPusher, Fail, Delete, EndAggregate, Expire and Wipe change groups. A change that fails has no effect. A change that returned without an
// error is durable, if the implementation has a storage. Changes of one group take effect in the order of the calls.
// Changes of different groups do not wait for each other. The cost of a change depends on the push and the families that
// it replaces.
//
// Each series belongs to one group. A push cannot add a series of another group. If that group only has a pending stale
// marker for it, the series is taken over and the marker dropped.
//
// # Aggregates
//
// Options.Rules say which pushes are contributions of a pusher to an aggregate. An aggregate is a group: it has its key, its
// push times and its series, and it is exported, shown and counted as one. Package merge defines how the contributions
// become its series. Contributions count for MaxBytes, series of aggregates for MaxSeries, and pushers only for MaxPushers.
//
// A pusher is folded when it ends, when it has not pushed for Rule.PusherTTL, or early at MaxPushers: what outlives it moves
// to the base of the aggregate, and the pusher is forgotten. Series of an aggregate whose function does not outlive pushers
// end with their last one. TTL applies to each series of an aggregate instead of the group.
//
// A group and an aggregate can have the same key: the rule then takes only other pushes of the job. Readers see one group
// with one pair of push times. Delete removes what was pushed to the group, EndAggregate what belongs to the aggregate.
//
// # Export
//
// The store decides what is due; the outbox exports it. Claim returns a bounded batch: groups with the oldest unsent
// changes and groups whose round is due, with their newest values and pending markers. A group is in at most one claim
// until Settle. Changes do not wait for claims: a value that is replaced during a claim stays unsent. All points of a
// claim have the claim's time, which is later than that of every earlier claim of the same series.
//
// A removed series needs a stale marker if a value of it was exported. The marker is pending until it is accepted. It
// lapses five minutes after the last export of a value, because backends no longer return the series then. Exemplars are
// exported once.
//
// # Contract
//
// All methods are safe for concurrent use; Restore must come first. A store does not call the next consumer and does not
// retry.
package store

import (
	"context"
	"iter"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Store holds groups.
type Store interface {
	// Restore makes the store ready. It returns the context's error if that ends first.
	Restore(ctx context.Context) error

	// Push adds the families to the group. With replace (PUT) they replace all families; otherwise (POST) those of the same
	// names and of the emptied names. The two sets of names must be disjoint. The error is a *ConflictError, a *LimitError,
	// a *StorageError or ErrBusy.
	Push(ctx context.Context, key groupingkey.Key, families []*Family, replace bool, at time.Time, emptied ...string) error
	// Fail records a failed push. It creates the group if needed, as a Pushgateway does. A group without a successful push
	// expires by its last failure. The error is one of Push's.
	Fail(ctx context.Context, key groupingkey.Key, at time.Time) error
	// Contribute replaces the contributions of a pusher to an aggregate, and creates both if needed. It also deletes a group
	// with the key of the pusher, which is from before the rule. The error is an *UnsummableError, a *TypeConflict or one of
	// Push's.
	Contribute(ctx context.Context, c Contribution) error
	// EndPusher folds a pusher, if it is known. The error is one of Delete's.
	EndPusher(ctx context.Context, aggregate, pusher groupingkey.Key) error
	// EndAggregate ends the series of an aggregate and forgets its pushers, if it exists. The error is one of Delete's.
	EndAggregate(ctx context.Context, key groupingkey.Key) error
	// Delete removes the group if it exists. An aggregate of the same key stays. The error is a *StorageError or ErrBusy.
	Delete(ctx context.Context, key groupingkey.Key) error
	// Wipe removes all current groups and aggregates, and forgets all pushers. On an error, which is one of Delete's, some groups are already removed.
	Wipe(ctx context.Context) error
	// Expire removes groups whose time to live has passed, folds pushers and drops lapsed markers. The error is one of Delete's. What could
	// not be removed is left to the next expiry.
	Expire(ctx context.Context) (Expired, error)

	// Claim returns groups that are due. If there are none, it returns nil and the next due time, zero for never.
	Claim(ctx context.Context, limits Limits) (*Claim, time.Time)
	// Settle ends a claim. All parts must have their outcomes. After a *StorageError, accepted markers are still pending and
	// will be exported again.
	Settle(ctx context.Context, c *Claim) error
	// Changed receives when something may be due earlier than Claim returned.
	Changed() <-chan struct{}

	// Snapshots yields all groups, sorted by canonical path. Content is not copied. An error is the last element: a *StorageError or
	// ErrBusy. A store in a database yields the groups of one moment, and has few of them in memory.
	Snapshots(ctx context.Context) iter.Seq2[Snapshot, error]
	// Families yields all groups by the names of their families. Plan gets the types of each name, and returns sets of names. For each
	// set in order, the groups that have one of its families follow, sorted by canonical path and with these families only. All groups
	// follow in a set with EveryGroup. Errors and moments are those of Snapshots. Plan is called once, before the first element.
	Families(ctx context.Context, plan func(types map[string][]string) [][]string) iter.Seq2[Fragment, error]
	// Search returns the groups that a query selects. Each group is consistent, but not all at the same moment. A search delays
	// pushes no more than another push does. The error is ErrCursor, the context's or one of reading.
	Search(ctx context.Context, q Query) (Found, error)
	// Group returns one group, with and without its values. The error is ErrNoGroup, the context's or one of reading.
	Group(ctx context.Context, key groupingkey.Key) (Summary, Snapshot, error)
	// Jobs returns the jobs that have groups, in no order. The error is the context's or one of reading.
	Jobs(ctx context.Context) ([]Job, error)
	// Counts returns the current size of the store. It returns in about a second if a database hangs.
	Counts() Counts
	// Waiting returns the number of groups with unaccepted changes, and the time of the oldest change. It does not count
	// suspects. It returns in about a second if a database hangs.
	Waiting() (groups int, oldest time.Time)

	// Close releases the storage.
	Close(ctx context.Context) error
}

// Replicated is a Store in a database that several replicas share.
type Replicated interface {
	// Database returns the state of the database.
	Database() Database
}

// Database is the state of a database as this replica sees it.
type Database struct {
	// Err says why the last look at the database failed. It is nil if it was reached, and has no secrets.
	Err error
	// Synchronous says that commits wait for a standby.
	Synchronous bool
	// Connections are in use here, of at most MaxConnections.
	Connections, MaxConnections int
}

// Options are the settings of a Store.
type Options struct {
	// MaxGroups limits the groups. MaxSeries limits their series as Prometheus counts them, without push times. A push
	// that adds series is also refused beyond twice MaxSeries of stored and pending series together. 0 means no limit.
	MaxGroups, MaxSeries int
	// MaxBytes limits the encoded size of all families. A push that adds series is also refused beyond twice MaxBytes of
	// families and pending markers together. 0 means no limit.
	MaxBytes int64
	// TTL is a group's time to live after its last push. 0 means forever.
	TTL time.Duration
	// Rules are the rules of aggregates. Their pushers live at most as long as TTL.
	Rules Rules
	// MaxPushers limits the remembered pushers of all aggregates. At the limit, the pusher that has been quiet longest is
	// folded if it has been quiet for MinQuiet. 0 means no limit.
	MaxPushers int
	// Observer is told about aggregates. It can be nil.
	Observer Observer
	// RepublishInterval is the interval in which all values of a group are due again. 0 means never.
	RepublishInterval time.Duration
	// Scope is the name of the scope without scope labels.
	Scope string
	// SeriesKey makes hashes of series the same in all processes. Restore sets it. Nil is for stores that keep no hashes.
	SeriesKey *series.Key
	// Forwarded selects the forwarded part of stored metrics and must not change them. Only these series are indexed,
	// exported and ended by markers. Nil forwards everything.
	Forwarded func(held pmetric.Metrics) pmetric.Metrics
	// PushTimes builds the metrics of a group's last successful and failed push, which are zero if there was none. Nil
	// disables these series.
	PushTimes func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics
	// Now returns the current time.
	Now func() time.Time
	// Tick returns the time of a claim: a whole millisecond, later than all before. It must not block.
	Tick func() time.Time
	// StorageFailed is called for each failure of the storage, possibly concurrently.
	StorageFailed func(Operation, error)

	_ struct{}
}

// Space returns what identifies series.
func (o *Options) Space() series.Space { return series.Space{OwnScope: o.Scope, Key: o.SeriesKey} }

// ForwardedPart returns the forwarded part of stored metrics.
func (o *Options) ForwardedPart(held pmetric.Metrics) pmetric.Metrics {
	if o.Forwarded == nil {
		return held
	}
	return o.Forwarded(held)
}

// PushTimesOf returns the metrics of a group's push times, empty if they are disabled.
func (o *Options) PushTimesOf(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
	if o.PushTimes == nil {
		return pmetric.NewMetrics()
	}
	return o.PushTimes(key, pushed, failed)
}

// Operation is a storage operation, for telemetry.
type Operation string

// Storage operations that can fail.
const (
	Read    Operation = "read"
	Write   Operation = "write"
	Corrupt Operation = "corrupt" // unreadable record
	Shared  Operation = "shared"  // another process uses the same records
)

// Counts is the size of the store.
type Counts struct {
	// Groups are the visible groups, and Series theirs, without push times.
	Groups, Series int
	// Pushers are the remembered pushers of all aggregates.
	Pushers int
	// Pending is the number of series with a pending stale marker.
	Pending int
	// Size is the encoded size of the families in bytes, PendingSize that of the pending markers.
	Size, PendingSize int64
}

// Snapshot is the state of a group at one moment.
type Snapshot struct {
	Key                       groupingkey.Key
	PushTime, PushFailureTime time.Time // zero if there was none
	// Families are sorted by name, without push times. A name is there twice if the aggregate and the ordinary group both have it.
	Families  []Held
	Aggregate *AggregateInfo
}

// EveryGroup in a set of Store.Families selects the groups that have no family of the set, too. It is no name.
const EveryGroup = ""

// Fragment is a group with its families of a set.
type Fragment struct {
	Snapshot

	Set int // index of the set
}

// AggregateInfo describes the aggregate of a group for readers.
type AggregateInfo struct {
	// Rule is the name of the rule that made it, and Without are the labels that it does not have.
	Rule    string
	Without []string
	// Pushers is the number of remembered pushers. LastPusher is the key of the one that pushed last, at LastPush; both are zero if
	// all were folded.
	Pushers    int
	LastPusher groupingkey.Key
	LastPush   time.Time
}

// Held is a family of a snapshot.
type Held struct {
	Name string
	// Type is the exposition format's type, even if the family is flattened.
	Type string
	// PushTime is the time of the push that set the family.
	PushTime time.Time
	// Metrics decodes new pdata.
	Metrics func() pmetric.Metrics
}

// Expired is the result of an expiry.
type Expired struct {
	// Groups had exceeded their time to live.
	Groups []groupingkey.Key
	// Lapsed are groups whose lapsed markers were dropped: no backend returns their series any more.
	Lapsed []groupingkey.Key
	// LapsedSeries is the number of series of these markers.
	LapsedSeries int
}
