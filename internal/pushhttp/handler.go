// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pushhttp is the HTTP side of the receiver: which path and method mean what, how a body is read and decompressed,
// and how a refusal becomes a status. What happens to a push is package ingest's work.
//
// A request passes, from the outside in: [handler.outermost], [handler.lingering], what confighttp brings (client
// information, telemetry, CORS, authentication, decompression, middlewares), [handler.ServeHTTP], and the verb that the
// table of routes names.
package pushhttp

import (
	"context"
	"iter"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// Ingest is what this package needs of package ingest.
type Ingest interface {
	Begin(ctx context.Context, method string) (context.Context, *ingest.Observation)
	Push(ctx context.Context, o *ingest.Observation, r ingest.Request) error
	Delete(ctx context.Context, key groupingkey.Key) error
	Wipe(ctx context.Context) error
	Groups(ctx context.Context) (iter.Seq[gather.Group], error)
	Ready() bool
}

// Options are the settings that the HTTP side depends on, besides confighttp's.
type Options struct {
	// Prefixes are the path prefixes under which everything is served; "" is the root.
	Prefixes []string
	// UTF8Names admits escaped and quoted names in paths.
	UTF8Names bool
	// IgnoreDelete answers DELETE with 202 and does nothing.
	IgnoreDelete bool
	// Groups serves what only a receiver that stores groups can; nil for a proxy.
	Groups *GroupOptions
	// InFlight bounds what all requests together hold in memory.
	InFlight *ingest.InFlight

	_ struct{}
}

// GroupOptions are the settings of what is served for groups.
type GroupOptions struct {
	// AdminAPI serves the wiping of all groups.
	AdminAPI bool
	// PushTimes shows push_time_seconds and push_failure_time_seconds of each group.
	PushTimes bool
	// Flags and BuildInformation are what /api/v1/status says.
	Flags, BuildInformation map[string]string
	// OwnScope is the name of the scope that is not shown as labels.
	OwnScope string

	_ struct{}
}

type handler struct {
	options     Options
	ingest      Ingest
	maxBodySize int64    // bytes, before and after decompression
	codings     []string // in the terms of confighttp: "" is a body without coding
	routes      []route
	started     time.Time
	reads       chan struct{} // of those that read all groups
	cors        bool          // confighttp tells which origins may read

	authenticator component.Type // of confighttp's auth; the zero type if nobody is asked
}

// ServeHTTP serves a request whose body is being decompressed already.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	matched, ok := h.match(r.URL.Path)
	if !ok {
		h.refuse(w, r, refuseNotFound())
		return
	}
	if r.Method == http.MethodOptions {
		if matched.isAPI() {
			h.allowOrigins(w.Header())
		}
		w.Header().Set("Allow", matched.allow())
		return
	}
	serve, ok := matched.verbs[r.Method]
	switch {
	case ok:
		serve(w, r, matched.path)
	case len(matched.verbs) == 0:
		writeRefusal(w, refuseNotFound())
	case matched.isAPI():
		writeRefusal(w, refuseMethod(matched.route, r.Method))
	default:
		h.refuse(w, r, refuseMethod(matched.route, r.Method))
	}
}

// refuse answers a request that never came to its verb. Requests to change a group are observed, so that a push that got
// lost on its way can be seen; others are not, since a scrape of a path that is not served says nothing about pushes.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch r.Method {
	case http.MethodPut, http.MethodPost, http.MethodDelete:
		_, observation := h.ingest.Begin(r.Context(), r.Method)
		observation.End(err)
	}
	writeRefusal(w, err)
}
