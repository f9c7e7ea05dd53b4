// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Limits limit a claim. The last group may exceed them.
type Limits struct {
	Groups int
	Series int
	Bytes  int64 // encoded
	// Last says that no claim follows for a while: what the store would pace is due.
	Last bool
}

// Claim is a batch of groups to export. Each group is in at most one unsettled claim.
type Claim struct {
	// Until is when the export must end, by the monotonic clock, or zero for never. Afterwards others may export the groups.
	Until time.Time
	// At is the timestamp of all points without one. Zero is that of the zeros with which series of aggregates begin: it is earlier than
	// At and later than all claims before. It is zero if there are none.
	At, Zero time.Time
	// Parts can be accepted or refused independently. Parts of one group are adjacent, with markers first.
	Parts []*Part
	// Held belongs to the store.
	Held any
}

// Part is a family, the push times, or some stale markers of a group.
type Part struct {
	Key groupingkey.Key
	// Group is the canonical path of the group.
	Group string
	// Family is the family's name, or empty for push times and markers.
	Family string
	// Chunk is the number of the part of an aggregate's family, or 0.
	Chunk uint64
	// Series is the number of series.
	Series int
	// Markers are the series of stale markers, or nil for values.
	Markers []series.Hash
	// Build builds new pdata without times, but for those of zeros. It is called with Markers.
	Build func(markers []series.Hash) pmetric.Metrics
	// Outcome must be set before Settle.
	Outcome Outcome
	// Origin belongs to the store. All parts into which a part is divided have the same.
	Origin any
}

// Outcome is the result of exporting a part.
type Outcome struct {
	// Tried says that the part was exported. Even with an error, the next consumer may have accepted it.
	Tried bool
	// Doubtful says that a refused part may have been accepted nevertheless, in whole or in part.
	Doubtful bool
	// Accepted says that the next consumer accepted the part.
	Accepted bool
	// Err is the error of a call with this part alone, if any.
	Err error
	// Retry is the earliest next claim of a refused part, or zero for immediately.
	Retry time.Time
	// Suspect says that the part was refused while others were accepted. It does not keep its group's round open.
	Suspect bool
}

// Metrics builds new pdata of the part.
func (p *Part) Metrics() pmetric.Metrics { return p.Build(p.Markers) }

// Name describes the part for logs.
func (p *Part) Name() string {
	switch {
	case p.Markers != nil:
		return "stale markers"
	case p.Family != "":
		return "family " + p.Family
	default:
		return "push times"
	}
}

// SameGroup reports whether both parts are of one group.
func (p *Part) SameGroup(other *Part) bool { return p.Group == other.Group }

// PartID identifies a part across claims. Among markers, only a single marker has one.
type PartID struct {
	group, family string
	chunk         uint64
	values        bool
	series        series.Hash
}

// ID identifies the part. It is empty for several markers.
func (p *Part) ID() PartID {
	switch {
	case p.Markers == nil:
		return PartID{group: p.Group, family: p.Family, chunk: p.Chunk, values: true}
	case len(p.Markers) == 1:
		return PartID{group: p.Group, series: p.Markers[0]}
	default:
		return PartID{}
	}
}

// Divide splits a part of several markers into two parts and returns them. Other parts are returned unchanged.
func (c *Claim) Divide(p *Part) []*Part {
	if len(p.Markers) < 2 {
		return []*Part{p}
	}
	middle := len(p.Markers) / 2
	return c.replace(p, p.Markers[:middle], p.Markers[middle:])
}

// Separate gives each picked marker its own part.
func (c *Claim) Separate(pick func(PartID) bool) {
	for _, p := range slices.Clone(c.Parts) {
		if len(p.Markers) < 2 {
			continue
		}
		rest := make([]series.Hash, 0, len(p.Markers))
		var parts [][]series.Hash
		for _, h := range p.Markers {
			if pick(PartID{group: p.Group, series: h}) {
				parts = append(parts, []series.Hash{h})
			} else {
				rest = append(rest, h)
			}
		}
		if len(rest) > 0 && len(parts) > 0 {
			parts = append(parts, rest)
		}
		if len(parts) > 0 {
			c.replace(p, parts...)
		}
	}
}

// replace splits a part of markers by series.
func (c *Claim) replace(p *Part, by ...[]series.Hash) (parts []*Part) {
	for _, markers := range by {
		part := *p
		part.Series, part.Markers = len(markers), markers
		parts = append(parts, &part)
	}
	i := slices.Index(c.Parts, p)
	c.Parts = slices.Concat(c.Parts[:i], parts, c.Parts[i+1:]) // Callers iterate over the old slice.
	return parts
}
