// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// start is the time in jobs tests.
var start = time.Unix(1_700_000_000, 0)

func (t *jobTable) accept(name string, at time.Time) {
	t.pushed(name, at, true, "accepted", http.StatusOK)
}

func TestUsualGap(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pushes []time.Duration // since the start
		gap    time.Duration
		late   time.Duration // since the last push, from which on the job is late; 0 = never
	}{
		"never":              {nil, 0, 0},
		"two pushes":         {[]time.Duration{0, time.Second}, 0, 0},
		"three pushes":       {[]time.Duration{0, time.Second, 2 * time.Second}, time.Second, 3 * time.Second},
		"mean of the first":  {[]time.Duration{0, time.Minute, 4 * time.Minute}, 2 * time.Minute, 6 * time.Minute},
		"in a row":           {[]time.Duration{0, 0, 0}, time.Second, 3 * time.Second},
		"follows the change": {append(every(time.Minute, 0, 20), every(time.Hour, 19*time.Minute+time.Hour, 100)...), time.Hour, 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := newJobTable(1)
			last := start
			for _, at := range tc.pushes {
				last = start.Add(at)
				table.accept("j", last)
			}
			j, _ := table.get("j")
			assert.InDelta(t, tc.gap, j.usualGap(), float64(tc.gap)/1000)
			if tc.late == 0 {
				assert.False(t, j.isLate(last.Add(365*24*time.Hour)))
				return
			}
			assert.False(t, j.isLate(last.Add(tc.late*999/1000)))
			assert.True(t, j.isLate(last.Add(tc.late*1001/1000)))
		})
	}
}

func every(gap, first time.Duration, n int) (times []time.Duration) {
	for i := range n {
		times = append(times, first+time.Duration(i)*gap)
	}
	return times
}

func TestRefusedPushesOfAJob(t *testing.T) {
	t.Parallel()
	table := newJobTable(1)
	for i := range 3 {
		table.accept("j", start.Add(time.Duration(i)*time.Minute))
	}
	table.pushed("j", start.Add(10*time.Minute), false, "parse", http.StatusBadRequest)
	j, _ := table.get("j")
	assert.EqualValues(t, 3, j.pushes)
	assert.Equal(t, "parse", j.outcome)
	assert.True(t, j.isLate(start.Add(10*time.Minute)), "a refused push is none")
}

// TestFullJobTable admits no further job, says how many are missing, and makes room when jobs are silent for a week.
func TestFullJobTable(t *testing.T) {
	t.Parallel()
	table := newJobTable(10)
	for i := range 10 {
		table.accept(jobName(i), start)
	}
	for range 3 {
		for i := range 100 {
			table.accept(jobName(10+i), start.Add(time.Minute))
		}
	}
	assert.InDelta(t, 100, table.missing.estimate(), 2)
	table.accept(jobName(0), start.Add(time.Hour))
	week := start.Add(forgetAfter + 2*time.Minute)
	names := map[string]bool{}
	table.each(week, func(name string, _ job) { names[name] = true })
	assert.Equal(t, map[string]bool{jobName(0): true}, names, "the others are forgotten")
	table.accept(jobName(50), week) // It finds that there is room.
	table.accept(jobName(50), week)
	_, known := table.get(jobName(50))
	assert.True(t, known)
	assert.EqualValues(t, 2, table.count.Load())
	assert.Zero(t, table.missing.estimate())
}

func TestLongJobNamesAreNotKept(t *testing.T) {
	t.Parallel()
	table := newJobTable(10)
	long := strings.Repeat("x", maxJobName+1)
	table.accept(long, start)
	table.accept(long[1:], start)
	_, known := table.get(long)
	assert.False(t, known)
	_, known = table.get(long[1:])
	assert.True(t, known)
	assert.Equal(t, 1, table.missing.estimate())
}

func TestSketch(t *testing.T) {
	t.Parallel()
	var s sketch
	assert.Zero(t, s.estimate())
	table := newJobTable(0)
	const names = 20_000
	for i := range names {
		table.accept(jobName(i), start)
	}
	assert.InDelta(t, names, table.missing.estimate(), names/20)
}

// jobRows of the API.
type jobRows struct {
	Rows                          []jobRow
	Matched, Total, Late, Missing int
	Next                          string
}

func (l *jobRows) names() string {
	var names []string
	for i := range l.Rows {
		names = append(names, l.Rows[i].Job)
	}
	return strings.Join(names, " ")
}

func TestListJobsOfAProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage(proxyMode)
		for range 3 {
			feed.Ended(pushed("late"))
			feed.Ended(pushed("often"))
			time.Sleep(time.Second)
		}
		feed.Ended(pushed("old"))
		time.Sleep(10 * time.Second)
		feed.Ended(pushed("often"))
		feed.Ended(refusedPush("failing", ingest.ReasonParse, "line 1"))
		feed.Ended(refusedPush("stranger", ingest.ReasonAuth, "Unauthorized"))

		list := read[jobRows](t, p, "jobs")
		assert.Equal(t, "late failing old often", list.names())
		assert.Equal(t, 1, list.Late)
		assert.Equal(t, 4, list.Total)
		assert.Equal(t, jobRow{Job: "failing", Outcome: "parse", Status: 400}, list.Rows[1])
		assert.Equal(t, jobRow{
			Job: "late", Last: time.Now().Add(-11 * time.Second).UnixMilli(), Gap: 1000, Pushes: 3, Late: true, Outcome: "accepted", Status: 200,
		}, list.Rows[0])
		for query, want := range map[string]string{
			"sort=age&order=asc":     "late often old failing",
			"sort=name":              "failing late often old",
			"sort=name&order=desc":   "old often late failing",
			"sort=pushes":            "often late old failing",
			"sort=pushes&order=asc":  "failing old late often",
			"sort=name&q=O":          "failing late often old", // job= has it
			"sort=name&q=job%3Do":    "often old",
			"sort=name&q=ten":        "often",
			"sort=name&q=late+often": "",
		} {
			list := read[jobRows](t, p, "jobs?"+query)
			assert.Equal(t, want, list.names(), query)
			assert.Equal(t, len(list.Rows), list.Matched, query)
			assert.Equal(t, 4, list.Total, query)
			paged, next := "", ""
			for page := 0; page == 0 || next != ""; page++ {
				one := read[jobRows](t, p, "jobs?limit=1&after="+next+"&"+query)
				paged, next = strings.TrimSpace(paged+" "+one.names()), one.Next
			}
			assert.Equal(t, want, paged, query)
		}
	})
}

func TestListJobsOfGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, from := newPage()
		now := time.Now()
		from.jobs = []store.Job{
			{Name: "before", Groups: 3, PushTime: now.Add(-time.Hour), PushFailureTime: now.Add(-time.Minute)},
			{Name: "known", Groups: 1, PushTime: now},
			{Name: "failed", Groups: 1, PushFailureTime: now},
		}
		feed.Ended(pushed("known"))
		feed.Ended(pushed("gone"))
		list := read[jobRows](t, p, "jobs?sort=groups")
		assert.Equal(t, "before known failed", list.names())
		assert.Equal(t, jobRow{Job: "before", Groups: 3, Last: now.Add(-time.Hour).UnixMilli(), Outcome: "inconsistent", Status: 400}, list.Rows[0])
		assert.Equal(t, jobRow{Job: "known", Groups: 1, Last: now.UnixMilli(), Pushes: 1, Outcome: "accepted", Status: 200}, list.Rows[1])
	})
}
