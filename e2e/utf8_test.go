// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"
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
