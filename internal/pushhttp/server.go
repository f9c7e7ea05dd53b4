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

// MaxBodySize is the limit on the size of a body, in bytes.
func MaxBodySize(config *confighttp.ServerConfig) int64 {
	if config.MaxRequestBodySize <= 0 {
		return defaultMaxBodySize
	}
	return config.MaxRequestBodySize
}

// NewServer returns the server for a configuration, which it does not change. The extensions are those of the host.
func NewServer(
	ctx context.Context,
	config confighttp.ServerConfig,
	extensions map[component.ID]component.Component,
	telemetry component.TelemetrySettings,
	options Options,
	in Ingest,
) (*http.Server, error) {
	config.MaxRequestBodySize = MaxBodySize(&config)
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
		readers:     make(chan struct{}, maxReaders),
		cors:        config.CORS.HasValue(),
	}
	if config.Auth.HasValue() {
		h.authenticator = config.Auth.Get().Config.AuthenticatorID.Type()
	}
	if options.Page != nil {
		h.origins = newOrigins(config.CORS)
	}
	h.routes = h.table()
	server, err := config.ToServer(ctx, extensions, telemetry, h,
		append(h.decoders(), confighttp.WithErrorHandler(h.refuseUndecoded))...)
	if err != nil {
		return nil, err
	}
	server.Handler = h.prepare(h.drainAfterRefusal(server.Handler))
	return server, nil
}

// prepare normalizes Content-Encoding and sets the route before confighttp handles a request. So spans and metrics have the route even
// if authentication or decompression refuses the request.
func (h *handler) prepare(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.normalizeCoding(r)
		if matched, ok := h.match(r.URL.Path); ok {
			r.Pattern = matched.pattern()
		}
		next.ServeHTTP(w, r)
	})
}
