// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// weather is what the sink does with what it is given.
type weather int32

const (
	healthy   weather = iota
	permanent         // refuses for good
	retryable         // refuses for now
	hanging           // keeps it until the caller gives up, or the weather changes
	ambiguous         // takes it, and says that it did not
	partial           // takes a part of it, and refuses
	picky             // refuses permanently markers and values together
	poisoned          // answers native histograms, and what is beside them, as some backends do: with an error to be retried
	weathers
)

var weatherNames = [weathers]string{"healthy", "permanent", "retryable", "hanging", "ambiguous", "partial", "picky", "poisoned"}

func (w weather) String() string { return weatherNames[w] }

// sink is the next consumer. It outlives the receivers that hand on to it.
type sink struct {
	db       tsdb
	ledger   *ledger       // nil unless the test needs the whole history
	doubt    func() error  // what calls answer that were taken, or in part
	calls    atomic.Int64  // those that were answered well
	pause    time.Duration // how long such calls last
	weather  atomic.Int32
	changed  atomic.Pointer[chan struct{}] // closed when the weather changes
	lasting  bool                          // Each call lasts for some ticks.
	failures atomic.Int32                  // one call in so many fails, if not 0

	mu     sync.Mutex
	faults []string // in the form of what was handed on
	seen   map[string]bool
}

// ticks are the only times for which clients and calls wait that run concurrently: those that end at the same time go on together.
func ticks(n int) time.Duration { return time.Duration(n) * 20 * time.Millisecond }

func newSink() *sink {
	s := &sink{db: tsdb{series: map[string][]sample{}}, doubt: func() error { return errRefused }, seen: map[string]bool{}}
	s.turn(healthy)
	return s
}

// turn changes the weather. Calls that hang fail.
func (s *sink) turn(to weather) {
	s.weather.Store(int32(to))
	changed := make(chan struct{})
	if before := s.changed.Swap(&changed); before != nil {
		close(*before)
	}
}

var errRefused = errors.New("refused by the test")

// of is the sink as a receiver sees it, until its life is over.
func (s *sink) of(l *life) consumer.Metrics {
	next, err := consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		return s.consume(ctx, l, md)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
	if err != nil {
		panic(err)
	}
	return next
}

func (s *sink) consume(ctx context.Context, l *life, md pmetric.Metrics) error {
	if s.lasting {
		time.Sleep(ticks(rand.IntN(2)))
	}
	time.Sleep(s.pause)
	changed, now := *s.changed.Load(), weather(s.weather.Load())
	if n := s.failures.Load(); n > 0 && rand.N(n) == 0 {
		now = retryable + weather(rand.N(2))*(ambiguous-retryable)
	}
	switch now {
	case permanent:
		return consumererror.NewPermanent(errRefused)
	case retryable:
		return errRefused
	case hanging:
		select {
		case <-ctx.Done():
		case <-changed:
		}
		return context.DeadlineExceeded
	}
	switch {
	case now == picky && marksAndValues(md):
		return consumererror.NewPermanent(errRefused)
	case now == poisoned && hasNative(md):
		return errRefused
	}
	l.mu.Lock() // What a process that is killed hands on at that moment does not arrive.
	defer l.mu.Unlock()
	if l.dead {
		return errRefused
	}
	s.check(md, now != partial && now != ambiguous)
	samples := remoteWrite(md)
	clobber(md)
	if now == partial {
		samples = samples[:rand.N(len(samples)+1)]
	}
	s.db.append(samples)
	if s.ledger != nil {
		s.ledger.append(samples)
	}
	if now == partial || now == ambiguous {
		return s.doubt()
	}
	s.calls.Add(1)
	return nil
}

// hasNative tells whether there are native histograms.
func hasNative(md pmetric.Metrics) bool {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() == pmetric.MetricTypeExponentialHistogram {
					return true
				}
			}
		}
	}
	return false
}

// marksAndValues tells whether there are both markers and values.
func marksAndValues(md pmetric.Metrics) bool {
	marks, values := false, false
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, p := range pointsOf(m) {
					marks, values = marks || p.Flags().NoRecordedValue(), values || !p.Flags().NoRecordedValue()
				}
			}
		}
	}
	return marks && values
}

// check holds what is exported to the rules of its form: one time for all but the zeros that totals begin with, each group once,
// each marker in a metric of its own, exemplars accepted once.
func (s *sink) check(md pmetric.Metrics, accepted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fault := func(format string, args ...any) { s.faults = append(s.faults, fmt.Sprintf(format, args...)) }
	at := latest(md)
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				points := pointsOf(m)
				if len(points) == 0 {
					fault("%s has no point", m.Name())
				}
				for _, p := range points {
					if p.Timestamp() != at && !isFirstZero(p) {
						fault("%s has the time %v, others have %v", m.Name(), p.Timestamp().AsTime(), at.AsTime())
					}
					if p.Flags().NoRecordedValue() && len(points) > 1 {
						fault("a marker of %s beside other points", m.Name())
					}
				}
				if accepted {
					s.checkExemplars(m, fault)
				}
			}
		}
	}
}

// latest is the time of the points that are not the first ones of a total.
func latest(md pmetric.Metrics) (at pcommon.Timestamp) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, p := range pointsOf(m) {
					at = max(at, p.Timestamp())
				}
			}
		}
	}
	return at
}

// isFirstZero tells whether a point may be the zero that a total begins with.
func isFirstZero(p point) bool {
	switch p := p.(type) {
	case pmetric.NumberDataPoint:
		return p.StartTimestamp() != 0 && p.DoubleValue() == 0
	case pmetric.HistogramDataPoint:
		return p.Count() == 0
	case pmetric.ExponentialHistogramDataPoint:
		return p.Count() == 0
	case pmetric.SummaryDataPoint:
		return p.Count() == 0
	default:
		return false
	}
}

// checkExemplars holds that an exemplar, whose label op is unique, is not handed on with later values again.
func (s *sink) checkExemplars(m pmetric.Metric, fault func(string, ...any)) {
	if m.Type() != pmetric.MetricTypeSum {
		return
	}
	for _, p := range m.Sum().DataPoints().All() {
		for _, e := range p.Exemplars().All() {
			op, _ := e.FilteredAttributes().Get("op")
			if s.seen[op.Str()] {
				fault("the exemplar %s of %s again", op.Str(), m.Name())
			}
			s.seen[op.Str()] = true
		}
	}
}

func pointsOf(m pmetric.Metric) (points []point) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			points = append(points, p)
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			points = append(points, p)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			points = append(points, p)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			points = append(points, p)
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			points = append(points, p)
		}
	}
	return points
}

// clobber spoils what was handed on, as a consumer that owns it may.
func clobber(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		rm.Resource().Attributes().Clear()
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				m.SetName("clobbered")
				for _, p := range pointsOf(m) {
					p.Attributes().Clear()
				}
			}
		}
	}
}

// allFaults lists everything that should not have been handed on, and forgets it.
func (s *sink) allFaults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	faults := slices.Concat(s.faults, s.db.faults())
	s.faults = nil
	return faults
}
