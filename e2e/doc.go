// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the distribution that OCB builds, as a process between real clients and a real remote-write receiver.
// `make e2e` builds it and runs these tests.
package e2e
