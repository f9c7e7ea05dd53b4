// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAggregationGuide does what docs/aggregation.md tells to try, with free ports.
func TestAggregationGuide(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed and make clients could not install it")
	}
	server := startPrometheus(t, prometheusFile(t, ""))
	g := newGuide(t, "../docs/aggregation.md", map[string]string{
		"COLLECTOR": "http://" + freeEndpoint(t), "PROMETHEUS": server.url, "STORAGE_DIRECTORY": t.TempDir(),
		"COLLECTOR_FOLDER": withTelemetryAt(t, freeEndpoint(t)),
	})
	g.run(t, "start")
	out, _ := g.run(t, "push")
	assert.Equal(t, []string{"8"}, totals(out))
	out, _ = g.run(t, "restart")
	assert.Equal(t, []string{"9", "9", "12"}, totals(out))
	assert.Equal(t, []string{"12"}, server.query(t, `done_total{job="orders"}`))
	out, _ = g.run(t, "correct")
	assert.Empty(t, totals(out))
}

// totals are the values of the aggregate that commands print.
func totals(out string) []string { return captures(total, out) }

var total = regexp.MustCompile(`(?m)^done_total{instance="",job="orders"} (\d+)$`)

// TestAggregationGuideNamesWhatExists looks for the metrics that the page names in metadata.yaml, and for its alerts among the
// shipped ones.
func TestAggregationGuideNamesWhatExists(t *testing.T) {
	t.Parallel()
	page := readFile(t, "../docs/aggregation.md")
	names := regexp.MustCompile(`otelcol_receiver_pushgateway_[a-z_]+`).FindAllString(page, -1)
	require.NotEmpty(t, names)
	generated := generatedNames(t)
	for _, name := range names {
		assert.Contains(t, generated, name)
	}
	alerts := readFile(t, "../deploy/prometheus/alerts.yaml")
	for _, alert := range regexp.MustCompile(`Pushgateway[A-Z]\w+`).FindAllString(page, -1) {
		assert.Contains(t, alerts, "alert: "+alert)
	}
}

// TestAggregationGuideShowsValidRules lets the distribution validate the rule that the page begins with, within the example.
func TestAggregationGuideShowsValidRules(t *testing.T) {
	t.Parallel()
	page := readFile(t, "../docs/aggregation.md")
	block := regexp.MustCompile("(?s)<!-- config: rule -->\n```yaml\n(.*?)```").FindStringSubmatch(page)
	require.NotNil(t, block)
	config := "receivers:\n  pushgateway:\n" + regexp.MustCompile(`(?m)^`).ReplaceAllString(strings.TrimSuffix(block[1], "\n"), "    ") +
		"\nexporters: {nop: }\nservice: {pipelines: {metrics: {receivers: [pushgateway], exporters: [nop]}}}\n"
	path := filepath.Join(t.TempDir(), "rule.yaml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	out, err := validate(t, path)
	require.NoError(t, err, out)
}
