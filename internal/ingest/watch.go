// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// Watcher is told about requests and exports. Its methods are called concurrently, and each request waits for them: they must not
// block.
type Watcher interface {
	// Ended reports a request to push or delete a group after its end. The event must not be changed.
	Ended(e *Event)
	// Exported reports a call of the next consumer with its data points and outcome: "accepted" or a reason.
	Exported(points int, outcome string)
	// Peeks reports whether the values of the job's pushes are watched.
	Peeks(job string) bool
}

// Event describes a request to push or delete a group.
type Event struct {
	// Began and Ended are the times of the request.
	Began, Ended time.Time
	Method       string // PUT, POST, DELETE or other
	// Key has no job if the path has none. It can be a view into the request.
	Key groupingkey.Key
	// Path is the percent-decoded path and Client the address of the client.
	Path, Client string
	Format       string
	// Size is the decompressed size of the body in bytes, or -1 if no body was read.
	Size int64
	// Series is the number of series, as Prometheus counts them, of a push that was decoded.
	Series int
	// Outcome is "accepted", "ignored" or the reason of the refusal. Err is the refusal or nil.
	Outcome string
	Err     error
	// Values are the first series of a push whose job is peeked at, and More the number of the others.
	Values []gather.Series
	More   int
}

// Accepted reports whether the request was accepted.
func (e *Event) Accepted() bool { return e.Err == nil }

// tell tells the watcher about the end of a request.
func (o *Observation) tell(outcome string, err error) {
	w := o.telemetry.watcher
	if w == nil {
		return
	}
	w.Ended(&Event{
		Began: o.began, Ended: time.Now(), Method: o.method, Key: o.key, Path: o.path, Client: o.client, Format: o.format,
		Size: o.size, Series: o.series, Outcome: outcome, Err: err, Values: o.values, More: o.more,
	})
}

// maxPeeked bounds the series of a push whose values are shown.
const maxPeeked = 50

// peek keeps the first values of a push if somebody watches them. They are taken before the push is forwarded, since the next
// consumer may change it.
func (in *Ingest) peek(o *Observation, key groupingkey.Key, push *translate.Push) {
	if w := in.options.Watcher; w != nil && w.Peeks(key.Job) {
		o.values, o.more = gather.Peek(key, push.Metrics, gather.Options{ScopeName: in.options.Translate.ScopeName, Natives: true}, maxPeeked)
	}
}
