// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

const (
	// maxRefusals is the number of refusals that are kept.
	maxRefusals = 256
	// joinWithin is the time within which equal refusals become one: a job that fails every second must not hide all others.
	joinWithin = 10 * time.Minute
)

// refusal is a refused request, or several that are equal.
type refusal struct {
	First  int64       `json:"first"`
	Last   int64       `json:"last"`
	Count  int64       `json:"count"`
	Method string      `json:"method"`
	Key    [][2]string `json:"key,omitempty"`
	Path   string      `json:"path,omitempty"`
	URL    string      `json:"url,omitempty"`
	Format string      `json:"format"`
	Size   *int64      `json:"size,omitempty"`
	Status int         `json:"status"`
	Reason string      `json:"reason"`
	Text   string      `json:"text"`
	Client string      `json:"client"`

	job string // Refusals are joined by job, reason and text.
}

// words returns the text that a filter is applied to.
func (r *refusal) words() string {
	words := []string{r.Reason, r.Text, r.URL, r.Client}
	for _, pair := range r.Key {
		words = append(words, pair[0]+"="+pair[1])
	}
	return strings.Join(words, "\n")
}

// refusals keeps the last refused requests.
type refusals struct {
	mu       sync.Mutex
	kept     []*refusal // the latest last
	total    int64
	byReason map[string]int64
}

// add records a refusal, which must not be changed afterwards.
func (r *refusals) add(refused *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if r.byReason == nil {
		r.byReason = make(map[string]int64)
	}
	r.byReason[refused.Reason]++
	refused.First, refused.Count = refused.Last, 1
	if i := r.find(refused); i >= 0 {
		refused.First, refused.Count = r.kept[i].First, r.kept[i].Count+1
		r.kept = slices.Delete(r.kept, i, i+1)
	} else if len(r.kept) == maxRefusals {
		r.kept = slices.Delete(r.kept, 0, 1)
	}
	r.kept = append(r.kept, refused)
}

// find returns the index of an equal refusal, or -1.
func (r *refusals) find(refused *refusal) int {
	for i, k := range slices.Backward(r.kept) {
		if refused.Last-k.Last > joinWithin.Milliseconds() {
			break
		}
		if k.Reason == refused.Reason && k.job == refused.job && k.Text == refused.Text {
			return i
		}
	}
	return -1
}

// latest returns the refusals, the latest first, with their number since the start and by reason.
func (r *refusals) latest() (latest []*refusal, total int64, byReason []reasonCount) {
	r.mu.Lock()
	defer r.mu.Unlock()
	latest = append([]*refusal{}, r.kept...)
	slices.Reverse(latest)
	byReason = make([]reasonCount, 0, len(r.byReason))
	for reason, n := range r.byReason {
		byReason = append(byReason, reasonCount{reason, n})
	}
	slices.SortFunc(byReason, func(a, b reasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return latest, r.total, byReason
}

type reasonCount struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// isAnonymous reports whether the client may not even push: what it claims says nothing about jobs.
func isAnonymous(outcome string) bool {
	return outcome == string(ingest.ReasonAuth) || outcome == string(ingest.ReasonOrigin)
}
