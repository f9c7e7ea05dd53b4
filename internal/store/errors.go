// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// ErrBusy says that the context ended while the change waited for its group or the storage. Nothing was changed.
var ErrBusy = errors.New("an earlier change of this group is still being stored; try again later")

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

// StorageError says that the storage extension failed. Nothing was changed.
type StorageError struct{ Err error }

// Error tells the client what to do.
func (e *StorageError) Error() string {
	return "the push could not be stored, so nothing was changed; try again later: " + e.Err.Error()
}

// Unwrap returns the storage's error.
func (e *StorageError) Unwrap() error { return e.Err }
