// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"slices"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Content is the series of a family or of push times.
type Content struct {
	Series []series.Hash
	// Exported says that a value of them may have been exported.
	Exported bool
}

// Difference is what a change does to the series of a group.
type Difference struct {
	// Added are new to the group, but can be pending there or elsewhere.
	Added []series.Hash
	// Marked end with a marker, and Ended without one, because they were never exported.
	Marked, Ended map[series.Hash]bool
	// Twice is a series that the group would have twice after the change, or nil. The change must be refused then.
	Twice *series.Hash
}

// Compare determines which series a change adds and which end. Outgoing are the removed contents and incoming the added
// ones, both without those that are replaced by the same series.
func Compare(outgoing, incoming []Content) (d Difference) {
	for _, c := range outgoing {
		d.end(c, total(outgoing))
	}
	n := total(incoming)
	if n == 0 {
		return d
	}
	all := make([]series.Hash, 0, 2*n)
	for _, c := range incoming {
		all = append(all, c.Series...)
	}
	d.Added = all[n:] // In the same memory, behind all.
	for _, h := range all {
		switch {
		case d.Marked[h]:
			delete(d.Marked, h)
		case d.Ended[h]:
			delete(d.Ended, h)
		default:
			d.Added = append(d.Added, h)
		}
	}
	slices.Sort(all)
	for i := 1; i < n && d.Twice == nil; i++ {
		if all[i] == all[i-1] {
			d.Twice = &all[i]
		}
	}
	return d
}

// total is the number of series.
func total(contents []Content) (n int) {
	for _, c := range contents {
		n += len(c.Series)
	}
	return n
}

// end adds the series of an outgoing content. There are at most that many in all.
func (d *Difference) end(c Content, most int) {
	to := &d.Ended
	if c.Exported {
		to = &d.Marked
	}
	if *to == nil {
		*to = make(map[series.Hash]bool, most)
	}
	for _, h := range c.Series {
		(*to)[h] = true
	}
}
