// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strings"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// bombSize is what each bomb stands for: ten times max_request_body_size.
const bombSize = 200 << 20

const tooLarge = "max_request_body_size (20971520 bytes)"

func codingAttacks() []attack {
	gzipped, zlibbed, snapped := bomb(newGzipWriter), bomb(newZlibWriter), bomb(newSnappyWriter)
	return []attack{
		{name: "gzip bomb", header: coded("gzip"), body: of(gzipped), want: 413, text: tooLarge},
		{name: "zlib bomb", header: coded("zlib"), body: of(zlibbed), want: 413, text: tooLarge},
		{name: "deflate bomb", header: coded("deflate"), body: of(zlibbed), want: 413, text: tooLarge},
		{name: "zstd bomb", header: coded("zstd"), body: of(bomb(newZstdWriter)), want: 413, text: tooLarge},
		{name: "lz4 bomb", header: coded("lz4"), body: of(bomb(newLZ4Writer)), want: 413, text: tooLarge},
		{name: "framed snappy bomb", header: coded("snappy"), body: of(snapped), want: 413, text: tooLarge},
		{name: "framed snappy bomb by its other name", header: coded("x-snappy-framed"), body: of(snapped), want: 413, text: tooLarge},
		{name: "snappy block that declares 4 GiB", header: coded("snappy"), body: of(binary.AppendUvarint(nil, 1<<32-1)), want: 413, text: tooLarge},
		{name: "snappy block that declares 20 MiB and has none", header: coded("snappy"), body: of(binary.AppendUvarint(nil, 20<<20)), want: 400, text: "snappy: corrupt input"},
		{name: "zstd window of 512 MiB", header: coded("zstd"), body: of(zstdFrame(512 << 20)), want: 400, text: "zstd: the body needs a window larger"},
		{name: "zstd window of 8 MiB, stalled", header: coded("zstd"), body: of(zstdFrame(8 << 20)), want: 400, text: "unexpected EOF"},
		{name: "zstd within gzip", header: coded("zstd, gzip"), body: of(gzipped), want: 415, text: `"zstd, gzip" is not supported`},
		{name: "a header for each layer", header: coded("gzip", "gzip", "zstd"), body: of(gzipped), want: 415, text: "is not supported"},
		{name: "ten thousand times gzip, of which one is undone", header: coded(strings.Repeat("gzip,", 10_000) + "gzip"), body: of(gzipped), want: 413, text: tooLarge},
		{name: "endless gzip members", header: coded("gzip"), body: func() io.Reader { return endless(emptyGzip()) }, want: 413, text: tooLarge},
		{name: "endless empty zstd frames", header: coded("zstd"), body: func() io.Reader { return endless([]byte("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00")) }, want: 413, text: tooLarge},
		{name: "endless skippable zstd frames", header: coded("zstd"), body: func() io.Reader { return endless([]byte("\x50\x2a\x4d\x18\x00\x00\x00\x00")) }, want: 413, text: tooLarge},
		{name: "endless snappy padding", header: coded("snappy"), body: func() io.Reader {
			return io.MultiReader(strings.NewReader("\xff\x06\x00\x00sNaPpY"), endless([]byte("\xfe\x04\x00\x00\x00\x00\x00\x00")))
		}, want: 413, text: tooLarge},
		{name: "endless body", body: func() io.Reader { return endless([]byte("# nothing\n")) }, want: 413, text: tooLarge},
		{name: "endless line", body: func() io.Reader { return io.MultiReader(strings.NewReader("a{b=\""), endless([]byte("x"))) }, want: 413, text: tooLarge},
	}
}

// bomb is zeros, compressed.
func bomb(writer func(io.Writer) io.WriteCloser) []byte {
	var compressed bytes.Buffer
	w := writer(&compressed)
	must(io.Copy(w, io.LimitReader(zeros{}, bombSize)))
	must(0, w.Close())
	return compressed.Bytes()
}

func newGzipWriter(w io.Writer) io.WriteCloser   { return gzip.NewWriter(w) }
func newZlibWriter(w io.Writer) io.WriteCloser   { return zlib.NewWriter(w) }
func newSnappyWriter(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) }
func newLZ4Writer(w io.Writer) io.WriteCloser    { return lz4.NewWriter(w) }
func newZstdWriter(w io.Writer) io.WriteCloser   { return must(zstd.NewWriter(w)) }

func emptyGzip() []byte {
	var b bytes.Buffer
	must(0, gzip.NewWriter(&b).Close())
	return b.Bytes()
}

// zstdFrame declares a window, a power of two, and has a block header but no block.
func zstdFrame(window int) []byte {
	exponent := 0
	for 1<<(10+exponent) < window {
		exponent++
	}
	return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, byte(exponent << 3), 0x21, 0x03, 0x00}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// endless repeats a piece for ever.
func endless(piece []byte) io.Reader { return &repeated{piece: bytes.Repeat(piece, 1+4096/len(piece))} }

type repeated struct {
	piece []byte
	rest  []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.rest = r.piece
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
