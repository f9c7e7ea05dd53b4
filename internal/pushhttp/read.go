// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// maxReads is how many may read all groups at once. Each reading takes somewhat more than a kilobyte of memory for each series
// that is held, which no limit on pushes bounds.
const maxReads = 2

// readPatience is how long a reading waits for its turn: less than the default write_timeout, so that the answer still arrives.
const readPatience = 10 * time.Second

var errReads = fmt.Errorf("%d others are reading all groups already; try again later", maxReads)

// inTurn lets so many read at once.
func (h *handler) inTurn(read verb) verb {
	return func(w http.ResponseWriter, r *http.Request, path string) {
		patience, cancel := context.WithTimeout(r.Context(), readPatience)
		defer cancel()
		select {
		case h.reads <- struct{}{}:
			defer func() { <-h.reads }()
			read(w, r, path)
		case <-patience.Done():
			writeRefusal(w, &ingest.Refusal{Reason: ingest.ReasonOverload, Err: errReads, RetryAfter: readPatience})
		}
	}
}

// readMetrics shows all groups to a scrape, as text or as protobuf. As in a Pushgateway it never is OpenMetrics, in which
// the pushed names would not be allowed for all types.
func (h *handler) readMetrics(w http.ResponseWriter, r *http.Request, _ string) {
	groups, err := h.ingest.Groups(r.Context())
	if err != nil {
		writeRefusal(w, err)
		return
	}
	format := negotiate(r.Header)
	families := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		o := h.gatherOptions()
		o.Escape, o.Natives = escaping(format), isProtobuf(format)
		return gather.Families(groups, o), nil
	})
	r = r.Clone(r.Context())
	r.Header.Set("Accept", string(format))
	promhttp.HandlerFor(families, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// negotiate finds the format of the answer as a Pushgateway does: the way to escape names that one clause of Accept names
// goes for all of them. Prometheus 3 names it only for formats that are not served here.
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

// escaping spells names as the encoder for that format is going to. Names that become one by that must be found before: no
// parser takes a family, and no Prometheus a label, that is there twice.
func escaping(format expfmt.Format) func(string) string {
	scheme := format.ToEscapingScheme()
	if scheme == model.NoEscaping {
		return nil
	}
	return func(name string) string {
		if model.LegacyValidation.IsValidMetricName(name) {
			return name // The encoder leaves these alone, whatever the scheme.
		}
		return model.EscapeName(name, scheme)
	}
}

// readGroups is the query API's view of all groups.
func (h *handler) readGroups(w http.ResponseWriter, r *http.Request, _ string) {
	groups, err := h.ingest.Groups(r.Context())
	if err != nil {
		writeRefusal(w, err)
		return
	}
	h.answerQuery(w, func(w io.Writer) error { return gather.WriteMetrics(w, groups, h.gatherOptions()) })
}

// readStatus tells with which settings the receiver runs, and since when.
func (h *handler) readStatus(w http.ResponseWriter, _ *http.Request, _ string) {
	g := h.options.Groups
	h.answerQuery(w, func(w io.Writer) error { return gather.WriteStatus(w, g.BuildInformation, g.Flags, h.started) })
}

func (h *handler) gatherOptions() gather.Options {
	return gather.Options{PushTimes: h.options.Groups.PushTimes, ScopeName: h.options.Groups.OwnScope}
}

// isProtobuf tells the formats in which native histograms are shown. The text format shows the classic buckets that they have.
func isProtobuf(format expfmt.Format) bool {
	switch format.FormatType() {
	case expfmt.TypeProtoDelim, expfmt.TypeProtoText, expfmt.TypeProtoCompact:
		return true
	default:
		return false
	}
}

// answerQuery answers a request of the query API. What fails is the connection, and whoever asked is no longer there.
func (h *handler) answerQuery(w http.ResponseWriter, write func(io.Writer) error) {
	h.allowOrigins(w.Header())
	w.Header().Set("Content-Type", "application/json")
	_ = write(w)
}

// allowOrigins lets scripts of other origins use the query API, as a Pushgateway does, unless confighttp's own setting tells
// which of them may.
func (h *handler) allowOrigins(header http.Header) {
	header.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	if h.cors {
		return
	}
	header.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin")
	header.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Date")
}
