// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The exporters as configs/ has them: without a queue and without retries.
const (
	toNothing     = "  nop:"
	toRemoteWrite = `
  prometheus_remote_write:
    http:
      endpoint: %[1]s/api/v1/write
      keepalive: {max_idle_conns_per_host: 16}
    protobuf_message: %[2]s
    translation_strategy: UnderscoreEscapingWithoutSuffixes
    disable_scope_info: true
    target_info:
      enabled: false
    send_metadata: true
    remote_write_queue:
      enabled: false
    retry_on_failure:
      enabled: false`
	toOTLP = `
  otlp_http:
    endpoint: %[1]s
    keepalive: {max_idle_conns_per_host: 16}
    compression: snappy
    sending_queue:
      enabled: false
    retry_on_failure:
      enabled: false`
)

const exportConfig = `
extensions:
%[5]s
receivers:
  pushgateway:
    endpoint: %[1]s
%[4]s
exporters:
%[3]s
service:
  extensions: [%[7]s]
  pipelines:
    metrics:
      receivers: [pushgateway]
      exporters: [%[6]s]
  telemetry:
    logs:
      level: fatal
    metrics:
      readers:
        - pull:
            exporter:
              prometheus:
                host: 127.0.0.1
                port: %[2]s
`

// exportGates are the feature gates of the distribution.
const exportGates = "pkg.translator.prometheus.PermissiveLabelSanitization,exporter.prometheusremotewritexporter.enableSendingRW2"

// way is a way out of the collector.
type way struct {
	name     string
	exporter string // the component
	config   func(url string) string
}

var (
	nowhere     = way{"nop", "nop", func(string) string { return toNothing }}
	remoteWrite = way{"remote write 1.0", "prometheus_remote_write", func(url string) string {
		return fmt.Sprintf(toRemoteWrite, url, "prometheus.WriteRequest")
	}}
	remoteWrite2 = way{"remote write 2.0", "prometheus_remote_write", func(url string) string {
		return fmt.Sprintf(toRemoteWrite, url, "io.prometheus.write.v2.Request")
	}}
	otlpHTTP = way{"OTLP", "otlp_http", func(url string) string { return fmt.Sprintf(toOTLP, url) }}
)

// mode is what the receiver does with a push.
type mode struct {
	name   string
	groups bool
	stored bool
	fsync  bool

	datasource string // of PostgreSQL
	interval   time.Duration
}

var (
	asProxy     = mode{name: "proxy"}
	inMemory    = mode{name: "groups", groups: true}
	withStorage = mode{name: "groups, storage", groups: true, stored: true}
	withFsync   = mode{name: "groups, storage, fsync", groups: true, stored: true, fsync: true}
	modes       = []mode{asProxy, inMemory, withStorage, withFsync}
)

// receiver is the receiver's configuration, behind its endpoint.
func (m mode) receiver() string {
	if !m.groups {
		return ""
	}
	groups := []string{"max_series: 0"}
	if m.stored {
		groups = append(groups, "storage: file_storage")
	}
	if m.datasource != "" {
		groups = append(groups, fmt.Sprintf("postgres: {datasource: %q}", m.datasource))
	}
	if m.interval > 0 {
		groups = append(groups, "republish_interval: "+m.interval.String())
	}
	return "    groups: {" + strings.Join(groups, ", ") + "}"
}

// extension is the configuration of the storage extension and its name, both empty without.
func (m mode) extension(folder string) (config, name string) {
	if !m.stored {
		return "", ""
	}
	return fmt.Sprintf("  file_storage: {directory: %s, fsync: %t}", folder, m.fsync), "file_storage"
}

// exporting is a running distribution that exports to a backend.
type exporting struct {
	*server
	*backend

	way    way
	mode   mode
	folder string
}

// startExporting starts the distribution with a backend of its own.
func startExporting(path string, w way, m mode, delay time.Duration) (*exporting, error) {
	b, err := startBackend(delay)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	e := &exporting{backend: b, way: w, mode: m, folder: folder}
	telemetry, err := freeAddress()
	if err != nil {
		return nil, err
	}
	extension, name := m.extension(folder)
	file := filepath.Join(folder, "config.yaml")
	var written error
	e.server, err = startServer(path, func(address string) []string {
		config := fmt.Sprintf(exportConfig, address, strings.TrimPrefix(telemetry, "127.0.0.1:"), w.config(b.url), m.receiver(),
			extension, w.exporter, name)
		written = os.WriteFile(file, []byte(config), 0o600)
		return []string{"--config", file, "--feature-gates", exportGates}
	})
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, fmt.Errorf("%s, %s: %w", w.name, m.name, err)
	}
	return e, written
}

func (e *exporting) stop() {
	e.server.stop()
	e.backend.stop()
	_ = os.RemoveAll(e.folder)
}

// freeAddress is an address on the loopback interface that nothing listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
