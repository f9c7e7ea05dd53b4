// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// interval is how often groups are republished.
const interval = time.Minute

// groupsRig is an outbox that exports the groups of a store to a backend.
type groupsRig struct {
	*backend

	outbox   *Outbox
	store    *memory.Store
	options  store.Options
	observer observer
}

func newGroupsRig(b *backend, change func(*store.Options)) *groupsRig {
	r := &groupsRig{backend: b}
	options := store.Options{
		Scope: pushtest.Scope, RepublishInterval: interval, Now: time.Now,
		PushTimes: func(key groupingkey.Key, pushed, failed time.Time) pmetric.Metrics {
			return translate.PushTimes(key, pushtest.Options(), pushed, failed)
		},
	}
	if change != nil {
		change(&options)
	}
	r.outbox = New(Options{
		Next: b, Observer: &r.observer, Tracer: noop.NewTracerProvider().Tracer(""), RepublishInterval: options.RepublishInterval, Now: time.Now, ErrorText: error.Error,
	})
	options.Tick = r.outbox.Tick
	r.options = options
	r.store = memory.New(options, nil)
	return r
}

func withoutPushTimes(o *store.Options) { o.PushTimes = nil }
func neverAgain(o *store.Options)       { o.RepublishInterval = 0 }

// groupsTest runs a test with a rig in a bubble.
func groupsTest(t *testing.T, b *backend, change func(*store.Options), test func(*testing.T, *groupsRig)) {
	t.Helper()
	filledTest(t, b, change, func(*testing.T, *groupsRig) {}, test)
}

// filledTest fills the store before its groups are exported.
func filledTest(t *testing.T, b *backend, change func(*store.Options), fill, test func(*testing.T, *groupsRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newGroupsRig(b, change)
		fill(t, r)
		r.outbox.Serve(r.store)
		test(t, r)
		r.requireSound(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, r.outbox.Shutdown(ctx))
	})
}

// put replaces a group. It waits for nothing.
func (r *groupsRig) put(t *testing.T, job string, metrics ...string) {
	t.Helper()
	key := pushtest.Key(t, "job/"+job)
	push := pushtest.Text(t, "job/"+job, strings.Join(metrics, "\n")+"\n")
	var families []*store.Family
	for _, f := range push.Families {
		push.WithFamily(f, func(md pmetric.Metrics) {
			family, err := r.options.NewFamily(f.Name, f.Type.String(), md)
			require.NoError(t, err)
			families = append(families, family)
		})
	}
	start := time.Now()
	require.NoError(t, r.store.Push(t.Context(), key, families, true, start))
	require.Zero(t, time.Since(start))
}

func (r *groupsRig) delete(t *testing.T, job string) {
	t.Helper()
	start := time.Now()
	require.NoError(t, r.store.Delete(t.Context(), pushtest.Key(t, "job/"+job)))
	require.Zero(t, time.Since(start))
}

// waiting is how many groups have changes that were not accepted.
func (r *groupsRig) waiting() int {
	synctest.Wait()
	n, _ := r.store.Waiting()
	return n
}

// refusingSeries refuses calls with a sample whose text begins with a prefix.
func refusingSeries(err error, prefix string) func(*call) error {
	return func(c *call) error {
		if slices.ContainsFunc(c.samples, func(s sample) bool { return strings.HasPrefix(s.String(), prefix) }) {
			return err
		}
		return nil
	}
}

// busyWith fills as many calls as there usually may be at once for a second, so that what changes meanwhile is in one claim.
func (r *groupsRig) busyWith(t *testing.T) {
	t.Helper()
	for i := range usualCalls {
		r.put(t, fmt.Sprint("busy", i), "a 1")
		synctest.Wait()
	}
}

// slowIf makes the calls with such a job take some time.
func slowIf(prefix string, d time.Duration) func(*call) time.Duration {
	return func(c *call) time.Duration {
		if slices.ContainsFunc(c.jobs(), func(job string) bool { return strings.HasPrefix(job, prefix) }) {
			return d
		}
		return 0
	}
}

func TestChangeIsExportedAtOnce(t *testing.T) {
	t.Parallel()
	groupsTest(t, &backend{}, nil, func(t *testing.T, r *groupsRig) {
		start := time.Now()
		r.put(t, "j", "a 1", "b 2")
		synctest.Wait()
		calls := r.forget()
		require.Len(t, calls, 1)
		assert.Equal(t, start, calls[0].at)
		assert.Equal(t, []string{"a{j} 1", "b{j} 2"}, calls[0].texts())
		assert.True(t, calls[0].has("push_time_seconds{j}"))
		r.put(t, "j", "b 3")
		synctest.Wait()
		calls = r.forget()
		require.Len(t, calls, 1)
		assert.Equal(t, []string{"a{j} stale", "b{j} 3"}, calls[0].texts())
		r.delete(t, "j")
		synctest.Wait()
		calls = r.forget()
		require.Len(t, calls, 1)
		assert.Equal(t, []string{"b{j} stale"}, calls[0].texts())
		assert.Zero(t, r.waiting())
		assert.Equal(t, store.Counts{}, r.store.Counts())
		time.Sleep(10 * interval)
		assert.Empty(t, r.all())
	})
}

// TestChangesCoalesce while a call is under way. The newest values follow.
func TestChangesCoalesce(t *testing.T) {
	t.Parallel()
	groupsTest(t, &backend{delay: takes(time.Second)}, neverAgain, func(t *testing.T, r *groupsRig) {
		r.put(t, "j", "a 0")
		for i := range 10 {
			synctest.Wait()
			r.put(t, "j", fmt.Sprint("a ", i+1))
		}
		time.Sleep(10 * time.Second)
		calls := r.all()
		require.Len(t, calls, 2)
		assert.Equal(t, []string{"a{j} 10"}, calls[1].texts())
		assert.Equal(t, time.Second, calls[1].at.Sub(calls[0].at))
	})
}

// TestClaimsAreBatched when as many calls as there may be are under way.
func TestClaimsAreBatched(t *testing.T) {
	t.Parallel()
	groupsTest(t, &backend{delay: takes(time.Second)}, neverAgain, func(t *testing.T, r *groupsRig) {
		r.busyWith(t)
		for i := range maxGroups + 1 {
			r.put(t, fmt.Sprint("j", i), "a 1")
		}
		time.Sleep(time.Minute)
		calls := r.all()
		require.Len(t, calls, usualCalls+2)
		assert.Equal(t, maxGroups+1, len(calls[usualCalls].jobs())+len(calls[usualCalls+1].jobs()))
	})
}

// TestSlowCall holds up nothing else.
func TestSlowCall(t *testing.T) {
	t.Parallel()
	groupsTest(t, &backend{delay: slowIf("slow", 20*time.Second)}, nil, func(t *testing.T, r *groupsRig) {
		r.put(t, "slow", "a 1")
		synctest.Wait()
		for i := range 10 {
			r.put(t, "j", fmt.Sprint("a ", i))
			synctest.Wait()
			assert.Equal(t, strconv.Itoa(i), r.value("a{j}"))
		}
		assert.Empty(t, r.value("a{slow}"))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		assert.Equal(t, "1", r.value("a{slow}"))
	})
}

// TestHangingBackend keeps nobody waiting, and everything arrives when it is back.
func TestHangingBackend(t *testing.T) {
	t.Parallel()
	var back atomic.Bool
	b := &backend{delay: func(*call) time.Duration {
		if back.Load() {
			return time.Millisecond
		}
		return time.Hour
	}}
	groupsTest(t, b, nil, func(t *testing.T, r *groupsRig) {
		for i := range 600 {
			r.put(t, fmt.Sprint("j", i%100), fmt.Sprint("a ", i))
			time.Sleep(time.Second)
		}
		assert.Equal(t, 100, r.waiting())
		assert.Less(t, len(r.all()), 600/5*maxCalls, "no call ends sooner")
		back.Store(true)
		time.Sleep(callTimeout + interval)
		assert.Zero(t, r.waiting())
		for i := range 100 {
			assert.Equal(t, strconv.Itoa(500+i), r.value(fmt.Sprintf("a{j%d}", i)))
		}
	})
}

// TestOutage is probed with few groups. Everything arrives soon after it.
func TestOutageOfGroups(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"transient": errTransient, "permanent": errPermanent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var down atomic.Bool
			b := &backend{refuse: func(*call) error {
				if down.Load() {
					return err
				}
				return nil
			}}
			groupsTest(t, b, withoutPushTimes, func(t *testing.T, r *groupsRig) {
				down.Store(true)
				const groups = 300
				for i := range groups {
					r.put(t, fmt.Sprint("j", i), "a 1")
					synctest.Wait()
				}
				time.Sleep(10 * interval)
				seconds := map[int64]int{}
				calls := r.forget()
				for _, c := range calls {
					seconds[c.at.Unix()]++
					assert.LessOrEqual(t, len(c.jobs()), probeGroups)
				}
				assert.LessOrEqual(t, slices.Max(slices.Collect(maps.Values(seconds))), 2*levels(probeGroups)+2)
				assert.LessOrEqual(t, r.outbox.Quarantined(), 1)
				assert.GreaterOrEqual(t, r.waiting()+r.outbox.Quarantined(), groups)
				down.Store(false)
				r.put(t, "new", "a 1")
				time.Sleep(probeInterval)
				synctest.Wait()
				assert.Equal(t, "1", r.value("a{new}"))
				time.Sleep(interval)
				assert.Zero(t, r.waiting())
				assert.Zero(t, r.outbox.Quarantined())
			})
		})
	}
}

// TestPausesGrow for a group that is refused while nothing else is there.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	groupsTest(t, &backend{refuse: func(*call) error { return errTransient }}, withoutPushTimes, func(t *testing.T, r *groupsRig) {
		start := time.Now()
		r.put(t, "j", "a 1")
		time.Sleep(5 * interval)
		var at []time.Duration
		for _, c := range r.all() {
			at = append(at, c.at.Sub(start).Round(time.Second))
		}
		require.Greater(t, len(at), 6)
		assert.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second}, at[:6])
		assert.Less(t, len(at), 14)
	})
}

// TestPoisonFamily is found, logged once and tried once a round. Everything else arrives.
func TestPoisonFamily(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		others int
	}{
		"transient, among others": {errTransient, 50}, "permanent, among others": {errPermanent, 50},
		"transient, alone": {errTransient, 0}, "permanent, alone": {errPermanent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var poison atomic.Bool
			poison.Store(true)
			refuse := refusingSeries(c.err, "poison{")
			b := &backend{delay: slowIf("busy", time.Second), refuse: func(c *call) error {
				if poison.Load() {
					return refuse(c)
				}
				return nil
			}}
			groupsTest(t, b, nil, func(t *testing.T, r *groupsRig) {
				if c.others > 0 {
					r.busyWith(t)
				}
				for i := range c.others {
					r.put(t, fmt.Sprint("j", i), "a 1", "b 2")
				}
				r.put(t, "bad", "a 1", "poison 1", "z 2")
				time.Sleep(time.Second)
				synctest.Wait()
				for i := range c.others {
					assert.Equal(t, "1", r.value(fmt.Sprintf("a{j%d}", i)))
				}
				assert.Equal(t, "1", r.value("a{bad}"))
				assert.Equal(t, "2", r.value("z{bad}"))
				assert.NotEmpty(t, r.value("push_time_seconds{bad}"))

				time.Sleep(2 * time.Second)
				r.put(t, "bad", "a 2", "poison 2", "z 3")
				synctest.Wait()
				assert.Equal(t, "2", r.value("a{bad}"), "the rest does not wait")
				time.Sleep(5 * time.Second)
				r.put(t, "other", "a 1")
				time.Sleep(interval)
				want := "quarantined bad family poison: " + c.err.Error()
				assert.Equal(t, []string{want}, r.observer.log())
				assert.Equal(t, 1, r.outbox.Quarantined())
				refused, total := r.outbox.Refused(10, func(key groupingkey.Key) bool { return key.Job == "bad" })
				assert.Equal(t, 1, total)
				assert.Equal(t, "family poison", refused[0].Part)
				assert.Equal(t, 1, refused[0].Series)
				assert.Equal(t, c.err.Error(), refused[0].Error)
				assert.WithinRange(t, refused[0].Since, time.Now().Add(-2*interval), time.Now())
				assert.True(t, refused[0].Retry.After(refused[0].Since))
				_, total = r.outbox.Refused(10, func(key groupingkey.Key) bool { return key.Job == "other" })
				assert.Zero(t, total)

				r.forget()
				time.Sleep(10 * interval)
				tries := 0
				for _, call := range r.forget() {
					if call.has("poison{bad}") {
						tries++
						assert.Len(t, call.samples, 1, "by itself")
					}
				}
				assert.InDelta(t, 12, tries, 2, "once a round")

				poison.Store(false)
				time.Sleep(interval)
				synctest.Wait()
				assert.Equal(t, "2", r.value("poison{bad}"))
				assert.Equal(t, []string{want, "accepted bad family poison"}, r.observer.log())
				assert.Zero(t, r.outbox.Quarantined())
				assert.Zero(t, r.waiting())
			})
		})
	}
}

// TestMostFamiliesArePoison in the only group.
func TestMostFamiliesArePoison(t *testing.T) {
	t.Parallel()
	groupsTest(t, &backend{refuse: refusingSeries(errTransient, "poison")}, nil, func(t *testing.T, r *groupsRig) {
		r.put(t, "j", "poison1 1", "poison2 1", "poison3 1", "poison4 1", "poison5 1", "z 1")
		synctest.Wait()
		assert.Equal(t, "1", r.value("z{j}"))
		assert.NotEmpty(t, r.value("push_time_seconds{j}"))
	})
}

// TestPoisonMarker does not keep the other markers of its group from arriving. It lapses.
func TestPoisonMarker(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"transient": errTransient, "permanent": errPermanent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &backend{delay: slowIf("busy", time.Second), refuse: refusingSeries(err, "e{m} stale")}
			groupsTest(t, b, neverAgain, func(t *testing.T, r *groupsRig) {
				r.put(t, "m", "a 1", "b 1", "c 1", "d 1", "e 1", "f 1", "g 1")
				synctest.Wait()
				r.busyWith(t)
				r.delete(t, "m")
				r.put(t, "x", "a 1")
				r.put(t, "y", "a 1")
				time.Sleep(1500 * time.Millisecond)
				for _, name := range []string{"a{m}", "b{m}", "c{m}", "d{m}", "f{m}", "g{m}", "push_time_seconds{m}"} {
					assert.Equal(t, stale, r.value(name), name)
				}
				assert.Equal(t, "1", r.value("e{m}"))
				assert.Equal(t, "1", r.value("a{x}"))
				assert.Equal(t, "1", r.value("a{y}"))
				accepted := map[string]int{}
				for _, c := range r.all() {
					for _, s := range c.samples {
						if c.err == nil {
							accepted[fmt.Sprint(s, s.ms)]++
						}
					}
				}
				for s, n := range accepted {
					assert.Equal(t, 1, n, s)
				}
				time.Sleep(5 * time.Minute)
				_, expireErr := r.store.Expire(t.Context())
				require.NoError(t, expireErr)
				assert.Zero(t, r.store.Counts().Pending)
				r.forget()
				time.Sleep(10 * interval)
				assert.Empty(t, r.all())
			})
		})
	}
}

// TestHangingGroup hangs whenever it is exported. Values of other groups soon arrive all the same.
func TestHangingGroup(t *testing.T) {
	t.Parallel()
	delay := func(c *call) time.Duration {
		return max(10*time.Millisecond, slowIf("hang", time.Hour)(c)+slowIf("busy", time.Second)(c))
	}
	groupsTest(t, &backend{delay: delay}, nil, func(t *testing.T, r *groupsRig) {
		r.busyWith(t)
		r.put(t, "hang", "a 1", "b 1", "c 1", "d 1")
		for i := range 50 {
			r.put(t, fmt.Sprint("j", i), "a 1")
		}
		time.Sleep(3 * interval)
		for i := range 50 {
			require.Equal(t, "1", r.value(fmt.Sprintf("a{j%d}", i)))
		}
		for value := range 200 {
			for i := range 3 {
				r.put(t, fmt.Sprint("j", i), fmt.Sprint("a ", value))
			}
			r.put(t, "hang", fmt.Sprint("a ", value), "b 1", "c 1", "d 1")
			time.Sleep(partTimeout + time.Second)
			for i := range 3 {
				require.Equal(t, strconv.Itoa(value), r.value(fmt.Sprintf("a{j%d}", i)))
			}
		}
		assert.Equal(t, 5, r.outbox.Quarantined(), "its families and push times")
		parts, total := r.outbox.Refused(2, func(groupingkey.Key) bool { return true })
		assert.Equal(t, 5, total)
		assert.Len(t, parts, 2)
	})
}

// TestHangingGroupAlone looks like an outage until something else is accepted.
func TestHangingGroupAlone(t *testing.T) {
	t.Parallel()
	groupsTest(t, &backend{delay: slowIf("hang", time.Hour)}, nil, func(t *testing.T, r *groupsRig) {
		r.put(t, "hang", "a 1")
		time.Sleep(2 * interval)
		for i := range 5 {
			r.put(t, "j", fmt.Sprint("a ", i))
			time.Sleep(probeInterval + time.Millisecond)
			assert.Equal(t, strconv.Itoa(i), r.value("a{j}"))
			time.Sleep(7 * time.Second)
		}
	})
}

// TestOutageWhileRepublishing does not make thousands of parts suspect.
func TestOutageWhileRepublishing(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	var down atomic.Bool
	b := &backend{delay: takes(time.Millisecond), refuse: func(*call) error {
		if down.Load() && calls.Add(1) > 1 {
			return errTransient
		}
		return nil
	}}
	fill := func(t *testing.T, r *groupsRig) {
		for i := range 4 * maxGroups {
			r.put(t, fmt.Sprint("j", i), "a 1")
		}
	}
	filledTest(t, b, nil, fill, func(t *testing.T, r *groupsRig) {
		time.Sleep(interval / 2)
		down.Store(true)
		r.forget()
		time.Sleep(interval)
		assert.Less(t, len(r.forget()), 1500)
		assert.Zero(t, r.outbox.Quarantined())
		down.Store(false)
		time.Sleep(2 * interval)
		assert.Zero(t, r.waiting())
	})
}

// TestRepublish exports all groups in each interval, many in each call.
func TestRepublish(t *testing.T) {
	t.Parallel()
	const groups, rounds = 20_000, 3
	fill := func(t *testing.T, r *groupsRig) {
		for i := range groups {
			r.put(t, fmt.Sprint("j", i), "a 1")
			time.Sleep(2 * time.Millisecond)
		}
	}
	filledTest(t, &backend{delay: takes(10 * time.Millisecond)}, withoutPushTimes, fill, func(t *testing.T, r *groupsRig) {
		time.Sleep(interval)
		r.forget()
		time.Sleep(rounds * interval)
		calls := r.forget()
		assert.Less(t, len(calls), rounds*100)
		times := map[string]int{}
		for _, c := range calls {
			for _, s := range c.samples {
				times[s.series]++
			}
		}
		require.Len(t, times, groups)
		assert.GreaterOrEqual(t, slices.Min(slices.Collect(maps.Values(times))), rounds)
		assert.LessOrEqual(t, slices.Max(slices.Collect(maps.Values(times))), rounds+1)
	})
}

// TestNeitherStarves exports changes and rounds in turn if the backend is too slow for all changes.
func TestNeitherStarves(t *testing.T) {
	t.Parallel()
	const delay = 25 * time.Second
	groupsTest(t, &backend{delay: takes(delay)}, withoutPushTimes, func(t *testing.T, r *groupsRig) {
		const idle, changing = 200, 1600
		for i := range idle {
			r.put(t, fmt.Sprint("idle", i), "a 1")
		}
		time.Sleep(delay)
		for second := range 120 {
			for i := range changing / 8 {
				r.put(t, fmt.Sprint("j", (second*changing/8+i)%changing), fmt.Sprint("a ", second))
			}
			time.Sleep(time.Second)
		}
		last := map[string]time.Time{}
		gaps := map[string]time.Duration{}
		for _, c := range r.all() {
			for _, job := range c.jobs() {
				kind := strings.TrimRight(job, "0123456789")
				if before, ok := last[job]; ok {
					gaps[kind] = max(gaps[kind], c.at.Sub(before))
				}
				last[job] = c.at
			}
		}
		assert.Positive(t, gaps["idle"])
		assert.LessOrEqual(t, gaps["idle"], interval+2*delay)
		assert.LessOrEqual(t, gaps["j"], 3*delay)
		assert.Len(t, last, idle+changing)
		time.Sleep(2 * interval) // Shutdown would wait for longer than the test allows it.
	})
}

// TestShutdownExportsWhatIsLeft after the calls under way.
func TestShutdownExportsWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newGroupsRig(&backend{delay: takes(time.Second)}, nil)
		r.outbox.Serve(r.store)
		r.busyWith(t)
		for i := range 3000 {
			r.put(t, fmt.Sprint("j", i), "a 1")
		}
		require.NoError(t, r.outbox.Shutdown(t.Context()))
		assert.Zero(t, r.waiting())
		assert.Len(t, r.all(), usualCalls+3)
		r.put(t, "late", "a 1")
		time.Sleep(interval)
		assert.Equal(t, 1, r.waiting(), "nothing is claimed any more")
	})
}

// TestShutdownInAnOutage does not try what was refused.
func TestShutdownInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newGroupsRig(&backend{refuse: func(*call) error { return errTransient }}, nil)
		r.outbox.Serve(r.store)
		r.put(t, "j", "a 1")
		synctest.Wait()
		r.forget()
		require.NoError(t, r.outbox.Shutdown(t.Context()))
		assert.Empty(t, r.all())
	})
}

// TestShutdownCancels calls at its deadline.
func TestShutdownCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newGroupsRig(&backend{delay: takes(time.Hour)}, nil)
		r.outbox.Serve(r.store)
		r.put(t, "j", "a 1", "b 1")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		require.NoError(t, r.outbox.Shutdown(ctx))
		assert.Equal(t, 5*time.Second, time.Since(start))
		require.Len(t, r.all(), 1)
		require.ErrorIs(t, r.all()[0].err, context.Canceled)
		assert.Equal(t, 1, r.waiting())
	})
}

// TestShutdownGivesUp on a consumer that does not heed its context.
func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newGroupsRig(&backend{refuse: func(*call) error { time.Sleep(time.Hour); return nil }}, nil)
		r.outbox.Serve(r.store)
		r.put(t, "j", "a 1")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, r.outbox.Shutdown(ctx), errStuck)
		assert.Equal(t, 5*time.Second+stuckTimeout, time.Since(start))
		time.Sleep(2 * time.Hour)
	})
}
