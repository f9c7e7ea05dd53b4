// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pushgatewayreceiver is a collector receiver that speaks the Prometheus Pushgateway's push protocol: batch jobs,
// cron jobs and CI steps that push to a Pushgateway push to the collector instead, and their metrics enter a pipeline.
//
// It is a proxy, not a cache: each push is forwarded once and nothing is stored. A push takes one way through the code,
// in which no step reaches back:
//
//	internal/pushhttp      request: route, grouping key, content coding, body; and the status at the end
//	internal/groupingkey   URL path <-> grouping key
//	internal/exposition    body -> batch of families and series, one grammar per format
//	internal/translate     batch and grouping key -> pdata, refused if it contradicts itself
//	internal/ingest        the use cases: limits, order and time of pushes, hand-over, telemetry
package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"
