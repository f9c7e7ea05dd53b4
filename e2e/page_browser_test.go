// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	light, dark = "light", "dark"

	wide   = 1280 // pixels
	narrow = 390
)

// browser is a chromium that tests share. Each tab has cookies and storage of its own.
type browser struct{ ctx context.Context }

// startBrowser starts chromium, which ends with the test and its subtests.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed and make clients could not install it")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WSURLReadTimeout(startTimeout))
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	require.NoError(t, chromedp.Do(ctx))
	return &browser{ctx}
}

// tab is a page in a browser. What should not happen on it fails the test at its end: an error on the console, such as a violation
// of the Content-Security-Policy, and a request to another origin.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	faults   []string // all, the expected ones included
	requests []string
	expected []*regexp.Regexp // faults that are part of a test
}

// look is what a tab is set to. The zero value is a wide tab with the light theme.
type look struct {
	theme    string
	width    int
	user     string // for basic authentication, with password
	expected []string
}

// open opens a URL in a new tab.
func (b *browser) open(t *testing.T, address string, l look) *tab {
	t.Helper()
	if l.width == 0 {
		l.width = wide
	}
	if l.theme == "" {
		l.theme = light
	}
	page := &tab{T: t}
	for _, expected := range l.expected {
		page.expected = append(page.expected, regexp.MustCompile(expected))
	}
	origin, err := url.Parse(address)
	require.NoError(t, err)
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(),
		chromedp.WithListener(func(event any) { page.heard(event, origin.Host, l.user) }))
	page.ctx = ctx
	require.NoError(t, chromedp.Do(ctx)) // The tab lives as long as the context of its first action.
	t.Cleanup(func() {
		page.mu.Lock()
		defer page.mu.Unlock()
		unexpected := slices.DeleteFunc(page.faults, func(fault string) bool {
			return slices.ContainsFunc(page.expected, func(e *regexp.Regexp) bool { return e.MatchString(fault) })
		})
		assert.Empty(t, unexpected, "what should not happen in a browser, at %s", address)
		closeTab()
	})
	height := int64(800)
	if l.width == narrow {
		height = 844
	}
	tell(page, network.Enable, network.EnableParams{})
	tell(page, log.Enable, cdp.Empty{})
	tell(page, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(l.width), Height: height, DeviceScaleFactor: 1})
	tell(page, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"})
	tell(page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if l.user != "" {
		handle := true
		tell(page, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &handle})
	}
	do(page, chromedp.Navigate(address))
	return page
}

// heard keeps what a browser reports.
func (p *tab) heard(event any, host, user string) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.fault("exception: " + e.ExceptionDetails.Text + " " + describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			for _, arg := range e.Args {
				p.fault("console: " + describe(arg))
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			p.fault(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		p.mu.Lock()
		p.requests = append(p.requests, e.Request.Method+" "+e.Request.URL)
		p.mu.Unlock()
		if to, err := url.Parse(e.Request.URL); err != nil || to.Host != host {
			p.fault("request to another origin: " + e.Request.URL)
		}
	case *fetch.EventRequestPaused:
		go func() {
			_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
		}()
	case *fetch.EventAuthRequired:
		answer := fetch.ContinueWithAuthParams{RequestID: e.RequestID}
		answer.AuthChallengeResponse = &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: user, Password: password}
		go func() { _, _ = chromedp.Call(p.ctx, fetch.ContinueWithAuth, answer) }()
	}
}

// describe returns a value of JavaScript as text.
func describe(value *runtime.RemoteObject) string {
	if value == nil {
		return ""
	}
	return string(value.Value) + value.Description
}

func (p *tab) fault(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, text)
}

func (p *tab) allFaults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// requested are the requests so far that contain a text.
func (p *tab) requested(part string) (found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, request := range p.requests {
		if strings.Contains(request, part) {
			found = append(found, request)
		}
	}
	return found
}

// do runs an action, which fails only if it hangs.
func do[T any](p *tab, action chromedp.Action[T]) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, dataTimeout)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(p, err)
	return value
}

// tell runs a command of the browser's protocol.
func tell[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.Helper()
	return do(p, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, params) })
}

// value evaluates an expression of JavaScript, which may be a promise.
func value[T any](p *tab, expression string) T {
	p.Helper()
	return do(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// await waits until an expression is true.
func (p *tab) await(expression string) {
	p.Helper()
	for deadline := time.Now().Add(dataTimeout); ; time.Sleep(pollInterval) {
		// An evaluation fails while the page navigates.
		ctx, cancel := context.WithTimeout(p.ctx, dataTimeout)
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		cancel()
		if err == nil && is {
			return
		}
		if time.Now().After(deadline) {
			require.Fail(p, "It did not become true", "%s\n%v\nThe page shows:\n%s", expression, err, value[string](p, "document.body.innerText"))
		}
	}
}

// awaitText waits until an element shows a text.
func (p *tab) awaitText(selector, text string) {
	p.Helper()
	p.await(fmt.Sprintf("[...document.querySelectorAll(%s)].some((e) => e.innerText.includes(%s))", quoted(selector), quoted(text)))
}

// awaitRows waits until the list has so many rows.
func (p *tab) awaitRows(n int) {
	p.Helper()
	p.await(fmt.Sprintf("document.querySelectorAll(%s).length === %d", quoted(rows), n))
}

// rows is the selector of a list's rows, without those that show the details of another.
const rows = "main .view > .table > table > tbody > tr:not(.details), [role=log] tbody > tr:not(.details)"

// texts are the texts of all elements of a selector.
func (p *tab) texts(selector string) []string {
	p.Helper()
	return value[[]string](p, fmt.Sprintf("[...document.querySelectorAll(%s)].map((e) => e.innerText.trim())", quoted(selector)))
}

// press clicks the button, link or summary of a name, in the first row that contains a text, "" for anywhere, unless something
// covers it. A dialog comes before the page. Finding and clicking are one step, since lists change at any time.
func (p *tab) press(name, in string) {
	p.Helper()
	p.await(fmt.Sprintf(`(() => {
		const rows = [...document.querySelectorAll("tr")].filter((row) => row.textContent.includes(%[2]s));
		const places = %[2]s ? rows.slice(0, 1) : [...document.querySelectorAll("dialog"), document];
		const controls = places.flatMap((place) => [...place.querySelectorAll("button, a, summary")]);
		const control = controls.find((each) => each.textContent.trim() === %[1]s && !each.disabled);
		control?.scrollIntoView({ block: "center" });
		const { x, y, width, height } = control?.getBoundingClientRect() ?? {};
		if (!control?.contains(document.elementFromPoint(x + width / 2, y + height / 2))) return false;
		control.focus();
		control.click();
		return true;
	})()`, quoted(name), quoted(in)))
}

// filter replaces the text of a list's filter.
func (p *tab) filter(text string) {
	p.Helper()
	const field = "main input[type=search]"
	p.await("document.querySelector('" + field + "')?.select() ?? true")
	do(p, chromedp.SendKeys(chromedp.CSS(field), text))
}

// show changes the view and its parameters as a link does.
func (p *tab) show(hash string) {
	p.Helper()
	value[string](p, "location.hash = "+quoted(hash))
}

// screenshot writes what the tab shows to _build/screenshots, for a person to look at.
func (p *tab) screenshot(name string) {
	p.Helper()
	png := do(p, chromedp.CaptureScreenshot())
	folder := filepath.Join("..", "_build", "screenshots")
	require.NoError(p, os.MkdirAll(folder, 0o755))
	require.NoError(p, os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600))
}

// assertAccessible lets axe look for what keeps people from using the page.
func (p *tab) assertAccessible() {
	p.Helper()
	axe, err := os.ReadFile("clients/testdata/node/node_modules/axe-core/axe.min.js")
	if err != nil {
		p.Log("axe-core is not installed and make clients could not install it")
		return
	}
	value[bool](p, string(axe)+"; true")
	found := value[[]string](p, `axe.run().then(({ violations }) => violations.filter(({ impact }) => impact === "serious" || impact === "critical")
		.map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) => html + " " + failureSummary).join("\n")))`)
	assert.Empty(p, found)
}

func quoted(text string) string {
	literal, _ := json.Marshal(text)
	return string(literal)
}
