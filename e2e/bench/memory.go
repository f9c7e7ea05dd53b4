// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
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
	before := settledHeap()
	body := makeBody(size)
	f := footprint{body: len(body)}
	watch := watchHeap()
	push, err := read(exposition.Text, body)
	if peak := watch(); peak > before {
		f.peak = peak - before
	}
	runtime.KeepAlive(body)
	if after := settledHeap(); after > before {
		f.result = after - before
	}
	runtime.KeepAlive(push)
	return f, err
}

// watchHeap samples the size of the heap until the function that it returns is called, which returns the largest size.
func watchHeap() func() uint64 {
	stop, peak := make(chan struct{}), make(chan uint64)
	runtime.GC() // What making the body left behind does not count.
	go func() {
		largest := uint64(0)
		for {
			largest = max(largest, heap())
			select {
			case <-stop:
				peak <- max(largest, heap())
				return
			case <-time.After(200 * time.Microsecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}

// settledHeap is the size of the heap without garbage, and without what pools keep for two collections.
func settledHeap() uint64 {
	for range 3 {
		runtime.GC()
	}
	return heap()
}

// heap is the number of bytes in objects that are alive or not yet swept.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
