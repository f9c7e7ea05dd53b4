// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	type all = []series.Hash
	exported := func(hashes ...series.Hash) store.Content { return store.Content{Series: hashes, Exported: true} }
	held := func(hashes ...series.Hash) store.Content { return store.Content{Series: hashes} }
	for name, tc := range map[string]struct {
		outgoing, incoming   []store.Content
		added, marked, ended all
		twice                series.Hash
	}{
		"nothing":                     {},
		"a new group":                 {incoming: []store.Content{held(3, 1), held(2)}, added: all{3, 1, 2}},
		"a deleted group":             {outgoing: []store.Content{exported(1, 2), held(3)}, marked: all{1, 2}, ended: all{3}},
		"a series moves to a family":  {outgoing: []store.Content{exported(1, 2), held(3)}, incoming: []store.Content{held(3, 4), held(1)}, added: all{4}, marked: all{2}},
		"twice in one content":        {incoming: []store.Content{held(1, 2, 1)}, twice: 1},
		"twice in different contents": {incoming: []store.Content{held(1, 2), held(3, 2)}, twice: 2},
		"twice and there before":      {outgoing: []store.Content{exported(1)}, incoming: []store.Content{held(1), held(1)}, twice: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := store.Compare(tc.outgoing, tc.incoming)
			if tc.twice != 0 {
				assert.Equal(t, &tc.twice, d.Twice)
				return
			}
			assert.Nil(t, d.Twice)
			assert.Equal(t, tc.added, slices.Clip(d.Added))
			assert.Equal(t, tc.marked, slices.Sorted(maps.Keys(d.Marked)))
			assert.Equal(t, tc.ended, slices.Sorted(maps.Keys(d.Ended)))
		})
	}
}
