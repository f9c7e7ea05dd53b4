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

// match finds the route of a decoded path and cuts the prefix off. Nothing is cleaned and nothing is redirected: a client
// that follows a redirect may lose the body on the way and be told that all is well.
func (h *handler) match(path string) (route, string, bool) {
	for _, prefix := range h.options.Prefixes {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		for _, r := range h.routes {
			if r.matches(rest) {
				return r, rest, true
			}
		}
	}
	return route{}, "", false
}

func (r route) matches(path string) bool {
	rest, ok := strings.CutPrefix(path, r.path)
	if r.rest == "" {
		return ok && rest == ""
	}
	return ok && rest != "" && rest[0] != '/'
}

// pattern is the route's name in telemetry, of low cardinality. The prefix is what precedes rest in path.
func (r route) pattern(path, rest string) string {
	return strings.TrimSuffix(path, rest) + r.path + r.rest
}

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
