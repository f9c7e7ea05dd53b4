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

// framedSnappy is the stream identifier, which starts every framed stream.
const framedSnappy = "\xff\x06\x00\x00sNaPpY"

// openSnappy reads both snappy formats: a Pushgateway accepts the framed one, most other software uses a single block. A block must be
// decoded at once, so its declared length is compared with the limit first.
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

// openFramedSnappy reads only the framed format.
func openFramedSnappy(d *decoder) (io.Reader, error) { return snappy.NewReader(&d.source), nil }
