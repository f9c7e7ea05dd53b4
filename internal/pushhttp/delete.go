// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"context"
	"net/http"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// delete forgets a group. Clients want exactly 202, which is also the answer if there is no such group; the body is not
// read, as in a Pushgateway.
func (h *handler) delete(w http.ResponseWriter, r *http.Request, path string) {
	ctx, observation := h.ingest.Begin(r.Context(), r.Method)
	err := h.takeDelete(ctx, observation, path)
	observation.End(err)
	if err != nil {
		writeRefusal(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// takeDelete hands the deletion on. What the key takes is reserved for as long as it waits for its turn.
func (h *handler) takeDelete(ctx context.Context, o *ingest.Observation, path string) error {
	room := keyRoom(path)
	if err := h.options.InFlight.Reserve(room); err != nil {
		return err
	}
	defer h.options.InFlight.Release(room)
	key, err := h.groupingKey(o, path)
	if err != nil {
		return err
	}
	return h.ingest.Delete(ctx, key)
}

// wipe forgets all groups.
func (h *handler) wipe(w http.ResponseWriter, r *http.Request, _ string) {
	if err := h.ingest.Wipe(r.Context()); err != nil {
		writeRefusal(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

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
