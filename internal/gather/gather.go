// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package gather reads back what groups hold, as a Pushgateway 1.11.3 shows it: as metric families for a scrape
// ([Families]) and as the JSON of its query API ([WriteMetrics]).
//
// It undoes what package translate did. Where a Pushgateway would have refused a push, because of what another group holds,
// and this receiver did not, the families that clash are shown untyped, series by series (clash.go), so that a scrape
// always succeeds.
//
// Not shown are exemplars, units, labels whose value is empty unless they belong to the grouping key, and families without
// series. The text format has no word for some types: info and stateset are shown as gauges.
package gather

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// Group is what is held of one group at one moment. Nothing of it changes while it is read.
type Group struct {
	Key groupingkey.Key
	// PushTime and PushFailureTime are those of the last push that was taken and of the last one that was refused. They are
	// zero if there was none.
	PushTime, PushFailureTime time.Time
	// Families have names that differ.
	Families []Family
}

// Family is a metric family of a group.
type Family struct {
	Name string
	Type string // as in a metric's metadata, "prometheus.type"
	// PushTime is that of the push that brought the family.
	PushTime time.Time
	// Metrics makes the family's metrics, of a type that agrees with Type. Histograms that OTLP cannot hold are gauges of
	// their series there, named by the family's name and a suffix.
	Metrics func() pmetric.Metrics
}

// Options are the settings that reading back depends on.
type Options struct {
	// PushTimes adds push_time_seconds and push_failure_time_seconds of each group, in place of families of these names.
	PushTimes bool
	// ScopeName is the scope of points that named none when they were pushed. Its version may be that of an earlier build.
	ScopeName string
	// Escape spells names that the reader would not understand. Those that it makes alike become one. Nil leaves names as
	// they were pushed.
	Escape func(name string) string
	// Natives tells that the reader understands native histograms.
	Natives bool
}

// Families are the families of all groups, merged by name and sorted as a registry of client_golang sorts them. Of several
// HELP texts for one name the first one is shown, in the order of the groups.
func Families(groups iter.Seq[Group], o Options) []*dto.MetricFamily {
	all := merger{}
	for g := range groups {
		for f := range g.families(o) {
			all.add(f.MetricFamily)
		}
	}
	all.settle()
	sorted := make([]*dto.MetricFamily, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name].MetricFamily
		if !o.Natives {
			f.Metric = withoutHidden(f.Metric)
		}
		slices.SortStableFunc(f.Metric, compareMetrics)
		f.Metric = withoutRepeated(f.Metric)
		sorted = append(sorted, f)
	}
	return sorted
}

// withoutRepeated leaves out of sorted metrics those that have series of one before. A scrape with one series twice fails. Groups are
// not read at one moment, so that a series that goes from one to another may be seen in both; and Escape may make two series one.
// A classic histogram and a native one of the same labels have no series in common.
func withoutRepeated(sorted []*dto.Metric) []*dto.Metric {
	kept := sorted[:0]
	for _, m := range sorted {
		last := len(kept) - 1
		switch {
		case last < 0 || compareLabels(kept[last], m) != 0:
			kept = append(kept, m)
		case isNative(m) && !isNative(kept[last]) && kept[last].Histogram.Schema == nil:
			kept = append(kept, m)
		}
	}
	return kept
}

// compareMetrics orders the series of a family as a registry does: by the number of their labels, then by their values. Of those
// with the same labels, histograms with both parts come first, and native ones last.
func compareMetrics(a, b *dto.Metric) int {
	if c := compareLabels(a, b); c != 0 {
		return c
	}
	return cmp.Compare(rank(a), rank(b))
}

func rank(m *dto.Metric) int {
	switch {
	case isNative(m):
		return 2
	case m.Histogram != nil && m.Histogram.Schema != nil:
		return 0
	default:
		return 1
	}
}

// compareLabels orders by the number of labels, then by their values and in the end by their names.
func compareLabels(a, b *dto.Metric) int {
	if c := cmp.Compare(len(a.Label), len(b.Label)); c != 0 {
		return c
	}
	for i := range a.Label {
		if c := cmp.Compare(a.Label[i].GetValue(), b.Label[i].GetValue()); c != 0 {
			return c
		}
	}
	for i := range a.Label {
		if c := cmp.Compare(a.Label[i].GetName(), b.Label[i].GetName()); c != 0 {
			return c
		}
	}
	return 0
}

// family is a family of a group, with the time at which it was pushed.
type family struct {
	*dto.MetricFamily
	pushTime time.Time
}

// families are those of the group that have series.
func (g *Group) families(o Options) iter.Seq[family] {
	return func(yield func(family) bool) {
		b := newBuilder(g.Key, o)
		if o.PushTimes && (!yield(b.pushTime(pushTimeName, pushTimeHelp, g.PushTime, g.PushFailureTime)) ||
			!yield(b.pushTime(pushFailureTimeName, pushFailureTimeHelp, g.PushFailureTime, g.PushTime))) {
			return
		}
		for i := range g.Families {
			f := &g.Families[i]
			if o.PushTimes && (f.Name == pushTimeName || f.Name == pushFailureTimeName) {
				continue // Held since a time with other settings.
			}
			if built := b.build(f); len(built.Metric) > 0 && !yield(family{built, f.PushTime}) {
				return
			}
		}
	}
}
