// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	key := groupingkey.Key{Job: "Nightly", Labels: []groupingkey.Label{{Name: "empty"}, {Name: "instance", Value: "db-3"}, {Name: "zone", Value: "Zürich"}}}
	for text, matches := range map[string]bool{
		"":                    true,
		" \t ":                true,
		"nightly":             true,
		"NIGHT":               true,
		"job=night":           true,
		"b=n":                 true,
		"nightly db-3":        true,
		"db-3 nightly":        true,
		"instance= zone=":     true,
		"empty=":              true,
		"zürich":              true,
		"ZÜRICH":              false, // Only the case of ASCII letters is ignored.
		"nightly db-4":        false,
		"nightlyempty":        false,
		"nightly\xffempty":    false,
		"job=nightly\xff":     false,
		"=instance":           false,
		"weekly":              false,
		"nightly  instance=x": false,
	} {
		f := groupingkey.NewFilter(text)
		got, _ := f.Matches(key, nil)
		assert.Equal(t, matches, got, text)
	}
}

func TestFilterReusesItsBuffer(t *testing.T) { //nolint:paralleltest // It counts allocations.
	f := groupingkey.NewFilter("z")
	matches, buffer := f.Matches(groupingkey.Key{Job: "a longer name than the next, z"}, nil)
	assert.True(t, matches)
	matches, _ = f.Matches(groupingkey.Key{Job: "x"}, buffer)
	assert.False(t, matches)
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, buffer = f.Matches(groupingkey.Key{Job: "x"}, buffer) }))
}

func TestFilterOfText(t *testing.T) {
	t.Parallel()
	f := groupingkey.NewFilter("Line 4")
	assert.True(t, f.MatchesText("expected float at LINE 4"))
	assert.False(t, f.MatchesText("line 5"))
	assert.True(t, groupingkey.Filter{}.MatchesText("anything"))
}
