// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Family is a metric family of a group. It is held encoded: that takes a fraction of the memory of pdata, is what the
// storage gets, and gives new pdata to every reader. What was pushed of a held family never changes.
type Family struct {
	Name string
	// Type is that of the exposition format, also where the metrics are the series of a flattened histogram.
	Type string
	// PushTime is when the push came that brought the family.
	PushTime time.Time

	content

	// first is the content with its exemplars, until it was accepted once; nil if it has none. Guarded by the group's mu.
	first []byte
}

// content is encoded pdata of a group, with its series.
type content struct {
	encoded  []byte
	series   []series.Hash // those that are forwarded
	slot     int           // of the group's slots; noSlot if it is not stored
	exported time.Time     // when values of these series were last exported, or may have been; guarded by the group's mu
}

// NewFamily encodes the metrics of a family. The metrics are unchanged after the return.
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

// newContent encodes metrics and lists the series of what is forwarded of them.
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

// Metrics decodes the content anew.
func (c *content) Metrics() pmetric.Metrics { return decode(c.encoded) }

func decode(encoded []byte) pmetric.Metrics {
	md, err := new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(encoded)
	if err != nil {
		return pmetric.NewMetrics() // It was encoded here, or decoded once when it was restored.
	}
	return md
}

// size is what the content takes in memory, in bytes.
func (c *content) size() int64 { return int64(len(c.encoded) + 8*cap(c.series)) }
