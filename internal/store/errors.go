// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// ErrBusy says that the context ended, or too much time passed, while a request waited for its group or the storage. Nothing was changed.
var ErrBusy = errors.New("the store of groups is busy with earlier requests, so nothing was changed; try again later")

// ConflictError says that a push conflicts with stored data. Its text is a Pushgateway's.
type ConflictError struct{ detail string }

// Error returns the message for the client.
func (e *ConflictError) Error() string {
	return "pushed metrics are invalid or inconsistent with existing metrics: " + e.detail
}

// SeriesConflict returns the error for a series of another group.
func SeriesConflict(description string, key groupingkey.Key) error {
	return &ConflictError{fmt.Sprintf(
		"collected metric %s, which the group %s holds, was collected before with the same name and label values", description, key)}
}

// RuleConflict returns the error for a series that both the aggregate of a rule and the group of the same key have.
func RuleConflict(description string, key groupingkey.Key, rule *Rule) error {
	return &ConflictError{fmt.Sprintf(
		"collected metric %[1]s was collected before with the same name and label values: the group %[2]s has it from a push without %[3]s, and an "+
			"aggregate from a push with it; name the job under %[4]s::jobs, so that the aggregate takes both",
		description, key, strings.Join(rule.Without, " or "), rule.Name)}
}

// NameConflict returns the error for a metric whose name is longer than a store can hold.
func NameConflict(name string, most int) error {
	return &ConflictError{fmt.Sprintf("the name of metric %.64q... has %d bytes; groups::postgres holds names of %d bytes at most", name, len(name), most)}
}

// LimitError says which limit of the store a change exceeds.
type LimitError struct {
	Limit string // the setting's name
	Max   int64
	What  string // what came, and what is held
}

// Error names the limit, its value and the pushed number.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s; the limit groups::%s is %d", e.What, e.Limit, e.Max)
}

// StorageError says that the storage extension or the database failed. Nothing was changed, unless it is unknown.
type StorageError struct {
	Err error
	// Reading says that the request only reads.
	Reading bool
	// Uncertain says that the change may be stored: the connection failed before the answer. A repeated request does no harm.
	Uncertain bool
}

// Error tells the client what to do.
func (e *StorageError) Error() string {
	text := "the push could not be stored, so nothing was changed; try again later: "
	switch {
	case e.Reading:
		text = "the groups could not be read; try again later: "
	case e.Uncertain:
		text = "it is unknown whether the change is stored; repeat the request: "
	}
	return text + e.Err.Error()
}

// Unwrap returns the storage's error.
func (e *StorageError) Unwrap() error { return e.Err }
