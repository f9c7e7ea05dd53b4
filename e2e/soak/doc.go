// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package soak tests what becomes of a push that was answered 200 when the backend is away, and when the collector ends, is
// killed and starts again. TestSurvives proves the table "What survives what" in docs/operating.md, one row at a time;
// `make soak` lets hundreds of clients push while all of that happens.
package soak
