// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// ErrBusy tells that the context ended while the change waited for its group or for the storage. Nothing was changed.
var ErrBusy = errors.New("an earlier change of this group is still being stored; try again later")

// ConflictError tells that a push cannot stand beside what is held. Its text is a Pushgateway's.
type ConflictError struct{ detail string }

// Error is the sentence that the person who pushed reads.
func (e *ConflictError) Error() string {
	return "pushed metrics are invalid or inconsistent with existing metrics: " + e.detail
}

// heldBy refuses a series that the group of that key shows.
func heldBy(description string, key groupingkey.Key) error {
	return &ConflictError{fmt.Sprintf(
		"collected metric %s, which the group %s holds, was collected before with the same name and label values", description, key)}
}

// collides refuses families of one group whose series share names.
func collides(name string, owner *Family) error {
	return &ConflictError{fmt.Sprintf("collected metric named %q collides with previously collected %s named %q", name, owner.Type, owner.Name)}
}

// LimitError tells which limit on what is held a change exceeds.
type LimitError struct {
	Limit string // the name of the setting
	Max   int64
	what  string
}

// Error names the limit, its value and what was pushed.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s; the limit groups::%s is %d", e.what, e.Limit, e.Max)
}

// StorageError tells that the storage extension failed. What was to be changed has not been changed.
type StorageError struct{ Err error }

// Error says what to do.
func (e *StorageError) Error() string {
	return "the push could not be stored, so nothing was changed; try again later: " + e.Err.Error()
}

// Unwrap gives the storage's error.
func (e *StorageError) Unwrap() error { return e.Err }
