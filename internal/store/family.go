// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Family is a metric family of a group. It is encoded, which takes a fraction of pdata's memory and is the form for the
// storage. The encoded data never changes; each reader decodes its own pdata.
type Family struct {
	Name string
	// Type is the exposition format's type, even if the family is flattened.
	Type string
	// PushTime is the time of the push that set the family.
	PushTime time.Time

	content

	// first is the content with exemplars until it is accepted once, or nil. Guarded by the group's mu.
	first []byte
}

// content is encoded pdata of a group and its series.
type content struct {
	encoded  []byte
	series   []series.Hash // forwarded series only
	slot     int           // in the group's slots; noSlot if not stored
	exported time.Time     // last time that these series may have been exported; guarded by the group's mu
}

// NewFamily encodes the metrics of a family. It returns with md unchanged.
func (s *Store) NewFamily(name, typ string, md pmetric.Metrics) (*Family, error) {
	f := &Family{Name: name, Type: typ}
	var err error
	if hasExemplars(md) {
		if f.first, err = encode(md); err != nil {
			return nil, err
		}
	}
	withoutExemplars(md, func() { f.content, err = s.newContent(md, s.forwarded(md)) })
	if err != nil {
		return nil, err
	}
	return f, nil
}

// newContent encodes metrics and lists the series of the forwarded ones.
func (s *Store) newContent(md, forwarded pmetric.Metrics) (content, error) {
	encoded, err := encode(md)
	if err != nil {
		return content{}, err
	}
	return content{encoded: encoded, series: series.Append(nil, forwarded, s.options.Scope), slot: noSlot}, nil
}

func encode(md pmetric.Metrics) ([]byte, error) {
	return new(pmetric.ProtoMarshaler).MarshalMetrics(md)
}

// Metrics decodes the content into new pdata.
func (c *content) Metrics() pmetric.Metrics { return decode(c.encoded) }

func decode(encoded []byte) pmetric.Metrics {
	md, err := new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(encoded)
	if err != nil {
		return pmetric.NewMetrics() // Cannot fail: encoded here, or checked in readContent.
	}
	return md
}

// size returns the memory of the content in bytes.
func (c *content) size() int64 { return int64(len(c.encoded) + 8*cap(c.series)) }
