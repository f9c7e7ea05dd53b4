// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync/atomic"

	"github.com/dchest/siphash"
)

// KeySize is the size of a Key in bytes.
const KeySize = 16

// Key makes hashes the same in all processes that know it, so that they can be stored. It must be secret, as the seed of
// a process is. Without a value, hashes are random per process.
type Key struct{ value atomic.Pointer[[2]uint64] }

// Set sets the key, which has KeySize bytes. It comes before the first hash.
func (k *Key) Set(key []byte) {
	k.value.Store(&[2]uint64{binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])})
}

// Space says which series are the same.
type Space struct {
	// OwnScope is the name of the scope without labels.
	OwnScope string
	// Key is nil for hashes that are random per process.
	Key *Key
}

func (s Space) hasher() hasher {
	h := hasher{ownScope: s.OwnScope}
	if s.Key != nil {
		h.key = s.Key.value.Load()
	}
	return h
}

// seed is random per process.
var seed = maphash.MakeSeed()

// keyed hashes strings by a key, or else by the seed of the process.
type keyed struct {
	key      *[2]uint64
	scratch  []byte
	infinite labelSet // cached by infinity, if there is a key
}

func (k *keyed) string(s string) uint64 {
	if k.key == nil {
		return maphash.String(seed, s)
	}
	k.scratch = append(k.scratch[:0], s...)
	return siphash.Hash(k.key[0], k.key[1], k.scratch)
}

// name hashes a series name from metric name and suffix.
func (k *keyed) name(metric, suffix string) uint64 {
	if k.key != nil {
		k.scratch = append(append(k.scratch[:0], metric...), suffix...)
		return siphash.Hash(k.key[0], k.key[1], k.scratch)
	}
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.WriteString(metric) // never fails
	_, _ = h.WriteString(suffix)
	return h.Sum64()
}

func (k *keyed) label(name, value string) labelSet {
	return labelSet(combineHash(k.string(name), k.string(value)))
}

var infinity = new(keyed).label(boundLabel, formatFloat(math.Inf(1)))

// infinity returns the label of the last bucket.
func (k *keyed) infinity() labelSet {
	if k.key == nil {
		return infinity
	}
	if k.infinite == 0 {
		k.infinite = k.label(boundLabel, formatFloat(math.Inf(1)))
	}
	return k.infinite
}
