// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// MaxChunk is the maximum number of series in a chunk. It limits what a push of one series makes the store export and write.
const MaxChunk = 64

// Chunk is some series of a metric of an aggregate. It is exported and stored as a unit. Chunks are immutable.
type Chunk struct {
	// Number identifies the chunk in its aggregate. It is the number of its first series and never used again.
	Number uint64
	// Family is the name of the family, Pushed its type as pushed, and Type its type in the aggregate.
	Family, Pushed, Type string
	Function             merge.Function
	// Members are the series by number. There is at least one.
	Members []Member
	// Series are the series of Prometheus, in the order of Members.
	Series []series.Hash
	// Size is the estimated memory in bytes. It depends on the series, not on their values.
	Size int64

	template pmetric.Metrics // a metric without points, with its resource and scope
	metric   string          // identifies the metric in the aggregate, less the family; see metricKey
}

// Member is a series of an aggregate. A histogram is one, as in OTLP.
type Member struct {
	// Number identifies the series in its aggregate. It starts with 1, increases and is never used again.
	Number     uint64
	Attributes pcommon.Map
	// Start is the start timestamp of its points, and LastPush the time of the last push that had it.
	Start, LastPush time.Time
	// Base has the pushers that were folded, and Value also those that are remembered.
	Base, Value merge.Accumulator

	key string // identifies the series in the aggregate; see memberKey
}

const typeKey = "prometheus.type"

// exposedType is the type of a family in an aggregate: totals of gauges and of untyped values are counters.
func exposedType(pushed string, f merge.Function) string {
	switch pushed {
	case "gauge", "unknown":
		if f == merge.Total {
			return "counter"
		}
	}
	return pushed
}

// newTemplate describes a metric of an aggregate. It keeps nothing of its arguments.
func newTemplate(f merge.Function, rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics, m pmetric.Metric) pmetric.Metrics {
	md := pmetric.NewMetrics()
	to := md.ResourceMetrics().AppendEmpty()
	copyAttributes(rm.Resource().Attributes(), to.Resource().Attributes())
	scope := to.ScopeMetrics().AppendEmpty()
	scope.SetSchemaUrl(strings.Clone(sm.SchemaUrl()))
	scope.Scope().SetName(strings.Clone(sm.Scope().Name()))
	scope.Scope().SetVersion(strings.Clone(sm.Scope().Version()))
	copyAttributes(sm.Scope().Attributes(), scope.Scope().Attributes())
	metric := scope.Metrics().AppendEmpty()
	f.Describe(m, metric)
	metric.SetName(strings.Clone(m.Name()))
	metric.SetDescription(strings.Clone(m.Description()))
	metric.SetUnit(strings.Clone(m.Unit()))
	return md
}

// copyAttributes copies attributes together with their strings, which can be small parts of a large push. All are strings.
func copyAttributes(from, to pcommon.Map) {
	to.EnsureCapacity(from.Len())
	for k, v := range from.All() {
		to.PutStr(strings.Clone(k), strings.Clone(v.Str()))
	}
}

func newAttributes(from pcommon.Map) pcommon.Map {
	to := pcommon.NewMap()
	copyAttributes(from, to)
	return to
}

func (c *Chunk) scopeMetrics() pmetric.ScopeMetrics {
	return c.template.ResourceMetrics().At(0).ScopeMetrics().At(0)
}

func (c *Chunk) described() pmetric.Metric { return c.scopeMetrics().Metrics().At(0) }

// IsOf reports whether the chunk has the resource of a group. Pushes to the group have no other.
func (c *Chunk) IsOf(key groupingkey.Key) bool {
	want := map[string]any{"service.name": key.Job}
	for _, l := range key.Labels {
		if l.Name == "instance" && l.Value != "" {
			want["service.instance.id"] = l.Value
		}
	}
	return maps.Equal(c.template.ResourceMetrics().At(0).Resource().Attributes().AsRaw(), want)
}

// kind is the kind of points.
func (c *Chunk) kind() pmetric.MetricType { return c.described().Type() }

// Follows reports whether the rule still has the function of the chunk for its family.
func (c *Chunk) Follows(rule *Rule) bool {
	m := c.described()
	if c.Type != c.Pushed { // It was pushed as a gauge.
		m = pmetric.NewMetric()
		m.SetName(c.Family)
		m.Metadata().PutStr(typeKey, c.Pushed)
		m.SetEmptyGauge()
	}
	f, err := rule.Function(m)
	return err == nil && f == c.Function
}

// LastPush returns the time of the last push that had a series of the chunk.
func (c *Chunk) LastPush() (last time.Time) {
	for i := range c.Members {
		if at := c.Members[i].LastPush; at.After(last) {
			last = at
		}
	}
	return last
}

// find returns the index of a series, or -1.
func (c *Chunk) find(number uint64) int {
	i, found := slices.BinarySearchFunc(c.Members, number, func(m Member, n uint64) int {
		switch {
		case m.Number < n:
			return -1
		case m.Number > n:
			return 1
		}
		return 0
	})
	if !found {
		return -1
	}
	return i
}

// Metrics builds the values of all series, without time.
func (c *Chunk) Metrics() pmetric.Metrics { return c.Render(time.Time{}, nil, nil) }

// Render builds the values of all series, without time. The series in zeros get a point of their zero value at the time zero before.
// The series in exemplars get exemplars.
func (c *Chunk) Render(zero time.Time, zeros map[uint64]bool, exemplars map[uint64]pmetric.ExemplarSlice) pmetric.Metrics {
	md := pmetric.NewMetrics()
	c.template.CopyTo(md)
	c.appendTo(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0), zero, zeros, exemplars)
	return md
}

// JoinChunks builds the values of all series of the chunks of one family, without time. Each metric is there once.
func JoinChunks(chunks []*Chunk) pmetric.Metrics {
	md := pmetric.NewMetrics()
	metrics := make(map[string]pmetric.Metric)
	for _, c := range chunks {
		m, exists := metrics[c.metric]
		if !exists {
			part := pmetric.NewMetrics()
			c.template.CopyTo(part)
			if md.ResourceMetrics().Len() == 0 {
				part.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
			} else {
				part.ResourceMetrics().At(0).ScopeMetrics().MoveAndAppendTo(md.ResourceMetrics().At(0).ScopeMetrics())
			}
			scopes := md.ResourceMetrics().At(0).ScopeMetrics()
			m = scopes.At(scopes.Len() - 1).Metrics().At(0)
			metrics[c.metric] = m
		}
		c.appendTo(m, time.Time{}, nil, nil)
	}
	return md
}

func (c *Chunk) appendTo(m pmetric.Metric, zero time.Time, zeros map[uint64]bool, exemplars map[uint64]pmetric.ExemplarSlice) {
	for i := range c.Members {
		s := &c.Members[i]
		start := pcommon.NewTimestampFromTime(s.Start)
		if zeros[s.Number] {
			s.Value.Zero().AppendPoint(m, s.Attributes, start)
			lastPoint(m).SetTimestamp(pcommon.NewTimestampFromTime(zero))
		}
		s.Value.AppendPoint(m, s.Attributes, start)
		if from, has := exemplars[s.Number]; has {
			if to, can := lastPoint(m).(exemplified); can {
				from.CopyTo(to.Exemplars())
			}
		}
	}
}

type dataPoint interface {
	Attributes() pcommon.Map
	SetTimestamp(pcommon.Timestamp)
}

type exemplified interface{ Exemplars() pmetric.ExemplarSlice }

func lastPoint(m pmetric.Metric) dataPoint { return point(m, points(m)-1) }

// points returns the number of points.
func points(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	default:
		return m.Summary().DataPoints().Len()
	}
}

func point(m pmetric.Metric, i int) dataPoint {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().At(i)
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().At(i)
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().At(i)
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().At(i)
	default:
		return m.Summary().DataPoints().At(i)
	}
}

// Bytes estimated for a series and for each series of Prometheus that it has.
const (
	memberSize = 256
	seriesSize = 40
)

// list sets Series and Size from Members.
func (c *Chunk) list(space series.Space) {
	c.Series = space.Append(make([]series.Hash, 0, len(c.Members)), c.Metrics())
	c.Size = int64(seriesSize*len(c.Series)) + int64(memberSize*len(c.Members))
	for i := range c.Members {
		c.Size += int64(len(c.Members[i].key))
	}
}

// metricKey identifies a metric in a family: by the kind of its points and by its scope.
func metricKey(kind pmetric.MetricType, sm pmetric.ScopeMetrics) string {
	b := []byte{byte(kind)}
	b = appendString(b, sm.Scope().Name())
	b = appendString(b, sm.Scope().Version())
	b = appendString(b, sm.SchemaUrl())
	return string(appendAttributes(b, sm.Scope().Attributes()))
}

// memberKey identifies a series in an aggregate.
func memberKey(b []byte, family, metric string, attributes pcommon.Map) []byte {
	return appendAttributes(appendString(appendString(b, family), metric), attributes)
}

// appendAttributes appends attributes in the order of their names.
func appendAttributes(b []byte, attributes pcommon.Map) []byte {
	type pair struct{ name, value string }
	var few [16]pair
	pairs := few[:0]
	for k, v := range attributes.All() {
		pairs = append(pairs, pair{k, v.Str()})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	b = appendUint(b, uint64(len(pairs)))
	for _, p := range pairs {
		b = appendString(appendString(b, p.name), p.value)
	}
	return b
}
