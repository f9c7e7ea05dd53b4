// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

// groupDeviations are the recorded cases in which a receiver with groups answers differently on purpose. Each is a row in
// docs/deviations.md.
var groupDeviations = map[string]deviation{
	"R12": deviations["R12"],
	"R25": {"never a redirect", statusOf(0, http.StatusNotFound)},
	"R30": {"HEAD is served, and never a redirect", func(c *conformanceCase) {
		c.Steps = slices.Delete(c.Steps, 2, 3)
		c.Steps[2].Expect.Headers["Allow"] = "GET, HEAD, OPTIONS"
		statusOf(3, http.StatusNotFound)(c)
	}},
	"R31": {"a receiver stops with its collector", notFound},
	"R36": {"never a redirect", statusOf(1, http.StatusNotFound)},
	"R39": {"the collector has the pprof extension", notFound},
	"R49": {"no telemetry path: GET /metrics shows the groups", func(c *conformanceCase) { c.Steps = c.Steps[:1] }},
	"P06": {deviations["P06"].why, func(c *conformanceCase) {
		deviations["P06"].change(c)
		for i, line := range c.Exposed {
			c.Exposed[i] = strings.Replace(line, `_bucket{job=`, `_bucket{instance="",job=`, 1)
		}
	}},
	"P11": deviations["P11"],
	"M11": {"types may differ between groups, and are shown as untyped then", func(c *conformanceCase) {
		for i := range c.Steps {
			statusOf(i, http.StatusOK)(c)
		}
		c.Exposed = []string{
			"# TYPE a untyped", `a{instance="",job="g1"} 1`, `a{instance="",job="g2"} 1`, "# TYPE b untyped", `b{instance="",job="g3"} 1`,
		}
	}},
	"K11": poisoned, "K79": poisoned, "U06": poisoned, "U07": poisoned,
}

// poisoned is a case after which a Pushgateway cannot be scraped.
var poisoned = deviation{"an invalid grouping key makes no group, so that the exposition stays intact", func(c *conformanceCase) { c.Exposed = []string{} }}

// statusOf changes what a step is answered with.
func statusOf(step, status int) func(c *conformanceCase) {
	return func(c *conformanceCase) {
		expect := &c.Steps[step].Expect
		expect.Status, expect.Body, expect.Headers = status, "", nil
	}
}

func notFound(c *conformanceCase) {
	for i := range c.Steps {
		statusOf(i, http.StatusNotFound)(c)
	}
}

// TestGroupsConformance holds the receiver with groups to the recorded cases of all classes but those about what a receiver
// decides for itself: status, body and what GET /metrics shows afterwards.
func TestGroupsConformance(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		eachGroupsCase(t, func(t *testing.T, c *conformanceCase) {
			t.Parallel()
			runGroupsCase(t, c, startReceiver(t, groupsConformanceConfig(c.Flags), consumertest.NewNop()))
		})
	})
	// Receivers take longer to start on a database. So there is one for each configuration, whose groups are wiped before each case.
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		receivers := map[string]*pushgatewayReceiver{}
		addresses := map[string]string{}
		whole := t
		eachGroupsCase(t, func(t *testing.T, c *conformanceCase) {
			flags := strings.Join(c.Flags, " ")
			if receivers[flags] == nil {
				receivers[flags], addresses[flags] = startOn(whole, componenttest.NewNopHost(), OnDatabase(groupsConformanceConfig(c.Flags), pgtest.Database(whole)))
			}
			require.NoError(t, receivers[flags].ingest.Wipe(t.Context(), ""))
			runGroupsCase(t, c, addresses[flags])
		})
	})
}

func eachGroupsCase(t *testing.T, run func(*testing.T, *conformanceCase)) {
	for _, c := range conformanceCases(t) {
		if slices.Contains([]string{"decide", "http", "option"}, c.Class) {
			continue
		}
		if d, ok := groupDeviations[c.ID]; ok {
			d.change(c)
		}
		t.Run(c.ID+" "+c.Title, func(t *testing.T) { run(t, c) })
	}
}

func runGroupsCase(t *testing.T, c *conformanceCase, address string) {
	for _, step := range c.Steps {
		runStep(t, address, step)
	}
	if c.Exposed != nil {
		slices.Sort(c.Exposed)
		prefix := groupsConformanceConfig(c.Flags).PathPrefixes[0]
		assert.Equal(t, strings.Join(c.Exposed, "\n"), strings.Join(scrape(t, address, prefix), "\n"))
	}
}

// TestPostOfAFamilyWithoutSeries ends the family of that name, which a Pushgateway replaces by an empty one and shows no more.
func TestPostOfAFamilyWithoutSeries(t *testing.T) {
	t.Parallel()
	pgtest.OnStores(t, postOfAFamilyWithoutSeries)
}

func postOfAFamilyWithoutSeries(t *testing.T, datasource string) {
	address := startReceiver(t, OnDatabase(groupsConformanceConfig(nil), datasource), consumertest.NewNop())
	const target = "/metrics/job/j"
	protobuf := [][2]string{{"Content-Type", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"}}
	for _, step := range []conformanceStep{
		{Method: http.MethodPut, Target: target, Body: "a 1\nb 2\n"},
		{Method: http.MethodPost, Target: target, Body: "# TYPE b gauge\n"},
		{Method: http.MethodPost, Target: target, Headers: protobuf, Body: "\x05\x0a\x01a\x18\x01"},
	} {
		status, _, body := exchange(t, address, &step)
		assert.Equal(t, http.StatusOK, status, body)
	}
	assert.Equal(t, []string{"# TYPE b untyped", `b{instance="",job="j"} 2`}, scrape(t, address, ""))
}

func groupsConformanceConfig(flags []string) *Config {
	cfg := conformanceConfig(flags)
	cfg.IgnoreDelete = false
	withGroups(func(g *GroupsConfig) { g.AdminAPI = slices.Contains(flags, "--web.enable-admin-api") })(cfg)
	return cfg
}

var ownFamily = regexp.MustCompile(`^(# (HELP|TYPE) )?push_(failure_)?time_seconds\b`)

// scrape is what GET /metrics shows, without push times.
func scrape(t *testing.T, address, prefix string) []string {
	status, _, body := exchange(t, address, &conformanceStep{Method: http.MethodGet, Target: prefix + "/metrics"})
	if status != http.StatusOK {
		return []string{body}
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" || ownFamily.MatchString(line) })
	slices.Sort(lines)
	return lines
}
