// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"io"
	"net/http"
)

// drainAfterRefusal reads and discards the rest of the body after a refusal, up to read_timeout and twice the maximum body size. Otherwise
// net/http may close the connection while the client is still sending, and the client sees a connection reset instead of the
// response. A Pushgateway reads every body to its end.
func (h *handler) drainAfterRefusal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		next.ServeHTTP(w, r)
		if body == http.NoBody || !isRefused(w.Header()) || r.ProtoMajor != 1 { // HTTP/2 ends the stream, not the connection.
			return
		}
		if http.NewResponseController(w).Flush() == nil {
			_, _ = io.CopyN(io.Discard, body, 2*h.maxBodySize)
		}
	})
}
