// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

const (
	adminPath     = "/api/v1/admin/"
	wipePath      = adminPath + "wipe"
	aggregatePath = adminPath + "aggregate/"

	helpNothingStored = "this receiver forwards every push and stores nothing: look for the metrics in its backend, or configure groups on " +
		"the pushgateway receiver to read them here"
	helpNothingToWipe = "this receiver forwards every push and stores nothing, so there is nothing to wipe"
	helpNothingToEnd  = "this receiver forwards every push and stores nothing, so there is no aggregate to end"
	helpAdminAPI      = "the admin API is disabled: set groups::admin_api to true on the pushgateway receiver to enable it"
)

// PushPath describes the path of a push under the shortest prefix, for texts.
func PushPath(prefixes []string) string {
	return shortest(prefixes) + "/metrics/job/<job>{/<label>/<value>}"
}

func shortest(prefixes []string) string {
	return slices.MinFunc(prefixes, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
}

// refuseNotFound answers with a Pushgateway's words, and says what is served and where to look.
func (h *handler) refuseNotFound(r *http.Request) error {
	return &ingest.Refusal{Reason: ingest.ReasonPath, Err: errNotFound, Help: h.helpNotFound(r)}
}

func (h *handler) helpNotFound(r *http.Request) string {
	switch path := h.adminPath(r.URL.Path); {
	case path == wipePath && h.options.Groups == nil:
		return helpNothingToWipe
	case strings.HasPrefix(path, aggregatePath) && h.options.Groups == nil:
		return helpNothingToEnd
	case strings.HasPrefix(path, aggregatePath) && h.options.Groups.AdminAPI:
		return "this path serves DELETE " + shortest(h.options.Prefixes) + aggregatePath + "job/<job>{/<label>/<value>}"
	case path == wipePath, strings.HasPrefix(path, aggregatePath):
		return helpAdminAPI
	case isRead(r.Method) && h.options.Groups == nil:
		return helpNothingStored + "; " + h.served()
	default:
		return h.served()
	}
}

// adminPath returns the path after a prefix if it is one of the admin API, or else nothing.
func (h *handler) adminPath(path string) string {
	for _, prefix := range h.options.Prefixes {
		rest, ok := strings.CutPrefix(oneSlash(path), prefix)
		if rest = oneSlash(rest); ok && strings.HasPrefix(rest, adminPath) {
			return rest
		}
	}
	return ""
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// served lists what is served, under the shortest prefix.
func (h *handler) served() string {
	prefix, push := shortest(h.options.Prefixes), PushPath(h.options.Prefixes)
	health := prefix + "/-/healthy and " + prefix + "/-/ready"
	if h.options.Page != nil {
		health = prefix + "/, which is a page for the browser, " + health
	}
	if h.options.Groups == nil {
		return "this receiver serves PUT and POST " + push + ", GET " + health
	}
	return "this receiver serves PUT, POST and DELETE " + push + ", GET " + prefix + "/metrics, " + prefix + "/api/v1/metrics, " +
		prefix + "/api/v1/status, " + health
}

// refuseMethod answers with a Pushgateway's words and says what the path serves. DELETE on a proxy gets words of its own: its
// client relies on groups that do not exist.
func (h *handler) refuseMethod(m match, method string) error {
	refusal := ingest.Refuse(ingest.ReasonMethod, &withHeader{"Allow", m.allow(), http.StatusText(http.StatusMethodNotAllowed)})
	switch {
	case m.isPush() && method == http.MethodDelete:
		refusal.Err = &withHeader{"Allow", m.allow(), "DELETE is not served because this receiver forwards every push at once and stores no groups that could be " +
			"deleted; configure groups on the pushgateway receiver to have groups stored, or ignore_delete: true to have DELETE accepted and ignored"}
	case m.isPush() && isRead(method) && h.options.Groups == nil:
		refusal.Help = helpNothingStored
	case m.isPush() && isRead(method):
		refusal.Help = "GET " + m.prefix + "/metrics shows all groups"
	case m.path == "/metrics":
		refusal.Help = "pushes go to " + m.prefix + PushPath([]string{""})
	default:
		refusal.Help = "this path serves " + m.allow()
	}
	return refusal
}
