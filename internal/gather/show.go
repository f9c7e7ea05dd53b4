// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

const (
	// maxShownText bounds a label value, name or HELP that the page shows, in bytes. Pushed texts can be as large as a body.
	maxShownText = 4096
	// maxShownBuckets bounds the buckets and quantiles of a series that the page shows.
	maxShownBuckets = 200
)

// Shown is a part of a group for the page.
type Shown struct {
	Families []ShownFamily
	// Next continues after the part. It is empty at the end.
	Next Place
}

// Place is a place in a group: the series of a family.
type Place struct{ Family, Series int }

// ShownFamily is a family for the page. Its last series may follow in the next part.
type ShownFamily struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"` // as pushed
	Help   string   `json:"help,omitempty"`
	Pushed int64    `json:"pushed,omitempty"` // Unix milliseconds
	Series []Series `json:"series"`
}

// Series is a series, histogram or summary for the page. All numbers are strings, since JSON has neither NaN nor Inf.
type Series struct {
	Name   string      `json:"name,omitempty"` // only outside a family
	Labels [][2]string `json:"labels"`         // sorted by name, grouping labels included
	Value  string      `json:"value,omitempty"`
	// Count and Sum are those of a histogram or summary.
	Count string `json:"count,omitempty"`
	Sum   string `json:"sum,omitempty"`
	// Buckets are upper bounds with cumulative counts.
	Buckets [][2]string `json:"buckets,omitempty"`
	// Native are the populated buckets in ascending order: lower bound, upper bound, count and brackets.
	Native        [][4]string `json:"native,omitempty"`
	ZeroThreshold string      `json:"zeroThreshold,omitempty"`
	// BucketsTotal is the number of buckets, of which only the first are listed.
	BucketsTotal int         `json:"bucketsTotal,omitempty"`
	Quantiles    [][2]string `json:"quantiles,omitempty"`
}

// Show returns up to limit series of the group from a place on. Only families from there on are decoded. The values are those of
// [Families].
func (g *Group) Show(o Options, from Place, limit int) Shown {
	shown := Shown{Families: []ShownFamily{}} // In JSON an empty list, not null.
	i := -1
	for f := range g.unbuilt(o, o.PushTimes) {
		i++
		if i < from.Family {
			continue
		}
		if limit == 0 {
			shown.Next = Place{Family: i}
			break
		}
		built := f.build()
		skip := 0
		if i == from.Family {
			skip = min(from.Series, len(built.Metric))
		}
		if len(built.Metric) == skip {
			continue
		}
		n := min(limit, len(built.Metric)-skip)
		shown.Families = append(shown.Families, showFamily(built, f.typ, built.Metric[skip:skip+n]))
		limit -= n
		if skip+n < len(built.Metric) {
			shown.Next = Place{i, skip + n}
			break
		}
	}
	return shown
}

func showFamily(f family, typ string, metrics []*dto.Metric) ShownFamily {
	shown := ShownFamily{Name: cut(f.GetName()), Type: typ, Help: cut(f.GetHelp()), Series: make([]Series, 0, len(metrics))}
	if !f.pushTime.IsZero() {
		shown.Pushed = f.pushTime.UnixMilli()
	}
	for _, m := range metrics {
		shown.Series = append(shown.Series, showSeries(m))
	}
	return shown
}

func showSeries(m *dto.Metric) Series {
	s := Series{Labels: make([][2]string, 0, len(m.Label))}
	for _, l := range m.Label {
		if l.GetName() != "instance" || l.GetValue() != "" { // Each series has it, as in a Pushgateway.
			s.Labels = append(s.Labels, [2]string{cut(l.GetName()), cut(l.GetValue())})
		}
	}
	switch {
	case m.Histogram != nil:
		s.showHistogram(m.Histogram)
	case m.Summary != nil:
		s.Count, s.Sum = strconv.FormatUint(m.Summary.GetSampleCount(), 10), formatFloat(m.Summary.GetSampleSum())
		s.BucketsTotal = len(m.Summary.Quantile)
		for _, q := range m.Summary.Quantile[:min(maxShownBuckets, s.BucketsTotal)] {
			s.Quantiles = append(s.Quantiles, [2]string{formatFloat(q.GetQuantile()), formatFloat(q.GetValue())})
		}
	default:
		s.Value = formatFloat(value(m))
	}
	return s
}

// brackets say which bounds belong to a native bucket.
var brackets = map[int]string{upperBound: "(]", lowerBound: "[)", bothBounds: "[]"}

func (s *Series) showHistogram(h *dto.Histogram) {
	s.Count, s.Sum = formatCount(h.GetSampleCount(), h.GetSampleCountFloat()), formatFloat(h.GetSampleSum())
	s.BucketsTotal = len(h.Bucket)
	for _, b := range h.Bucket[:min(maxShownBuckets, s.BucketsTotal)] {
		s.Buckets = append(s.Buckets, [2]string{formatFloat(b.GetUpperBound()), formatCount(b.GetCumulativeCount(), b.GetCumulativeCountFloat())})
	}
	if h.Schema == nil {
		return
	}
	s.ZeroThreshold = formatFloat(h.GetZeroThreshold())
	natives := nativeBuckets(h)
	s.BucketsTotal = max(s.BucketsTotal, len(natives))
	for _, b := range natives[:min(maxShownBuckets, len(natives))] {
		s.Native = append(s.Native, [4]string{b[1].(string), b[2].(string), b[3].(string), brackets[b[0].(int)]})
	}
}

// Peek returns the first series of a push, with all labels, and the number of those left out.
func Peek(key groupingkey.Key, md pmetric.Metrics, o Options, limit int) (values []Series, more int) {
	b := newBuilder(key, o)
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			b.scope = b.scopeLabels(sm)
			for _, m := range sm.Metrics().All() {
				if len(values) >= limit {
					more += points(m)
					continue
				}
				b.family, b.whole = &dto.MetricFamily{Type: plainType(m).Enum()}, nil
				b.addMetric(m, "")
				for _, one := range b.family.Metric {
					if len(values) >= limit {
						more++
						continue
					}
					s := showSeries(one)
					s.Name = cut(m.Name())
					values = append(values, s)
				}
			}
		}
	}
	return values, more
}

// plainType is the type of a metric by its data, so that the parts of a flattened histogram stay apart.
func plainType(m pmetric.Metric) dto.MetricType {
	switch m.Type() {
	case pmetric.MetricTypeHistogram, pmetric.MetricTypeExponentialHistogram:
		return dto.MetricType_HISTOGRAM
	case pmetric.MetricTypeSummary:
		return dto.MetricType_SUMMARY
	default:
		return dto.MetricType_UNTYPED
	}
}

func points(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	default:
		return 0
	}
}

// cut shortens a text for the page.
func cut(text string) string {
	if len(text) <= maxShownText {
		return text
	}
	return strings.ToValidUTF8(text[:maxShownText], "") + "… (" + strconv.Itoa(len(text)) + " bytes)"
}
