// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

const (
	// firstStep and maxStep bound what is reserved at a time. In between, what is reserved doubles. A declared
	// Content-Length is not reserved, or else a few clients that announce much and send little would shut out all others.
	firstStep = 512
	maxStep   = 1 << 20
	// maxPooled bounds the size of the buffers that are kept for later. Few pushes are larger than a few MiB.
	maxPooled = 4 << 20
)

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// buffer collects a body. Room in it is reserved before it is made, and given back by free.
type buffer struct {
	bytes    []byte
	inFlight *ingest.InFlight
	reserved int64
	beside   int64 // what is reserved for other than the body, and given back with it
}

func newBuffer(inFlight *ingest.InFlight) *buffer {
	return &buffer{bytes: *buffers.Get().(*[]byte), inFlight: inFlight}
}

// reserveBeside takes room for n bytes that the push needs beside its body.
func (b *buffer) reserveBeside(n int64) error {
	if err := b.inFlight.Reserve(n); err != nil {
		return err
	}
	b.beside += n
	return nil
}

// readAll reads to the end. A body that ends early gives an error, never a shorter body.
func (b *buffer) readAll(r io.Reader) error {
	for {
		if int64(len(b.bytes)) == b.reserved {
			if err := b.grow(); err != nil {
				return err
			}
		}
		n, err := r.Read(b.bytes[len(b.bytes):b.reserved])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *buffer) grow() error {
	step := min(max(b.reserved, firstStep), maxStep)
	if b.inFlight.Reserve(step) != nil {
		// The limiter knows the steps alone. Asked for the whole, it tells what can never fit from what finds no room now.
		reserved, beside := b.reserved, b.beside
		b.release()
		if err := b.inFlight.Reserve(beside + reserved + step); err != nil {
			return err
		}
		b.reserved, b.beside = reserved, beside
	}
	b.reserved += step
	b.bytes = slices.Grow(b.bytes, int(step))
	return nil
}

func (b *buffer) release() {
	b.inFlight.Release(b.reserved + b.beside)
	b.reserved, b.beside = 0, 0
}

// free gives the room back. The bytes must not be used any more.
func (b *buffer) free() {
	b.release()
	room := b.bytes[:0]
	b.bytes = nil
	if cap(room) <= maxPooled {
		buffers.Put(&room)
	}
}
