// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"iter"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

const (
	// MaxMarkers is the maximum number of series in one part of pending markers, unless a single histogram or summary has
	// more. Backends limit requests: OTLP over gRPC to 4 MiB by default.
	MaxMarkers = 1000

	// Lookback is the time for which Prometheus returns a series after its last sample. Afterwards a marker is useless.
	Lookback = 5 * time.Minute
)

// Markers are encoded stale markers.
type Markers struct {
	Encoded []byte
	Series  []series.Hash
}

// NewMarkers encodes markers for the ended series of decoded contents. It takes one content at a time.
func (o *Options) NewMarkers(contents iter.Seq[pmetric.Metrics], ended func(series.Hash) bool) (all []Markers, err error) {
	for md := range o.Space().Markers(contents, ended, MaxMarkers) {
		encoded, err := Encode(md)
		if err != nil {
			return nil, err
		}
		all = append(all, Markers{encoded, o.Space().Append(make([]series.Hash, 0, md.DataPointCount()), md)})
	}
	return all, nil
}

// BuildMarkers builds the markers of some of their series.
func (o *Options) BuildMarkers(m Markers, left []series.Hash) pmetric.Metrics {
	md := Decode(m.Encoded)
	if len(left) == len(m.Series) {
		return md
	}
	wanted := make(map[series.Hash]bool, len(left))
	for _, h := range left {
		wanted[h] = true
	}
	rest := pmetric.NewMetrics()
	only := slices.Values([]pmetric.Metrics{md})
	for part := range o.Space().Markers(only, func(h series.Hash) bool { return wanted[h] }, len(m.Series)) {
		series.AppendMetrics(rest, part)
	}
	return rest
}
