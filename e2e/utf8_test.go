// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/golang/snappy"
	dto "github.com/prometheus/client_model/go"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/prototext"
)

// TestNamesThatBecomeOne pushes names that differ in characters which configs/remote-write.yaml escapes and
// configs/prometheus3.yaml keeps, and looks at what Prometheus has.
func TestNamesThatBecomeOne(t *testing.T) {
	t.Parallel()
	metrics := []string{
		`name: "my.metric" type: GAUGE metric { gauge { value: 1 } }`,
		`name: "my_metric" type: GAUGE metric { gauge { value: 2 } }`,
		`name: "fine" type: GAUGE metric { gauge { value: 3 } }`,
	}
	oneLabel := []string{`name: "m" type: GAUGE metric { label { name: "a.b" value: "1" } label { name: "a_b" value: "2" } gauge { value: 4 } }`}
	otherLetters := []string{`name: "температура" type: GAUGE metric { label { name: "город" value: "Москва" } gauge { value: -5 } }`}
	for _, tc := range []struct {
		name, example string
		families      []string
		status        int
		want          map[string][]string // values by expression
	}{
		{
			"metrics, escaped", "remote-write.yaml", metrics, http.StatusBadRequest,
			map[string][]string{`{"my.metric"}`: nil, "my_metric": nil, "fine": nil},
		},
		{
			"metrics, kept", "prometheus3.yaml", metrics, http.StatusOK,
			map[string][]string{`{"my.metric"}`: {"1"}, "my_metric": {"2"}, "fine": {"3"}},
		},
		{
			"labels of one series, escaped", "remote-write.yaml", oneLabel, http.StatusOK,
			map[string][]string{`m{a_b="1;2"}`: {"4"}, "m": {"4"}},
		},
		{
			"labels of one series, kept", "prometheus3.yaml", oneLabel, http.StatusOK,
			map[string][]string{`m{"a.b"="1",a_b="2"}`: {"4"}, "m": {"4"}},
		},
		{
			"other letters, kept", "prometheus3.yaml", otherLetters, http.StatusOK,
			map[string][]string{`{"температура","город"="Москва"}`: {"-5"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startPrometheus(t, prometheusFile(t, ""))
			c := startExample(t, tc.example, server.url+"/api/v1/write")
			status := pushProtobuf(t, c.url, tc.families)
			assert.Equal(t, tc.status, status)
			for expression, want := range tc.want {
				assert.Equal(t, want, server.query(t, expression), expression)
			}
		})
	}
}

// TestTypesAndHelpTexts reads the request of remote write 2.0 that configs/prometheus3.yaml sends. It is one, and has the type and
// the help text of each series.
func TestTypesAndHelpTexts(t *testing.T) {
	t.Parallel()
	requests := make(chan *writev2.Request, 10)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "application/x-protobuf;proto=io.prometheus.write.v2.Request", r.Header.Get("Content-Type"))
		compressed, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		body, err := snappy.Decode(nil, compressed)
		assert.NoError(t, err)
		request := &writev2.Request{}
		assert.NoError(t, request.Unmarshal(body))
		requests <- request
	}))
	t.Cleanup(backend.Close)
	c := startExample(t, "prometheus3.yaml", backend.URL)
	require.Equal(t, http.StatusOK, pushProtobuf(t, c.url, []string{
		`name: "jobs.done_total" help: "Done." type: COUNTER metric { counter { value: 1 } }`,
		`name: "größe" help: "Größe." type: GAUGE metric { gauge { value: 2 } }`,
	}))
	require.Len(t, requests, 1)
	request := <-requests
	described := map[string][2]string{}
	for _, series := range request.Timeseries {
		for i := 0; i < len(series.LabelsRefs); i += 2 {
			if request.Symbols[series.LabelsRefs[i]] == "__name__" {
				described[request.Symbols[series.LabelsRefs[i+1]]] = [2]string{series.Metadata.Type.String(), request.Symbols[series.Metadata.HelpRef]}
			}
		}
	}
	delete(described, "push_time_seconds")
	assert.Equal(t, map[string][2]string{
		"jobs.done_total": {"METRIC_TYPE_COUNTER", "Done."}, "größe": {"METRIC_TYPE_GAUGE", "Größe."},
	}, described)
}

// pushProtobuf pushes families that are written as prototext.
func pushProtobuf(t *testing.T, url string, families []string) (status int) {
	t.Helper()
	var body bytes.Buffer
	for _, text := range families {
		var family dto.MetricFamily
		require.NoError(t, prototext.Unmarshal([]byte(text), &family))
		_, err := protodelim.MarshalTo(&body, &family)
		require.NoError(t, err)
	}
	response, err := http.Post(url+"/metrics/job/api", string(protobuf), &body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}
