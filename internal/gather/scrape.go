// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"iter"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// Scrape merges the families of all groups by name, sorted as in a client_golang registry. Of different HELP texts the first group's
// wins. Only families that can conflict are in memory together, and the largest of these sets is what a scrape needs. A Scrape is used
// once: its Plan, then its Families.
type Scrape struct {
	options Options
	firsts  []string // the first name of each set in the output
	times   []bool   // the set has the push times
}

// NewScrape returns a Scrape with the options.
func NewScrape(o Options) *Scrape { return &Scrape{options: o} }

// Fragment is a group with its families of one set.
type Fragment struct {
	Group

	Set int // index in the answer of Scrape.Plan
}

// everyGroup in a set stands for the push times, which each group has.
const everyGroup = ""

// Plan returns sets of the names of families, in the order in which Families needs them. Types are those of each stored name. An empty
// name in a set says that it needs each group, also those without a family of the set.
func (s *Scrape) Plan(types map[string][]string) [][]string {
	shown := s.shownNames(types)
	together := unions{}
	if s.options.PushTimes {
		together.unite(pushTimeName, pushFailureTimeName)
	}
	for name, n := range shown {
		for _, suffix := range suffixes {
			if n.splits && shown[name+suffix] != nil {
				together.unite(name, name+suffix)
			}
		}
	}
	sets := [][]string{}
	index := make(map[string]int) // by first name
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		first := together.first(name)
		if name == first {
			index[first] = len(sets)
			s.firsts, s.times, sets = append(s.firsts, first), append(s.times, false), append(sets, nil)
		}
		i := index[first]
		sets[i] = append(sets[i], shown[name].stored...)
		if s.options.PushTimes && name == pushTimeName {
			s.times[i] = true
			sets[i] = append(sets[i], everyGroup)
		}
	}
	return sets
}

// unions are sets of names. Each is known by its first name, to which the other names lead.
type unions map[string]string

func (u unions) first(name string) string {
	for {
		next, ok := u[name]
		if !ok {
			return name
		}
		if further, ok := u[next]; ok {
			u[name] = further // The way is shorter next time.
		}
		name = next
	}
}

func (u unions) unite(a, b string) {
	if a, b = u.first(a), u.first(b); a != b {
		u[max(a, b)] = min(a, b)
	}
}

// shownName is a name in the output.
type shownName struct {
	stored []string // names that become it
	splits bool     // a family of that name can be broken up into several
}

func (s *Scrape) shownNames(types map[string][]string) map[string]*shownName {
	shown := make(map[string]*shownName, len(types))
	if s.options.PushTimes {
		shown[pushTimeName], shown[pushFailureTimeName] = &shownName{}, &shownName{}
	}
	b := builder{options: s.options}
	for name, all := range types {
		if s.options.PushTimes && isPushTime(name) {
			continue // stored earlier, under other settings
		}
		n := shown[b.escapeName(name)]
		if n == nil {
			n = &shownName{}
			shown[b.escapeName(name)] = n
		}
		n.stored = append(n.stored, name)
		n.splits = n.splits || slices.ContainsFunc(all, splits)
	}
	return shown
}

// splits reports whether a family of the type has series of several names.
func splits(typ string) bool {
	switch protobufType(typ) {
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM, dto.MetricType_SUMMARY:
		return true
	default:
		return false
	}
}

// Families yields the merged families of the fragments. An error of the fragments is the last element.
func (s *Scrape) Families(fragments iter.Seq2[Fragment, error]) iter.Seq2[*dto.MetricFamily, error] {
	return func(yield func(*dto.MetricFamily, error) bool) {
		m := merging{scrape: s, waiting: make(map[string]*dto.MetricFamily)}
		for fragment, err := range fragments {
			if err != nil {
				yield(nil, err)
				return
			}
			if fragment.Set != m.set {
				m.finishSet()
				if !m.flush(s.firsts[fragment.Set], yield) {
					return
				}
				m.set = fragment.Set
			}
			m.add(&fragment.Group)
		}
		m.finishSet()
		m.flush("", yield)
	}
}

// merging is the state of Scrape.Families.
type merging struct {
	scrape  *Scrape
	set     int
	all     merger                       // the families of the set
	waiting map[string]*dto.MetricFamily // families of earlier sets, behind which others may belong
}

func (m *merging) add(g *Group) {
	if m.all == nil {
		m.all = merger{}
	}
	for f := range g.families(m.scrape.options, m.scrape.times[m.set]) {
		m.all.add(f.MetricFamily)
	}
}

// finishSet merges the families of the set.
func (m *merging) finishSet() {
	m.all.resolveConflicts()
	for name, merged := range m.all {
		f := merged.MetricFamily
		if !m.scrape.options.Natives {
			f.Metric = withoutHidden(f.Metric)
		}
		slices.SortStableFunc(f.Metric, compareMetrics)
		f.Metric = withoutRepeated(f.Metric)
		m.waiting[name] = f
	}
	m.all = nil
}

// flush yields the families that come before a name, or all for "".
func (m *merging) flush(before string, yield func(*dto.MetricFamily, error) bool) bool {
	for _, name := range slices.Sorted(maps.Keys(m.waiting)) {
		if before != "" && name >= before {
			break
		}
		f := m.waiting[name]
		delete(m.waiting, name)
		if !yield(f, nil) {
			return false
		}
	}
	return true
}
