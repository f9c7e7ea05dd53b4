// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

// fieldCase is a sequence of requests after a public report of a client's user.
type fieldCase struct {
	ID     string             `json:"id"`
	Mode   string             `json:"mode"`
	Config string             `json:"config"`
	Steps  []*conformanceStep `json:"steps"`
}

// fieldReport is what the receiver must make of a case.
type fieldReport struct {
	id string
	// variant and config are set where the same requests go to a receiver with further settings.
	variant, config string
	steps           []fieldStep
}

// fieldStep is what the receiver must make of one request.
type fieldStep struct {
	status int
	// says are texts in the answer, in any case.
	says []string
	// forwards lists the points that a proxy forwards, as forwarded writes them; none if nothing may be forwarded.
	forwards []string
	// shows lists the lines of GET /metrics, without the times of pushes.
	shows []string
	// alive lists the series that a backend of a receiver with groups comes to see, without the times of pushes.
	alive []string
	// eventually is true if the request is repeated until it is answered so: it depends on what the backend has accepted.
	eventually bool
}

const (
	classicItems = `histogram batch_item_seconds{stage="load"} count 3 sum 0.9 buckets 0.1:1 0.5:1 +Inf:1`
	nativeItems  = `native histogram batch_item_seconds{stage="load"} count 3 sum 0.9 scale 0 zero 0 positive -5:[1 0 1 0 1]`
)

// fieldReports are all cases, in the order of the file.
var fieldReports = []fieldReport{
	{id: "java-dual-histogram", steps: []fieldStep{
		{status: 200, forwards: []string{classicItems}},
		{status: 200, forwards: []string{classicItems}},
	}},
	{id: "java-dual-histogram", variant: "native", config: "histograms: native", steps: []fieldStep{
		{status: 200, forwards: []string{classicItems}},
		{status: 200, forwards: []string{nativeItems}},
	}},
	{id: "java-dual-histogram", variant: "both", config: "histograms: both", steps: []fieldStep{
		{status: 200, forwards: []string{classicItems}},
		{status: 200, forwards: []string{classicItems, nativeItems}},
	}},
	{id: "protobuf-family-twice", steps: []fieldStep{
		{status: 200, forwards: []string{`counter items_total{reg="a"} 1`, `counter items_total{reg="b"} 2`}},
	}},
	{id: "native-histogram-and-backend-without", steps: []fieldStep{
		{status: 200, alive: []string{
			`batch_item_seconds_bucket job="batch" le="+Inf" stage="load" 3`, `batch_item_seconds_bucket job="batch" le="0.1" stage="load" 1`,
			`batch_item_seconds_bucket job="batch" le="0.5" stage="load" 2`, `batch_item_seconds_count job="batch" stage="load" 3`,
			`batch_item_seconds_sum job="batch" stage="load" 0.9`, `rows_total job="batch" 10`,
		}},
		{status: 200, alive: []string{
			`batch_item_seconds_bucket job="batch" le="+Inf" stage="load" 3`, `batch_item_seconds_bucket job="batch" le="0.1" stage="load" 1`,
			`batch_item_seconds_bucket job="batch" le="0.5" stage="load" 2`, `batch_item_seconds_count job="batch" stage="load" 3`,
			`batch_item_seconds_sum job="batch" stage="load" 0.9`, `rows_total job="batch" 11`,
		}},
	}},
	{id: "java-dotted-names-in-protobuf", steps: []fieldStep{
		{status: 200, forwards: []string{`counter http.requests_total{http.method="GET"} 3`}},
		{status: 400, says: []string{"my.metric", "my_metric"}},
	}},
	{id: "java-dotted-names-in-protobuf", variant: "with UTF-8 names", config: "utf8_names: true", steps: []fieldStep{
		{status: 200, forwards: []string{`counter http.requests_total{http.method="GET"} 3`}},
		{status: 200, forwards: []string{`gauge fine{} 3`, `gauge my.metric{} 1`, `gauge my_metric{} 2`}},
	}},
	{id: "labels-collide-after-escaping", steps: []fieldStep{
		{status: 200, forwards: []string{`unknown m{a.b="1",a_b="2"} 1`}},
		{status: 200, forwards: []string{`unknown fine{} 3`, `unknown my.metric{} 1`, `unknown my_metric{} 2`}},
	}},
	{id: "created-in-the-future", steps: []fieldStep{
		{status: 200, forwards: []string{`counter jobs_total{} 4`, `summary lat{} count 2 sum 3 quantiles`}},
		{status: 200, forwards: []string{`counter jobs_total{} 4`}},
	}},
	{id: "openmetrics-blank-lines", steps: []fieldStep{
		{status: 200, forwards: []string{`gauge mem_bytes{} 5`, `unknown reqs_total{} 3`}},
		{status: 200, forwards: []string{`unknown reqs_total{} 3`}},
		{status: 200, forwards: []string{`counter reqs_total{} 3`}},
		{status: 200, forwards: []string{`counter reqs_total{} 3`}},
	}},
	{id: "openmetrics-2-composite", steps: []fieldStep{
		{status: 400, says: []string{"OpenMetrics 2.0", "not supported"}},
		{status: 400, says: []string{"OpenMetrics 2.0", "not supported"}},
		{status: 200, forwards: []string{`counter reqs{m="GET"} 9`}},
	}},
	{id: "type-changes", steps: []fieldStep{
		{status: 200, alive: []string{
			`sz instance="a" job="deck" quantile="0.5" 3`, `sz_count instance="a" job="deck" 2`, `sz_sum instance="a" job="deck" 10`,
		}},
		{status: 200, alive: []string{
			`sz instance="a" job="deck" quantile="0.5" 3`,
			`sz_bucket instance="b" job="deck" le="+Inf" 2`, `sz_bucket instance="b" job="deck" le="16" 1`,
			`sz_count instance="a" job="deck" 2`, `sz_count instance="b" job="deck" 2`,
			`sz_sum instance="a" job="deck" 10`, `sz_sum instance="b" job="deck" 10`,
		}},
		{status: 200, shows: []string{
			"# HELP sz Size.", "# HELP sz_bucket Size.", "# HELP sz_count Size.", "# HELP sz_sum Size.",
			"# TYPE sz untyped", "# TYPE sz_bucket untyped", "# TYPE sz_count untyped", "# TYPE sz_sum untyped",
			`sz_bucket{instance="b",job="deck",le="+Inf"} 2`, `sz_bucket{instance="b",job="deck",le="16"} 1`,
			`sz_count{instance="a",job="deck"} 2`, `sz_count{instance="b",job="deck"} 2`,
			`sz_sum{instance="a",job="deck"} 10`, `sz_sum{instance="b",job="deck"} 10`,
			`sz{instance="a",job="deck",quantile="0.5"} 3`,
		}},
		{status: 200, alive: []string{
			`sz_bucket instance="a" job="deck" le="+Inf" 4`, `sz_bucket instance="a" job="deck" le="16" 1`,
			`sz_bucket instance="b" job="deck" le="+Inf" 2`, `sz_bucket instance="b" job="deck" le="16" 1`,
			`sz_count instance="a" job="deck" 4`, `sz_count instance="b" job="deck" 2`,
			`sz_sum instance="a" job="deck" 20`, `sz_sum instance="b" job="deck" 10`,
		}},
		{status: 200, shows: []string{
			"# HELP sz Size in bytes.", "# TYPE sz histogram",
			`sz_bucket{instance="a",job="deck",le="+Inf"} 4`, `sz_bucket{instance="a",job="deck",le="16"} 1`,
			`sz_bucket{instance="b",job="deck",le="+Inf"} 2`, `sz_bucket{instance="b",job="deck",le="16"} 1`,
			`sz_count{instance="a",job="deck"} 4`, `sz_count{instance="b",job="deck"} 2`,
			`sz_sum{instance="a",job="deck"} 20`, `sz_sum{instance="b",job="deck"} 10`,
		}},
	}},
	{id: "same-series-in-two-groups", steps: []fieldStep{
		{status: 200, alive: []string{`files disk="a1" job="copier" 1`}},
		{status: 400, says: []string{`{job="copier",disk="a1"}`}, alive: []string{`files disk="a1" job="copier" 1`}},
		{status: 200, shows: []string{"# TYPE files counter", `files{disk="a1",instance="",job="copier"} 1`}},
		{status: 200, alive: []string{`files disk="a1" job="copier" 1`, `files disk="a2" job="copier" 18`}},
		{status: 202, alive: []string{`files disk="a2" job="copier" 18`}},
		{status: 200, eventually: true, alive: []string{`files disk="a1" job="copier" 17`}},
		{status: 200, shows: []string{"# TYPE files counter", `files{disk="a1",instance="",job="copier"} 17`}},
	}},
	{id: "family-with-header-only", steps: []fieldStep{
		{status: 200, alive: []string{`done_created a="b" job="etl" 1.70000000025e+09`, `done_total a="b" job="etl" 1`}},
		{status: 200, alive: []string{`done_created a="b" job="etl" 1.70000000025e+09`, `done_total a="b" job="etl" 1`}},
		{status: 200, shows: []string{
			"# HELP done_created Done.", "# HELP done_total Done.", "# TYPE done_created gauge", "# TYPE done_total counter",
			`done_created{a="b",instance="",job="etl"} 1.70000000025e+09`, `done_total{a="b",instance="",job="etl"} 1`,
		}},
		{status: 200, alive: []string{}},
		{status: 200, shows: []string{}, says: []string{`push_time_seconds{instance="",job="etl"}`, `push_failure_time_seconds{instance="",job="etl"} 0`}},
	}},
	{id: "escaping-parameters-and-utf8-names", steps: []fieldStep{
		{status: 200, forwards: []string{`counter http.reqs{code="200",http.method="GET"} 3`}},
		{status: 200, forwards: []string{`counter http.reqs_total{code="200",http.method="GET"} 3`}},
		{status: 200, forwards: []string{`unknown http.reqs_total{http.method="GET"} 3`}},
		{status: 200, forwards: []string{`unknown U__http_2e_reqs{code="200",svc.name="x"} 3`}},
	}},
	{id: "exemplars-repeated-and-without-time", steps: []fieldStep{
		{status: 200, forwards: []string{`counter c_total{} 5 exemplar a1b2c3d4e5f60718293a4b5c6d7e8f90 1 at 2023-11-14T22:15:00Z`}},
		{status: 200, forwards: []string{`counter c_total{} 6 exemplar b1b2c3d4e5f60718293a4b5c6d7e8f90 1 at 2023-11-14T22:13:20Z`}},
		{status: 200, forwards: []string{`counter c_total{} 7 exemplar c1b2c3d4e5f60718293a4b5c6d7e8f90 1 at the time of its point`}},
	}},
	{id: "double-slash-base-url", steps: []fieldStep{
		{status: 200, forwards: []string{`unknown modules{} 3`}},
		{status: 200, forwards: []string{`unknown modules{} 3`}},
		{status: 405, says: []string{"ignore_delete"}},
	}},
	{id: "remote-write-sent-to-push-path", steps: []fieldStep{
		{status: 400, says: []string{"remote-write request"}},
	}},
	{id: "protobuf-without-length-prefix", steps: []fieldStep{
		{status: 400, says: []string{"length"}},
		{status: 200, forwards: []string{`counter sidekiq_jobs{queue="mail",state="done"} 6`}},
	}},
}

// TestFieldReports sends the requests of all cases, byte by byte, to a receiver of the case's configuration.
func TestFieldReports(t *testing.T) {
	t.Parallel()
	cases := fieldCases(t)
	for _, report := range fieldReports {
		t.Run(strings.TrimSuffix(report.id+", "+report.variant, ", "), func(t *testing.T) {
			t.Parallel()
			c, ok := cases[report.id]
			require.True(t, ok, "a case of the file")
			require.Len(t, report.steps, len(c.Steps))
			if c.Mode != "groups" {
				report.checkProxy(t, c, c.configured(t, report.config))
				return
			}
			pgtest.OnStores(t, func(t *testing.T, datasource string) {
				report.checkGroups(t, c, OnDatabase(c.configured(t, report.config), datasource))
			})
		})
	}
}

// TestEveryFieldReportIsChecked compares the ids of the table with those of the file.
func TestEveryFieldReportIsChecked(t *testing.T) {
	t.Parallel()
	checked := map[string]bool{}
	for _, report := range fieldReports {
		checked[report.id] = true
	}
	for id := range fieldCases(t) {
		assert.True(t, checked[id], id)
	}
}

func fieldCases(t *testing.T) map[string]*fieldCase {
	data, err := os.ReadFile(filepath.Join("testdata", "conformance", "field-reports.json"))
	require.NoError(t, err)
	var file struct{ Cases []*fieldCase }
	require.NoError(t, json.Unmarshal(data, &file))
	byID := map[string]*fieldCase{}
	for _, c := range file.Cases {
		byID[c.ID] = c
	}
	require.NotEmpty(t, byID)
	return byID
}

// configured is the default configuration with the case's settings and further ones, both in YAML.
func (c *fieldCase) configured(t *testing.T, further string) *Config {
	cfg := createDefaultConfig().(*Config)
	for _, settings := range []string{c.Config, further} {
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(settings))
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		require.NoError(t, conf.Unmarshal(cfg))
	}
	require.NoError(t, confmap.Validate(cfg))
	return cfg
}

func (r *fieldReport) checkProxy(t *testing.T, c *fieldCase, cfg *Config) {
	sink := new(consumertest.MetricsSink)
	address := startReceiver(t, cfg, sink)
	for i, step := range r.steps {
		sink.Reset()
		status, _, answer := exchange(t, address, c.Steps[i])
		step.assertAnswer(t, i, status, answer)
		assert.Equal(t, step.forwards, forwarded(t, sink.AllMetrics()), "step %d", i+1)
	}
}

func (r *fieldReport) checkGroups(t *testing.T, c *fieldCase, cfg *Config) {
	seen := newSeriesBackend()
	address := startReceiver(t, cfg, seen)
	for i, step := range r.steps {
		status, _, answer := exchange(t, address, c.Steps[i])
		for step.eventually && status != step.status {
			seen.awaitRequest(t)
			status, _, answer = exchange(t, address, c.Steps[i])
		}
		step.assertAnswer(t, i, status, answer)
		if step.shows != nil {
			assert.Equal(t, step.shows, linesOf(answer), "step %d", i+1)
		}
		if step.alive != nil {
			seen.await(t, step.alive)
		}
	}
	assert.Empty(t, seen.outOfOrder())
}

func (s *fieldStep) assertAnswer(t *testing.T, i, status int, answer string) {
	assert.Equal(t, s.status, status, "step %d: %s", i+1, answer)
	for _, text := range s.says {
		assert.Contains(t, strings.ToLower(answer), strings.ToLower(text), "step %d", i+1)
	}
	if status == http.StatusOK && s.shows == nil {
		assert.Empty(t, answer, "step %d", i+1)
	}
}

// linesOf lists the lines of a text exposition without the times of pushes, in alphabetical order.
func linesOf(exposition string) []string {
	lines := strings.Split(strings.TrimSuffix(exposition, "\n"), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" || ownFamily.MatchString(line) })
	slices.Sort(lines)
	return lines
}
