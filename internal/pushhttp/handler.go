// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package pushhttp is the HTTP side of the receiver: which path and method mean what, how a body is read and decompressed,
// and how a refusal becomes a status. What happens to a push is package ingest's work.
//
// A request passes, from the outside in: [handler.outermost], what confighttp brings (client information, telemetry, CORS,
// authentication, decompression, middlewares), [handler.ServeHTTP], and the verb that the table of routes names.
package pushhttp

import (
	"context"
	"net/http"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// Ingest is what this package needs of package ingest.
type Ingest interface {
	Begin(ctx context.Context, method string) (context.Context, *ingest.Observation)
	Push(ctx context.Context, o *ingest.Observation, key groupingkey.Key, format exposition.Format, body []byte) error
}

// Options are the settings that the HTTP side depends on, besides confighttp's.
type Options struct {
	// Prefixes are the path prefixes under which everything is served; "" is the root.
	Prefixes []string
	// UTF8Names admits escaped and quoted names in paths.
	UTF8Names bool
	// IgnoreDelete answers DELETE with 202 and does nothing.
	IgnoreDelete bool
	// InFlight bounds what all requests together hold in memory.
	InFlight *ingest.InFlight

	_ struct{}
}

type handler struct {
	options     Options
	ingest      Ingest
	maxBodySize int64    // bytes, before and after decompression
	codings     []string // in the terms of confighttp: "" is a body without coding
	routes      []route
}

// ServeHTTP serves a request whose body is being decompressed already.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	matched, path, ok := h.match(r.URL.Path)
	if !ok {
		h.refuse(w, r, refuseNotFound())
		return
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", matched.allow())
		return
	}
	serve, ok := matched.verbs[r.Method]
	if !ok {
		h.refuse(w, r, refuseMethod(matched, r.Method))
		return
	}
	serve(w, r, path)
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
