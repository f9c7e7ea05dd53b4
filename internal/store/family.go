// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// Family is an encoded metric family of a push. Encoding takes a fraction of pdata's memory and is the form for the
// storage. The encoded data never changes; each reader decodes its own pdata.
type Family struct {
	Name string
	// Type is the exposition format's type, even if the family is flattened.
	Type string
	// PushTime is the time of the push that set the family.
	PushTime time.Time
	// Encoded has no exemplars. First is the content with exemplars until it is accepted once, or nil.
	Encoded, First []byte
	// Series are the forwarded series.
	Series []series.Hash
}

// NewFamily encodes the metrics of a family. It returns with md unchanged.
func (o *Options) NewFamily(name, typ string, md pmetric.Metrics) (*Family, error) {
	f := &Family{Name: name, Type: typ}
	var err error
	if hasExemplars(md) {
		if f.First, err = Encode(md); err != nil {
			return nil, err
		}
	}
	withoutExemplars(md, func() {
		f.Series = o.Space().Append(nil, o.ForwardedPart(md))
		f.Encoded, err = Encode(md)
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Encode encodes pdata.
func Encode(md pmetric.Metrics) ([]byte, error) {
	return new(pmetric.ProtoMarshaler).MarshalMetrics(md)
}

// Decode decodes pdata that Encode has encoded.
func Decode(encoded []byte) pmetric.Metrics {
	md, err := new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(encoded)
	if err != nil {
		return pmetric.NewMetrics() // Cannot fail: a store checks what it reads from a storage.
	}
	return md
}
