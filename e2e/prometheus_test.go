// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prometheusServer is a running Prometheus.
type prometheusServer struct{ url string }

// takesRemoteWrite is the flag of a server that takes remote write.
const takesRemoteWrite = "--web.enable-remote-write-receiver"

// startPrometheus starts the server that `make e2e` builds, with remote write, and waits until it is ready.
func startPrometheus(t *testing.T, config string, flags ...string) prometheusServer {
	t.Helper()
	return startPrometheusWith(t, builtPrometheus(t), config, append(flags, takesRemoteWrite)...)
}

func builtPrometheus(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../.tools/prometheus")
	require.NoError(t, err)
	require.FileExists(t, path, "build it first: make e2e does")
	return path
}

// startPrometheusWith starts a server with no more flags than it needs and those given.
func startPrometheusWith(t *testing.T, path, config string, flags ...string) prometheusServer {
	t.Helper()
	endpoint, log := freeEndpoint(t), &output{}
	cmd := exec.Command(path, append([]string{
		"--config.file=" + config, "--storage.tsdb.path=" + t.TempDir(), "--web.listen-address=" + endpoint,
	}, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	server := prometheusServer{url: "http://" + endpoint}
	require.Eventually(t, func() bool {
		response, err := http.Get(server.url + "/-/ready")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, startTimeout, pollInterval, "%s", log)
	return server
}

// get asks the server's API and decodes the data of its answer. An error of the server's is an assertion that fails.
func (s prometheusServer) get(t require.TestingT, path string, query url.Values, data any) {
	response, err := http.Get(s.url + "/api/v1/" + path + "?" + query.Encode())
	require.NoError(t, err)
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	assert.Equal(t, "success", answer.Status, "%s: %s", query, answer.Error)
}

// query evaluates an expression at this moment and returns the values that are numbers.
func (s prometheusServer) query(t require.TestingT, expr string) []string {
	var vector struct {
		Result []struct{ Value [2]any }
	}
	s.get(t, "query", url.Values{"query": {expr}}, &vector)
	var values []string
	for _, sample := range vector.Result {
		if value, _ := sample.Value[1].(string); value != "NaN" {
			values = append(values, value)
		}
	}
	return values
}

// labelsOfResults evaluates an expression at this moment and returns the names of the labels that its results have.
func (s prometheusServer) labelsOfResults(t require.TestingT, expr string) []string {
	var vector struct {
		Result []struct{ Metric labelSet }
	}
	s.get(t, "query", url.Values{"query": {expr}}, &vector)
	labels := map[string]bool{}
	for _, sample := range vector.Result {
		for name := range sample.Metric {
			labels[name] = true
		}
	}
	return slices.Collect(maps.Keys(labels))
}

// expression is what an expression says of metrics and labels, by the server's own parser.
type expression struct {
	selected map[string][]string // the labels that each metric is selected by
	grouped  []string            // the labels that it is grouped by or joined on
}

func (s prometheusServer) parse(t *testing.T, expr string) expression {
	t.Helper()
	var tree any
	s.get(t, "parse_query", url.Values{"query": {expr}}, &tree)
	e := expression{selected: map[string][]string{}}
	e.add(tree)
	return e
}

// metricsOf are the names of the metrics in an expression.
func (s prometheusServer) metricsOf(t *testing.T, expr string) []string {
	t.Helper()
	return slices.Collect(maps.Keys(s.parse(t, expr).selected))
}

// add takes a part of a parsed expression and all that is below it.
func (e *expression) add(node any) {
	switch node := node.(type) {
	case map[string]any:
		kind, _ := node["type"].(string)
		if name, _ := node["name"].(string); name != "" && strings.HasSuffix(kind, "Selector") {
			e.selected[name] = append(e.selected[name], namesOf(node["matchers"])...)
			return
		}
		e.grouped = append(e.grouped, texts(node["grouping"])...)
		if matching, ok := node["matching"].(map[string]any); ok {
			e.grouped = append(e.grouped, texts(matching["labels"])...)
		}
		for _, child := range node {
			e.add(child)
		}
	case []any:
		for _, child := range node {
			e.add(child)
		}
	}
}

// namesOf are the labels of matchers, but for that of the metric's name.
func namesOf(matchers any) []string {
	list, _ := matchers.([]any)
	var names []string
	for _, matcher := range list {
		if name, _ := matcher.(map[string]any)["name"].(string); name != "__name__" {
			names = append(names, name)
		}
	}
	return names
}

func texts(list any) []string {
	var texts []string
	all, _ := list.([]any)
	for _, text := range all {
		texts = append(texts, fmt.Sprint(text))
	}
	return texts
}

// labels are the names of the labels of a metric.
func (s prometheusServer) labels(t require.TestingT, metric string) []string {
	var labels []string
	s.get(t, "labels", url.Values{"match[]": {metric}}, &labels)
	return labels
}

// names are the names of all metrics that the server has.
func (s prometheusServer) names(t require.TestingT) []string {
	var names []string
	s.get(t, "label/__name__/values", nil, &names)
	return names
}

// rule is what the server tells of one of its rules.
type rule struct {
	Name, Query, Health, LastError string
	State                          string // of an alert
	Annotations                    map[string]string
}

func (s prometheusServer) rules(t require.TestingT) []rule {
	var data struct{ Groups []struct{ Rules []rule } }
	s.get(t, "rules", nil, &data)
	var rules []rule
	for _, group := range data.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}
