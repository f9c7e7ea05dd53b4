// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package exposition reads the Prometheus exposition formats: the text format 0.0.4 (and 1.0.0 with UTF-8 names),
// OpenMetrics 1.0 text and delimited protobuf. It knows neither HTTP nor pdata.
//
// A body is decoded whole into a [Batch] or refused whole with a [ParseError]. Each format is one file with one grammar
// and one row in the table of formats:
//
//   - text.go accepts and refuses what expfmt's TextParser does, since that is what a Pushgateway runs;
//   - openmetrics.go follows the OpenMetrics 1.0 specification and Prometheus' own parser;
//   - protobuf.go reads delimited io.prometheus.client.MetricFamily messages at wire level.
//
// The decoders do not judge what one push may contain (duplicate series, reserved labels, colliding names): that depends
// on the grouping key and is package translate's work.
package exposition

import (
	"fmt"
	"mime"
	"strings"
)

// Format is an exposition format: a row of the table of formats.
type Format uint8

// The formats in which metrics can be pushed.
const (
	Text Format = iota
	OpenMetrics
	Protobuf
)

// formats is the table of formats. A new format is a constant above, a row here and a file of its own.
var formats = [...]struct {
	name   string
	decode func(b *Batch, body []byte, o Options) error
}{
	Text:        {"text", decodeText},
	OpenMetrics: {"openmetrics", decodeOpenMetrics},
	Protobuf:    {"protobuf", decodeProtobuf},
}

// String is the format's name in telemetry: "text", "openmetrics" or "protobuf".
func (f Format) String() string { return formats[f].name }

// Options are the settings that a decoder depends on.
type Options struct {
	// UTF8Names admits quoted metric and label names in the text formats. Protobuf carries UTF-8 names either way, as
	// in a Pushgateway.
	UTF8Names bool
	// Weigh is asked, now and then while a large body is decoded, whether there is memory for what is in the Batch so far.
	// Its error ends the decoding. Nobody is asked if it is nil.
	Weigh func(*Batch) error
}

// weighEvery is after how many lines, or parts of protobuf messages, Weigh is asked.
const weighEvery = 4096

// weigh asks Weigh after so many lines or parts of messages.
func (o Options) weigh(b *Batch, n int) error {
	if n%weighEvery != 0 || o.Weigh == nil {
		return nil
	}
	return o.Weigh(b)
}

// Negotiate tells the format of a body from the first Content-Type header of its request. As in a Pushgateway, protobuf
// needs the media type and both parameters, spelled exactly, and everything unknown is read as text. Unlike there,
// OpenMetrics is read as OpenMetrics.
func Negotiate(contentType string) Format {
	// What client libraries write needs no parsing, which takes about as long as decoding a small push.
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

// Decode reads the whole body in the given format into b, which is reset first. The error is a *ParseError or that of
// [Options].Weigh, or says that the body has 2 GiB or more; b's contents are then of no use but for the number of series read
// so far.
func (b *Batch) Decode(f Format, body []byte, o Options) error {
	b.Reset()
	if len(body) > maxBody {
		return fmt.Errorf("the body has %d bytes; at most %d can be decoded", len(body), maxBody)
	}
	b.body = view(body)
	return formats[f].decode(b, body, o)
}

// ParseError tells why and where a body could not be decoded.
type ParseError struct {
	Format Format
	Line   int // 1-based; 0 in protobuf
	Column int // 1-based, in bytes; in protobuf the byte offset in the body
	Msg    string
}

// Error is the sentence that the person who pushed reads. For the text format it is a Pushgateway's, word for word, so
// it names the line only.
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

// Position says where the fault is, for logs: the line and column, or the byte offset in protobuf.
func (e *ParseError) Position() string {
	var s strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&s, "line %d, column %d", e.Line, e.Column)
	} else {
		fmt.Fprintf(&s, "byte %d", e.Column)
	}
	return s.String()
}
