// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// claim takes the series that come into the index, and counts what the change changes. It claims all or none.
func (s *Store) claim(c *change) error {
	clash, err := s.take(c)
	if clash != nil {
		// Nobody else waits while what came is decoded for its description.
		description := series.Describe(s.metricsOf(c, clash.from), s.options.Scope, clash.series)
		return heldBy(description, clash.holder.key, clash.holder.owes(clash.series))
	}
	return err
}

// clash is a series that comes and cannot be had.
type clash struct {
	from   *content
	series series.Hash
	holder *group
}

// take enters the series that come, unless one of them cannot be had or they are too many.
func (s *Store) take(c *change) (*clash, error) {
	incoming := c.incoming()
	c.revived = make(map[series.Hash]bool)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range incoming {
		for _, h := range from.series {
			if holder := s.enter(c, h); holder != nil {
				s.disown(c.fresh)
				return &clash{from, h, holder}, nil
			}
		}
	}
	c.count()
	if err := s.checkLimits(c); err != nil {
		s.disown(c.fresh)
		return nil, err
	}
	s.add(c.counts.rise())
	for _, h := range c.fresh {
		c.group.after = max(c.group.after, s.ended[h%ends])
	}
	return nil, nil
}

// enter finds out what it means that a series comes: that it is fresh, comes again or goes on, each once, or else who holds
// it. One that comes twice is held by its own group.
func (s *Store) enter(c *change, h series.Hash) (holder *group) {
	owner, held := s.series[h]
	own := held && int(owner) == c.group.number
	switch {
	case !held:
		s.series[h] = int32(c.group.number)
		c.fresh = append(c.fresh, h)
	case own && c.group.ending[h] && !c.revived[h]:
		c.revived[h] = true
	case own && c.before[h]:
		c.before[h] = false
	default:
		return s.numbers[owner]
	}
	return nil
}

// owes tells whether the group holds a series for its marker alone.
func (g *group) owes(h series.Hash) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ending[h]
}

// count finds what the change changes in numbers.
func (c *change) count() {
	for h, gone := range c.before {
		if gone {
			c.gone = append(c.gone, h)
		}
	}
	for _, f := range c.drop {
		c.counts.Series -= len(f.series)
		c.counts.Size -= f.size()
	}
	for _, f := range c.add {
		c.counts.Series += len(f.series)
		c.counts.Size += f.size()
	}
	c.counts.Owed = len(c.gone) - len(c.revived)
	switch {
	case c.create:
		c.counts.Groups = 1
	case c.die:
		c.counts.Groups = -1
	}
}

// checkLimits refuses what would be too much. What makes a group smaller is never refused.
func (s *Store) checkLimits(c *change) error {
	maxGroups, maxSeries, maxBytes := s.options.MaxGroups, s.options.MaxSeries, s.options.MaxBytes
	switch total := s.counts.Series + s.counts.Owed + c.counts.Series + c.counts.Owed; {
	case maxGroups > 0 && c.create && s.counts.Groups >= maxGroups:
		return &LimitError{"max_groups", int64(maxGroups), fmt.Sprintf("the push makes a new group, and %d groups are held", s.counts.Groups)}
	case maxSeries > 0 && c.counts.Series > 0 && s.counts.Series+c.counts.Series > maxSeries:
		return &LimitError{"max_series", int64(maxSeries), fmt.Sprintf(
			"the push has %d series more than what it replaces, and %d series are held", c.counts.Series, s.counts.Series)}
	case maxSeries > 0 && len(c.fresh) > 0 && total > 2*maxSeries:
		return &LimitError{"max_series", int64(maxSeries), fmt.Sprintf(
			"the push replaces series by others, and the stale markers of %d series have not been accepted downstream", s.counts.Owed)}
	case maxBytes > 0 && c.counts.Size > 0 && s.counts.Size+c.counts.Size > maxBytes:
		return &LimitError{"max_bytes", maxBytes, fmt.Sprintf(
			"the push takes %d bytes more than what it replaces, and %d bytes are held", c.counts.Size, s.counts.Size)}
	case maxBytes > 0 && len(c.fresh) > 0 && s.counts.Size+s.counts.OwedSize > 2*maxBytes:
		return &LimitError{"max_bytes", maxBytes, fmt.Sprintf(
			"the push replaces series by others, and the stale markers that have not been accepted downstream take %d bytes", s.counts.OwedSize)}
	}
	return nil
}

// add adds to the counts.
func (s *Store) add(counts Counts) {
	s.counts.Groups += counts.Groups
	s.counts.Series += counts.Series
	s.counts.Owed += counts.Owed
	s.counts.Size += counts.Size
	s.counts.OwedSize += counts.OwedSize
}

// rise is by how much a change makes counts larger, which counts from when it is claimed. What it makes smaller counts once
// it is shown: the room must not be another's while the change may fail still.
func (c Counts) rise() Counts {
	return Counts{Groups: max(0, c.Groups), Series: max(0, c.Series), Owed: max(0, c.Owed), Size: max(0, c.Size)}
}

// fall is by how much a change makes counts smaller.
func (c Counts) fall() Counts {
	return Counts{Groups: min(0, c.Groups), Series: min(0, c.Series), Owed: min(0, c.Owed), Size: min(0, c.Size)}
}

// unclaim takes a claim back.
func (s *Store) unclaim(c *change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disown(c.fresh)
	rise := c.counts.rise()
	s.add(Counts{Groups: -rise.Groups, Series: -rise.Series, Owed: -rise.Owed, Size: -rise.Size})
}

// free gives up series whose markers were accepted.
func (s *Store) free(paid []*content, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, owed := range paid {
		s.disown(owed.series)
		for _, h := range owed.series {
			ended := &s.ended[h%ends]
			*ended = max(*ended, at.UnixMilli())
		}
		s.counts.Owed -= len(owed.series)
	}
}

// disown takes series out of the index. The store's lock is held.
func (s *Store) disown(hashes []series.Hash) {
	for _, h := range hashes {
		delete(s.series, h)
	}
}

// tidy forgets a group that neither lives nor owes.
func (s *Store) tidy(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.alive || len(g.owed) > 0 {
		return
	}
	delete(s.groups, g.path)
	s.numbers[g.number] = nil
	s.vacant = append(s.vacant, g.number)
}

// collide refuses what a POST adds if its name is that of a series of a family that the group keeps, or the other way
// round. The series may differ in labels, but no reader of the exposition could tell the families apart.
func (c *change) collide() error {
	replaced := make(map[string]bool, len(c.drop))
	for _, f := range c.drop {
		replaced[f.Name] = true
	}
	kept := func(name string) *Family {
		if replaced[name] {
			return nil
		}
		return c.group.families[name]
	}
	for _, f := range c.add {
		for _, suffix := range suffixesOf("gaugehistogram") {
			base, ok := strings.CutSuffix(f.Name, suffix)
			if owner := kept(base); ok && owner != nil && emits(owner.Type, suffix) {
				return collides(f.Name, owner)
			}
		}
		for _, suffix := range suffixesOf(f.Type) {
			if kept(f.Name+suffix) != nil {
				return collides(f.Name+suffix, f)
			}
		}
	}
	return nil
}

// suffixesOf are the suffixes of the series of a type whose series have some.
func suffixesOf(typ string) []string {
	switch typ {
	case "gaugehistogram": // OpenMetrics and the other formats name them differently.
		return []string{"_bucket", "_sum", "_count", "_gsum", "_gcount"}
	case "histogram":
		return []string{"_bucket", "_sum", "_count"}
	case "summary":
		return []string{"_sum", "_count"}
	default:
		return nil
	}
}

func emits(typ, suffix string) bool { return slices.Contains(suffixesOf(typ), suffix) }
