// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// streamBuffer is the size of the first part of a response, in bytes. An error until then changes the status.
const streamBuffer = 64 << 10

// codingGzip is the name of the only coding of responses.
const codingGzip = "gzip"

// stream writes a response whose reading can fail. If that happens after a part was sent, the connection is aborted: no client can take
// the part for the whole.
func stream(w http.ResponseWriter, start func(http.Header), write func(io.Writer) error) {
	started := &startedWriter{writer: w, start: start}
	buffer := bufio.NewWriterSize(started, streamBuffer)
	err := write(buffer)
	if err == nil {
		err = buffer.Flush()
	}
	switch {
	case err == nil:
		started.begin()
	case started.begun:
		panic(http.ErrAbortHandler) // as net/http wants it
	default:
		writeRefusal(w, err)
	}
}

// startedWriter sets the headers of the response before its first part.
type startedWriter struct {
	writer http.ResponseWriter
	start  func(http.Header)
	begun  bool
}

func (w *startedWriter) begin() {
	if !w.begun {
		w.begun = true
		w.start(w.writer.Header())
	}
}

// Write implements io.Writer.
func (w *startedWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.writer.Write(p)
}

// prefersGzip reports whether a client wants gzip more than no coding.
func prefersGzip(header http.Header) bool {
	zipped, plain := -1.0, -1.0
	for _, value := range header.Values("Accept-Encoding") {
		for clause := range strings.SplitSeq(value, ",") {
			coding, parameters, _ := strings.Cut(clause, ";")
			weight := 1.0
			if text, ok := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q="); ok {
				weight, _ = strconv.ParseFloat(text, 64)
			}
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case codingGzip:
				zipped = weight
			case "identity":
				plain = weight
			case "*":
				zipped, plain = max(zipped, weight), max(plain, weight)
			}
		}
	}
	return zipped > 0 && zipped > plain
}
