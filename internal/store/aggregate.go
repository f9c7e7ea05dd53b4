// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

// Contribution is one push of a pusher to an aggregate.
type Contribution struct {
	// Key is the key of the aggregate. Pusher is the key as pushed. They are equal for the pusher without labels of Without. Their
	// strings can be views into a request.
	Key, Pusher groupingkey.Key
	Rule        *Rule
	// Families are the pushed families. Their names are distinct.
	Families []PushedFamily
	// Replace is true for PUT: the pusher withdraws from the series that it leaves out, as far as their function allows it. A POST
	// withdraws only in the families that it names, in Families and Emptied.
	Replace bool
	// Emptied are the names of families pushed without series. They are not in Families.
	Emptied []string
	// At is the time of the push.
	At time.Time
}

// PushedFamily is a family of a push to an aggregate, as it contributes to the aggregate: only forwarded parts of histograms,
// without the labels of Rule.Without, and with start times taken from created timestamps. Series that became equal because a
// label is gone are not joined yet. They are in the order of the push.
//
// All metrics have the name of the family. Several metrics differ in their scope or, if both parts of a histogram are forwarded,
// in their kind of points.
type PushedFamily struct {
	Name string
	// Type is the exposition format's type.
	Type string
	// Function is the rule's for all metrics. It is not Drop.
	Function merge.Function
	// Metrics has one resource. Points have no timestamps.
	Metrics pmetric.Metrics
}

// FoldCause is the cause for which a pusher was folded. It is an attribute of a metric.
type FoldCause string

// The causes for which a pusher is folded.
const (
	FoldedByDelete FoldCause = "delete" // its DELETE
	FoldedByTTL    FoldCause = "ttl"    // no push for Rule.PusherTTL
	FoldedByLimit  FoldCause = "limit"  // Options.MaxPushers was reached
)

// Observer is told what happens to pushers and aggregates. Calls can be concurrent and must not block.
type Observer interface {
	// PusherFolded is told how many pushers were folded.
	PusherFolded(cause FoldCause, pushers int)
	// PusherReset is told in how many series a pusher began anew.
	PusherReset(series int)
	// PusherReturned is told a pusher that pushes again after it was folded without DELETE. It is a hint: some are missed.
	PusherReturned(pusher groupingkey.Key)
	// BoundsCapped is told how many histograms of a push had bounds for which the aggregate has no room.
	BoundsCapped(series int)
	// TypeReplaced is told that the series of a family ended because it is now pushed as another type.
	TypeReplaced(aggregate groupingkey.Key, family, from, to string)
	// AggregateEnded is told that an aggregate, or a family of it if the name is not empty, ended at start because the rules changed.
	AggregateEnded(aggregate groupingkey.Key, family, why string)
}

// UnsummableError says that a push has a metric that the aggregate cannot take. The push is at fault.
type UnsummableError struct{ detail string }

// Unsummable returns the error for a series or metric of a push. The cause follows its description in a sentence, as the errors of
// package merge do.
func Unsummable(description string, cause error) *UnsummableError {
	return &UnsummableError{fmt.Sprintf("collected metric %s %v", description, cause)}
}

// Error returns the message for the client. It starts as a Pushgateway's.
func (e *UnsummableError) Error() string {
	return "pushed metrics are invalid or inconsistent with existing metrics: " + e.detail
}

// TypeConflict is the error for a family that a push has as another type than a remembered pusher.
type TypeConflict struct {
	Family string
	// Held is the type in the aggregate, Pushed that in the push.
	Held, Pushed string
	// Aggregate is the key of the aggregate. Pusher is the remembered pusher of the held type that pushed last, and Since the time
	// since then.
	Aggregate, Pusher groupingkey.Key
	Since             time.Duration
}

// Error returns the message for the client.
func (c *TypeConflict) Error() string {
	return fmt.Sprintf("pushed metrics are invalid or inconsistent with existing metrics: "+
		"%q is %s in the aggregate %s, last pushed as such %s ago by %s; here it is %s",
		c.Family, article(c.Held), c.Aggregate.Path(true), c.Since.Round(time.Second), c.Pusher.Path(true), article(c.Pushed))
}

// article names a type in a sentence.
func article(typ string) string {
	switch typ {
	case "unknown":
		return "of unknown type"
	case "info":
		return "an info"
	case "gaugehistogram":
		return "a gauge histogram"
	default:
		return "a " + typ
	}
}
