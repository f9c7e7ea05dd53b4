// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

type refusalRows struct {
	Rows     []refusal
	Total    int
	ByReason []reasonCount
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, feed, _ := newPage()
		first := time.Now()
		feed.Ended(refusedPush("j", ingest.ReasonParse, "line 1"))
		time.Sleep(time.Minute)
		feed.Ended(refusedPush("k", ingest.ReasonParse, "line 1"))
		feed.Ended(refusedPush("j", ingest.ReasonParse, "line 17"))
		feed.Ended(refusedPush("j", ingest.ReasonLimit, "line 1"))
		time.Sleep(time.Minute)
		feed.Ended(refusedPush("j", ingest.ReasonParse, "line 1"))
		feed.Ended(pushed("j"))
		list := read[refusalRows](t, p, "refusals")
		assert.Equal(t, 5, list.Total)
		assert.Equal(t, []reasonCount{{"parse", 4}, {"limit", 1}}, list.ByReason)
		require.Len(t, list.Rows, 4)
		size := int64(10)
		assert.Equal(t, refusal{
			First: first.UnixMilli(), Last: time.Now().UnixMilli(), Count: 2, Method: "PUT", Key: [][2]string{{"job", "j"}}, Path: "metrics/job/j",
			Format: "text", Size: &size, Status: 400, Reason: "parse", Text: "line 1", Client: "192.0.2.1:7",
		}, list.Rows[0])
		assert.Equal(t, "limit", list.Rows[1].Reason)
		for query, n := range map[string]int{"q=LINE": 4, "q=line+17": 1, "q=job%3Dk": 1, "q=parse": 3, "q=192.0.2.1": 4, "q=nothing": 0} {
			assert.Len(t, read[refusalRows](t, p, "refusals?"+query).Rows, n, query)
		}

		time.Sleep(joinWithin + time.Second)
		feed.Ended(refusedPush("j", ingest.ReasonParse, "line 1"))
		list = read[refusalRows](t, p, "refusals")
		require.Len(t, list.Rows, 5, "the same much later is another one")
		assert.EqualValues(t, 1, list.Rows[0].Count)
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	p, feed, _ := newPage()
	for i := range 2 * maxRefusals {
		feed.Ended(refusedPush("j", ingest.ReasonParse, fmt.Sprint(i, " ", strings.Repeat("ä", maxText))))
	}
	list := read[refusalRows](t, p, "refusals")
	require.Len(t, list.Rows, maxRefusals)
	assert.Equal(t, 2*maxRefusals, list.Total)
	assert.LessOrEqual(t, len(list.Rows[0].Text), maxText+len("…"))
	assert.True(t, strings.HasPrefix(list.Rows[0].Text, fmt.Sprint(2*maxRefusals-1, " ")))
	assert.True(t, strings.HasSuffix(list.Rows[0].Text, "ä…"), "cut between characters")
}

// TestStrangersDoNotFillTheRing refuses requests without credentials for many jobs, and many labels: they are one row, and no job.
func TestStrangersDoNotFillTheRing(t *testing.T) {
	t.Parallel()
	p, feed, _ := newPage(proxyMode)
	for i := range 300 {
		feed.Ended(refusedPush(jobName(i), ingest.ReasonAuth, "Unauthorized"))
		feed.Ended(refusedPush(jobName(i), ingest.ReasonOrigin, "another origin"))
	}
	assert.Len(t, read[refusalRows](t, p, "refusals").Rows, 2)
	assert.Zero(t, read[jobRows](t, p, "jobs").Total)
}

func TestLongKeysAreCut(t *testing.T) {
	t.Parallel()
	labels := make([]string, 0, 2000)
	for range 1000 {
		labels = append(labels, strings.Repeat("n", 1000), strings.Repeat("v", 1000))
	}
	shown := newEvent(pushed(strings.Repeat("j", 100_000), labels...), 200, false)
	assert.Len(t, shown.Key, 1+maxLabels)
	assert.Empty(t, shown.Path)
	for _, pair := range shown.Key {
		assert.LessOrEqual(t, len(pair[0])+len(pair[1]), 2*(maxText+len("…")))
	}
}
