// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"testing"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// BenchmarkEnded is what the page costs each push: with nobody at the page, with viewers whose filters do not match, and with viewers
// that have more events than they get in a second.
func BenchmarkEnded(b *testing.B) {
	for name, viewers := range map[string][]*viewer{
		"nobody":   nil,
		"filtered": {{outcome: outcomeRefused}, {outcome: outcomeRefused}},
		"viewers":  {{}, {}, {}, {}},
	} {
		b.Run(name, func(b *testing.B) {
			feed := NewFeed(FeedOptions{Live: true, Jobs: 8192, Status: statusFor})
			for _, v := range viewers {
				if err := feed.enter(v); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				events := make([]*ingest.Event, 100)
				for i := range events {
					events[i] = pushed(jobName(i))
				}
				for i := 0; pb.Next(); i++ {
					feed.Ended(events[i%len(events)])
				}
			})
		})
	}
}
