// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"testing"
)

// setup is a configuration of the collector, a row of the table in docs/operating.md.
type setup struct {
	config string // path of an example, from this folder
	set    []string
}

var (
	// synchronous answers a push with what the backend answered.
	synchronous = setup{"../../configs/remote-write.yaml", nil}
	// remoteWrite has the exporter's defaults.
	remoteWrite = setup{"../../configs/remote-write.yaml", []string{queued, retries}}
	// remoteWritePatiently does not drop what takes more than five seconds, as a short outage can on a machine that does all
	// this at once.
	remoteWritePatiently = setup{"../../configs/remote-write.yaml", []string{
		queued, retries,
		"exporters::prometheus_remote_write::timeout: 1m",
		"exporters::prometheus_remote_write::http::timeout: 1m",
	}}
	// writeAhead has no queue in memory in front of the log, and sends one request after the other.
	writeAhead = setup{"../../configs/remote-write.yaml", []string{
		wal, retries,
		"exporters::prometheus_remote_write::max_batch_request_parallelism: 1",
	}}
	otlp       = setup{"../../configs/otlp.yaml", []string{oneAtATime, retrySoon}}
	otlpOnDisk = setup{"../../configs/otlp.yaml", []string{
		oneAtATime, retrySoon,
		"extensions::file_storage: {directory: '${env:STORAGE_DIRECTORY}', create_directory: true}",
		"service::extensions: [file_storage]",
		"exporters::otlp_http::sending_queue::storage: file_storage",
	}}
	durable = setup{"../../configs/durable.yaml", []string{withoutFsync}}
	groups  = setup{"../../configs/groups.yaml", []string{withoutFsync, everySecond}}
	// groupsInMemory has nothing on disk.
	groupsInMemory = setup{"../../configs/groups.yaml", []string{"receivers::pushgateway::groups::storage: null", everySecond}}

	// groupsAhead exports to an exporter that accepts before the backend does.
	groupsAhead = setup{"../../configs/groups.yaml", []string{
		withoutFsync, everySecond, queued,
	}}
)

// Settings of more than one row. What fsync adds matters to the end of a machine, not to that of a process.
const (
	wal          = "exporters::prometheus_remote_write::wal: {directory: '${env:STORAGE_DIRECTORY}', truncate_frequency: 1s}"
	queued       = "exporters::prometheus_remote_write::remote_write_queue::enabled: true"
	retries      = "exporters::prometheus_remote_write::retry_on_failure::enabled: true"
	oneAtATime   = "exporters::otlp_http::sending_queue::num_consumers: 1"
	retrySoon    = "exporters::otlp_http::retry_on_failure: {initial_interval: 100ms, max_interval: 1s}"
	withoutFsync = "extensions::file_storage::fsync: false"
	everySecond  = "receivers::pushgateway::groups::republish_interval: 1s"
)

const gates = "pkg.translator.prometheus.PermissiveLabelSanitization,exporter.prometheusremotewritexporter.RetryOn429"

// collector prepares the distribution to write to a far end. It keeps its port and its disk across restarts.
func (s setup) collector(t *testing.T, far *farEnd) *process {
	t.Helper()
	endpoint := freeEndpoint(t)
	env := []string{
		"PUSHGATEWAY_ENDPOINT=" + endpoint,
		"STORAGE_DIRECTORY=" + t.TempDir(),
		"LOOPBACK_ENDPOINT=" + freeEndpoint(t),
		"REMOTE_WRITE_ENDPOINT=" + far.url("/api/v1/write"),
		"OTLP_ENDPOINT=" + far.url(""),
	}
	args := []string{"--config", s.config, "--feature-gates", gates}
	for _, setting := range append(s.set, "service::telemetry::metrics::level: none") {
		args = append(args, "--config", "yaml:"+setting)
	}
	return newProcess(t, "_build/otelcol-pushgateway", endpoint, env, args...)
}
