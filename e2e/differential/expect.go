// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/histogram"
	"google.golang.org/protobuf/encoding/protodelim"
)

// cleanTarget spells a push path with all values in base64, so that no element is empty or a dot. It reports false for a
// path that has no labels to be spelled.
func cleanTarget(path string) (string, bool) {
	decoded, err := url.PathUnescape(path)
	decoded = "/" + strings.TrimLeft(decoded, "/")
	elements := strings.Split(decoded, "/")
	if len(elements) == 5 && elements[4] == "" {
		elements = elements[:4] // A slash may follow the job.
	}
	if err != nil || len(elements) < 4 || len(elements)%2 != 0 || elements[1] != "metrics" {
		return "", false
	}
	var clean strings.Builder
	clean.WriteString("/metrics")
	for i := 2; i < len(elements); i += 2 {
		name, value := elements[i], elements[i+1]
		if !strings.HasSuffix(name, "@base64") {
			name += "@base64"
			value = base64.RawURLEncoding.EncodeToString([]byte(value))
		}
		clean.WriteString("/" + url.PathEscape(name) + "/" + url.PathEscape(cmp.Or(value, "=")))
	}
	return clean.String(), true
}

// anyFamily tells whether a protobuf body has a family of some kind.
func anyFamily(r *request, is func(*dto.MetricFamily) bool) bool {
	for body := bytes.NewReader(r.plain); ; {
		family := &dto.MetricFamily{}
		if protodelim.UnmarshalFrom(body, family) != nil {
			return false
		}
		if is(family) {
			return true
		}
	}
}

// joined is a protobuf body in which families of one name and type are one family, and whether some had to be joined. Of families of
// one name, those without metrics give way.
func joined(body []byte) (families []byte, twice bool) {
	var all []*dto.MetricFamily
	for rest := bytes.NewReader(body); rest.Len() > 0; {
		family := &dto.MetricFamily{}
		if protodelim.UnmarshalFrom(rest, family) != nil {
			return nil, false
		}
		i := slices.IndexFunc(all, func(f *dto.MetricFamily) bool { return f.GetName() == family.GetName() })
		switch {
		case i < 0:
			all = append(all, family)
			continue
		case len(all[i].Metric) == 0:
			all[i].Type = family.Type
		}
		twice = true
		all[i].Metric = append(all[i].Metric, family.Metric...)
		all[i].Help = cmp.Or(all[i].Help, family.Help)
	}
	var out bytes.Buffer
	for _, family := range all {
		if _, err := protodelim.MarshalTo(&out, family); err != nil {
			return nil, false
		}
	}
	return out.Bytes(), twice
}

// isImpossible tells whether a family cannot be exposed as text.
func isImpossible(f *dto.MetricFamily) bool {
	without := f.GetType() == dto.MetricType_GAUGE_HISTOGRAM &&
		slices.ContainsFunc(f.GetMetric(), func(m *dto.Metric) bool { return m.Histogram == nil })
	return f.GetName() == "" || !utf8.ValidString(f.GetName()) || isOfUnknownType(f) || without
}

func isOfUnknownType(f *dto.MetricFamily) bool {
	_, known := dto.MetricType_name[int32(f.GetType())]
	return !known
}

// isAdded tells the family that a Pushgateway adds to each group from one that was pushed.
func isAdded(f *dto.MetricFamily) bool {
	return f.GetName() == "push_failure_time_seconds" && strings.HasPrefix(f.GetHelp(), "Last Unix time when changing this group in the Pushgateway failed")
}

// hasTwice tells whether what a Pushgateway exposes has two series that only differ in structure: of one metric, with the
// same le or quantile.
func hasTwice(a *answer) bool {
	for key := range seriesOf(a.families) {
		if strings.HasSuffix(key, again) && (strings.Contains(key, ` "le"="`) || strings.Contains(key, ` "quantile"="`)) {
			return true
		}
	}
	return false
}

// hasTwins tells whether what a Pushgateway exposes has two metrics whose labels only differ in empty ones.
func hasTwins(a *answer) bool {
	for _, family := range a.families {
		seen := exposed{}
		for _, m := range family.GetMetric() {
			seen.add(family.GetName(), labelsOf(m), "", "")
		}
		for key := range seen {
			if strings.HasSuffix(key, again) {
				return true
			}
		}
	}
	return false
}

// eachHistogram calls change for all histograms and reports whether one returned true.
func (x *exchange) eachHistogram(change func(*dto.Histogram) bool) (changed bool) {
	for _, family := range x.theirs.families {
		for _, m := range family.GetMetric() {
			changed = m.Histogram != nil && change(m.Histogram) || changed
		}
	}
	return changed
}

func brokenNative(x *exchange) bool {
	return x.eachHistogram(isBroken) && x.refusal(400, "has .*(native|custom) bucket|has an invalid zero threshold")
}

// isBroken tells of a native histogram that neither an OTLP point nor classic buckets can hold.
func isBroken(h *dto.Histogram) bool {
	_, positive := populations(h.GetPositiveSpan(), h.GetPositiveDelta(), h.GetPositiveCount())
	_, negative := populations(h.GetNegativeSpan(), h.GetNegativeDelta(), h.GetNegativeCount())
	threshold := h.GetZeroThreshold()
	return isNative(h) && (!positive || !negative || h.GetSchema() < -4 || h.GetSchema() > 8 ||
		!(threshold >= 0) || math.IsInf(threshold, 1))
}

// nativeAndClassic expects the classic part of a histogram with finite buckets, and of one with a bucket for +Inf alone the native
// part if it can be forwarded.
func nativeAndClassic(x *exchange) bool {
	return x.eachHistogram(func(h *dto.Histogram) bool {
		if !isNative(h) || len(h.GetBucket()) == 0 {
			return false
		}
		finite := slices.ContainsFunc(h.GetBucket(), func(b *dto.Bucket) bool { return !math.IsInf(b.GetUpperBound(), 1) })
		if finite || isBroken(h) {
			h.PositiveSpan, h.NegativeSpan = nil, nil
			h.ZeroThreshold, h.ZeroCount, h.ZeroCountFloat = nil, nil, nil
		} else {
			h.Bucket = nil
		}
		return true
	})
}

func fractionalNative(x *exchange) bool {
	return x.flatten(func(f *dto.MetricFamily, h *dto.Histogram) bool {
		if f.GetType() != dto.MetricType_HISTOGRAM || !isNative(h) || wholeNative(h) {
			return false
		}
		makeClassic(h)
		return true
	})
}

// makeClassic turns native buckets into classic ones, whose counts no longer need to be whole.
func makeClassic(h *dto.Histogram) {
	h.Bucket = classicBuckets(h)
	h.PositiveSpan, h.NegativeSpan = nil, nil
	h.ZeroThreshold, h.ZeroCount, h.ZeroCountFloat = nil, nil, nil
}

// wholeNative tells whether all populations are natural numbers and do not add up to more than the count.
func wholeNative(h *dto.Histogram) bool {
	n := nativeOf(h)
	zero, total := count(h.GetZeroCount(), h.GetZeroCountFloat()), count(h.GetSampleCount(), h.GetSampleCountFloat())
	sum := zero
	for _, side := range []map[int32]float64{n.positive, n.negative} {
		for _, population := range side {
			if !isWhole(population) {
				return false
			}
			sum += population
		}
	}
	return isWhole(zero) && isWhole(total) && sum <= total
}

func isWhole(f float64) bool { return f >= 0 && f < 1<<64 && f == math.Trunc(f) }

// classicBuckets are cumulative buckets at the bounds of the native ones.
func classicBuckets(h *dto.Histogram) []*dto.Bucket {
	float := &histogram.FloatHistogram{
		Schema:          h.GetSchema(),
		PositiveSpans:   spansOf(h.GetPositiveSpan()),
		NegativeSpans:   spansOf(h.GetNegativeSpan()),
		PositiveBuckets: countsOf(h.GetPositiveDelta(), h.GetPositiveCount()),
		NegativeBuckets: countsOf(h.GetNegativeDelta(), h.GetNegativeCount()),
	}
	populations := map[float64]float64{h.GetZeroThreshold() + 0: count(h.GetZeroCount(), h.GetZeroCountFloat())}
	for it := float.PositiveBucketIterator(); it.Next(); {
		populations[bound(it.At().Index, h.GetSchema())] += it.At().Count
	}
	for it := float.NegativeBucketIterator(); it.Next(); {
		populations[-bound(it.At().Index-1, h.GetSchema())] += it.At().Count
	}
	populations[math.Inf(1)] = 0
	var buckets []*dto.Bucket
	sum := 0.0
	for _, upper := range slices.Sorted(maps.Keys(populations)) {
		sum += populations[upper]
		buckets = append(buckets, &dto.Bucket{UpperBound: new(upper), CumulativeCountFloat: new(sum)})
	}
	total := count(h.GetSampleCount(), h.GetSampleCountFloat())
	buckets[len(buckets)-1].CumulativeCount, buckets[len(buckets)-1].CumulativeCountFloat = nil, &total
	return buckets
}

// bound is the upper bound of a native bucket. Prometheus's table of them is off by one in the last digit now and then.
func bound(index, schema int32) float64 {
	exponent := float64(index) * math.Exp2(-float64(schema))
	return math.Ldexp(math.Exp2(exponent-math.Floor(exponent)), int(math.Floor(exponent)))
}

func spansOf(of []*dto.BucketSpan) (spans []histogram.Span) {
	for _, s := range of {
		spans = append(spans, histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	return spans
}

func countsOf(deltas []int64, counts []float64) []float64 {
	if len(counts) > 0 {
		return counts
	}
	var sum int64
	for _, delta := range deltas {
		sum += delta
		counts = append(counts, float64(sum))
	}
	return counts
}

// flatten makes untyped families of the histograms for which the function is true.
func (x *exchange) flatten(is func(*dto.MetricFamily, *dto.Histogram) bool) (changed bool) {
	for _, family := range slices.Clone(x.theirs.families) {
		var kept []*dto.Metric
		for _, m := range family.GetMetric() {
			if m.Histogram == nil || !is(family, m.Histogram) {
				kept = append(kept, m)
				continue
			}
			changed = true
			flat := &dto.MetricFamily{Name: family.Name, Type: dto.MetricType_UNTYPED.Enum(), Metric: []*dto.Metric{m}}
			x.theirs.families = append(x.theirs.families, flat)
		}
		family.Metric = kept
	}
	return changed
}

func gaugeHistogram(x *exchange) bool {
	return x.flatten(func(f *dto.MetricFamily, h *dto.Histogram) bool {
		if f.GetType() != dto.MetricType_GAUGE_HISTOGRAM {
			return false
		}
		if isNative(h) {
			makeClassic(h)
		}
		return true
	})
}

func flattenedHistogram(x *exchange) bool {
	return x.flatten(func(f *dto.MetricFamily, h *dto.Histogram) bool {
		return f.GetType() == dto.MetricType_HISTOGRAM && !isNative(h) && !fits(h)
	})
}

// staleSum ends all series of a point whose sum has ended.
func staleSum(x *exchange) (changed bool) {
	expected := exposed{}
	for _, family := range x.theirs.families {
		for _, m := range family.GetMetric() {
			one := seriesOf([]*dto.MetricFamily{{Name: family.Name, Type: family.Type, Metric: []*dto.Metric{m}}})
			stale := m.Histogram != nil && isStale(m.Histogram.GetSampleSum()) || m.Summary != nil && isStale(m.Summary.GetSampleSum())
			for key, value := range one {
				if stale {
					kind, _, _ := strings.Cut(value, " ")
					value = kind + " stale"
				}
				expected[key] = value
			}
			changed = changed || stale
		}
	}
	if changed {
		x.theirs.series = expected
	}
	return changed
}

// fits tells whether OTLP can hold a classic histogram. One that has ended has no counts.
func fits(h *dto.Histogram) bool {
	total, last := count(h.GetSampleCount(), h.GetSampleCountFloat()), 0.0
	rises := isWhole(total)
	buckets := slices.Clone(h.GetBucket())
	slices.SortStableFunc(buckets, func(a, b *dto.Bucket) int { return cmp.Compare(a.GetUpperBound(), b.GetUpperBound()) })
	for i, b := range buckets {
		c := count(b.GetCumulativeCount(), b.GetCumulativeCountFloat())
		if math.IsNaN(b.GetUpperBound()) || i > 0 && buckets[i-1].GetUpperBound() == b.GetUpperBound() {
			return false
		}
		rises = rises && isWhole(c) && c >= last && (c == total || !math.IsInf(b.GetUpperBound(), 1))
		last = c
	}
	return isStale(h.GetSampleSum()) || rises && last <= total
}
