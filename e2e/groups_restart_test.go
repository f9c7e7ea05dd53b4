// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGroupsSurviveKill kills the collector in the middle of pushes, again and again, and demands that everything that was
// acknowledged is back: held, shown and in Prometheus.
func TestGroupsSurviveKill(t *testing.T) {
	t.Parallel()
	const rounds = 4
	server := startPrometheus(t, prometheusFile(t, ""))
	start := withGroups(t, server.url)
	var pushers []*pusher
	for i := range 8 {
		pushers = append(pushers, newPusher(i, 20))
	}
	c := startCollector(t, start)
	for range rounds {
		var acknowledged atomic.Int64
		var pushing sync.WaitGroup
		for _, p := range pushers {
			pushing.Go(func() { p.pushUntilKilled(c.url, &acknowledged) })
		}
		enough := 100 + rand.Int64N(200)
		require.Eventually(t, func() bool { return acknowledged.Load() >= enough }, dataTimeout, time.Millisecond)
		c.kill(t)
		pushing.Wait()

		c = startCollector(t, start)
		held := shown(t, c.url+"/metrics")
		for _, p := range pushers {
			p.assertHeld(t, ofJob(held, p.job))
		}
		for _, p := range pushers {
			assertShownIn(t, server, c.url, p.job)
		}
	}
}

// pusher changes the groups of one job, one request after the other.
type pusher struct {
	job    string
	groups []*pushed
	value  int
}

// pushed is what a pusher knows of one of its groups.
type pushed struct {
	state
	// doubt is the state after a request that was not answered.
	doubt *state
}

// state is the series of a group by their name and labels, and when they were pushed. A group that is deleted has none.
type state struct {
	series      map[string]string
	from, until time.Time
}

func newPusher(number, groups int) *pusher {
	p := &pusher{job: fmt.Sprintf("pusher_%d", number)}
	for range groups {
		p.groups = append(p.groups, &pushed{})
	}
	return p
}

// pushUntilKilled ends with the first request that is not answered.
func (p *pusher) pushUntilKilled(url string, acknowledged *atomic.Int64) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		n := rand.IntN(len(p.groups))
		method := []string{http.MethodPut, http.MethodPut, http.MethodPost, http.MethodDelete}[rand.IntN(4)]
		next, body := p.next(n, method)
		next.from = time.Now()
		answered := request(client, method, fmt.Sprintf("%s/metrics/job/%s/group/%d", url, p.job, n), body)
		next.until = time.Now()
		if !answered {
			p.groups[n].doubt = next
			return
		}
		p.groups[n].state = *next
		acknowledged.Add(1)
	}
}

// next is the state of a group after a request, and its body. Each PUT ends a series of the one before.
func (p *pusher) next(n int, method string) (*state, string) {
	p.value++
	value := strconv.Itoa(p.value)
	a, b := fmt.Sprintf(`a{group="%d",job=%q}`, n, p.job), fmt.Sprintf(`b{group="%d",job=%q,x="%d"}`, n, p.job, p.value%3)
	switch method {
	case http.MethodPut:
		return &state{series: map[string]string{a: value, b: value}}, fmt.Sprintf("a %s\nb{x=\"%d\"} %s\n", value, p.value%3, value)
	case http.MethodPost:
		series := map[string]string{a: value}
		for labels, value := range p.groups[n].series {
			if labels != a {
				series[labels] = value
			}
		}
		return &state{series: series}, "a " + value + "\n"
	default:
		return &state{}, ""
	}
}

// request tells whether there was an answer, which must be one of success.
func request(client *http.Client, method, url, body string) bool {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return false
	}
	response, err := client.Do(r)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode/100 == 2
}

// assertHeld compares what is shown of the job with what was acknowledged. An unanswered request may have taken effect.
func (p *pusher) assertHeld(t *testing.T, shown map[string]string) {
	t.Helper()
	for n, group := range p.groups {
		held := map[string]string{}
		for labels, value := range shown {
			if strings.Contains(labels, fmt.Sprintf(`group="%d"`, n)) {
				held[labels] = value
			}
		}
		labels := fmt.Sprintf(`{group="%d",job=%q}`, n, p.job)
		at, failed := held["push_time_seconds"+labels], held["push_failure_time_seconds"+labels]
		delete(held, "push_time_seconds"+labels)
		delete(held, "push_failure_time_seconds"+labels)
		if group.doubt != nil && maps.Equal(held, group.doubt.series) {
			group.state = *group.doubt
		}
		group.doubt = nil
		if len(group.series) == 0 {
			assert.Empty(t, held, labels)
			assert.Empty(t, at, labels)
			continue
		}
		assert.Equal(t, group.series, held)
		assert.Equal(t, "0", failed, labels)
		seconds, err := strconv.ParseFloat(at, 64)
		require.NoError(t, err, labels)
		assert.WithinRange(t, time.UnixMicro(int64(seconds*1e6)), group.from.Add(-time.Millisecond), group.until.Add(time.Millisecond))
	}
}

// TestPendingMarkersSurviveRestart ends series while the backend refuses everything, and restarts the collector before the backend is
// back. Then these series end in Prometheus too.
func TestPendingMarkersSurviveRestart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  func(*collector, *testing.T)
	}{
		{"after kill -9", (*collector).kill},
		{"after SIGTERM", (*collector).stop},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startPrometheus(t, prometheusFile(t, ""))
			backend := newGate(t, server.url)
			start := withGroups(t, backend.URL)
			c := startCollector(t, start)
			put := func(method, path, body string, want int) {
				status, answer := send(t, method, c.url+"/metrics/job/"+path, body)
				require.Equal(t, want, status, answer)
			}
			put(http.MethodPut, "replaced", "a 1\nb 1\n", http.StatusOK)
			put(http.MethodPut, "deleted", "a 1\n", http.StatusOK)
			put(http.MethodPut, "kept", "a 1\n", http.StatusOK)
			for _, job := range []string{"replaced", "deleted", "kept"} {
				assertShownIn(t, server, c.url, job)
			}

			backend.shut.Store(true)
			put(http.MethodPut, "replaced", "a 2\n", http.StatusOK)
			put(http.MethodDelete, "deleted", "", http.StatusAccepted)
			put(http.MethodPut, "new", "a 1\n", http.StatusOK)
			before := shown(t, c.url+"/metrics")
			tc.end(c, t)
			c = startCollector(t, start)
			assert.Equal(t, before, shown(t, c.url+"/metrics"))
			require.Contains(t, server.instant(t, `{job="deleted"}`), `a{job="deleted"}`, "nobody told Prometheus yet")

			backend.shut.Store(false)
			for _, job := range []string{"replaced", "deleted", "kept", "new"} {
				assertShownIn(t, server, c.url, job)
			}
		})
	}
}

// TestReadyOnceRestored restores so many groups that it takes a moment: as soon as the receiver says that it is ready, all
// of them are shown.
func TestReadyOnceRestored(t *testing.T) {
	t.Parallel()
	const groups, clients = 2000, 8
	start := withGroups(t, "http://127.0.0.1:1", "receivers::pushgateway::groups::republish_interval: 0s")
	c := startCollector(t, start)
	var pushing sync.WaitGroup
	for client := range clients {
		pushing.Go(func() {
			for i := client; i < groups; i += clients {
				assert.True(t, request(http.DefaultClient, http.MethodPut, fmt.Sprintf("%s/metrics/job/j/n/%d", c.url, i), "a 1\n"))
			}
		})
	}
	pushing.Wait()
	c.kill(t)
	c = startCollector(t, start)
	assert.Len(t, shown(t, c.url+"/metrics"), 3*groups)
}

// TestGroupsSurviveReload reloads the configuration, as SIGHUP does, which ends the receiver and starts another one.
func TestGroupsSurviveReload(t *testing.T) {
	t.Parallel()
	server := startPrometheus(t, prometheusFile(t, ""))
	c := startCollector(t, withGroups(t, server.url))
	status, answer := send(t, http.MethodPut, c.url+"/metrics/job/j", "a 1\n")
	require.Equal(t, http.StatusOK, status, answer)
	before := shown(t, c.url+"/metrics")
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return strings.Contains(c.output.String(), "Config updated, restart service") }, startTimeout, pollInterval)
	require.Eventually(t, func() bool { return strings.Count(c.output.String(), "Starting HTTP server") == 2 }, startTimeout, pollInterval, "%s", c.output)
	c.waitUntilReady(t, nil)
	assert.Equal(t, before, shown(t, c.url+"/metrics"))
	assertShownIn(t, server, c.url, "j")
}
