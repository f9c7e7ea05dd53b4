// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scraping is a Prometheus that scrapes a Pushgateway and the receiver, each as text and as protobuf, and tells them apart by
// the label via.
const scraping = `
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: text
    honor_labels: true
    scrape_protocols: [PrometheusText0.0.4]
    static_configs:
      - {targets: [%[1]q], labels: {via: gateway}}
      - {targets: [%[2]q], labels: {via: receiver}}
    relabel_configs: [{target_label: format, replacement: text}]
  - job_name: protobuf
    honor_labels: true
    scrape_protocols: [PrometheusProto]
    scrape_native_histograms: true
    static_configs:
      - {targets: [%[1]q], labels: {via: gateway}}
      - {targets: [%[2]q], labels: {via: receiver}}
    relabel_configs: [{target_label: format, replacement: protobuf}]
`

// TestScrapedAsAPushgateway makes the same requests to a Pushgateway and to the receiver and lets one Prometheus scrape both,
// as in the middle of a migration. It must store the same series, and the same types and help texts.
func TestScrapedAsAPushgateway(t *testing.T) {
	t.Parallel()
	gateway, _ := startPushgateway(t)
	c := startCollector(t, withGroups(t, "http://127.0.0.1:1"))
	host := func(url string) string { return strings.TrimPrefix(url, "http://") }
	server := startPrometheus(t, prometheusFile(t, fmt.Sprintf(scraping, host(gateway), host(c.url))))

	for _, base := range []string{gateway, c.url} {
		for _, r := range []struct{ method, path, body string }{
			{http.MethodPut, "job/all_types/instance/a", everyType},
			{http.MethodPost, "job/all_types/zone/eu", "# TYPE c_total counter\n# HELP c_total Counts.\nc_total{instance=\"b\"} 5\n"},
			{http.MethodPost, "job/all_types/zone/eu", "# HELP g Gauges.\n# TYPE g gauge\ng{zone=\"body\"} -0.5\n"},
			{http.MethodPut, "job/failing", "ok 1\n"},
			{http.MethodPut, "job/failing", "ok 1 1700000000000\n"},
			{http.MethodPut, "job@base64/bmlnaHRseS9iYWNrdXA=/path@base64/L3Zhcg==/none@base64/=", "encoded 1\n"},
			{http.MethodPut, "job/deleted", "gone 1\n"},
			{http.MethodDelete, "job/deleted", ""},
			{http.MethodPut, "job/emptied", "gone 1\n"},
			{http.MethodPut, "job/emptied", ""},
		} {
			status, answer := send(t, r.method, base+"/metrics/"+r.path, r.body)
			require.Contains(t, []int{http.StatusOK, http.StatusAccepted, http.StatusBadRequest}, status, answer)
		}
		require.NoError(t, push.New(base, "registry").Gatherer(newRegistry()).Grouping("zone", "eu").Push())
	}

	for _, format := range []string{"text", "protobuf"} {
		t.Run(format, func(t *testing.T) {
			via := func(t require.TestingT, side string) map[string]string {
				const own = `__name__!~"up|scrape_.+",job!="text",job!="protobuf"`
				all := server.instant(t, fmt.Sprintf(`{via=%q,format=%q,%s}`, side, format, own))
				series := map[string]string{}
				for labels, value := range all {
					if strings.HasPrefix(labels, "push_time_seconds{") || strings.HasPrefix(labels, "push_failure_time_seconds{") {
						value = strconv.FormatBool(value != "0")
					}
					series[strings.Replace(labels, `,via="`+side+`"`, "", 1)] = value
				}
				return series
			}
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				want := via(c, "gateway")
				assert.Greater(c, len(want), 40)
				assert.Equal(c, want, via(c, "receiver"))
			}, dataTimeout, pollInterval)
		})
	}
	t.Run("types and help texts", func(t *testing.T) {
		describedBy := func(host string) map[string]string {
			var targets []struct{ Metric, Type, Help string }
			server.get(t, "targets/metadata", url.Values{"match_target": {`{instance="` + host + `"}`}}, &targets)
			described := map[string]string{}
			for _, d := range targets {
				if !ownOfPushgateway(d.Metric) {
					described[d.Metric] = d.Type + " " + d.Help
				}
			}
			return described
		}
		want := describedBy(host(gateway))
		assert.Equal(t, "counter Counts.", want["c_total"])
		assert.Equal(t, want, describedBy(host(c.url)))
	})
}

// ownOfPushgateway tells whether a metric is a Pushgateway's own, which the receiver shows elsewhere.
func ownOfPushgateway(name string) bool {
	for _, prefix := range []string{"go_", "process_", "promhttp_", "pushgateway_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// everyType has every type of the text format, with values and labels that a conversion could spoil.
const everyType = `# HELP c_total Counts.
# TYPE c_total counter
c_total{result="ok"} 42
c_total{result="a \"quoted\" \\ one\n"} 0.1
# HELP g Gauges.
# TYPE g gauge
g -1.5e-07
g{of="infinity"} +Inf
u{_odd="1",o__dd="2"} 9007199254740993
# TYPE h histogram
h_bucket{le="0.1"} 1
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 3
h_sum 4.25
h_count 3
# TYPE s summary
s{quantile="0.5"} 1
s{quantile="0.99"} 2.5
s_sum 12
s_count 7
`
