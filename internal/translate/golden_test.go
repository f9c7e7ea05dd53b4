// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// update rewrites the expectations: go test ./internal/translate -run Golden -update. Review the difference.
var update = flag.Bool("update", false, "rewrite the golden files")

// inputs are the names of inputs in testdata. Protobuf is prototext with a blank line between families.
var inputs = map[string]exposition.Format{
	"input.prom": exposition.Text, "input.om": exposition.OpenMetrics, "input.pb.txt": exposition.Protobuf,
}

// expectations are the names of the expected pdata, by the setting for histograms with both parts.
var expectations = map[string]translate.Histograms{
	"expected.yaml": translate.ClassicHistograms, "expected_native.yaml": translate.NativeHistograms, "expected_both.yaml": translate.BothHistograms,
}

func TestGolden(t *testing.T) {
	t.Parallel()
	options := translate.Options{PushTime: true, ScopeName: "example.com/receiver", ScopeVersion: "1.2.3", Timestamps: translate.Honor}
	dirs, err := filepath.Glob("testdata/*/expected*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, expected := range dirs {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(expected, "testdata/"), ".yaml"), func(t *testing.T) {
			t.Parallel()
			o := options
			o.Histograms = expectations[filepath.Base(expected)]
			format, body := readInput(t, filepath.Dir(expected))
			push := translated(t, format, "job/batch/instance/host-1/zone/eu", body, o)
			if *update {
				require.NoError(t, golden.WriteMetricsToFile(expected, push.Metrics, golden.SkipMetricTimestampNormalization()))
			}
			want, err := golden.ReadMetrics(expected)
			require.NoError(t, err)
			// The files are sorted; TestSeries tests the order.
			require.NoError(t, pmetrictest.CompareMetrics(want, push.Metrics, pmetrictest.IgnoreScopeMetricsOrder(),
				pmetrictest.IgnoreMetricsOrder(), pmetrictest.IgnoreMetricDataPointsOrder()))
		})
	}
}

func readInput(t *testing.T, dir string) (exposition.Format, string) {
	for name, format := range inputs {
		if body, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return format, strings.TrimPrefix(string(body), "\n")
		}
	}
	require.Fail(t, "no input in "+dir)
	return 0, ""
}
