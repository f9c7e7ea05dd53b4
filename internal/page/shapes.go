// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/outbox"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const (
	// maxText bounds a label value, a refusal or another text in lists and events, in bytes.
	maxText = 512
	// maxLabels bounds the labels of a key in lists and events.
	maxLabels = 32
	// maxPath bounds the path of a group in events, in bytes. In lists it is whole, since it identifies the group.
	maxPath = 2048
)

// millis returns Unix milliseconds, and 0 for the zero time, which JSON omits.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// cut shortens a text and makes a copy of it that keeps nothing else alive.
func cut(text string) string {
	if len(text) <= maxText {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// pairs returns a key as pairs, job first.
func pairs(key groupingkey.Key) [][2]string {
	if key.Job == "" {
		return nil
	}
	all := make([][2]string, 0, 1+min(len(key.Labels), maxLabels))
	all = append(all, [2]string{"job", cut(key.Job)})
	for _, l := range key.Labels[:min(len(key.Labels), maxLabels)] {
		all = append(all, [2]string{cut(l.Name), cut(l.Value)})
	}
	return all
}

// relativePath returns the path of a group relative to the page.
func relativePath(key groupingkey.Key, utf8Names bool) string {
	return strings.TrimPrefix(key.Path(utf8Names), "/")
}

// summary describes a group.
type summary struct {
	Key            [][2]string   `json:"key"`
	Path           string        `json:"path"`
	Families       int           `json:"families"`
	Series         int           `json:"series"`
	Bytes          int64         `json:"bytes"`
	Pushed         int64         `json:"pushed,omitempty"`
	Failed         int64         `json:"failed,omitempty"`
	Expires        int64         `json:"expires,omitempty"`
	PendingMarkers int           `json:"pendingMarkers"`
	Quarantined    []quarantined `json:"quarantined,omitempty"`
	Aggregate      *aggregate    `json:"aggregate,omitempty"`
}

// aggregate describes the pushers of an aggregate.
type aggregate struct {
	Rule       string   `json:"rule"`
	Without    []string `json:"without"`
	Pushers    int      `json:"pushers"`
	LastPusher pusher   `json:"lastPusher"`
}

type pusher struct {
	Key    [][2]string `json:"key"`
	Path   string      `json:"path"`
	Pushed int64       `json:"pushed"`
}

func newSummary(s *store.Summary, utf8Names bool) summary {
	shown := summary{
		Key: pairs(s.Key), Path: relativePath(s.Key, utf8Names), Families: s.Families, Series: s.Series, Bytes: s.Size,
		Pushed: millis(s.PushTime), Failed: millis(s.PushFailureTime), Expires: millis(s.Expires), PendingMarkers: s.Pending,
	}
	if a := s.Aggregate; a != nil {
		shown.Aggregate = &aggregate{
			a.Rule, a.Without, a.Pushers, pusher{pairs(a.LastPusher), relativePath(a.LastPusher, utf8Names), millis(a.LastPush)},
		}
	}
	return shown
}

// quarantined is a part of a group that the next consumer refuses.
type quarantined struct {
	Key    [][2]string `json:"key,omitempty"` // only outside its group
	Path   string      `json:"path,omitempty"`
	Part   string      `json:"part"`
	Series int         `json:"series"`
	Error  string      `json:"error"`
	Since  int64       `json:"since"`
	Retry  int64       `json:"retry"`
}

func newQuarantined(r *outbox.Refused) quarantined {
	return quarantined{Part: cut(r.Part), Series: r.Series, Error: r.Error, Since: millis(r.Since), Retry: millis(r.Retry)}
}

// event is a request in the stream.
type event struct {
	Time       int64       `json:"time"`
	Method     string      `json:"method"`
	Key        [][2]string `json:"key,omitempty"`
	Path       string      `json:"path,omitempty"`
	URL        string      `json:"url,omitempty"`
	Format     string      `json:"format"`
	Size       *int64      `json:"size,omitempty"`
	Series     int         `json:"series"`
	Status     int         `json:"status"`
	Outcome    string      `json:"outcome"`
	Text       string      `json:"text,omitempty"`
	Client     string      `json:"client"`
	Duration   float64     `json:"duration"` // milliseconds
	Values     any         `json:"values,omitempty"`
	MoreValues int         `json:"moreValues,omitempty"`
}

// newEvent copies what the stream shows of a request.
func newEvent(e *ingest.Event, status int, utf8Names bool) event {
	shown := event{
		Time: e.Ended.UnixMilli(), Method: e.Method, Key: pairs(e.Key), Format: e.Format, Series: e.Series, Status: status, Outcome: e.Outcome,
		Client: cut(e.Client), Duration: float64(e.Ended.Sub(e.Began).Microseconds()) / 1000,
	}
	if shown.Key == nil {
		shown.URL = cut(e.Path)
	} else if path := relativePath(e.Key, utf8Names); len(path) <= maxPath {
		shown.Path = path
	}
	if e.Size >= 0 {
		shown.Size = &e.Size
	}
	if e.Err != nil {
		shown.Text = cut(e.Err.Error())
	}
	return shown
}
