// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pushgatewayreceiver is a collector receiver that speaks the Prometheus Pushgateway's push protocol: batch jobs,
// cron jobs and CI steps that push to a Pushgateway push to the collector instead, and their metrics enter a pipeline.
//
// By default it is a proxy: each push is forwarded once and nothing is stored. With groups it holds the last push of each group,
// as a Pushgateway does, and hands it on again and again. A push takes one way through the code, in which no step reaches back:
//
//	internal/pushhttp      request: route, grouping key, content coding, body; and the status at the end
//	internal/groupingkey   URL path <-> grouping key
//	internal/exposition    body -> batch of families and series, one grammar per format
//	internal/translate     batch and grouping key -> pdata, refused if it contradicts itself
//	internal/ingest        the use cases: limits, order and time of pushes, hand-over, telemetry
//	internal/store         groups: held, merged, expired, and kept in a storage extension
//	internal/series        which series a group's families are, and the stale markers that end them
//	internal/gather        groups -> GET /metrics and the query API
package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"
