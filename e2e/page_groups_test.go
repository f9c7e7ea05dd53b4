// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pushMany pushes to so many groups at once.
func pushMany(t *testing.T, c *collector, n int, group func(i int) string) {
	t.Helper()
	var next, failed atomic.Int64
	var running sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	for range 8 {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if !request(client, http.MethodPut, c.url+"/metrics/job/"+group(int(i)), fmt.Sprintf("a %d\n", i)) {
					failed.Add(1)
				}
			}
		})
	}
	running.Wait()
	require.Zero(t, failed.Load())
}

// manyGroupsInBrowser looks for one of 100,000 groups. Times are logged, since they depend on the machine.
func manyGroupsInBrowser(t *testing.T, b *browser) {
	const many = 100_000
	c := startPage(t, adminAPI, "receivers::pushgateway::groups::republish_interval: 4m")
	pushMany(t, c, many, func(i int) string { return fmt.Sprintf("job_%d/instance/host-%05d", i%100, i) })

	began := time.Now()
	page := b.open(t, c.url+"/#/groups?sort=name", look{})
	page.awaitRows(50)
	t.Logf("first page after %v", time.Since(began))
	page.awaitText("main [role=status]", "100,000 groups")
	assert.Less(t, value[int](page, "document.querySelectorAll('*').length"), 3000)
	assert.Less(t, value[float64](page, "performance.memory.usedJSHeapSize"), 60e6)

	began = time.Now()
	page.filter("job_77 99977")
	page.awaitRows(1)
	t.Logf("found after %v", time.Since(began))
	page.awaitText(rows, "host-99977")
	page.awaitText("main [role=status]", "1 of 100,000 groups match")

	page.show("#/groups?sort=push&order=asc")
	page.awaitRows(50)
	page.await("document.querySelector('[aria-sort=ascending]')?.innerText.includes('Last push')")
	var pushed []int64
	times := fmt.Sprintf("[...document.querySelectorAll(%s)].map((row) => Number(row.querySelector('time').dataset.time))", quoted(rows))
	for range 3 {
		first := page.texts(rows)[0]
		pushed = append(pushed, value[[]int64](page, times)...)
		page.press("Next", "")
		page.await(fmt.Sprintf("document.querySelector(%s).innerText !== %s", quoted(rows), quoted(first)))
	}
	assert.True(t, slices.IsSorted(pushed), "the longest silent first, over pages")
	page.press("Previous", "")
	page.awaitText(".pager", "101–150 of 100,000")
	page.press("First", "")
	page.awaitText(".pager", "1–50 of 100,000")
}

// pagingUnderPushes turns pages while groups come and are pushed to. What does not change is shown once.
func pagingUnderPushes(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	pushMany(t, c, 120, func(i int) string { return fmt.Sprintf("quiet/instance/%03d", i) })
	var ended atomic.Bool
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := 0; !ended.Load(); i++ {
			request(http.DefaultClient, http.MethodPut, c.url+fmt.Sprintf("/metrics/job/%c_busy/instance/%d", 'a'+i%26, i), "a 1\n")
		}
	})
	defer busy.Wait()
	defer ended.Store(true)

	page := b.open(t, c.url+"/#/groups?sort=name&q=quiet", look{})
	seen := map[string]int{}
	for n := 0; ; n++ {
		from := fmt.Sprintf("%d–%d of 120", 50*n+1, min(50*n+50, 120))
		page.awaitText(".pager", from)
		shown := page.texts(rows + " .unfold")
		for _, group := range shown {
			seen[group]++
		}
		if n == 2 {
			break
		}
		page.press("Next", "")
	}
	assert.Len(t, seen, 120)
	for group, times := range seen {
		assert.Equal(t, 1, times, group)
	}
}

// bigGroup turns the pages of one group.
func bigGroup(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	var body strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&body, "n{i=\"%05d\"} %d\n", i, i)
	}
	pushTo(t, c, "big", body.String())
	page := b.open(t, c.url+"/#/groups", look{})
	page.press("job=big", "")
	page.await("document.querySelectorAll('.series > tbody > tr').length === 200")
	assert.Less(t, value[int](page, "document.querySelectorAll('*').length"), 3000)
	all := map[string]string{}
	collect := func() {
		for _, pair := range page.texts(".series > tbody > tr") {
			if label, number, ok := strings.Cut(pair, "\t"); ok && strings.HasPrefix(label, "i=") {
				all[`n{`+label[:2]+`"`+strings.TrimSpace(label[2:])+`",job="big"}`] = strings.TrimSpace(number)
			}
		}
	}
	collect()
	page.press("Next", "1–200")
	page.awaitText(".open .pager", "201–400")
	collect()
	assert.Greater(t, len(all), 390)
	held := shown(t, c.url+"/metrics")
	for series, number := range all {
		assert.Equal(t, held[series], number, series)
	}
	page.press("First", "201–400")
	page.awaitText(".open .pager", "1–200")
}

// valuesAreThoseOfMetrics shows values that numbers of JavaScript cannot hold or spell.
func valuesAreThoseOfMetrics(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	pushTo(t, c, "odd", "# TYPE odd gauge\nodd{v=\"nan\"} NaN\nodd{v=\"inf\"} +Inf\nodd{v=\"neg\"} -Inf\nodd{v=\"big\"} 1e300\nodd{v=\"exact\"} 9007199254740993\n"+histogramBody+
		"# TYPE latency summary\nlatency{quantile=\"0.5\"} 0.25\nlatency_sum 7\nlatency_count 28\n")
	page := b.open(t, c.url+"/#/groups?group=metrics/job/odd", look{})
	page.awaitText(".family", "v=nan")
	page.await("[...document.querySelectorAll('.value')].map((e) => e.innerText).join().includes('1e+300')")
	texts := strings.Join(page.texts(".series tr"), "\n")
	for _, pair := range []string{
		`v=nan\s+NaN`, `v=inf\s+\+Inf`, `v=neg\s+-Inf`, `v=big\s+1e\+300`, `v=exact\s+9\.007199254740992e\+15`,
		`42 observed, sum 231\.5`, `≤ 1\s+3`, `≤ 5\s+14`, `≤ 30\s+24`, `≤ \+Inf\s+1`, `quantile 0\.5: 0\.25`, `28 observed, sum 7`,
	} {
		assert.Regexp(t, pair, texts)
	}
	assert.Equal(t, 4, value[int](page, "document.querySelectorAll('.buckets .bar').length"))
}

// oddGroups are keys whose paths have to be written with care, with a text that their row shows.
var oddGroups = map[string]string{
	"plain/instance/db-3":          "instance=db-3",
	"empty/value@base64/=":         "value=(empty)",
	"slash/path@base64/L3Zhcg":     "path=/var",
	"percent/share/50%25":          "share=50%",
	"percent/share/100%2525":       "share=100%25",
	"utf8/name/%D8%A7%D8%B3%D9%85": "name=اسم",
	"dots/path@base64/Li4":         "path=..",
	"question/q/a%3Fb%23c":         "q=a?b#c",
}

// deleteOneGroup cancels first, and then deletes each group by its button.
func deleteOneGroup(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	for group := range oddGroups {
		pushTo(t, c, group, "a 1\n")
	}
	page := b.open(t, c.url+"/#/groups", look{})
	page.awaitRows(len(oddGroups))
	left := len(oddGroups)
	for _, label := range oddGroups {
		row := strings.ReplaceAll(label, "(empty)", "")
		page.press("Delete…", row)
		page.awaitText("dialog", "Delete this group?")
		page.press("Cancel", "")
		page.await("!document.querySelector('dialog')")
		assert.Len(t, page.texts(rows), left)
		page.press("Delete…", row)
		page.awaitText("dialog", "will end in the backend")
		page.press("Delete", "")
		left--
		page.awaitRows(left)
	}
	assert.Empty(t, ofPage(t, c))
	assert.Len(t, page.requested("DELETE "), len(oddGroups))
}

// ofPage are the series that GET /metrics shows of groups.
func ofPage(t *testing.T, c *collector) map[string]string {
	t.Helper()
	return shown(t, c.url+"/metrics")
}

// deleteAllThatMatch types the number of groups first.
func deleteAllThatMatch(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	pushMany(t, c, 214, func(i int) string { return fmt.Sprintf("nightly/instance/%03d", i) })
	pushMany(t, c, 5, func(i int) string { return fmt.Sprintf("keep/instance/%03d", i) })
	page := b.open(t, c.url+"/#/groups", look{})
	page.awaitText("main [role=status]", "219 groups")
	assert.NotContains(t, strings.Join(page.texts("button"), " "), "Delete all", "only of what matches")
	page.filter("job=nightly")
	page.awaitText("main [role=status]", "214 of 219 groups match")
	page.press("Delete all 214 that match…", "")
	page.awaitText("dialog", "Type 214 to confirm")
	page.assertAccessible()
	page.screenshot("groups-delete-all")
	confirm := "document.querySelector('dialog button.danger')"
	assert.True(t, value[bool](page, confirm+".disabled"))
	do(page, chromedp.SendKeys(chromedp.CSS("dialog input"), "213"))
	assert.True(t, value[bool](page, confirm+".disabled"))
	do(page, chromedp.SendKeys(chromedp.CSS("dialog input"), kb.Backspace+"4"))
	page.press("Delete 214 groups", "")
	page.awaitText("dialog", "214 of 214 deleted")
	page.press("Close", "")
	page.awaitText(".empty", "Nothing contains this")
	page.show("#/groups")
	page.awaitRows(5)
	assert.Len(t, page.requested("DELETE "), 214)
}

// stopDeleting stops between two of many.
func stopDeleting(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	pushMany(t, c, 300, func(i int) string { return fmt.Sprintf("nightly/instance/%03d", i) })
	page := b.open(t, c.url+"/#/groups?q=nightly", look{})
	page.press("Delete all 300 that match…", "")
	do(page, chromedp.SendKeys(chromedp.CSS("dialog input"), "300"))
	slow := &network.Conditions{Latency: 2000, DownloadThroughput: -1, UploadThroughput: -1}
	tell(page, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{slow}})
	page.press("Delete 300 groups", "")
	page.awaitText("dialog", "Stop")
	page.press("Stop", "")
	page.await("!document.querySelector('dialog')")
	tell(page, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{}})
	page.await("document.querySelector('main [role=status]').innerText.includes('groups match')")
	sent := len(page.requested("DELETE "))
	assert.Less(t, sent, 300)
	page.awaitText("main [role=status]", fmt.Sprintf("%d of %[1]d groups match", 300-sent))
	assert.Len(t, page.requested("DELETE "), sent, "none after Stop")
}

// wipeInBrowser needs the admin API, and the number of groups.
func wipeInBrowser(t *testing.T, b *browser) {
	without := startPage(t, "receivers::pushgateway::groups: {}")
	page := b.open(t, without.url+"/#/status", look{})
	page.awaitText(".panel", "ready")
	assert.NotContains(t, strings.Join(page.texts("button"), " "), "Wipe")

	c := startPage(t, adminAPI)
	pushMany(t, c, 7, func(i int) string { return fmt.Sprintf("nightly/instance/%d", i) })
	page = b.open(t, c.url+"/#/status", look{})
	page.press("Wipe all groups…", "")
	page.awaitText("dialog", "Type 7 to confirm")
	do(page, chromedp.SendKeys(chromedp.CSS("dialog input"), "7"+kb.Enter))
	page.await("!document.querySelector('dialog')")
	require.Eventually(t, func() bool { return len(ofPage(t, c)) == 0 }, dataTimeout, pollInterval)
	page.press("Groups", "")
	page.awaitText(".empty", "No group is stored")
}

// deleteWithKeyboard deletes a group without a mouse. The focus then is on the same button of the next row.
func deleteWithKeyboard(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	for i := range 3 {
		pushTo(t, c, fmt.Sprintf("nightly/instance/db-%d", i), "a 1\n")
	}
	page := b.open(t, c.url+"/#/groups?sort=name", look{})
	page.awaitRows(3)
	tabTo := func(what string) {
		t.Helper()
		for range 50 {
			do(page, chromedp.KeyEvent(kb.Tab))
			if value[bool](page, "Boolean("+what+")") {
				return
			}
		}
		require.Fail(t, "Tab does not lead there", what)
	}
	tabTo("document.activeElement.matches('.skip')")
	do(page, chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "main", value[string](page, "document.activeElement.id"))
	assert.Contains(t, value[string](page, "location.hash"), "#/groups")
	onDelete := func(instance string) string {
		return "document.activeElement.closest('tr')?.innerText.includes('" + instance + "') && document.activeElement.innerText === 'Delete…'"
	}
	tabTo(onDelete("db-1"))
	do(page, chromedp.KeyEvent(kb.Enter))
	page.awaitText("dialog", "instance=db-1")
	do(page, chromedp.KeyEvent(kb.Escape))
	page.await("!document.querySelector('dialog')")
	page.await(onDelete("db-1"))
	do(page, chromedp.KeyEvent(kb.Enter))
	page.awaitText("dialog", "instance=db-1")
	tabTo("document.activeElement.innerText === 'Delete'")
	do(page, chromedp.KeyEvent(kb.Enter))
	page.awaitRows(2)
	page.await(onDelete("db-2"))
	do(page, chromedp.KeyEvent(kb.Enter))
	tabTo("document.activeElement.innerText === 'Delete'")
	do(page, chromedp.KeyEvent(kb.Enter))
	page.awaitRows(1)
	page.await(onDelete("db-0"))
}

// read returns the answer to a GET.
func read(t *testing.T, address string) (int, string) {
	t.Helper()
	response, err := http.Get(address)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// pathOf is the path of a URL.
func pathOf(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	return parsed.Path
}
