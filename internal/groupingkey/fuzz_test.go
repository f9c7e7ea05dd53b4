// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

func FuzzParse(f *testing.F) {
	for _, target := range []string{
		"job/j", "job/j/", "job/j/a/1", "job/j/a/1/b/2", "job/j/a", "job//a/1", "job@base64/ag==/a@base64/MQ", "job@base64/foo.bar",
		"job@base64/=", "job/j/a/%2F/b", "job/a%2Fb%2Fc", "job/j/a/%ff", "job/j/__x/y", "job/j/U__a_2e_b/c", "job/j/U______x/y",
		"job/j/U___55_____foo/baz", "job/j/U___10ffff_/v", "job/j/a/1/a/2", "job/j/job/x", "jobs/j", "job%40base64/ag", "job/my+job",
	} {
		f.Add(target, false)
		f.Add(target, true)
	}
	f.Fuzz(func(t *testing.T, target string, utf8Names bool) {
		u, err := url.ParseRequestURI("/metrics/" + target)
		if err != nil || !strings.HasPrefix(u.Path, "/metrics/") {
			return
		}
		path := strings.TrimPrefix(u.Path, "/metrics/")
		got, ok, err := groupingkey.Parse(path, utf8Names)
		if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' }) {
			return // model.UnescapeName accepts some control characters as digits.
		}
		want, wantOK, wantErr := oracle(path, utf8Names)
		require.Equal(t, wantOK, ok)
		if wantErr != "" {
			require.EqualError(t, err, wantErr)
			return
		}
		if err != nil {
			require.ErrorContains(t, err, "pushed metrics are invalid or inconsistent with existing metrics: ")
			require.True(t, poisons(want), err.Error())
			return
		}
		if ok {
			requireSame(t, want, got)
			requireRoundTrip(t, got, utf8Names)
		}
	})
}

func requireSame(t *testing.T, want map[string]string, got groupingkey.Key) {
	require.Equal(t, want["job"], got.Job)
	require.Len(t, got.Labels, len(want)-1)
	require.True(t, slices.IsSortedFunc(got.Labels, func(a, b label) int { return strings.Compare(a.Name, b.Name) }))
	for _, l := range got.Labels {
		require.Equal(t, want[l.Name], l.Value)
	}
}

func requireRoundTrip(t *testing.T, k groupingkey.Key, utf8Names bool) {
	again, ok, err := groupingkey.Parse(strings.TrimPrefix(k.Path(utf8Names), "/metrics/"), utf8Names)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, k.Job, again.Job)
	require.True(t, slices.Equal(k.Labels, again.Labels))
	require.Equal(t, k.Hash(), again.Hash())
}

var (
	pushPath   = regexp.MustCompile(`(?s)^job(@base64)?/([^/]+)(/.*)?$`)
	legacyName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// oracle returns a Pushgateway's result for the path, by its documentation and Prometheus' library: the key's labels or
// the error.
func oracle(path string, utf8Names bool) (labels map[string]string, ok bool, errText string) {
	m := pushPath.FindStringSubmatch(path)
	if m == nil {
		return nil, false, ""
	}
	job := m[2]
	if m[1] != "" {
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(job, "="))
		if job = string(b); err != nil {
			return nil, true, fmt.Sprintf("invalid base64 encoding in job name %q: %v", job, err)
		}
	}
	labels = map[string]string{}
	if len(m[3]) > 1 {
		elements := strings.Split(m[3][1:], "/")
		if len(elements)%2 != 0 {
			return nil, true, fmt.Sprintf("odd number of components in label string %q", m[3])
		}
		for pair := range slices.Chunk(elements, 2) {
			if errText := oracleLabel(labels, pair[0], pair[1], utf8Names); errText != "" {
				return nil, true, errText
			}
		}
	}
	if labels["job"] = job; job == "" {
		return nil, true, "job name is required"
	}
	return labels, true, ""
}

func oracleLabel(labels map[string]string, name, value string, utf8Names bool) (errText string) {
	trimmed := strings.TrimSuffix(name, "@base64")
	unescaped := trimmed
	valid := legacyName.MatchString(trimmed)
	if utf8Names {
		unescaped = model.UnescapeName(trimmed, model.ValueEncodingEscaping)
		valid = model.UTF8Validation.IsValidLabelName(unescaped)
	}
	if !valid || strings.HasPrefix(trimmed, model.ReservedLabelPrefix) {
		return fmt.Sprintf("improper label name %q", trimmed)
	}
	if trimmed == name {
		labels[unescaped] = value
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return fmt.Sprintf("invalid base64 encoding for label %s=%q: %v", trimmed, value, err)
	}
	labels[unescaped] = string(b)
	return ""
}

// poisons reports whether a Pushgateway would accept the key and break.
func poisons(labels map[string]string) bool {
	for name, value := range labels {
		if strings.HasPrefix(name, model.ReservedLabelPrefix) || !utf8.ValidString(value) {
			return true
		}
	}
	return false
}

// Prometheus' library reads escaped names too.
func TestEscapedNamesAreReadByPrometheus(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.b", "é", "a b", "a/b", "U__foo.", "日本", "\U000fffff", "1a", "a@base64"} {
		k := groupingkey.Key{Job: "j", Labels: []label{{Name: name, Value: "v"}}}
		element := strings.Split(k.Path(true), "/")[4]
		assert.Equal(t, name, model.UnescapeName(element, model.ValueEncodingEscaping))
	}
}
