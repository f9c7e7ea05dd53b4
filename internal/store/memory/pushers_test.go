// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// TestConcurrentPushers push, repeat and end at once, in one aggregate, while it is exported, expires and its storage fails. Each push counts
// once; those that are refused do not, and refuse no others.
func TestConcurrentPushers(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	o := aggregating()
	o.TTL = 10 * time.Hour
	s, _ := restoredWith(t, c, o)
	require.NoError(t, change(t, s, 0, `PUT job/X/env/prod n`))
	c.fault = failNowAndThen(inPart, 1)
	b := newBackend()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for n := range 40 {
				step := fmt.Sprintf(`PUT %d-%d c 1; c{i="%d"} 1; sum_g 1; max_g %d; h:%d=1,+Inf=2 3`, i, n, n, r.IntN(9), 1+r.IntN(5))
				for contribute(t, s, step) != nil { //nolint:revive // until the storage works
				}
				_ = contribute(t, s, step)
				assert.Error(t, contribute(t, s, fmt.Sprintf(`PUT %d-bad c 1; n{env="prod"} 1`, i)))
				if n%2 == 0 {
					for contribute(t, s, fmt.Sprintf("DELETE %d-%d", i, n)) != nil { //nolint:revive // until the storage works
					}
				}
			}
		})
	}
	all.Go(func() {
		r := rand.New(rand.NewPCG(2, 1))
		for range 100 {
			exportSome(t, s, b, r)
			_, _ = s.Expire(t.Context())
			for range s.Snapshots(t.Context()) { //nolint:revive // Reading is all.
			}
		}
	})
	all.Wait()
	c.fault = nil
	requireSound(t, s)
	require.NoError(t, b.Broken)
	got := values(t, s)
	assert.Contains(t, got, "c 320")
	assert.Contains(t, got, `c{i="7"} 8`)
	assert.Contains(t, got, "sum_g 160")
	assert.Contains(t, got, "640 960")
	assert.Equal(t, 160, s.Counts().Pushers)
	require.NoError(t, contribute(t, s, "PUT last c 0"))
	assert.Equal(t, values(t, s), values(t, again(t, c.crashed(), s.Now())))
	drain(t, s, b)
	require.NoError(t, b.Broken)
	requireShown(t, s, b)
}

// TestPushersShareAWrite if they wait for it, and those whose context ends meanwhile have pushed nothing.
func TestPushersShareAWrite(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restoredWith(t, c, aggregating())
	require.NoError(t, contribute(t, s, "PUT a c 1; g 1"))
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.fault = func() fault {
		once.Do(func() {
			close(held)
			<-release
		})
		return works
	}
	var all sync.WaitGroup
	push := func(ctx context.Context, step string, want error) {
		p := contribution(t, s, "PUT", "job/X/job_id/"+step, text("c 1"))
		all.Go(func() { assert.ErrorIs(t, s.Contribute(ctx, p), want) })
	}
	push(t.Context(), "b", nil)
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	push(ctx, "late", store.ErrBusy)
	for i := range 10 {
		push(t.Context(), strconv.Itoa(i), nil)
	}
	assert.Eventually(t, func() bool { return memoryOf(s).QueuedRequests("/metrics/job/X") == 11 }, time.Minute, time.Millisecond)
	cancel()
	assert.Eventually(t, func() bool { return memoryOf(s).QueuedRequests("/metrics/job/X") == 10 }, time.Minute, time.Millisecond)
	c.touched = nil
	close(release)
	all.Wait()
	assert.Equal(t, "c 12; g 1", values(t, s))
	assert.Len(t, c.touched, 11, "a record for each pusher, nothing else")
}

// TestLimitsOfAggregates refuse the push that exceeds them, and no other.
func TestLimitsOfAggregates(t *testing.T) {
	t.Parallel()
	o := aggregating()
	o.MaxSeries = 3
	s := newStore(o)
	require.NoError(t, contribute(t, s, "PUT a c 1; g 1"))
	require.ErrorContains(t, contribute(t, s, `PUT b c 1; c{x="1"} 1; c{x="2"} 1`), "the limit groups::max_series is 3")
	require.NoError(t, contribute(t, s, "PUT b c 1"))
	require.NoError(t, contribute(t, s, `PUT c c{x="1"} 1`))
	assert.Equal(t, `c 2; c{x="1"} 1; g 1`, values(t, s))
	o = aggregating()
	o.MaxGroups = 1
	s = newStore(o)
	require.NoError(t, do(t, s, 1, "PUT job/j a"))
	require.ErrorContains(t, contribute(t, s, "PUT a c 1"), "the limit groups::max_groups is 1")
	requireSound(t, s)
	o = aggregating()
	o.MaxBytes = 2000
	s = newStore(o)
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 100)
		err = contribute(t, s, fmt.Sprintf("PUT %d c 1", i))
	}
	require.ErrorContains(t, err, "groups::max_bytes")
	requireSound(t, s)
}

// TestAggregatesOfOtherRules end at start.
func TestAggregatesOfOtherRules(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restoredWith(t, c, aggregating())
	require.NoError(t, contribute(t, s, "PUT a c 5; max_g 1"))
	exportValues(t, s)
	records := c.crashed()

	o := aggregating()
	o.Rules[0].Metrics = nil
	changed, _ := restoredWith(t, newClient(records), o)
	assert.Equal(t, []string{"job/X lives c, pending max_g"}, shown(t, changed))

	o = aggregating()
	o.Rules[0].Without = []string{"pod"}
	gone := newClient(c.crashed())
	changed, _ = restoredWith(t, gone, o)
	assert.Equal(t, []string{"job/X deleted, pending c max_g push_failure_time_seconds push_time_seconds"}, shown(t, changed))
	assert.Zero(t, changed.Counts().Pushers)
	require.NoError(t, settle(t, changed, "job/X"))
	assert.ElementsMatch(t, []string{memory.NumbersName, memory.PushersName, memory.OwnerName}, slices.Collect(maps.Keys(gone.records)))
}

// TestReturnedPusher is told to the observer.
func TestReturnedPusher(t *testing.T) {
	t.Parallel()
	observed := &observer{}
	o := aggregating()
	o.Observer = observed
	s := newStore(o)
	require.NoError(t, contribute(t, s, "PUT a c 5"))
	require.NoError(t, contribute(t, s, "PUT a c 3"))
	require.NoError(t, contribute(t, s, "PUT b c 5"))
	require.NoError(t, contribute(t, s, "DELETE b"))
	require.NoError(t, contribute(t, s, "PUT b c 5"))
	s.Pass(time.Hour)
	_, err := s.Expire(t.Context())
	require.NoError(t, err)
	require.NoError(t, contribute(t, s, "PUT a c 3"))
	assert.Equal(t, []string{"reset 1", "folded 1 by delete", "folded 2 by ttl", "returned /metrics/job/X/job_id/a"}, observed.all)
	info := snapshotsOf(t, s)[0].Aggregate
	assert.Equal(t, "groups::aggregate[0]", info.Rule)
	assert.Equal(t, 1, info.Pushers)
	assert.Equal(t, pushtest.Key(t, "job/X/job_id/a").String(), info.LastPusher.String())
}

// observer lists what it is told.
type observer struct{ all []string }

func (o *observer) note(format string, args ...any) {
	o.all = append(o.all, fmt.Sprintf(format, args...))
}

func (o *observer) PusherFolded(cause store.FoldCause, n int) { o.note("folded %d by %s", n, cause) }
func (o *observer) PusherReset(n int)                         { o.note("reset %d", n) }
func (o *observer) PusherReturned(key groupingkey.Key)        { o.note("returned %s", key.Path(true)) }
func (o *observer) BoundsCapped(n int)                        { o.note("capped %d", n) }
func (o *observer) TypeReplaced(_ groupingkey.Key, family, from, to string) {
	o.note("%s: %s to %s", family, from, to)
}

func (o *observer) AggregateEnded(_ groupingkey.Key, family, why string) {
	o.note("ended %s: %s", family, why)
}

// BenchmarkContribute pushes ten counters and a histogram from many pushers to one aggregate.
func BenchmarkContribute(b *testing.B) {
	s, _ := restoredWith(b, newClient(map[string][]byte{}), aggregating())
	body := "PUT %d h:1=1,2=1,3=1,4=1,5=1,6=1,7=1,8=1,9=1,10=1,+Inf=2 3"
	for i := range 10 {
		body += fmt.Sprintf("; c%d_total 0.%d", i, i+1)
	}
	contributions := make([]store.Contribution, 1000)
	for i := range contributions {
		_, rest, _ := cutStep(fmt.Sprintf(body, i))
		contributions[i] = contribution(b, s, "PUT", fmt.Sprintf("job/X/job_id/%d", i), text(rest))
	}
	b.ReportAllocs()
	b.ResetTimer()
	var n sync.Mutex
	i := 0
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n.Lock()
			c := contributions[i%len(contributions)]
			i++
			n.Unlock()
			if err := s.Contribute(b.Context(), c); err != nil {
				b.Error(err)
			}
		}
	})
}

func cutStep(step string) (pusher, body string, ok bool) {
	var verb string
	if n, err := fmt.Sscan(step, &verb, &pusher); n < 2 || err != nil {
		return "", "", false
	}
	return pusher, step[len(verb)+len(pusher)+2:], true
}
