// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// raw sends a request byte by byte as it is written here, with a Host and the length of its body added.
func raw(t *testing.T, w *watched, line, header, body string) answer {
	t.Helper()
	connection, err := dial(w.url)
	require.NoError(t, err)
	defer connection.Close()
	_, err = fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", line, header, len(body), body)
	require.NoError(t, err)
	got, err := readAnswer(connection)
	require.NoError(t, err, line)
	return got
}

// TestBytesThatAreNoText puts NUL and invalid UTF-8 wherever a request has text.
func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	w := startWatched(t, settings{config: "testdata/hostile.yaml"})
	const push = "PUT /metrics/job/text"
	for _, tc := range []struct {
		name, line, header, body string
		want                     int
	}{
		{"NUL in the path", "PUT /metrics/job/a%00b", "", "a 1\n", 200},
		{"NUL in the path, as it is", "PUT /metrics/job/a\x00b", "", "a 1\n", 400},
		{"not UTF-8 in the job", "PUT /metrics/job/a%ff", "", "a 1\n", 400},
		{"not UTF-8 in the job, as it is", "PUT /metrics/job/a\xff", "", "a 1\n", 400},
		{"not UTF-8 in base64", "PUT /metrics/job@base64/_w", "", "a 1\n", 400},
		{"NUL in base64", "PUT /metrics/job@base64/AA", "", "a 1\n", 200},
		{"NUL in a grouping label's name", "PUT /metrics/job/j/a%00b/c", "", "a 1\n", 400},
		{"not UTF-8 in a grouping label's name", "PUT /metrics/job/j/a%ff/c", "", "a 1\n", 400},
		{"not UTF-8 in a grouping label's value", "PUT /metrics/job/j/a/c%ff", "", "a 1\n", 400},
		{"half an escape in the path", "PUT /metrics/job/j%f", "", "a 1\n", 400},
		{"not UTF-8 in a prefix", "PUT /%ff/metrics/job/j", "", "a 1\n", 404},
		{"NUL in a method", "P\x00T /metrics/job/j", "", "a 1\n", 400},
		{"NUL in a header", push, "Content-Type: a\x00b\r\n", "a 1\n", 400},
		{"not UTF-8 in a header", push, "Content-Type: text/plain; version=\xff\r\n", "a 1\n", 200},
		{"not UTF-8 in a coding", push, "Content-Encoding: \xff\r\n", "a 1\n", 200},
		{"NUL in a name", push, "", "a\x00b 1\n", 400},
		{"not UTF-8 in a name", push, "", "a\xff 1\n", 400},
		{"NUL in a label's name", push, "", "a{b\x00=\"c\"} 1\n", 400},
		{"not UTF-8 in a label's name", push, "", "a{b\xff=\"c\"} 1\n", 400},
		{"NUL in a label's value", push, "", "a{b=\"\x00\"} 1\n", 200},
		{"not UTF-8 in a label's value", push, "", "a{b=\"\xff\"} 1\n", 400},
		{"a surrogate in a label's value", push, "", "a{b=\"\xed\xa0\x80\"} 1\n", 400},
		{"NUL in a value", push, "", "a 1\x00\n", 400},
		{"NUL in a help text", push, "", "# HELP a \x00\na 1\n", 200},
		{"not UTF-8 in a help text", push, "", "# HELP a \xff\na 1\n", 200},
		{"not UTF-8 in a type", push, "", "# TYPE a \xff\na 1\n", 400},
		{"not UTF-8 in a comment", push, "", "# \xff\na 1\n", 200},
		{"nothing but NUL", push, "", strings.Repeat("\x00", 1000), 400},
		{"UTF-16", push, "", "\xff\xfea\x00 \x001\x00\n\x00", 400},
		{"byte order mark", push, "", "\xef\xbb\xbfa 1\n", 400},
		{"not UTF-8 in an OpenMetrics unit", push, "Content-Type: application/openmetrics-text\r\n", "# UNIT a_\xff \xff\na_\xff 1\n# EOF\n", 400},
		{"not UTF-8 in a protobuf name", push, protobufLine, string(delimited(field(1, []byte("\xff")))), 200},
		{"not UTF-8 in a protobuf name with a metric", push, protobufLine, string(delimited(append(append(field(1, []byte("\xff")), 0x18, 0x03), field(4, field(5, nil))...))), 400},
		{"not UTF-8 in a protobuf label's value", push, protobufLine, string(delimited(family(1, field(4, append(field(1, append(field(1, []byte("b")), field(2, []byte("\xff"))...)), field(5, nil)...))))), 400},
		{"NUL in a protobuf label's name", push, protobufLine, string(delimited(family(1, field(4, append(field(1, append(field(1, []byte("\x00")), field(2, []byte("v"))...)), field(5, nil)...))))), 200},
	} {
		got := raw(t, w, tc.line, tc.header, tc.body)
		assert.Equal(t, tc.want, got.status, "%s: %s", tc.name, got.body)
		assert.NotContains(t, got.body, "\x00", tc.name)
	}
	w.assertSettled(t)
}

const protobufLine = "Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n"

// TestResponseSplitting puts ends of lines where an answer quotes what was sent. There is one answer, with headers of the
// receiver's own.
func TestResponseSplitting(t *testing.T) {
	t.Parallel()
	w := startWatched(t, settings{config: "testdata/hostile.yaml"})
	const evil, encoded = "\r\nSet-Cookie: evil=1\r\n\r\nHTTP/1.1 200 OK", "%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0aHTTP/1.1%20200%20OK"
	for _, tc := range []struct{ name, line, header, body string }{
		{"job", "PUT /metrics/job/" + encoded, "", "a"},
		{"name of a grouping label", "PUT /metrics/job/j/" + encoded + "/v", "", "a 1\n"},
		{"value of a grouping label", "PUT /metrics/job/j/le/" + encoded, "", "# TYPE h histogram\nh_count 1\n"},
		{"base64", "PUT /metrics/job@base64/" + encoded, "", "a 1\n"},
		{"path", "GET /" + encoded, "", ""},
		{"method", "EVIL /metrics/job/j", "", ""},
		{"label", "PUT /metrics/job/j", "", `a{b="` + evil + `"} 1` + "\n" + `a{b="` + evil + `"} 1` + "\n"},
		{"name", "PUT /metrics/job/j", "", evil},
		{"coding", "PUT /metrics/job/j", "Content-Encoding: \tx\v\f\x7f\r\n", "a 1\n"},
		{"folded coding", "PUT /metrics/job/j", "Content-Encoding: gzip,\r\n Set-Cookie: evil=1\r\n", "a 1\n"},
		{"type", "PUT /metrics/job/j", "Content-Type: text/plain;\r\n Set-Cookie: evil=1\r\n", "a"},
		{"origin", "OPTIONS /metrics/job/j", "Origin: http://evil\r\nAccess-Control-Request-Method: PUT\r\n", ""},
	} {
		connection, err := dial(w.url)
		require.NoError(t, err)
		_, err = fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", tc.line, tc.header, len(tc.body), tc.body)
		require.NoError(t, err)
		everything, err := io.ReadAll(connection)
		require.NoError(t, err, tc.name)
		require.NoError(t, connection.Close())

		rest := bufio.NewReader(strings.NewReader(string(everything)))
		response, err := http.ReadResponse(rest, nil)
		require.NoError(t, err, tc.name)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err, tc.name)
		assert.Zero(t, rest.Buffered(), "%s: more than one answer: %q", tc.name, everything)
		for name := range response.Header {
			assert.Contains(t, []string{"Accept-Encoding", "Allow", "Connection", "Content-Length", "Content-Type", "Date", "X-Content-Type-Options"}, name, tc.name)
		}
		if len(body) > 0 {
			assert.Equal(t, "text/plain; charset=utf-8", response.Header.Get("Content-Type"), "%s: a browser shows no HTML", tc.name)
		}
	}
}

// TestPathTraversal tries to leave the paths that are served, as written and in every spelling. Nothing is cleaned, nothing is
// redirected, and no other page of the process is reached.
func TestPathTraversal(t *testing.T) {
	t.Parallel()
	w := startWatched(t, settings{config: "testdata/hostile.yaml", set: []string{"receivers::pushgateway::groups: {admin_api: false}"}})
	for path, want := range map[string]int{
		"/metrics/job/x/../../../etc/passwd":        400, // an odd number of elements behind the job
		"/metrics/job/../../-/ready":                400,
		"/metrics/job/x/../../-/ready":              400,
		"/metrics/job/%2e%2e/%2e%2e/etc":            400,
		"/metrics/job/..":                           200, // a job may be called so
		"/metrics/job/%2e%2e":                       200,
		"/metrics/job/..%2f..%2fetc":                400,
		"/metrics/job/..%5c..%5cetc":                200,
		"/metrics/../api/v1/admin/wipe":             404,
		"/metrics/job/x/../../../api/v1/admin/wipe": 400,
		"/pushgateway/../metrics/job/x":             404,
		"/pushgateway/%2e%2e/metrics/job/x":         404,
		"/pushgateway//metrics/job/x":               200, // a base URL may end in slashes
		"//metrics/job/x":                           200,
		"/./metrics/job/x":                          404,
		"/%2e/metrics/job/x":                        404,
		"/metrics//job/x":                           404,
		"/metrics/job//x":                           404,
		"/metrics/./job/x":                          404,
		"/metrics;/job/x":                           404,
		"/METRICS/job/x":                            404,
		"/metrics/job/x?/../..":                     200,
		"/metrics/job/x%3f/../..":                   400,
		"/debug/pprof/":                             404,
		"/../../etc/passwd":                         404,
		"/%2e%2e/%2e%2e/etc/passwd":                 404,
		"/api/v1/admin/wipe":                        404,
		"/-/quit":                                   404,
		"http://127.0.0.1:1/metrics/job/x":          200, // the form that proxies get: nothing is fetched
		"http://evil/-/quit":                        404,
		"*":                                         404,
		"metrics/job/x":                             400,
	} {
		for _, method := range []string{"PUT", "POST"} {
			got := raw(t, w, method+" "+path, "", "a 1\n")
			assert.Equal(t, want, got.status, "%s %s: %s", method, path, got.body)
			assert.Empty(t, got.header.Get("Location"), path)
		}
	}
}

// logLine is how each line of the collector's log starts.
var logLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d{4})\t(debug|info|warn|error)\t`)

// TestLogInjection has refusals quote ends of lines, escape sequences of terminals and marks that turn text around. The log
// is one line for each entry, and nothing in it but visible characters.
func TestLogInjection(t *testing.T) {
	t.Parallel()
	w := startWatched(t, settings{config: "testdata/hostile.yaml", set: []string{
		"service::telemetry::logs: {level: debug, sampling: {enabled: false}}",
		"receivers::pushgateway::limits: {labels_per_series: 5, label_value_length: 300, series_per_push: 3}",
	}})
	const evil = "\n2026-01-01T00:00:00.000Z\tinfo\tevil\x1b[31m\x1b]0;evil\a\u009b31m\u202egnp\u2028\r\x00\x7f\u200b"
	var encoded strings.Builder
	for _, b := range []byte(evil) {
		fmt.Fprintf(&encoded, "%%%02x", b)
	}
	path := encoded.String()
	escaped := strings.NewReplacer("\n", `\n`).Replace(evil)
	many := "a 1\nb 1\nc 1\nd 1\n"
	for _, tc := range []struct{ name, line, header, body string }{
		{"path", "PUT /metrics/job/j/" + path + "/v", "", "a 1\n"}, // each has a reason of its own: one line is logged for each
		{"grouping key", "PUT /metrics/job/" + path + "/l/" + path, "", "a{b=\"" + escaped + "\"} x\n"},
		{"label", "PUT /metrics/job/" + path, "", "a{b=\"" + escaped + "\"} 1\na{b=\"" + escaped + "\"} 1\n"},
		{"limit", "PUT /metrics/job/" + path, "", many},
		{"method", "EVIL /metrics/job/" + path, "", ""},
		{"delete", "DELETE /metrics/job/" + path, "", ""},
		{"coding", "PUT /metrics/job/" + path, "Content-Encoding: \x1b[31m\u009b31m\u202e\r\n", "a 1\n"},
		{"body", "PUT /metrics/job/" + path, "Content-Encoding: gzip\r\n", evil},
		{"header", "PUT /metrics/job/" + path, "\x1b[31m: x\r\n", evil},
	} {
		got := raw(t, w, tc.line, tc.header, tc.body)
		assert.GreaterOrEqual(t, got.status, 400, tc.name)
	}
	w.stop(t)
	log := w.output.String()
	assert.GreaterOrEqual(t, strings.Count(log, "Push refused"), 6, log)
	for line := range strings.SplitSeq(strings.TrimSuffix(log, "\n"), "\n") {
		assert.Regexp(t, logLine, line)
		for _, r := range line {
			if (r < ' ' && r != '\t') || (r >= 0x7f && r < 0xa0) || strings.ContainsRune("\u200b\u2028\u2029\u202e", r) {
				assert.Fail(t, "The log has a character that is not to be seen", "%U in %q", r, line)
			}
		}
	}
}
