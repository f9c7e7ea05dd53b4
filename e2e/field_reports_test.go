// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fieldCase is a case of testdata/conformance/field-reports.json.
type fieldCase struct {
	ID    string
	Steps []struct {
		Method, Target string
		Headers        [][2]string
		Body           []byte `json:"body_b64"`
	}
}

// TestFieldReports sends the cases to which a backend matters through the shipped examples, and looks at what Prometheus has
// stored of a job. TestNamesThatBecomeOne has those about names.
func TestFieldReports(t *testing.T) {
	t.Parallel()
	cases := fieldCases(t)
	server := startPrometheus(t, prometheusFile(t, ""))
	proxy := startExample(t, "remote-write.yaml", server.url+"/api/v1/write")
	groups := startCollector(t, withGroups(t, server.url))
	for _, tc := range []struct {
		id       string
		to       *collector
		selector string
		want     map[string]string // the series in the end
	}{
		{"protobuf-family-twice", proxy, `items_total`, map[string]string{
			`items_total{job="workers",reg="a"}`: "1", `items_total{job="workers",reg="b"}`: "2",
		}},
		{"exemplars-repeated-and-without-time", proxy, `c_total`, map[string]string{`c_total{job="ex"}`: "7"}},
		{"created-in-the-future", proxy, `{job="skew",__name__!="push_time_seconds"}`, map[string]string{
			`jobs_total{job="skew"}`: "4", `lat_count{job="skew"}`: "2", `lat_sum{job="skew"}`: "3",
		}},
		{"native-histogram-and-backend-without", groups, `{job="batch",__name__!~"push_.*"}`, map[string]string{
			`rows_total{job="batch"}`: "11", `batch_item_seconds_count{job="batch",stage="load"}`: "3", `batch_item_seconds_sum{job="batch",stage="load"}`: "0.9",
			`batch_item_seconds_bucket{job="batch",le="0.1",stage="load"}`: "1", `batch_item_seconds_bucket{job="batch",le="0.5",stage="load"}`: "2",
			`batch_item_seconds_bucket{job="batch",le="+Inf",stage="load"}`: "3",
		}},
		{"same-series-in-two-groups", groups, `files`, map[string]string{`files{disk="a2",job="copier"}`: "18"}},
		{"family-with-header-only", groups, `{job="etl",__name__!~"push_.*"}`, map[string]string{}},
	} {
		t.Run(tc.id, func(t *testing.T) {
			steps := cases[tc.id].Steps
			if tc.id == "same-series-in-two-groups" {
				steps = steps[:5] // What follows depends on when the backend has accepted the end of the old series.
			}
			for _, step := range steps {
				request, err := http.NewRequestWithContext(t.Context(), step.Method, tc.to.url+step.Target, bytes.NewReader(step.Body))
				require.NoError(t, err)
				for _, h := range step.Headers {
					request.Header.Add(h[0], h[1])
				}
				response, err := http.DefaultClient.Do(request)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
			}
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				assert.Equal(c, tc.want, server.instant(c, tc.selector))
			}, dataTimeout, pollInterval)
		})
	}
}

func fieldCases(t *testing.T) map[string]fieldCase {
	t.Helper()
	data, err := os.ReadFile("../testdata/conformance/field-reports.json")
	require.NoError(t, err)
	var file struct{ Cases []fieldCase }
	require.NoError(t, json.Unmarshal(data, &file))
	byID := map[string]fieldCase{}
	for _, c := range file.Cases {
		byID[c.ID] = c
	}
	require.NotEmpty(t, byID)
	return byID
}
