// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a next consumer that stores samples as Prometheus does: one that is older than the last of its series, or as old with
// another value, is out of order.
type backend struct {
	delay   func(*call) time.Duration // how long a call takes
	refuse  func(*call) error
	mutates bool // as its Capabilities say
	fansOut bool // The data is read-only for it.

	mu         sync.Mutex
	calls      []*call
	series     map[string]sample
	outOfOrder []string
	underWay   map[string]bool // jobs
	together   []string        // jobs that were in two calls at once
}

// call is a call of the next consumer.
type call struct {
	ctx     context.Context
	at      time.Time
	samples []sample // in their order
	err     error
	done    bool
}

type sample struct {
	series string // name{job,label="value",...}
	job    string
	ms     int64
	value  string
}

func (s sample) String() string { return s.series + " " + s.value }

func (b *backend) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: b.mutates}
}

func (b *backend) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if b.fansOut {
		md.MarkReadOnly()
	}
	c := &call{ctx: ctx, at: time.Now(), samples: samplesOf(md)}
	b.begin(c)
	if b.delay != nil {
		select {
		case <-time.After(b.delay(c)):
		case <-ctx.Done():
			c.err = ctx.Err()
		}
	}
	if c.err == nil && b.refuse != nil {
		c.err = b.refuse(c)
	}
	if !b.fansOut { // What a consumer was given is its own.
		pmetric.NewMetrics().CopyTo(md)
	}
	b.end(c)
	return c.err
}

func (b *backend) begin(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, c)
	if b.underWay == nil {
		b.underWay = map[string]bool{}
	}
	for _, job := range c.jobs() {
		if b.underWay[job] {
			b.together = append(b.together, job)
		}
		b.underWay[job] = true
	}
}

func (b *backend) end(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.done = true
	for _, job := range c.jobs() {
		delete(b.underWay, job)
	}
	if c.err != nil {
		return
	}
	if b.series == nil {
		b.series = map[string]sample{}
	}
	for _, s := range c.samples {
		if last, ok := b.series[s.series]; ok && (s.ms < last.ms || s.ms == last.ms && s.value != last.value) {
			b.outOfOrder = append(b.outOfOrder, fmt.Sprintf("%v after %v", s, last))
		}
		b.series[s.series] = s
	}
}

// all are the calls until now.
func (b *backend) all() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// forget returns the calls until now and forgets them.
func (b *backend) forget() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	return calls
}

// value is the last value of a series, or empty.
func (b *backend) value(series string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.series[series].value
}

// requireSound holds the calls to what every backend needs.
func (b *backend) requireSound(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Empty(t, b.outOfOrder)
	assert.Empty(t, b.together, "two calls at once for one grouping key")
}

// jobs lists the jobs of a call, in their order.
func (c *call) jobs() (jobs []string) {
	seen := map[string]bool{}
	for _, s := range c.samples {
		if !seen[s.job] {
			seen[s.job] = true
			jobs = append(jobs, s.job)
		}
	}
	return jobs
}

func (c *call) has(series string) bool {
	return slices.ContainsFunc(c.samples, func(s sample) bool { return s.series == series })
}

// texts spells the samples but for the push times.
func (c *call) texts() (all []string) {
	for _, s := range c.samples {
		if !strings.HasPrefix(s.series, "push_") {
			all = append(all, s.String())
		}
	}
	return all
}

const stale = "stale"

// samplesOf lists the samples of numbers.
func samplesOf(md pmetric.Metrics) (samples []sample) {
	for _, rm := range md.ResourceMetrics().All() {
		job, _ := rm.Resource().Attributes().Get("service.name")
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				points := pmetric.NewNumberDataPointSlice()
				if m.Type() == pmetric.MetricTypeSum {
					points = m.Sum().DataPoints()
				} else if m.Type() == pmetric.MetricTypeGauge {
					points = m.Gauge().DataPoints()
				}
				for _, p := range points.All() {
					s := sample{nameOf(m.Name(), job.Str(), p.Attributes()), job.Str(), p.Timestamp().AsTime().UnixMilli(), fmt.Sprint(p.DoubleValue())}
					if p.Flags().NoRecordedValue() {
						s.value = stale
					}
					samples = append(samples, s)
				}
			}
		}
	}
	return samples
}

func nameOf(metric, job string, labels pcommon.Map) string {
	parts := []string{job}
	for k, v := range labels.All() {
		parts = append(parts, fmt.Sprintf("%s=%q", k, v.Str()))
	}
	slices.Sort(parts[1:])
	return metric + "{" + strings.Join(parts, ",") + "}"
}

// observer records what it is told.
type observer struct {
	mu     sync.Mutex
	points int
	failed int
	events []string
}

func (o *observer) Called(_ context.Context, points int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.points += points
	if err != nil {
		o.failed++
	}
}

func (o *observer) Quarantined(part *store.Part, err error) {
	o.note("quarantined " + part.Key.Job + " " + part.Name() + ": " + err.Error())
}

func (o *observer) Accepted(part *store.Part) { o.note("accepted " + part.Key.Job + " " + part.Name()) }

func (o *observer) note(event string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event)
}

// log is what was logged until now.
func (o *observer) log() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.events)
}
