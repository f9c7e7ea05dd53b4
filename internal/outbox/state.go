// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"slices"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// maxErrorText bounds the error text that is kept of a part, in bytes.
const maxErrorText = 512

// Refused is a quarantined part of a group.
type Refused struct {
	Key groupingkey.Key
	// Part names the part, such as "family x".
	Part   string
	Series int
	// Error is the last error of the next consumer, by Options.ErrorText, cut to 512 bytes.
	Error string
	// Since is the time of the quarantine, Retry that of the next export.
	Since, Retry time.Time
}

// Refused returns up to limit of the quarantined parts of groups that pick selects, the oldest first, and their number. pick is called
// with a lock held.
func (o *Outbox) Refused(limit int, pick func(groupingkey.Key) bool) (parts []Refused, total int) {
	g := o.groups.Load()
	if g == nil {
		return nil, 0
	}
	parts = g.suspects.quarantined(o.options.Now(), g.round(), pick)
	slices.SortFunc(parts, func(a, b Refused) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Key.Path(true)+a.Part, b.Key.Path(true)+b.Part)
	})
	return parts[:min(limit, len(parts))], len(parts)
}

func (s *suspects) quarantined(now time.Time, round time.Duration, pick func(groupingkey.Key) bool) (parts []Refused) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prune(now, round)
	for _, known := range s.known {
		if known.quarantined && pick(known.part.Key) {
			part := known.part
			part.Retry = known.retry
			parts = append(parts, part)
		}
	}
	return parts
}

func cutText(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText], "") + "..."
}
