// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVerbatim pushes a counter with everything that OpenMetrics can say of it through configs/prometheus3.yaml and reads it
// back: name, labels, value, exemplar and created timestamp. The API shows no type and help text of what was written to it.
func TestVerbatim(t *testing.T) {
	collector, prometheus := startReceiving(t, remoteWrite2())
	created := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	pushRequests(t, collector, 5, created)
	pushRequests(t, collector, 7, created)

	var vector struct {
		Result []struct {
			Metric labels
			Values [][2]any
		}
	}
	query(t, prometheus, "query", url.Values{"query": {`{"http.requests_total"}[5m]`}}, &vector)
	require.Len(t, vector.Result, 1)
	assert.Equal(t, labels{"__name__": "http.requests_total", "job": "api", "http.method": "GET", "город": "Москва"}, vector.Result[0].Metric)
	samples := vector.Result[0].Values
	require.Len(t, samples, 3, "one at the creation and one of each push")
	assert.Equal(t, []any{"0", "5", "7"}, []any{samples[0][1], samples[1][1], samples[2][1]})
	assert.InDelta(t, float64(created.UnixMilli())/1000, samples[0][0], 0)

	var exemplars []struct {
		Exemplars []struct {
			Labels labels
			Value  string
		}
	}
	query(t, prometheus, "query_exemplars", url.Values{
		"query": {`{"http.requests_total"}`},
		"start": {seconds(time.Now().Add(-time.Hour))}, "end": {seconds(time.Now().Add(time.Hour))},
	}, &exemplars)
	require.Len(t, exemplars, 1)
	require.NotEmpty(t, exemplars[0].Exemplars)
	assert.Equal(t, labels{"trace_id": "a1b2c3d4e5f60718293a4b5c6d7e8f90"}, exemplars[0].Exemplars[0].Labels)
	assert.Equal(t, "0.5", exemplars[0].Exemplars[0].Value)
}

// TestStartIsNeverLater pushes a counter that was created ahead of the collector's clock. Prometheus stores the samples alone: a
// zero between or behind them would read as a reset.
func TestStartIsNeverLater(t *testing.T) {
	collector, prometheus := startReceiving(t, remoteWrite2())
	created := time.Now().Add(time.Minute)
	pushRequests(t, collector, 5, created)
	pushRequests(t, collector, 7, created)
	for expression, want := range map[string]string{"count_over_time": "2", "resets": "0"} {
		var vector struct {
			Result []struct{ Value [2]any }
		}
		query(t, prometheus, "query", url.Values{"query": {expression + `({"http.requests_total"}[5m] offset -2m)`}}, &vector)
		require.Len(t, vector.Result, 1)
		assert.Equal(t, want, vector.Result[0].Value[1], expression)
	}
}

// pushRequests pushes the counter in OpenMetrics.
func pushRequests(t *testing.T, collector string, value int, created time.Time) {
	t.Helper()
	body := fmt.Sprintf(`# HELP "http.requests" Requests, \"all\" of them.
# TYPE "http.requests" counter
{"http.requests_total","http.method"="GET","город"="Москва"} %d # {trace_id="a1b2c3d4e5f60718293a4b5c6d7e8f90"} 0.5
{"http.requests_created","http.method"="GET","город"="Москва"} %s
# EOF
`, value, seconds(created))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, collector+"/metrics/job/api", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// query reads the data of an answer of the API.
func query(t *testing.T, prometheus, path string, values url.Values, data any) {
	t.Helper()
	response, err := http.Get(prometheus + "/api/v1/" + path + "?" + values.Encode())
	require.NoError(t, err)
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, answer.Error)
}

// seconds is a time as the API and OpenMetrics have it.
func seconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}
