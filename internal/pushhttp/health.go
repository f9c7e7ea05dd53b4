// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"io"
	"net/http"
)

// healthy answers probes. Unlike a Pushgateway it also serves HEAD, which load balancers use.
func (*handler) healthy(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "OK") // If the probe has disconnected, there is nobody to answer.
}

// ready answers 503 until groups are restored and during shutdown.
func (h *handler) ready(w http.ResponseWriter, r *http.Request, path string) {
	if !h.ingest.Ready() {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	h.healthy(w, r, path)
}
