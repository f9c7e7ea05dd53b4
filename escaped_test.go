// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"google.golang.org/protobuf/encoding/protodelim"
)

// gaugeFamily is a gauge of one series with one label, or none if its name is empty.
func gaugeFamily(name, label, value string) *dto.MetricFamily {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: new(1.0)}}
	if label != "" {
		m.Label = []*dto.LabelPair{{Name: &label, Value: &value}}
	}
	return &dto.MetricFamily{Name: new(name), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{m}}
}

// TestNamesThatEscapingMakesOne pushes what would lose a value where names are escaped with underscores. It is refused
// unless utf8_names says that names arrive as they are.
func TestNamesThatEscapingMakesOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path     string
		families []*dto.MetricFamily
		named    []string // in the answer
		arrives  []string
	}{
		"metrics": {
			"/metrics/job/api",
			[]*dto.MetricFamily{gaugeFamily("my.metric", "", ""), gaugeFamily("my_metric", "", ""), gaugeFamily("fine", "", "")},
			[]string{`"my.metric" {job="api"}`, `"my_metric" {job="api"}`},
			[]string{"fine", "my.metric", "my_metric"},
		},
		"labels": {
			"/metrics/job/api",
			[]*dto.MetricFamily{gaugeFamily("m.n", "http.method", "GET"), gaugeFamily("m_n", "http_method", "GET")},
			[]string{`"m.n" {"http.method"="GET",job="api"}`, `"m_n" {http_method="GET",job="api"}`},
			[]string{"m.n", "m_n"},
		},
		"with a label of the URL": {
			"/metrics/job/api/a_b/1",
			[]*dto.MetricFamily{gaugeFamily("m.n", "a.b", "1"), gaugeFamily("m_n", "", "")},
			[]string{`"m.n" {"a.b"="1",a_b="1",job="api"}`, `"m_n" {a_b="1",job="api"}`},
			[]string{"m.n", "m_n"},
		},
	} {
		for _, utf8Names := range []bool{false, true} {
			t.Run(name+map[bool]string{false: "", true: ", UTF-8 names"}[utf8Names], func(t *testing.T) {
				t.Parallel()
				modesOf(t, func(c *Config) { c.UTF8Names = utf8Names }, func(t *testing.T, change func(*Config), _ bool) {
					sink := new(consumertest.MetricsSink)
					address := startReceiver(t, with(change), sink)
					status, answer := pushFamilies(t, address, c.path, c.families...)
					arrives := c.arrives
					if !utf8Names {
						assert.Equal(t, http.StatusBadRequest, status)
						for _, series := range c.named {
							assert.Contains(t, answer, series)
						}
						assert.NotContains(t, namesIn(sink), "fine", "nothing of the push is forwarded")
						status, answer = pushFamilies(t, address, c.path, c.families[0])
						arrives = []string{c.families[0].GetName()}
					}
					assert.Equal(t, http.StatusOK, status, answer)
					require.Eventually(t, func() bool {
						names := namesIn(sink)
						return !slices.ContainsFunc(arrives, func(name string) bool { return !slices.Contains(names, name) })
					}, patience, 10*time.Millisecond, "%v", arrives)
				})
			})
		}
	}
}

// TestLabelsThatEscapingMakesOne pushes one series with two labels that become one. Nothing is lost: exporters join the values.
func TestLabelsThatEscapingMakesOne(t *testing.T) {
	t.Parallel()
	modesOf(t, func(*Config) {}, func(t *testing.T, change func(*Config), _ bool) {
		sink := new(consumertest.MetricsSink)
		address := startReceiver(t, with(change), sink)
		family := gaugeFamily("m", "a.b", "1")
		family.Metric[0].Label = append(family.Metric[0].Label, &dto.LabelPair{Name: new("a_b"), Value: new("2")})
		status, answer := pushFamilies(t, address, "/metrics/job/api", family)
		assert.Equal(t, http.StatusOK, status, answer)
		require.Eventually(t, func() bool { return slices.Contains(namesIn(sink), "m") }, patience, 10*time.Millisecond)
		for _, md := range sink.AllMetrics() {
			for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
				if m.Name() == "m" {
					assert.Equal(t, map[string]any{"a.b": "1", "a_b": "2"}, m.Gauge().DataPoints().At(0).Attributes().AsRaw())
				}
			}
		}
	})
}

// pushFamilies puts families in protobuf.
func pushFamilies(t *testing.T, address, path string, families ...*dto.MetricFamily) (status int, answer string) {
	t.Helper()
	var body strings.Builder
	for _, f := range families {
		_, err := protodelim.MarshalTo(&body, f)
		require.NoError(t, err)
	}
	status, _, answer = exchange(t, address, &conformanceStep{
		Method: http.MethodPut, Target: path, BodyB64: base64.StdEncoding.EncodeToString([]byte(body.String())),
		Headers: [][2]string{{"Content-Type", delimitedProtobuf}},
	})
	return status, answer
}

// namesIn are the names of all metrics that arrived.
func namesIn(sink *consumertest.MetricsSink) []string {
	var names []string
	for _, md := range sink.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					names = append(names, m.Name())
				}
			}
		}
	}
	return names
}
