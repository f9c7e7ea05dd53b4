// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pushhttp is the HTTP side of the receiver: it routes requests, reads and decompresses bodies, and turns refusals into
// responses. Package ingest processes the pushes.
//
// A request passes, from the outside in: [handler.prepare], [handler.drainAfterRefusal], the handlers of confighttp (client
// information, telemetry, CORS, authentication, decompression, middlewares), [handler.ServeHTTP], and the verb of the route.
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
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/page"
)

// Ingest is the part of package ingest that this package uses.
type Ingest interface {
	Begin(ctx context.Context, method string) (context.Context, *ingest.Observation)
	Push(ctx context.Context, o *ingest.Observation, r ingest.Request) error
	Delete(ctx context.Context, key groupingkey.Key) error
	Wipe(ctx context.Context, client string) error
	EndAggregate(ctx context.Context, key groupingkey.Key) error
	Groups(ctx context.Context) iter.Seq2[gather.Group, error]
	Fragments(ctx context.Context, plan func(types map[string][]string) [][]string) iter.Seq2[gather.Fragment, error]
	Ready() bool
}

// Options are the settings of the HTTP side that are not confighttp's.
type Options struct {
	// Prefixes are the path prefixes of all routes. "" is the root.
	Prefixes []string
	// UTF8Names allows escaped and quoted names in paths.
	UTF8Names bool
	// IgnoreDelete makes DELETE return 202 and do nothing.
	IgnoreDelete bool
	// Groups enables the routes of groups. It is nil for a proxy.
	Groups *GroupOptions
	// InFlight bounds the memory of all requests.
	InFlight *ingest.InFlight
	// Page serves the page for the browser. It is nil if there is none.
	Page *page.Page

	_ struct{}
}

// GroupOptions are the settings of the routes of groups.
type GroupOptions struct {
	// AdminAPI enables the routes that delete all groups and that end an aggregate.
	AdminAPI bool
	// PushTimes shows push_time_seconds and push_failure_time_seconds of each group.
	PushTimes bool
	// Flags and BuildInformation are shown by /api/v1/status.
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
	readers     chan struct{} // semaphore of requests that read all groups
	cors        bool          // confighttp decides which origins may read
	origins     *origins      // the origins whose pages may send pushes; nil without a page

	authenticator component.Type // the type of confighttp's authenticator; zero if there is none
}

// ServeHTTP serves a request whose body is decompressed while it is read.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	matched, ok := h.match(r.URL.Path)
	if !ok {
		h.refuse(w, r, h.refuseNotFound(r))
		return
	}
	if r.Method == http.MethodOptions {
		if matched.isAPI() {
			h.allowOrigins(w.Header())
		}
		w.Header().Set("Allow", matched.allow())
		return
	}
	if err := h.origins.check(r); err != nil {
		h.refuse(w, r, err)
		return
	}
	serve, ok := matched.verbs[r.Method]
	switch {
	case ok:
		serve(w, r, matched.path)
	case len(matched.verbs) == 0:
		writeRefusal(w, h.refuseNotFound(r))
	case matched.isAPI():
		writeRefusal(w, h.refuseMethod(matched, r.Method))
	default:
		h.refuse(w, r, h.refuseMethod(matched, r.Method))
	}
}

// refuse answers a request that does not reach a verb. Only requests to change a group are counted and logged: a scrape of an
// unknown path says nothing about pushes.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch r.Method {
	case http.MethodPut, http.MethodPost, http.MethodDelete:
		_, observation := h.begin(r)
		h.noteKey(observation, r)
		observation.End(err)
	}
	writeRefusal(w, err)
}

// begin opens the observation of a request.
func (h *handler) begin(r *http.Request) (context.Context, *ingest.Observation) {
	ctx, observation := h.ingest.Begin(r.Context(), r.Method)
	observation.From(r.URL.Path, r.RemoteAddr)
	return ctx, observation
}

// noteKey notes the grouping key of a refused request for the log, if its path names one and the memory for it is available.
func (h *handler) noteKey(o *ingest.Observation, r *http.Request) {
	matched, ok := h.match(r.URL.Path)
	if !ok || !matched.isPush() {
		return
	}
	cost := keyCost(matched.path)
	if h.options.InFlight.Reserve(cost) != nil {
		return
	}
	defer h.options.InFlight.Release(cost)
	if key, ok, err := h.parseKey(matched.path); ok && err == nil {
		o.Key(key)
	}
}
