// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// captured holds pages as their servers sent them: Prometheus 3.15 with an empty configuration, and node_exporter 1.5 on a
// small virtual machine. Only the names of the host, its kernel and its network cards were replaced. Neither offers
// OpenMetrics, which is therefore written from the text, by the encoder that servers use which do.
//
//go:embed testdata
var captured embed.FS

// formats are all formats with their Content-Type in a push and the file extension of captured pages.
var formats = []struct {
	format    exposition.Format
	title     string
	content   expfmt.Format
	extension string
}{
	{exposition.Text, "Text", expfmt.FmtText, "txt"},
	{exposition.OpenMetrics, "OpenMetrics", expfmt.FmtOpenMetrics_1_0_0, "om"},
	{exposition.Protobuf, "Protobuf", expfmt.FmtProtoDelim, "pb"},
}

// page is one set of metrics in all formats that can hold it.
type page struct {
	name string
	kind kind
	body map[exposition.Format][]byte
}

// kind tells which targets a page has.
type kind uint8

const (
	small    kind = iota // too small for targets of its own
	exporter             // what exporters and servers send
	labeled              // labeled counters or gauges
	heavy                // mostly histograms
)

// loadPages makes all pages, the same ones in every run.
func loadPages() ([]page, error) {
	makers := []func() (page, error){
		func() (page, error) { return generatedPage("job push", small, jobPush()) },
		func() (page, error) { return capturedPage("node_exporter", exporter) },
		func() (page, error) { return capturedPage("prometheus", exporter) },
		func() (page, error) { return generatedPage("1000 counters × 5 labels", labeled, counters(1000)) },
		func() (page, error) { return generatedPage("histograms", heavy, histograms(200)) },
		nativePage,
		func() (page, error) { return generatedPage("10,000 gauges", labeled, gauges(20, 500)) },
	}
	pages := make([]page, 0, len(makers))
	for _, make := range makers {
		p, err := make()
		if err != nil {
			return nil, err
		}
		pages = append(pages, p)
	}
	return pages, nil
}

// generatedPage writes the families in all formats.
func generatedPage(name string, k kind, families []*dto.MetricFamily) (page, error) {
	p := page{name: name, kind: k, body: map[exposition.Format][]byte{}}
	for _, f := range formats {
		body, err := encode(families, f.content)
		if err != nil {
			return p, fmt.Errorf("%s as %s: %w", name, f.title, err)
		}
		p.body[f.format] = body
	}
	return p, nil
}

// nativePage exists in protobuf only, since the text formats do not hold native histograms.
func nativePage() (page, error) {
	p, err := generatedPage("native histograms", heavy, natives(200))
	delete(p.body, exposition.Text)
	delete(p.body, exposition.OpenMetrics)
	return p, err
}

// capturedPage reads a captured page in the formats that there are, and writes it from the text in the others.
func capturedPage(name string, k kind) (page, error) {
	p := page{name: name, kind: k, body: map[exposition.Format][]byte{}}
	for _, f := range formats {
		body, err := captured.ReadFile("testdata/" + name + "." + f.extension)
		if errors.Is(err, fs.ErrNotExist) {
			body, err = transcode(p.body[exposition.Text], f.content)
		}
		if err != nil {
			return p, fmt.Errorf("%s as %s: %w", name, f.title, err)
		}
		p.body[f.format] = body
	}
	return p, nil
}

// transcode writes a text page in another format.
func transcode(text []byte, to expfmt.Format) ([]byte, error) {
	families, err := decode(text, expfmt.FmtText)
	if err != nil {
		return nil, err
	}
	// expfmt returns the families of a text in no order; servers sort them.
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return encode(families, to)
}

// encode writes families as the exporters of client_golang do.
func encode(families []*dto.MetricFamily, to expfmt.Format) ([]byte, error) {
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, to)
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return nil, err
		}
	}
	if closer, ok := e.(expfmt.Closer); ok {
		if err := closer.Close(); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// decode reads families with expfmt.
func decode(body []byte, from expfmt.Format) ([]*dto.MetricFamily, error) {
	var families []*dto.MetricFamily
	d := expfmt.NewDecoder(bytes.NewReader(body), from)
	for {
		f := new(dto.MetricFamily)
		switch err := d.Decode(f); {
		case errors.Is(err, io.EOF):
			return families, nil
		case err != nil:
			return nil, err
		}
		families = append(families, f)
	}
}
