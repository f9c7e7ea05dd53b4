// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// Order is the order of found groups.
type Order string

// The orders. Groups that are equal are ordered by name.
const (
	ByPush    Order = "push"    // time of the last successful push; never is the oldest
	ByFailure Order = "failure" // time of the last failed push; never is the oldest
	BySeries  Order = "series"
	BySize    Order = "size"
	ByName    Order = "name" // job, then the labels
)

// Query selects groups.
type Query struct {
	Filter groupingkey.Filter
	// Job selects the groups of one job. Empty selects all.
	Job        string
	Order      Order
	Descending bool
	// Limit is the maximum number of groups to return, at least 1.
	Limit int
	// After continues after the last group of an earlier answer to the same query: its Found.Next. Groups that change in the meantime
	// may move before or behind it; others are neither repeated nor left out.
	After string
}

// nameSeparator ends each part of a name. It sorts before other characters, so that a name precedes its continuations, and does not
// occur in UTF-8.
const nameSeparator = "\x00\xff"

// AppendName appends the text by which groups are ordered: job, then the labels.
func AppendName(buffer []byte, key groupingkey.Key) []byte {
	buffer = append(append(buffer, key.Job...), nameSeparator...)
	for _, l := range key.Labels {
		buffer = append(append(buffer, l.Name...), nameSeparator...)
		buffer = append(append(buffer, l.Value...), nameSeparator...)
	}
	return buffer
}

// MaxCursorName bounds the part of a name that a cursor contains, in bytes.
const MaxCursorName = 512

// Found is the answer to a query.
type Found struct {
	Groups []Summary
	// Matched are all groups that the query selects, on all pages. Total are all groups.
	Matched, Total int
	// Next is Query.After for the next page, or empty after the last.
	Next string
}

// Summary describes a group without its values.
type Summary struct {
	Key groupingkey.Key
	// Families and Series are counted without push times.
	Families, Series int
	// Size is the encoded size in bytes.
	Size int64
	// Pending is the number of series with a pending stale marker.
	Pending int
	// PushTime and PushFailureTime are zero if there was none. Expires is zero if the group does not expire.
	PushTime, PushFailureTime, Expires time.Time
	// Aggregate is set if pushes of several pushers add up in the group.
	Aggregate *AggregateInfo
	// Cursor is Query.After to continue after this group.
	Cursor string
}

// Job summarizes the groups of a job.
type Job struct {
	Name   string
	Groups int
	// PushTime and PushFailureTime are the latest of its groups, and zero if there was none.
	PushTime, PushFailureTime time.Time
}

var (
	// ErrCursor is the error for a Query.After that no answer had as Found.Next.
	ErrCursor = errors.New("the cursor is not valid")
	// ErrNoGroup is the error for a group that does not exist.
	ErrNoGroup = errors.New("there is no such group; it may have been deleted or may have expired")
)
