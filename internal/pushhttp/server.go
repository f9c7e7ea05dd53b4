// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
)

// defaultMaxBodySize is confighttp's limit if max_request_body_size is not set, in bytes.
const defaultMaxBodySize = 20 << 20

// NewServer makes the server that config describes, which is not changed, around what the options and in describe. The
// extensions are the host's; they may be nil if the configuration names none.
func NewServer(
	ctx context.Context,
	config confighttp.ServerConfig,
	extensions map[component.ID]component.Component,
	telemetry component.TelemetrySettings,
	options Options,
	in Ingest,
) (*http.Server, error) {
	if config.MaxRequestBodySize <= 0 {
		config.MaxRequestBodySize = defaultMaxBodySize
	}
	if config.CompressionAlgorithms == nil {
		config.CompressionAlgorithms = defaultCodings
	}
	options.Prefixes = longestFirst(options.Prefixes)
	h := &handler{
		options:     options,
		ingest:      in,
		maxBodySize: config.MaxRequestBodySize,
		codings:     config.CompressionAlgorithms,
		started:     time.Now(),
		reads:       make(chan struct{}, maxReads),
		cors:        config.CORS.HasValue(),
	}
	if config.Auth.HasValue() {
		h.authenticator = config.Auth.Get().Config.AuthenticatorID.Type()
	}
	h.routes = h.table()
	server, err := config.ToServer(ctx, extensions, telemetry, h,
		append(h.decoders(), confighttp.WithErrorHandler(h.refuseUndecoded))...)
	if err != nil {
		return nil, err
	}
	server.Handler = h.outermost(h.lingering(server.Handler))
	return server, nil
}

// outermost does what must be done before confighttp looks at a request: it normalises the coding's name, and names the
// route. Copies of the request that are made further in carry that name with them, so that spans and metrics have it even
// if authentication or decompression refuses the request.
func (h *handler) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.normalizeCoding(r)
		if matched, ok := h.match(r.URL.Path); ok {
			r.Pattern = matched.pattern()
		}
		next.ServeHTTP(w, r)
	})
}
