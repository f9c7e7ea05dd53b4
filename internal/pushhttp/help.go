// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// withHelp adds a probable cause to the refusal of a body that could not be parsed. It follows the text of the refusal, which may be
// a Pushgateway's.
func withHelp(err error, format exposition.Format, header http.Header, body []byte) error {
	refusal, ok := errors.AsType[*ingest.Refusal](err)
	if !ok || refusal.Reason != ingest.ReasonParse {
		return err
	}
	refusal.Help = helpFor(format, header, body)
	return refusal
}

const (
	helpRemoteWrite = "this is a Prometheus remote-write request: send it to a remote-write endpoint, such as the collector's " +
		"prometheusremotewrite receiver; this path takes pushes to a Pushgateway"
	helpOTLP = "this is an OTLP request: send it to an OTLP endpoint, such as /v1/metrics of the collector's otlp receiver, by default " +
		"on port 4318; this path takes pushes to a Pushgateway"
)

// helpFor says what a body probably is that could not be parsed in its format. It is empty if the request gives no hint.
func helpFor(format exposition.Format, header http.Header, body []byte) string {
	mediaType, params, _ := mime.ParseMediaType(header.Get("Content-Type")) // An invalid Content-Type gives no hint.
	switch {
	case isRemoteWrite(mediaType, params, header, body):
		return helpRemoteWrite
	case isOTLP(mediaType, body):
		return helpOTLP
	}
	coding := codingOf(body)
	version := params["version"]
	switch {
	case coding != noCoding:
		return fmt.Sprintf("the body is compressed with %[1]s, which its Content-Encoding does not say: push it with Content-Encoding: %[1]s", coding)
	case format == exposition.Protobuf && exposition.IsMessage(body, 1, 2, 3, 4, 5):
		return fmt.Sprintf("byte 1 of the body is %#02x, which starts a MetricFamily without its length: with encoding=delimited, "+
			"the length of each MetricFamily stands before it as a varint", body[0])
	case format == exposition.OpenMetrics && (version == "2" || strings.HasPrefix(version, "2.")):
		return fmt.Sprintf("OpenMetrics 2.0 is not supported, and the Content-Type says version=%s: push OpenMetrics 1.0 or the text format", version)
	}
	return ""
}

// isForeignProtobuf reports whether a media type is used by remote write and OTLP in protobuf.
func isForeignProtobuf(mediaType string) bool {
	return mediaType == "application/x-protobuf" || mediaType == "application/protobuf"
}

// isRemoteWrite recognizes remote write 1.0 and 2.0 by the version header, the message in the Content-Type, or the label __name__.
func isRemoteWrite(mediaType string, params map[string]string, header http.Header, body []byte) bool {
	return header.Get("X-Prometheus-Remote-Write-Version") != "" ||
		slices.Contains([]string{"prometheus.WriteRequest", "io.prometheus.write.v2.Request"}, params["proto"]) ||
		isForeignProtobuf(mediaType) && bytes.Contains(body, []byte("__name__")) && exposition.IsMessage(body, 1, 3, 4, 5)
}

// isOTLP recognizes an OTLP request of any signal, in protobuf or JSON. In protobuf, each of them repeats field 1.
func isOTLP(mediaType string, body []byte) bool {
	switch {
	case isForeignProtobuf(mediaType):
		return exposition.IsMessage(body, 1)
	case mediaType == "application/json":
		return otlpKey(body)
	default:
		return false
	}
}

// otlpKey reports whether the first key of a JSON request is that of OTLP, in camel case or snake case.
func otlpKey(body []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(body), []byte("{"))
	if !ok {
		return false
	}
	rest = bytes.TrimSpace(rest)
	return bytes.HasPrefix(rest, []byte(`"resource`)) &&
		slices.ContainsFunc([]string{"Metrics", "Spans", "Logs", "Profiles", "_metrics", "_spans", "_logs", "_profiles"}, func(signal string) bool {
			return bytes.HasPrefix(rest, []byte(`"resource`+signal+`"`))
		})
}

// magics are the first bytes of a body in a coding.
var magics = map[string]string{
	"gzip":            "\x1f\x8b",
	"zstd":            "\x28\xb5\x2f\xfd",
	"lz4":             "\x04\x22\x4d\x18",
	"x-snappy-framed": framedSnappy,
}

// looksLike reports whether a body seems to be in the coding.
func looksLike(coding string, body []byte) bool {
	switch coding {
	case "zlib", "deflate":
		return len(body) > 1 && body[0] == 0x78 && binary.BigEndian.Uint16(body)%31 == 0 // RFC 1950, section 2.2
	case "snappy":
		return looksLike("x-snappy-framed", body) || isSnappyBlock(body)
	default:
		return bytes.HasPrefix(body, []byte(magics[coding]))
	}
}

// codingOf returns the coding that a body seems to be in, or "".
func codingOf(body []byte) string {
	for coding := range magics {
		if looksLike(coding, body) {
			return coding
		}
	}
	switch {
	case utf8.Valid(body):
		return noCoding
	case looksLike("zlib", body):
		return "zlib"
	case looksLike("snappy", body):
		return "snappy"
	default:
		return noCoding
	}
}

// isSnappyBlock reports whether a body is a snappy block: its elements produce exactly the length that it declares.
func isSnappyBlock(body []byte) bool {
	declared, n := binary.Uvarint(body)
	if n <= 0 {
		return false
	}
	made := uint64(0)
	for rest := body[n:]; len(rest) > 0; {
		size, length := snappyElement(rest)
		if size > len(rest) {
			return false
		}
		made += uint64(length)
		rest = rest[size:]
	}
	return made == declared
}

// snappyElement returns the size of an element and the length of its output.
func snappyElement(b []byte) (size, length int) {
	length = int(b[0]>>2) + 1
	switch b[0] & 3 {
	case 1:
		return 2, int(b[0]>>2&7) + 4
	case 2:
		return 3, length
	case 3:
		return 5, length
	}
	if extra := length - 60; extra > 0 { // The next bytes are the length of a long literal.
		var long [8]byte
		copy(long[:extra], b[1:])
		length = int(binary.LittleEndian.Uint32(long[:])) + 1
		return 1 + extra + length, length
	}
	return 1 + length, length
}
