// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package gather converts stored groups back to a Pushgateway 1.11.3's output: metric families for a scrape ([Scrape])
// and the JSON of its query API ([WriteMetrics]).
//
// A scrape always succeeds. Where groups conflict and a Pushgateway would have refused a push, the families are exposed
// as untyped series (clash.go). The output omits exemplars, units, empty labels outside the grouping key and families
// without series. Types that the formats do not have, info and stateset, become gauges.
//
// The package only reads its input, and its functions can run concurrently. It does not store groups and does not know
// HTTP.
package gather

import (
	"cmp"
	"iter"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// Group is an immutable snapshot of one stored group.
type Group struct {
	Key groupingkey.Key
	// PushTime and PushFailureTime are the times of the last accepted and the last refused push. They are zero if there
	// was none.
	PushTime, PushFailureTime time.Time
	// Families have distinct names, but that of an aggregate can be there beside that of the ordinary group of the same key.
	Families []Family
}

// Family is a metric family of a group.
type Family struct {
	Name string
	Type string // as in metric metadata "prometheus.type"
	// PushTime is the time of the push that set the family.
	PushTime time.Time
	// Metrics builds the family's metrics. Their type agrees with Type, except for flattened histograms: those are gauges
	// named by family and suffix.
	Metrics func() pmetric.Metrics
}

// Options are the settings of the output.
type Options struct {
	// PushTimes adds push_time_seconds and push_failure_time_seconds to each group and replaces families of these names.
	PushTimes bool
	// ScopeName is the default scope of points. Its version can be that of an earlier build.
	ScopeName string
	// Escape, if not nil, rewrites names for the reader. Families whose names become equal are merged.
	Escape func(name string) string
	// Natives says that the reader supports native histograms.
	Natives bool
}

// withoutRepeated removes metrics with the series of an earlier one, because a scrape with duplicate series fails. Groups
// are read one after another, so a series that moves between groups can appear in both. Escape can also make series
// equal. A classic and a native histogram share no series.
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

// compareMetrics orders series as a registry does, by number of labels and then label values. With equal labels,
// histograms with both parts are first and native ones last.
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

// compareLabels orders by number of labels, then by values, then by names.
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

// family is a family of a group with its push time.
type family struct {
	*dto.MetricFamily
	pushTime time.Time
}

// families yields the group's families that have series, and its push times.
func (g *Group) families(o Options, times bool) iter.Seq[family] {
	return func(yield func(family) bool) {
		for f := range g.unbuilt(o, times) {
			if built := f.build(); len(built.Metric) > 0 && !yield(built) {
				return
			}
		}
	}
}

// unbuilt is a family of a group, with its type as pushed.
type unbuilt struct {
	typ   string
	build func() family
}

// unbuilt yields the group's families, those without series included, and its push times.
func (g *Group) unbuilt(o Options, times bool) iter.Seq[unbuilt] {
	return func(yield func(unbuilt) bool) {
		b := newBuilder(g.Key, o)
		pushTime := func(name, help string, at, other time.Time) unbuilt {
			return unbuilt{"gauge", func() family { return b.pushTime(name, help, at, other) }}
		}
		if times && (!yield(pushTime(pushTimeName, pushTimeHelp, g.PushTime, g.PushFailureTime)) ||
			!yield(pushTime(pushFailureTimeName, pushFailureTimeHelp, g.PushFailureTime, g.PushTime))) {
			return
		}
		for i := range g.Families {
			f := &g.Families[i]
			if o.PushTimes && isPushTime(f.Name) {
				continue // stored earlier, under other settings
			}
			if !yield(unbuilt{f.Type, func() family { return family{b.build(f), f.PushTime} }}) {
				return
			}
		}
	}
}
