// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"sync"

	"go.opentelemetry.io/collector/pdata/xpdata"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// translator is the state of one translation. It is pooled and keeps only memory between translations.
type translator struct {
	batch   *exposition.Batch
	options Options
	push    *Push

	families []family
	grouping grouping
	columns  []labelColumn
	arena    stringArena
	scopes   []scope // the first is the default scope
	scopeIDs map[string]int32
	gaps     int  // empty native buckets added to this push
	unusual  bool // the push has a metric or label name that is not legacy

	attributesSpent, textSpent int // see budget.go

	// The current family.
	current     int  // its number, from 1 on
	left        int  // series from the current one to the end
	several     bool // has more than one series, so that duplicates are possible
	description metricDescription
	seen        seriesSet
	distinct    int // number of leading columns whose names are known to be distinct

	// The current series.
	merged      int32 // its index
	hash        uint64
	carried     []int32 // columns of the labels that the point carries besides the grouping labels
	scopeLabels []exposition.Label
	scope       int32 // index into scopes

	// Scratch.
	attributes xpdata.MapBuilder
	owners     map[string]exposition.Type
	names      []string
	filtered   []exposition.Label
	text       []byte
	buckets    []exposition.Bucket
	rising     bool // bucket bounds were pushed in strictly increasing order
	quantiles  []float64
	bounds     []float64
	counts     []uint64
	positive   []nativeBucket
	negative   []nativeBucket
	flat       []flatBucket
	kinds      []kind
}

// family is a family with series.
type family struct {
	*exposition.Family
	points int // elements: label sets with a value
	series int // series in Prometheus
}

// kind is the kind of a series' data point.
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
	return &translator{scopeIDs: map[string]int32{}, owners: map[string]exposition.Type{}, merged: exposition.NoIndex}
}}

func acquire() *translator { return pool.Get().(*translator) }

// maxKept limits the elements per slice that an idle translator keeps, enough for some ten thousand series. A larger push
// does not enlarge later ones.
const maxKept = 1 << 16

// release returns the translator to the pool. It clears all strings and pdata, except the arena's chunk, so that an idle
// translator pins nothing.
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
	t.scopeIDs, t.owners = emptyMap(t.scopeIDs), emptyMap(t.owners)
	t.unusual = false
	t.distinct, t.gaps, t.attributesSpent, t.textSpent, t.merged = 0, 0, 0, 0, exposition.NoIndex
	pool.Put(t)
}

// kept returns the capacity of the largest slice.
func (t *translator) kept() int {
	return max(cap(t.families), cap(t.columns), cap(t.scopes), cap(t.carried), cap(t.seen.slots), cap(t.names),
		cap(t.filtered), cap(t.text), cap(t.buckets), cap(t.quantiles), cap(t.bounds), cap(t.counts), cap(t.positive), cap(t.negative), cap(t.flat))
}

// empty empties a slice and clears its elements.
func empty[E any](s []E) []E {
	clear(s)
	return s[:0]
}

// emptyMap empties a map. A large one is replaced, because clearing costs its full size even after small pushes.
func emptyMap[V any](m map[string]V) map[string]V {
	const maxKeys = 1 << 10
	if len(m) > maxKeys {
		return map[string]V{}
	}
	clear(m)
	return m
}

// beginFamily resets the state of the previous family.
func (t *translator) beginFamily(f *family) {
	t.current++
	t.left, t.several = f.points, f.points > 1
	t.description = t.describeMetric(f.Family)
	if t.several {
		t.seen.reset(f.points)
	}
}
