// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

const (
	delimited   = "Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	xProtobuf   = "Content-Type: application/x-protobuf"
	openMetrics = "Content-Type: application/openmetrics-text; version="

	aFamily = "\x0a\x01a\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"
	// remoteWrite is a WriteRequest of one series, __name__="a" with one sample.
	remoteWrite = "\x0a\x19\x0a\x0d\x0a\x08__name__\x12\x01a\x12\x08\x09\x00\x00\x00\x00\x00\x00\xf0"
	// otlp is an ExportMetricsServiceRequest with an empty resource.
	otlp = "\x0a\x06\x0a\x00\x12\x02\x0a\x00"

	remoteWriteHelp = "this is a Prometheus remote-write request: send it to a remote-write endpoint, such as the collector's " +
		"prometheusremotewrite receiver; this path takes pushes to a Pushgateway"
	otlpHelp = "this is an OTLP request: send it to an OTLP endpoint, such as /v1/metrics of the collector's otlp receiver, by default " +
		"on port 4318; this path takes pushes to a Pushgateway"
)

// TestHelp refuses each body as one that cannot be parsed, whatever it is.
func TestHelp(t *testing.T) {
	t.Parallel()
	const small = "some_metric 3.14\n"
	large := noise(100_000)
	compressed := func(coding string) string {
		return "the body is compressed with " + coding + ", which its Content-Encoding does not say: push it with Content-Encoding: " + coding
	}
	undelimited := "byte 1 of the body is 0x0a, which starts a MetricFamily without its length: with encoding=delimited, " +
		"the length of each MetricFamily stands before it as a varint"
	for _, tt := range []struct {
		name, body, want string
		headers          []string
	}{
		{"text", small, "", nil},
		{"nothing", "", "", nil},
		{"not UTF-8", "a{x=\"\xff\xfe\"} 1\n", "", nil},

		{"remote write by its header", remoteWrite, remoteWriteHelp, []string{xProtobuf, "X-Prometheus-Remote-Write-Version: 0.1.0"}},
		{"remote write without a Content-Type", "anything", remoteWriteHelp, []string{"X-Prometheus-Remote-Write-Version: 0.1.0"}},
		{"remote write, compressed", block(remoteWrite), remoteWriteHelp, []string{xProtobuf, "X-Prometheus-Remote-Write-Version: 0.1.0", "Content-Encoding: snappy"}},
		{"remote write by its series", remoteWrite, remoteWriteHelp, []string{xProtobuf}},
		{"remote write by its message", remoteWrite, remoteWriteHelp, []string{xProtobuf + ";proto=prometheus.WriteRequest"}},
		{"remote write 2.0 by its message", "anything", remoteWriteHelp, []string{xProtobuf + ";proto=io.prometheus.write.v2.Request"}},

		{"OTLP", otlp, otlpHelp, []string{xProtobuf}},
		{"OTLP, compressed", gzipped(otlp), otlpHelp, []string{xProtobuf, "Content-Encoding: gzip"}},
		{"OTLP in JSON", ` { "resourceMetrics" : []}`, otlpHelp, []string{"Content-Type: application/json; charset=utf-8"}},
		{"OTLP of traces in JSON", `{"resourceSpans":[]}`, otlpHelp, []string{"Content-Type: application/json"}},
		{"OTLP in JSON as protobuf spells it", `{"resource_logs":[]}`, otlpHelp, []string{"Content-Type: application/json"}},
		{"other JSON", `{"resource":"x"}`, "", []string{"Content-Type: application/json"}},
		{"a JSON array", `["resourceMetrics"]`, "", []string{"Content-Type: application/json"}},
		{"JSON as text", `{"resourceMetrics":[]}`, "", nil},
		{"other protobuf", "'\x0a\x06pb_one\x18\x01", "", []string{xProtobuf}},

		{"gzip", gzipped(small), compressed("gzip"), nil},
		{"gzip twice", gzipped(gzipped(small)), compressed("gzip"), []string{"Content-Encoding: gzip"}},
		{"gzip of protobuf", gzipped(aFamily), compressed("gzip"), []string{delimited}},
		{"gzip under a name that is no coding", gzipped(small), compressed("gzip"), []string{"Content-Encoding: binary"}},
		{"zlib", zlibbed(large), compressed("zlib"), nil},
		{"zstd", zstandard(small), compressed("zstd"), nil},
		{"lz4", lz4ed(small, lz4.ChecksumOption(false)), compressed("lz4"), nil},
		{"snappy frames", framed(small), compressed("x-snappy-framed"), nil},
		{"snappy block", string(snappy.Encode(nil, []byte(strings.Repeat("é 1\n", 1000)))), compressed("snappy"), nil},
		{"snappy block of a long literal", block("\xff" + large), compressed("snappy"), nil},
		{"snappy block, cut", block("\xff" + large)[:1000], "", nil},

		{"protobuf without a length", aFamily, undelimited, []string{delimited}},
		{"two without lengths", aFamily + aFamily, undelimited, []string{delimited}},
		{"protobuf with a length", string(rune(len(aFamily))) + aFamily, "", []string{delimited}},
		{"protobuf that is none", "\x05\xff\xff\xff\xff\xff", "", []string{delimited}},
		{"protobuf as text", aFamily, "", nil},

		{"OpenMetrics 1.0", small, "", []string{openMetrics + "1.0.0"}},
		{"OpenMetrics 2.0", small, "OpenMetrics 2.0 is not supported, and the Content-Type says version=2.0.0: push OpenMetrics 1.0 or the text format", []string{openMetrics + "2.0.0; charset=utf-8"}},
		{"OpenMetrics 2", small, "OpenMetrics 2.0 is not supported, and the Content-Type says version=2: push OpenMetrics 1.0 or the text format", []string{openMetrics + "2"}},
		{"text 2.0", small, "", []string{"Content-Type: text/plain; version=2.0.0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.ingest.answer = func([]byte) error { return ingest.Refuse(ingest.ReasonParse, errors.New("own words")) }
			got := s.do(t, "PUT", "/metrics/job/j", tt.body, tt.headers...)
			assert.Equal(t, http.StatusBadRequest, got.status)
			want := "own words\n"
			if tt.want != "" {
				want = "own words; " + tt.want + "\n"
			}
			assert.Equal(t, want, got.body)
		})
	}
}

// Only a body that could not be parsed needs help, however long what is wrong with it.
func TestHelpFollowsWhatIsCut(t *testing.T) {
	t.Parallel()
	s := serve(t)
	refusal := ingest.Refuse(ingest.ReasonParse, errors.New(strings.Repeat("x", 10_000)))
	s.ingest.answer = func([]byte) error { return refusal }
	got := s.do(t, "PUT", "/metrics/job/j", gzipped("a 1\n"))
	assert.Contains(t, got.body, "xxx... (10000 bytes); the body is compressed with gzip")
	refusal = ingest.Refuse(ingest.ReasonInconsistent, errors.New("twice"))
	assert.Equal(t, "twice\n", s.do(t, "PUT", "/metrics/job/j", gzipped("a 1\n")).body)
}
