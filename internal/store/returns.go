// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"hash/maphash"
	"sync"
)

// returnsSize is the number of folded pushers that are known, at most.
const returnsSize = 1 << 16

// Returns knows most of the pushers that were folded last without DELETE. It takes at most 512 KiB.
type Returns struct {
	mu     sync.Mutex
	seed   maphash.Seed
	hashes []uint64
}

// Add adds pushers by their paths.
func (r *Returns) Add(paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, path := range paths {
		if r.hashes == nil {
			r.seed, r.hashes = maphash.MakeSeed(), make([]uint64, returnsSize)
		}
		h := maphash.String(r.seed, path)
		r.hashes[h%returnsSize] = h
	}
}

// Has reports whether a pusher was added lately. It can be wrong, seldom.
func (r *Returns) Has(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hashes == nil {
		return false
	}
	h := maphash.String(r.seed, path)
	return r.hashes[h%returnsSize] == h
}
