// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// defaultRetryAfter is the retry delay of refusals that have no delay of their own.
const defaultRetryAfter = 5 * time.Second

// groupLimitRetryAfter is the retry delay when a limit of groups is reached: that lasts until somebody deletes groups, groups expire
// or an operator raises the limit.
const groupLimitRetryAfter = 5 * time.Minute

// Reason is the kind of a refusal. It is an attribute of a metric, the key of log throttling, and determines the HTTP status.
type Reason string

// The reasons for which a push is refused.
const (
	ReasonPath            Reason = "path"             // the path is unknown or has no valid grouping key
	ReasonMethod          Reason = "method"           // the method is not served, such as DELETE without groups
	ReasonAuth            Reason = "auth"             // authentication failed
	ReasonOrigin          Reason = "cross_origin"     // a browser sent the request for the page of another origin
	ReasonContentEncoding Reason = "content_encoding" // the content coding is unknown or not enabled
	ReasonBadBody         Reason = "bad_body"         // the body was cut off or could not be decompressed
	ReasonTooLarge        Reason = "too_large"        // the body is too large before or after decompression
	ReasonParse           Reason = "parse"            // the body is not valid in its exposition format
	ReasonInconsistent    Reason = "inconsistent"     // the push contradicts itself, its grouping key or another group
	ReasonLimit           Reason = "limit"            // a limit on series or labels
	ReasonGroupLimit      Reason = "group_limit"      // a limit of groups
	ReasonStorage         Reason = "storage"          // the push could not be stored
	ReasonStarting        Reason = "starting"         // groups are being restored
	ReasonOverload        Reason = "overload"         // too many bytes are in flight, or the group was busy for too long
	ReasonUnavailable     Reason = "unavailable"      // the next consumer returned a transient error
	ReasonExhausted       Reason = "exhausted"        // the next consumer is out of a resource
	ReasonPermanent       Reason = "permanent"        // the next consumer returned a permanent error
)

// Refusal is the error for a request that was refused.
type Refusal struct {
	Reason Reason
	// Err is the cause, for the client.
	Err error
	// Help follows Err in the same line. It may be empty.
	Help string
	// RetryAfter is the delay before a retry. It is 0 if a retry does not help.
	RetryAfter time.Duration
}

// Refuse returns a refusal without a retry delay.
func Refuse(reason Reason, err error) *Refusal {
	return &Refusal{Reason: reason, Err: err}
}

// Error returns the text for the client: Err, truncated to maxText bytes, and Help.
func (r *Refusal) Error() string {
	text := r.Err.Error()
	switch r.Reason {
	case ReasonStorage, ReasonUnavailable, ReasonExhausted, ReasonPermanent:
		text = withoutURLs(text) // These have errors of other components.
	}
	text = truncate(text)
	if r.Help != "" {
		text += "; " + r.Help
	}
	return text
}

// urlPattern matches anything with a scheme: up to the closing quote if it is quoted, as by net/http, otherwise up to a blank, without
// punctuation at its end.
var urlPattern = regexp.MustCompile(`"[a-zA-Z][a-zA-Z0-9+.-]*://(?s:\\.|[^"\\])*"|` +
	`[a-zA-Z][a-zA-Z0-9+.-]*://(?s:\\.|[^\s"\\])*(?s:\\.|[^\s"\\:,;.)])`)

// withoutURLs removes URLs from the error of another component. The URL of a backend may contain its password or token, which the
// client must not see.
func withoutURLs(text string) string { return urlPattern.ReplaceAllLiteralString(text, "(URL)") }

// maxText bounds the text that a response or log line quotes, in bytes. An invalid token may be as large as the body.
const maxText = 4096

func truncate(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + fmt.Sprintf("... (%d bytes)", len(text))
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }
