// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Configurations of Prometheus. Without a window, which is the default, it refuses whatever is older than the newest sample
// of its series.
const (
	strictly  = "global: {}\n"
	leniently = "storage: {tsdb: {out_of_order_time_window: 30m}}\n"
)

// startPrometheus starts a real one and returns its URL. An empty configuration starts none.
func startPrometheus(t *testing.T, config string) string {
	t.Helper()
	if config == "" {
		return ""
	}
	dir, endpoint := t.TempDir(), freeEndpoint(t)
	path := filepath.Join(dir, "prometheus.yaml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	p := newProcess(t, ".tools/prometheus", endpoint, nil, "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+endpoint, "--web.enable-remote-write-receiver")
	p.start(t)
	return p.url
}

// valuesIn asks a Prometheus for all that the clients pushed.
func valuesIn(t *testing.T, server string) func(series string) map[float64]bool {
	t.Helper()
	values := map[string]map[float64]bool{}
	for _, name := range pushed {
		response, err := http.Get(server + "/api/v1/query?" + url.Values{"query": {name + "[1d]"}}.Encode())
		require.NoError(t, err)
		defer response.Body.Close()
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Values [][2]any
				}
			}
		}
		require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
		for _, series := range answer.Data.Result {
			values[nameOf(series.Metric)] = numbers(t, series.Values)
		}
	}
	return func(series string) map[float64]bool { return values[series] }
}

// numbers are the values of pairs of a time and a value.
func numbers(t *testing.T, pairs [][2]any) map[float64]bool {
	t.Helper()
	values := map[float64]bool{}
	for _, pair := range pairs {
		text, _ := pair[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		values[value] = true
	}
	return values
}
