// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everySecond lets groups go out again quickly enough for a test.
const everySecond = "receivers::pushgateway::groups::republish_interval: 1s"

// quicklyStale is a flag of Prometheus: queries see a series for this time after its last sample, instead of five minutes.
const quicklyStale = "--query.lookback-delta=5s"

var permissive = []string{"--feature-gates", "pkg.translator.prometheus.PermissiveLabelSanitization"}

// withGroups is the shipped example, writing to a Prometheus or to what stands in front of one. All that start with the
// same settings have the same storage. It does without fsync, which matters to the end of a machine, not of a process.
func withGroups(t *testing.T, prometheus string, set ...string) settings {
	t.Helper()
	return settings{
		config: "../configs/groups.yaml",
		set:    append([]string{everySecond, "extensions::file_storage::fsync: false"}, set...),
		env:    map[string]string{"REMOTE_WRITE_ENDPOINT": prometheus + "/api/v1/write", "STORAGE_DIRECTORY": t.TempDir()},
		args:   permissive,
	}
}

// prometheusFile writes a configuration of Prometheus and returns its path.
func prometheusFile(t *testing.T, config string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prometheus.yaml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	return path
}

// gate stands in front of a server and can be shut, which answers 503.
type gate struct {
	*httptest.Server
	shut atomic.Bool
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	g := &gate{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.shut.Load() {
			http.Error(w, "shut", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// shown reads all series that a page in text format shows, numbers and labels in one spelling, without labels that are empty
// and without a page's own series, which have no job.
func shown(t require.TestingT, page string) map[string]string {
	response, err := http.Get(page)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode, page)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)

	series := map[string]string{}
	for name, family := range families {
		e := newExpected(nil, labelSet{}, false)
		for _, metric := range family.GetMetric() {
			metric.Label = slices.DeleteFunc(metric.Label, func(l *dto.LabelPair) bool { return l.GetValue() == "" })
			if e.labels(name, metric)["job"] != "" {
				e.addMetric(name, metric)
			}
		}
		for labels, value := range e.samples {
			series[labels] = strconv.FormatFloat(value, 'g', -1, 64)
		}
	}
	return series
}

// ofJob are the series of one job.
func ofJob(series map[string]string, job string) map[string]string {
	of := map[string]string{}
	for labels, value := range series {
		if jobIn.FindStringSubmatch(labels)[1] == job {
			of[labels] = value
		}
	}
	return of
}

// instant evaluates a selector at this moment and returns the series, in the spelling of shown. A native histogram's value is
// its JSON.
func (s prometheusServer) instant(t require.TestingT, selector string) map[string]string {
	return s.selected(t, url.Values{"query": {selector}})
}

// instantAt is instant at a moment in the past.
func (s prometheusServer) instantAt(t require.TestingT, selector string, at time.Time) map[string]string {
	return s.selected(t, url.Values{"query": {selector}, "time": {at.Format(time.RFC3339Nano)}})
}

// selected returns the series of a query.
func (s prometheusServer) selected(t require.TestingT, query url.Values) map[string]string {
	var vector struct {
		Result []struct {
			Metric    labelSet
			Value     [2]any
			Histogram []any
		}
	}
	s.get(t, "query", query, &vector)
	series := map[string]string{}
	for _, sample := range vector.Result {
		for _, name := range []string{"le", "quantile"} {
			if bound, err := strconv.ParseFloat(sample.Metric[name], 64); err == nil {
				sample.Metric[name] = number(bound)
			}
		}
		if len(sample.Histogram) == 2 {
			series[sample.Metric.String()] = fmt.Sprint(sample.Histogram[1])
			continue
		}
		text, _ := sample.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		series[sample.Metric.String()] = strconv.FormatFloat(value, 'g', -1, 64)
	}
	return series
}

// assertShownIn waits until queries on a Prometheus see what a receiver shows, no series less and none more.
func assertShownIn(t *testing.T, server prometheusServer, receiver, job string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, ofJob(shown(c, receiver+"/metrics"), job), server.instant(c, `{job="`+job+`"}`))
	}, dataTimeout, pollInterval)
}
