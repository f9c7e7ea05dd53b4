// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxZstdWindow is the largest window that RFC 9659 allows in HTTP, in bytes. Ten bytes of body can declare half a gigabyte, which
	// the decoder would allocate.
	maxZstdWindow = 8 << 20
	// minZstdWindow replaces smaller windows, so that later frames may be somewhat larger than the first.
	minZstdWindow = 128 << 10
	// zstdBlocks is the memory of a decoder besides the window: two blocks.
	zstdBlocks = 2 * 128 << 10
	// maxPooledWindow bounds the window, and thereby the memory, of pooled decoders.
	maxPooledWindow = 1 << 20
)

var errZstdWindow = fmt.Errorf("zstd: the body needs a window larger than declared at its start or than %d bytes, the most that "+
	"RFC 9659 allows in HTTP", maxZstdWindow)

var zstdDecoders sync.Pool // of *zstd.Decoder

// openZstd reserves the window of the first frame. Later frames must not need a larger one.
func openZstd(d *decoder) (io.Reader, error) {
	source := bufio.NewReader(&d.source)
	window := declaredWindow(source)
	if err := d.reserve(window + zstdBlocks); err != nil {
		return nil, err
	}
	decoder, err := zstdDecoder(source, window)
	if err != nil {
		return nil, err
	}
	d.free = func() {
		_ = decoder.Reset(nil) // Releases the body. It fails only on closed decoders.
		if window <= maxPooledWindow {
			zstdDecoders.Put(decoder)
		}
	}
	return zstdReader{decoder}, nil
}

func zstdDecoder(source io.Reader, window int64) (*zstd.Decoder, error) {
	decoder, ok := zstdDecoders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		// With concurrency 1, a decoder starts no goroutines and needs no Close.
		if decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
			return nil, err
		}
	}
	err := decoder.ResetWithOptions(source, zstd.WithDecoderMaxWindow(uint64(window)))
	return decoder, err
}

// declaredWindow is the window of the first frame in bytes, between minZstdWindow and maxZstdWindow. If there is no frame, the decoder
// will report it.
func declaredWindow(source *bufio.Reader) int64 {
	start, _ := source.Peek(zstd.HeaderMaxSize) // Reading reports the error again.
	var header zstd.Header
	if err := header.Decode(start); err != nil || header.Skippable {
		return maxZstdWindow
	}
	window := header.WindowSize
	if header.SingleSegment {
		window = header.FrameContentSize
	}
	return int64(min(max(window, minZstdWindow), maxZstdWindow))
}

// zstdReader replaces errors of the decoder by ones that a client understands.
type zstdReader struct{ *zstd.Decoder }

func (r zstdReader) Read(p []byte) (int, error) {
	n, err := r.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = errZstdWindow
	}
	return n, err
}
