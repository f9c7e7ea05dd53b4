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
	// firstStep and maxStep bound the bytes that are reserved at a time. Between them, the reservation doubles. Content-Length is not
	// reserved: clients that announce much and send little would block all others.
	firstStep = 512
	maxStep   = 1 << 20
	// maxPooled bounds the size of pooled buffers in bytes.
	maxPooled = 4 << 20
)

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// buffer collects a body. Its memory is reserved before it is allocated, and released by free.
type buffer struct {
	bytes    []byte
	inFlight *ingest.InFlight
	reserved int64
	overhead int64 // bytes reserved beyond the body
}

func newBuffer(inFlight *ingest.InFlight) *buffer {
	return &buffer{bytes: *buffers.Get().(*[]byte), inFlight: inFlight}
}

// reserveOverhead reserves n bytes beyond the body.
func (b *buffer) reserveOverhead(n int64) error {
	if err := b.inFlight.Reserve(n); err != nil {
		return err
	}
	b.overhead += n
	return nil
}

// readAll reads the body to its end. A body that ends early is an error.
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
		// Reserving the whole distinguishes a body that can never fit from one that does not fit now.
		reserved, overhead := b.reserved, b.overhead
		b.release()
		if err := b.inFlight.Reserve(overhead + reserved + step); err != nil {
			return err
		}
		b.reserved, b.overhead = reserved, overhead
	}
	b.reserved += step
	b.bytes = slices.Grow(b.bytes, int(step))
	return nil
}

func (b *buffer) release() {
	b.inFlight.Release(b.reserved + b.overhead)
	b.reserved, b.overhead = 0, 0
}

// free releases the memory. The bytes must not be used afterwards.
func (b *buffer) free() {
	b.release()
	empty := b.bytes[:0]
	b.bytes = nil
	if cap(empty) <= maxPooled {
		buffers.Put(&empty)
	}
}
