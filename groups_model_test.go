// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
)

// These tests send random sequences of requests to a receiver with groups, in a bubble of time. They compare it with a model of what it
// should hold. What was handed on is compared with what Prometheus would have stored. A run is found again with its seed, but for the order
// of what happens at once.
var (
	modelSeed  = flag.Uint64("model.seed", 1, "what the random sequences depend on; 0 takes a seed at random")
	modelSteps = flag.Int("model.steps", 100, "how many steps each random sequence has")
)

// stepsOn is how many steps a sequence has. On a database, where each takes longer, it has less of them.
func stepsOn(k keeping) int {
	if k.database != nil {
		return *modelSteps / 5
	}
	return *modelSteps
}

func seedOf(t *testing.T) uint64 {
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("found again with -run '%s$' -model.seed=%d -model.steps=%d", t.Name(), seed, *modelSteps)
		}
	})
	return seed
}

// player plays a random sequence.
type player struct {
	*rig
	generator

	model    *model
	ttl      time.Duration
	badOneIn int
	troubled bool // The storage was.
	log      []string
}

// step is a kind of step with its weight among the others.
type step struct {
	weight int
	play   func(*player)
}

func play(t *testing.T, k keeping, count int, steps []step, prepare func(*player, *pushgatewayreceiver.Config)) {
	t.Helper()
	seed := seedOf(t)
	synctest.Test(t, func(t *testing.T) {
		p := &player{generator: generator{Rand: rand.New(rand.NewPCG(seed, 0))}, model: newModel(), badOneIn: 8}
		p.rig = newRig(t, k, func(c *pushgatewayreceiver.Config) { prepare(p, c) })
		t.Cleanup(func() {
			if t.Failed() {
				t.Log("the last steps were\n" + strings.Join(p.log[max(0, len(p.log)-12):], "\n"))
			}
		})
		p.play(count, steps)
		p.rest()
		p.wipe()
		p.rest()
		if p.disk != nil && !p.troubled {
			require.Subset(t, []string{"pushgateway/groups", "pushgateway/owner"}, p.disk.names(), "records of no group")
		}
	})
}

// play plays random steps. Time passes between them, so that no two pushes have the same time.
func (p *player) play(count int, steps []step) {
	p.Helper()
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	for range count {
		p.wait(200 * time.Millisecond)
		p.expire()
		n := p.IntN(total)
		for _, s := range steps {
			if n -= s.weight; n < 0 {
				s.play(p)
				break
			}
		}
		if p.IntN(4) == 0 {
			p.compare()
		}
	}
}

// wait lets a random time pass.
func (p *player) wait(longest time.Duration) {
	time.Sleep(time.Millisecond + time.Duration(p.Int64N(int64(longest))))
}

// clockTime is the time of the bubble in a report.
func clockTime() string { return time.Now().Format("15:04:05.000") }

func (p *player) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf("%s %s: ", clockTime(), weather(p.sink.weather.Load()))+fmt.Sprintf(format, args...))
}

// compare compares what is held with the model.
func (p *player) compare() {
	p.Helper()
	p.expire()
	require.Empty(p, p.model.differs(p.seriesIn(p.read(), false)), "at %s", clockTime())
}

// candidate is what may come of a request.
type candidate struct {
	status int
	model  *model
}

// settle finds out which candidate came true. That of status 0 is that there was no answer.
func (p *player) settle(status int, answer string, candidates ...candidate) {
	p.Helper()
	p.log[len(p.log)-1] += fmt.Sprintf("\n  %d %s", status, answer)
	var left []*model
	for _, c := range candidates {
		if c.status == status {
			left = append(left, c.model)
		}
	}
	require.NotEmpty(p, left, "an answer that is none of %v", candidates)
	if len(left) > 1 {
		held := p.seriesIn(p.read(), false)
		for len(left) > 1 && left[0].differs(held) != "" {
			left = left[1:]
		}
		require.Empty(p, left[0].differs(held))
	}
	p.model = left[0]
}

// outcomes lists what may come of a push.
func (p *player) outcomes(key groupKey, b *body, replace bool, at window) (candidates []candidate) {
	if b.fault == unreadable {
		return []candidate{{http.StatusBadRequest, p.model}}
	}
	after, v := p.model.judge(key, b, replace)
	if v == (verdict{}) || v.unsure {
		m := p.model.clone()
		m.push(key, after, at)
		candidates = append(candidates, candidate{http.StatusOK, m})
	}
	if v.limit != "" {
		candidates = append(candidates, candidate{http.StatusTooManyRequests, p.model})
	}
	if v.refusal != "" && v.itself && b.format != protobuf {
		candidates = append(candidates, candidate{http.StatusBadRequest, p.model}) // The grammar may not allow it.
	}
	if v.refusal != "" {
		failing := p.model.mayFail(key)
		if failing == (verdict{}) || failing.unsure {
			m := p.model.clone()
			m.fail(key, at)
			candidates = append(candidates, candidate{http.StatusBadRequest, m})
		}
		if failing != (verdict{}) {
			candidates = append(candidates, candidate{http.StatusBadRequest, p.model})
		}
	}
	return candidates
}

// push pushes to a group.
func (p *player) push() {
	key, b, replace := pick(&p.generator, groupKeys...), p.body(p.badOneIn), p.IntN(2) == 0
	status, answer, candidates := p.pushBody(key, b, replace)
	p.settle(status, answer, candidates...)
}

// pushBody pushes a body to a group, and lists what may come of it.
func (p *player) pushBody(key groupKey, b *body, replace bool) (status int, answer string, candidates []candidate) {
	p.Helper()
	method := http.MethodPost
	if replace {
		method = http.MethodPut
	}
	path := key.path(p.Rand)
	p.note("%s %s %s", method, path, b)
	if p.model.maxSeries > 0 {
		p.awaitCounts()
		p.model.pending = int(p.gauge("pending_stale_markers"))
	}
	at := window{from: time.Now()}
	status, answer = p.send(method, path, string(b.format), b.bytes)
	at.to = time.Now()
	return status, answer, p.outcomes(key, b, replace, at)
}

func (p *player) delete() {
	key := pick(&p.generator, groupKeys...)
	path := key.path(p.Rand)
	p.note("DELETE %s", path)
	status, answer := p.send(http.MethodDelete, path, "", nil)
	p.settle(status, answer, candidate{http.StatusAccepted, p.deleted(key)})
}

func (p *player) deleted(key groupKey) *model {
	m := p.model.clone()
	delete(m.groups, key.String())
	return m
}

func (p *player) wipe() {
	p.note("wipe")
	m := p.model.clone()
	m.groups = map[string]*modelGroup{}
	status, answer := p.send(http.MethodPut, "/api/v1/admin/wipe", "", nil)
	p.settle(status, answer, candidate{http.StatusAccepted, m})
}

// turnWeather changes the weather downstream.
func (p *player) turnWeather() {
	p.sink.turn(weather(p.IntN(int(weathers))))
	p.note("the weather")
}

// rest waits for a quiet point.
func (p *player) rest() {
	p.note("rest")
	p.compare()
	p.quiet()
	if p.ttl == 0 {
		p.checkQuery(p.model)
		p.checkCounts(p.model)
	}
}

// restart ends the process and starts it again.
func (p *player) restartProcess() {
	kill := p.IntN(2) == 0
	p.note("restart, kill: %t", kill)
	p.restart(kill)
	p.compare()
}

// trouble lets something befall the storage during a request, and starts the process again if it has died.
func (p *player) trouble() {
	what, after := trial(1+p.IntN(int(trials)-1)), p.IntN(5)
	key, b, replace := pick(&p.generator, groupKeys...), p.body(p.badOneIn), p.IntN(2) == 0
	remove := p.IntN(4) == 0
	p.troubled = true
	p.life.try(what, after)
	var status int
	var answer string
	var candidates []candidate
	if remove {
		path := key.path(p.Rand)
		p.note("%s after %d writes: DELETE %s", what, after, path)
		status, answer = p.send(http.MethodDelete, path, "", nil)
		candidates = []candidate{{http.StatusAccepted, p.deleted(key)}}
	} else {
		p.note("%s after %d writes:", what, after)
		status, answer, candidates = p.pushBody(key, b, replace)
	}
	p.life.try(none, 0)
	candidates = p.unstored(candidates)
	p.settle(status, answer, candidates...)
	if what == refuse {
		p.compare()
		return
	}
	// The process has died, or does not know what the storage has and is ended before the push is sent again.
	if status < http.StatusBadRequest {
		candidates = []candidate{{status, p.model}}
	} else if status == http.StatusServiceUnavailable {
		for i := range candidates {
			candidates[i].status = status
		}
	}
	p.note("restart")
	p.restart(true)
	p.settle(status, answer, candidates...)
	p.compare()
}

// unstored adds what comes of it if something could not be stored.
func (p *player) unstored(candidates []candidate) (more []candidate) {
	for _, c := range candidates {
		more = append(more, c, candidate{http.StatusServiceUnavailable, p.model})
		if c.status == http.StatusBadRequest { // The failure could not be stored.
			more = append(more, candidate{c.status, p.model})
		}
	}
	return more
}

// No step begins when a group is about to expire: it may last so long, and the store may be so late to look for such groups.
const early, late = 700 * time.Millisecond, 10 * time.Second

// expire waits until no group is about to expire, and forgets those that have expired.
func (p *player) expire() {
	for p.expiring() {
		time.Sleep(250 * time.Millisecond)
	}
}

// expiring forgets groups that have expired, and tells whether there are some that are about to.
func (p *player) expiring() (waiting bool) {
	if p.ttl == 0 {
		return false
	}
	for id, g := range p.model.groups {
		since := g.pushed
		if since == (window{}) {
			since = g.failed
		}
		if now := time.Now(); now.After(since.to.Add(p.ttl)) && (p.ended(g.key) || now.After(since.to.Add(p.ttl+late))) {
			p.note("%s is over", id)
			delete(p.model.groups, id)
		} else if now.After(since.from.Add(p.ttl - early)) {
			waiting = true
		}
	}
	return waiting
}

// ended tells whether a group has expired.
func (p *player) ended(key groupKey) bool {
	return p.seriesIn(p.read(), false)[key.times()[0]] == ""
}

func TestGroupsModelInMemory(t *testing.T) {
	t.Parallel()
	onStores(t, true, func(t *testing.T, k keeping) {
		play(t, k, stepsOn(k), []step{
			{60, (*player).push}, {12, (*player).delete}, {1, (*player).wipe}, {8, (*player).turnWeather}, {4, (*player).rest},
		}, func(*player, *pushgatewayreceiver.Config) {})
	})
}

func TestGroupsModelWithStorage(t *testing.T) {
	t.Parallel()
	onStores(t, false, func(t *testing.T, k keeping) {
		play(t, k, stepsOn(k), []step{
			{60, (*player).push},
			{12, (*player).delete},
			{1, (*player).wipe},
			{8, (*player).turnWeather},
			{4, (*player).rest},
			{6, (*player).restartProcess},
			{12, (*player).trouble},
		}, func(*player, *pushgatewayreceiver.Config) {})
	})
}

func TestGroupsModelWithLimits(t *testing.T) {
	t.Parallel()
	onStores(t, true, func(t *testing.T, k keeping) {
		play(t, k, stepsOn(k), []step{
			{60, (*player).push}, {12, (*player).delete}, {1, (*player).wipe}, {8, (*player).turnWeather}, {4, (*player).rest},
		}, func(p *player, c *pushgatewayreceiver.Config) {
			p.model.maxGroups, p.model.maxSeries = 5, 60
			c.Groups.Get().MaxGroups, c.Groups.Get().MaxSeries = 5, 60
		})
	})
}

func TestGroupsModelExpiry(t *testing.T) {
	t.Parallel()
	pause := func(p *player) { p.wait(time.Second) }
	onStores(t, false, func(t *testing.T, k keeping) {
		play(t, k, stepsOn(k)/2, []step{
			{60, (*player).push}, {6, (*player).delete}, {6, (*player).turnWeather}, {5, pause}, {2, (*player).rest}, {2, (*player).restartProcess},
		}, func(p *player, c *pushgatewayreceiver.Config) {
			p.ttl, p.badOneIn = 3*time.Second, 3
			c.Groups.Get().TTL = p.ttl
		})
	})
}

// TestWipeStaysWithTheClock forgets many groups at once: what is handed on of each must not drive the time of the next one.
func TestWipeStaysWithTheClock(t *testing.T) {
	t.Parallel()
	onStores(t, true, func(t *testing.T, k keeping) {
		groups := 500
		if k.database != nil {
			groups = 50
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, k, func(*pushgatewayreceiver.Config) {})
			var clients sync.WaitGroup
			for n := range 4 {
				clients.Go(func() {
					for i := range groups {
						r.send(http.MethodPut, fmt.Sprintf("/metrics/job/%d/instance/%d", n, i), string(text), nil)
					}
				})
			}
			clients.Wait()
			status, answer := r.send(http.MethodPut, "/api/v1/admin/wipe", "", nil)
			require.Equal(t, http.StatusAccepted, status, answer)
			r.quiet() // No sample was ahead of time.
		})
	})
}

// TestTimesIncreaseAcrossReloads pushes to a group many times in a millisecond, as long as markers are owed, until the
// receiver is replaced: what the next one hands on must come later.
func TestTimesIncreaseAcrossReloads(t *testing.T) {
	t.Parallel()
	onStores(t, false, func(t *testing.T, k keeping) {
		reloads, pushes := 5, 20
		if k.database != nil {
			reloads, pushes = 2, 10
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, k, func(*pushgatewayreceiver.Config) {})
			r.sink.turn(ambiguous)
			for range reloads {
				for i := range pushes {
					status, answer := r.send(http.MethodPut, "/metrics/job/j", string(text), fmt.Appendf(nil, "m%d 1\n", i%2))
					require.Equal(t, http.StatusOK, status, answer)
				}
				r.restart(false)
			}
			r.quiet() // No sample was out of order.
		})
	})
}

// TestGroupsModelConcurrently lets many clients at the same groups. There is no telling what is held in the end; what is read
// back must be what downstream has.
func TestGroupsModelConcurrently(t *testing.T) {
	t.Parallel()
	for name, ttl := range map[string]time.Duration{"for ever": 0, "expiring": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStores(t, false, func(t *testing.T, k keeping) {
				seed := seedOf(t)
				synctest.Test(t, func(t *testing.T) { concurrently(t, k, seed, ttl) })
			})
		})
	}
}

func concurrently(t *testing.T, k keeping, seed uint64, ttl time.Duration) {
	r := newRig(t, k, func(c *pushgatewayreceiver.Config) { c.Groups.Get().TTL = ttl })
	r.sink.lasting = true
	for round := range uint64(2) {
		r.sink.failures.Store(int32(10 * round)) // In the second round, one in ten calls fails.
		var clients sync.WaitGroup
		for n := range uint64(8) {
			g := generator{Rand: rand.New(rand.NewPCG(seed, 8*round+n)), exemplars: int(1e6 * (8*round + n + 1))}
			clients.Go(func() { r.hammer(&g, groupKey{"job": strconv.FormatUint(n, 10)}) })
		}
		clients.Wait()
		r.sink.failures.Store(0)
		if ttl > 0 {
			time.Sleep(ttl + late)
			require.Empty(t, r.read())
		}
		r.quiet()
	}
}

// hammer sends requests for the client's own group and for those that all clients share.
func (r *rig) hammer(g *generator, own groupKey) {
	requests := *modelSteps
	if r.database != nil {
		requests /= 10
	}
	for range requests {
		time.Sleep(ticks(g.IntN(3)))
		key := pick(g, append(groupKeys, own, own, own, own, own)...)
		b := g.body(8)
		method, path := http.MethodPut, key.path(g.Rand)
		switch g.IntN(8) {
		case 0:
			method, b = http.MethodDelete, &body{}
		case 1, 2, 3:
			method = http.MethodPost
		}
		if g.IntN(100) == 0 {
			method, path, b = http.MethodPut, "/api/v1/admin/wipe", &body{}
		}
		status, answer := r.send(method, path, string(b.format), b.bytes)
		if status != http.StatusOK && status != http.StatusAccepted && status != http.StatusBadRequest {
			r.Errorf("%d %s", status, answer)
		}
	}
}
