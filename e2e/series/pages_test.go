// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"
)

// The formats of a push.
const (
	text        = "text"
	openMetrics = "OpenMetrics"
	protobuf    = "protobuf"
)

var contentTypes = map[string]expfmt.Format{
	text:        expfmt.NewFormat(expfmt.TypeTextPlain),
	openMetrics: expfmt.NewFormat(expfmt.TypeOpenMetrics),
	protobuf:    expfmt.NewFormat(expfmt.TypeProtoDelim),
}

// page is one push.
type page struct {
	name       string
	format     string
	grouping   string // what follows the job in the path
	body       []byte
	scoped     bool     // carries otel_scope_* labels
	utf8Names  bool     // has names of other characters than letters, digits and underscores
	histograms bool     // is of one kind of histogram
	beyondOTLP []string // metrics that OTLP's data model has no form for
	onlyNative []string // histograms with native buckets and no finite classic ones
	alsoNative []string // histograms with both
}

// captures are pages as their processes sent them, from this folder.
//
//   - node_exporter and prometheus: see e2e/bench/pages.go.
//   - pushgateway: a Pushgateway 1.11.3 that holds three groups.
//   - python: prometheus_client 0.16, its default collectors and metrics of a batch job; the OpenMetrics page without the job's
//     info and stateset, which a Pushgateway refuses.
//   - node: prom-client 15.1, its default metrics and metrics of a batch job.
var captures = []struct{ name, format, file string }{
	{"node_exporter", text, "../bench/testdata/node_exporter.txt"},
	{"node_exporter", protobuf, "../bench/testdata/node_exporter.pb"},
	{"Prometheus server", text, "../bench/testdata/prometheus.txt"},
	{"Prometheus server", protobuf, "../bench/testdata/prometheus.pb"},
	{"Pushgateway", text, "testdata/pushgateway.txt"},
	{"Pushgateway", protobuf, "testdata/pushgateway.pb"},
	{"Python process", text, "testdata/python.txt"},
	{"Python process", openMetrics, "testdata/python.om"},
	{"Node.js process", text, "testdata/node.txt"},
}

// loadPages are all pages. Those of a client_golang process have the values of this moment.
func loadPages(t *testing.T) []page {
	t.Helper()
	var pages []page
	for _, c := range captures {
		body, err := os.ReadFile(c.file)
		require.NoError(t, err)
		pages = append(pages, page{name: c.name, format: c.format, body: body})
	}
	process := gather(t, goProcess(t))
	pages = append(pages,
		encode(t, "Go process with native histograms", protobuf, process),
		encode(t, "Go process with native histograms", text, process))
	batch := gather(t, batchJob())
	for _, format := range []string{text, openMetrics, protobuf} {
		pages = append(pages, encode(t, "generated batch job", format, batch))
	}
	beyond := encode(t, "generated, beyond OTLP", protobuf, beyondOTLP())
	for _, family := range beyondOTLP() {
		beyond.beyondOTLP = append(beyond.beyondOTLP, family.GetName())
	}
	pages = append(append(pages, handwritten...), beyond, encode(t, "UTF-8 names", protobuf, utf8Names(t)))
	pages[len(pages)-1].utf8Names = true
	for _, kind := range histogramKinds(t) {
		p := encode(t, kind.name, protobuf, kind.families)
		p.histograms = true
		pages = append(pages, p)
	}
	for i := range pages {
		switch p := &pages[i]; p.format {
		case openMetrics:
			p.body = metricName.ReplaceAll(p.body, []byte("${1}om_${2}"))
		case protobuf:
			p.findNative(t)
		}
	}
	return pages
}

// findNative notes which histograms of a page in protobuf have native buckets.
func (p *page) findNative(t *testing.T) {
	t.Helper()
	for reader := bytes.NewReader(p.body); reader.Len() > 0; {
		var family dto.MetricFamily
		require.NoError(t, protodelim.UnmarshalFrom(reader, &family))
		if family.GetType() != dto.MetricType_HISTOGRAM || slices.Contains(p.beyondOTLP, family.GetName()) {
			continue
		}
		switch h := family.GetMetric()[0].GetHistogram(); {
		case h.Schema == nil:
		case slices.ContainsFunc(h.GetBucket(), func(b *dto.Bucket) bool { return !math.IsInf(b.GetUpperBound(), 1) }):
			p.alsoNative = append(p.alsoNative, family.GetName())
		default:
			p.onlyNative = append(p.onlyNative, family.GetName(), model.EscapeName(family.GetName(), model.UnderscoreEscaping))
		}
	}
}

// metricName finds the names of metrics in a page of text. Those of OpenMetrics pages get a prefix: a Pushgateway reads their
// counters as untyped and refuses them beside the counters of these names in other groups, and beside its own.
var metricName = regexp.MustCompile(`(?m)^(# (?:HELP|TYPE|UNIT) )?([A-Za-z_:])`)

// encode writes families as client_golang's pusher does.
func encode(t *testing.T, name, format string, families []*dto.MetricFamily) page {
	t.Helper()
	var body bytes.Buffer
	encoder := expfmt.NewEncoder(&body, contentTypes[format].WithEscapingScheme(model.NoEscaping))
	for _, family := range families {
		require.NoError(t, encoder.Encode(family))
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		require.NoError(t, closer.Close())
	}
	return page{name: name, format: format, body: body.Bytes()}
}

// job is the page's own, in letters that every path can hold.
func (p *page) job() string {
	return strings.NewReplacer(" ", "_", ",", "").Replace(p.name) + "_" + p.format
}

// push sends the page to a base URL, which must answer with a status.
func (p *page) push(t *testing.T, base string, status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, base+"/metrics/job/"+p.job()+p.grouping, bytes.NewReader(p.body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", string(contentTypes[p.format]))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, status, response.StatusCode, "%s to %s: %.1000s", p.job(), base, answer)
}
