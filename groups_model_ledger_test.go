// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// ledger is the whole history of what a backend has. It notes what must not happen to a series in any history: times that do not
// increase, and of totals that have a start time, values that fall and starts that change.
type ledger struct {
	mu     sync.Mutex
	series map[string]*track
	broken []string
}

// track is the history of one series: its values in order, each as often as it came anew. The end of the series is one of them.
type track struct {
	values []string
	first  []int64 // when each value came first, in milliseconds
	total  bool
	begun  []int64 // the start time of each life
	last   sample
}

func newLedger() *ledger { return &ledger{series: map[string]*track{}} }

func (l *ledger) append(samples []sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range samples {
		name := canonical(s.series)
		t := l.series[name]
		if t == nil {
			t = &track{}
			l.series[name] = t
		}
		if fault := t.append(s); fault != "" {
			l.broken = append(l.broken, fmt.Sprintf("%s %s: %v after %v", name, fault, s, t.values))
		}
	}
}

func (t *track) append(s sample) (fault string) {
	// Markers that are owed when a series begins again do not go out. It begins at zero then, with another start.
	again := s.total && s.start > t.last.start && s.value == "0"
	const lookBack = 5 * time.Minute // When a series ends whose marker had no way to the backend.
	lapsed := s.start != t.last.start && s.ms-t.last.ms >= lookBack.Milliseconds()
	alive := len(t.values) > 0 && t.last.value != stale && !lapsed && !again
	switch {
	case len(t.values) > 0 && s.ms == t.last.ms && s.value == t.last.value:
		return "" // The same call again, after one that the receiver doubts.
	case len(t.values) > 0 && s.ms <= t.last.ms:
		fault = fmt.Sprintf("is not later than %d", t.last.ms)
	case s.value == stale && !alive:
		fault = "" // A marker may be repeated.
	case s.value == stale:
	case !alive, t.last.start == 0: // It begins, or is the counter of a group that knows no start.
		t.begun, t.total = append(t.begun, s.start), s.total
		if s.total && s.start > s.ms {
			fault = fmt.Sprintf("starts at %d", s.start)
		}
	case s.total && s.start != t.last.start:
		fault = fmt.Sprintf("had the start %d", t.last.start)
	case s.total && number(s.value) < number(t.last.value):
		fault = "falls"
	case s.native != nil && t.last.native != nil && s.native.resets(t.last.native):
		fault = "is a counter reset"
	}
	if len(t.values) == 0 || t.last.value != s.value {
		t.values, t.first = append(t.values, s.value), append(t.first, s.ms)
	}
	t.last = s
	return fault
}

func number(value string) float64 {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// faults lists what is wrong, and forgets it.
func (l *ledger) faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	broken := l.broken
	l.broken = nil
	return broken
}

// values is the history of a series.
func (l *ledger) values(name string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.series[name]; t != nil {
		return slices.Clone(t.values)
	}
	return nil
}

// starts are the start times of a series, one for each of its lives, and when it had its first value.
func (l *ledger) starts(name string) (starts []int64, first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.series[name]
	if t == nil {
		return nil, 0
	}
	return slices.Clone(t.begun), t.first[0]
}

// labeled finds the series that have a label, whether they live or not.
func (l *ledger) labeled(name string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, series := range slices.Sorted(maps.Keys(l.series)) {
		if strings.Contains(series, "{"+name+"=") || strings.Contains(series, ","+name+"=") {
			found = append(found, series)
		}
	}
	return found
}

// increases is the increase of each total over its whole history, as Prometheus computes it but for the extrapolation: markers are
// passed over, and a value that falls is one that began at zero.
func (l *ledger) increases() map[string]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	increases := map[string]float64{}
	for name, t := range l.series {
		if !t.total {
			continue
		}
		before, sum := math.NaN(), 0.0
		for _, value := range t.values {
			v := number(value)
			switch {
			case value == stale:
				continue
			case v < before:
				sum += v
			case v > before:
				sum += v - before
			}
			before = v
		}
		increases[name] = sum
	}
	return increases
}

// withoutZero lists the totals a life of which began with another value than 0.
func (l *ledger) withoutZero() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.series)) {
		t := l.series[name]
		for i, value := range t.values {
			if t.total && value != "0" && value != stale && (i == 0 || t.values[i-1] == stale) {
				names = append(names, name)
			}
		}
	}
	return names
}

// nativeBuckets are those of a native histogram.
type nativeBuckets struct {
	count, zero        uint64
	scale              int32
	threshold          float64
	positive, negative map[int32]uint64
}

func nativeOf(p pmetric.ExponentialHistogramDataPoint) *nativeBuckets {
	return &nativeBuckets{
		count: p.Count(), zero: p.ZeroCount(), scale: p.Scale(), threshold: p.ZeroThreshold(),
		positive: bucketsOf(p.Positive()), negative: bucketsOf(p.Negative()),
	}
}

func bucketsOf(b pmetric.ExponentialHistogramDataPointBuckets) map[int32]uint64 {
	buckets := map[int32]uint64{}
	for i, n := range b.BucketCounts().All() {
		if n > 0 {
			buckets[b.Offset()+int32(i)] = n
		}
	}
	return buckets
}

// resets tells whether Prometheus takes h, which follows before, for a reset.
func (h *nativeBuckets) resets(before *nativeBuckets) bool {
	if h.count < before.count || h.scale > before.scale || h.threshold < before.threshold {
		return true
	}
	zero := before.zero
	fell := false
	for _, sides := range [][2]map[int32]uint64{{before.positive, h.positive}, {before.negative, h.negative}} {
		coarse := map[int32]uint64{}
		for i, n := range sides[0] {
			if upper := math.Exp2(math.Ldexp(float64(i)+1, -int(before.scale))); upper <= h.threshold {
				zero += n
			} else {
				coarse[i>>(before.scale-h.scale)] += n
			}
		}
		for i, n := range coarse {
			fell = fell || sides[1][i] < n
		}
	}
	return fell || h.zero < zero
}
