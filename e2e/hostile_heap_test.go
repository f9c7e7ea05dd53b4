// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// collected is a line for each garbage collection in the output of GODEBUG=gctrace=1, with the MB of heap that it found live.
var collected = regexp.MustCompile(`(?m)^gc \d+ .* \d+->\d+->(\d+) MB,`)

// TestLiveHeap has the garbage collected all the time, so that the heap is little more than what is live, and everything else
// stopped meanwhile, or else what is made and dropped during a collection would count. It demands what all figures in
// docs/operating.md are derived from: that one byte which counts against limits::in_flight_bytes stands for eight bytes of
// live heap at most, in every attack. With groups, what is held comes on top: one push of the largest size, another while
// it is replaced, and its export, which is decoded.
func TestLiveHeap(t *testing.T) {
	const (
		garbage = 10                      // percent of the live heap, as GOGC
		process = 16                      // MiB of the process itself
		pushes  = 8 * inFlightBytes >> 20 // MiB
		bound   = pushes + pushes*garbage/100 + process
		held    = 2*20 + pushes/2 // MiB
	)
	for _, a := range slices.Concat(codingAttacks(), textAttacks(), protobufAttacks()) {
		t.Run(a.name, func(t *testing.T) {
			most := liveHeap(t, a, garbage)
			assert.LessOrEqual(t, most, bound, "MiB of live heap")
			t.Logf("%d MiB of live heap", most)
		})
		if a.want != http.StatusOK {
			continue // Nothing is held.
		}
		t.Run(a.name+", held", func(t *testing.T) {
			most := liveHeap(t, a, garbage, "receivers::pushgateway::groups: {republish_interval: 0s}")
			assert.LessOrEqual(t, most, bound+held, "MiB of live heap")
			t.Logf("%d MiB of live heap", most)
		})
	}
}

// liveHeap is the most that was live in an attack, in MiB.
func liveHeap(t *testing.T, a attack, garbage int, set ...string) (most int) {
	t.Helper()
	c := startCollector(t, settings{
		config: "testdata/hostile.yaml", set: append(set, "extensions::pprof::endpoint: "+freeEndpoint(t)),
		env: map[string]string{"GODEBUG": "gctrace=1,gcstoptheworld=1", "GOGC": strconv.Itoa(garbage)},
	})
	w := &watched{collector: c}
	a.assertAlone(t, w)
	a.assertTogether(t, w)
	for _, line := range collected.FindAllStringSubmatch(c.output.String(), -1) {
		most = max(most, must(strconv.Atoi(line[1])))
	}
	require.Positive(t, most)
	return most
}
