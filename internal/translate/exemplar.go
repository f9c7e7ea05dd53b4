// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/hex"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// putExemplars writes a point's exemplars: the list at first, and the buckets'.
func (t *translator) putExemplars(to pmetric.ExemplarSlice, first int32, buckets []exposition.Bucket) {
	n := t.countExemplars(first)
	for i := range buckets {
		n += t.countExemplars(buckets[i].Exemplar)
	}
	if n == 0 {
		return
	}
	to.EnsureCapacity(n)
	t.appendExemplars(to, first)
	for i := range buckets {
		t.appendExemplars(to, buckets[i].Exemplar)
	}
}

func (t *translator) countExemplars(first int32) (n int) {
	for i := first; i != exposition.NoIndex; i = t.batch.Exemplars[i].Next {
		n++
	}
	return n
}

func (t *translator) appendExemplars(to pmetric.ExemplarSlice, first int32) {
	for i := first; i != exposition.NoIndex; i = t.batch.Exemplars[i].Next {
		t.buildExemplar(to.AppendEmpty(), &t.batch.Exemplars[i])
	}
}

// buildExemplar writes an exemplar. Without a time it gets its point's in Stamp.
func (t *translator) buildExemplar(to pmetric.Exemplar, e *exposition.Exemplar) {
	to.SetDoubleValue(e.Value)
	if e.HasTimestamp {
		to.SetTimestamp(pcommon.Timestamp(max(e.TimestampNs, 0)))
	}
	t.filtered = empty(t.filtered)
	for l := range t.batch.LabelsIn(e.Labels) {
		if !putID(to, l) {
			t.filtered = append(t.filtered, exposition.Label{Name: t.arena.valid(l.Name), Value: t.arena.valid(l.Value)})
		}
	}
	// Names may repeat in protobuf.
	slices.SortStableFunc(t.filtered, byName)
	t.filtered = slices.CompactFunc(t.filtered, func(a, b exposition.Label) bool { return a.Name == b.Name })
	t.putLabels(to.FilteredAttributes(), t.filtered)
}

// putID sets the trace or span ID from a label of 32 or 16 hexadecimal digits that are not all zero, as the compatibility
// specification requires.
func putID(to pmetric.Exemplar, l exposition.Label) bool {
	switch {
	case l.Name == "trace_id" && len(l.Value) == 32:
		var id pcommon.TraceID
		if _, err := hex.Decode(id[:], []byte(l.Value)); err != nil || id.IsEmpty() {
			return false
		}
		to.SetTraceID(id)
		return true
	case l.Name == "span_id" && len(l.Value) == 16:
		var id pcommon.SpanID
		if _, err := hex.Decode(id[:], []byte(l.Value)); err != nil || id.IsEmpty() {
			return false
		}
		to.SetSpanID(id)
		return true
	default:
		return false
	}
}
