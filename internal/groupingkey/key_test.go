// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

func mustParse(t *testing.T, path string, utf8Names bool) groupingkey.Key {
	t.Helper()
	k, ok, err := groupingkey.Parse(path, utf8Names)
	require.True(t, ok)
	require.NoError(t, err)
	return k
}

func TestGet(t *testing.T) {
	t.Parallel()
	k := mustParse(t, "job/j/zone/z/instance/i/empty/", false)
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{
		{"instance", "i", true},
		{"zone", "z", true},
		{"empty", "", true},
		{"job", "", false},
		{"other", "", false},
		{"", "", false},
	} {
		got, ok := k.Get(tt.name)
		assert.Equal(t, tt.want, got, tt.name)
		assert.Equal(t, tt.ok, ok, tt.name)
	}
}

func TestHashIsOfTheGroupNotOfThePath(t *testing.T) {
	t.Parallel()
	want := mustParse(t, "job/j/a/1/b/2", false).Hash()
	for _, path := range []string{"job/j/b/2/a/1", "job@base64/ag/a@base64/MQ==/b/2", "job/j/a/0/b/2/a/1", "job/j/job/x/a/1/b/2"} {
		assert.Equal(t, want, mustParse(t, path, false).Hash(), path)
	}
}

func TestHashTellsGroupsApart(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	for _, path := range []string{"job/j", "job/j/a/", "job/j/a/1", "job/j/a/1/b/2", "job/ja", "job/j/a1/b", "job/j/a/1b2", "job/j/ab/12", "job/ja/a/1"} {
		h := mustParse(t, path, false).Hash()
		assert.Empty(t, seen[h], path)
		seen[h] = path
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, want string }{
		{"job/j", `{job="j"}`},
		{"job/j/b/2/a/", `{job="j",a="",b="2"}`},
		{"job/a\"b/c/\n", `{job="a\"b",c="\n"}`},
		{"job/j/foo.bar/v", `{job="j","foo.bar"="v"}`},
	} {
		assert.Equal(t, tt.want, mustParse(t, tt.path, true).String())
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path      string
		utf8Names bool
		want      string
	}{
		{"job/j", false, "/metrics/job/j"},
		{"job@base64/ag/b/2/a/1", false, "/metrics/job/j/a/1/b/2"},
		{"job/a b/c/", false, "/metrics/job@base64/YSBi/c@base64/="},
		{"job/../c/.", false, "/metrics/job@base64/Li4/c@base64/Lg"},
		{"job/j/U__a_2e_b/c", false, "/metrics/job/j/U__a_2e_b/c"},
		{"job/j/U__a_2e_b/c", true, "/metrics/job/j/U__a_2e_b/c"},
		{"job/j/a.b/c", true, "/metrics/job/j/U__a_2e_b/c"},
		{"job/j/U__in_xxx_valid/c", true, "/metrics/job/j/U__in_xxx_valid/c"},
		{"job/j/U___55_____foo/c", true, "/metrics/job/j/U__U____foo/c"},
	} {
		k := mustParse(t, tt.path, tt.utf8Names)
		assert.Equal(t, tt.want, k.Path(tt.utf8Names))
		assert.Equal(t, k, mustParse(t, strings.TrimPrefix(tt.want, "/metrics/"), tt.utf8Names))
	}
}
