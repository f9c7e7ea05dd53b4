// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"io"
	"net/http"
)

// healthy answers probes. A proxy that serves is ready: it has nothing to restore, and while it shuts down it no longer
// accepts connections. HEAD is served besides a Pushgateway's GET, since load balancers ask so.
func (*handler) healthy(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "OK") // A probe that has gone needs no answer.
}
