// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The job of the Pushgateway itself, whose own series are not compared.
const gatewayJob = "the-pushgateway-itself"

// release is a Prometheus to compare in.
type release struct {
	name   string
	binary func(*testing.T) string

	// Settings of the scrape configuration, or flags, with which native buckets are scraped, or both. Classic ones are the
	// default.
	scrapeSettings map[string]string
	scrapeFlags    map[string][]string
}

// receiving2 are the features of a Prometheus that stores all that remote write 2.0 carries. configs/prometheus3.yaml names them.
const receiving2 = "--enable-feature=exemplar-storage,metadata-wal-records,created-timestamp-zero-ingestion"

var prometheus3 = release{
	name:   "Prometheus 3.15",
	binary: func(t *testing.T) string { return built(t, ".tools/prometheus") },
	scrapeSettings: map[string]string{
		native: "scrape_native_histograms: true",
		both:   "scrape_native_histograms: true\n    always_scrape_classic_histograms: true",
	},
}

var debians = release{
	name:        "Debian's Prometheus 2.42",
	binary:      debiansPrometheus,
	scrapeFlags: map[string][]string{native: {"--enable-feature=native-histograms"}},
}

// debiansPrometheus is the binary of Debian 12's package, which e2e/clients/install.sh installs. Without it there is nothing to compare.
func debiansPrometheus(t *testing.T) string {
	t.Helper()
	const path = "/usr/bin/prometheus"
	version, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(version), "version 2.42.0") {
		t.Skip("Debian 12's Prometheus is not installed: run make clients as root on Debian 12")
	}
	return path
}

// startPrometheus starts a server with a configuration and returns its URL.
func startPrometheus(t *testing.T, r release, config string, flags ...string) string {
	t.Helper()
	dir, endpoint := t.TempDir(), freeEndpoint(t)
	path := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	url := "http://" + endpoint
	start(t, url+"/-/ready", nil, r.binary(t), append([]string{
		"--config.file=" + path, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + endpoint,
	}, flags...)...)
	return url
}

// startScraping starts a Pushgateway and a Prometheus that scrapes these buckets from it, and returns the URLs of both.
func startScraping(t *testing.T, r release, buckets string) (gateway, prometheus string) {
	t.Helper()
	endpoint := freeEndpoint(t)
	gateway = "http://" + endpoint
	start(t, gateway+"/-/ready", nil, built(t, ".tools/pushgateway"), "--web.listen-address="+endpoint, "--push.enable-utf8-names")
	prometheus = startPrometheus(t, r, fmt.Sprintf(`
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: %s
    honor_labels: true
    %s
    static_configs:
      - targets: [%q]
`, gatewayJob, r.scrapeSettings[buckets], endpoint), r.scrapeFlags[buckets]...)
	return gateway, prometheus
}

// startReceiving starts a Prometheus that is sent to and the distribution that sends, and returns the URLs of both.
func startReceiving(t *testing.T, l lane) (collector, prometheus string) {
	t.Helper()
	prometheus = startPrometheus(t, l.release, l.config, append(l.flags, "--web.enable-remote-write-receiver")...)
	endpoint := freeEndpoint(t)
	collector = "http://" + endpoint
	arguments := []string{
		"--config", filepath.Join("..", "..", "configs", l.example),
		"--config", "yaml:service::telemetry::metrics::level: none",
	}
	if l.gates != "" {
		arguments = append(arguments, "--feature-gates", l.gates)
	}
	if l.histograms != "" {
		arguments = append(arguments, "--config", "yaml:receivers::pushgateway::histograms: "+l.histograms)
	}
	start(t, collector+"/-/ready", []string{"PUSHGATEWAY_ENDPOINT=" + endpoint, l.endpoint + "=" + prometheus + l.path},
		built(t, "_build/otelcol-pushgateway"), arguments...)
	return collector, prometheus
}
