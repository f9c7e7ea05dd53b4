// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// testReadingByFamily has groups with families in several sets, and an aggregate of some chunks.
func testReadingByFamily(t *testing.T, open Open) {
	t.Parallel()
	s := open(t, Aggregating())
	for i, step := range []string{"PUT job/b a b", "PUT job/a c b h:1,2", "PUT job/c", "PUT job/d d", "FAIL job/e", "PUT job/f a", "DELETE job/f"} {
		require.NoError(t, Do(t, s, i, step))
	}
	many := "PUT 1"
	for i := range 150 {
		many += fmt.Sprintf(` a{i="%d"} 1;`, i)
	}
	require.NoError(t, Contribute(t, s, many+" zz 1"))

	times := make(map[string]store.Snapshot)
	for _, snapshot := range SnapshotsOf(t, s) {
		times[snapshot.Key.Job] = snapshot
	}
	var names []string
	read := func(sets ...[]string) (all []string) {
		for fragment, err := range s.Families(t.Context(), func(types map[string][]string) [][]string {
			names = slices.Sorted(maps.Keys(types))
			assert.ElementsMatch(t, []string{"unknown", "gauge"}, types["a"])
			return sets
		}) {
			require.NoError(t, err)
			line := fmt.Sprint(fragment.Set, " ", fragment.Key.Job)
			for _, f := range fragment.Families {
				line += fmt.Sprint(" ", f.Name, ":", f.Metrics().DataPointCount())
			}
			all = append(all, line)
			assert.Equal(t, times[fragment.Key.Job].PushTime, fragment.PushTime)
			assert.Equal(t, times[fragment.Key.Job].PushFailureTime, fragment.PushFailureTime)
		}
		return all
	}
	assert.Equal(t, []string{"0 a b:1 c:1", "0 b b:1", "1 X a:150", "1 a", "1 b a:1", "1 c", "1 d", "1 e", "3 a h:1"},
		read([]string{"c", "b"}, []string{"a", store.EveryGroup}, []string{"nowhere"}, []string{"h"}))
	assert.Equal(t, []string{"a", "b", "c", "d", "h", "zz"}, names)
	assert.Empty(t, read())
	assert.Empty(t, read(nil, []string{"nowhere"}))

	for range 2 { // A reader that stops leaves nothing behind.
		for range s.Families(t.Context(), func(map[string][]string) [][]string { return [][]string{{store.EveryGroup}} }) {
			break
		}
		for range s.Snapshots(t.Context()) {
			break
		}
	}
	assert.Len(t, SnapshotsOf(t, s), 6)
}
