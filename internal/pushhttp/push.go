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

// push serves a push. Clients expect 200 without body and Content-Type; some fail on other success codes.
func (h *handler) push(w http.ResponseWriter, r *http.Request, path string) {
	ctx, observation := h.begin(r)
	err := h.acceptPush(ctx, observation, r, path)
	observation.End(err)
	if err != nil {
		writeRefusal(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// acceptPush reads and processes a push. The memory for the key is reserved before the path is parsed, and that for the body while it
// is read. Both are released at the end.
func (h *handler) acceptPush(ctx context.Context, o *ingest.Observation, r *http.Request, path string) error {
	body := newBuffer(h.options.InFlight)
	defer body.free()
	if err := body.reserveOverhead(keyCost(path)); err != nil {
		return err
	}
	key, err := h.groupingKey(o, r, path)
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
		Key: key, Format: format, Body: body.bytes, Reserved: body.reserved + body.overhead, Replace: r.Method == http.MethodPut,
	})
	return withHelp(pushed, format, r.Header, body.bytes)
}

// labelCost is the in-flight cost of each label of a key in bytes, its job included: one eighth of its memory, as for everything but
// the body. The strings of labels share the memory of the path.
const labelCost = 4

// keyCost is the in-flight cost of the key of a path. A usual key costs nothing, since it is small compared with its connection. Only
// a crafted path takes megabytes.
func keyCost(path string) int64 {
	cost := labelCost * int64(strings.Count(path, "/")/2)
	if cost <= firstStep {
		return 0
	}
	return cost
}

// groupingKey parses the key in the path of a push route and notes it in the observation.
func (h *handler) groupingKey(o *ingest.Observation, r *http.Request, path string) (groupingkey.Key, error) {
	key, ok, err := h.parseKey(path)
	switch {
	case err != nil:
		return key, ingest.Refuse(ingest.ReasonPath, err)
	case !ok:
		return key, h.refuseNotFound(r)
	}
	o.Key(key)
	return key, nil
}

// parseKey is groupingkey.Parse for the path of a push route.
func (h *handler) parseKey(path string) (key groupingkey.Key, ok bool, err error) {
	return groupingkey.Parse(strings.TrimPrefix(path, "/metrics/"), h.options.UTF8Names)
}
