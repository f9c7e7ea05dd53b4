// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCompose loads compose.yaml as docker compose does, which validates it against the specification's schema.
func TestCompose(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{filepath.Join(repository, "deploy/docker/compose.yaml")})
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)

	assert.ElementsMatch(t, []string{"collector", "grafana", "prometheus"}, project.ServiceNames())
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				assert.FileExists(t, existing(volume.Source), name)
			}
		}
		for _, port := range service.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP, "%s is open to others", name)
		}
	}
	collector := project.Services["collector"]
	assert.FileExists(t, filepath.Join(collector.Build.Context, collector.Build.Dockerfile))
	config := string(readFile(t, "deploy/docker/collector.yaml"))
	assertMemory(t, int64(collector.MemLimit), *collector.Environment["GOMEMLIMIT"], config)
	validate(t, config, nil)
}

// existing is a path itself if it is a file, or one file of a folder.
func existing(path string) string {
	if files, err := filepath.Glob(filepath.Join(path, "*")); err == nil && len(files) > 0 {
		return existing(files[0])
	}
	return path
}
