// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushtest

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// WatchHeap samples the size of the heap until the function that it returns is called, which returns the largest size in bytes.
func WatchHeap() func() uint64 {
	stop, peak := make(chan struct{}), make(chan uint64)
	runtime.GC() // What was left behind before does not count.
	go func() {
		largest := uint64(0)
		for {
			largest = max(largest, Heap())
			select {
			case <-stop:
				peak <- max(largest, Heap())
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}

// SettledHeap is the size of the heap without garbage, and without what pools keep for two collections.
func SettledHeap() uint64 {
	for range 3 {
		runtime.GC()
	}
	return Heap()
}

// Heap is the number of bytes in objects that are alive or not yet swept.
func Heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
