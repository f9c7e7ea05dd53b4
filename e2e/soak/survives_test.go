// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// arrival is what of the pushes that were answered 200 is at the far end when all is well again.
type arrival string

const (
	all     arrival = "all"
	newest  arrival = "the newest of each group"
	lost    arrival = "lost"
	refused arrival = "all were answered 503"
)

// The numbers of a case: each client pushes a few times, the far end is away for longer than the five seconds after which
// the remote-write exporter gives up, and what has not arrived after the last wait is lost.
const (
	pushing = 2 // clients
	pushes  = 2
	outage  = 7 * time.Second
	settle  = 4 * time.Second
	arrives = 30 * time.Second
)

// TestSurvives proves the cells of the table. Each case pushes while the far end is in some condition, lets something happen to the
// collector, heals everything and looks at what arrived.
func TestSurvives(t *testing.T) {
	t.Parallel()
	skipUnlessSoaking(t)
	outageOnly := func(*testing.T, *process) { time.Sleep(outage) }
	for _, tc := range []struct {
		name  string
		setup setup
		far   condition
		event func(*testing.T, *process)
		want  arrival
	}{
		{"no queue, outage", synchronous, failing, outageOnly, refused},
		{"no queue, SIGTERM", synchronous, slow, restarted, all},
		{"no queue, kill -9", synchronous, slow, crashed, all},

		{"queue in memory, outage", remoteWrite, failing, outageOnly, lost},
		{"queue in memory, SIGTERM", remoteWrite, slow, restarted, all},
		{"queue in memory, SIGTERM in an outage", remoteWrite, failing, restarted, lost},
		{"queue in memory, kill -9", remoteWrite, slow, crashed, lost},

		{"write-ahead log, outage", writeAhead, failing, outageOnly, all},
		{"write-ahead log, SIGTERM", writeAhead, slow, restarted, all},
		{"write-ahead log, SIGTERM in an outage", writeAhead, failing, restarted, all},
		{"write-ahead log, kill -9", writeAhead, slow, crashed, all},
		{"write-ahead log, kill -9 in an outage", writeAhead, failing, crashed, all},

		{"OTLP from memory, outage", otlp, failing, outageOnly, all},
		{"OTLP from memory, SIGTERM", otlp, slow, restarted, all},
		{"OTLP from memory, SIGTERM in an outage", otlp, failing, restarted, lost},
		{"OTLP from memory, kill -9", otlp, slow, crashed, lost},

		{"OTLP from disk, outage", otlpOnDisk, failing, outageOnly, all},
		{"OTLP from disk, SIGTERM", otlpOnDisk, slow, restarted, all},
		{"OTLP from disk, SIGTERM in an outage", otlpOnDisk, failing, restarted, all},
		{"OTLP from disk, kill -9", otlpOnDisk, slow, crashed, all},
		{"OTLP from disk, kill -9 in an outage", otlpOnDisk, failing, crashed, all},

		{"durable.yaml, outage", durable, failing, outageOnly, all},
		{"durable.yaml, 429", durable, throttling, outageOnly, all},
		{"durable.yaml, SIGTERM", durable, slow, restarted, all},
		{"durable.yaml, SIGTERM in an outage", durable, failing, restarted, all},
		{"durable.yaml, kill -9", durable, slow, crashed, all},
		{"durable.yaml, kill -9 in an outage", durable, failing, crashed, all},

		{"groups, outage", groups, failing, outageOnly, newest},
		{"groups, SIGTERM", groups, slow, restarted, newest},
		{"groups, SIGTERM in an outage", groups, failing, restarted, newest},
		{"groups, kill -9", groups, slow, crashed, newest},
		{"groups, kill -9 in an outage", groups, failing, crashed, newest},
		{"groups in memory, outage", groupsInMemory, failing, outageOnly, newest},
		{"groups in memory, SIGTERM", groupsInMemory, slow, restarted, newest},
		{"groups in memory, SIGTERM in an outage", groupsInMemory, failing, restarted, lost},
		{"groups in memory, kill -9", groupsInMemory, slow, crashed, lost},
		{"groups ahead of a queue, outage", groupsAhead, failing, outageOnly, newest},
		{"groups ahead of a queue, SIGTERM in an outage", groupsAhead, failing, restarted, newest},
		{"groups ahead of a queue, kill -9 in an outage", groupsAhead, failing, crashed, newest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			far := newFarEnd(t, "")
			far.become(tc.far)
			c := tc.setup.collector(t, far)
			c.start(t)
			pushers := pushSome(c.url)
			tc.event(t, c)
			far.become(serving)
			assertArrived(t, far, pushers, tc.want)
			t.Logf("%+v", far.counts())
			c.stop(t)
		})
	}
}

// pushSome lets a few clients push at once, each a few times and without trying again.
func pushSome(url string) []*client {
	pushers := newClients(pushing)
	var done sync.WaitGroup
	for _, pusher := range pushers {
		done.Go(func() {
			for range pushes {
				pusher.pushOnce(url)
			}
		})
	}
	done.Wait()
	return pushers
}

func assertArrived(t *testing.T, far *farEnd, pushers []*client, want arrival) {
	t.Helper()
	for _, pusher := range pushers {
		if want == refused {
			require.Zero(t, pusher.answered)
			require.Equal(t, http.StatusServiceUnavailable, pusher.status)
			continue
		}
		require.Equal(t, pushes, pusher.answered, "answered 200")
	}
	switch want {
	case all:
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Empty(c, missing(far.values, pushers, everything)) }, arrives, pollInterval)
	case newest:
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Empty(c, missing(far.values, pushers, theNewest)) }, arrives, pollInterval)
	case lost:
		time.Sleep(settle)
		assert.NotEmpty(t, missing(far.values, pushers, everything), "more survives than the table says")
	}
}
