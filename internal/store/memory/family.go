// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// family is a metric family of a group.
type family struct {
	name, typ string
	pushTime  time.Time // of the push that set the family

	content

	// first is the content with exemplars until it is accepted once, or nil. Guarded by the group's mu.
	first []byte

	// unchanged says that a chunk has the same values as the one that it replaces.
	unchanged bool
}

func newFamily(f *store.Family) *family {
	return &family{
		name: f.Name, typ: f.Type, pushTime: f.PushTime, first: f.First,
		content: content{encoded: f.Encoded, series: f.Series, slot: noSlot},
	}
}

// chunkNumber is the number of a chunk of an aggregate, or 0.
func (f *family) chunkNumber() uint64 {
	if f.chunk == nil {
		return 0
	}
	return f.chunk.Number
}

// held returns the family for readers.
func (f *family) held() store.Held {
	return store.Held{Name: f.name, Type: f.typ, PushTime: f.pushTime, Metrics: f.Metrics}
}

// content is encoded pdata of a group and its series.
type content struct {
	encoded  []byte
	chunk    *store.Chunk  // of an aggregate, instead of encoded
	series   []series.Hash // forwarded series only
	slot     int           // in the group's slots; noSlot if not stored
	exported time.Time     // last time that these series may have been exported; guarded by the group's mu
}

// Metrics builds new pdata.
func (c *content) Metrics() pmetric.Metrics {
	if c.chunk != nil {
		return c.chunk.Metrics()
	}
	return store.Decode(c.encoded)
}

// size returns the memory of the content in bytes.
func (c *content) size() int64 {
	if c.chunk != nil {
		return c.chunk.Size
	}
	return int64(len(c.encoded) + 8*cap(c.series))
}
