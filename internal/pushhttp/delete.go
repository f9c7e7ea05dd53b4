// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"context"
	"net/http"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// delete removes a group. Clients expect exactly 202, also if the group does not exist. As in a Pushgateway, the body is not read.
func (h *handler) delete(w http.ResponseWriter, r *http.Request, path string) {
	ctx, observation := h.begin(r)
	err := h.acceptDelete(ctx, observation, r, path)
	observation.End(err)
	if err != nil {
		writeRefusal(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// acceptDelete parses the key and deletes its group. The memory for the key is reserved meanwhile.
func (h *handler) acceptDelete(ctx context.Context, o *ingest.Observation, r *http.Request, path string) error {
	cost := keyCost(path)
	if err := h.options.InFlight.Reserve(cost); err != nil {
		return err
	}
	defer h.options.InFlight.Release(cost)
	key, err := h.groupingKey(o, r, path)
	if err != nil {
		return err
	}
	return h.ingest.Delete(ctx, key)
}

// wipe removes all groups.
func (h *handler) wipe(w http.ResponseWriter, r *http.Request, _ string) {
	if err := h.ingest.Wipe(r.Context(), r.RemoteAddr); err != nil {
		writeRefusal(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// ignoreDelete answers a DELETE with 202 and does nothing. An invalid path is still refused.
func (h *handler) ignoreDelete(w http.ResponseWriter, r *http.Request, path string) {
	_, observation := h.begin(r)
	if _, err := h.groupingKey(observation, r, path); err != nil {
		observation.End(err)
		writeRefusal(w, err)
		return
	}
	observation.EndIgnored()
	w.WriteHeader(http.StatusAccepted)
}
