// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// statuses maps reasons to status codes. Faults of the push are 400, as in a Pushgateway. Refusals that a retry may resolve are 503 or
// 429.
var statuses = map[ingest.Reason]int{
	ingest.ReasonPath:            http.StatusBadRequest,
	ingest.ReasonMethod:          http.StatusMethodNotAllowed,
	ingest.ReasonAuth:            http.StatusUnauthorized,
	ingest.ReasonOrigin:          http.StatusForbidden,
	ingest.ReasonContentEncoding: http.StatusUnsupportedMediaType,
	ingest.ReasonBadBody:         http.StatusBadRequest,
	ingest.ReasonTooLarge:        http.StatusRequestEntityTooLarge,
	ingest.ReasonParse:           http.StatusBadRequest,
	ingest.ReasonInconsistent:    http.StatusBadRequest,
	ingest.ReasonLimit:           http.StatusBadRequest,
	ingest.ReasonGroupLimit:      http.StatusTooManyRequests,
	ingest.ReasonStorage:         http.StatusServiceUnavailable,
	ingest.ReasonStarting:        http.StatusServiceUnavailable,
	ingest.ReasonOverload:        http.StatusServiceUnavailable,
	ingest.ReasonUnavailable:     http.StatusServiceUnavailable,
	ingest.ReasonExhausted:       http.StatusTooManyRequests,
	ingest.ReasonPermanent:       http.StatusInternalServerError,
}

// writeRefusal writes the response to a refused request, with the headers of [http.Error]. The body is one line for the log of the
// job. Content-Length makes the response complete while the request body still arrives.
func writeRefusal(w http.ResponseWriter, err error) {
	status := Status(err)
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok {
		if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", retryAfter(refusal.RetryAfter))
		}
	}
	if with, ok := errors.AsType[*withHeader](err); ok {
		w.Header().Set(with.name, with.value)
	}
	line := err.Error() + "\n"
	w.Header().Set("Content-Length", strconv.Itoa(len(line)))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, line) //nolint:gosec // Browsers do not interpret plain text.
}

// isRefused reports whether writeRefusal wrote these headers. Only it sets Content-Length itself.
func isRefused(header http.Header) bool { return header.Get("Content-Length") != "" }

// Status returns the status code of the response to a refused request.
func Status(err error) int {
	if errors.Is(err, errNotFound) {
		return http.StatusNotFound
	}
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok {
		if status, ok := statuses[refusal.Reason]; ok {
			return status
		}
	}
	return http.StatusInternalServerError
}

// retryAfter formats a delay in whole seconds, at least one.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

// withHeader is the cause of a refusal whose response needs another header.
type withHeader struct{ name, value, text string }

func (e *withHeader) Error() string { return e.text }

var (
	errNotFound = errors.New("404 page not found")
	errSlow     = errors.New("the body did not arrive within read_timeout; nothing was kept")
)

// schemes maps types of authenticators to their authentication scheme, which they do not tell. Other types have no known scheme.
var schemes = map[string]string{
	"basicauth":         "Basic",
	"basic_auth":        "Basic",
	"bearertokenauth":   "Bearer",
	"bearer_token_auth": "Bearer",
	"oidc":              "Bearer",
}

// realm follows the scheme. RFC 7617 and Python's HTTPBasicAuthHandler require it; a Pushgateway omits it.
const realm = ` realm="pushgateway"`

// refuseUnauthorized names the scheme (RFC 9110, section 15.5.2): wget, curl --anyauth and others send a password only after that.
func refuseUnauthorized(authenticator component.Type) error {
	text := http.StatusText(http.StatusUnauthorized)
	if scheme, ok := schemes[authenticator.String()]; ok {
		return ingest.Refuse(ingest.ReasonAuth, &withHeader{"WWW-Authenticate", scheme + realm, text})
	}
	return ingest.Refuse(ingest.ReasonAuth, errors.New(text))
}

// refuseCoding lists the supported codings in the body and in Accept-Encoding (RFC 9110, section 15.5.16).
func refuseCoding(coding string, supported []string) error {
	named := slices.DeleteFunc(slices.Clone(supported), func(c string) bool { return c == "" })
	accept := strings.Join(named, ", ")
	text := fmt.Sprintf("Content-Encoding %q is not supported; supported: ", coding)
	switch {
	case coding == noCoding:
		text = "a body without Content-Encoding is not accepted; supported: " + accept
		accept += ", identity;q=0"
	case len(named) == 0:
		text += "none, send the body as it is"
		accept = "identity"
	case len(named) == len(supported):
		text += accept
		accept += ", identity;q=0"
	default:
		text += accept + ", or none"
	}
	return ingest.Refuse(ingest.ReasonContentEncoding, &withHeader{"Accept-Encoding", accept, text})
}

func refuseTooLarge(limit int64) error {
	return ingest.Refuse(ingest.ReasonTooLarge, fmt.Errorf("the body is larger than max_request_body_size (%d bytes) allows", limit))
}

// refuseLength refuses a body whose Content-Length is too large.
func refuseLength(limit, length int64) error {
	return ingest.Refuse(ingest.ReasonTooLarge, fmt.Errorf(
		"the body is larger than max_request_body_size (%d bytes) allows: it has %d bytes", limit, length))
}

// refuseBody refuses a body that could not be read completely. Texts of decompressors are kept: a Pushgateway shows them too.
func refuseBody(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuseTooLarge(tooLarge.Limit)
	}
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok {
		return refusal
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlow // The error of the network names addresses, not the setting.
	}
	return ingest.Refuse(ingest.ReasonBadBody, err)
}
