// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
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
	settleTimeout = 2 * time.Minute
)

var update = flag.Bool("update", false, "write docs/compatibility.md instead of checking it")

// TestSameSeries pushes every page to the distribution and to a Pushgateway and compares what Prometheus stores on both ways.
func TestSameSeries(t *testing.T) {
	pages := loadPages(t)
	text, sections := introduction, 0
	for _, l := range lanes {
		t.Run(l.title, func(t *testing.T) {
			compared := l.pagesOf(pages)
			section := table(l, compared, run(t, l, compared))
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

// run makes the comparisons of one lane, by job. Pages that are to be scraped in other ways go to other Pushgateways: scraped in
// protobuf, histograms of pages in text would lose what this format cannot hold.
func run(t *testing.T, l lane, pages []page) map[string]comparison {
	t.Helper()
	gateways, scraping := map[string]string{}, []string{}
	collector, receiving := startReceiving(t, l)
	for i := range pages {
		p := pages[i]
		buckets := l.scraped(p)
		if gateways[buckets] == "" {
			gateway, prometheus := startScraping(t, l.release, buckets)
			gateways[buckets], scraping = gateway, append(scraping, prometheus)
		}
		p.push(t, gateways[buckets], http.StatusOK)
		p.push(t, collector, l.status(p))
	}
	var last map[string]comparison
	for deadline := time.Now().Add(settleTimeout); ; time.Sleep(2 * time.Second) {
		scraped := map[string][]stored{}
		for _, prometheus := range scraping {
			maps.Copy(scraped, readAll(t, prometheus))
		}
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
	for i := range pages {
		job := pages[i].job()
		result[job] = compare(l, pages[i], scraped[job], received[job])
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
