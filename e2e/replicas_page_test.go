// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPageOfReplicas asks the pages of two replicas. Jobs, groups and totals are those of all. Pushes as they come and refusals are those
// of one.
func TestPageOfReplicas(t *testing.T) {
	t.Parallel()
	server := startDatabase(t)
	backend := newTimeSeries(t)
	replicas := make([]*replica, 2)
	for i := range replicas {
		replicas[i] = newReplica(t, i, server.Endpoint(), backend.URL)
		replicas[i].start.set = append(replicas[i].start.set, "receivers::pushgateway::page: {}", adminAPI)
		replicas[i].restart(t)
	}
	type family struct{ Name string }
	first, second := replicas[0], replicas[1]
	live := []*liveView{watch(t, first), watch(t, second)}

	pushTo(t, first.collector, "nightly/instance/a", "rows 1\n")
	pushTo(t, second.collector, "backup", "size 2\n")
	pushTo(t, first.collector, "workers/pusher/1", "# TYPE done_total counter\ndone_total 3\n")
	pushTo(t, second.collector, "workers/pusher/2", "# TYPE done_total counter\ndone_total 4\n")
	status, _ := send(t, http.MethodPut, first.url+"/metrics/job/broken", "rows 1,5\n")
	require.Equal(t, http.StatusBadRequest, status)

	for _, r := range replicas {
		assert.ElementsMatch(t, []string{"nightly", "backup", "workers"}, pageJobs(t, r))
		assert.Equal(t, map[string]int{"metrics/job/nightly/instance/a": 0, "metrics/job/backup": 0, "metrics/job/workers": 2}, pageGroups(t, r, ""))
		assert.Equal(t, map[string]int{"metrics/job/backup": 0}, pageGroups(t, r, "backup"))
		var group struct{ Families []family }
		pageAPI(t, r, "group?path="+url.QueryEscape("metrics/job/backup"), &group)
		assert.Contains(t, group.Families, family{"size"})
		require.Eventually(t, func() bool { // The state of the database can be a second old.
			var overview struct{ Groups struct{ Groups int } }
			pageAPI(t, r, "overview", &overview)
			return overview.Groups.Groups == 3
		}, dataTimeout, pollInterval)
	}
	for i, want := range [][]string{{"broken"}, {}} {
		var refusals struct{ Rows []struct{ Key [][2]string } }
		pageAPI(t, replicas[i], "refusals", &refusals)
		jobs := []string{}
		for _, row := range refusals.Rows {
			jobs = append(jobs, row.Key[0][1])
		}
		assert.Equal(t, want, jobs, "refusals of replica %d", i)
	}

	status, _ = send(t, http.MethodDelete, second.url+"/metrics/job/nightly/instance/a", "")
	require.Equal(t, http.StatusAccepted, status)
	for _, r := range replicas {
		assert.NotContains(t, pageJobs(t, r), "nightly")
	}
	status, _ = send(t, http.MethodPut, first.url+"/api/v1/admin/wipe", "")
	require.Equal(t, http.StatusAccepted, status)
	for _, r := range replicas {
		assert.Empty(t, pageGroups(t, r, ""))
	}
	for _, r := range replicas {
		pushTo(t, r.collector, "last", "a 1\n")
	}
	assert.Equal(t, []string{"nightly", "workers", "broken"}, live[0].jobsUntil(t, "last"))
	assert.Equal(t, []string{"backup", "workers", "nightly"}, live[1].jobsUntil(t, "last"))
}

// pageAPI asks the API of a replica's page.
func pageAPI(t *testing.T, r *replica, resource string, data any) {
	t.Helper()
	status, answer := send(t, http.MethodGet, r.url+"/ui/api/"+resource, "")
	require.Equal(t, http.StatusOK, status, answer)
	require.NoError(t, json.Unmarshal([]byte(answer), &struct{ Data any }{data}))
}

func pageJobs(t *testing.T, r *replica) (jobs []string) {
	t.Helper()
	var list struct{ Rows []struct{ Job string } }
	pageAPI(t, r, "jobs", &list)
	for _, row := range list.Rows {
		jobs = append(jobs, row.Job)
	}
	return jobs
}

// pageGroups returns the groups that a replica finds, with the numbers of their pushers.
func pageGroups(t *testing.T, r *replica, words string) map[string]int {
	t.Helper()
	var list struct {
		Rows []struct {
			Path      string
			Aggregate struct{ Pushers int }
		}
	}
	pageAPI(t, r, "groups?q="+url.QueryEscape(words), &list)
	groups := map[string]int{}
	for _, row := range list.Rows {
		groups[row.Path] = row.Aggregate.Pushers
	}
	return groups
}

// liveView is a stream of pushes.
type liveView struct{ lines *bufio.Scanner }

// watch opens a stream and waits until it has begun.
func watch(t *testing.T, r *replica) *liveView {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/ui/api/events", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, http.StatusOK, response.StatusCode)
	v := &liveView{bufio.NewScanner(response.Body)}
	require.True(t, v.lines.Scan())
	return v
}

// jobsUntil reads the jobs of events up to that of one, which it leaves out.
func (v *liveView) jobsUntil(t *testing.T, last string) (jobs []string) {
	t.Helper()
	for v.lines.Scan() {
		data, ok := strings.CutPrefix(v.lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event struct{ Key [][2]string }
		require.NoError(t, json.Unmarshal([]byte(data), &event))
		switch {
		case len(event.Key) == 0: // not a push
		case event.Key[0][1] == last:
			return jobs
		default:
			jobs = append(jobs, event.Key[0][1])
		}
	}
	require.NoError(t, v.lines.Err())
	require.Fail(t, "the stream has ended")
	return nil
}
