// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"context"
	"net/http"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// push takes a push. Clients want 200 without a body and without a
// Content-Type; some fail on any other code of success.
func (h *handler) push(w http.ResponseWriter, r *http.Request, path string) {
	ctx, observation := h.ingest.Begin(r.Context(), r.Method)
	err := h.takePush(ctx, observation, r, path)
	observation.End(err)
	if err != nil {
		writeRefusal(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// takePush hands the push on. What the body takes is reserved while it is read and given back when the push is done.
func (h *handler) takePush(ctx context.Context, o *ingest.Observation, r *http.Request, path string) error {
	key, err := h.groupingKey(o, path)
	if err != nil {
		return err
	}
	format := exposition.Negotiate(r.Header.Get("Content-Type"))
	o.Format(format)
	if r.ContentLength > h.maxBodySize {
		return refuseLength(h.maxBodySize, r.ContentLength)
	}
	body := newBuffer(h.options.InFlight)
	defer body.free()
	if err := body.readAll(r.Body); err != nil {
		return refuseBody(err)
	}
	o.Size(int64(len(body.bytes)))
	return h.ingest.Push(ctx, o, ingest.Request{
		Key: key, Format: format, Body: body.bytes, Reserved: body.reserved, Replace: r.Method == http.MethodPut,
	})
}

// groupingKey reads the key from the path of a push route.
func (h *handler) groupingKey(o *ingest.Observation, path string) (groupingkey.Key, error) {
	key, ok, err := groupingkey.Parse(strings.TrimPrefix(path, "/metrics/"), h.options.UTF8Names)
	switch {
	case err != nil:
		return key, ingest.Refuse(ingest.ReasonPath, err)
	case !ok:
		return key, refuseNotFound()
	}
	o.Key(key)
	return key, nil
}
