// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clientScripts is where the clients' scripts are, as seen from this folder. Each takes the base URL of a Pushgateway.
const clientScripts = "clients/testdata"

// interpreters run the scripts, by their folder. Python is the system's, since that is the one that has Debian's package.
var interpreters = map[string][]string{
	"python": {"/usr/bin/python3"},
	"node":   {"node"},
	"shell":  {"bash", "-euo", "pipefail"},
}

// client runs a client of any language against a base URL and returns what it printed, and an error if the client failed.
type client func(t *testing.T, url string) (string, error)

// script is a client that is a file of clientScripts, named with its folder, with the tools it needs beside its
// interpreter. Tools that `make clients` could not install skip the test; a library that is missing fails it.
func script(file string, tools ...string) client {
	return func(t *testing.T, url string) (string, error) {
		t.Helper()
		interpreter := interpreters[filepath.Dir(file)]
		for _, tool := range slices.Concat(tools, interpreter[:1]) {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("%s is not installed and make clients could not install it: %v", tool, err)
			}
		}
		return run(t, slices.Concat(interpreter, []string{filepath.Join(clientScripts, file), url})...)
	}
}

func run(t *testing.T, command ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	return string(out), err
}

// golang is client_golang, pushing one gauge.
func golang(job string, send func(*push.Pusher) error) client {
	return func(_ *testing.T, url string) (string, error) {
		pusher := push.New(url, job).Collector(gauge("job_rows", 17)).Grouping("path", "/var/tmp").Grouping("tier", "")
		if err := send(pusher); err != nil {
			return err.Error(), err
		}
		return "", nil
	}
}

func addWithPassword(p *push.Pusher) error { return p.BasicAuth("team-a", password).Add() }

func addWithToken(p *push.Pusher) error {
	return p.Header(http.Header{"Authorization": {"Bearer " + token}}).Add()
}

// TestClientsAsToAPushgateway runs each client twice, against a Pushgateway and against the distribution, with nothing
// changed but the URL, and demands the same series of both.
func TestClientsAsToAPushgateway(t *testing.T) {
	t.Parallel()
	gateway, _ := startPushgateway(t)
	page := freeEndpoint(t)
	c := startCollector(t, settings{
		config: "../configs/quickstart.yaml",
		set: []string{
			"exporters::prometheus::endpoint: " + page, "exporters::debug::verbosity: basic",
			"receivers::pushgateway::ignore_delete: true",
		},
	})

	for _, tc := range []struct {
		name, job string
		client    client
		series    string // one that must be there; empty: none of the job's
	}{
		{"client_golang Push", "go_push", golang("go_push", (*push.Pusher).Push), `job_rows{job="go_push",path="/var/tmp"}`},
		{"client_golang Add, job in base64", "go/add", golang("go/add", (*push.Pusher).Add), `job_rows{job="go/add",path="/var/tmp"}`},
		{"client_golang Delete", "go_delete", golang("go_delete", (*push.Pusher).Delete), ""},
		{"Python push_to_gateway", "python_push", script("python/push.py"), `job_last_success_unixtime{job="python_push"}`},
		{"Python pushadd_to_gateway", "python_pushadd", script("python/pushadd.py"), `my_inprogress_requests{job="python_pushadd",shard="3",zone="eu+west"}`},
		{"Python instance_ip_grouping_key", "python_instance", script("python/instance.py"), `job_rows{instance="127.0.0.1",job="python_instance"}`},
		{"Python base64", "python/base64", script("python/encoded.py"), `files_deleted{job="python/base64",path="/var/tmp"}`},
		{"Python gzip", "python_gzip", script("python/compressed.py"), `job_rows{job="python_gzip"}`},
		{"Python delete_from_gateway", "python_delete", script("python/delete.py"), ""},
		{"prom-client push", "node_push", script("node/push.js"), `job_last_success_unixtime{job="node_push"}`},
		{"prom-client pushAdd", "node pushAdd", script("node/pushadd.js"), `my_inprogress_requests{job="node pushAdd",shard="4",zone="eu west"}`},
		{"prom-client gzip", "node_gzip", script("node/compressed.js"), `job_rows{job="node_gzip"}`},
		{"prom-client delete", "node_delete", script("node/delete.js"), ""},
		{"curl POST", "curl_job", script("shell/curl.sh", "curl"), `some_events_total{instance="some_instance",job="curl_job",label="val1"}`},
		{"curl PUT gzip", "curl_put", script("shell/curl-put.sh", "curl"), `job_rows{job="curl_put",table="b"}`},
		{"curl base64", "directory-cleaner", script("shell/curl-base64.sh", "curl"), `some_metric{foo="bar",job="directory-cleaner",path="/var/tmp"}`},
		{"curl DELETE", "curl_delete", script("shell/curl-delete.sh", "curl"), ""},
		{"wget", "wget_job", script("shell/wget.sh", "wget"), `job_rows{instance="i1",job="wget_job"}`},
		{"printf and nc", "nc_job", script("shell/nc.sh", "nc"), `some_metric{job="nc_job",tool="nc"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := tc.client(t, gateway)
			require.NoError(t, err, out)
			want := seriesOf(t, gateway+"/metrics", tc.job)
			if tc.series != "" {
				require.Contains(t, want, tc.series)
			}

			out, err = tc.client(t, c.url)
			require.NoError(t, err, out)
			assertSameSeries(t, want, "http://"+page+"/metrics", tc.job)
		})
	}
}

// TestClientsWithCredentials gives the distribution the users that a Pushgateway's web configuration had, or a token.
func TestClientsWithCredentials(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		authenticator, setting string
		jobs                   map[string]client
	}{
		{"basicauth", "extensions::basicauth::htpasswd::inline: ${env:USERS}", map[string]client{
			"go_auth":     golang("go_auth", addWithPassword),
			"python_auth": script("python/auth.py"),
			"node_auth":   script("node/auth.js"),
			"curl_auth":   script("shell/curl-auth.sh", "curl"),
			// These send no password before they are asked for one.
			"python_challenge": script("python/challenge.py"),
			"curl_anyauth":     script("shell/curl-anyauth.sh", "curl"),
			"wget_auth":        script("shell/wget-auth.sh", "wget"),
		}},
		{"bearertokenauth", "extensions::bearertokenauth::token: " + token, map[string]client{
			"go_bearer":     golang("go_bearer", addWithToken),
			"python_bearer": script("python/bearer.py"),
			"node_bearer":   script("node/bearer.js"),
			"curl_bearer":   script("shell/curl-bearer.sh", "curl"),
		}},
	} {
		page := freeEndpoint(t)
		c := startCollector(t, settings{
			config: "../configs/quickstart.yaml",
			set: []string{
				"exporters::prometheus::endpoint: " + page, "exporters::debug::verbosity: basic",
				tc.setting, "service::extensions: [" + tc.authenticator + "]",
				"receivers::pushgateway::auth::authenticator: " + tc.authenticator,
			},
			env: map[string]string{"USERS": users},
		})
		for job, client := range tc.jobs {
			t.Run(job, func(t *testing.T) {
				out, err := client(t, c.url)
				require.NoError(t, err, out)
				require.Eventually(t, func() bool { return len(seriesOf(t, "http://"+page+"/metrics", job)) == 1 }, dataTimeout, pollInterval)
			})
		}
	}
}

// assertSameSeries waits until a page has the wanted series of a job. Values that are times, which no two runs have in
// common, may be a minute apart.
func assertSameSeries(t *testing.T, want map[string]float64, page, job string) {
	t.Helper()
	const firstTime, minute = 1.6e9, 60
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		got := seriesOf(t, page, job)
		for series, value := range want {
			assert.Contains(c, got, series)
			if value > firstTime && value < 2*firstTime {
				assert.InDelta(c, value, got[series], minute, series)
				continue
			}
			assert.Equal(c, value, got[series], series)
		}
		assert.Len(c, got, len(want))
	}, dataTimeout, pollInterval)
}

// seriesOf reads the series of a job from a page in text format: what the job pushed, without the times that are added to
// it and without empty labels, which Prometheus drops.
func seriesOf(t *testing.T, page, job string) map[string]float64 {
	t.Helper()
	response, err := http.Get(page)
	require.NoError(t, err)
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)

	series := map[string]float64{}
	for name, family := range families {
		if name == "push_time_seconds" || name == "push_failure_time_seconds" || name == "target_info" {
			continue
		}
		e := newExpected(nil, labelSet{}, false)
		for _, metric := range family.GetMetric() {
			metric.Label = slices.DeleteFunc(metric.Label, func(l *dto.LabelPair) bool { return l.GetValue() == "" })
			if e.labels(name, metric)["job"] == job {
				e.addMetric(name, metric)
			}
		}
		maps.Copy(series, e.samples)
	}
	return series
}

// startPushgateway starts a real Pushgateway, with further flags, and returns its URL and what stops it before the test is over.
func startPushgateway(t *testing.T, flags ...string) (string, func()) {
	t.Helper()
	path, err := filepath.Abs("../.tools/pushgateway")
	require.NoError(t, err)
	require.FileExists(t, path, "build it first: make e2e does")
	endpoint := freeEndpoint(t)
	log := &output{}
	cmd := exec.Command(path, append(flags, "--web.listen-address="+endpoint)...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + endpoint + "/-/ready")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, startTimeout, 50*time.Millisecond, "%s", log)
	return "http://" + endpoint, stop
}
