// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/require"
)

// labels of a series, __name__ included.
type labels map[string]string

// String is the series as text, labels in order.
func (l labels) String() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if name != "__name__" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, l[name]))
		}
	}
	return l["__name__"] + "{" + strings.Join(pairs, ",") + "}"
}

// normal is the series with le and quantile as the shortest number, whatever the spelling was.
func (l labels) normal() labels {
	normal := maps.Clone(l)
	for _, name := range []string{"le", "quantile"} {
		if number, err := strconv.ParseFloat(l[name], 64); err == nil {
			normal[name] = strconv.FormatFloat(number, 'g', -1, 64)
		}
	}
	return normal
}

// unscoped is the series without the labels of its instrumentation scope.
func (l labels) unscoped() labels {
	unscoped := maps.Clone(l)
	maps.DeleteFunc(unscoped, func(name, _ string) bool { return strings.HasPrefix(name, "otel_scope_") })
	return unscoped
}

// escaped is the series as the remote-write exporter writes it, by the module that it escapes names with.
func (l labels) escaped() labels {
	escaped := labels{}
	metrics := otlptranslator.MetricNamer{}
	others := otlptranslator.LabelNamer{PreserveMultipleUnderscores: true}
	for name, value := range l {
		if name == "__name__" {
			escaped[name], _ = metrics.Build(otlptranslator.Metric{Name: value})
		} else if label, err := others.Build(name); err == nil {
			escaped[label] = value
		}
	}
	return escaped
}

func isASCIILetter(c rune) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// underscoresOnly tells whether the name of a label has no other character.
func (l labels) underscoresOnly() bool {
	for name := range l {
		if strings.Trim(name, "_") == "" {
			return true
		}
	}
	return false
}

// stored is one series in a Prometheus with its newest value: a number, or a native histogram's count, sum and buckets, as
// the query API writes them.
type stored struct {
	labels      labels
	value       string
	populations string // of a histogram: its value without the bounds of buckets
}

// readAll reads everything that a Prometheus stores through its query API, by job.
func readAll(t *testing.T, prometheus string) map[string][]stored {
	t.Helper()
	response, err := http.PostForm(prometheus+"/api/v1/query", url.Values{"query": {`{__name__!=""}`}})
	require.NoError(t, err)
	defer response.Body.Close()
	var answer struct {
		Status string
		Error  string
		Data   struct {
			Result []struct {
				Metric    labels
				Value     [2]any
				Histogram [2]json.RawMessage
			}
		}
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, answer.Error)
	byJob := map[string][]stored{}
	for _, series := range answer.Data.Result {
		s := stored{labels: series.Metric, value: fmt.Sprint(series.Value[1])}
		if histogram := series.Histogram[1]; histogram != nil {
			s.value, s.populations = string(histogram), populations(t, histogram)
		}
		job := series.Metric["job"]
		byJob[job] = append(byJob[job], s)
	}
	return byJob
}

// populations is a histogram of the query API with only the last element of each bucket: what it counted, not its bounds.
func populations(t *testing.T, histogram json.RawMessage) string {
	t.Helper()
	var h struct {
		Count, Sum string
		Buckets    [][4]any
	}
	require.NoError(t, json.Unmarshal(histogram, &h))
	counts := []any{h.Count, h.Sum}
	for _, bucket := range h.Buckets {
		counts = append(counts, bucket[3])
	}
	return fmt.Sprint(counts...)
}
