// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

const delimitedProtobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

// TestPoison fires everything that breaks a Pushgateway, or lets one team lock out another there, at one receiver, and then
// looks whether anybody else notices.
func TestPoison(t *testing.T) {
	t.Parallel()
	for _, utf8Names := range []bool{false, true} {
		t.Run(map[bool]string{false: "legacy names", true: "UTF-8 names"}[utf8Names], func(t *testing.T) {
			t.Parallel()
			onStores(t, both(withGroups(unchangedGroups), func(c *Config) { c.UTF8Names = utf8Names }), func(t *testing.T, change func(*Config)) { poison(t, change, utf8Names) })
		})
	}
}

func poison(t *testing.T, change func(*Config), utf8Names bool) {
	address := startReceiver(t, with(change), consumertest.NewNop())
	send := func(method, target, body string, headers ...[2]string) (int, string) {
		status, _, answer := exchange(t, address, &conformanceStep{
			Method: method, Target: target, BodyB64: base64.StdEncoding.EncodeToString([]byte(body)), Headers: headers,
		})
		return status, answer
	}
	status, answer := send(http.MethodPut, "/metrics/job/innocent", "# TYPE held gauge\nheld 1\n")
	require.Equal(t, http.StatusOK, status, answer)

	protobuf := [2]string{"Content-Type", delimitedProtobuf}
	for name, p := range map[string]struct {
		method, target, body string
		headers              [][2]string
		status               int
	}{
		"invalid UTF-8 in the key":             {http.MethodPut, "/metrics/job/j/a/%ff", "x 1\n", nil, 400},
		"invalid UTF-8 in the key, empty body": {http.MethodPut, "/metrics/job/j/a/%ff", "", nil, 400},
		"invalid UTF-8 in the job":             {http.MethodPost, "/metrics/job@base64/_w", "x 1\n", nil, 400},
		"bad base64":                           {http.MethodPut, "/metrics/job@base64/%%%", "x 1\n", nil, 400},
		"bad base64 of a label":                {http.MethodPut, "/metrics/job/j/a@base64/!", "x 1\n", nil, 400},
		"bad base64 in a DELETE":               {http.MethodDelete, "/metrics/job@base64/!", "", nil, 400},
		"a family without a name":              {http.MethodPost, "/metrics/job/nameless", "\x0f\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f", [][2]string{protobuf}, 400},
		"a gauge histogram":                    {http.MethodPost, "/metrics/job/gh", "# TYPE gh gaugehistogram\ngh_bucket{le=\"+Inf\"} 1\ngh_sum 1\ngh_count 1\n", nil, 200},
		"a Pushgateway's own counter":          {http.MethodPut, "/metrics/job/own1", "# TYPE pushgateway_http_requests_total gauge\npushgateway_http_requests_total 1\n", nil, 200},
		"a Go metric of another type":          {http.MethodPut, "/metrics/job/own2", "go_goroutines 5\n", nil, 200},
		"the times of pushes":                  {http.MethodPut, "/metrics/job/own3", "push_time_seconds 5\npush_failure_time_seconds{a=\"b\"} 5\n", nil, 200},
		"another type than another group's":    {http.MethodPut, "/metrics/job/clash1", "# TYPE held counter\nheld 1\n", nil, 200},
		"a histogram of another group's name":  {http.MethodPut, "/metrics/job/clash2", "# TYPE held histogram\nheld_bucket{le=\"+Inf\"} 1\nheld_sum 1\nheld_count 1\n", nil, 200},
		"a suffix of another group's name":     {http.MethodPut, "/metrics/job/clash3", "held_count 1\nheld_bucket 5\n", nil, 200},
		"other help":                           {http.MethodPut, "/metrics/job/clash4", "# HELP held of another team\n# TYPE held gauge\nheld 1\n", nil, 200},
		"the same series as another group":     {http.MethodPut, "/metrics/job/innocent/instance/i", "x 1\nx 2\n", nil, 400},
		"a timestamp":                          {http.MethodPut, "/metrics/job/innocent", "held 2 1000\n", nil, 400},
		"NUL":                                  {http.MethodPut, "/metrics/job/nul/a/%00", "x{b=\"\x00\"} 1\n", nil, 200},
		"a newline in the key":                 {http.MethodPut, "/metrics/job/lines/a/%0Aheld%201%0A", "x 1\n", nil, 200},
		"a label that is structure":            {http.MethodPut, "/metrics/job/le/le/1", "# TYPE lh histogram\nlh_bucket{le=\"+Inf\"} 1\nlh_sum 1\nlh_count 1\n", nil, 400},
		"a reserved name through an escape":    {http.MethodPut, "/metrics/job/j/U______x/y", "x 1\n", nil, map[bool]int{false: 200, true: 400}[utf8Names]},
	} {
		status, answer = send(p.method, p.target, p.body, p.headers...)
		assert.Equal(t, p.status, status, "%s: %s", name, answer)
	}

	status, answer = send(http.MethodPut, "/metrics/job/innocent", "# TYPE held gauge\nheld 2\n")
	assert.Equal(t, http.StatusOK, status, answer)
	status, answer = send(http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, status, answer)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(answer))
	require.NoError(t, err, answer)
	assert.Contains(t, families, "held")
	assert.Contains(t, answer, `held{instance="",job="innocent"} 2`+"\n")
	status, answer = send(http.MethodGet, "/api/v1/metrics", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, answer, `"job":"innocent"`)
	assert.NotContains(t, answer, `"labels":{"job":"nameless"},"last_push_successful":true`)
}
