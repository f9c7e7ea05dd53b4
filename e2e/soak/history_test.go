// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import "math"

// history is everything that arrived, by series.
type history struct {
	series map[string]*series
	counts counts
}

// series are the values of one series by their milliseconds.
type series struct {
	newest int64
	values map[int64]uint64
}

// counts says how samples arrived. A Prometheus takes new ones and repeats of a series' newest sample; it refuses the rest,
// but for late ones within its out_of_order_time_window.
type counts struct {
	samples     int // different ones
	repeats     int // the same series, time and value once more
	late        int // older than the newest of their series
	lateRepeats int // both
	conflicts   int // the same series and time with another value
}

func (h *history) add(samples []sample) {
	for _, s := range samples {
		h.addSample(s)
	}
}

func (h *history) addSample(s sample) {
	of, ok := h.series[s.series]
	if !ok {
		of = &series{newest: math.MinInt64, values: map[int64]uint64{}}
		h.series[s.series] = of
	}
	switch value, again := of.values[s.at]; {
	case again && value == s.value && s.at < of.newest:
		h.counts.lateRepeats++
		return
	case again && value == s.value:
		h.counts.repeats++
		return
	case again:
		h.counts.conflicts++
		return
	case s.at < of.newest:
		h.counts.late++
	}
	h.counts.samples++
	of.newest = max(of.newest, s.at)
	of.values[s.at] = s.value
}

// valuesOf are the values that a series had at some time.
func (h *history) valuesOf(name string) map[float64]bool {
	values := map[float64]bool{}
	if of, ok := h.series[name]; ok {
		for _, value := range of.values {
			values[math.Float64frombits(value)] = true
		}
	}
	return values
}
