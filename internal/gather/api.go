// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// apiFamily is a family in a Pushgateway's query API (api/v1/api.go).
type apiFamily struct {
	TimeStamp time.Time   `json:"time_stamp"`
	Type      string      `json:"type"`
	Help      string      `json:"help,omitempty"`
	Metrics   []apiMetric `json:"metrics"`
}

// apiMetric is a series, histogram or summary. All numbers are strings.
type apiMetric map[string]any

// WriteMetrics writes a Pushgateway's response to GET /api/v1/metrics. Only one group is in memory at a time. Gauge
// histograms are written as histograms; a Pushgateway writes the value 0. The error is the writer's or that of the groups.
func WriteMetrics(w io.Writer, groups iter.Seq2[Group, error], o Options) error {
	separator := ""
	if _, err := io.WriteString(w, `{"status":"success","data":[`); err != nil {
		return err
	}
	for g, err := range groups {
		if err != nil {
			return err
		}
		group, err := json.Marshal(g.api(o))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", separator, group); err != nil {
			return err
		}
		separator = ","
	}
	_, err := io.WriteString(w, "]}")
	return err
}

// WriteStatus writes a Pushgateway's response to GET /api/v1/status. The error is the writer's.
func WriteStatus(w io.Writer, build, flags map[string]string, started time.Time) error {
	data, err := json.Marshal(map[string]any{"build_information": build, "flags": flags, "start_time": started})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `{"status":"success","data":%s}`, data)
	return err
}

// api returns the group for the query API. As in a Pushgateway, a family's name can replace another key.
func (g *Group) api(o Options) map[string]any {
	labels := map[string]string{"job": g.Key.Job}
	for _, l := range g.Key.Labels {
		labels[l.Name] = l.Value
	}
	group := map[string]any{"labels": labels, "last_push_successful": !g.PushFailureTime.After(g.PushTime)}
	for f := range g.families(o, o.PushTimes) {
		api := f.api()
		if earlier, twice := group[f.GetName()].(apiFamily); twice {
			api = earlier.joined(api)
		}
		group[f.GetName()] = api
	}
	return group
}

// joined adds the series of another family of the same name.
func (f apiFamily) joined(other apiFamily) apiFamily {
	f.Metrics = append(f.Metrics, other.Metrics...)
	if other.TimeStamp.After(f.TimeStamp) {
		f.TimeStamp = other.TimeStamp
	}
	return f
}

func (f family) api() apiFamily {
	api := apiFamily{
		TimeStamp: f.pushTime,
		Type:      f.GetType().String(),
		Help:      f.GetHelp(),
		Metrics:   make([]apiMetric, len(f.Metric)),
	}
	for i, m := range f.Metric {
		labels := make(map[string]string, len(m.Label))
		for _, l := range m.Label {
			labels[l.GetName()] = l.GetValue()
		}
		api.Metrics[i] = apiMetric{"labels": labels}
		api.Metrics[i].put(m)
	}
	return api
}

// put adds the value of m.
func (to apiMetric) put(m *dto.Metric) {
	switch {
	case m.Histogram != nil:
		h := m.Histogram
		to["count"] = formatCount(h.GetSampleCount(), h.GetSampleCountFloat())
		to["sum"] = formatFloat(h.GetSampleSum())
		if len(h.PositiveSpan)+len(h.NegativeSpan) > 0 {
			to["buckets"] = nativeBuckets(h)
		} else {
			to["buckets"] = classicBuckets(h)
		}
	case m.Summary != nil:
		to["count"] = strconv.FormatUint(m.Summary.GetSampleCount(), 10)
		to["sum"] = formatFloat(m.Summary.GetSampleSum())
		quantiles := make(map[string]string, len(m.Summary.Quantile))
		for _, q := range m.Summary.Quantile {
			quantiles[formatFloat(q.GetQuantile())] = formatFloat(q.GetValue())
		}
		to["quantiles"] = quantiles
	default:
		to["value"] = formatFloat(value(m))
	}
}

// formatCount formats an integer, or the float that overrides it.
func formatCount(count uint64, float float64) string {
	if float != 0 {
		return formatFloat(float)
	}
	return strconv.FormatUint(count, 10)
}

func classicBuckets(h *dto.Histogram) map[string]string {
	buckets := make(map[string]string, len(h.Bucket))
	for _, b := range h.Bucket {
		buckets[formatFloat(b.GetUpperBound())] = formatCount(b.GetCumulativeCount(), b.GetCumulativeCountFloat())
	}
	return buckets
}

// Which bounds belong to a native bucket, numbered as in Prometheus' query API.
const (
	upperBound = 0
	lowerBound = 1
	bothBounds = 3
)

// nativeBuckets lists the populated buckets of a native histogram in ascending order: bound rule, bounds and population.
func nativeBuckets(h *dto.Histogram) [][4]any {
	buckets := [][4]any{}
	put := func(bounds int, lower, upper float64, count uint64) {
		if count > 0 {
			buckets = append(buckets, [4]any{bounds, formatFloat(lower), formatFloat(upper), strconv.FormatUint(count, 10)})
		}
	}
	for index, count := range populations(h.NegativeSpan, h.NegativeDelta) {
		put(lowerBound, -nativeBound(index, h.GetSchema()), -nativeBound(index-1, h.GetSchema()), count)
	}
	slices.Reverse(buckets)
	put(bothBounds, -h.GetZeroThreshold(), h.GetZeroThreshold(), h.GetZeroCount())
	for index, count := range populations(h.PositiveSpan, h.PositiveDelta) {
		put(upperBound, nativeBound(index-1, h.GetSchema()), nativeBound(index, h.GetSchema()), count)
	}
	return buckets
}

// populations yields the index and population of each bucket of a side, from zero outwards.
func populations(spans []*dto.BucketSpan, deltas []int64) iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		index, count := 0, int64(0)
		for _, s := range spans {
			index += int(s.GetOffset())
			for range s.GetLength() {
				count += deltas[0]
				deltas = deltas[1:]
				if !yield(index, uint64(count)) {
					return
				}
				index++
			}
		}
	}
}

// nativeBound returns the upper bound of a positive bucket: 2^(index·2^-schema). As in Prometheus (model/histogram), the
// last bucket ends at the largest float64. Prometheus reads bounds from a table, so the last digit can differ.
func nativeBound(index int, schema int32) float64 {
	const tooLarge = 1024 // the first power of 2 beyond float64
	exponent, fraction := index<<max(-schema, 0), 0.0
	if schema > 0 {
		exponent, fraction = index>>schema, float64(index&(1<<schema-1))/float64(int(1)<<schema)
	}
	if exponent == tooLarge && fraction == 0 {
		return math.MaxFloat64
	}
	return math.Ldexp(math.Exp2(fraction), exponent)
}
