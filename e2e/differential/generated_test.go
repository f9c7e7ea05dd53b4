// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"flag"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

var (
	cases = flag.Uint64("cases", 1500, "how many generated requests are compared")
	first = flag.Uint64("first", 0, "number of the first generated request")
	seed  = flag.Uint64("seed", 1, "what the generated requests depend on, beside their number")
)

// maxShown bounds the differences that a run reports.
const maxShown = 40

// TestGenerated compares generated requests. A difference is found again with -seed, -first and -cases 1.
func TestGenerated(t *testing.T) {
	theirs, ours := startPushgateway(t), startReceiver(t)
	explained, accepted, shown := map[string]int{}, 0, 0
	for number := *first; number < *first+*cases && shown < maxShown; number++ {
		r := newGenerator(*seed, number).request()
		x := &exchange{request: r, theirs: theirs.alone(t, r), ours: ours.answer(t, r)}
		x.alone = func(r *request) *answer { return theirs.alone(t, r) }
		if r.isPush() && x.theirs.accepted() {
			accepted++
		}
		rows, rest := x.explain()
		for _, row := range rows {
			explained[row]++
		}
		if !assert.Empty(t, rest, "request %d of seed %d\n%s\nour answer: %s\nexplained by %q",
			number, *seed, r, x.ours.body, rows) {
			shown++
		}
	}
	t.Logf("%d requests, %d pushes accepted", *cases, accepted)
	for _, row := range slices.Sorted(maps.Keys(explained)) {
		t.Logf("%6d explained by %q", explained[row], row)
	}
}
