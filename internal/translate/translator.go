// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"sync"

	"go.opentelemetry.io/collector/pdata/xpdata"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// translator is the state of one translation. It is reused, and what it keeps between two is memory only.
type translator struct {
	batch   *exposition.Batch
	options Options
	push    *Push

	families []family
	grouping grouping
	columns  []column
	copies   copies
	scopes   []scope // the first one takes the points that name none
	scopeIDs map[string]int32
	gaps     int  // empty native buckets that this push has had filled in
	unusual  bool // a metric or label of this push has a name that is not legacy

	attributesSpent, textSpent int // see budget.go

	// Of the current family.
	current     int  // its number, from 1 on
	left        int  // series from the current one on
	several     bool // more than one series, so that some may be the same
	description metricDescription
	seen        seriesSet
	distinct    int // so many of the columns' names, from the first one on, are known to differ

	// Of the current series.
	merged      int32 // its index
	hash        uint64
	carried     []int32 // columns of the labels that its point carries beside the grouping labels
	scopeLabels []exposition.Label
	scope       int32 // index into scopes

	// Scratch.
	attributes xpdata.MapBuilder
	owners     map[string]exposition.Type
	names      []string
	filtered   []exposition.Label
	text       []byte
	buckets    []exposition.Bucket
	rising     bool // the bounds of buckets were pushed in an order in which they increase strictly
	quantiles  []float64
	bounds     []float64
	counts     []uint64
	positive   []nativeBucket
	negative   []nativeBucket
	flat       []flatBucket
	kinds      []kind
}

// family is a family that has series.
type family struct {
	*exposition.Family
	points int // its elements: label sets with a value
	series int // that Prometheus makes of them
}

// kind is the kind of data point that a series becomes.
type kind uint8

const (
	number kind = iota
	classic
	exponential
	summary
	flattened // the buckets or quantiles
	flatSum
	flatCount
	kinds
)

var pool = sync.Pool{New: func() any {
	return &translator{scopeIDs: map[string]int32{}, owners: map[string]exposition.Type{}, merged: exposition.None}
}}

func acquire() *translator { return pool.Get().(*translator) }

// maxKept bounds what an idle translator keeps, in elements of each of its slices: one huge push must not make the memory
// of all later ones huge. It has room for a push of some ten thousand series.
const maxKept = 1 << 16

// release gives the translator back. It lets go of all strings and pdata first, so that an idle one pins none, but for the
// chunk of copies that the next push goes on filling.
func (t *translator) release() {
	if t.kept() > maxKept {
		return
	}
	t.batch, t.push, t.options = nil, nil, Options{}
	t.current, t.description = 0, metricDescription{}
	t.families, t.columns, t.scopes = empty(t.families), empty(t.columns), empty(t.scopes)
	t.scopeLabels = empty(t.scopeLabels)
	t.names, t.filtered = empty(t.names), empty(t.filtered)
	t.grouping.release()
	t.scopeIDs, t.owners = forget(t.scopeIDs), forget(t.owners)
	t.unusual = false
	t.distinct, t.gaps, t.attributesSpent, t.textSpent, t.merged = 0, 0, 0, 0, exposition.None
	pool.Put(t)
}

// kept is the size of the largest slice.
func (t *translator) kept() int {
	return max(cap(t.families), cap(t.columns), cap(t.scopes), cap(t.carried), cap(t.seen.slots), cap(t.names),
		cap(t.filtered), cap(t.text), cap(t.buckets), cap(t.quantiles), cap(t.bounds), cap(t.counts), cap(t.positive), cap(t.negative), cap(t.flat))
}

// empty empties a slice and lets go of what its elements refer to.
func empty[E any](s []E) []E {
	clear(s)
	return s[:0]
}

// forget empties a map. One that has become large is left to the garbage collector, because emptying it would cost later
// pushes as much however small they are.
func forget[V any](m map[string]V) map[string]V {
	const maxKeys = 1 << 10
	if len(m) > maxKeys {
		return map[string]V{}
	}
	clear(m)
	return m
}

// beginFamily forgets the previous family.
func (t *translator) beginFamily(f *family) {
	t.current++
	t.left, t.several = f.points, f.points > 1
	t.description = t.describeMetric(f.Family)
	if t.several {
		t.seen.reset(f.points)
	}
}
