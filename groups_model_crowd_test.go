// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
)

// These tests send what random crowds of pushers send to aggregates, in a bubble of time, and compare what is held and what the
// backend has with aggregateModel.

const crowdRules = `
groups:
  republish_interval: 1m
  ttl: %s
  max_pushers: %d
  aggregate:
    - jobs: X|Y
      without: [job_id, pid]
      pusher_ttl: %s
      metrics:
        - {names: .+_of_sum, function: sum}
        - {names: .+_of_min, function: min}
        - {names: .+_of_max, function: max}
        - {names: .+_of_avg, function: avg}
        - {names: .+_of_total, function: total}
        - {names: dropped.*, function: drop}
`

var aggregateKeys = []groupKey{{"job": "X"}, {"job": "X", "env": "prod"}, {"job": "Y"}}

// crowd plays many pushers. If it is strict, what happens leaves no doubt about what the backend has of each series, so that increase
// must be what was counted.
type crowd struct {
	*rig
	*rand.Rand

	strict   bool
	troubled bool // Something befell it. Records of groups may be left then, to be overwritten.
	rules    pusherRules
	models   []*aggregateModel // of aggregateKeys
	clients  map[string]*crowdClient
	counted  map[string]float64 // what totals had counted when their aggregate ended
	ordinary string             // the value of a group beside the aggregates, "" if there is none
	pushed   time.Time          // when it was pushed
	log      []string
}

// crowdClient is the process of a pusher.
type crowdClient struct {
	tells   bool // It sends created timestamps.
	created time.Time
	values  map[string]int
	bounds  []string
	sent    []crowdPush
}

// crowdPush is a push that was sent, to be sent again.
type crowdPush struct {
	families []*dto.MetricFamily
	replace  bool
	format   expfmt.Format
	body     []byte
}

// crowdStep is a kind of step with its weight among the others.
type crowdStep struct {
	weight int
	play   func(*crowd)
}

func playCrowd(t *testing.T, k keeping, c *crowd, steps []crowdStep) {
	t.Helper()
	seed := seedOf(t)
	synctest.Test(t, func(t *testing.T) {
		c.Rand = rand.New(rand.NewPCG(seed, 1))
		c.rules.pusherTTL = 10 * time.Minute // A database takes long for each minute of a bubble.
		c.clients, c.counted = map[string]*crowdClient{}, map[string]float64{}
		for _, key := range aggregateKeys {
			c.models = append(c.models, &aggregateModel{key: key})
		}
		c.rig = newRig(t, k, func(config *pushgatewayreceiver.Config) {
			overlay(t, config, fmt.Sprintf(crowdRules, c.rules.ttl, c.rules.maxPushers, c.rules.pusherTTL))
		})
		c.sink.ledger = newLedger()
		c.sink.doubt = func() error {
			return []error{context.DeadlineExceeded, consumererror.NewPermanent(errRefused)}[rand.IntN(2)]
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Log("the last steps were\n" + strings.Join(c.log[max(0, len(c.log)-15):], "\n"))
			}
		})
		all := 0
		for _, s := range steps {
			all += s.weight
		}
		for range stepsOn(k) {
			time.Sleep(time.Millisecond + time.Duration(c.Int64N(int64(20*time.Second))))
			c.clear()
			n := c.IntN(all)
			for _, s := range steps {
				if n -= s.weight; n < 0 {
					s.play(c)
					break
				}
			}
			synctest.Wait()
			c.compare()
		}
		c.rest()
		c.wipe()
		c.rest()
		if c.disk != nil {
			c.checkRecords()
		}
	})
}

// checkRecords holds that nothing is stored of groups and pushers that are no more: only the bounds of their numbers, and whose the records are.
func (c *crowd) checkRecords() {
	c.Helper()
	for _, name := range c.disk.names() {
		if !c.troubled || strings.HasPrefix(name, "pushgateway/p/") {
			require.Contains(c, []string{"pushgateway/groups", "pushgateway/pushers", "pushgateway/owner"}, name, "a record of nothing")
		}
	}
}

func (c *crowd) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf("%s %s: ", clockTime(), weather(c.sink.weather.Load()))+fmt.Sprintf(format, args...))
}

// states replays what happened to all aggregates.
func (c *crowd) states() (states []*state) {
	for _, m := range c.models {
		states = append(states, m.replay(c.rules, time.Now()))
	}
	return states
}

// clear waits until no pusher and no series is about to be forgotten.
func (c *crowd) clear() {
	const early, late = exportPause + 4*time.Second, 15 * time.Second // After that, an export may be waited for.
	near := func(since time.Time, ttl time.Duration) bool {
		quiet := time.Since(since)
		return ttl > 0 && quiet > ttl-early && quiet < ttl+late
	}
	for waiting := true; waiting; {
		waiting = near(c.pushed, c.rules.ttl)
		for _, m := range c.models {
			for _, e := range m.events {
				waiting = waiting || near(e.at, c.rules.pusherTTL) || near(e.at, c.rules.ttl)
			}
		}
		if waiting {
			time.Sleep(time.Second)
		}
	}
}

// expected is what GET /metrics should show.
func (c *crowd) expected(states []*state) map[string]string {
	all := map[string]string{}
	for _, s := range states {
		maps.Copy(all, s.shown())
	}
	if c.ordinary != "" && (c.rules.ttl == 0 || time.Since(c.pushed) < c.rules.ttl) {
		all[seriesName("g", groupKey{"job": "o"})] = c.ordinary
	}
	return all
}

func (c *crowd) compare() {
	c.Helper()
	c.awaitCounts()
	states, pushers := c.states(), 0
	for _, s := range states {
		pushers += len(s.pushers)
	}
	require.Empty(c, difference(c.expected(states), withoutTimes(c.seriesIn(c.read(), false))))
	require.EqualValues(c, pushers, c.gauge("aggregate_pushers"))
}

// target is a pusher of an aggregate.
type target struct {
	*aggregateModel

	pusher string
}

func (c *crowd) target() target {
	return target{c.models[c.IntN(len(c.models))], []string{"", "1", "2", "3", "4", "5"}[c.IntN(6)]}
}

func (t target) path() string {
	path := "/metrics/job/" + t.key["job"]
	if t.pusher != "" {
		path += "/job_id/" + t.pusher
	}
	if env := t.key["env"]; env != "" {
		path += "/env/" + env
	}
	return path
}

// attempt is a request with what should come of it.
type attempt struct {
	target

	method string
	format expfmt.Format
	body   []byte
	event  pusherEvent
	want   int
}

// push makes the next push of a pusher. It is none if nobody can tell what should come of it.
func (c *crowd) push() (a attempt, ok bool) {
	to := c.target()
	push := c.body(to)
	method := http.MethodPost
	if push.replace {
		method = http.MethodPut
	}
	e := eventOf(to.key, to.pusher, push.families, push.replace)
	a = attempt{target: to, method: method, format: push.format, body: push.body, event: e, want: http.StatusOK}
	refused, unsure := to.replay(c.rules, time.Now()).conflict(e)
	if refused || slices.ContainsFunc(push.families, hasNegative) {
		a.want = http.StatusBadRequest
	}
	// Whether there is room or the push is refused, is a matter of order.
	return a, !unsure && (a.want == http.StatusOK || c.rules.maxPushers == 0)
}

// hasNegative tells whether a family has a counter that is negative.
func hasNegative(f *dto.MetricFamily) bool {
	return slices.ContainsFunc(f.Metric, func(m *dto.Metric) bool { return m.Counter.GetValue() < 0 })
}

// body makes the body of a push, or takes one that was sent before.
func (c *crowd) body(to target) crowdPush {
	id := to.path()
	client := c.clients[id]
	if client == nil {
		client = &crowdClient{tells: c.IntN(2) == 0}
		client.begin(c)
		c.clients[id] = client
	}
	switch n := c.IntN(24); {
	case n < 3 && len(client.sent) > 0:
		return client.sent[len(client.sent)-1] // The answer was lost.
	case n == 3 && len(client.sent) > 0:
		return client.sent[c.IntN(len(client.sent))] // It was under way for long.
	case n < 6:
		client.begin(c)
	}
	push := crowdPush{replace: c.IntN(2) == 0}
	for _, make := range crowdFamilies {
		if c.IntN(3) > 0 {
			push.families = append(push.families, make(c, client))
		}
	}
	push.encode(c)
	client.sent = append(client.sent, push)
	return push
}

// encode writes the push in one of the formats that can hold it.
func (p *crowdPush) encode(c *crowd) {
	added := slices.ContainsFunc(p.families, func(f *dto.MetricFamily) bool { return f.GetName() == "x_of_total" })
	switch n := c.IntN(3); {
	case n == 0 && !added:
		p.format, p.body = openMetrics, encodeWithCreated(p.families)
	case n == 1:
		p.format, p.body = text, encode(text, withCreatedGauges(p.families))
	default:
		p.format, p.body = protobuf, encode(protobuf, p.families)
	}
}

// begin begins another process of the pusher.
func (p *crowdClient) begin(c *crowd) {
	p.values, p.created = map[string]int{}, time.Now()
	p.bounds = [][]string{{"1", "2", "+Inf"}, {"1", "+Inf"}, {"0.5", "2", "8", "+Inf"}}[c.IntN(3)]
}

func (p *crowdClient) since() *timestamppb.Timestamp {
	if !p.tells {
		return nil
	}
	return timestamppb.New(p.created)
}

// grow lets a value of the process grow.
func (p *crowdClient) grow(c *crowd, name string) int {
	p.values[name] += c.IntN(5)
	return p.values[name]
}

var crowdFamilies = []func(*crowd, *crowdClient) *dto.MetricFamily{
	crowdCounter("c_total", "l", "1"), crowdCounter("d_total", "l", "2"), crowdCounter("e_total", "pid", "7"),
	crowdGauge("g"), crowdGauge("g_of_sum"), crowdGauge("g_of_max"), crowdGauge("g_of_min"), crowdGauge("g_of_avg"),
	crowdGauge("x_of_total"), crowdGauge("dropped"),
	crowdHistogram, crowdSummary, crowdFlip,
}

// crowdCounter is a family of one series, or of two that have the label or another value of it. Of the label pid they become one.
func crowdCounter(name, label, value string) func(*crowd, *crowdClient) *dto.MetricFamily {
	return func(c *crowd, p *crowdClient) *dto.MetricFamily {
		f := &dto.MetricFamily{Name: &name, Type: dto.MetricType_COUNTER.Enum()}
		for _, value := range []string{value, "0"}[:1+c.IntN(2)] {
			v := float64(p.grow(c, name+value))
			if c.IntN(60) == 0 {
				v = -1
			}
			f.Metric = append(f.Metric, &dto.Metric{
				Label:   []*dto.LabelPair{{Name: &label, Value: new(value)}},
				Counter: &dto.Counter{Value: &v, CreatedTimestamp: p.since()},
			})
		}
		return f
	}
}

func crowdGauge(name string) func(*crowd, *crowdClient) *dto.MetricFamily {
	return func(c *crowd, _ *crowdClient) *dto.MetricFamily {
		return &dto.MetricFamily{
			Name: &name, Type: dto.MetricType_GAUGE.Enum(),
			Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(float64(c.IntN(20)))}}},
		}
	}
}

func crowdHistogram(c *crowd, p *crowdClient) *dto.MetricFamily {
	h := &dto.Histogram{SampleSum: new(float64(c.IntN(40) - 4)), CreatedTimestamp: p.since()}
	count := uint64(0)
	for _, bound := range p.bounds {
		count += uint64(p.grow(c, "h"+bound))
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(number(bound)), CumulativeCount: new(count)})
	}
	h.SampleCount = &count
	return &dto.MetricFamily{Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}
}

func crowdSummary(c *crowd, p *crowdClient) *dto.MetricFamily {
	return summaryFamily(c, p, "s")
}

func summaryFamily(c *crowd, p *crowdClient, name string) *dto.MetricFamily {
	s := &dto.Summary{
		SampleCount: new(uint64(p.grow(c, name+" count"))), SampleSum: new(float64(c.IntN(40))), CreatedTimestamp: p.since(),
		Quantile: []*dto.Quantile{{Quantile: new(0.5), Value: new(1.0)}},
	}
	return &dto.MetricFamily{Name: &name, Type: dto.MetricType_SUMMARY.Enum(), Metric: []*dto.Metric{{Summary: s}}}
}

// crowdFlip is a family whose type is in dispute.
func crowdFlip(c *crowd, p *crowdClient) *dto.MetricFamily {
	if c.IntN(4) == 0 {
		return summaryFamily(c, p, "flip_total")
	}
	return crowdCounter("flip_total", "l", "1")(c, p)
}

// deletion makes the DELETE of a pusher.
func (c *crowd) deletion() attempt {
	to := c.target()
	return attempt{target: to, method: http.MethodDelete, event: pusherEvent{pusher: to.pusher, ends: true}, want: http.StatusAccepted}
}

// room makes room for a pusher as max_pushers demands, or expects a refusal. It takes the pusher that has been quiet longest in the
// aggregate, and one of another aggregate only if none of its own has been quiet for long enough.
func (c *crowd) room(a *attempt) {
	if c.rules.maxPushers == 0 || a.event.ends || a.want != http.StatusOK {
		return
	}
	pushers, states := 0, c.states()
	for i, s := range states {
		pushers += len(s.pushers)
		if c.models[i] == a.aggregateModel && s.pushers[a.pusher] != nil {
			return
		}
	}
	if pushers < c.rules.maxPushers {
		return
	}
	own := slices.Index(c.models, a.aggregateModel)
	if !c.foldQuietest(c.models[own:own+1], states[own:own+1]) && !c.foldQuietest(c.models, states) {
		a.want = http.StatusTooManyRequests
	}
}

// foldQuietest forgets the pusher that has been quiet longest, if that is long enough.
func (*crowd) foldQuietest(models []*aggregateModel, states []*state) bool {
	var quietest target
	since := time.Now().Add(-5 * time.Minute)
	for i, s := range states {
		for id, p := range s.pushers {
			if p.at.Before(since) {
				quietest, since = target{models[i], id}, p.at
			}
		}
	}
	if quietest.aggregateModel == nil {
		return false
	}
	quietest.events = append(quietest.events, pusherEvent{pusher: quietest.pusher, at: time.Now(), ends: true})
	return true
}

// do sends a request and tells the model of it.
func (c *crowd) do(a attempt) {
	c.Helper()
	c.room(&a)
	status, answer := c.send(a.method, a.path(), string(a.format), a.body)
	c.note("%s %s %v: %d %s", a.method, a.path(), a.event, status, strings.TrimSpace(answer))
	require.Equal(c, a.want, status, answer)
	a.happened()
}

// happened tells the model of a request that was answered.
func (a attempt) happened() {
	if a.want < http.StatusBadRequest {
		a.event.at = time.Now()
		a.events = append(a.events, a.event)
	}
}

func (c *crowd) pushOne() {
	if a, ok := c.push(); ok {
		c.do(a)
	}
}

func (c *crowd) delete() { c.do(c.deletion()) }

// burst lets pushers push the same counter at once, some of them twice.
func (c *crowd) burst() {
	var pushing sync.WaitGroup
	c.note("a burst")
	for i := range 16 {
		to := target{c.models[0], strconv.Itoa(i / 2 % 6)}
		f := crowdCounter("burst_total", "l", "1")(c, &crowdClient{values: map[string]int{"burst_total1": 3 * i, "burst_total0": 3 * i}})
		f.Metric[0].Counter.Value = new(float64(100 * (i / 2 % 6)))
		f.Metric = f.Metric[:1]
		families := []*dto.MetricFamily{f}
		a := attempt{
			target: to, method: http.MethodPost, format: text, body: encode(text, families),
			event: eventOf(to.key, to.pusher, families, false), want: http.StatusOK,
		}
		pushing.Go(func() {
			status, answer := c.send(a.method, a.path(), string(a.format), a.body)
			if status != a.want {
				c.Errorf("%d %s", status, answer)
			}
		})
		a.happened()
	}
	pushing.Wait()
}

// beside changes a group that no rule takes.
func (c *crowd) beside() {
	c.ordinary, c.pushed = strconv.Itoa(c.IntN(20)), time.Now()
	c.note("PUT /metrics/job/o %s", c.ordinary)
	status, answer := c.send(http.MethodPut, "/metrics/job/o", string(text), []byte("# TYPE g gauge\ng "+c.ordinary+"\n"))
	require.Equal(c, http.StatusOK, status, answer)
}

// pause lets some minutes pass. That may be longer than anything is given up.
func (c *crowd) pause() {
	c.note("a pause")
	time.Sleep(time.Duration(c.Int64N(int64(3 * time.Minute))))
	c.clear()
}

// longPause lets pushers be forgotten.
func (c *crowd) longPause() {
	c.calm()
	c.note("a long pause")
	time.Sleep(time.Duration(c.Int64N(int64(13 * time.Minute))))
	c.clear()
}

// calm ends bad weather of the kinds in which things may be given up or, if the crowd is strict, come too late.
func (c *crowd) calm() {
	c.sink.turn(healthy)
	if c.strict {
		time.Sleep(2 * time.Minute)
		c.clear()
	}
}

func (c *crowd) turnWeather() {
	all := []weather{healthy, permanent, retryable, hanging, ambiguous, partial, picky}
	if c.strict {
		all = []weather{healthy, retryable}
	}
	c.sink.turn(all[c.IntN(len(all))])
	c.note("the weather")
}

func (c *crowd) restartProcess() {
	if c.strict {
		c.rest()
	}
	kill := c.IntN(2) == 0
	c.note("restart, kill: %t", kill)
	c.restart(kill)
	c.clear()
}

// wipe ends everything.
func (c *crowd) wipe() {
	c.calm()
	c.note("wipe")
	status, answer := c.send(http.MethodPut, "/api/v1/admin/wipe", "", nil)
	require.Equal(c, http.StatusAccepted, status, answer)
	for _, m := range c.models {
		c.forget(m)
	}
	c.ordinary = ""
}

// forget ends an aggregate of the model.
func (c *crowd) forget(m *aggregateModel) {
	s := m.replay(c.rules, time.Now())
	for name := range s.series {
		s.end(name)
	}
	for name, n := range s.ended {
		c.counted[name] += n
	}
	m.events = nil
}

// endOne ends an aggregate through the admin API.
func (c *crowd) endOne() {
	c.calm()
	to := c.target()
	to.pusher = ""
	path := "/api/v1/admin/aggregate" + strings.TrimPrefix(to.path(), "/metrics")
	c.note("DELETE %s", path)
	status, answer := c.send(http.MethodDelete, path, "", nil)
	require.Equal(c, http.StatusAccepted, status, answer)
	c.forget(to.aggregateModel)
}

// trouble lets something befall the storage during a request. The client repeats the request until it is answered.
func (c *crowd) trouble() {
	what, after := trial(1+c.IntN(int(trials)-1)), c.IntN(6)
	a, ok := c.deletion(), true
	if c.IntN(4) > 0 {
		a, ok = c.push()
	}
	if !ok || a.want == http.StatusBadRequest {
		return
	}
	c.room(&a)
	c.troubled = true
	c.life.try(what, after)
	status, answer := c.send(a.method, a.path(), string(a.format), a.body)
	c.life.try(none, 0)
	c.note("%s after %d writes: %s %s %v: %d %s", what, after, a.method, a.path(), a.event, status, strings.TrimSpace(answer))
	if status != http.StatusServiceUnavailable {
		require.Equal(c, a.want, status, answer)
		a.happened()
		c.revive(what)
		return
	}
	c.revive(what)
	before := c.expected(c.states())
	held := withoutTimes(c.seriesIn(c.read(), false))
	if rest := difference(before, held); rest != "" {
		require.NotEqual(c, refuse, what, rest)
		stored := *a.aggregateModel
		a.event.at = time.Now()
		stored.events = append(slices.Clone(stored.events), a.event)
		states := c.states()
		states[slices.Index(c.models, a.aggregateModel)] = stored.replay(c.rules, time.Now())
		require.Empty(c, difference(c.expected(states), held), "neither before nor after")
	}
	c.do(a)
}

// revive starts the process again if it may have died, or does not know what the storage has.
func (c *crowd) revive(what trial) {
	if what != refuse {
		c.restart(true)
	}
	c.clear()
}

// foldTrouble lets something befall the storage while pushers are forgotten.
func (c *crowd) foldTrouble() {
	c.calm()
	what, after := trial(1+c.IntN(int(trials)-1)), c.IntN(6)
	c.note("%s after %d writes in a long pause", what, after)
	c.troubled = true
	c.life.try(what, after)
	time.Sleep(c.rules.pusherTTL + time.Minute)
	c.life.try(none, 0)
	if what != refuse {
		c.restart(true)
	}
	time.Sleep(time.Minute)
	c.clear()
}

// rest waits until the backend has what is held.
func (c *crowd) rest() {
	c.note("rest")
	c.sink.turn(healthy)
	time.Sleep(3 * time.Minute)
	c.clear()
	time.Sleep(exportPause)
	synctest.Wait()
	c.compare()
	found := c.sink.db.alive(time.Now().Add(-5 * time.Minute))
	maps.DeleteFunc(found, func(_, value string) bool { return strings.HasSuffix(value, " old") }) // The marker had no way.
	require.Empty(c, difference(c.seriesIn(c.read(), false), found))
	require.Zero(c, c.gauge("pending_stale_markers")+c.gauge("unsent_groups"))
	require.Empty(c, c.sink.allFaults())
	require.Empty(c, c.sink.ledger.faults())
	require.Empty(c, append(c.sink.ledger.labeled("job_id"), c.sink.ledger.labeled("pid")...))
	if c.strict {
		c.checkIncrease()
	}
}

// checkIncrease holds what Prometheus computes to what was counted.
func (c *crowd) checkIncrease() {
	c.Helper()
	counted := maps.Clone(c.counted)
	for _, s := range c.states() {
		for name := range s.series {
			s.end(name)
		}
		for name, n := range s.ended {
			counted[name] += n
		}
	}
	found := map[string]float64{}
	for name, n := range c.sink.ledger.increases() {
		if family, labels, _ := strings.Cut(name, "{"); !strings.HasSuffix(family, "_bucket") {
			found[strings.TrimSuffix(family, "_count")+"{"+labels] += n // A family can have been of two types.
		}
	}
	require.Equal(c, counted, found, "increase")
	for _, name := range c.sink.ledger.withoutZero() {
		require.Contains(c, name, "_bucket{", "it began without a zero")
	}
}

func TestPushersModel(t *testing.T) {
	t.Parallel()
	onStores(t, false, func(t *testing.T, k keeping) {
		playCrowd(t, k, &crowd{}, []crowdStep{
			{60, (*crowd).pushOne},
			{4, (*crowd).burst},
			{8, (*crowd).delete},
			{4, (*crowd).beside},
			{8, (*crowd).pause},
			{3, (*crowd).longPause},
			{8, (*crowd).turnWeather},
			{5, (*crowd).restartProcess},
			{12, (*crowd).trouble},
			{3, (*crowd).foldTrouble},
			{1, (*crowd).wipe},
			{2, (*crowd).endOne},
			{4, (*crowd).rest},
		})
	})
}

func TestPushersModelInMemory(t *testing.T) {
	t.Parallel()
	onStores(t, true, func(t *testing.T, k keeping) {
		playCrowd(t, k, &crowd{rules: pusherRules{ttl: 13 * time.Minute}}, []crowdStep{
			{60, (*crowd).pushOne},
			{4, (*crowd).burst},
			{8, (*crowd).delete},
			{4, (*crowd).beside},
			{8, (*crowd).pause},
			{3, (*crowd).longPause},
			{8, (*crowd).turnWeather},
			{1, (*crowd).wipe},
			{2, (*crowd).endOne},
			{4, (*crowd).rest},
		})
	})
}

func TestPushersModelOfIncrease(t *testing.T) {
	t.Parallel()
	steps := []crowdStep{
		{60, (*crowd).pushOne},
		{4, (*crowd).burst},
		{8, (*crowd).delete},
		{4, (*crowd).pause},
		{4, (*crowd).longPause},
		{8, (*crowd).turnWeather},
		{1, (*crowd).wipe},
		{1, (*crowd).endOne},
		{4, (*crowd).rest},
	}
	t.Run("restarts", func(t *testing.T) {
		t.Parallel()
		onStores(t, false, func(t *testing.T, k keeping) {
			playCrowd(t, k, &crowd{strict: true}, append(slices.Clone(steps), crowdStep{3, (*crowd).restartProcess}))
		})
	})
	// After a restart, a series may live as long as if each push of its pushers had brought it.
	t.Run("ttl", func(t *testing.T) {
		t.Parallel()
		onStores(t, false, func(t *testing.T, k keeping) {
			playCrowd(t, k, &crowd{strict: true, rules: pusherRules{ttl: 13 * time.Minute}}, steps)
		})
	})
}

func TestPushersModelWithLimit(t *testing.T) {
	t.Parallel()
	onStores(t, false, func(t *testing.T, k keeping) {
		playCrowd(t, k, &crowd{rules: pusherRules{maxPushers: 6}}, []crowdStep{
			{60, (*crowd).pushOne}, {6, (*crowd).delete}, {20, (*crowd).pause}, {3, (*crowd).longPause}, {3, (*crowd).restartProcess}, {4, (*crowd).rest},
		})
	})
}

// TestPushersConcurrently lets many pushers push at once, each of their requests up to three times at once, while the process dies
// again and again and the storage fails. What was counted is what is held in the end.
func TestPushersConcurrently(t *testing.T) {
	t.Parallel()
	inBubble(t, "", aggregateByJobID, func(s *script) {
		pushers, deaths := 24, 8
		if s.database != nil {
			pushers, deaths = 6, 3
		}
		seed := seedOf(t)
		counted := make([]int, pushers)
		var pushing sync.WaitGroup
		for i := range pushers {
			g := rand.New(rand.NewPCG(seed, uint64(i)))
			pushing.Go(func() { counted[i] = s.pushWhile(g, i) })
		}
		chance := rand.New(rand.NewPCG(seed, uint64(pushers)))
		for range deaths {
			time.Sleep(time.Duration(chance.Int64N(int64(4 * time.Second))))
			s.life.try(trial(chance.IntN(int(trials))), chance.IntN(20))
			time.Sleep(time.Second)
			s.restart(true)
		}
		pushing.Wait()
		sum := 0
		for _, n := range counted {
			sum += n
		}
		want := fmt.Sprintf("= c_total %d, h 1:%d +Inf:%d sum:%d", sum, sum, 2*sum, sum)
		s.play(lines(want, "restart", want, "wait 11m", "pushers 0", want, "kill", want))
	})
}

// pushWhile pushes until all is counted, and returns how much that is.
func (s *script) pushWhile(g *rand.Rand, pusher int) (counted int) {
	path := fmt.Sprintf("/metrics/job/X/job_id/%d", pusher)
	value := 0
	for range max(10, stepsOn(s.keeping)/2) {
		time.Sleep(time.Duration(g.IntN(int(time.Second))))
		switch g.IntN(8) {
		case 0: // The process ends and says so.
			s.until(g, http.MethodDelete, path, nil)
			counted, value = counted+value, 0
		case 1: // It ends, and the next one has counted less.
			if value > 1 {
				counted, value = counted+value, g.IntN(value-1)
			}
		default:
			value += g.IntN(5)
		}
		s.until(g, http.MethodPut, path, fmt.Appendf(nil, "# TYPE c_total counter\nc_total %[1]d\n"+
			"# TYPE h histogram\nh_bucket{le=\"1\"} %[1]d\nh_bucket{le=\"+Inf\"} %[2]d\nh_sum %[1]d\nh_count %[2]d\n", value, 2*value))
	}
	return counted + value
}

// until sends a request, up to three times at once, until it is answered well.
func (s *script) until(g *rand.Rand, method, path string, body []byte) {
	var sending sync.WaitGroup
	for range 1 + g.IntN(8)/6 {
		sending.Go(func() {
			for status := 0; status/100 != 2; time.Sleep(100 * time.Millisecond) {
				status, _, _ = s.trySend(method, path, string(text), body)
			}
		})
	}
	sending.Wait()
}
