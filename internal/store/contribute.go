// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Holder is a remembered pusher that contributes to a family.
type Holder struct {
	Key  groupingkey.Key
	Push time.Time
}

// Prepared is what a push would do to a draft. Accept does it.
type Prepared struct {
	// Contributions are those of the pusher after the push.
	Contributions Contributions
	// Resets is the number of series in which the pusher began anew, and Capped that of histograms with bounds for which there is no room.
	Resets, Capped int
	// Replaced are the families that the aggregate has as another type.
	Replaced []ReplacedType

	draft *Draft
	push  *Contribution
	items []*item
	left  []withdrawal
}

// ReplacedType is a family whose series end because it is pushed as another type.
type ReplacedType struct{ Family, From, To string }

// withdrawal is the value of a series after its pusher has left it out.
type withdrawal struct {
	number uint64
	value  merge.Accumulator
}

// item is a series of the aggregate in a push: one or several series of the push.
type item struct {
	family   *PushedFamily
	resource pmetric.ResourceMetrics
	scope    pmetric.ScopeMetrics
	metric   pmetric.Metric
	index    int // of the last point in the metric
	id       string
	key      string

	sample merge.Sample
	number uint64
	begins bool
	capped bool
	value  merge.Accumulator
}

// Prepare computes what a push does after what the draft has done already. Old are the pusher's contributions. Holder finds another
// remembered pusher that contributes to a family. The error is an *UnsummableError or a *TypeConflict.
func (d *Draft) Prepare(c *Contribution, old Contributions, holder func(family string) (Holder, bool)) (*Prepared, error) {
	p := &Prepared{draft: d, push: c}
	replaced := make(map[string]bool)
	for i := range c.Families {
		f := &c.Families[i]
		is, err := d.checkType(c, f, holder)
		if err != nil {
			return nil, err
		}
		if is != nil {
			p.Replaced = append(p.Replaced, *is)
			replaced[f.Name] = true
		}
	}
	if err := p.read(c); err != nil {
		return nil, err
	}
	shares := make(map[uint64]*merge.Contribution, len(old))
	for _, s := range old {
		if home := d.chunk(d.home(s.Number)); home != nil && !replaced[home.Family] {
			shares[s.Number] = s.Contribution
		}
	}
	if err := p.merge(shares, replaced); err != nil {
		return nil, err
	}
	if err := p.withdraw(shares); err != nil {
		return nil, err
	}
	for n, share := range shares {
		p.Contributions = append(p.Contributions, Share{n, share})
	}
	slices.SortFunc(p.Contributions, func(a, b Share) int {
		if a.Number < b.Number {
			return -1
		}
		return 1
	})
	return p, nil
}

// checkType compares the type of a pushed family with what the aggregate has. It returns what is replaced, if anything.
func (d *Draft) checkType(c *Contribution, f *PushedFamily, holder func(string) (Holder, bool)) (*ReplacedType, error) {
	held := d.family(f.Name)
	if held == nil {
		return nil, nil
	}
	kinds, shared := pmetric.MetricTypeEmpty, false
	eachMetric(f, func(_ pmetric.ResourceMetrics, _ pmetric.ScopeMetrics, m pmetric.Metric) {
		kinds = describedKind(f.Function, m)
		shared = shared || held.kinds[kinds]
	})
	if shared && held.function == f.Function && held.typ == exposedType(f.Type, f.Function) {
		return nil, nil
	}
	from, to := held.pushed, f.Type
	if from == to && held.function != f.Function {
		from, to = from+" with the function "+held.function.String(), to+" with the function "+f.Function.String()
	} else if from == to {
		from, to = "classic histogram", "native histogram"
		if held.kinds[pmetric.MetricTypeExponentialHistogram] {
			from, to = to, from
		}
	}
	if by, found := holder(f.Name); found {
		return nil, &TypeConflict{
			Family: f.Name, Held: from, Pushed: to, Aggregate: c.Key.Clone(), Pusher: by.Key, Since: c.At.Sub(by.Push),
		}
	}
	return &ReplacedType{f.Name, from, to}, nil
}

// describedKind is the kind of points that a metric has in an aggregate.
func describedKind(f merge.Function, m pmetric.Metric) pmetric.MetricType {
	if f == merge.Total && m.Type() == pmetric.MetricTypeGauge {
		return pmetric.MetricTypeSum
	}
	return m.Type()
}

func eachMetric(f *PushedFamily, visit func(pmetric.ResourceMetrics, pmetric.ScopeMetrics, pmetric.Metric)) {
	for _, rm := range f.Metrics.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				visit(rm, sm, m)
			}
		}
	}
}

// read reads the samples of a push and joins those of one series of the aggregate.
func (p *Prepared) read(c *Contribution) (err error) {
	items := make(map[string]*item)
	var key []byte
	for i := range c.Families {
		f := &c.Families[i]
		eachMetric(f, func(rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics, m pmetric.Metric) {
			id := metricKey(describedKind(f.Function, m), sm)
			for n := range points(m) {
				if err != nil {
					return
				}
				sample, ok, failed := f.Function.Read(m, n, c.At)
				key = memberKey(key[:0], f.Name, id, point(m, n).Attributes())
				it := items[string(key)]
				switch {
				case failed != nil:
				case !ok:
					continue
				case it != nil:
					sample, failed = f.Function.Join(it.sample, sample)
				default:
					it = &item{family: f, id: id, key: string(key)}
					items[it.key] = it
					p.items = append(p.items, it)
				}
				if failed != nil {
					err = Unsummable(describe(rm, sm, m, n, p.draft.of.space), failed)
					return
				}
				it.resource, it.scope, it.metric, it.index, it.sample = rm, sm, m, n, sample
			}
		})
	}
	return err
}

// describe names a series of a push for its pusher.
func describe(rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics, m pmetric.Metric, i int, space series.Space) string {
	md := pmetric.NewMetrics()
	resource := md.ResourceMetrics().AppendEmpty()
	rm.Resource().CopyTo(resource.Resource())
	scope := resource.ScopeMetrics().AppendEmpty()
	sm.Scope().CopyTo(scope.Scope())
	scope.SetSchemaUrl(sm.SchemaUrl())
	only := scope.Metrics().AppendEmpty()
	m.CopyTo(only)
	keepPoint(only, i)
	return space.Describe(md, space.Append(nil, md)[0])
}

// keepPoint removes all points but one.
func keepPoint(m pmetric.Metric, i int) {
	n := -1
	others := func() bool { n++; return n != i }
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		m.Gauge().DataPoints().RemoveIf(func(pmetric.NumberDataPoint) bool { return others() })
	case pmetric.MetricTypeSum:
		m.Sum().DataPoints().RemoveIf(func(pmetric.NumberDataPoint) bool { return others() })
	case pmetric.MetricTypeHistogram:
		m.Histogram().DataPoints().RemoveIf(func(pmetric.HistogramDataPoint) bool { return others() })
	case pmetric.MetricTypeExponentialHistogram:
		m.ExponentialHistogram().DataPoints().RemoveIf(func(pmetric.ExponentialHistogramDataPoint) bool { return others() })
	case pmetric.MetricTypeSummary:
		m.Summary().DataPoints().RemoveIf(func(pmetric.SummaryDataPoint) bool { return others() })
	}
}

// merge computes the value of each pushed series and the pusher's contribution to it.
func (p *Prepared) merge(shares map[uint64]*merge.Contribution, replaced map[string]bool) error {
	next := p.draft.next
	for _, it := range p.items {
		var before merge.Accumulator
		if n := p.draft.number(it.key); n != 0 && !replaced[it.family.Name] {
			_, m := p.draft.member(n)
			it.number, before = n, m.Value
		} else {
			it.number, it.begins, before = next, true, merge.New(it.family.Function)
			next++
		}
		result, err := before.Push(shares[it.number], it.sample)
		if err != nil {
			return Unsummable(describe(it.resource, it.scope, it.metric, it.index, p.draft.of.space), phrase(err))
		}
		it.value, it.capped = result.Accumulator, result.Capped
		shares[it.number] = result.Contribution
		if result.Outcome == merge.Restarted {
			p.Resets++
		}
		if result.Capped {
			p.Capped++
		}
	}
	return nil
}

// phrase makes a sentence of a series and an error of package merge that has a subject of its own.
func phrase(err error) error {
	if errors.Is(err, merge.ErrOverflow) || errors.Is(err, merge.ErrKind) || errors.Is(err, merge.ErrAbsent) {
		return fmt.Errorf("cannot be combined: %w", err)
	}
	return err
}

// withdraw takes back the contributions to series that the push leaves out, where the function allows it.
func (p *Prepared) withdraw(shares map[uint64]*merge.Contribution) error {
	pushed, named := make(map[uint64]bool, len(p.items)), make(map[string]bool)
	for _, it := range p.items {
		pushed[it.number] = true
	}
	for i := range p.push.Families {
		named[p.push.Families[i].Name] = true
	}
	for _, name := range p.push.Emptied {
		named[name] = true
	}
	for number, share := range shares {
		if pushed[number] {
			continue
		}
		c, m := p.draft.member(number)
		if c.Function.OutlivesPusher() || !p.push.Replace && !named[c.Family] {
			continue
		}
		value, err := m.Value.Withdraw(share)
		if err != nil {
			return err
		}
		p.left = append(p.left, withdrawal{number, value})
		delete(shares, number)
	}
	return nil
}

// Begins returns chunks of only those series that the push adds, or that get other bounds. A caller can check them for limits and
// conflicts.
func (p *Prepared) Begins() []*Chunk {
	byMetric := make(map[string]*Chunk)
	var all []*Chunk
	for _, it := range p.items {
		if _, m := p.draft.member(it.number); !it.begins && merge.SameSeries(m.Value, it.value) {
			continue
		}
		metric := it.family.Name + "\x00" + it.id
		c := byMetric[metric]
		if c == nil {
			c = &Chunk{
				Family: it.family.Name, Function: it.family.Function, metric: it.id,
				template: newTemplate(it.family.Function, it.resource, it.scope, it.metric),
			}
			byMetric[metric] = c
			all = append(all, c)
		}
		c.Members = append(c.Members, Member{Number: it.number, Attributes: point(it.metric, it.index).Attributes(), Value: it.value})
	}
	for _, c := range all {
		c.list(p.draft.of.space)
	}
	return all
}

// Accept makes the push a part of the draft.
func (p *Prepared) Accept() {
	d := p.draft
	for _, r := range p.Replaced {
		d.EndFamily(r.Family)
	}
	for _, w := range p.left {
		d.set(w.number, w.value)
	}
	for _, it := range p.items {
		if it.begins {
			d.begin(it.family, it.id, it.template, it.member(p.push.At))
		} else {
			d.set(it.number, it.value)
			m := d.editMember(it.number)
			m.LastPush = later(m.LastPush, p.push.At)
			if it.capped {
				m.Base = merge.Shaped(m.Base, m.Value)
				d.rewrite[d.home(it.number)] = true
			}
			d.edit(d.home(it.number)).describeAs(it)
		}
		if from := it.exemplars(); from.Len() > 0 {
			own := pmetric.NewExemplarSlice()
			from.CopyTo(own)
			d.Exemplars[it.number] = own
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (it *item) template() pmetric.Metrics {
	return newTemplate(it.family.Function, it.resource, it.scope, it.metric)
}

// member is the new series. It starts a millisecond before its first push.
func (it *item) member(at time.Time) Member {
	m := Member{
		Number: it.number, Start: at.Add(-time.Millisecond), LastPush: at, Base: merge.New(it.family.Function), Value: it.value, key: it.key,
		Attributes: newAttributes(point(it.metric, it.index).Attributes()),
	}
	return m
}

func (it *item) exemplars() pmetric.ExemplarSlice {
	if p, can := point(it.metric, it.index).(exemplified); can {
		return p.Exemplars()
	}
	return pmetric.NewExemplarSlice()
}

// describeAs takes help and unit of the latest push.
func (c *Chunk) describeAs(it *item) {
	was, is := c.described(), it.metric
	if was.Description() != is.Description() || was.Unit() != is.Unit() {
		c.template = it.template()
	}
}
