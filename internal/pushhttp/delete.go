// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import "net/http"

// ignoreDelete answers a DELETE as a Pushgateway does, and does nothing. Clients want exactly 202. The path must still
// name a group, so that a mistake in it shows; the body is not read, as in a Pushgateway.
func (h *handler) ignoreDelete(w http.ResponseWriter, r *http.Request, path string) {
	_, observation := h.ingest.Begin(r.Context(), r.Method)
	if _, err := h.groupingKey(observation, path); err != nil {
		observation.End(err)
		writeRefusal(w, err)
		return
	}
	observation.EndIgnored()
	w.WriteHeader(http.StatusAccepted)
}
