// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
)

// proxyRig is an outbox that forwards pushes to a backend.
type proxyRig struct {
	*backend

	outbox   *Outbox
	observer observer
	spans    *tracetest.SpanRecorder
	tracer   *trace.TracerProvider
}

func newProxyRig(b *backend) *proxyRig {
	r := &proxyRig{backend: b, spans: tracetest.NewSpanRecorder()}
	r.tracer = trace.NewTracerProvider(trace.WithSpanProcessor(r.spans))
	r.outbox = New(Options{Next: b, Observer: &r.observer, Tracer: r.tracer.Tracer(""), Now: time.Now})
	return r
}

// forward forwards a push of a metric to a job.
func (r *proxyRig) forward(ctx context.Context, t *testing.T, job, body string) error {
	t.Helper()
	path := "job/" + job
	return r.outbox.Forward(ctx, pushtest.Key(t, path), pushtest.Text(t, path, body+"\n"))
}

// start forwards a push in the background, up to where it waits.
func (r *proxyRig) start(ctx context.Context, t *testing.T, job, body string) <-chan error {
	t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- r.forward(ctx, t, job, body) }()
	synctest.Wait()
	return answer
}

// fill begins as many calls as there usually may be at once.
func (r *proxyRig) fill(t *testing.T) {
	t.Helper()
	for i := range usualCalls {
		r.start(t.Context(), t, fmt.Sprint("full", i), "a 1")
	}
}

// requireIdle has nothing left behind.
func (r *proxyRig) requireIdle(t *testing.T) {
	t.Helper()
	synctest.Wait()
	r.requireSound(t)
	x := &r.outbox.proxy
	x.mu.Lock()
	defer x.mu.Unlock()
	assert.Empty(t, x.calls)
	assert.Empty(t, x.keys)
	assert.Empty(t, x.lanes)
	assert.Zero(t, x.waiting.Len())
}

func takes(d time.Duration) func(*call) time.Duration { return func(*call) time.Duration { return d } }

// refusing refuses calls with a job that begins with poison.
func refusing(err error) func(*call) error {
	return func(c *call) error {
		if slices.ContainsFunc(c.jobs(), func(job string) bool { return strings.HasPrefix(job, "poison") }) {
			return err
		}
		return nil
	}
}

// proxyTest runs a test with a rig in a bubble.
func proxyTest(t *testing.T, b *backend, test func(*testing.T, *proxyRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newProxyRig(b)
		test(t, r)
		r.requireIdle(t)
		require.NoError(t, r.outbox.Shutdown(t.Context()))
	})
}

// TestLonePush is forwarded in its own goroutine, with its own context and data.
func TestLonePush(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{}, func(t *testing.T, r *proxyRig) {
		type own struct{}
		ctx := context.WithValue(t.Context(), own{}, "own")
		require.NoError(t, r.forward(ctx, t, "j", "a 1"))
		calls := r.all()
		require.Len(t, calls, 1)
		assert.Equal(t, []string{"a{j} 1"}, calls[0].texts())
		assert.Equal(t, ctx, calls[0].ctx)
		assert.Empty(t, r.spans.Started(), "it has the span of its request")
		r.refuse = func(*call) error { return errPermanent }
		assert.Equal(t, errPermanent, r.forward(t.Context(), t, "j", "a 1"))
	})
}

// TestBatch forms of what arrives while as many calls as usual are under way. It goes when these are slow.
func TestBatch(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{delay: takes(time.Second)}, func(t *testing.T, r *proxyRig) {
		r.fill(t)
		require.Len(t, r.all(), usualCalls)
		var answers []<-chan error
		for i := range 100 {
			answers = append(answers, r.start(t.Context(), t, fmt.Sprint("j", i), "a 1"))
		}
		assert.Len(t, r.all(), usualCalls)
		start := time.Now()
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		assert.Equal(t, slowCall+time.Second, time.Since(start))
		calls := r.all()
		require.Len(t, calls, usualCalls+1)
		require.Len(t, calls[usualCalls].jobs(), 100)
		assert.Equal(t, "j0", calls[usualCalls].jobs()[0])
		assert.Equal(t, "j99", calls[usualCalls].jobs()[99])
		for _, s := range calls[usualCalls].samples {
			assert.Equal(t, calls[usualCalls].at.UnixMilli(), s.ms)
		}
	})
}

// TestBatchIsBounded in groups and series. Only a single push exceeds the bound.
func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	of := func(series int) string {
		var b strings.Builder
		for i := range series {
			fmt.Fprintf(&b, "a{i=\"%d\"} 1\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		pushes []int // series
		want   []int // groups of each call
	}{
		"groups":                  {slices.Repeat([]int{1}, maxGroups+1), []int{maxGroups, 1}},
		"series":                  {slices.Repeat([]int{maxSeries / 2}, 3), []int{2, 1}},
		"a large one":             {[]int{1, maxSeries + 1, 1, 1}, []int{1, 1, 2}},
		"a large one comes first": {[]int{maxSeries + 1, 1}, []int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxyTest(t, &backend{delay: takes(time.Second)}, func(t *testing.T, r *proxyRig) {
				r.fill(t)
				for i, series := range c.pushes {
					r.start(t.Context(), t, fmt.Sprint("j", i), of(series))
				}
				time.Sleep(time.Minute)
				var groups []int
				for _, call := range r.all()[usualCalls:] {
					groups = append(groups, len(call.jobs()))
				}
				slices.Sort(groups)
				slices.Sort(c.want)
				assert.Equal(t, c.want, groups, "calls that begin together are in any order")
			})
		})
	}
}

// TestOneCallPerKey forwards the pushes of a key one after the other, in the order of their arrival, and other keys meanwhile.
func TestOneCallPerKey(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{delay: takes(time.Second)}, func(t *testing.T, r *proxyRig) {
		for i := range 5 {
			r.start(t.Context(), t, "j", fmt.Sprint("a ", i))
		}
		other := r.start(t.Context(), t, "k", "a 1")
		require.Len(t, r.all(), 2)
		time.Sleep(time.Second)
		require.NoError(t, <-other)
		time.Sleep(time.Minute)
		var values []string
		for _, c := range r.all() {
			for _, s := range c.samples {
				if s.series == "a{j}" {
					values = append(values, s.value)
				}
			}
		}
		assert.Equal(t, []string{"0", "1", "2", "3", "4"}, values)
		assert.Equal(t, 5*time.Second, r.all()[5].at.Sub(r.all()[0].at)+time.Second)
	})
}

// TestEachPushHasItsOwnAnswer whatever kind of poison is in its batch, and whatever the consumer does with its data.
func TestEachPushHasItsOwnAnswer(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*backend{
		"permanent":              {refuse: refusing(errPermanent)},
		"transient":              {refuse: refusing(errTransient)},
		"consumer mutates":       {refuse: refusing(errTransient), mutates: true},
		"consumers share":        {refuse: refusing(errTransient), fansOut: true},
		"permanent, they share":  {refuse: refusing(errPermanent), fansOut: true},
		"permanent, one mutates": {refuse: refusing(errPermanent), mutates: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.delay = takes(50 * time.Millisecond)
			proxyTest(t, b, func(t *testing.T, r *proxyRig) {
				r.fill(t)
				answers := map[string]<-chan error{}
				for i := range 20 {
					job := fmt.Sprint("j", i)
					if i == 13 {
						job = "poison"
					}
					answers[job] = r.start(t.Context(), t, job, fmt.Sprintf("a %d\nb{x=\"y\"} 2", i))
				}
				time.Sleep(time.Second)
				var first int64
				for job, answer := range answers {
					err := <-answer
					if job == "poison" {
						assert.Error(t, err)
						assert.Empty(t, r.value("a{poison}"))
						continue
					}
					require.NoError(t, err)
					assert.Equal(t, strings.TrimPrefix(job, "j"), r.value("a{"+job+"}"))
					assert.Equal(t, "2", r.value("b{"+job+",x=\"y\"}"))
					if first == 0 {
						first = r.series["a{"+job+"}"].ms
					}
					assert.Equal(t, first, r.series["a{"+job+"}"].ms, "halves keep the time of the batch")
				}
				calls := r.all()
				assert.Len(t, calls[usualCalls:], 1+2*5)
			})
		})
	}
}

// TestSlowPoison halves no longer than a push may wait.
func TestSlowPoison(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{refuse: refusing(errTransient), delay: takes(2 * time.Second)}, func(t *testing.T, r *proxyRig) {
		r.fill(t)
		good, bad := r.start(t.Context(), t, "j", "a 1"), r.start(t.Context(), t, "poison", "a 1")
		assert.Equal(t, errTransient, <-good)
		assert.Equal(t, errTransient, <-bad)
		assert.Len(t, r.all(), usualCalls+1)
	})
}

// TestOutage refuses everybody after one more call.
func TestOutage(t *testing.T) {
	t.Parallel()
	busy := consumererror.NewRetryableError(errTransient)
	proxyTest(t, &backend{refuse: func(*call) error { return busy }, delay: takes(10 * time.Millisecond)}, func(t *testing.T, r *proxyRig) {
		r.fill(t)
		var answers []<-chan error
		for i := range 300 {
			answers = append(answers, r.start(t.Context(), t, fmt.Sprint("j", i), "a 1"))
		}
		for _, answer := range answers {
			assert.Equal(t, busy, <-answer)
		}
		assert.Len(t, r.all(), usualCalls+3)
		assert.Equal(t, usualCalls+3, r.observer.failed)
	})
}

// TestPushGivesUp while it waits, for its key or for a call. It is not forwarded, and those behind it are.
func TestPushGivesUp(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{delay: takes(time.Second)}, func(t *testing.T, r *proxyRig) {
		r.fill(t)
		gone, cancel := context.WithCancel(t.Context())
		ready, behind := r.start(gone, t, "j", "a 1"), r.start(t.Context(), t, "j", "a 2")
		queued, last := r.start(gone, t, "full0", "a 3"), r.start(t.Context(), t, "full0", "a 4")
		cancel()
		start := time.Now()
		require.Equal(t, ErrBusy, <-ready)
		require.Equal(t, ErrBusy, <-queued)
		assert.Zero(t, time.Since(start))
		require.NoError(t, <-behind)
		require.NoError(t, <-last)
		for _, c := range r.all() {
			assert.NotContains(t, c.texts(), "a{j} 1")
			assert.NotContains(t, c.texts(), "a{full0} 3")
		}
		require.Equal(t, ErrBusy, r.forward(gone, t, "k", "a 1"), "it had ended before")
	})
}

// TestClientsGo while their call is under way. The call is cancelled with the last of them.
func TestClientsGo(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{delay: takes(time.Second)}, func(t *testing.T, r *proxyRig) {
		r.fill(t)
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		a, b := r.start(first, t, "a", "m 1"), r.start(second, t, "b", "m 1")
		time.Sleep(slowCall + time.Second/2)
		call := r.all()[usualCalls]
		leaveFirst()
		require.Equal(t, ErrBusy, <-a, "what became of it is not known")
		synctest.Wait()
		require.NoError(t, call.ctx.Err(), "the other one waits")
		leaveSecond()
		require.Equal(t, ErrBusy, <-b)
		synctest.Wait()
		require.ErrorIs(t, call.err, context.Canceled)
		require.NoError(t, r.forward(t.Context(), t, "a", "m 2"), "the key is free")
	})
}

// identity is what a client was authenticated as.
type identity string

func (i identity) GetAttribute(string) any   { return string(i) }
func (identity) GetAttributeNames() []string { return []string{"subject"} }

func as(ctx context.Context, tenant string, auth client.AuthData) context.Context {
	return client.NewContext(ctx, client.Info{Metadata: client.NewMetadata(map[string][]string{"tenant": {tenant}}), Auth: auth})
}

// TestLanes keeps clients apart, and serves them in turn.
func TestLanes(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{delay: takes(time.Second)}, func(t *testing.T, r *proxyRig) {
		r.fill(t)
		for i := range maxGroups * (usualCalls + 2) {
			go func() { _ = r.forward(as(t.Context(), "flood", nil), t, fmt.Sprint("flood", i), "a 1") }()
		}
		synctest.Wait()
		var answers []<-chan error
		for i, ctx := range []context.Context{
			as(t.Context(), "1", nil), as(t.Context(), "2", nil), as(t.Context(), "1", identity("x")), as(t.Context(), "1", identity("y")), as(t.Context(), "1", nil),
		} {
			answers = append(answers, r.start(ctx, t, fmt.Sprint("j", i), "a 1"))
		}
		start := time.Now()
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		assert.LessOrEqual(t, time.Since(start), 3*time.Second, "the flood is not served first")
		time.Sleep(time.Minute)
		var batches [][]string
		for _, c := range r.all()[usualCalls:] {
			info := client.FromContext(c.ctx)
			require.NotEmpty(t, info.Metadata.Get("tenant"))
			if jobs := c.jobs(); strings.HasPrefix(jobs[0], "j") {
				batches = append(batches, jobs)
				assert.Equal(t, info.Metadata.Get("tenant")[0] == "2", jobs[0] == "j1")
				assert.Equal(t, info.Auth != nil, jobs[0] == "j2" || jobs[0] == "j3")
			}
		}
		assert.ElementsMatch(t, [][]string{{"j0", "j4"}, {"j1"}, {"j2"}, {"j3"}}, batches)
	})
}

// TestSpansAreLinked from the span of a batch to those of its pushes.
func TestSpansAreLinked(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{delay: takes(time.Second)}, func(t *testing.T, r *proxyRig) {
		r.fill(t)
		var links []string
		for i := range 3 {
			ctx, span := r.tracer.Tracer("").Start(t.Context(), "push")
			links = append(links, span.SpanContext().SpanID().String())
			r.start(ctx, t, fmt.Sprint("j", i), "a 1")
		}
		time.Sleep(time.Minute)
		ended := r.spans.Ended()
		require.Len(t, ended, 1)
		assert.Equal(t, "receiver/pushgateway/batch", ended[0].Name())
		var linked []string
		for _, link := range ended[0].Links() {
			linked = append(linked, link.SpanContext.SpanID().String())
		}
		assert.Equal(t, links, linked)
	})
}

// TestProxyUnderLoad has many clients, poison, impatience and outages. What a backend has is what was answered.
func TestProxyUnderLoad(t *testing.T) {
	t.Parallel()
	const clients, rounds, jobs = 24, 60, 12
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(1, 2))
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(n)
	}
	b := &backend{
		delay: func(*call) time.Duration { return time.Duration(roll(4000)) * time.Microsecond },
		refuse: func(c *call) error {
			if time.Now().UnixMilli()/40%5 == 0 {
				return errTransient
			}
			return refusing(errPermanent)(c)
		},
	}
	proxyTest(t, b, func(t *testing.T, r *proxyRig) {
		var all sync.WaitGroup
		accepted, refused := 0, 0
		for n := range clients {
			all.Go(func() {
				for i := range rounds {
					job := fmt.Sprint("j", roll(jobs))
					if roll(20) == 0 {
						job = "poison"
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+roll(30))*time.Millisecond)
					value := n*rounds + i
					err := r.forward(ctx, t, job, fmt.Sprintf("a{n=\"%d\"} %d", n, value))
					cancel()
					if err == nil {
						assert.NotEqual(t, "poison", job)
						assert.Equal(t, strconv.Itoa(value), r.value(fmt.Sprintf("a{%s,n=\"%d\"}", job, n)))
					}
					mu.Lock()
					if err == nil {
						accepted++
					} else {
						refused++
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		assert.Equal(t, clients*rounds, accepted+refused)
		assert.Greater(t, accepted, clients*rounds/4)
		assert.Greater(t, refused, clients*rounds/50)
	})
}

// TestSlowCallsMakeRoom for others, which are batches of what has arrived since, up to maxCalls.
func TestSlowCallsMakeRoom(t *testing.T) {
	t.Parallel()
	proxyTest(t, &backend{delay: takes(10 * slowCall)}, func(t *testing.T, r *proxyRig) {
		start := time.Now()
		var answers []<-chan error
		for i := range 10 * maxCalls {
			answers = append(answers, r.start(t.Context(), t, fmt.Sprint("j", i), "a 1"))
			time.Sleep(slowCall / 10)
		}
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		var began []time.Duration
		for _, c := range r.all()[:maxCalls] {
			began = append(began, c.at.Sub(start).Truncate(slowCall/10))
		}
		const tenth = slowCall / 10
		assert.Equal(t, []time.Duration{0, tenth, slowCall, slowCall + tenth, 2 * slowCall, 2*slowCall + tenth, 3 * slowCall, 3*slowCall + tenth}, began)
		assert.Equal(t, 10*slowCall, r.all()[maxCalls].at.Sub(start).Truncate(tenth), "the first of them has ended")
	})
}
