// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	soakTime    = flag.Duration("time", 0, "how long TestSoak lets clients push; 0 skips all tests")
	soakClients = flag.Int("clients", 200, "how many clients push to each collector at the same time")
	soakPause   = flag.Duration("pause", 3*time.Second, "the mean time between two pushes of a client")
)

// skipUnlessSoaking keeps these tests out of make e2e.
func skipUnlessSoaking(t *testing.T) {
	t.Helper()
	if *soakTime == 0 {
		t.Skip("run make soak")
	}
}

// event is something that happens while clients push.
type event struct {
	name string
	run  func(*testing.T, *process, *farEnd)
}

// retried is how long after an outage no push waits for its next try any more. A queue in memory loses one that does when
// the collector ends.
const retried = 3 * time.Second

// latePerStart bounds the pushes that were being sent when the collector ended, and are sent again behind the others. It is
// one and, at SIGTERM, those that the queue hands out between the end of retries and its own.
const latePerStart = 10

// Events that every configuration must bear, and that only durable ones do.
var (
	slowdown  = event{"slow far end", meanwhile(slow, 3*time.Second, nil)}
	blink     = event{"503 for a moment", meanwhile(failing, time.Second, nil)}
	rollover  = event{"SIGTERM", meanwhile(serving, retried, restarted)}
	outage503 = event{"503", meanwhile(failing, outage, nil)}
	noRoute   = event{"connection refused", meanwhile(refusing, outage, nil)}
	endAlone  = event{"SIGTERM in an outage", meanwhile(failing, 2*time.Second, restarted)}
	crash     = event{"kill -9", meanwhile(serving, 0, crashed)}
	crashSlow = event{"kill -9, slow far end", meanwhile(slow, 2*time.Second, crashed)}
	crashBusy = event{"kill -9 in an outage", meanwhile(refusing, 2*time.Second, crashed)}
)

func restarted(t *testing.T, c *process) { c.stop(t); c.start(t) }
func crashed(t *testing.T, c *process)   { c.kill(t); c.start(t) }

// meanwhile puts the far end into a condition, waits, lets something happen to the collector and heals the far end.
func meanwhile(as condition, wait time.Duration, happens func(*testing.T, *process)) func(*testing.T, *process, *farEnd) {
	return func(t *testing.T, c *process, far *farEnd) {
		far.become(as)
		defer far.become(serving)
		time.Sleep(wait)
		if happens != nil {
			happens(t, c)
		}
	}
}

var (
	anywhere = []event{slowdown, blink, rollover}
	durably  = []event{slowdown, blink, rollover, outage503, noRoute, endAlone, crash, crashSlow, crashBusy}
)

// TestSoak lets clients push through events in random order, each until it is answered 200, and demands at the end that all
// of that is at the far end, in the order in which a Prometheus takes it.
func TestSoak(t *testing.T) {
	t.Parallel()
	skipUnlessSoaking(t)
	for _, tc := range []struct {
		name       string
		setup      setup
		events     []event
		prometheus string // configuration of a real one behind the far end; empty: none
		newestOnly bool   // of each group
		mayBeLate  bool   // what was being sent when the collector ended
	}{
		{name: "queue in memory", setup: remoteWritePatiently, events: anywhere},
		{name: "OTLP from memory", setup: otlp, events: append([]event{outage503, noRoute}, anywhere...)},
		{name: "no queue, to Prometheus", setup: synchronous, events: durably, prometheus: strictly},
		{name: "OTLP from disk", setup: otlpOnDisk, events: durably, mayBeLate: true},
		{name: "durable.yaml, to Prometheus", setup: durable, events: durably, prometheus: leniently, mayBeLate: true},
		{name: "groups", setup: groups, events: durably, newestOnly: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			far := newFarEnd(t, startPrometheus(t, tc.prometheus))
			c := tc.setup.collector(t, far)
			c.start(t)
			pushers := soak(t, c, far, tc.events)

			from := everything
			if tc.newestOnly {
				from = theNewest
			}
			require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Empty(c, missing(far.values, pushers, from)) }, catchUp, time.Second)
			c.stop(t)
			report(t, pushers, far)
			counts := far.counts()
			assert.Zero(t, counts.conflicts, "samples with the time of another one")
			assert.Empty(t, far.refusals(), "of Prometheus")
			late := 0
			if tc.mayBeLate {
				late = (c.starts - 1) * latePerStart * seriesPerPush
			}
			assert.LessOrEqual(t, counts.late+counts.lateRepeats, late, "samples older than one that was there before")
			if tc.prometheus != "" {
				assert.Empty(t, missing(valuesIn(t, far.next), pushers, from), "in Prometheus")
			}
		})
	}
}

// catchUp is how long what still waits may take to arrive.
const catchUp = 3 * time.Minute

// soak ends with a collector that is up, a far end that serves, and clients that have nothing more to push. However short its
// time and slow the machine, everything happens once.
func soak(t *testing.T, c *process, far *farEnd, events []event) []*client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	end := time.Now().Add(*soakTime)
	pushers := newClients(*soakClients)
	var pushing sync.WaitGroup
	for _, pusher := range pushers {
		pushing.Go(func() { pusher.run(ctx, c.url, *soakPause) })
	}
	for happened := 0; happened < len(events) || time.Now().Before(end); {
		for _, n := range rand.Perm(len(events)) {
			sleep(ctx, time.Second+rand.N(time.Second))
			t.Log(events[n].name)
			events[n].run(t, c, far)
			happened++
			if happened >= len(events) && time.Now().After(end) {
				break
			}
		}
	}
	cancel()
	pushing.Wait()
	for _, pusher := range pushers {
		assert.Empty(t, pusher.refusal)
		assert.Positive(t, pusher.answered)
	}
	return pushers
}

func report(t *testing.T, pushers []*client, far *farEnd) {
	t.Helper()
	var answered, tries int
	for _, pusher := range pushers {
		answered += pusher.answered
		tries += pusher.tries
	}
	t.Logf("%s: %d clients, %d pushes answered 200 in %d tries; at the far end %+v", t.Name(), len(pushers), answered, tries, far.counts())
}
