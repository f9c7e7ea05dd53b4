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

// TestCompose loads each file as docker compose does, which validates it against the specification's schema.
func TestCompose(t *testing.T) {
	t.Parallel()
	t.Run("compose.yaml", func(t *testing.T) {
		t.Parallel()
		project := loadProject(t, "deploy/docker/compose.yaml")
		assert.ElementsMatch(t, []string{"collector", "grafana", "prometheus"}, project.ServiceNames())
		collector := project.Services["collector"]
		config := string(readFile(t, "deploy/docker/collector.yaml"))
		assertMemory(t, int64(collector.MemLimit), *collector.Environment["GOMEMLIMIT"], config)
		validate(t, config, nil)
	})
	t.Run("replicas.compose.yaml", func(t *testing.T) {
		t.Parallel()
		project := loadProject(t, "deploy/docker/replicas.compose.yaml")
		assert.ElementsMatch(t, []string{"pushgateway-0", "pushgateway-1", "nginx", "database", "prometheus"}, project.ServiceNames())
		upstreams := string(readFile(t, "deploy/nginx/proxy.conf"))
		config := string(readFile(t, "configs/replicas.yaml"))
		for _, name := range []string{"pushgateway-0", "pushgateway-1"} {
			assert.Contains(t, upstreams, "server "+name+":9091 ")
			replica := project.Services[name]
			assertInFlight(t, int64(replica.MemLimit), *replica.Environment["GOMEMLIMIT"], config)
			env := map[string]string{}
			for variable, value := range replica.Environment {
				env[variable] = *value
			}
			validate(t, config, env)
		}
	})
}

// loadProject loads a file, and demands that the files it names exist and that its ports are open to this machine only.
func loadProject(t *testing.T, path string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(repository, path)})
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	for name := range project.Services {
		service := project.Services[name]
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				assert.FileExists(t, existing(volume.Source), name)
			}
		}
		for _, port := range service.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP, "%s is open to others", name)
		}
		if service.Build != nil {
			assert.FileExists(t, filepath.Join(service.Build.Context, service.Build.Dockerfile), name)
		}
	}
	return project
}

// existing is a path itself if it is a file, or one file of a folder.
func existing(path string) string {
	if files, err := filepath.Glob(filepath.Join(path, "*")); err == nil && len(files) > 0 {
		return existing(files[0])
	}
	return path
}
