// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// generator draws requests at random. What it draws depends on its seed alone.
type generator struct{ *rand.Rand }

// newGenerator makes the generator of the case with that number.
func newGenerator(seed, number uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, number))}
}

// often is true in n of a hundred cases.
func (g generator) often(n int) bool { return g.IntN(100) < n }

// oneOf draws one of several strings.
func (g generator) oneOf(choices ...string) string { return choices[g.IntN(len(choices))] }

// rarely draws the usual string, or in n of a hundred cases an unusual one.
func (g generator) rarely(n int, usual string, unusual ...string) string {
	if g.often(n) {
		return g.oneOf(unusual...)
	}
	return usual
}

// request draws a request.
func (g generator) request() *request {
	r := &request{method: g.oneOf(http.MethodPut, http.MethodPost), target: g.target()}
	if g.often(3) {
		r.method = g.oneOf("GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "post", "Put", "TRACE")
	}
	contentType := g.contentType()
	if contentType != "" {
		r.headers = append(r.headers, header{"Content-Type", contentType})
	}
	switch {
	case strings.HasPrefix(contentType, "application/vnd.google.protobuf"):
		r.plain = g.protobuf()
	case strings.HasPrefix(contentType, openMetricsType) && !g.often(20):
		r.plain = []byte(g.openMetrics())
	default:
		r.plain = []byte(g.text())
	}
	if g.often(4) {
		r.plain = g.damage(r.plain)
	}
	r.body = r.plain
	if g.often(12) {
		g.encode(r)
	}
	return r
}

// contentType draws a Content-Type; empty stands for none.
func (g generator) contentType() string {
	const protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	switch {
	case g.often(35):
		return g.rarely(10, protobuf,
			`application/vnd.google.protobuf;encoding=delimited;proto="io.prometheus.client.MetricFamily"`,
			"Application/Vnd.Google.Protobuf; Encoding=delimited; Proto=io.prometheus.client.MetricFamily",
			"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text",
			"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; encoding=delimited",
			"application/vnd.google.protobuf")
	case g.often(20):
		return openMetricsType + g.rarely(20, "; version=1.0.0; charset=utf-8", "", "; version=0.0.1", "; version=2.0.0; charset=utf-8",
			"; version=1.0.0; escaping=allow-utf-8")
	default:
		return g.rarely(15, g.oneOf("", "text/plain", "text/plain; version=0.0.4; charset=utf-8", "application/x-www-form-urlencoded"),
			"application/json", "text/html; charset", ";", "text/plain; version=1.0.0; escaping=allow-utf-8", "application/x-protobuf", "é", "text/plain; version=0.0.4; version=1")
	}
}

// openMetricsType is the media type of OpenMetrics.
const openMetricsType = "application/openmetrics-text"

// encode draws a content coding, which may not be the one that the header names.
func (g generator) encode(r *request) {
	coding := g.oneOf("gzip", "gzip", "gzip", "GZip", "snappy", "snappy", "identity", "zstd", "deflate", "zlib", "lz4", "br", "x-gzip",
		"gzip, gzip", "", "*", "utf-8", "UTF8", "text", "none", "binary", "8bit", "chunked", "text/plain")
	r.headers = append(r.headers, header{"Content-Encoding", coding})
	if g.often(10) {
		r.headers = append(r.headers, header{"Content-Encoding", g.rarely(30, coding, "gzip", "identity", "none")})
	}
	if g.often(5) {
		r.plain, r.body = nil, nil // A request without a body has no coding to be broken.
		return
	}
	if g.often(10) {
		return
	}
	r.body, r.encoded = encoded(coding, r.plain, g.often(50)), true
	if g.often(10) && len(r.body) > 0 {
		r.body, r.encoded = r.body[:g.IntN(len(r.body))], false
	}
}

// encoded encodes a body; block tells whether snappy's block format is meant. An unknown coding changes nothing.
func encoded(coding string, plain []byte, block bool) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch strings.ToLower(coding) {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate", "zlib":
		w = zlib.NewWriter(&b)
	case "lz4":
		w = lz4.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b) // It fails for bad options alone.
	case "snappy":
		if block {
			return snappy.Encode(nil, plain)
		}
		w = snappy.NewBufferedWriter(&b)
	default:
		return plain
	}
	_, _ = w.Write(plain) // A bytes.Buffer takes everything.
	_ = w.Close()
	return b.Bytes()
}

// damage changes some bytes.
func (g generator) damage(body []byte) []byte {
	for range 1 + g.IntN(3) {
		if len(body) == 0 {
			return body
		}
		at := g.IntN(len(body))
		switch g.IntN(4) {
		case 0:
			body = append(bytes.Clone(body[:at]), body[at+1:]...)
		case 1:
			body = body[:at]
		case 2:
			body = bytes.Clone(body)
			body[at] = byte(g.IntN(256))
		default:
			odd := g.oneOf(" ", "\n", "{", "}", "\"", "\\", ",", "=", "#", "\x00", "é", "\t", "\r", "1")
			body = []byte(string(body[:at]) + odd + string(body[at:]))
		}
	}
	return body
}

// target draws a path, mostly one that a client would send.
func (g generator) target() string {
	if g.often(2) {
		return g.oneOf("/", "/metrics", "/metrics/", "/metrics/job", "/metrics/job/", "/metrics/job//", "/metrics/job@base64/", "/metrics/job@base64/=",
			"/metrics/jobs/j", "//metrics/job/j", "//metrics/job/j/a/b", "//metrics/job@base64/ag", "///metrics/job/j", "//", "//-/ready", "//metrics",
			"//metrics//job/j", "/./metrics/job/j", "//metrics/job/", "/metrics//job/j", "/Metrics/job/j", "/metrics/./job/j", "/-/healthy", "/-/ready", "/-/Healthy",
			"/metrics/job/j?x=1", "http://h/metrics/job/j", "/metrics/job/j#x", "/metrics%2Fjob%2Fj", "/api/v1/status", "/api/v1/nothing", "/metrics/instance/i/job/j")
	}
	var path strings.Builder
	path.WriteString("/metrics")
	g.label(&path, "job")
	for range g.IntN(3) * g.IntN(2) {
		g.label(&path, g.rarely(12, g.oneOf("instance", "a", "b", "zone", "instance", "job", "le", "quantile", "_x", "otel_scope_name", "name"),
			"__name__", "__x", "1a", "a-b", "a:b", "", "%20", "%C3%A9", "U__a_2e_b", "a@base64", "%40", "U____x", "A"))
	}
	if g.often(2) {
		path.WriteString(g.oneOf("/", "/a", "//", "/a/", "/./", "/..", "?q=1", "%2F", "/%zz", "%", "/a@base64"))
	}
	return path.String()
}

// label draws the spelling of a label of the grouping key.
func (g generator) label(path *strings.Builder, name string) {
	value := g.value()
	switch {
	case g.often(15):
		coding := base64.URLEncoding
		if g.often(50) {
			coding = base64.RawURLEncoding
		}
		if g.often(5) {
			coding = base64.StdEncoding
		}
		if g.often(4) {
			value += g.oneOf("\xff", "\xc3", "\x00")
		}
		spelled := coding.EncodeToString([]byte(value))
		if spelled == "" || g.often(2) {
			spelled += g.rarely(10, "=", "", "==", "A", ".")
		}
		path.WriteString("/" + name + "@base64/" + spelled)
	case g.often(40):
		path.WriteString("/" + name + "/" + url.QueryEscape(value))
	case g.often(4):
		path.WriteString("/" + name + "/" + g.oneOf("", ".", "..", "...", "%2E%2E", "%2F", "a%2Fb", "%2F%2F", "%FF", "%00", "%zz", "é", "+", ";x", "a=b&c", "%e2%82%ac"))
	default:
		path.WriteString("/" + name + "/" + url.PathEscape(value))
	}
}

// value draws the value of a label.
func (g generator) value() string {
	return g.rarely(35, g.oneOf("a", "b", "c", "some_job", "host:9100"),
		"Προμηθεύς", "a b", "a/b", "1.0", "1", `q"q`, `b\b`, "n\nn", "日本", "😀", "a+b", "%", "  ", "e\u0301", "\u00a0", "\ufeff", "a,b={c}", "x\ty", "0.5", "..")
}
