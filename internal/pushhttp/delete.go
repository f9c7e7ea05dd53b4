// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"context"
	"net/http"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
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

// endAggregate ends an aggregate and forgets its pushers. The key of its path is that of the aggregate. As for a DELETE of a group, the
// body is not read and an aggregate that does not exist is no error.
func (h *handler) endAggregate(w http.ResponseWriter, r *http.Request, path string) {
	if err := h.acceptEnd(r, path); err != nil {
		writeRefusal(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// acceptEnd parses the key and ends its aggregate. The memory for the key is reserved meanwhile.
func (h *handler) acceptEnd(r *http.Request, path string) error {
	cost := keyCost(path)
	if err := h.options.InFlight.Reserve(cost); err != nil {
		return err
	}
	defer h.options.InFlight.Release(cost)
	key, ok, err := groupingkey.Parse(strings.TrimPrefix(path, aggregatePath), h.options.UTF8Names)
	switch {
	case err != nil:
		return ingest.Refuse(ingest.ReasonPath, err)
	case !ok:
		return h.refuseNotFound(r)
	}
	return h.ingest.EndAggregate(r.Context(), key)
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
