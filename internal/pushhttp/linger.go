// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"io"
	"net/http"
)

// lingering lets a client read why it is refused. net/http closes the connection as soon as there is an answer, if that
// was asked for as Python's client does or much is left of the body, and a client that is still sending then sees a
// connection that was reset and no answer. So the answer is sent and what still comes is read and forgotten, until
// read_timeout has passed or twice as much has come as a body may have. A Pushgateway reads every body to its end.
func (h *handler) lingering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		next.ServeHTTP(w, r)
		if body == http.NoBody || !isRefused(w.Header()) || r.ProtoMajor != 1 { // HTTP/2 ends a body, not its connection.
			return
		}
		if http.NewResponseController(w).Flush() == nil {
			_, _ = io.CopyN(io.Discard, body, 2*h.maxBodySize)
		}
	})
}
