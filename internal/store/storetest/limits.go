// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// limited has room for two groups and four series.
func limited(t *testing.T, open Open) *Store {
	t.Helper()
	o := DefaultOptions()
	o.MaxGroups, o.MaxSeries = 2, 4
	return open(t, o)
}

func testWithinLimits(t *testing.T, open Open) {
	t.Parallel()
	for name, steps := range map[string][]string{
		"groups":                          {"PUT job/a x", "PUT job/b x"},
		"a group again":                   {"PUT job/a x", "PUT job/b x", "PUT job/b y"},
		"a group in place of another":     {"PUT job/a x", "PUT job/b x", "DELETE job/b", "PUT job/c x"},
		"series":                          {"PUT job/a h:1"},
		"series in place of others":       {"PUT job/a p q r s", "PUT job/a t u v w"},
		"the same series":                 {"PUT job/a p q r s", "POST job/a p q r s"},
		"fewer series":                    {"PUT job/a p q r s", "PUT job/a p q r"},
		"revived series":                  {"PUT job/a p q r s", "PUT job/a t u v w", "PUT job/a p q r s"},
		"push times do not count":         {"PUT job/a p q", "PUT job/b r s"},
		"deleting with many markers":      {"PUT job/a p q r s", "PUT job/a t u v w", "DELETE job/a"},
		"failures of a group":             {"PUT job/a x", "PUT job/b x", "FAIL job/b"},
		"failures with many markers":      {"PUT job/a p q r s", "PUT job/a t u v w", "FAIL job/a"},
		"touching with many markers":      {"PUT job/a p q r s", "PUT job/a t u v w", "POST job/a"},
		"emptying with many markers":      {"PUT job/a p q r s", "PUT job/a t u v w", "PUT job/a"},
		"others once markers are settled": {"PUT job/a p q r s", "PUT job/a t u v w", "SETTLE job/a", "PUT job/a p q r s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := limited(t, open)
			for i, step := range steps {
				require.NoError(t, Do(t, s, i, step), step)
				RequireSound(t, s)
			}
		})
	}
}

func testBeyondLimits(t *testing.T, open Open) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []string
		err   string
	}{
		"groups": {
			[]string{"PUT job/a x", "PUT job/b x", "PUT job/c x"},
			"the push makes a new group, and 2 groups are held; the limit groups::max_groups is 2",
		},
		"a group made by a failed push": {
			[]string{"PUT job/a x", "PUT job/b x", "FAIL job/c"},
			"the push makes a new group, and 2 groups are held; the limit groups::max_groups is 2",
		},
		"a group that comes again": {
			[]string{"PUT job/a x", "DELETE job/a", "PUT job/b x", "PUT job/c x", "PUT job/a x"},
			"the push makes a new group, and 2 groups are held; the limit groups::max_groups is 2",
		},
		"series": {
			[]string{"PUT job/a p q r", "PUT job/b s t"},
			"the push has 2 series more than what it replaces, and 3 series are held; the limit groups::max_series is 4",
		},
		"series as Prometheus counts them": {
			[]string{"PUT job/a h:1,2"},
			"the push has 5 series more than what it replaces, and 0 series are held; the limit groups::max_series is 4",
		},
		"series beside what is replaced": {
			[]string{"PUT job/a p q r", "POST job/a r s t"},
			"the push has 2 series more than what it replaces, and 3 series are held; the limit groups::max_series is 4",
		},
		"series with many markers": {
			[]string{"PUT job/a p q r s", "PUT job/a t u v w", "PUT job/a x"},
			"the push replaces series by others, and the stale markers of 4 series have not been accepted downstream; " +
				"the limit groups::max_series is 4",
		},
		"a group with many markers": {
			[]string{"PUT job/a p q r s", "PUT job/a t u v w", "DELETE job/a", "PUT job/b"},
			"the push replaces series by others, and the stale markers of 10 series have not been accepted downstream; " +
				"the limit groups::max_series is 4",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := limited(t, open)
			last := len(c.steps) - 1
			for i, step := range c.steps[:last] {
				require.NoError(t, Do(t, s, i, step), step)
			}
			held := StateOf(t, s)
			err := Do(t, s, last, c.steps[last])
			var limit *store.LimitError
			require.ErrorAs(t, err, &limit)
			assert.Equal(t, c.err, err.Error())
			assert.Equal(t, held, StateOf(t, s), "nothing has changed")
		})
	}
}

// testPendingIsBounded replaces series by others for ever while no marker is accepted.
func testPendingIsBounded(t *testing.T, open Open) {
	t.Parallel()
	s := limited(t, open)
	refused := 0
	for i := range 100 {
		step := fmt.Sprintf("PUT job/g%d a%d b%d", i%3, i, i)
		if i%5 == 0 {
			step = fmt.Sprintf("DELETE job/g%d", i%3)
		}
		if err := Do(t, s, i, step); err != nil {
			refused++
		}
		counts := s.Counts()
		// A deletion ends the two push times, too, which do not count before.
		assert.LessOrEqual(t, counts.Series+counts.Pending, 2*4+2*2)
	}
	assert.Greater(t, refused, 50)
}

// testBytesAreBounded holds as many bytes as one group takes, and pending markers besides, until these are as much once more.
func testBytesAreBounded(t *testing.T, open Open) {
	t.Parallel()
	measured := open(t, DefaultOptions())
	require.NoError(t, Do(t, measured, 1, "PUT job/a p q"))
	one := measured.Counts().Size
	require.Positive(t, one)
	o := DefaultOptions()
	o.MaxBytes = one
	s := open(t, o)
	require.NoError(t, Do(t, s, 1, "PUT job/a p q"))
	refused := func(step, want string) {
		t.Helper()
		held := StateOf(t, s)
		var limit *store.LimitError
		require.ErrorAs(t, Do(t, s, 2, step), &limit, step)
		assert.Equal(t, fmt.Sprintf(want, one), limit.Error())
		assert.Equal(t, held, StateOf(t, s), "nothing has changed")
	}
	refused("PUT job/b r", fmt.Sprintf("the push takes %d bytes more than what it replaces, and %%[1]d bytes are held; the limit groups::max_bytes is %%[1]d",
		sizeOf(t, open, "PUT job/b r")))
	require.NoError(t, Do(t, s, 2, "PUT job/a r s"), "it is no larger than what it replaces")
	refused("POST job/a ttt", fmt.Sprintf("the push takes %d bytes more than what it replaces, and %d bytes are held; the limit groups::max_bytes is %%d",
		sizeOf(t, open, "PUT job/a ttt"), s.Counts().Size))
	for i := range 10 {
		if err := Do(t, s, 3+i, fmt.Sprintf("PUT job/a %c %c", 'a'+2*i, 'b'+2*i)); err != nil {
			require.ErrorContains(t, err, "the push replaces series by others, and the stale markers that have not been accepted downstream take ")
			require.NoError(t, Do(t, s, 20, "DELETE job/a"), "which is never refused")
			RequireSound(t, s)
			return
		}
	}
	assert.Fail(t, "pending markers are not bounded")
}

// sizeOf is what a push takes by itself.
func sizeOf(t *testing.T, open Open, step string) int64 {
	t.Helper()
	s := open(t, DefaultOptions())
	require.NoError(t, Do(t, s, 1, step))
	return s.Counts().Size
}
