// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRefusedPush pushes something that the far end refuses for good, and after it something that it would take.
func TestRefusedPush(t *testing.T) {
	t.Parallel()
	skipUnlessSoaking(t)
	writeAheadByTwos := writeAhead
	writeAheadByTwos.set = append([]string{"exporters::prometheus_remote_write::wal::buffer_size: 2"}, writeAhead.set...)
	for _, tc := range []struct {
		name  string
		setup setup
		want  arrival // of what comes after
	}{
		{"queue in memory", remoteWrite, all},
		{"OTLP from disk", otlpOnDisk, all},
		{"durable.yaml", durable, all},

		// The exporter reads the same entries again and again, so nothing behind a full buffer is ever sent.
		{"write-ahead log", writeAheadByTwos, lost},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			far := newFarEnd(t, "")
			far.become(choosy)
			c := tc.setup.collector(t, far)
			c.start(t)
			pushers := newClients(2)
			for _, pusher := range pushers {
				require.True(t, pusher.pushOnce(c.url))
			}
			second := pushers[1:]
			if tc.want == all {
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					assert.Empty(c, missing(far.values, second, everything))
				}, arrives, pollInterval)
			} else {
				time.Sleep(settle)
				assert.NotEmpty(t, missing(far.values, second, everything))
			}
			c.stop(t)
		})
	}
}

// TestLargePush pushes a page that is larger as OTLP than what an OTLP receiver takes by default.
func TestLargePush(t *testing.T) {
	t.Parallel()
	skipUnlessSoaking(t)
	const lines = 400_000
	var page strings.Builder
	for i := range lines {
		fmt.Fprintf(&page, "m%06d 1\n", i)
	}
	far := newFarEnd(t, "")
	c := durable.collector(t, far)
	c.start(t)
	response, err := http.Post(c.url+"/metrics/job/large", "text/plain", strings.NewReader(page.String()))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Eventually(t, func() bool { return far.counts().samples == lines+1 }, time.Minute, pollInterval)
	c.stop(t)
}
