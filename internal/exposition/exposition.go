// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package exposition decodes the Prometheus exposition formats: text 0.0.4 (and 1.0.0 with UTF-8 names), OpenMetrics 1.0
// and delimited protobuf.
//
// [Batch.Decode] accepts a body completely or refuses it with a [ParseError]. Each format is one file with one grammar
// and one row in the table of formats:
//
//   - text.go accepts and refuses the same bodies as expfmt's TextParser, which a Pushgateway uses.
//   - openmetrics.go follows the OpenMetrics 1.0 specification and Prometheus' parser.
//   - protobuf.go reads io.prometheus.client.MetricFamily messages at wire level.
//
// The memory of a Batch is proportional to the body. Different Batches can be used concurrently. The package knows
// neither HTTP nor pdata. It does not check rules that depend on the grouping key, such as duplicate series or reserved
// labels; package translate does.
package exposition

import (
	"fmt"
	"mime"
	"strings"
)

// Format is an exposition format, a row of the table of formats.
type Format uint8

// The formats of a push.
const (
	Text Format = iota
	OpenMetrics
	Protobuf
)

// formats is the table of formats. A new format needs a constant above, a row here and a file.
var formats = [...]struct {
	name   string
	decode func(b *Batch, body []byte, o Options) error
}{
	Text:        {"text", decodeText},
	OpenMetrics: {"openmetrics", decodeOpenMetrics},
	Protobuf:    {"protobuf", decodeProtobuf},
}

// String returns the format's name in telemetry: "text", "openmetrics" or "protobuf".
func (f Format) String() string { return formats[f].name }

// Options are the decoders' settings.
type Options struct {
	// UTF8Names allows quoted metric and label names in the text formats. Protobuf always allows UTF-8 names, as in a
	// Pushgateway.
	UTF8Names bool
	// CheckMemory, if not nil, is called repeatedly while a large body is decoded. An error aborts the decoding.
	CheckMemory func(*Batch) error
}

// checkMemoryEvery is the number of lines, or of parts of protobuf messages, between two calls of CheckMemory.
const checkMemoryEvery = 4096

// checkMemory calls CheckMemory if n is a multiple of checkMemoryEvery.
func (o Options) checkMemory(b *Batch, n int) error {
	if n%checkMemoryEvery != 0 || o.CheckMemory == nil {
		return nil
	}
	return o.CheckMemory(b)
}

// Negotiate returns the format for a Content-Type header. As in a Pushgateway, protobuf needs the exact media type and
// both parameters, and unknown types are text. Unlike a Pushgateway, it supports OpenMetrics.
func Negotiate(contentType string) Format {
	// Fast path for client libraries: mime.ParseMediaType takes as long as decoding a small push.
	switch contentType {
	case "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited":
		return Protobuf
	case "text/plain; version=0.0.4", "text/plain; version=0.0.4; charset=utf-8", "text/plain; version=1.0.0; charset=utf-8":
		return Text
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return Text
	case mediaType == "application/vnd.google.protobuf" &&
		params["encoding"] == "delimited" && params["proto"] == "io.prometheus.client.MetricFamily":
		return Protobuf
	case mediaType == "application/openmetrics-text":
		return OpenMetrics
	default:
		return Text
	}
}

// Decode resets b and reads the whole body into it. The error is a *ParseError, the error of [Options].CheckMemory, or
// says that the body has 2 GiB or more. After an error, only the number of series in b is meaningful.
func (b *Batch) Decode(f Format, body []byte, o Options) error {
	b.Reset()
	if len(body) > maxBody {
		return fmt.Errorf("the body has %d bytes; at most %d can be decoded", len(body), maxBody)
	}
	b.body = view(body)
	return formats[f].decode(b, body, o)
}

// ParseError is the reason and position of a refusal.
type ParseError struct {
	Format Format
	Line   int // 1-based; 0 in protobuf
	Column int // 1-based, in bytes; in protobuf the offset in the body
	Msg    string
}

// Error returns the message for the client. For the text format it is a Pushgateway's, word for word, without the column.
func (e *ParseError) Error() string {
	switch e.Format {
	case Text:
		return fmt.Sprintf("text format parsing error in line %d: %s", e.Line, e.Msg)
	case OpenMetrics:
		return fmt.Sprintf("OpenMetrics parsing error in line %d, column %d: %s", e.Line, e.Column, e.Msg)
	default:
		return e.Msg
	}
}

// Position returns the line and column, or the byte offset in protobuf, for logs.
func (e *ParseError) Position() string {
	var s strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&s, "line %d, column %d", e.Line, e.Column)
	} else {
		fmt.Fprintf(&s, "byte %d", e.Column)
	}
	return s.String()
}
