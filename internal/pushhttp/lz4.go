// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/pierrec/lz4/v4"
)

// lz4State is the memory of a decoder in bytes: two blocks of the largest size, 4 MiB, which eleven bytes can declare.
const lz4State = 2 * 4 << 20

// errLZ4Legacy refuses the format of the Linux kernel. It has no end mark, so truncation cannot be detected. The decoder also recurses
// for each header, so that many headers overflow the stack.
var errLZ4Legacy = errors.New("lz4: the legacy format is not supported")

func openLZ4(d *decoder) (io.Reader, error) {
	if err := d.reserve(lz4State); err != nil {
		return nil, err
	}
	return lz4.NewReader(&lz4Source{body: bufio.NewReader(&d.source)}), nil
}

var (
	lz4Magic       = []byte{0x04, 0x22, 0x4d, 0x18}
	lz4LegacyMagic = []byte{0x02, 0x21, 0x4c, 0x18}
	lz4EndMark     = make([]byte, 4)
)

// lz4Checksum is the flag in the descriptor of a frame that announces a checksum of its content after the end mark.
const lz4Checksum = 1 << 2

// lz4Source detects truncation for the decoder, which accepts a stream that ends between two blocks or before the checksum of its
// content. The decoder reads each field of a frame with one Read. So the last fields show whether a frame has ended: with the end
// mark, or with the end mark and the checksum.
type lz4Source struct {
	body      *bufio.Reader
	started   bool
	magic     bool // the last field is the magic number of a frame
	announced bool // the frame has a checksum of its content
	ended     bool // the last field is an end mark, or the checksum after one
	checksum  bool // the last field is the checksum after an end mark
}

// complete reports whether the stream may end here.
func (s *lz4Source) complete() bool { return !s.started || s.ended && s.checksum == s.announced }

func (s *lz4Source) Read(p []byte) (int, error) {
	n, err := io.ReadFull(s.body, p)
	if err != nil {
		if errors.Is(err, io.EOF) && !s.complete() {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	if bytes.Equal(p, lz4LegacyMagic) {
		return 0, errLZ4Legacy
	}
	if s.magic && len(p) > 0 {
		s.announced = p[0]&lz4Checksum != 0
	}
	endMark := bytes.Equal(p, lz4EndMark)
	s.magic = (s.ended || !s.started) && bytes.Equal(p, lz4Magic)
	s.checksum = s.ended && s.announced && !s.checksum && len(p) == 4 && !endMark && !s.magic
	s.ended = endMark || s.checksum
	s.started = true
	return n, nil
}
