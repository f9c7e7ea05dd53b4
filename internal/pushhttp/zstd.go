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
	// maxZstdWindow is the largest window that RFC 9659 allows in HTTP. Ten bytes can declare one of half a gigabyte, and
	// the decoder allocates what is declared.
	maxZstdWindow = 8 << 20
	// minZstdWindow is taken for all smaller ones, so that frames that follow the first may be somewhat larger.
	minZstdWindow = 128 << 10
	// zstdBlocks is what a decoder holds besides the window: room for two blocks.
	zstdBlocks = 2 * 128 << 10
	// maxPooledWindow bounds the window, and thereby the memory, of the decoders that are kept for later.
	maxPooledWindow = 1 << 20
)

var errZstdWindow = fmt.Errorf("zstd: the body needs a window larger than declared at its start or than %d bytes, the most that "+
	"RFC 9659 allows in HTTP", maxZstdWindow)

var zstdDecoders sync.Pool // of *zstd.Decoder

// openZstd reserves the window that the first frame declares, and holds all frames to it.
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
		_ = decoder.Reset(nil) // Lets go of the body. It fails on closed decoders alone, and none is closed.
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
		// One at a time, a decoder starts no goroutines and needs no Close.
		if decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
			return nil, err
		}
	}
	err := decoder.ResetWithOptions(source, zstd.WithDecoderMaxWindow(uint64(window)))
	return decoder, err
}

// declaredWindow is the window of the first frame, in bytes, between minZstdWindow and maxZstdWindow. Where there is no
// frame the decoder tells what is wrong.
func declaredWindow(source *bufio.Reader) int64 {
	start, _ := source.Peek(zstd.HeaderMaxSize) // What keeps it from being read will be met again.
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

// zstdReader says in the pusher's terms what the decoder says in its own.
type zstdReader struct{ *zstd.Decoder }

func (r zstdReader) Read(p []byte) (int, error) {
	n, err := r.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = errZstdWindow
	}
	return n, err
}
