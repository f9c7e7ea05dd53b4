// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package differential sends the same requests to a real Pushgateway and to this receiver, and compares the answers:
// status, Allow, body and the series that come out, with their types. What may differ is a rule in rules.go, which is the
// tables of docs/deviations.md.
package differential
