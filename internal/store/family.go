// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Family is a metric family of a group. It is held encoded: that takes a fraction of the memory of pdata, is what the
// storage gets, and gives fresh pdata to whoever asks. Once it is held it is never changed.
type Family struct {
	Name string
	// Type is that of the exposition format, also where the metrics are the series of a flattened histogram.
	Type string
	// PushTime is when the push came that brought the family.
	PushTime time.Time

	content
}

// content is pdata of a group, encoded, with the series that it is.
type content struct {
	encoded []byte
	series  []series.Hash // that are forwarded
	slot    int           // of the group's slots; noSlot if it is not stored
}

// NewFamily encodes the metrics of a family, less their exemplars. They are as before after the return, and not used any more.
func (s *Store) NewFamily(name, typ string, md pmetric.Metrics) (*Family, error) {
	f := &Family{Name: name, Type: typ}
	var err error
	withoutExemplars(md, func() { f.content, err = s.encode(md, s.forwarded(md)) })
	if err != nil {
		return nil, err
	}
	return f, nil
}

// encode also lists the series of what is forwarded.
func (s *Store) encode(md, forwarded pmetric.Metrics) (content, error) {
	encoded, err := new(pmetric.ProtoMarshaler).MarshalMetrics(md)
	if err != nil {
		return content{}, err
	}
	return content{encoded: encoded, series: series.Append(nil, forwarded, s.options.Scope), slot: noSlot}, nil
}

// Metrics decodes the content anew.
func (c *content) Metrics() pmetric.Metrics {
	md, err := new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(c.encoded)
	if err != nil {
		return pmetric.NewMetrics() // What is held has been encoded here or decoded once.
	}
	return md
}

// size is what the content takes in memory, in bytes.
func (c *content) size() int64 { return int64(len(c.encoded) + 8*cap(c.series)) }
