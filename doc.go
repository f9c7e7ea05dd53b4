// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pushgatewayreceiver is a collector receiver that speaks the Prometheus Pushgateway's push protocol: batch jobs,
// cron jobs and CI steps that push to a Pushgateway push to the collector instead, and their metrics enter a pipeline.
//
// By default the receiver is a proxy: it forwards each push once and stores nothing. With groups it stores the last push of each
// group, as a Pushgateway does, and exports it repeatedly. Packages call only those below them:
//
//	internal/pushhttp      request: route, grouping key, content coding, body; and the status of the response
//	internal/page          the page for the browser: files, JSON API, stream of pushes
//	internal/groupingkey   URL path <-> grouping key
//	internal/exposition    body -> batch of families and series, one grammar per format
//	internal/translate     batch and grouping key -> pdata, refused if it contradicts itself
//	internal/ingest        the use cases push, delete and wipe; limits, telemetry
//	internal/outbox        export to the next consumer: batches, retries, times
//	internal/store         the contract of what holds groups and aggregates; internal/store/memory holds them in this process
//	internal/merge         arithmetic of aggregates: the pushes of many pushers -> one series
//	internal/series        the series of a family, and their stale markers
//	internal/gather        groups -> GET /metrics and the query API
//	internal/configcheck   mistakes in the configuration, with the way to write it
package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"
