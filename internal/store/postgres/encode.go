// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// pathOf returns the canonical path of a group. It is ASCII.
func pathOf(key groupingkey.Key) string { return key.Path(true) }

// keyOf returns the key for a canonical path.
func keyOf(path string) groupingkey.Key {
	key, _, err := groupingkey.Parse(strings.TrimPrefix(path, "/metrics/"), true)
	if err != nil {
		return groupingkey.Key{Job: path} // Only a damaged row has such a path.
	}
	return key
}

// hashOf identifies a path, which can be too long for an index.
func hashOf(path string) []byte {
	sum := sha256.Sum256([]byte(path))
	return sum[:]
}

// shardOf returns the shard of a job.
func shardOf(job string, shards int) int {
	sum := sha256.Sum256([]byte(job))
	return int(binary.BigEndian.Uint32(sum[:]) % uint32(shards))
}

func encodeSeries(hashes []series.Hash) []byte {
	b := make([]byte, 0, 8*len(hashes))
	for _, h := range hashes {
		b = binary.BigEndian.AppendUint64(b, uint64(h))
	}
	return b
}

func decodeSeries(b []byte) []series.Hash {
	hashes := make([]series.Hash, len(b)/8)
	for i := range hashes {
		hashes[i] = series.Hash(binary.BigEndian.Uint64(b[8*i:]))
	}
	return hashes
}

// bigints returns hashes as the database has them.
func bigints(hashes []series.Hash) []int64 {
	numbers := make([]int64, len(hashes))
	for i, h := range hashes {
		numbers[i] = int64(h)
	}
	return numbers
}

func hashesOf(numbers []int64) []series.Hash {
	hashes := make([]series.Hash, len(numbers))
	for i, n := range numbers {
		hashes[i] = series.Hash(n)
	}
	return hashes
}

// orNull returns null for 0.
func orNull(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}
