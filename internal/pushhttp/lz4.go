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

// lz4State is what a decoder may hold: two blocks of the largest size, 4 MiB, which eleven bytes can declare.
const lz4State = 2 * 4 << 20

// errLZ4Legacy refuses the format of the Linux kernel. It has no end mark, so one cut short would be taken for whole; and
// the decoder recurses for each of its headers, so that many of them overflow the stack, which ends the process.
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

// lz4Checksum is the flag in a frame's descriptor by which a checksum of the content follows the end mark.
const lz4Checksum = 1 << 2

// lz4Source stands between the body and the decoder, which takes a stream that ends between two blocks or before the
// checksum of its content for whole. The decoder reads each field of the frame format with one Read, so the last two fields
// tell whether a frame had ended: the end mark, or the end mark and the checksum of the content.
type lz4Source struct {
	body      *bufio.Reader
	started   bool
	magic     bool // what was read last is the magic number of a frame
	announced bool // the frame has a checksum of its content
	ended     bool // what was read last is an end mark, or the checksum behind one
	checksum  bool // what was read last is the checksum behind an end mark
}

// whole tells whether the stream may end here.
func (s *lz4Source) whole() bool { return !s.started || s.ended && s.checksum == s.announced }

func (s *lz4Source) Read(p []byte) (int, error) {
	n, err := io.ReadFull(s.body, p)
	if err != nil {
		if errors.Is(err, io.EOF) && !s.whole() {
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
