// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	document = "../../docs/compatibility.md"

	// How long it may take until both servers have everything: some scrapes, and the exporter's queue.
	settleTimeout = 20 * time.Second
)

var update = flag.Bool("update", false, "write docs/compatibility.md instead of checking it")

// lane is one way from the distribution into a Prometheus.
type lane struct {
	title    string
	release  release
	config   string   // of the Prometheus that receives
	example  string   // configuration of the distribution, in configs
	args     []string // further arguments of the distribution
	endpoint string   // environment variable of the example that says where to send
	path     string   // of the URL there

	// Prometheus's OTLP endpoint gives every native histogram the same zero threshold, whatever was sent.
	zeroThresholdFixed bool
}

var lanes = []lane{
	remoteWrite(prometheus3),
	remoteWrite(debians),
	{
		title:   "OTLP into " + prometheus3.name,
		release: prometheus3,
		config:  "otlp:\n  translation_strategy: NoTranslation\n",
		example: "otlp.yaml", endpoint: "OTLP_ENDPOINT", path: "/api/v1/otlp",
		zeroThresholdFixed: true,
	},
}

func remoteWrite(r release) lane {
	return lane{
		title:   "Remote write into " + r.name,
		release: r,
		example: "remote-write.yaml", endpoint: "REMOTE_WRITE_ENDPOINT", path: "/api/v1/write",
		args: []string{"--feature-gates", "pkg.translator.prometheus.PermissiveLabelSanitization"},
	}
}

// TestSameSeries pushes every page to the distribution and to a Pushgateway and compares what Prometheus stores on both ways.
func TestSameSeries(t *testing.T) {
	pages := loadPages(t)
	text, sections := introduction, 0
	for _, l := range lanes {
		t.Run(l.title, func(t *testing.T) {
			section := table(l, pages, run(t, l, pages))
			text += section
			sections++
			if !*update {
				assert.Contains(t, readFile(t, document), section, "run go -C e2e test ./series -update and look at what changed")
			}
		})
	}
	if *update && !t.Failed() {
		require.Equal(t, len(lanes), sections, "the page needs every comparison")
		require.NoError(t, os.WriteFile(document, []byte(text), 0o644))
	}
}

// run makes the comparisons of one lane, by job. Pages in text go to a Pushgateway that is scraped in text, those in protobuf
// to one that is scraped in protobuf: scraped so, histograms of the other pages would lose what this format cannot hold.
func run(t *testing.T, l lane, pages []page) map[string]comparison {
	t.Helper()
	textGateway, scrapingText := startScraping(t, l.release, false)
	nativeGateway, scrapingNative := startScraping(t, l.release, true)
	collector, receiving := startReceiving(t, l)
	for _, p := range pages {
		gateway := textGateway
		if p.format == protobuf {
			gateway = nativeGateway
		}
		assert.NoError(t, p.push(gateway), "%s to the Pushgateway", p.job())
		assert.NoError(t, p.push(collector), "%s to the distribution", p.job())
	}
	var last map[string]comparison
	for deadline := time.Now().Add(settleTimeout); ; time.Sleep(2 * time.Second) {
		scraped := readAll(t, scrapingText)
		maps.Copy(scraped, readAll(t, scrapingNative))
		result := compareAll(t, l, pages, scraped, readAll(t, receiving))
		if reflect.DeepEqual(result, last) && (explained(result) || time.Now().After(deadline)) {
			break
		}
		require.True(t, time.Now().Before(deadline.Add(settleTimeout)), "The series still change")
		last = result
	}
	for job, c := range last {
		assert.Empty(t, c.differences, job)
	}
	return last
}

// compareAll compares page by page. A job that no page has is a difference too.
func compareAll(t *testing.T, l lane, pages []page, scraped, received map[string][]stored) map[string]comparison {
	t.Helper()
	result := make(map[string]comparison, len(pages))
	delete(scraped, gatewayJob)
	for _, p := range pages {
		job := p.job()
		result[job] = compare(l, p, scraped[job], received[job])
		delete(scraped, job)
		delete(received, job)
	}
	if len(scraped)+len(received) > 0 {
		result[""] = comparison{differences: []string{fmt.Sprint("series of other jobs: ", scraped, received)}}
	}
	return result
}

// explained tells whether every page has arrived and nothing differs without a reason.
func explained(result map[string]comparison) bool {
	for _, c := range result {
		if c.scraped == 0 || len(c.differences) > 0 {
			return false
		}
	}
	return true
}
