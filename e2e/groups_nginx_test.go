// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// replicaNames stand in deploy/nginx for two replicas' addresses.
var replicaNames = []string{"pushgateway-0:9091", "pushgateway-1:9091"}

// startNginx starts nginx with a configuration of deploy/nginx in front of two receivers, after nginx itself has checked it,
// and returns its URL.
func startNginx(t *testing.T, config string, replicas []string) string {
	t.Helper()
	content, err := os.ReadFile("../deploy/nginx/" + config)
	require.NoError(t, err)
	endpoint := freeEndpoint(t)
	here := strings.NewReplacer("listen 9091;", "listen "+endpoint+";", replicaNames[0], replicas[0], replicaNames[1], replicas[1],
		"server pushgateway:9091;", "server "+replicas[0]+";", "server collector:9091;", "server "+replicas[1]+";")
	runNginx(t, here.Replace(string(content)), "http://"+endpoint+"/-/healthy")
	return "http://" + endpoint
}

// runNginx runs nginx with the content of its block http, after nginx itself has checked it, and waits until a URL answers 200.
func runNginx(t *testing.T, servers, healthy string) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx" // Debian's, of which not everybody's PATH knows
		if _, err = os.Stat(nginx); err != nil {
			t.Skip("nginx is not installed and make clients could not install it")
		}
	}
	dir := t.TempDir()
	main := fmt.Sprintf("daemon off;\npid %[1]s/pid;\nerror_log %[1]s/errors;\nevents {}\nhttp {\naccess_log off;\n", dir)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	if os.Getuid() == 0 {
		main = "user root;\n" + main
	}
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(main+servers+"}\n"), 0o600))
	out, err := run(t, nginx, "-t", "-q", "-p", dir, "-c", path)
	require.NoError(t, err, out)
	assert.NotContains(t, out, "[warn]")

	log := &output{}
	cmd := exec.Command(nginx, "-p", dir, "-c", path)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		response, err := http.Get(healthy)
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, startTimeout, pollInterval, "%s", log)
}

// twoReplicas starts two receivers with groups, each with a storage of its own, and nginx in front of them.
func twoReplicas(t *testing.T, prometheus string) (front string, replicas []*collector, starts []settings) {
	t.Helper()
	var endpoints []string
	for range replicaNames {
		start := withGroups(t, prometheus)
		start.listen = freeEndpoint(t)
		endpoints, starts = append(endpoints, start.listen), append(starts, start)
		replicas = append(replicas, startCollector(t, start))
	}
	return startNginx(t, "groups.conf", endpoints), replicas, starts
}

// holders are the replicas that show a job.
func holders(t *testing.T, replicas []*collector, job string) []int {
	t.Helper()
	var holders []int
	for i, replica := range replicas {
		if len(ofJob(shown(t, replica.url+"/metrics"), job)) > 0 {
			holders = append(holders, i)
		}
	}
	return holders
}

// TestOneReplicaForEachJob pushes through nginx, with every spelling of a path.
func TestOneReplicaForEachJob(t *testing.T) {
	t.Parallel()
	server := startPrometheus(t, prometheusFile(t, ""))
	front, replicas, _ := twoReplicas(t, server.url)
	used := map[int]int{}
	for i := range 20 {
		job := fmt.Sprintf("job_%d", i)
		for _, path := range []string{
			"/metrics/job/" + job,
			"/pushgateway/metrics/job/" + job,
			"/metrics/job/" + job + "/instance/a/zone/eu",
			"/metrics/job/" + job + "/zone/eu/instance/b",
			"/metrics/job/" + job + "/path@base64/" + base64.RawURLEncoding.EncodeToString([]byte("/var/tmp")),
			"/metrics/job/" + job + "/none//zone/us",
			"/metrics/job/" + strings.Replace(job, "job", "j%6Fb", 1) + "/spelled/percent",
			"/metrics/job/" + job + "%2Fslash%2Fencoded",
		} {
			for _, method := range []string{http.MethodPut, http.MethodPost} {
				status, answer := send(t, method, front+path, "a 1\n")
				require.Equal(t, http.StatusOK, status, "%s %s", path, answer)
			}
		}
		holding := holders(t, replicas, job)
		require.Len(t, holding, 1, job)
		used[holding[0]]++
	}
	assert.Len(t, used, len(replicas), "the jobs are spread: %v", used)

	t.Run("job that must be in base64", func(t *testing.T) {
		for _, instance := range []string{"a", "b/c", ""} {
			require.NoError(t, push.New(front, "nightly/backup").Collector(gauge("a", 1)).Grouping("instance", instance).Add())
		}
		for _, spelling := range []string{"bmlnaHRseS9iYWNrdXA", "bmlnaHRseS9iYWNrdXA="} {
			status, answer := send(t, http.MethodPut, front+"/metrics/job@base64/"+spelling+"/x/y", "a 1\n")
			require.Equal(t, http.StatusOK, status, answer)
		}
		assert.Len(t, holders(t, replicas, "nightly/backup"), 1)
	})
	t.Run("DELETE", func(t *testing.T) {
		require.NoError(t, push.New(front, "job_1").Grouping("zone", "eu").Grouping("instance", "a").Delete())
		for _, replica := range replicas {
			assert.NotContains(t, shown(t, replica.url+"/metrics"), `a{instance="a",job="job_1",zone="eu"}`)
		}
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.Empty(c, server.instant(c, `{job="job_1",instance="a"}`))
			assert.NotEmpty(c, server.instant(c, `{job="job_1",instance="b"}`))
		}, dataTimeout, pollInterval)
	})
	t.Run("what is not balanced", func(t *testing.T) {
		for _, path := range []string{"/metrics", "/api/v1/metrics", "/-/ready", "/metrics/job"} {
			status, answer := send(t, http.MethodGet, front+path, "")
			assert.Equal(t, http.StatusNotFound, status, path)
			assert.Contains(t, answer, "each replica", path)
		}
		status, answer := send(t, http.MethodPut, front+"/metrics/job/big", "# "+strings.Repeat("x", 21_000_000)+"\n")
		assert.Equal(t, http.StatusRequestEntityTooLarge, status)
		assert.Contains(t, answer, "20971520", "the receiver's own answer")
	})
}

// TestGroupOnTwoReplicas shows what comes of a group that is pushed past nginx to the other replica: both hold it, its values
// alternate, and it is gone only when it is deleted on both.
func TestGroupOnTwoReplicas(t *testing.T) {
	t.Parallel()
	server := startPrometheus(t, prometheusFile(t, ""))
	front, replicas, _ := twoReplicas(t, server.url)
	status, answer := send(t, http.MethodPut, front+"/metrics/job/torn", "a 1\n")
	require.Equal(t, http.StatusOK, status, answer)
	other := replicas[1-holders(t, replicas, "torn")[0]]
	status, answer = send(t, http.MethodPut, other.url+"/metrics/job/torn", "a 2\n")
	require.Equal(t, http.StatusOK, status, answer)
	require.Eventually(t, func() bool { return len(server.query(t, `changes(a{job="torn"}[1m]) > 3`)) == 1 }, dataTimeout, pollInterval)

	status, answer = send(t, http.MethodDelete, front+"/metrics/job/torn", "")
	require.Equal(t, http.StatusAccepted, status, answer)
	require.Eventually(t, func() bool { return server.instant(t, `a`)[`a{job="torn"}`] == "2" }, dataTimeout, pollInterval)
	status, answer = send(t, http.MethodDelete, other.url+"/metrics/job/torn", "")
	require.Equal(t, http.StatusAccepted, status, answer)
	require.Eventually(t, func() bool { return len(server.instant(t, `a`)) == 0 }, dataTimeout, pollInterval)
}

// TestRestartOfOneReplica restarts one replica under load. Its jobs are refused meanwhile, those of the other are not, and
// what was acknowledged is held.
func TestRestartOfOneReplica(t *testing.T) {
	t.Parallel()
	server := startPrometheus(t, prometheusFile(t, ""))
	front, replicas, starts := twoReplicas(t, server.url)
	loads := startLoads(front, 12)
	loads.await(t, &loads.acknowledged)
	replicas[0].stop(t)
	loads.await(t, &loads.refused)
	replicas[0] = startCollector(t, starts[0])
	loads.await(t, &loads.acknowledged)
	refused := map[int]int{}
	for _, l := range loads.stop() {
		holding := holders(t, replicas, l.job)
		require.Len(t, holding, 1, "%s is held by one replica", l.job)
		held := shown(t, replicas[holding[0]].url+"/metrics")
		assert.Contains(t, l.possible(), held[fmt.Sprintf("n{job=%q}", l.job)], l.job)
		refused[holding[0]] += l.refused
	}
	assert.Positive(t, refused[0], "the jobs of the replica that was away had to wait")
	assert.Zero(t, refused[1], "the jobs of the other noticed nothing")
}

// TestRollingRestartOfProxies restarts both replicas of the proxy mode under load. No push fails, and each that was
// answered with 200 arrives.
func TestRollingRestartOfProxies(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	var endpoints []string
	var starts []settings
	var replicas []*collector
	for range replicaNames {
		start := settings{
			config: "../configs/remote-write.yaml", env: map[string]string{"REMOTE_WRITE_ENDPOINT": b.URL}, args: permissive,
			listen: freeEndpoint(t),
		}
		endpoints, starts = append(endpoints, start.listen), append(starts, start)
		replicas = append(replicas, startCollector(t, start))
	}
	loads := startLoads(startNginx(t, "proxy.conf", endpoints), 12)
	for i := range replicas {
		loads.await(t, &loads.acknowledged)
		replicas[i].stop(t)
		loads.await(t, &loads.acknowledged)
		replicas[i] = startCollector(t, starts[i])
	}
	loads.await(t, &loads.acknowledged)
	for _, l := range loads.stop() {
		assert.Zero(t, l.refused, l.job)
		assert.NotZero(t, l.acknowledged, l.job)
		series := fmt.Sprintf("n{job=%q}", l.job)
		require.Eventually(t, func() bool { return len(b.valuesOf(series)) >= l.acknowledged }, dataTimeout, pollInterval)
		arrived := b.valuesOf(series)
		for n := 1; n <= l.acknowledged; n++ {
			assert.Contains(t, arrived, float64(n), series)
		}
	}
}

// valuesOf are the values that arrived of a series.
func (b *backend) valuesOf(series string) map[float64]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	values := map[float64]bool{}
	for _, request := range b.requests {
		for i := range request.Timeseries {
			if s := &request.Timeseries[i]; labelSetOf(s.Labels).String() == series {
				values[s.Samples[0].Value] = true
			}
		}
	}
	return values
}

// load counts upwards with pushes of one job, each until it is acknowledged.
type load struct {
	job                   string
	acknowledged, refused int
}

// possible are the values that may be held: a push that was not answered may have been taken.
func (l *load) possible() []string {
	return []string{strconv.Itoa(l.acknowledged), strconv.Itoa(l.acknowledged + 1)}
}

type loads struct {
	all     []*load
	ended   atomic.Bool
	running sync.WaitGroup

	acknowledged, refused atomic.Int64 // pushes of all jobs
}

// await waits until so many more pushes have come to this end that every job has probably had several.
func (l *loads) await(t *testing.T, end *atomic.Int64) {
	t.Helper()
	enough := end.Load() + 20*int64(len(l.all))
	require.Eventually(t, func() bool { return end.Load() >= enough }, dataTimeout, pollInterval)
}

func startLoads(url string, jobs int) *loads {
	all := &loads{}
	for i := range jobs {
		l := &load{job: fmt.Sprintf("load_%d", i)}
		all.all = append(all.all, l)
		all.running.Go(func() {
			for !all.ended.Load() {
				method := []string{http.MethodPut, http.MethodPost}[l.acknowledged%2]
				if request(http.DefaultClient, method, url+"/metrics/job/"+l.job, fmt.Sprintf("n %d\n", l.acknowledged+1)) {
					l.acknowledged++
					all.acknowledged.Add(1)
				} else {
					l.refused++
					all.refused.Add(1)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return all
}

// stop ends the loads and returns what became of them.
func (l *loads) stop() []*load {
	l.ended.Store(true)
	l.running.Wait()
	return l.all
}
