// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// exchange is one request with both answers.
type exchange struct {
	request  *request
	theirs   *answer // of the Pushgateway; in the end, what is expected of the receiver
	ours     *answer // of the receiver
	followed bool    // The Pushgateway had taken other pushes before.
	// alone is what a Pushgateway that has stored nothing answers to a request.
	alone func(*request) *answer
}

// explain compares both answers. It returns the rows that explain their differences, and what is left unexplained.
func (x *exchange) explain() (rows []string, rest string) {
	if rest = x.difference(); rest == "" {
		return nil, ""
	}
	for _, r := range rules {
		if r.expect(x) {
			rows = append(rows, r.row)
			if rest = x.difference(); rest == "" {
				break
			}
		}
	}
	return rows, rest
}

// help follows what a Pushgateway says.
var help = regexp.MustCompile("; (the body is (not valid|compressed with)|the body was read as text because|byte 1 of the body is|this is (a Prometheus remote-write|an OTLP) request|OpenMetrics 2\\.0 is not supported|" +
	"this receiver (serves|forwards)|the admin API is disabled|GET \\S+ shows all groups|pushes go to|this path serves)[^\n]*")

// withoutHelp cuts off the help that follows a refusal.
func withoutHelp(body string) string { return help.ReplaceAllString(body, "") }

// oursWithoutHelp is our answer as it is compared: what help says is not a Pushgateway's.
func (x *exchange) oursWithoutHelp() string {
	if x.theirs.body == x.ours.body {
		return x.ours.body
	}
	return withoutHelp(x.ours.body)
}

// difference describes how the receiver's answer differs from what is expected; empty if it does not.
func (x *exchange) difference() string {
	var d strings.Builder
	compare := func(what string, theirs, ours any) {
		if theirs != ours {
			fmt.Fprintf(&d, "%s: %q, want %q\n", what, fmt.Sprint(ours), fmt.Sprint(theirs))
		}
	}
	compare("status", x.theirs.status, x.ours.status)
	compare("Allow", x.theirs.allow, x.ours.allow)
	compare("connection cut", x.theirs.cut, x.ours.cut)
	compare("broken", x.theirs.broken, false)
	if x.theirs.status >= 400 {
		compare("body", x.theirs.body, x.oursWithoutHelp())
	}
	if x.theirs.broken {
		return d.String()
	}
	theirs := x.theirs.series
	if theirs == nil {
		theirs = seriesOf(x.theirs.families)
	}
	for _, key := range slices.Sorted(maps.Keys(theirs)) {
		if ours, ok := x.ours.series[key]; !ok || ours != theirs[key] {
			fmt.Fprintf(&d, "%s: %q, want %q\n", key, ours, theirs[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(x.ours.series)) {
		if _, ok := theirs[key]; !ok {
			fmt.Fprintf(&d, "%s: %q, want none\n", key, x.ours.series[key])
		}
	}
	return d.String()
}
