// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

func TestStreamShowsRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		c, leave, ended := view(t, p, "")
		synctest.Wait()
		hello := c.received(t, "hello")
		require.Len(t, hello, 1)
		assert.InDelta(t, 1, hello[0]["viewers"], 0)

		began := time.Now()
		time.Sleep(3 * time.Millisecond)
		e := pushed("nightly", "instance", "db-3")
		e.Began = began
		feed.Ended(e)
		synctest.Wait()
		shown := c.received(t, "push")
		require.Len(t, shown, 1)
		assert.Equal(t, map[string]any{
			"time": float64(time.Now().UnixMilli()), "method": "PUT", "key": []any{[]any{"job", "nightly"}, []any{"instance", "db-3"}},
			"path": "metrics/job/nightly/instance/db-3", "format": "text", "size": 10.0, "series": 2.0, "status": 200.0, "outcome": "accepted",
			"client": "192.0.2.1:7", "duration": 3.0,
		}, shown[0])

		unparsed := refusedPush("", ingest.ReasonPath, "no such path")
		unparsed.Path, unparsed.Size = "/metrics/jo", -1
		feed.Ended(unparsed)
		deletion := pushed("nightly")
		deletion.Method = http.MethodDelete
		feed.Ended(deletion)
		synctest.Wait()
		shown = c.received(t, "push")
		require.Len(t, shown, 2)
		assert.Equal(t, "/metrics/jo", shown[0]["url"])
		assert.Equal(t, "no such path", shown[0]["text"])
		assert.InDelta(t, 400, shown[0]["status"], 0)
		assert.NotContains(t, shown[0], "key")
		assert.NotContains(t, shown[0], "size")
		assert.InDelta(t, 202, shown[1]["status"], 0)

		leave()
		synctest.Wait()
		assert.True(t, ended())
		assert.Empty(t, *feed.viewers.Load())
	})
}

func TestStreamFilters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		clients := map[string]*client{}
		for _, query := range []string{"outcome=all", "outcome=accepted", "outcome=refused", "q=NIGHT", "q=nightly+i%3D2", "q=jo"} {
			c, leave, _ := view(t, p, query)
			defer leave()
			clients[query] = c
		}
		synctest.Wait()
		feed.Ended(pushed("nightly", "i", "1"))
		feed.Ended(pushed("nightly", "i", "2"))
		feed.Ended(refusedPush("other", ingest.ReasonParse, "line 1"))
		unparsed := refusedPush("", ingest.ReasonPath, "no such path")
		unparsed.Path = "/metrics/jo"
		feed.Ended(unparsed)
		synctest.Wait()
		for query, n := range map[string]int{"outcome=all": 4, "outcome=accepted": 2, "outcome=refused": 2, "q=NIGHT": 2, "q=nightly+i%3D2": 1, "q=jo": 4} {
			assert.Len(t, clients[query].received(t, "push"), n, query)
		}
	})
}

func TestPeekShowsValuesToItsViewer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		assert.False(t, feed.Peeks("j"))
		peeking, leave, _ := view(t, p, "peek=j")
		other, leaveOther, _ := view(t, p, "")
		defer leaveOther()
		synctest.Wait()
		assert.True(t, feed.Peeks("j"))
		assert.False(t, feed.Peeks("k"))
		e := pushed("j")
		e.Values, e.More = []gather.Series{{Name: "x", Value: "1"}, {Name: "y", Value: strings.Repeat("v", maxEvent)}}, 3
		feed.Ended(e)
		synctest.Wait()
		shown := peeking.received(t, "push")
		require.Len(t, shown, 1)
		assert.Len(t, shown[0]["values"], 1, "the other value is too large")
		assert.InDelta(t, 4, shown[0]["moreValues"], 0)
		assert.NotContains(t, other.received(t, "push")[0], "values")
		leave()
		synctest.Wait()
		assert.False(t, feed.Peeks("j"))
	})
}

// TestStuckViewerDelaysNobody has a viewer that does not read: pushes go on, its events are dropped, and their number is shown when it
// reads again. One that is stuck for long loses its stream.
func TestStuckViewerDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		c, leave, ended := view(t, p, "")
		defer leave()
		other, leaveOther, _ := view(t, p, "")
		defer leaveOther()
		synctest.Wait()
		c.getStuck(true)
		feed.Ended(pushed("first"))
		synctest.Wait()
		for range 4 { // Two more than fill the buffer, at the most that a viewer gets in a second.
			time.Sleep(time.Second)
			for range maxEventsPerSecond {
				feed.Ended(pushed("j"))
			}
			synctest.Wait()
		}
		assert.Len(t, other.received(t, "push"), 1+4*maxEventsPerSecond)
		c.getStuck(false)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(writeTimeout))) // It wakes the write.
		time.Sleep(2 * time.Second)
		synctest.Wait()
		sent := c.received(t, "push")
		assert.Len(t, sent, 1+viewerBuffer)
		time.Sleep(2 * time.Second)
		assert.False(t, ended())

		c.getStuck(true)
		time.Sleep(writeTimeout + 2*time.Second)
		synctest.Wait()
		assert.True(t, ended())
		assert.Len(t, *feed.viewers.Load(), 1)
	})
}

func TestDroppedAndThinnedEventsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		c, leave, _ := view(t, p, "")
		defer leave()
		synctest.Wait()
		for range maxEventsPerSecond + 17 {
			feed.Ended(pushed("j"))
		}
		synctest.Wait()
		assert.Len(t, c.received(t, "push"), maxEventsPerSecond)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, []map[string]any{{"slow": 0.0, "thinned": 17.0}}, c.received(t, "dropped"))
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Empty(t, c.received(t, "dropped"), "once")

		v := &viewer{events: make(chan []byte, 1)}
		v.offer(nil)
		v.offer(nil)
		assert.EqualValues(t, 1, v.slow.Load())
	})
}

func TestStreamReportsRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		c, leave, _ := view(t, p, "")
		defer leave()
		feed.Ended(pushed("j"))
		feed.Ended(pushed("j"))
		feed.Ended(refusedPush("j", ingest.ReasonParse, "x"))
		feed.Exported(5, "accepted")
		feed.Exported(7, "unavailable")
		second := time.Now().Unix()
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, []map[string]any{{
			"time": float64(second * 1000), "viewers": 1.0, "accepted": 2.0, "refused": 1.0, "series": 4.0, "bytes": 30.0, "deleted": 0.0,
			"exports": 1.0, "exportsFailed": 1.0, "points": 5.0,
		}}, c.received(t, "rates"))
	})
}

func TestStreamEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := newPage()
		c, leave, ended := view(t, p, "")
		defer leave()
		time.Sleep(maxStream + time.Second)
		synctest.Wait()
		assert.True(t, ended())
		assert.Equal(t, []map[string]any{{"reason": "time"}}, c.received(t, "bye"))
	})
}

// TestStopEndsAllStreams has a viewer that does not read. It does not delay the end by more than a moment.
func TestStopEndsAllStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		reading, leave, readingEnded := view(t, p, "")
		defer leave()
		stuck, leaveStuck, stuckEnded := view(t, p, "")
		defer leaveStuck()
		synctest.Wait()
		stuck.getStuck(true)
		feed.Ended(pushed("j"))
		synctest.Wait()
		feed.Stop()
		feed.Stop()
		synctest.Wait()
		assert.True(t, readingEnded())
		assert.Equal(t, []map[string]any{{"reason": "stopping"}}, reading.received(t, "bye"))
		assert.False(t, stuckEnded())
		time.Sleep(stopTimeout + time.Millisecond)
		synctest.Wait()
		assert.True(t, stuckEnded())
		w := get(t, p, "events")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Contains(t, w.Body.String(), "the receiver is stopping")
	})
}

func TestStreamRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := newPage(func(o *Options) { o.Peek = false })
		for target, text := range map[string]string{
			"events?peek=j": "page::peek", "events?outcome=some": "outcome", "events?q=" + strings.Repeat("x", 257): "256 bytes",
		} {
			w := get(t, p, target)
			assert.Equal(t, http.StatusBadRequest, w.Code, target)
			assert.Contains(t, w.Body.String(), text)
		}
		for range maxViewers {
			_, leave, _ := view(t, p, "")
			defer leave()
		}
		synctest.Wait()
		w := get(t, p, "events")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, "1", w.Header().Get("Retry-After"))
	})
}

// TestWithoutLive counts requests and remembers when jobs pushed, but keeps nothing of what was refused.
func TestWithoutLive(t *testing.T) {
	t.Parallel()
	p, feed, _ := newPage(func(o *Options) { o.Live = false }, proxyMode)
	feed.Ended(pushed("j"))
	feed.Ended(refusedPush("j", ingest.ReasonParse, "x"))
	feed.Ended(refusedPush("k", ingest.ReasonParse, "x"))
	kept, total, _ := feed.refusals.latest()
	assert.Empty(t, kept)
	assert.Zero(t, total)
	j, _ := feed.jobs.get("j")
	assert.Equal(t, "accepted", j.outcome)
	_, known := feed.jobs.get("k")
	assert.False(t, known)
	assert.EqualValues(t, 2, feed.rates.totals()["refused"])
	var names []string
	for _, e := range p.Endpoints() {
		names = append(names, e.Name)
	}
	assert.Equal(t, []string{"overview", "jobs", "status"}, names)
}
