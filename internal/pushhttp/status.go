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

// statuses is what each reason for a refusal is answered with. Everything that the pusher can mend is 400, as in a
// Pushgateway, which knows no others; what may succeed later is 503 or 429.
var statuses = map[ingest.Reason]int{
	ingest.ReasonPath:         http.StatusBadRequest,
	ingest.ReasonMethod:       http.StatusMethodNotAllowed,
	ingest.ReasonAuth:         http.StatusUnauthorized,
	ingest.ReasonCoding:       http.StatusUnsupportedMediaType,
	ingest.ReasonBody:         http.StatusBadRequest,
	ingest.ReasonTooLarge:     http.StatusRequestEntityTooLarge,
	ingest.ReasonParse:        http.StatusBadRequest,
	ingest.ReasonInconsistent: http.StatusBadRequest,
	ingest.ReasonLimit:        http.StatusBadRequest,
	ingest.ReasonFull:         http.StatusTooManyRequests,
	ingest.ReasonStorage:      http.StatusServiceUnavailable,
	ingest.ReasonStarting:     http.StatusServiceUnavailable,
	ingest.ReasonOverload:     http.StatusServiceUnavailable,
	ingest.ReasonUnavailable:  http.StatusServiceUnavailable,
	ingest.ReasonExhausted:    http.StatusTooManyRequests,
	ingest.ReasonPermanent:    http.StatusInternalServerError,
}

// writeRefusal turns a refusal into status, headers and body, those of [http.Error]. The body is one line for whoever reads
// the job's log. Its length is told so that it is complete even while the rest of the request still arrives.
func writeRefusal(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok {
		status = statusOf(refusal)
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
	_, _ = io.WriteString(w, line) //nolint:gosec // No browser takes plain text for a page.
}

// isRefused tells whether an answer with these headers is that of writeRefusal: those of others get their length from net/http.
func isRefused(header http.Header) bool { return header.Get("Content-Length") != "" }

func statusOf(r *ingest.Refusal) int {
	if errors.Is(r, errNotFound) {
		return http.StatusNotFound
	}
	if status, ok := statuses[r.Reason]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// retryAfter is in whole seconds and at least one, since 0 would mean at once.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

// withHeader is the cause of a refusal whose answer needs a header to be complete.
type withHeader struct{ name, value, text string }

func (e *withHeader) Error() string { return e.text }

var (
	errNotFound = errors.New("404 page not found")
	errSlow     = errors.New("the body did not arrive within read_timeout; nothing of it was taken")
)

func refuseNotFound() error { return ingest.Refuse(ingest.ReasonPath, errNotFound) }

// schemes is what the authenticators ask for, by their type: none of them tells. Others may ask for anything, so nothing is
// claimed for them.
var schemes = map[string]string{
	"basicauth":         "Basic",
	"basic_auth":        "Basic",
	"bearertokenauth":   "Bearer",
	"bearer_token_auth": "Bearer",
	"oidc":              "Bearer",
}

// realm follows the scheme. A Pushgateway leaves it out, but RFC 7617 demands it, and Python's HTTPBasicAuthHandler waits for it.
const realm = ` realm="pushgateway"`

// refuseUnauthorized tells how to authenticate, as RFC 9110, section 15.5.2, wants it: wget, curl --anyauth and others
// send no password before they are asked for one.
func refuseUnauthorized(authenticator component.Type) error {
	text := http.StatusText(http.StatusUnauthorized)
	if scheme, ok := schemes[authenticator.String()]; ok {
		return ingest.Refuse(ingest.ReasonAuth, &withHeader{"WWW-Authenticate", scheme + realm, text})
	}
	return ingest.Refuse(ingest.ReasonAuth, errors.New(text))
}

// refuseMethod says for DELETE what a Pushgateway need not say: a client that deletes relies on a memory that is not here.
func refuseMethod(r route, method string) error {
	text := http.StatusText(http.StatusMethodNotAllowed)
	if method == http.MethodDelete && r.isPush() {
		text = "DELETE is not served because this receiver forwards every push at once and stores no groups that could be " +
			"deleted; configure groups on the pushgateway receiver to have groups stored, or ignore_delete: true to have DELETE accepted and ignored"
	}
	return ingest.Refuse(ingest.ReasonMethod, &withHeader{"Allow", r.allow(), text})
}

// refuseCoding names what is supported, in the body and as RFC 9110, section 15.5.16, wants it.
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
	return ingest.Refuse(ingest.ReasonCoding, &withHeader{"Accept-Encoding", accept, text})
}

func refuseTooLarge(limit int64) error {
	return ingest.Refuse(ingest.ReasonTooLarge, fmt.Errorf("the body is larger than max_request_body_size (%d bytes) allows", limit))
}

// refuseLength refuses a body that is announced to be too large.
func refuseLength(limit, length int64) error {
	return ingest.Refuse(ingest.ReasonTooLarge, fmt.Errorf(
		"the body is larger than max_request_body_size (%d bytes) allows: it has %d bytes", limit, length))
}

// refuseBody tells what kept a body from being read whole. Texts of decompressors stand as they are: a Pushgateway shows
// them too.
func refuseBody(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuseTooLarge(tooLarge.Limit)
	}
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok {
		return refusal
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlow // The network's own text tells addresses and not what to do.
	}
	return ingest.Refuse(ingest.ReasonBody, err)
}
