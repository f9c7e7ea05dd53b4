// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// Labeled are so many series of one family, as do has them.
func Labeled(name string, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, ` %s{x="%d"}`, name, i)
	}
	return b.String()
}

// Parts are how many series each part of a group's pending markers ends.
func Parts(s *Store, path string) (ends []int) {
	for _, g := range s.Held() {
		for _, part := range g.Pending {
			if strings.TrimPrefix(g.Key.Path(true), "/metrics/") == path {
				ends = append(ends, len(SortedSeries(part)))
			}
		}
	}
	return ends
}

// testMarkersInParts ends as many series at once as a request may hold, be they of one change or of many.
func testMarkersInParts(t *testing.T, open Open) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []string
		want  []int
	}{
		"nothing":           {[]string{"PUT job/j a"}, nil},
		"little":            {[]string{"PUT job/j a b", "PUT job/j c", "PUT job/j"}, []int{1, 2}},
		"one family":        {[]string{"PUT job/j" + Labeled("a", 2500), "PUT job/j"}, []int{500, 1000, 1000}},
		"many families":     {[]string{"PUT job/j " + Many(0, 2500), "PUT job/j"}, []int{500, 1000, 1000}},
		"a deletion":        {[]string{"PUT job/j " + Many(0, 999), "DELETE job/j"}, []int{1, 1000}},
		"later changes":     {[]string{"PUT job/j" + Labeled("a", 600), "PUT job/j" + Labeled("b", 600), "PUT job/j c", "PUT job/j"}, []int{1, 600, 600}},
		"a large histogram": {[]string{"PUT job/j h:" + bounds(1100), "DELETE job/j"}, []int{2, 1103}},
		"come again":        {[]string{"PUT job/j" + Labeled("a", 2500), "PUT job/j", `PUT job/j a{x="0"}`}, []int{999, 500, 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, DefaultOptions())
			for i, step := range c.steps {
				require.NoError(t, Do(t, s, i, step))
			}
			RequireSound(t, s)
			assert.Equal(t, sorted(c.want), sorted(Parts(s, "job/j")))
			s.RequireDurable(t)
			for i := range c.want {
				acceptOne(t, s)
				assert.Len(t, Parts(s, "job/j"), len(c.want)-i-1)
				s.RequireExact(t)
			}
		})
	}
}

// acceptOne exports the first part of markers.
func acceptOne(t *testing.T, s *Store) {
	t.Helper()
	first := true
	require.NoError(t, Export(t, s, func(*store.Part) store.Outcome {
		if first {
			first = false
			return Accepted
		}
		return Refused
	}))
	RequireSound(t, s)
}

func sorted(numbers []int) []int { return slices.Sorted(slices.Values(numbers)) }

func bounds(count int) string {
	all := make([]string, count)
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	return strings.Join(all, ",")
}
