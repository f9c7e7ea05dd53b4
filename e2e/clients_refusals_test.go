// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refusals is a distribution that refuses pushes in every way, with a backend whose answer a test chooses.
type refusals struct {
	*collector
	authenticated, small, uncompressed string // base URLs
	backend                            atomic.Int64
}

func startRefusals(t *testing.T) *refusals {
	t.Helper()
	r := &refusals{}
	r.backend.Store(http.StatusOK)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(r.backend.Load()))
	}))
	t.Cleanup(backend.Close)
	env := map[string]string{"USERS": users, "BACKEND_ENDPOINT": backend.URL}
	for name, url := range map[string]*string{
		"AUTHENTICATED_ENDPOINT": &r.authenticated, "SMALL_ENDPOINT": &r.small, "UNCOMPRESSED_ENDPOINT": &r.uncompressed,
	} {
		env[name] = freeEndpoint(t)
		*url = "http://" + env[name]
	}
	r.collector = startCollector(t, settings{config: clientScripts + "/refusals.yaml", env: env})
	for _, url := range []string{r.authenticated, r.small, r.uncompressed} {
		other := *r.collector
		other.url = url
		other.waitUntilReady(t, nil)
	}
	return r
}

// refused is what the collector has logged of refused pushes.
func (r *refusals) refused() string {
	var refused strings.Builder
	for line := range strings.Lines(r.output.String()) {
		if strings.Contains(line, "Push refused") {
			refused.WriteString(strings.ReplaceAll(line, `\"`, `"`))
		}
	}
	return refused.String()
}

// TestWhatClientsPrint has pushes refused in every way and looks at what each client leaves in its job's log: the status,
// and the reason that lets the author mend it. Python's client leaves out the reason; a job that prints the answer shows it,
// and so does the collector's log.
func TestWhatClientsPrint(t *testing.T) {
	t.Parallel()
	r := startRefusals(t)
	const (
		twice      = "was collected before with the same name and label values"
		tooLarge   = "the body is larger than max_request_body_size (10 bytes) allows"
		coding     = `Content-Encoding "gzip" is not supported; supported: none, send the body as it is`
		noDelete   = "configure groups on the pushgateway receiver to have groups stored, or ignore_delete: true"
		downstream = "responded with HTTP Status Code "
	)
	for _, tc := range []struct {
		language string
		status   int
		client   client
		url      string
		backend  int
		reason   string
	}{
		{"python", 400, script("python/duplicate.py"), r.url, 200, `"my_gauge" {foo="bar",instance="",job="python_duplicate"} (line 4) ` + twice},
		{"python", 401, script("python/push.py"), r.authenticated, 200, "Unauthorized"},
		{"python", 405, script("python/delete.py"), r.url, 200, noDelete},
		{"python", 413, script("python/push.py"), r.small, 200, tooLarge},
		{"python", 415, script("python/compressed.py"), r.uncompressed, 200, coding},
		{"python", 429, script("python/push.py"), r.url, 429, downstream + "429"},
		{"python", 500, script("python/push.py"), r.url, 400, downstream + "400"},
		{"python", 503, script("python/push.py"), r.url, 503, downstream + "503"},

		{"node", 400, script("node/duplicate.js"), r.url, 200, `"job_rows" {instance="",job="node_duplicate"} (line 4) ` + twice},
		{"node", 401, script("node/push.js"), r.authenticated, 200, "Unauthorized"},
		{"node", 405, script("node/delete.js"), r.url, 200, noDelete},
		{"node", 413, script("node/push.js"), r.small, 200, tooLarge},
		{"node", 415, script("node/compressed.js"), r.uncompressed, 200, coding},
		{"node", 429, script("node/push.js"), r.url, 429, downstream + "429"},
		{"node", 500, script("node/push.js"), r.url, 400, downstream + "400"},
		{"node", 503, script("node/push.js"), r.url, 503, downstream + "503"},

		{"go", 400, golang("go", pushTwice), r.url, 200, "(line 7) " + twice},
		{"go", 401, golang("go", (*push.Pusher).Push), r.authenticated, 200, "Unauthorized"},
		{"go", 405, golang("go", (*push.Pusher).Delete), r.url, 200, noDelete},
		{"go", 413, golang("go", (*push.Pusher).Push), r.small, 200, tooLarge},
		{"go", 415, golang("go", pushCompressed), r.uncompressed, 200, coding},
		{"go", 429, golang("go", (*push.Pusher).Push), r.url, 429, downstream + "429"},
		{"go", 500, golang("go", (*push.Pusher).Push), r.url, 400, downstream + "400"},
		{"go", 503, golang("go", (*push.Pusher).Push), r.url, 503, downstream + "503"},

		{"curl", 400, script("shell/curl-bad.sh", "curl"), r.url, 200, `line 2: expected float as value, got "1,5"`},
		{"curl", 401, script("shell/curl.sh", "curl"), r.authenticated, 200, "Unauthorized"},
		{"curl", 405, script("shell/curl-delete.sh", "curl"), r.url, 200, noDelete},
		{"curl", 413, script("shell/curl.sh", "curl"), r.small, 200, tooLarge},
		{"curl", 415, script("shell/curl-put.sh", "curl"), r.uncompressed, 200, coding},
		{"curl", 503, script("shell/curl.sh", "curl"), r.url, 503, downstream + "503"},
		{"wget", 400, script("shell/wget-bad.sh", "wget"), r.url, 200, `line 2: expected float as value, got "1,5"`},
	} {
		t.Run(fmt.Sprint(tc.language, " ", tc.status), func(t *testing.T) {
			r.backend.Store(int64(tc.backend))
			out, err := tc.client(t, tc.url)
			require.Error(t, err, out)
			assert.Contains(t, out, fmt.Sprintf(printedStatus[tc.language], tc.status))
			if tc.language == "python" {
				assert.Contains(t, out, http.StatusText(tc.status))
				assert.EventuallyWithT(t, func(c *assert.CollectT) {
					assert.Contains(c, r.refused(), tc.reason)
				}, dataTimeout, pollInterval)
				return
			}
			assert.Contains(t, out, tc.reason)
		})
	}
}

// printedStatus is how each client tells the status of a refusal.
var printedStatus = map[string]string{
	"python": "urllib.error.HTTPError: HTTP Error %d: ",
	"node":   "push failed with status %d, ",
	"go":     "unexpected status code %d while ",
	"curl":   "The requested URL returned error: %d",
	"wget":   "ERROR %d: ",
}

// TestPythonJobThatPrintsTheReason runs what the migration page shows to get the reason into the log of a job in Python.
func TestPythonJobThatPrintsTheReason(t *testing.T) {
	t.Parallel()
	r := startRefusals(t)
	const job = `import sys
import urllib.error
from prometheus_client import CollectorRegistry, Gauge, push_to_gateway
registry = CollectorRegistry()
Gauge('job_rows', 'Rows that were copied', registry=registry).set(17)
gateway = sys.argv[1]
`
	out, err := run(t, interpreters["python"][0], "-c", job+newGuide(t, migrationGuide, nil).blocks["python"], r.small)
	require.Error(t, err)
	assert.Regexp(t, `^HTTP Error 413: Request Entity Too Large: the body is larger than max_request_body_size \(10 bytes\) allows: it has \d+ bytes\n\n$`, out)
}

func pushCompressed(p *push.Pusher) error { return p.Client(gzipClient{}).Push() }

// pushTwice pushes one series twice, with an empty label and without it, as text, so that the answer can name its line.
func pushTwice(p *push.Pusher) error { return p.Collector(unchecked{}).Format(text).Push() }

// unchecked is a collector whose metrics the registry of client_golang does not check against each other.
type unchecked struct{}

func (unchecked) Describe(chan<- *prometheus.Desc) {}

func (unchecked) Collect(ch chan<- prometheus.Metric) {
	const name, help = "my_gauge", "Help text"
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, 1.7)
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, []string{"foo"}, nil), prometheus.GaugeValue, 3.8, "")
}
