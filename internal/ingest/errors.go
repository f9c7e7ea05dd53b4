// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// defaultRetryAfter is what a client is told to wait if the refusal itself does not say. Batch jobs have time, and a
// collector that is short of memory needs some.
const defaultRetryAfter = 5 * time.Second

// Reason is the kind of a refusal. The set is bounded: it is an attribute of a metric, the unit of log throttling and
// what the HTTP status is decided by.
type Reason string

// The reasons for which a push is refused.
const (
	ReasonPath         Reason = "path"         // the URL names no valid grouping key
	ReasonMethod       Reason = "method"       // the method is not served, DELETE without memory among them
	ReasonAuth         Reason = "auth"         // authentication failed
	ReasonCoding       Reason = "coding"       // the content coding is unknown or not enabled
	ReasonBody         Reason = "body"         // the body was cut off or its coding is corrupt
	ReasonTooLarge     Reason = "too_large"    // the body is larger than allowed, before or after decompression
	ReasonParse        Reason = "parse"        // the body is not of the announced exposition format
	ReasonInconsistent Reason = "inconsistent" // the push contradicts itself or its grouping key
	ReasonLimit        Reason = "limit"        // a limit on series or labels
	ReasonFull         Reason = "full"         // a limit on what groups hold
	ReasonStorage      Reason = "storage"      // the push could not be stored
	ReasonStarting     Reason = "starting"     // groups are being restored
	ReasonOverload     Reason = "overload"     // too much is in flight, or the group stayed busy until the request ended
	ReasonUnavailable  Reason = "unavailable"  // the next consumer refused, a retry may help
	ReasonExhausted    Reason = "exhausted"    // the next consumer is out of some resource
	ReasonPermanent    Reason = "permanent"    // the next consumer refused for good
)

// Refusal tells why a push was not taken.
type Refusal struct {
	Reason Reason
	// Err is what the person who pushed is told.
	Err error
	// Help follows Err in the same line, if there is any.
	Help string
	// RetryAfter is when a retry makes sense, if it does.
	RetryAfter time.Duration
}

// Refuse makes a refusal without a time for a retry.
func Refuse(reason Reason, err error) *Refusal {
	return &Refusal{Reason: reason, Err: err}
}

// Error is what the person who pushed is told: Err, cut at maxText bytes, and the help.
func (r *Refusal) Error() string {
	text := r.Err.Error()
	switch r.Reason {
	case ReasonStorage, ReasonUnavailable, ReasonExhausted, ReasonPermanent:
		text = withoutURLs(text) // These are the words of other components, the rest are the receiver's own.
	}
	text = cut(text)
	if r.Help != "" {
		text += "; " + r.Help
	}
	return text
}

// aURL is anything with a scheme: up to the quote if it is quoted, as net/http does, otherwise up to a blank, less what
// belongs to the sentence.
var aURL = regexp.MustCompile(`"[a-zA-Z][a-zA-Z0-9+.-]*://(?s:\\.|[^"\\])*"|` +
	`[a-zA-Z][a-zA-Z0-9+.-]*://(?s:\\.|[^\s"\\])*(?s:\\.|[^\s"\\:,;.)])`)

// withoutURLs takes the URLs out of the text of another component's error. The URL of a backend can have its password or
// token in it, wherever it was wrapped and quoted on its way here, and the pusher must not learn that.
func withoutURLs(text string) string { return aURL.ReplaceAllLiteralString(text, "(URL)") }

// maxText bounds what an answer or a log line quotes of a push, in bytes: the token at fault may be as large as the body.
const maxText = 4096

func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + fmt.Sprintf("... (%d bytes)", len(text))
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }
