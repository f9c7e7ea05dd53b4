// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHeaders(t *testing.T) {
	t.Parallel()
	p, _, _ := newPage()
	script := inlineScript.FindSubmatch(p.files[indexName].content)
	require.NotNil(t, script)
	sum := sha256.Sum256(script[1])
	for name, serve := range map[string]http.HandlerFunc{"index": p.Index, "app.js": p.File("app.js"), "overview": p.Endpoints()[0].Serve, "nothing": p.NotFound} {
		w := httptest.NewRecorder()
		serve(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		h := w.Header()
		assert.Equal(t, "default-src 'none'; script-src 'self' 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; style-src 'self'; "+
			"img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
			"require-trusted-types-for 'script'; trusted-types 'none'", h.Get("Content-Security-Policy"), name)
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), name)
		assert.Equal(t, "no-referrer", h.Get("Referrer-Policy"), name)
		assert.Equal(t, "same-origin", h.Get("Cross-Origin-Opener-Policy"), name)
		assert.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"), name)
		want := "no-store"
		if name == "index" || name == "app.js" {
			want = "no-cache"
			assert.NotEmpty(t, h.Get("ETag"), name)
		}
		assert.Equal(t, want, h.Get("Cache-Control"), name)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	p, _, _ := newPage()
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml; charset=utf-8"}
	assert.Contains(t, p.Files(), "app.js")
	assert.NotContains(t, p.Files(), indexName)
	for _, name := range p.Files() {
		w := httptest.NewRecorder()
		p.File(name)(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ui/"+name, http.NoBody))
		assert.Equal(t, http.StatusOK, w.Code, name)
		assert.Equal(t, types[name[strings.LastIndex(name, "."):]], w.Header().Get("Content-Type"), name)
		assert.Equal(t, string(p.files[name].content), w.Body.String(), name)

		known := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ui/"+name, http.NoBody)
		known.Header.Set("If-None-Match", w.Header().Get("ETag"))
		w = httptest.NewRecorder()
		p.File(name)(w, known)
		assert.Equal(t, http.StatusNotModified, w.Code, name)
		assert.Empty(t, w.Body.String(), name)

		w = httptest.NewRecorder()
		p.File(name)(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/ui/"+name, http.NoBody))
		assert.Equal(t, http.StatusOK, w.Code, name)
		assert.Empty(t, w.Body.String(), name)
	}
}

// forbidden is what could turn text into markup or script, or what the content security policy refuses.
var forbidden = map[string]*regexp.Regexp{
	"markup":         regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|createContextualFragment|DOMParser|setHTML`),
	"evaluation":     regexp.MustCompile(`\beval\b|new Function|setTimeout\(\s*["'` + "`" + `]|javascript:`),
	"inline style":   regexp.MustCompile(`style\s*=|cssText|setAttribute\(\s*["']style`),
	"inline handler": regexp.MustCompile(`<[^>]*\son[a-z]+\s*=|setAttribute\(\s*["']on`),
	"another host":   regexp.MustCompile(`(src|href|import|from|url|fetch)[\s=("'` + "`" + `]+(https?:)?//`),
}

// TestFilesAreSafe looks for what no file may have. Pushed text is shown by pages of these files.
func TestFilesAreSafe(t *testing.T) {
	t.Parallel()
	p, _, _ := newPage()
	for name, f := range p.files {
		for what, pattern := range forbidden {
			assert.Empty(t, pattern.FindAllString(string(f.content), -1), "%s: %s", name, what)
		}
	}
	assert.Len(t, inlineScript.FindAllSubmatch(p.files[indexName].content, -1), 1)
	assert.Equal(t, 2, strings.Count(string(p.files[indexName].content), "<script"), "the inline one, and the module")
}

// TestForbidden holds the patterns to what they are for.
func TestForbidden(t *testing.T) {
	t.Parallel()
	for text, what := range map[string]string{
		`node.innerHTML = x`: "markup", `document.write(x)`: "markup", `eval(x)`: "evaluation", `<p style="x">`: "inline style",
		`<p onclick="x">`: "inline handler", `<script src="//other/x.js">`: "another host", `import "https://other/x.js"`: "another host",
	} {
		assert.Regexp(t, forbidden[what], text)
	}
	for _, text := range []string{`<meta name="viewport" content="width=device-width">`, `evaluate`, `import { el } from "./dom.js"`} {
		for what, pattern := range forbidden {
			assert.NotRegexp(t, pattern, text, what)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	p, _, _ := newPage()
	w := httptest.NewRecorder()
	p.NotFound(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ui/api/x", http.NoBody))
	assert.Equal(t, http.StatusNotFound, w.Code)
	assert.Contains(t, errorText(t, w.Body.Bytes()), "not served")
}

func TestHeadOfAStreamOpensNone(t *testing.T) {
	t.Parallel()
	p, feed, _ := newPage()
	w := httptest.NewRecorder()
	p.events(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/ui/api/events", http.NoBody))
	assert.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
	assert.Empty(t, *feed.viewers.Load())
}
