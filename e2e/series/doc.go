// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package series compares what Prometheus stores of one push on two ways: through this receiver's distribution, and through
// a Pushgateway that Prometheus scrapes. `make e2e` runs it and checks docs/compatibility.md, the table of the result;
// `go -C e2e test ./series -update` writes that page.
package series
