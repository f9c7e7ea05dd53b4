// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushtest

import (
	"runtime"
	"runtime/metrics"
)

// SettledHeap returns the heap size in bytes after collecting garbage and emptying pools.
func SettledHeap() uint64 {
	for range 3 {
		runtime.GC()
	}
	return Heap()
}

// Heap returns the bytes in objects that are live or not yet swept.
func Heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
