// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/exemplar"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// column is one way of reading a page.
type column uint8

// The columns of the tables.
const (
	decoder    column = iota // this decoder: from the body to pdata that is ready to hand on
	floor                    // pdata built from values at hand
	otlp                     // OTLP protobuf of the same metrics, unmarshaled
	expfmtToo                // expfmt, and a straightforward conversion of its result to pdata
	textparsed               // Prometheus' parser, to its labels: no pdata comes of it
	columns
)

var columnNames = [columns]string{"this decoder", "floor", "OTLP unmarshal", "expfmt + conversion", "textparse"}

// The push that all columns pretend to read: two grouping labels, one of which becomes part of the resource.
var (
	key     = groupingkey.Key{Job: "nightly", Labels: []groupingkey.Label{{Name: "instance", Value: "node1"}, {Name: "shard", Value: "7"}}}
	options = translate.Options{PushTime: true, Histograms: translate.NativeHistograms, ScopeName: "github.com/otelcol-pushgateway/pushgatewayreceiver", ScopeVersion: "0.1.0"}
	now     = time.Unix(1_800_000_000, 0) // later than each start on the pages
)

// sink keeps results from being optimized away.
var sink any //nolint:unused // It is there to be written.

// subject is a page in one format, ready to be read in all ways.
type subject struct {
	page   page
	body   []byte
	series int // as Prometheus counts them
	read   [columns]func() error
}

// newSubject prepares the page, and reads it in all ways once, so that a parser that refuses it is noticed here.
func newSubject(p page, f exposition.Format, content expfmt.Format) (*subject, error) {
	body := p.body[f]
	otherBody, otherContent := forExpfmt(p, f, content)
	push, err := read(f, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	marshaled, err := new(pmetric.ProtoMarshaler).MarshalMetrics(push.Metrics)
	if err != nil {
		return nil, err
	}
	atHand := extract(push.Metrics)
	s := &subject{page: p, body: body, series: push.Series + 1} // The one more is push_time_seconds.
	s.read = [columns]func() error{
		decoder: func() (err error) { sink, err = read(f, body); return err },
		floor:   func() error { sink = atHand.build(); return nil },
		otlp:    func() (err error) { sink, err = new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(marshaled); return err },
		expfmtToo: func() error {
			families, err := decode(otherBody, otherContent)
			sink = convert(families, now)
			return err
		},
		textparsed: func() error { return parse(body, string(content)) },
	}
	for c, read := range s.read {
		if err := read(); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", p.name, columnNames[c], err)
		}
	}
	return s, nil
}

// forExpfmt is what expfmt reads of a page. In place of OpenMetrics that is the text: its parser of OpenMetrics takes about
// a second for 1000 lines, and refuses what client_golang exposes of the Go runtime.
func forExpfmt(p page, f exposition.Format, content expfmt.Format) ([]byte, expfmt.Format) {
	if f == exposition.OpenMetrics {
		return p.body[exposition.Text], expfmt.FmtText
	}
	return p.body[f], content
}

// read does with the body what package ingest does before it hands a push on.
func read(f exposition.Format, body []byte) (*translate.Push, error) {
	batch := exposition.GetBatch()
	defer exposition.PutBatch(batch)
	if err := batch.Decode(f, body, exposition.Options{}); err != nil {
		return nil, err
	}
	push, err := translate.Translate(batch, key, options)
	if err != nil {
		return nil, err
	}
	push.Stamp(now)
	return push, nil
}

// parse reads the body as a Prometheus scrape does, up to the labels of each sample.
func parse(body []byte, contentType string) error {
	p, err := textparse.New(body, contentType, promlabels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	var series promlabels.Labels
	var e exemplar.Exemplar
	for {
		switch entry, err := p.Next(); {
		case errors.Is(err, io.EOF):
			sink = series
			return nil
		case err != nil:
			return err
		case entry == textparse.EntrySeries:
			p.Series()
		case entry == textparse.EntryHistogram:
			p.Histogram()
		default:
			continue
		}
		p.Labels(&series)
		for p.Exemplar(&e) {
		}
	}
}
