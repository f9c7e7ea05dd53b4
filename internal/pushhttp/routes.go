// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// route is one row of the table of routes.
type route struct {
	// path is matched byte by byte against the decoded path behind a prefix. If rest is not empty, a non-empty element
	// must follow, and then anything.
	path string
	// rest describes what follows path, for the names of spans.
	rest  string
	verbs verbs
}

// verb serves a method of a route.
type verb func(w http.ResponseWriter, r *http.Request, path string)

// verbs tells what serves a method. OPTIONS is served everywhere, by the table itself; without any verb, nothing else is
// found.
type verbs map[string]verb

// table is everything that is served, under each of the path prefixes. A new route is a row here and its verbs.
func (h *handler) table() []route {
	push := verbs{http.MethodPut: h.push, http.MethodPost: h.push}
	metrics := verbs{http.MethodGet: h.notServed}
	switch {
	case h.options.Groups != nil:
		push[http.MethodDelete] = h.delete
		metrics[http.MethodGet] = h.inTurn(h.readMetrics)
	case h.options.IgnoreDelete:
		push[http.MethodDelete] = h.ignoreDelete
	}
	routes := []route{
		{path: "/metrics/job/", rest: "{job}/{labels...}", verbs: push},
		{path: "/metrics/job@base64/", rest: "{job}/{labels...}", verbs: push},
		{path: "/metrics", verbs: metrics},
		{path: "/-/healthy", verbs: verbs{http.MethodGet: h.healthy, http.MethodHead: h.healthy}},
		{path: "/-/ready", verbs: verbs{http.MethodGet: h.ready, http.MethodHead: h.ready}},
	}
	if h.options.Groups == nil {
		return routes
	}
	routes = append(routes,
		route{path: "/api/v1/metrics", verbs: verbs{http.MethodGet: h.inTurn(h.readGroups)}},
		route{path: "/api/v1/status", verbs: verbs{http.MethodGet: h.readStatus}})
	if h.options.Groups.AdminAPI {
		routes = append(routes, route{path: "/api/v1/admin/wipe", verbs: verbs{http.MethodPut: h.wipe}})
	}
	return append(routes, route{path: "/api/v1/", rest: "{unknown...}"}) // A Pushgateway answers OPTIONS there.
}

// match is the route of a request.
type match struct {
	route
	prefix string
	path   string // behind the prefix
}

// match finds the route of a decoded path. Slashes that a base URL ends with are one with the slash that follows: those in
// front of the path and those behind the prefix. Nothing else is cleaned and nothing is redirected: a client that follows a
// redirect may lose the body on the way and be told that all is well.
func (h *handler) match(path string) (match, bool) {
	path = oneSlash(path)
	for _, prefix := range h.options.Prefixes {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		rest = oneSlash(rest)
		for _, r := range h.routes {
			if r.matches(rest) {
				return match{r, prefix, rest}, true
			}
		}
	}
	return match{}, false
}

// oneSlash leaves one of the slashes that the path starts with.
func oneSlash(path string) string {
	for strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	return path
}

func (r route) matches(path string) bool {
	rest, ok := strings.CutPrefix(path, r.path)
	if r.rest == "" {
		return ok && rest == ""
	}
	return ok && rest != "" && rest[0] != '/'
}

// pattern is the route's name in telemetry, of low cardinality.
func (m match) pattern() string { return m.prefix + m.route.path + m.rest }

// allow lists the methods in alphabetical order, as a Pushgateway does.
func (r route) allow() string {
	methods := slices.AppendSeq([]string{http.MethodOptions}, maps.Keys(r.verbs))
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// isPush reports whether the route is that of a group.
func (r route) isPush() bool { return r.verbs[http.MethodPost] != nil }

// isAPI reports whether the route is one of the query API.
func (r route) isAPI() bool { return strings.HasPrefix(r.path, "/api/") }

// longestFirst orders the prefixes such that the configured order does not matter where one continues another.
func longestFirst(prefixes []string) []string {
	return slices.SortedFunc(slices.Values(prefixes), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// notServed answers for a path whose other methods are refused as a Pushgateway refuses them.
func (h *handler) notServed(w http.ResponseWriter, r *http.Request, _ string) {
	h.refuse(w, r, refuseNotFound())
}
