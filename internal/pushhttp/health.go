// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"io"
	"net/http"
)

// healthy answers probes. HEAD is served besides a Pushgateway's GET, since load balancers ask so.
func (*handler) healthy(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "OK") // A probe that has gone needs no answer.
}

// ready tells a load balancer whether to send pushes here: not before groups are restored, and not while shutting down.
func (h *handler) ready(w http.ResponseWriter, r *http.Request, path string) {
	if !h.ingest.Ready() {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	h.healthy(w, r, path)
}
