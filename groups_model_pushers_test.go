// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// aggregateModel is what an aggregate should be: the list of what its pushers did, and a function over that list. The function is
// slow and knows nothing of the receiver's own arithmetic.
type aggregateModel struct {
	key    groupKey
	events []pusherEvent
}

// pusherEvent is a push, or the end of a pusher.
type pusherEvent struct {
	at      time.Time
	pusher  string
	ends    bool
	replace bool
	// Of a push: its series without the labels of the rule, joined where they became one, and all families that it names.
	series   map[string]share
	families map[string]bool
}

// share is what one push says of a series.
type share struct {
	family  string
	of      function
	kind    dto.MetricType
	labels  map[string]string
	created int64 // in milliseconds, 0 if unknown
	value   counts
}

// counts are the numbers of a value: one, or those of a histogram by bound, with its sum and its count.
type counts map[string]float64

func (c counts) plus(other counts) counts {
	sum := counts{}
	for _, from := range []counts{c, other} {
		for name, v := range from {
			sum[name] += v
		}
	}
	return sum
}

// follows tells whether c can be a later value of the same process. Of histograms the count decides, the bounds, and the buckets as
// they are exposed; of summaries the count.
func (c counts) follows(before counts) bool {
	was, is := 0.0, 0.0
	for _, name := range c.bounds() {
		if _, same := before[name]; !same {
			return false
		}
		was, is = was+before[name], is+c[name]
		if is < was {
			return false
		}
	}
	return len(c) == len(before) && c.main() >= before.main()
}

// bounds are the names of the buckets in order.
func (c counts) bounds() []string {
	names := slices.DeleteFunc(slices.Collect(maps.Keys(c)), func(name string) bool { return !strings.HasPrefix(name, "le ") })
	return slices.SortedFunc(slices.Values(names), func(a, b string) int {
		return cmp.Compare(number(strings.TrimPrefix(a, "le ")), number(strings.TrimPrefix(b, "le ")))
	})
}

// main is the number that tells the age of two values of one process.
func (c counts) main() float64 {
	if count, ok := c["count"]; ok {
		return count
	}
	return c["value"]
}

// function is what becomes of the values of many pushers.
type function string

const (
	total    function = "total"
	lastOf   function = "last"
	sumOf    function = "sum"
	minOf    function = "min"
	maxOf    function = "max"
	averages function = "avg"
)

func (f function) live() bool { return f != total && f != lastOf }

// pusherRules are the rules of the model.
type pusherRules struct {
	pusherTTL, ttl time.Duration
	maxPushers     int
}

// seriesState is what the events made of one series.
type seriesState struct {
	share // of the latest push

	base  counts
	seen  time.Time
	value float64 // of the function last
}

// held is what a remembered pusher contributes to a series.
type held struct {
	carried, last counts
	created       int64
}

// pusherState is a remembered pusher.
type pusherState struct {
	at    time.Time
	holds map[string]*held
}

// state is what the events of an aggregate amount to.
type state struct {
	rules   pusherRules
	series  map[string]*seriesState
	pushers map[string]*pusherState
	ended   map[string]float64 // what totals had counted when they ended
}

// replay goes through the events once more.
func (a *aggregateModel) replay(rules pusherRules, now time.Time) *state {
	s := &state{rules: rules, series: map[string]*seriesState{}, pushers: map[string]*pusherState{}, ended: map[string]float64{}}
	for _, e := range a.events {
		s.expire(e.at)
		if e.ends {
			s.fold(e.pusher)
		} else {
			s.push(e)
		}
	}
	s.expire(now)
	return s
}

// expire forgets pushers and series that have been quiet for too long.
func (s *state) expire(now time.Time) {
	for _, id := range slices.Sorted(maps.Keys(s.pushers)) {
		if now.Sub(s.pushers[id].at) > s.rules.pusherTTL {
			s.fold(id)
		}
	}
	for name, of := range s.series {
		if s.rules.ttl > 0 && now.Sub(of.seen) > s.rules.ttl {
			s.end(name)
		}
	}
}

// end ends a series and forgets what it had counted.
func (s *state) end(name string) {
	if of := s.series[name]; of.of == total {
		s.ended[name] += s.total(name).main()
	}
	delete(s.series, name)
	for _, p := range s.pushers {
		delete(p.holds, name)
	}
}

// fold ends a pusher. Its counts stay, its live values leave.
func (s *state) fold(id string) {
	p := s.pushers[id]
	delete(s.pushers, id)
	if p == nil {
		return
	}
	for name, h := range p.holds {
		if of := s.series[name]; of.of == total {
			of.base = of.base.plus(h.carried).plus(h.last)
		}
	}
	s.endEmpty()
}

// endEmpty ends live series that no remembered pusher has.
func (s *state) endEmpty() {
	for name, of := range s.series {
		if of.of.live() && len(s.holders(name)) == 0 {
			s.end(name)
		}
	}
}

func (s *state) holders(name string) (found []*held) {
	for _, id := range slices.Sorted(maps.Keys(s.pushers)) {
		if h := s.pushers[id].holds[name]; h != nil {
			found = append(found, h)
		}
	}
	return found
}

func (s *state) push(e pusherEvent) {
	p := s.pushers[e.pusher]
	if p == nil {
		p = &pusherState{holds: map[string]*held{}}
		s.pushers[e.pusher] = p
	}
	p.at = e.at
	for name := range p.holds {
		of := s.series[name]
		if _, pushed := e.series[name]; !pushed && of.of.live() && (e.replace || e.families[of.family]) {
			delete(p.holds, name)
		}
	}
	for family := range e.families {
		s.replaceType(family, e)
	}
	for name, v := range e.series {
		of := s.series[name]
		if of == nil {
			of = &seriesState{base: counts{}}
			s.series[name] = of
		}
		of.share, of.seen = v, e.at
		if v.of == lastOf {
			of.value = v.value["value"]
		} else {
			p.take(name, v)
		}
	}
	s.endEmpty()
}

// replaceType ends the series of a family that have another type than in the push.
func (s *state) replaceType(family string, e pusherEvent) {
	for _, now := range e.series {
		for name, of := range s.series {
			if of.family == family && now.family == family && now.kind != of.kind {
				s.end(name)
			}
		}
	}
}

// take takes a value for a total or a live function.
func (p *pusherState) take(name string, v share) {
	h := p.holds[name]
	if h == nil || v.of != total {
		p.holds[name] = &held{carried: counts{}, last: v.value, created: v.created}
		return
	}
	restarted := !v.value.follows(h.last)
	if v.created != 0 && h.created != 0 {
		if v.created < h.created || v.created == h.created && v.value.main() < h.last.main() {
			return // an older push that is late
		}
		restarted = v.created > h.created || restarted
	}
	if restarted {
		h.carried, h.created = h.carried.plus(h.last), 0
	}
	if v.created != 0 {
		h.created = v.created
	}
	h.last = v.value
}

// total is base + Σ (carried + last).
func (s *state) total(name string) counts {
	sum := s.series[name].base
	for _, h := range s.holders(name) {
		sum = sum.plus(h.carried).plus(h.last)
	}
	return sum
}

// live is the value of a function over the pushers remembered.
func (s *state) live(name string) float64 {
	var values []float64
	sum := 0.0
	for _, h := range s.holders(name) {
		values = append(values, h.last["value"])
		sum += h.last["value"]
	}
	switch s.series[name].of {
	case minOf:
		return slices.Min(values)
	case maxOf:
		return slices.Max(values)
	case averages:
		return sum / float64(len(values))
	default:
		return sum
	}
}

// shown lists the series as they are read, with their values.
func (s *state) shown() map[string]string {
	shown := map[string]string{}
	for name, of := range s.series {
		switch of.of {
		case total:
			maps.Copy(shown, of.spell(s.total(name)))
		case lastOf:
			shown[name] = spellNumber(of.value)
		default:
			shown[name] = spellNumber(s.live(name))
		}
	}
	return shown
}

// spell lists the series of a value.
func (v share) spell(c counts) map[string]string {
	shown := map[string]string{}
	put := func(suffix string, value float64, further ...string) {
		labels := maps.Clone(v.labels)
		if len(further) == 2 {
			labels[further[0]] = further[1]
		}
		shown[seriesName(v.family+suffix, labels)] = spellNumber(value)
	}
	count, many := c["count"]
	if !many {
		put("", c["value"])
		return shown
	}
	put("_sum", c["sum"])
	put("_count", count)
	if v.kind != dto.MetricType_HISTOGRAM {
		return shown
	}
	cumulative := 0.0
	for _, name := range c.bounds() {
		cumulative += c[name]
		put("_bucket", cumulative, "le", spellNumber(number(strings.TrimPrefix(name, "le "))))
	}
	return shown
}

// conflict tells which other pusher contributes a family of the push as another type. It is unsure if only the pusher itself does.
func (s *state) conflict(e pusherEvent) (refused, unsure bool) {
	for _, v := range e.series {
		for name, of := range s.series {
			if of.family != v.family || of.kind == v.kind {
				continue
			}
			for id, p := range s.pushers {
				refused = refused || p.holds[name] != nil && id != e.pusher
				unsure = unsure || p.holds[name] != nil && id == e.pusher
			}
		}
	}
	return refused, unsure
}

// eventOf makes the event of a push.
func eventOf(key groupKey, pusher string, families []*dto.MetricFamily, replace bool) pusherEvent {
	e := pusherEvent{pusher: pusher, replace: replace, series: map[string]share{}, families: map[string]bool{}}
	for _, f := range families {
		if f.GetName() == "dropped" {
			continue
		}
		e.families[f.GetName()] = true
		for _, m := range f.Metric {
			e.add(key, f, m)
		}
	}
	return e
}

// add adds a series. One that is there already, because a label is gone, is joined with it.
func (e *pusherEvent) add(key groupKey, f *dto.MetricFamily, m *dto.Metric) {
	v := share{family: f.GetName(), kind: f.GetType(), of: functionOf(f), labels: map[string]string{}, value: countsOf(m)}
	for _, l := range m.Label {
		if l.GetName() != "pid" {
			v.labels[l.GetName()] = l.GetValue()
		}
	}
	maps.Copy(v.labels, key)
	if at := createdOf(m); at != nil {
		v.created = at.AsTime().UnixMilli()
	}
	name := seriesName(v.family, v.labels)
	if before, joined := e.series[name]; joined {
		a, b := before.value["value"], v.value["value"]
		switch v.of {
		case total, sumOf:
			v.value = before.value.plus(v.value)
		case minOf:
			v.value = counts{"value": min(a, b)}
		case maxOf:
			v.value = counts{"value": max(a, b)}
		}
	}
	e.series[name] = v
}

// The function of a family is in its name.
func functionOf(f *dto.MetricFamily) function {
	_, of, _ := strings.Cut(f.GetName(), "_of_")
	switch {
	case f.GetType() == dto.MetricType_COUNTER, f.GetType() == dto.MetricType_HISTOGRAM, f.GetType() == dto.MetricType_SUMMARY:
		return total
	case of != "":
		return function(of)
	default:
		return lastOf
	}
}

func countsOf(m *dto.Metric) counts {
	switch {
	case m.Counter != nil:
		return counts{"value": m.Counter.GetValue()}
	case m.Gauge != nil:
		return counts{"value": m.Gauge.GetValue()}
	case m.Summary != nil:
		return counts{"count": float64(m.Summary.GetSampleCount()), "sum": m.Summary.GetSampleSum()}
	}
	c := counts{"count": float64(m.Histogram.GetSampleCount()), "sum": m.Histogram.GetSampleSum()}
	before := uint64(0)
	for _, b := range m.Histogram.Bucket {
		c["le "+spellNumber(b.GetUpperBound())] = float64(b.GetCumulativeCount() - before)
		before = b.GetCumulativeCount()
	}
	return c
}

func (e pusherEvent) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e.series)) {
		v := e.series[name]
		fmt.Fprintf(&b, " %s %v", name, map[string]float64(v.value))
		if v.created > 0 {
			fmt.Fprintf(&b, " @%d", v.created%1e7)
		}
	}
	return b.String()
}
