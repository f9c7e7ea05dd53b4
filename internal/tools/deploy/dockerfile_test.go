// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	digest "github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const dockerfile = "deploy/docker/Dockerfile"

// TestDockerfile translates the Dockerfile as docker build does before it runs anything, with the warnings of
// docker build --check, and looks at the image that comes of it.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	content := readFile(t, dockerfile)
	var warnings []string
	result, err := dockerfile2llb.Dockerfile2LLB(t.Context(), content, dockerfile2llb.ConvertOpt{
		MetaResolver: baseImages{"docker.io/library/golang:1.26"},
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			warnings = append(warnings, rule+": "+message)
		},
	})
	require.NoError(t, err)
	assert.Empty(t, warnings)
	config := result.Image.Config
	assert.Equal(t, "10001:10001", config.User)
	assert.Equal(t, []string{"/otelcol-pushgateway"}, config.Entrypoint)
	assert.Len(t, config.ExposedPorts, 3)
	assert.Empty(t, config.Shell)
}

// baseImages are the images that a Dockerfile may build on. They are empty here, as they would be if nothing was run.
type baseImages []string

func (b baseImages) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	if !slices.Contains(b, ref) {
		return "", "", nil, errors.New("no image is to be built on " + ref)
	}
	config := []byte(`{"os": "linux", "architecture": "amd64"}`)
	return ref, digest.FromBytes(config), config, nil
}

// TestBuildContext checks what is sent to the builder: what make build reads, and neither what was built before nor tests.
func TestBuildContext(t *testing.T) {
	t.Parallel()
	patterns, err := ignorefile.ReadAll(bytes.NewReader(readFile(t, dockerfile+".dockerignore")))
	require.NoError(t, err)
	matcher, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	for path, ignored := range map[string]bool{
		"Makefile":                             false,
		"builder-config.yaml":                  false,
		"go.mod":                               false,
		"go.sum":                               false,
		"receiver.go":                          false,
		"internal/pushhttp/push.go":            false,
		"internal/tools/go.mod":                false,
		"deploy/docker/collector.yaml":         false,
		".git/config":                          true,
		".tools/builder":                       true,
		"_build/otelcol-pushgateway":           true,
		"e2e/go.mod":                           true,
		"receiver_test.go":                     true,
		"internal/exposition/testdata/fuzz/x":  true,
		"deploy/docker/compose.yaml":           true,
		"internal/tools/deploy/files_test.go":  true,
		"deploy/kubernetes/gateway.yaml":       true,
		"internal/translate/translate_test.go": true,
	} {
		got, err := matcher.MatchesOrParentMatches(path)
		require.NoError(t, err)
		assert.Equal(t, ignored, got, path)
	}
}
