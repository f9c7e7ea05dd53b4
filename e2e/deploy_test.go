// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

const (
	pollInterval = 50 * time.Millisecond
	dataTimeout  = 2 * time.Minute

	// The collector's own metrics in deploy/prometheus/prometheus.yaml: the job, and the address to scrape.
	scrapeJob     = "otelcol-pushgateway"
	scrapeAddress = "collector:8888"
)

// aggregateMetrics exist once something has happened to a pusher of an aggregate.
var aggregateMetrics = []string{
	"otelcol_receiver_pushgateway_aggregate_bounds_capped",
	"otelcol_receiver_pushgateway_aggregate_types_replaced",
	"otelcol_receiver_pushgateway_pusher_resets",
	"otelcol_receiver_pushgateway_pushers_folded",
	"otelcol_receiver_pushgateway_pushers_returned",
}

// databaseMetrics exist with groups in PostgreSQL only.
var databaseMetrics = []string{
	"otelcol_receiver_pushgateway_database_claimed_shards",
	"otelcol_receiver_pushgateway_database_transactions",
	"otelcol_receiver_pushgateway_database_wait_bucket",
}

// groupMetrics exist with groups only.
var groupMetrics = []string{
	"otelcol_receiver_pushgateway_aggregate_pushers",
	"otelcol_receiver_pushgateway_expired_groups",
	"otelcol_receiver_pushgateway_group_series",
	"otelcol_receiver_pushgateway_group_size",
	"otelcol_receiver_pushgateway_groups",
	"otelcol_receiver_pushgateway_pending_stale_markers",
	"otelcol_receiver_pushgateway_quarantined_families",
	"otelcol_receiver_pushgateway_storage_errors",
	"otelcol_receiver_pushgateway_unsent_age",
	"otelcol_receiver_pushgateway_unsent_groups",
	"push_failure_time_seconds",
}

// TestDeployOnPrometheus runs what compose.yaml runs, without containers: the collector with the image's configuration, and a
// Prometheus with ours, which evaluates every expression of the dashboard and of the alerts while jobs push.
func TestDeployOnPrometheus(t *testing.T) {
	t.Parallel()
	for _, mode := range []struct {
		name   string
		set    []string // settings of the receiver
		silent []string // metrics that have no series, because what they count does not happen here
	}{
		{name: "proxy", silent: slices.Concat(groupMetrics, aggregateMetrics, databaseMetrics)},
		{
			name:   "groups",
			set:    []string{"receivers::pushgateway::groups: {republish_interval: 1s, ttl: 5s}"},
			silent: slices.Concat(aggregateMetrics, databaseMetrics, []string{"otelcol_receiver_pushgateway_storage_errors"}),
		},
		{
			name:   "replicas",
			set:    []string{"receivers::pushgateway::groups: {republish_interval: 1s, ttl: 5s, postgres: {datasource: '${env:DATABASE_URL}'}}"},
			silent: append(slices.Clone(aggregateMetrics), "otelcol_receiver_pushgateway_storage_errors"),
		},
		{
			name: "aggregates",
			set:  []string{"receivers::pushgateway::groups: {republish_interval: 1s, aggregate: [{without: [job_id]}]}"},
			silent: append(slices.Clone(databaseMetrics),
				"otelcol_receiver_pushgateway_aggregate_bounds_capped",
				"otelcol_receiver_pushgateway_aggregate_types_replaced",
				"otelcol_receiver_pushgateway_pushers_returned",
				"otelcol_receiver_pushgateway_storage_errors",
			),
		},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{}
			if mode.name == "replicas" {
				env["DATABASE_URL"] = pgtest.URL(startDatabase(t).Endpoint(), "deployed")
			}
			server := startDeployed(t, mode.set, env)
			assertPanels(t, server, mode.silent)
			assertRules(t, server, "PushgatewayPushesRefused", "PushgatewayExporterLosesPoints")
			assertNames(t, server, mode.silent)
			assertLabels(t, server, mode.silent)
		})
	}
}

// startDeployed starts Prometheus and the collector, has jobs push until the test is over, and returns the Prometheus. A
// second exporter, which fails, shows what a queue in front of a broken backend looks like.
func startDeployed(t *testing.T, set []string, env map[string]string) prometheusServer {
	t.Helper()
	telemetry := freeEndpoint(t)
	host, port, err := net.SplitHostPort(telemetry)
	require.NoError(t, err)
	server := startPrometheus(t, prometheusConfig(t, telemetry))
	env["REMOTE_WRITE_ENDPOINT"] = server.url + "/api/v1/write"
	c := startCollector(t, settings{
		config: "../deploy/docker/collector.yaml",
		set: append(set,
			"extensions::health_check::endpoint: "+freeEndpoint(t),
			"receivers::pushgateway::limits::series_per_push: 3",
			"exporters::otlp_http: {endpoint: http://127.0.0.1:1, retry_on_failure: {enabled: false}}",
			"service::pipelines::metrics::exporters: [prometheus_remote_write, otlp_http]"),
		env: env,
		args: []string{
			"--config", "yaml:service::telemetry::metrics::level: detailed",
			"--config", "yaml:service::telemetry::metrics::readers: [{pull: {exporter: {prometheus: {host: " + host + ", port: " + port + "}}}}]",
		},
	})
	pushUntilTheEnd(t, c.url)
	return server
}

// prometheusConfig is deploy/prometheus with another address to scrape, and quicker.
func prometheusConfig(t *testing.T, telemetry string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"prometheus.yaml", "alerts.yaml"} {
		content, err := os.ReadFile("../deploy/prometheus/" + name)
		require.NoError(t, err)
		quicker := strings.NewReplacer(scrapeAddress, telemetry, "_interval: 15s", "_interval: 1s").Replace(string(content))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(quicker), 0o600))
	}
	return filepath.Join(dir, "prometheus.yaml")
}

// pushUntilTheEnd pushes what is taken and what is refused, again and again.
func pushUntilTheEnd(t *testing.T, url string) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(done)
		<-ended
	})
	pushOnce := func(method, path, body string) {
		request, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if assert.NoError(t, err) {
			response, err := http.DefaultClient.Do(request)
			if assert.NoError(t, err) {
				_ = response.Body.Close()
			}
		}
	}
	pushOnce(http.MethodPut, "/metrics/job/once", "a 1\n")
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			pushOnce(http.MethodPut, "/metrics/job/nightly/instance/a", "rows 1\n")
			pushOnce(http.MethodPost, "/metrics/job/nightly/instance/a", "rows 1,5\n")
			pushOnce(http.MethodPut, "/pushgateway/metrics/job/nightly/instance/b", "a 1\nb 1\nc 1\nd 1\n")
			pushOnce(http.MethodDelete, "/metrics/job/nightly/instance/c", "")
			// One pusher of an aggregate, if there is a rule: it pushes, restarts and ends.
			pushOnce(http.MethodPut, "/metrics/job/orders/job_id/1", "done_total 5\n")
			pushOnce(http.MethodPut, "/metrics/job/orders/job_id/1", "done_total 3\n")
			pushOnce(http.MethodDelete, "/metrics/job/orders/job_id/1", "")
		}
	}()
}

// assertPanels evaluates every expression of the dashboard and demands data of it, but where a metric is silent.
func assertPanels(t *testing.T, server prometheusServer, silent []string) {
	t.Helper()
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := d.substitute(target.Expr)
			wantsData := !slices.ContainsFunc(server.metricsOf(t, expr), func(name string) bool { return slices.Contains(silent, name) })
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				if values := server.query(c, expr); wantsData {
					assert.NotEmpty(c, values, "%s: %s", p.Title, expr)
				}
			}, dataTimeout, pollInterval)
		}
	}
	for _, v := range d.Templating.List {
		if values := labelValues.FindStringSubmatch(v.Definition); v.Type == "query" && assert.NotNil(t, values, v.Definition) {
			assert.NotEmpty(t, server.query(t, "count by ("+values[2]+") ("+d.substitute(values[1])+")"), v.Definition)
		}
	}
}

// labelValues is Grafana's function for the values of a variable.
var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// assertRules waits until some alerts fire, and demands that every rule can be evaluated.
func assertRules(t *testing.T, server prometheusServer, firing ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var got []string
		for _, r := range server.rules(c) {
			assert.Equal(c, "ok", r.Health, "%s: %s", r.Name, r.LastError)
			if r.State == "firing" {
				got = append(got, r.Name)
			}
		}
		assert.Subset(c, got, firing)
	}, dataTimeout, pollInterval)
}

// assertNames demands that every metric in an expression of the dashboard or the rules is one that the server has. Those
// that are silent must be in metadata.yaml, or be what a group is shown with.
func assertNames(t *testing.T, server prometheusServer, silent []string) {
	t.Helper()
	generated := append(generatedNames(t), "push_failure_time_seconds")
	for _, name := range silent {
		assert.NotContains(t, server.names(t), name)
		assert.Contains(t, generated, strings.TrimSuffix(name, "_bucket"))
	}
	d := readDashboard(t)
	var exprs []string
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, d.substitute(target.Expr))
		}
	}
	for _, r := range server.rules(t) {
		exprs = append(exprs, r.Query)
	}
	known := append(server.names(t), silent...)
	for _, expr := range exprs {
		names := slices.DeleteFunc(server.metricsOf(t, expr), func(name string) bool { return isRecordOf(name, silent) })
		assert.Subset(t, known, names, expr)
	}
}

// assertLabels demands that what an expression selects by, groups by and joins on are labels that its metrics have, and so are
// those in a legend or in the text of an alert. With any other label a query has data all the same, only not what was meant.
func assertLabels(t *testing.T, server prometheusServer, silent []string) {
	t.Helper()
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := d.substitute(target.Expr)
			if _, silence := server.labelsIn(t, expr, silent); !silence {
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					assert.Subset(c, server.labelsOfResults(c, expr), captures(legendLabel, target.LegendFormat), "the legend of %s", expr)
				}, dataTimeout, pollInterval)
			}
		}
	}
	for _, r := range server.rules(t) {
		if labels, silence := server.labelsIn(t, r.Query, silent); !silence {
			for _, annotation := range r.Annotations {
				assert.Subset(t, labels, captures(alertLabel, annotation), "an annotation of %s", r.Name)
			}
		}
	}
}

var (
	legendLabel = regexp.MustCompile(`{{\s*(\w+)\s*}}`)
	alertLabel  = regexp.MustCompile(`\$labels\.(\w+)`)
)

// captures are what the first group of an expression is, each time that it matches.
func captures(expression *regexp.Regexp, text string) []string {
	var found []string
	for _, match := range expression.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// labelsIn demands that an expression uses labels that its metrics have, which it returns. An expression over a metric that
// is silent says nothing of them.
func (s prometheusServer) labelsIn(t *testing.T, expr string, silent []string) (labels []string, silence bool) {
	t.Helper()
	e := s.parse(t, expr)
	for metric, selecting := range e.selected {
		if slices.Contains(silent, metric) || isRecordOf(metric, silent) {
			return nil, true
		}
		have := s.labels(t, metric)
		assert.Subset(t, have, selecting, "%s in %s", metric, expr)
		labels = append(labels, have...)
	}
	assert.Subset(t, labels, e.grouped, expr)
	return labels, false
}

// isRecordOf tells whether a name is that of a recording rule, level:metric:operations, over one of some metrics.
func isRecordOf(name string, metrics []string) bool {
	parts := strings.Split(name, ":")
	return len(parts) == 3 && slices.Contains(metrics, parts[1])
}

var generatedName = regexp.MustCompile(`(?m)^ {4}(receiver_pushgateway_\w+):$`)

// generatedNames are the metrics of metadata.yaml, as the collector's own Prometheus endpoint names them.
func generatedNames(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("../metadata.yaml")
	require.NoError(t, err)
	var names []string
	for _, match := range generatedName.FindAllStringSubmatch(string(content), -1) {
		names = append(names, "otelcol_"+match[1])
	}
	return names
}
