// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
)

// footprint is the memory that reading a body takes, in bytes.
type footprint struct {
	body   int
	peak   uint64 // of the heap while the body was read, the body included, garbage too unless it had been collected
	result uint64 // what is left when it was read and the body is gone: the pdata
}

// weigh reads a text body while it watches the heap. Garbage is collected when the heap has grown by gcPercent.
func weigh(makeBody func(size int) []byte, size, gcPercent int) (footprint, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	sink = nil
	before := pushtest.SettledHeap()
	body := makeBody(size)
	f := footprint{body: len(body)}
	watch := watchHeap()
	push, err := read(exposition.Text, body)
	if peak := watch(); peak > before {
		f.peak = peak - before
	}
	runtime.KeepAlive(body)
	if after := pushtest.SettledHeap(); after > before {
		f.result = after - before
	}
	runtime.KeepAlive(push)
	return f, err
}

// watchHeap samples the heap until the returned function is called, which returns the maximum in bytes.
func watchHeap() func() uint64 {
	stop, peak := make(chan struct{}), make(chan uint64)
	runtime.GC() // exclude earlier garbage
	go func() {
		largest := uint64(0)
		for {
			largest = max(largest, pushtest.Heap())
			select {
			case <-stop:
				peak <- max(largest, pushtest.Heap())
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}
