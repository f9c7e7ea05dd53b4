// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"errors"
	"net/http"
	"strings"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// errOrigin says what to do about a request of another origin. The usual cause is a proxy that replaces Host.
var errOrigin = errors.New("a browser sent this request for a page of another origin; nothing was changed. Behind a proxy, pass the header " +
	"Host on; to allow another origin, list it in cors::allowed_origins of the pushgateway receiver")

// origins refuses requests that browsers send for pages of other origins. Other clients send neither Sec-Fetch-Site nor Origin.
type origins struct {
	protection *http.CrossOriginProtection
	allowed    []string // lower case; each may have one *
}

func newOrigins(cors configoptional.Optional[confighttp.CORSConfig]) *origins {
	o := &origins{protection: http.NewCrossOriginProtection()}
	if cors.HasValue() {
		for _, origin := range cors.Get().AllowedOrigins {
			o.allowed = append(o.allowed, strings.ToLower(origin))
		}
	}
	return o
}

// check refuses unsafe requests of other origins. It may be called on nil, which allows all.
func (o *origins) check(r *http.Request) error {
	if o == nil || o.protection.Check(r) == nil || o.allows(strings.ToLower(r.Header.Get("Origin"))) {
		return nil
	}
	return ingest.Refuse(ingest.ReasonOrigin, errOrigin)
}

// allows reports whether the setting cors allows the origin, by the rules of confighttp.
func (o *origins) allows(origin string) bool {
	for _, allowed := range o.allowed {
		before, after, wildcard := strings.Cut(allowed, "*")
		if allowed == origin || wildcard && len(origin) >= len(before)+len(after) && strings.HasPrefix(origin, before) && strings.HasSuffix(origin, after) {
			return origin != ""
		}
	}
	return false
}
