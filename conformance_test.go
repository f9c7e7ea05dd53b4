// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// conformanceCase is a recorded exchange with a real Pushgateway 1.11.3.
type conformanceCase struct {
	ID      string             `json:"id"`
	Title   string             `json:"title"`
	Class   string             `json:"class"`
	Flags   []string           `json:"flags"`
	Steps   []*conformanceStep `json:"steps"`
	Exposed []string           `json:"exposed"`
}

type conformanceStep struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
	BodyB64 string      `json:"body_b64"`
	Expect  struct {
		Status  int               `json:"status"`
		Body    string            `json:"body"`
		Headers map[string]string `json:"headers"`
	} `json:"expect"`
}

// deviation is what this receiver does otherwise in a recorded case.
type deviation struct {
	why    string
	change func(c *conformanceCase)
}

// deviations are the recorded cases of class exact and status in which this receiver answers differently on purpose.
// Each is a row in docs/deviations.md.
var deviations = map[string]deviation{
	"R12": {"never a redirect", func(c *conformanceCase) { c.Steps[0].Expect.Status = http.StatusNotFound }},
	"P06": {"native histogram with fractional populations: cumulative buckets at the native bounds", func(c *conformanceCase) {
		c.Exposed = append(c.Exposed,
			`pb_native_f_bucket{job="j",le="0.001"} 2.5`, `pb_native_f_bucket{job="j",le="1"} 5.5`,
			`pb_native_f_bucket{job="j",le="1.0905077326652577"} 9.5`, `pb_native_f_bucket{job="j",le="1.2968395546510096"} 12.5`)
	}},
	"P11": {"families of one name and type are one family", func(c *conformanceCase) {
		c.Exposed = append(c.Exposed, `pb_dup{instance="",job="j",n="1"} 1`)
	}},
}

// TestConformance holds the receiver, as a proxy, to the recorded cases of class exact and status: status, body and
// Allow, and for an accepted push the series that the Pushgateway exposed.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range conformanceCases(t) {
		if c.Class != "exact" && c.Class != "status" {
			continue
		}
		t.Run(c.ID+" "+c.Title, func(t *testing.T) {
			t.Parallel()
			if d, ok := deviations[c.ID]; ok {
				d.change(c)
			}
			sink := new(consumertest.MetricsSink)
			address := startReceiver(t, conformanceConfig(c.Flags), sink)
			accepted := false
			for _, step := range c.Steps {
				if step.Method == http.MethodGet && step.Target == "/metrics" {
					continue // reading back needs memory
				}
				sink.Reset()
				status := runStep(t, address, step)
				accepted = status == http.StatusOK
				assert.Equal(t, accepted, sink.DataPointCount() > 0, "a refused push forwards nothing")
			}
			if accepted && c.Class == "exact" {
				require.Len(t, sink.AllMetrics(), 1)
				assert.Equal(t, parseExposed(c.Exposed), exposedOf(sink.AllMetrics()[0]))
			}
		})
	}
}

func conformanceCases(t *testing.T) []*conformanceCase {
	data, err := os.ReadFile(filepath.Join("testdata", "conformance", "pushgateway-cases.json"))
	require.NoError(t, err)
	var file struct{ Cases []*conformanceCase }
	require.NoError(t, json.Unmarshal(data, &file))
	require.NotEmpty(t, file.Cases)
	return file.Cases
}

// conformanceConfig is the configuration that stands for the Pushgateway's flags. DELETE is served, so that Allow lists
// are the Pushgateway's.
func conformanceConfig(flags []string) *Config {
	return with(func(c *Config) {
		c.IgnoreDelete = true
		c.PathPrefixes = []string{""}
		for _, flag := range flags {
			switch flag {
			case "--push.enable-utf8-names":
				c.UTF8Names = true
			case "--web.route-prefix=pfx/":
				c.PathPrefixes = []string{"/pfx"}
			}
		}
	})
}

func runStep(t *testing.T, address string, step *conformanceStep) int {
	status, header, body := exchange(t, address, step)
	assert.Equal(t, step.Expect.Status, status, "%s %s: %s", step.Method, step.Target, body)
	if want := step.Expect.Body; want != "" && status == step.Expect.Status && step.Method != http.MethodHead && status != http.StatusNotFound {
		assertBody(t, want, body)
	}
	for _, name := range []string{"Allow", "Content-Type"} {
		if want := step.Expect.Headers[name]; want != "" {
			assert.Equal(t, want, header.Get(name), name)
		}
	}
	return status
}

// inconsistent is how the answers begin whose rest names a series in protobuf's debug form, which is not stable.
const inconsistent = "pushed metrics are invalid or inconsistent with existing metrics: "

// describingPushTimes are lines that were left out of the recorded expositions.
var describingPushTimes = regexp.MustCompile(`(?m)^# (HELP|TYPE) push_(failure_)?time_seconds .*\n`)

// times stand for what differs from one recording to the next.
var times = strings.NewReplacer(`<NOW>`, `[0-9.e+]+`, `<TS>`, `[-0-9T:.Z+]+`)

func assertBody(t *testing.T, want, got string) {
	if !strings.HasPrefix(want, inconsistent) {
		got = strings.TrimSuffix(describingPushTimes.ReplaceAllString(got, ""), "\n")
		assert.Regexp(t, "^"+times.Replace(regexp.QuoteMeta(strings.TrimSuffix(want, "\n")))+"(; .*)?$", got, "help may follow")
		return
	}
	assert.True(t, strings.HasPrefix(got, inconsistent), got)
	if i := strings.LastIndex(want, "} "); i >= 0 && !strings.Contains(want, "error(s) occurred") {
		assert.True(t, strings.HasSuffix(got, want[i+1:]), "%q must end in %q", got, want[i+1:])
	}
}

// exchange sends the step's request byte by byte as recorded, which net/http's client would not.
func exchange(t *testing.T, address string, step *conformanceStep) (status int, header http.Header, body string) {
	payload := []byte(step.Body)
	if step.BodyB64 != "" {
		var err error
		payload, err = base64.StdEncoding.DecodeString(step.BodyB64)
		require.NoError(t, err)
	}
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	var request strings.Builder
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\n", step.Method, step.Target, address)
	chunked, closed := false, false
	for _, h := range step.Headers {
		fmt.Fprintf(&request, "%s: %s\r\n", h[0], h[1])
		chunked = chunked || h[0] == "Transfer-Encoding"
		closed = closed || h[0] == "Connection"
	}
	if !closed {
		request.WriteString("Connection: close\r\n")
	}
	if chunked {
		fmt.Fprintf(&request, "\r\n%x\r\n%s\r\n0\r\n\r\n", len(payload), payload)
	} else {
		fmt.Fprintf(&request, "Content-Length: %d\r\n\r\n%s", len(payload), payload)
	}
	_, err = io.WriteString(conn, request.String())
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: step.Method})
	require.NoError(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, string(data)
}

var (
	exposedLine  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	exposedLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

// parseExposed reads a text exposition into series with their values; empty labels are left out, as Prometheus does.
func parseExposed(lines []string) map[string]string {
	series := map[string]string{}
	for _, line := range lines {
		m := exposedLine.FindStringSubmatch(line)
		if m == nil {
			continue // comment
		}
		labels := map[string]string{}
		for _, l := range exposedLabel.FindAllStringSubmatch(m[2], -1) {
			value := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(l[2])
			labels[l[1]] = value
		}
		value, _ := strconv.ParseFloat(m[3], 64)
		addSeries(series, m[1], labels, value)
	}
	return series
}

// exposedOf lists the series that the metrics are in Prometheus, push_time_seconds left out.
func exposedOf(md pmetric.Metrics) map[string]string {
	series := map[string]string{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != "push_time_seconds" {
					exposeMetric(series, rm.Resource(), m)
				}
			}
		}
	}
	return series
}

func exposeMetric(series map[string]string, resource pcommon.Resource, m pmetric.Metric) {
	add := func(suffix string, attributes pcommon.Map, value float64, extra ...string) {
		labels := map[string]string{}
		for name, v := range attributes.All() {
			labels[name] = v.Str()
		}
		for attribute, name := range map[string]string{"service.name": "job", "service.instance.id": "instance"} {
			if v, ok := resource.Attributes().Get(attribute); ok {
				labels[name] = v.Str()
			}
		}
		if len(extra) == 2 {
			labels[extra[0]] = extra[1]
		}
		addSeries(series, m.Name()+suffix, labels, value)
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			add("", p.Attributes(), p.DoubleValue())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			add("", p.Attributes(), p.DoubleValue())
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			for _, q := range p.QuantileValues().All() {
				add("", p.Attributes(), q.Value(), "quantile", formatFloat(q.Quantile()))
			}
			add("_sum", p.Attributes(), p.Sum())
			add("_count", p.Attributes(), float64(p.Count()))
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			cumulative := uint64(0)
			for i, bound := range append(p.ExplicitBounds().AsRaw(), math.Inf(1)) {
				cumulative += p.BucketCounts().At(i)
				add("_bucket", p.Attributes(), float64(cumulative), "le", formatFloat(bound))
			}
			add("_sum", p.Attributes(), p.Sum())
			add("_count", p.Attributes(), float64(p.Count()))
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			add("_bucket", p.Attributes(), float64(p.Count()), "le", "+Inf")
			add("_sum", p.Attributes(), p.Sum())
			add("_count", p.Attributes(), float64(p.Count()))
		}
	}
}

func addSeries(series map[string]string, name string, labels map[string]string, value float64) {
	var key strings.Builder
	key.WriteString(legacyName(name))
	names := make([]string, 0, len(labels))
	for label, v := range labels {
		if v != "" {
			names = append(names, label)
		}
	}
	slices.Sort(names)
	for _, label := range names {
		fmt.Fprintf(&key, " %s=%q", legacyName(label), labels[label])
	}
	series[key.String()] = formatFloat(value + 0) // A text exposition writes -0 as 0.
}

// legacyName escapes a name as the Pushgateway's exposition does for a reader that asks for no UTF-8 names.
func legacyName(name string) string {
	return regexp.MustCompile(`[^a-zA-Z0-9_:]`).ReplaceAllString(name, "_")
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
