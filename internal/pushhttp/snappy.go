// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/golang/snappy"
)

// framedSnappy starts every framed stream: the stream identifier of the framing format.
const framedSnappy = "\xff\x06\x00\x00sNaPpY"

// openSnappy reads both formats that go by the name: a Pushgateway takes the framed one, nearly everybody else means a
// single block. A block cannot be decoded but whole, so what it declares is held against the limit, in bytes, first.
func openSnappy(limit int64) opener {
	return func(d *decoder) (io.Reader, error) {
		source := bufio.NewReader(&d.source)
		start, err := source.Peek(len(framedSnappy))
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case string(start) == framedSnappy:
			return snappy.NewReader(source), nil
		}
		decoded, err := snappy.DecodedLen(start)
		switch {
		case err != nil:
			return nil, err
		case int64(decoded) > limit:
			return nil, &http.MaxBytesError{Limit: limit}
		}
		return openSnappyBlock(d, source, int64(decoded))
	}
}

func openSnappyBlock(d *decoder, source io.Reader, decoded int64) (io.Reader, error) {
	block := newBuffer(d.inFlight)
	defer block.free()
	if err := block.readAll(source); err != nil {
		return nil, err
	}
	if err := d.reserve(decoded); err != nil {
		return nil, err
	}
	body, err := snappy.Decode(nil, block.bytes)
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(body), nil
}

// openFramedSnappy reads the framed format alone.
func openFramedSnappy(d *decoder) (io.Reader, error) { return snappy.NewReader(&d.source), nil }
