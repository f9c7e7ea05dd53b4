// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		"b{x=\"1\",a=\"\\\"\"} 1\n": {`"b" {a="\"",instance="i",job="j",x="1"}`},
		"# TYPE c counter\nc 1\n":   {`"c" {instance="i",job="j"}`},
		"# TYPE s summary\ns{quantile=\"1\"} 1\n": {
			`"s" {instance="i",job="j",quantile="1"}`, `"s_sum" {instance="i",job="j"}`, `"s_count" {instance="i",job="j"}`,
		},
		"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n": {
			`"h_bucket" {instance="i",job="j",le="1"}`, `"h_bucket" {instance="i",job="j",le="+Inf"}`,
			`"h_sum" {instance="i",job="j"}`, `"h_count" {instance="i",job="j"}`,
		},
		"a{x=\"" + strings.Repeat("é", 200) + "\"} 1\n": {`"a" {instance="i",job="j",x="` + strings.Repeat("é", 135) + "…"},
	} {
		md := pushtest.Text(t, "job/j/instance/i", body).Metrics
		var got []string
		for _, h := range hashes(md) {
			got = append(got, series.Describe(md, pushtest.Scope, h))
		}
		assert.Equal(t, want, got)
	}
}

func TestDescribeUnknown(t *testing.T) {
	t.Parallel()
	md := pushtest.Text(t, "job/j", "a 1\n").Metrics
	assert.Equal(t, "a series", series.Describe(md, pushtest.Scope, hashes(md)[0]+1))
}

func TestDescribeWhatever(t *testing.T) {
	t.Parallel()
	for i := range 200 {
		md := pushtest.Random(rand.New(rand.NewPCG(2, uint64(i))), pushtest.Key(t, "job/j")).Metrics
		for _, h := range hashes(md) {
			description := series.Describe(md, pushtest.Scope, h)
			assert.True(t, utf8.ValidString(description))
			assert.Contains(t, description, `job="j"`)
		}
	}
}
