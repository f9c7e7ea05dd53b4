// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCarryOver carries the groups of a real Pushgateway over, with the commands of the migration guide.
func TestCarryOver(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed and make clients could not install it", tool)
		}
	}
	gateway, _ := startPushgateway(t)
	fillPushgateway(t, gateway)
	collector := freeEndpoint(t)
	m := newGuide(t, migrationGuide, map[string]string{
		"PUSHGATEWAY": gateway, "COLLECTOR": "http://" + collector, "STORAGE_DIRECTORY": t.TempDir(),
		"REMOTE_WRITE_ENDPOINT": "http://127.0.0.1:1", "COLLECTOR_FOLDER": withTelemetryAt(t, freeEndpoint(t)),
	})

	m.run(t, "memory")
	out, _ := m.run(t, "carryover")
	assert.Contains(t, out, "5 groups were carried over, 0 problems")
	want := ofPushes(shown(t, gateway+"/metrics"))
	assert.Len(t, want, 21)
	assert.Equal(t, want, ofPushes(shown(t, "http://"+collector+"/metrics")))
	assert.Equal(t, helpTexts(t, gateway), helpTexts(t, "http://"+collector))

	t.Run("again, with newer values here and with what cannot be carried", func(t *testing.T) {
		newer, answer := send(t, http.MethodPut, "http://"+collector+"/metrics/job/nightly", "rows 2\n")
		require.Equal(t, http.StatusOK, newer, answer)
		native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native", NativeHistogramBucketFactor: 1.1})
		native.Observe(1)
		require.NoError(t, push.New(gateway, "mixed").Collector(native).Collector(gauge("plain", 1)).Push())

		out := m.fails(t, "carryover")
		assert.Contains(t, out, "{'job': 'nightly'}: the receiver has this group already")
		assert.Contains(t, out, "{'job': 'mixed'}: native is not carried over: a native histogram has no text form")
		assert.Contains(t, out, "1 groups were carried over, 1 problems")
		held := shown(t, "http://"+collector+"/metrics")
		assert.Equal(t, "2", held[`rows{job="nightly"}`])
		assert.Equal(t, "1", held[`plain{job="mixed"}`])
	})
}

// TestCarryOverUTF8Names carries groups over whose labels have names of any characters. Where the receiver does not take them,
// they are named and the others are carried over all the same.
func TestCarryOverUTF8Names(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed and make clients could not install it")
	}
	gateway, _ := startPushgateway(t, "--push.enable-utf8-names")
	for _, path := range []string{
		"job/a/gr%C3%B6%C3%9Fe/xl", "job/b/U__a_2f_b.c/1", "job/c/U___55_____d/2", "job/d/%F0%9F%98%80%20x/3", "job/e/_f_/4", "job/f",
	} {
		status, answer := send(t, http.MethodPut, gateway+"/metrics/"+path, "rows 1\n")
		require.Equal(t, http.StatusOK, status, answer)
	}
	want := ofPushes(shown(t, gateway+"/metrics"))
	require.Len(t, want, 6)
	for _, tc := range []struct {
		name, utf8Names, printed string
		carried                  int
	}{
		{"taken", "true", "6 groups were carried over, 0 problems", 6},
		{"not taken", "false", "3 groups were carried over, 3 problems", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startCollector(t, settings{
				config: "testdata/overload.yaml",
				set: []string{
					"receivers::pushgateway: {groups: {}, utf8_names: " + tc.utf8Names + "}", "extensions::pprof::endpoint: " + freeEndpoint(t),
				},
				env: map[string]string{"OTLP_ENDPOINT": "http://127.0.0.1:1"},
			})
			out, err := run(t, "python3", "../docs/carry-over.py", gateway, c.url)
			assert.Equal(t, tc.carried < len(want), err != nil, out)
			assert.Contains(t, out, tc.printed)
			got := ofPushes(shown(t, c.url+"/metrics"))
			assert.Len(t, got, tc.carried)
			for series, value := range got {
				assert.Equal(t, want[series], value, series)
			}
		})
	}
}

// fillPushgateway pushes groups with every type and with keys and values that are hard to spell.
func fillPushgateway(t *testing.T, gateway string) {
	t.Helper()
	for path, body := range map[string]string{
		"job/nightly":           "rows 1\n",
		"job/emptied":           "",
		"job/types/instance/a":  everyType,
		"job/odd/zone/K%C3%B8b": "# HELP lines Lines.\nlines{at=\"north\",zone=\"body\"} NaN\nlines{text=\"\\\\ \\\" \\n 東京\"} 0.1\n# TYPE partial histogram\npartial_count 5\npartial_sum 6\n",
		"job@base64/bmlnaHRseS9iYWNrdXA=/path@base64/L3Zhcg==/none@base64/=": "# HELP encoded Two\\nlines, a \\\\ and a \".\n# TYPE encoded gauge\nencoded -0.25\n",
	} {
		status, answer := send(t, http.MethodPut, gateway+"/metrics/"+path, body)
		require.Equal(t, http.StatusOK, status, answer)
	}
}

// ofPushes are series without the push times, which differ.
func ofPushes(series map[string]string) map[string]string {
	pushes := maps.Clone(series)
	maps.DeleteFunc(pushes, func(labels, _ string) bool {
		return strings.HasPrefix(labels, "push_time_seconds{") || strings.HasPrefix(labels, "push_failure_time_seconds{")
	})
	return pushes
}

// helpTexts are the lines with types and help texts of a page, but for a Pushgateway's own.
func helpTexts(t *testing.T, url string) []string {
	t.Helper()
	response, err := http.Get(url + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var texts []string
	for line := range strings.Lines(string(page)) {
		if fields := strings.Fields(line); fields[0] == "#" && !ownOfPushgateway(fields[2]) {
			texts = append(texts, line)
		}
	}
	return texts
}
