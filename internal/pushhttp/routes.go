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
	// path is compared with the decoded path after a prefix. If rest is not empty, a non-empty element must follow, and then anything.
	path string
	// rest describes the part after path, for the names of spans.
	rest  string
	verbs verbs
}

// verb serves a method of a route.
type verb func(w http.ResponseWriter, r *http.Request, path string)

// verbs maps methods to their verbs. OPTIONS is served for every route. A route without verbs answers all other methods with 404.
type verbs map[string]verb

// table lists all routes, which are served under each path prefix.
func (h *handler) table() []route {
	push := verbs{http.MethodPut: h.push, http.MethodPost: h.push}
	metrics := verbs{http.MethodGet: h.notServed}
	switch {
	case h.options.Groups != nil:
		push[http.MethodDelete] = h.delete
		metrics[http.MethodGet] = h.limitReaders(h.readMetrics)
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
	routes = append(routes, h.pageRoutes()...)
	if h.options.Groups == nil {
		return routes
	}
	routes = append(routes,
		route{path: "/api/v1/metrics", verbs: verbs{http.MethodGet: h.limitReaders(h.readGroups)}},
		route{path: "/api/v1/status", verbs: verbs{http.MethodGet: h.readStatus}})
	if h.options.Groups.AdminAPI {
		end := verbs{http.MethodDelete: h.endAggregate}
		routes = append(routes,
			route{path: wipePath, verbs: verbs{http.MethodPut: h.wipe}},
			route{path: aggregatePath + "job/", rest: "{job}/{labels...}", verbs: end},
			route{path: aggregatePath + "job@base64/", rest: "{job}/{labels...}", verbs: end})
	}
	return append(routes, route{path: "/api/v1/", rest: "{unknown...}"}) // A Pushgateway answers OPTIONS there.
}

// pageRoutes lists the routes of the page. Its address is that of a Pushgateway's, with and without a slash.
func (h *handler) pageRoutes() []route {
	p := h.options.Page
	if p == nil {
		return nil
	}
	routes := []route{{path: "", verbs: reading(p.Index)}, {path: "/", verbs: reading(p.Index)}}
	for _, name := range p.Files() {
		routes = append(routes, route{path: "/ui/" + name, verbs: reading(p.File(name))})
	}
	for _, e := range p.Endpoints() {
		routes = append(routes, route{path: "/ui/api/" + e.Name, verbs: reading(e.Serve)})
	}
	return append(routes, route{path: "/ui/api/", rest: "{unknown...}", verbs: reading(p.NotFound)})
}

// reading are the verbs of a resource that can only be read.
func reading(serve http.HandlerFunc) verbs {
	read := func(w http.ResponseWriter, r *http.Request, _ string) { serve(w, r) }
	return verbs{http.MethodGet: read, http.MethodHead: read}
}

// match is the route of a request.
type match struct {
	route
	prefix string
	path   string // after the prefix
}

// match finds the route of a decoded path. Repeated slashes before the path and after the prefix count as one, since base URLs may
// end in slashes. The path is not cleaned otherwise. There are no redirects: a client that follows one may lose the body and
// still receive a success.
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

// oneSlash removes all but one of the slashes at the start of the path.
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

// pattern is the name of the route in telemetry. Its cardinality is low.
func (m match) pattern() string { return m.prefix + m.route.path + m.rest }

// allow lists the methods in alphabetical order, as a Pushgateway does.
func (r route) allow() string {
	methods := slices.AppendSeq([]string{http.MethodOptions}, maps.Keys(r.verbs))
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// isPush reports whether the route is that of a group.
func (r route) isPush() bool { return r.verbs[http.MethodPost] != nil }

// isAPI reports whether the route belongs to the query API.
func (r route) isAPI() bool { return strings.HasPrefix(r.path, "/api/") }

// longestFirst sorts prefixes so that a prefix comes before those that it starts with.
func longestFirst(prefixes []string) []string {
	return slices.SortedFunc(slices.Values(prefixes), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// notServed answers 404 for one method of a path. Its other methods are refused with 405, as in a Pushgateway.
func (h *handler) notServed(w http.ResponseWriter, r *http.Request, _ string) {
	h.refuse(w, r, h.refuseNotFound(r))
}
