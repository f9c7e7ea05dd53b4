// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// groupPaths are the groups that requests are generated for. With the labels in the bodies, many of them can have the same
// series. What follows a path is how the names begin that no other group has.
var groupPaths = [][2]string{
	{"/metrics/job/j", "g0_"},
	{"/metrics/job/j/instance/x", "g1_"},
	{"/metrics/job/j/zone/a", "g2_"},
	{"/metrics/job/j/zone/a/instance/x", "g3_"},
	{"/metrics/job/j/instance/x/zone/b", "g4_"},
	{"/metrics/job/k/zone@base64/=", "g5_"},
	{"/metrics/job@base64/YS9i/l/1", "g6_"},
}

// sharedNames are the families that all groups may have, by name.
var sharedNames = map[string]dto.MetricType{
	"requests_total": dto.MetricType_COUNTER,
	"temperature":    dto.MetricType_GAUGE,
	"something":      dto.MetricType_UNTYPED,
	"duration":       dto.MetricType_HISTOGRAM,
	"delay":          dto.MetricType_SUMMARY,
}

// groupGenerator makes requests to groups.
type groupGenerator struct{ *rand.Rand }

func newGroupGenerator(seed uint64) groupGenerator {
	return groupGenerator{rand.New(rand.NewPCG(seed, 2))}
}

func (g groupGenerator) request() *request {
	group := groupPaths[g.IntN(len(groupPaths))]
	switch g.IntN(40) {
	case 0:
		return &request{method: http.MethodPut, target: "/api/v1/admin/wipe"}
	case 1, 2, 3, 4, 5, 6:
		return &request{method: http.MethodDelete, target: group[0]}
	}
	r := &request{method: []string{http.MethodPut, http.MethodPost}[g.IntN(2)], target: group[0]}
	format := expfmt.NewFormat([]expfmt.FormatType{expfmt.TypeTextPlain, expfmt.TypeProtoDelim}[g.IntN(2)])
	r.headers = []header{{"Content-Type", string(format)}}
	var body bytes.Buffer
	encoder := expfmt.NewEncoder(&body, format)
	for _, f := range g.families(group[1]) {
		if err := encoder.Encode(f); err != nil {
			panic(err) // It writes into memory, and all families can be written.
		}
	}
	r.body = body.Bytes()
	if g.IntN(20) == 0 && len(r.body) > 0 {
		r.body = r.body[:len(r.body)-1]
	}
	return r
}

// families makes up to three families. Those that only one group has may be of any type and be named like each other's series.
func (g groupGenerator) families(prefix string) (families []*dto.MetricFamily) {
	shared := []string{"requests_total", "temperature", "something", "duration", "delay"}
	for range g.IntN(4) {
		f := &dto.MetricFamily{Name: new(shared[g.IntN(len(shared))])}
		f.Type, f.Help = sharedNames[f.GetName()].Enum(), new("Help of "+f.GetName())
		if g.IntN(2) == 0 {
			f.Name = new(prefix + []string{"own", "own_count", "own_bucket"}[g.IntN(3)])
			f.Type = []dto.MetricType{
				dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_UNTYPED, dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY,
			}[g.IntN(5)].Enum()
			f.Help = []*string{nil, new("Help.")}[g.IntN(2)]
		}
		if slices.ContainsFunc(families, func(o *dto.MetricFamily) bool { return o.GetName() == f.GetName() }) {
			continue
		}
		for range 1 + g.IntN(3) {
			m := g.metric(f.GetType())
			// A Pushgateway makes one of two histograms or summaries that have the same labels in a text.
			same := func(o *dto.Metric) bool { return slices.EqualFunc(m.Label, o.Label, sameLabel) }
			if m.Histogram == nil && m.Summary == nil || !slices.ContainsFunc(f.Metric, same) {
				f.Metric = append(f.Metric, m)
			}
		}
		families = append(families, f)
	}
	return families
}

func sameLabel(a, b *dto.LabelPair) bool {
	return a.GetName() == b.GetName() && a.GetValue() == b.GetValue()
}

func (g groupGenerator) metric(of dto.MetricType) *dto.Metric {
	m := &dto.Metric{}
	for _, l := range [][]string{{"instance", "x", "y"}, {"job", "other"}, {"l", "1", "2"}, {"zone", "a", "b"}} {
		if g.IntN(3) == 0 {
			m.Label = append(m.Label, &dto.LabelPair{Name: new(l[0]), Value: new(l[1+g.IntN(len(l)-1)])})
		}
	}
	if g.IntN(60) == 0 {
		m.TimestampMs = new(int64(1000))
	}
	switch of {
	case dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: new(float64(g.IntN(100)))}
	case dto.MetricType_GAUGE:
		m.Gauge = &dto.Gauge{Value: new(g.number())}
	case dto.MetricType_SUMMARY:
		m.Summary = &dto.Summary{SampleCount: new(uint64(g.IntN(100))), SampleSum: new(g.number())}
		for _, q := range []float64{0.5, 0.9, 1} {
			if g.IntN(2) == 0 {
				m.Summary.Quantile = append(m.Summary.Quantile, &dto.Quantile{Quantile: new(q), Value: new(g.number())})
			}
		}
	case dto.MetricType_HISTOGRAM:
		m.Histogram = g.histogram()
	default:
		m.Untyped = &dto.Untyped{Value: new(g.number())}
	}
	return m
}

func (g groupGenerator) number() float64 {
	return []float64{math.NaN(), math.Inf(-1), 0, 1, 0.25, 1e21, float64(g.IntN(1000))}[g.IntN(7)]
}

// histogram makes a histogram, in one of four cases with counts that are no whole numbers.
func (g groupGenerator) histogram() *dto.Histogram {
	h := &dto.Histogram{SampleSum: new(g.number())}
	part := []float64{0, 0, 0, 0.5}[g.IntN(4)]
	count := part
	for _, bound := range []float64{-2, 0.5, 1e6, math.Inf(1)} {
		if g.IntN(3) == 0 && !math.IsInf(bound, 1) { // The query API would show that only if it was pushed.
			continue
		}
		count += float64(g.IntN(5))
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(bound)})
		if part == 0 {
			h.Bucket[len(h.Bucket)-1].CumulativeCount = new(uint64(count))
		} else {
			h.Bucket[len(h.Bucket)-1].CumulativeCountFloat = new(count)
		}
	}
	if part == 0 {
		h.SampleCount = new(uint64(count))
	} else {
		h.SampleCountFloat = new(count)
	}
	return h
}
