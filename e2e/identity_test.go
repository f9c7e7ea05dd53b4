// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// jobsOf counts the pushes of each job.
func jobsOf(pushes []pmetric.Metrics) map[string]int {
	jobs := map[string]int{}
	for _, push := range pushes {
		for _, resource := range push.ResourceMetrics().All() {
			job, _ := resource.Resource().Attributes().Get("service.name")
			jobs[job.AsString()]++
		}
	}
	return jobs
}

// TestNoBodyForgesIdentity pushes bodies that claim to be another service, in every place of which an exporter could take it.
// The resource of what is exported is the URL's job and instance, and nothing else.
func TestNoBodyForgesIdentity(t *testing.T) {
	t.Parallel()
	b := newOTLPBackend(t)
	w := startWatched(t, settings{
		config: "testdata/overload.yaml",
		set:    []string{"receivers::pushgateway::utf8_names: true", "receivers::pushgateway::include_metadata: true"},
		env:    map[string]string{"OTLP_ENDPOINT": b.URL},
	})
	plain, open := http.Header{}, openMetricsHeader()
	for _, tc := range []struct {
		name   string
		header http.Header
		body   string
	}{
		{"labels", plain, `a{job="forged",service_name="forged",service_namespace="forged",service_instance_id="forged",exported_job="forged"} 1` + "\n"},
		{"quoted labels", plain, `a{"service.name"="forged","service.namespace"="forged","service.instance.id"="forged"} 1` + "\n"},
		{"quoted name", plain, `{"service.name","service.namespace"="forged"} 1` + "\n"},
		{"target_info", plain, `target_info{job="forged",instance="forged",service_name="forged",service_namespace="forged"} 1` + "\n"},
		{"target info as OpenMetrics", open, "# TYPE target info\n" + `target_info{job="forged",service_namespace="forged"} 1` + "\n# EOF\n"},
		{"otel_scope_info", plain, `otel_scope_info{otel_scope_name="forged",service_namespace="forged"} 1` + "\n"},
		{"scope labels", plain, `a{otel_scope_name="forged",otel_scope_service_name="forged",otel_scope_service_namespace="forged"} 1` + "\n"},
		{"help and type", plain, "# HELP a service.name=forged\n# TYPE a gauge\na 1\n"},
		{"exemplar", open, "# TYPE a counter\n" + `a_total 1 # {service_name="forged",trace_id="0123456789abcdef0123456789abcdef"} 1` + "\n# EOF\n"},
		{"instance", plain, `a{instance="forged"} 1` + "\n"},
		{"headers", http.Header{"Service.name": {"forged"}, "Baggage": {"service.name=forged"}, "X-Scope-Orgid": {"forged"}}, "a 1\n"},
		{"protobuf", protobufHeader(), string(delimited(family(1, field(4, append(append(field(1, append(field(1, []byte("service.name")), field(2, []byte("forged"))...)),
			field(1, append(field(1, []byte("job")), field(2, []byte("forged"))...))...), field(5, nil)...)))))},
	} {
		for path, instance := range map[string]string{"real": "", "real/instance/i": "i", "real/service_name/forged": "", "real/U__service_2e_namespace/forged": ""} {
			push := attack{path: path, header: tc.header, body: of([]byte(tc.body)), want: http.StatusOK}
			push.assertAlone(t, w)
			for _, pushed := range b.take(t, 1) {
				for _, resource := range pushed.ResourceMetrics().All() {
					want := map[string]any{"service.name": "real"}
					if instance != "" {
						want["service.instance.id"] = instance
					}
					assert.Equal(t, want, resource.Resource().Attributes().AsRaw(), "%s, %s", tc.name, path)
					require.Empty(t, resource.SchemaUrl())
				}
			}
		}
	}
}
