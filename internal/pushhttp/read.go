// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// maxReaders bounds the concurrent requests that read all groups. Each needs more than a kilobyte of memory per stored series.
const maxReaders = 2

// readTimeout bounds the time that a request waits for other readers. It is below the default write_timeout.
const readTimeout = 10 * time.Second

var errReaders = fmt.Errorf("%d other requests are reading all groups; try again later", maxReaders)

// limitReaders lets at most maxReaders requests read at once.
func (h *handler) limitReaders(read verb) verb {
	return func(w http.ResponseWriter, r *http.Request, path string) {
		limited, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		select {
		case h.readers <- struct{}{}:
			defer func() { <-h.readers }()
			read(w, r, path)
		case <-limited.Done():
			writeRefusal(w, &ingest.Refusal{Reason: ingest.ReasonOverload, Err: errReaders, RetryAfter: readTimeout})
		}
	}
}

// readMetrics serves all groups to a scrape, as text or protobuf. As in a Pushgateway it never uses OpenMetrics, whose rules for names
// pushed metrics may violate, and the parameter name[] selects families.
func (h *handler) readMetrics(w http.ResponseWriter, r *http.Request, _ string) {
	format := negotiate(r.Header)
	o := h.gatherOptions()
	o.Escape, o.Natives = escaping(format), isProtobuf(format)
	scrape := gather.NewScrape(o)
	compressed := prefersGzip(r.Header)
	start := func(header http.Header) {
		header.Add("Vary", "Accept")
		header.Add("Vary", "Accept-Encoding")
		header.Set("Content-Type", string(format))
		if compressed {
			header.Set("Content-Encoding", codingGzip)
		}
	}
	families := selected(scrape.Families(h.ingest.Fragments(r.Context(), scrape.Plan)), r.URL.Query()["name[]"])
	stream(w, start, func(w io.Writer) error {
		if !compressed {
			return encode(w, format, families)
		}
		zipped := gzip.NewWriter(w)
		if err := encode(zipped, format, families); err != nil {
			return err
		}
		return zipped.Close()
	})
}

// encode writes families. The error is theirs or the writer's.
func encode(w io.Writer, format expfmt.Format, families iter.Seq2[*dto.MetricFamily, error]) error {
	encoder := expfmt.NewEncoder(w, format)
	for f, err := range families {
		if err != nil {
			return err
		}
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// selected yields the families of the names, or all if there are no names.
func selected(families iter.Seq2[*dto.MetricFamily, error], names []string) iter.Seq2[*dto.MetricFamily, error] {
	if len(names) == 0 {
		return families
	}
	return func(yield func(*dto.MetricFamily, error) bool) {
		for f, err := range families {
			if (err != nil || slices.Contains(names, f.GetName())) && !yield(f, err) {
				return
			}
		}
	}
}

// negotiate selects the format of the response as a Pushgateway does: an escaping scheme in one clause of Accept applies to all
// formats. Prometheus 3 sends it only with formats that are not served here.
func negotiate(header http.Header) expfmt.Format {
	format := expfmt.NegotiateAccept(header, expfmt.DefaultAcceptedFormats()...)
	for clause := range strings.SplitSeq(header.Get("Accept"), ",") {
		_, params, _ := mime.ParseMediaType(clause)
		if scheme, err := model.ToEscapingScheme(params[model.EscapingKey]); err == nil {
			return format.WithEscapingScheme(scheme)
		}
	}
	return format
}

// escaping returns the function by which the encoder of the format escapes names. Names that it makes equal must be merged before:
// parsers refuse a family, and Prometheus a label, that occurs twice.
func escaping(format expfmt.Format) func(string) string {
	scheme := format.ToEscapingScheme()
	if scheme == model.NoEscaping {
		return nil
	}
	return func(name string) string {
		if model.LegacyValidation.IsValidMetricName(name) {
			return name // The encoder does not change these.
		}
		return model.EscapeName(name, scheme)
	}
}

// readGroups serves all groups to the query API.
func (h *handler) readGroups(w http.ResponseWriter, r *http.Request, _ string) {
	stream(w, h.startQuery, func(w io.Writer) error {
		return gather.WriteMetrics(w, h.ingest.Groups(r.Context()), h.gatherOptions())
	})
}

// readStatus serves the settings and the start time of the receiver.
func (h *handler) readStatus(w http.ResponseWriter, _ *http.Request, _ string) {
	g := h.options.Groups
	stream(w, h.startQuery, func(w io.Writer) error { return gather.WriteStatus(w, g.BuildInformation, g.Flags, h.started) })
}

func (h *handler) gatherOptions() gather.Options {
	return gather.Options{PushTimes: h.options.Groups.PushTimes, ScopeName: h.options.Groups.OwnScope}
}

// isProtobuf reports whether a format can have native histograms. The text format shows their classic buckets.
func isProtobuf(format expfmt.Format) bool {
	switch format.FormatType() {
	case expfmt.TypeProtoDelim, expfmt.TypeProtoText, expfmt.TypeProtoCompact:
		return true
	default:
		return false
	}
}

// startQuery sets the headers of a response of the query API.
func (h *handler) startQuery(header http.Header) {
	h.allowOrigins(header)
	header.Set("Content-Type", "application/json")
}

// allowOrigins allows all origins to use the query API, as a Pushgateway does, unless the setting cors selects them. With a page
// browsers are expected here, and no other site may read the groups through them.
func (h *handler) allowOrigins(header http.Header) {
	header.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	if h.cors || h.origins != nil {
		return
	}
	header.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin")
	header.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Date")
}
