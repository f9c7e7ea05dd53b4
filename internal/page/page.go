// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package page serves the page for the browser: embedded files, a JSON API for them, and a stream of pushes.
//
// [Feed] is told about each request and keeps what the page shows of the past: counts per second, jobs and refusals, each with a
// bound. [Page] serves all of it over HTTP. It only reads: deleting and wiping use the routes of pushes. The files are plain HTML, CSS
// and JavaScript modules without a build step, under a strict content security policy. The JSON API is internal to the page and can
// change with each version.
//
// All functions are safe for concurrent use. A request to push waits for no viewer.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/outbox"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

//go:embed assets
var assets embed.FS

// indexName is the file that is served as the page.
const indexName = "index.html"

// Source is what the page reads. *ingest.Ingest implements it.
type Source interface {
	Ready() bool
	Search(ctx context.Context, q store.Query) (store.Found, error)
	Jobs(ctx context.Context) ([]store.Job, error)
	Group(ctx context.Context, key groupingkey.Key) (store.Summary, gather.Group, error)
	State() (ingest.State, bool)
	Refused(limit int, pick func(groupingkey.Key) bool) ([]outbox.Refused, int)
}

// Options are the settings of the page.
type Options struct {
	// Live serves pushes as they come, and refusals.
	Live bool
	// Peek allows viewers to see the values of a job's pushes.
	Peek bool
	// Delete and Wipe show their buttons. They are no protection.
	Delete, Wipe bool
	// UTF8Names allows escaped and quoted names in paths.
	UTF8Names bool
	// Groups are the settings of groups, or nil for a proxy.
	Groups *GroupOptions
	// InFlight bounds the pushes in progress.
	InFlight *ingest.InFlight
	// InFlightLimit is its limit in bytes. 0 means no limit.
	InFlightLimit int64
	// Status returns the status code of a refusal.
	Status func(error) int
	// Build describes the distribution, Settings the configuration without secrets.
	Build    Build
	Settings []Setting

	_ struct{}
}

// GroupOptions are the settings of groups that the page shows. 0 means no limit, or never.
type GroupOptions struct {
	MaxGroups, MaxSeries   int
	MaxBytes               int64
	Aggregates             bool // there are rules for aggregates
	MaxPushers             int  // of them
	RepublishInterval, TTL time.Duration
	Storage                string // empty: in memory only
	Shared                 bool   // other replicas have the same groups
	// Gather are the settings by which values are read.
	Gather gather.Options
}

// Build describes the distribution.
type Build struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description,omitempty"`
	Go          string `json:"go"`
}

// Setting is a setting of the receiver as the page shows it.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default bool   `json:"default"` // the value is the default
}

// Page serves the page.
type Page struct {
	options Options
	feed    *Feed
	source  Source
	files   map[string]*file
	policy  string        // Content-Security-Policy
	lists   chan struct{} // semaphore of requests that read lists
}

// file is an embedded file.
type file struct {
	content []byte
	typ     string // media type
	tag     string // entity tag
}

// New returns a Page that shows a feed and a source.
func New(options Options, feed *Feed, source Source) *Page {
	p := &Page{options: options, feed: feed, source: source, files: make(map[string]*file), lists: make(chan struct{}, maxLists)}
	entries, err := fs.ReadDir(assets, "assets")
	if err != nil {
		panic(err) // The files are part of the binary.
	}
	for _, entry := range entries {
		content, err := assets.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic(err) // The files are part of the binary.
		}
		sum := sha256.Sum256(content)
		p.files[entry.Name()] = &file{content, mediaType(entry.Name()), `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	p.policy = policyOf(p.files[indexName].content)
	return p
}

// mediaTypes are those of the files, independent of the machine.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml; charset=utf-8",
}

func mediaType(name string) string {
	if typ, ok := mediaTypes[path.Ext(name)]; ok {
		return typ
	}
	return mime.TypeByExtension(path.Ext(name))
}

// inlineScript is a script in the page itself. There is one: it adds the slash without which relative URLs would not work.
var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// policyOf returns the content security policy of the page. Nothing can be loaded from elsewhere, and text cannot become markup.
func policyOf(index []byte) string {
	scripts := []string{"'self'"}
	for _, found := range inlineScript.FindAllSubmatch(index, -1) {
		sum := sha256.Sum256(found[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src " + strings.Join(scripts, " "), "style-src 'self'", "img-src 'self'", "connect-src 'self'", "base-uri 'none'",
		"form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
	}, "; ")
}

// Files lists the names of the embedded files, without the page itself.
func (p *Page) Files() []string {
	names := slices.Sorted(maps.Keys(p.files))
	return slices.DeleteFunc(names, func(name string) bool { return name == indexName })
}

// Index serves the page itself.
func (p *Page) Index(w http.ResponseWriter, r *http.Request) { p.serve(w, r, p.files[indexName]) }

// File serves an embedded file, one of Files.
func (p *Page) File(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, p.files[name]) }
}

func (p *Page) serve(w http.ResponseWriter, r *http.Request, f *file) {
	p.setHeaders(w.Header())
	w.Header().Set("Cache-Control", "no-cache") // Browsers ask again, with the entity tag.
	w.Header().Set("Content-Type", f.typ)
	w.Header().Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// setHeaders sets the security headers of every response.
func (p *Page) setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}
