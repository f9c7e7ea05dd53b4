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

// push takes a push. Clients want 200 without a body and without a Content-Type; some fail on any other code of success.
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

// takePush hands the push on. What the key takes is reserved before the path is parsed and what the body takes while it is read;
// both are given back when the push is done.
func (h *handler) takePush(ctx context.Context, o *ingest.Observation, r *http.Request, path string) error {
	body := newBuffer(h.options.InFlight)
	defer body.free()
	if err := body.reserveBeside(keyRoom(path)); err != nil {
		return err
	}
	key, err := h.groupingKey(o, path)
	if err != nil {
		return err
	}
	format := exposition.Negotiate(r.Header.Get("Content-Type"))
	o.Format(format)
	if r.ContentLength > h.maxBodySize {
		return refuseLength(h.maxBodySize, r.ContentLength)
	}
	if err := body.readAll(r.Body); err != nil {
		return refuseBody(err)
	}
	o.Size(int64(len(body.bytes)))
	pushed := h.ingest.Push(ctx, o, ingest.Request{
		Key: key, Format: format, Body: body.bytes, Reserved: body.reserved + body.beside, Replace: r.Method == http.MethodPut,
	})
	return helped(pushed, format, r.Header, body.bytes)
}

// labelRoom is what each label of a key counts for, its job among them, in bytes: an eighth of the memory that it takes, as with
// all that is no body. Its strings are those of the path.
const labelRoom = 4

// keyRoom is what the key of a path counts for. A usual key is small beside what the connection takes, and counts for nothing:
// only a path that was made for it holds megabytes while its body keeps everybody waiting.
func keyRoom(path string) int64 {
	room := labelRoom * int64(strings.Count(path, "/")/2)
	if room <= firstStep {
		return 0
	}
	return room
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
