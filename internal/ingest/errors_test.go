// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestRefusalTextIsBounded(t *testing.T) {
	t.Parallel()
	cause := errors.New(strings.Repeat("ü", maxText))
	refusal := Refuse(ReasonParse, cause)
	assert.Less(t, len(refusal.Error()), maxText+100)
	assert.Contains(t, refusal.Error(), "... (8192 bytes)")
	assert.ErrorIs(t, refusal, cause)
	assert.Equal(t, "short", Refuse(ReasonParse, errors.New("short")).Error())
}

// The URL of a backend, which may hold a password or a token, is nothing for a pusher or for a log.
func TestRefusalTextHasNoURLsOfOthers(t *testing.T) {
	t.Parallel()
	const secret = "http://user:hunter2@127.0.0.1:1/v1/metrics?token=hunter2"
	refused := errors.New("dial tcp 127.0.0.1:1: connect: connection refused")
	posting := &url.Error{Op: "Post", URL: secret, Err: refused}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"of net/http":                   {posting, "Post (URL): " + refused.Error()},
		"wrapped":                       {fmt.Errorf("x: %w", consumererror.NewPermanent(posting)), "x: Permanent error: Post (URL): " + refused.Error()},
		"with the status of a backend":  {consumererror.NewOTLPHTTPError(posting, 503), "Post (URL): " + refused.Error()},
		"joined with others":            {errors.Join(refused, posting), refused.Error() + "\nPost (URL): " + refused.Error()},
		"in the text alone":             {errors.New("error exporting items, request to " + secret + " responded with HTTP Status Code 503"), "error exporting items, request to (URL) responded with HTTP Status Code 503"},
		"in a gRPC status":              {status.Error(codes.Unavailable, "lookup dns:///hunter2.example: gone"), "rpc error: code = Unavailable desc = lookup (URL): gone"},
		"in a sentence":                 {errors.New("see (" + secret + "), " + secret + ". Or " + secret + ": no"), "see ((URL)), (URL). Or (URL): no"},
		"in single quotes":              {errors.New("at '" + secret + "' x"), "at '(URL) x"},
		"quoted twice, with the rest":   {fmt.Errorf("%q", posting.Error()), `"Post \(URL)`},
		"with quotes and blanks within": {&url.Error{Op: "parse", URL: `postgres://user:my "hunter2"@db`, Err: errors.New("net/url: invalid userinfo")}, "parse (URL): net/url: invalid userinfo"},
		"across the cut":                {errors.New(strings.Repeat("x", maxText-12) + " " + secret), strings.Repeat("x", maxText-12) + " (URL)"},
		"without any":                   {errors.New("sending queue is full"), "sending queue is full"},
		"of a scheme alone":             {errors.New(`unsupported scheme "http://"`), `unsupported scheme (URL)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, reason := range []Reason{ReasonStorage, ReasonUnavailable, ReasonExhausted, ReasonPermanent} {
				refusal := Refuse(reason, tc.err)
				assert.Equal(t, tc.want, refusal.Error())
				assert.ErrorIs(t, refusal, tc.err)
			}
			assert.NotContains(t, refuseDownstream(tc.err).Error(), "hunter2")
		})
	}
}

// What a pusher has written is quoted as it is.
func TestRefusalTextKeepsThePushersURLs(t *testing.T) {
	t.Parallel()
	const text = `collected metric "a" {target="http://user:password@host"} was collected before`
	for _, reason := range []Reason{ReasonPath, ReasonParse, ReasonInconsistent, ReasonLimit} {
		assert.Equal(t, text, Refuse(reason, errors.New(text)).Error())
	}
}
