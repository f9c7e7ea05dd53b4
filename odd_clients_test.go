// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

const (
	asOpenMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	asProtobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

// oddPush is what a client sends that does not do quite as it should. It is answered 200 unless there is an answer.
type oddPush struct {
	name, target string
	headers      [][2]string
	body         []byte
	answer       string   // the whole of a 400
	series       []string // of the group, as a Pushgateway exposes them
}

func oddPushes(t *testing.T) []oddPush {
	header := func(pairs ...string) (headers [][2]string) {
		for i := 0; i < len(pairs); i += 2 {
			headers = append(headers, [2]string{pairs[i], pairs[i+1]})
		}
		return headers
	}
	const target, page = "/metrics/job/j", "a 1\n"
	a := []string{`a{instance="",job="j"} 1`}
	openMetrics := header("Content-Type", asOpenMetrics)
	otlp := []byte("\x0a\x06\x0a\x00\x12\x02\x0a\x00")
	remoteWrite := snappy.Encode(nil, []byte("\x0a\x19\x0a\x0d\x0a\x08__name__\x12\x01a\x12\x08\x09\x00\x00\x00\x00\x00\x00\xf0"))
	return []oddPush{
		{"base URL with a slash", "//metrics/job/j", nil, []byte(page), "", a},
		{"base URL with a prefix and a slash", "/pushgateway//metrics/job/j", nil, []byte(page), "", a},
		{"base URL with many slashes", "///pushgateway///metrics/job/j", nil, []byte(page), "", a},

		{"charset as a coding", target, header("Content-Encoding", "utf-8"), []byte(page), "", a},
		{"coding in two lines", target, header("Content-Encoding", "gzip", "Content-Encoding", "gzip"), gzipped(t, page), "", a},
		{
			"coding that the body does not have", target, header("Content-Encoding", "deflate"), []byte(page),
			"zlib: invalid header; the body is not valid deflate, which its Content-Encoding names\n", nil,
		},
		{
			"coding that is not named", target, nil, gzipped(t, page),
			"text format parsing error in line 1: invalid metric name; the body is compressed with gzip, which its Content-Encoding does not say: push it with Content-Encoding: gzip\n", nil,
		},

		{"OpenMetrics with a blank line", target, openMetrics, []byte("# TYPE a gauge\n\na 1\n# EOF\n"), "", a},
		{"OpenMetrics with samples behind its end", target, openMetrics, []byte("a 1\n# EOF\nb 2\n"), "", append(a, `b{instance="",job="j"} 2`)},
		{"OpenMetrics with a comment", target, openMetrics, []byte("# about a\na 1\n# EOF\n"), "", a},
		{
			"OpenMetrics that is no text either", target, openMetrics, []byte("a 1\n\na{ 1\n"),
			"OpenMetrics parsing error in line 2, column 1: expected a metric name, found the end of the line\n", nil,
		},
		{
			"OpenMetrics with a series twice", target, openMetrics, []byte("a 1\n\na 1\n"),
			"pushed metrics are invalid or inconsistent with existing metrics: collected metric \"a\" {instance=\"\",job=\"j\"} (line 3) was collected before " +
				"with the same name and label values; the body was read as text because of an OpenMetrics parsing error in line 2, column 1: expected a metric " +
				"name, found the end of the line\n", nil,
		},
		{
			"OpenMetrics 2.0 with a start time", target, header("Content-Type", "application/openmetrics-text; version=2.0.0"), []byte("# TYPE a counter\na 9 st@1690000000.5\n# EOF\n"),
			"OpenMetrics parsing error in line 2, column 5: expected a timestamp or an exemplar, found \"st@1690000000.5\"; OpenMetrics 2.0 is not supported, " +
				"and the Content-Type says version=2.0.0: push OpenMetrics 1.0 or the text format\n", nil,
		},
		{"OpenMetrics 2.0 that is 1.0, too", target, header("Content-Type", "application/openmetrics-text; version=2.0.0"), []byte("# TYPE a counter\na 1\n# EOF\n"), "", a},

		{
			"remote write", target, header("Content-Type", "application/x-protobuf", "Content-Encoding", "snappy", "X-Prometheus-Remote-Write-Version", "0.1.0"), remoteWrite,
			"text format parsing error in line 2: invalid metric name; this is a Prometheus remote-write request: send it to a remote-write endpoint, " +
				"such as the collector's prometheusremotewrite receiver; this path takes pushes to a Pushgateway\n", nil,
		},
		{
			"OTLP", target, header("Content-Type", "application/x-protobuf"), otlp,
			"text format parsing error in line 2: invalid metric name; this is an OTLP request: send it to an OTLP endpoint, such as /v1/metrics of the " +
				"collector's otlp receiver, by default on port 4318; this path takes pushes to a Pushgateway\n", nil,
		},
		{
			"protobuf without lengths", target, header("Content-Type", asProtobuf), []byte("\x0a\x01a\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"),
			"proto: cannot parse invalid wire-format data; byte 1 of the body is 0x0a, which starts a MetricFamily without its length: with encoding=delimited, " +
				"the length of each MetricFamily stands before it as a varint\n", nil,
		},
	}
}

func gzipped(t *testing.T, body string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(body))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func (p *oddPush) step(method string) *conformanceStep {
	return &conformanceStep{Method: method, Target: p.target, Headers: p.headers, BodyB64: base64.StdEncoding.EncodeToString(p.body)}
}

func (p *oddPush) assertAnswer(t *testing.T, address string) {
	status, _, body := exchange(t, address, p.step(http.MethodPut))
	assert.Equal(t, p.answer, body)
	if p.answer == "" {
		assert.Equal(t, http.StatusOK, status)
	} else {
		assert.Equal(t, http.StatusBadRequest, status)
	}
}

func TestPushesOfOddClients(t *testing.T) {
	t.Parallel()
	for _, p := range oddPushes(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			sink := new(consumertest.MetricsSink)
			p.assertAnswer(t, startReceiver(t, with(func(*Config) {}), sink))
			if p.answer != "" {
				assert.Empty(t, sink.AllMetrics())
				return
			}
			require.Len(t, sink.AllMetrics(), 1)
			assert.Equal(t, parseExposed(p.series), exposedOf(sink.AllMetrics()[0]))
		})
		t.Run(p.name+", to a group", func(t *testing.T) {
			t.Parallel()
			onStores(t, withGroups(unchangedGroups), func(t *testing.T, change func(*Config)) {
				address := startReceiver(t, with(change), consumertest.NewNop())
				p.assertAnswer(t, address)
				assert.Equal(t, parseExposed(p.series), parseExposed(scrape(t, address, "//pushgateway/")))
			})
		})
	}
}

// A request that needs no body is served whatever coding it names, and behind slashes that end a base URL.
func TestDeleteOfOddClients(t *testing.T) {
	t.Parallel()
	onStores(t, withGroups(unchangedGroups), deleteOfOddClients)
}

func deleteOfOddClients(t *testing.T, change func(*Config)) {
	address := startReceiver(t, with(change), consumertest.NewNop())
	for _, coding := range []string{"gzip", "br", "snappy", "gzip, zstd", "utf-8"} {
		for _, step := range []struct {
			method string
			status int
			body   string
		}{
			{http.MethodPut, http.StatusOK, ""},
			{http.MethodGet, http.StatusMethodNotAllowed, "Method Not Allowed; GET /metrics shows all groups\n"},
			{http.MethodDelete, http.StatusAccepted, ""},
		} {
			status, _, body := exchange(t, address, &conformanceStep{
				Method: step.method, Target: "//metrics/job/j", Headers: [][2]string{{"Content-Encoding", coding}},
			})
			assert.Equal(t, step.status, status, "%s of %s: %s", step.method, coding, body)
			assert.Equal(t, step.body, body)
		}
	}
	assert.Empty(t, scrape(t, address, ""))
}
