// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// TotalsOf is the path of the aggregate whose totals a Backend checks.
const TotalsOf = "/metrics/job/X"

// pushersAtOnce is the number of pushers of TotalsOf that push in one round. MaxPushers leaves room for those of the job Y, too.
const (
	pushersAtOnce = 4
	MaxPushers    = 2 * pushersAtOnce
)

// ForgetPushersAfter is the time to live of pushers.
const ForgetPushersAfter = 10 * time.Minute

// ModelOptions are the options of a store for Concurrently and Pushers.
func ModelOptions() store.Options {
	o := Aggregating()
	o.RepublishInterval, o.TTL, o.MaxPushers = 64*time.Second, 2*time.Hour, MaxPushers
	o.Rules[0].PusherTTL = ForgetPushersAfter
	return o
}

// Pushers push to the aggregate of the job X, and know what it must count: what was answered, once each. A push without an answer is
// repeated, at another store of the database, until it has one.
type Pushers struct {
	mu     sync.Mutex
	totals map[string]int // of counters
	alive  map[string]int // of gauges, by pusher that has not ended
}

// Push has the pushers of a round push at the same time. Pushers of rounds before do not push any more.
func (p *Pushers) Push(t *testing.T, b *Backend, seed uint64, round int, stores ...*Store) {
	t.Helper()
	p.alive = make(map[string]int)
	if p.totals == nil {
		p.totals = make(map[string]int)
	}
	var all sync.WaitGroup
	for i := range pushersAtOnce {
		all.Go(func() {
			p.push(t, b, rand.New(rand.NewPCG(seed, uint64(1000*round+i))), fmt.Sprintf("%d-%d", round, i), stores)
		})
	}
	all.Go(func() { disturb(t, b, rand.New(rand.NewPCG(seed, uint64(1000*round+500))), stores) })
	all.Wait()
}

// push is what one pusher does.
func (p *Pushers) push(t *testing.T, b *Backend, r *rand.Rand, name string, stores []*Store) {
	series := fmt.Sprintf(`c{i="%d"}`, r.IntN(2))
	value := 0
	for n := range 8 {
		b.killNowAndThen(r)
		counted := 1 + r.IntN(5)
		switch {
		case n > 0 && r.IntN(4) == 0:
			untilAnswered(t, stores, r, "DELETE "+name)
			p.count(name, nil, 0)
			value = counted
		case value > 5 && r.IntN(3) == 0: // It restarts, and its counters with it.
			value = counted
		default:
			value += counted
		}
		step := fmt.Sprintf("PUT %s c %d; %s %d; max_g %d", name, value, series, value, value)
		for range 1 + r.IntN(2) { // A client that has missed the answer repeats the push.
			untilAnswered(t, stores, r, step)
		}
		p.count(name, []string{"c", series}, counted)
		p.mu.Lock()
		p.alive[name] = value
		p.mu.Unlock()
	}
}

// count notes what was answered. Without counters, the pusher has ended.
func (p *Pushers) count(name string, counters []string, counted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range counters {
		p.totals[c] += counted
	}
	if counters == nil {
		delete(p.alive, name)
	}
}

// untilAnswered repeats a step at the stores in turn until it is done.
func untilAnswered(t *testing.T, stores []*Store, r *rand.Rand, step string) {
	for n := r.IntN(len(stores)); t.Context().Err() == nil; n++ {
		err := Contribute(t, stores[n%len(stores)], step)
		if err == nil {
			return
		}
		if _, failed := errors.AsType[*store.StorageError](err); !failed && !errors.Is(err, store.ErrBusy) {
			assert.NoError(t, err, step)
			return
		}
	}
}

// disturb does all that can be done to an aggregate and a group of one key.
func disturb(t *testing.T, b *Backend, r *rand.Rand, stores []*Store) {
	key := pushtest.Key(t, "job/Y")
	for range 16 {
		b.killNowAndThen(r)
		s := stores[r.IntN(len(stores))]
		pusher := fmt.Sprintf("job/Y/job_id/%d", r.IntN(3))
		switch r.IntN(8) {
		case 0:
			_ = s.EndAggregate(t.Context(), key)
		case 1:
			_ = s.EndPusher(t.Context(), key, pushtest.Key(t, pusher))
		case 2:
			_ = s.Delete(t.Context(), key)
		case 3:
			_ = s.Push(t.Context(), key, FamiliesOf(t, s, pushtest.Text(t, "job/Y", "n 1\n")), true, s.Now())
		default:
			body := Text(fmt.Sprintf(`c{i="%d"} %d; sum_g %d; g %d`, r.IntN(3), r.IntN(9), r.IntN(3), r.IntN(3)))
			_ = s.Contribute(t.Context(), ContributionOf(t, s, "PUT", pusher, body))
		}
	}
}

// RequireCounted wants a store, and a backend that has all of it, to have counted each answered push once.
func (p *Pushers) RequireCounted(t *testing.T, s *Store, b *Backend) {
	t.Helper()
	var want []string
	for name, n := range p.totals {
		want = append(want, fmt.Sprint(name, " ", n))
	}
	highest := 0
	for _, value := range p.alive {
		highest = max(highest, value)
	}
	if len(p.alive) > 0 {
		want = append(want, fmt.Sprint("max_g ", highest))
	}
	slices.Sort(want)
	got := strings.Split(Values(t, s), "; ")
	slices.Sort(got)
	require.Equal(t, want, got)
	for name, n := range p.totals {
		require.InDelta(t, n, b.totals[name].value, 0, "the backend shows %s", name)
	}
}

// total is the latest value of a counter.
type total struct {
	at    time.Time
	value float64
}

// takeTotals notes totals, which never fall. A zero comes only with the first value.
func (b *Backend) takeTotals(claim *store.Claim, p *store.Part) {
	for _, rm := range p.Metrics().ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() != pmetric.MetricTypeSum {
					continue
				}
				for _, point := range m.Sum().DataPoints().All() {
					name, value := m.Name()+labels(point.Attributes()), point.DoubleValue()
					switch before := b.totals[name]; {
					case claim.At.Before(before.at): // It comes late.
					case value < before.value:
						b.fail("the total of %s falls from %v to %v", name, before.value, value)
					default:
						b.totals[name] = total{claim.At, value}
					}
				}
			}
		}
	}
}
