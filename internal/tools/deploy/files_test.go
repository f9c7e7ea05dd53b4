// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
)

// repository is the root of the repository, from this folder.
const repository = "../../.."

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, path))
	require.NoError(t, err)
	return content
}

// validate lets the distribution validate a configuration with some environment variables and nothing else in it.
func validate(t *testing.T, config string, env map[string]string) {
	t.Helper()
	for _, name := range environmentVariable.FindAllStringSubmatch(config, -1) {
		assert.Contains(t, env, name[1], "the configuration uses it")
	}
	distribution, err := filepath.Abs(filepath.Join(repository, "_build", "otelcol-pushgateway"))
	require.NoError(t, err)
	require.FileExists(t, distribution, "build the distribution first: make deploy does")
	args := []string{"validate", "--config", "yaml:" + config}
	if strings.Contains(config, "file_storage:") {
		args = append(args, "--config", "yaml:extensions::file_storage::directory: "+t.TempDir()) // it has to exist
	}
	cmd := exec.CommandContext(t.Context(), distribution, args...)
	cmd.Env = []string{}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

// environmentVariable is one that has no default.
var environmentVariable = regexp.MustCompile(`\$\{env:(\w+)\}`)

var inFlightBytes = regexp.MustCompile(`in_flight_bytes: (\d+)`)

// datasource stands for a secret with the URL of a database.
const datasource = "postgres://pushgateway:secret@database:5432/pushgateway?sslmode=verify-full"

// assertMemory demands that a container's limit, Go's and the memory limiter's agree, and that the pushes being worked on fit
// below what the memory limiter refuses from.
func assertMemory(t *testing.T, limit int64, goLimit, config string) {
	t.Helper()
	assert.Contains(t, config, " limit_percentage: 80\n", "the memory_limiter's limit is GOMEMLIMIT")
	assert.Contains(t, config, " spike_limit_percentage: 5\n")
	assertInFlight(t, limit, goLimit, config)
}

// assertInFlight demands that the pushes being worked on fit into a container's memory, of which Go knows. They take up to eight
// times limits::in_flight_bytes, and the process itself 64 MiB.
func assertInFlight(t *testing.T, limit int64, goLimit, config string) {
	t.Helper()
	const share, spike, expansion, process, defaultInFlight = 0.8, 0.05, 8, 64 << 20, 128 << 20
	parsed, err := resource.ParseQuantity(strings.TrimSuffix(goLimit, "B"))
	require.NoError(t, err, "GOMEMLIMIT")
	assert.InEpsilon(t, share*float64(limit), parsed.Value(), 0.01, "GOMEMLIMIT is 80 % of the limit")

	inFlight := int64(defaultInFlight)
	if set := inFlightBytes.FindStringSubmatch(config); set != nil {
		_, err := fmt.Sscan(set[1], &inFlight)
		require.NoError(t, err)
	}
	assert.LessOrEqual(t, expansion*inFlight+process, int64((share-spike)*float64(limit)), "the memory does not suffice for in_flight_bytes")
}

// TestOneVersion holds the image that files and documents name to the version that the distribution has.
func TestOneVersion(t *testing.T) {
	t.Parallel()
	released := regexp.MustCompile(`(?m)^ {2}version: (\S+)$`).FindSubmatch(readFile(t, "builder-config.yaml"))
	require.NotNil(t, released)
	paths := []string{"README.md", "deploy/README.md"}
	for _, pattern := range []string{"deploy/docker/*", "deploy/kubernetes/*"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		require.NoError(t, err)
		for _, path := range found {
			if filepath.Ext(path) == ".yaml" || filepath.Base(path) == "Dockerfile" {
				paths = append(paths, strings.TrimPrefix(path, repository+"/"))
			}
		}
	}
	count := 0
	for _, path := range paths {
		for _, image := range regexp.MustCompile(`(\S*)otelcol-pushgateway:(\d\S*)`).FindAllSubmatch(readFile(t, path), -1) {
			assert.Equal(t, string(released[1]), strings.TrimRight(string(image[2]), "`,."), path)
			if strings.HasPrefix(path, "deploy/kubernetes/") {
				assert.Equal(t, "ghcr.io/otelcol-pushgateway/", string(image[1]), path)
			}
			count++
		}
	}
	assert.Greater(t, count, 5)
}
