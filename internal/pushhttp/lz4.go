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

// lz4Source stands between the body and the decoder, which takes a stream that ends between two blocks for whole. The
// decoder reads each field of the frame format with one Read, so the last two fields tell whether a frame had ended: the end
// mark, or the end mark and the checksum of the content.
type lz4Source struct {
	body     *bufio.Reader
	started  bool
	ended    bool // what was read last is an end mark, or the checksum behind one
	checksum bool // what was read last is the checksum behind an end mark
}

func (s *lz4Source) Read(p []byte) (int, error) {
	n, err := io.ReadFull(s.body, p)
	if err != nil {
		if errors.Is(err, io.EOF) && s.started && !s.ended {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	if bytes.Equal(p, lz4LegacyMagic) {
		return 0, errLZ4Legacy
	}
	endMark := bytes.Equal(p, lz4EndMark)
	s.checksum = s.ended && !s.checksum && len(p) == 4 && !endMark && !bytes.Equal(p, lz4Magic)
	s.ended = endMark || s.checksum
	s.started = true
	return n, nil
}
