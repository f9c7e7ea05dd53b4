// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPage looks at the page in a real browser. Its checks share one.
func TestPage(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for name, check := range map[string]func(*testing.T, *browser){
		"every view, theme and width":             everyView,
		"empty views say what to do":              emptyViews,
		"a push shows in Live":                    pushShowsInLive,
		"a refusal shows with its reason":         refusalShows,
		"hostile text stays text":                 hostileTextStaysText,
		"a job that stops is late":                lateJob,
		"more jobs than the table holds":          fullJobTable,
		"theme and link survive a reload":         themeAndLinkSurvive,
		"100,000 groups":                          manyGroupsInBrowser,
		"paging while pushes come":                pagingUnderPushes,
		"a group of 10,000 series comes in pages": bigGroup,
		"values are those of GET /metrics":        valuesAreThoseOfMetrics,
		"delete one group":                        deleteOneGroup,
		"delete all that match":                   deleteAllThatMatch,
		"stop deleting":                           stopDeleting,
		"wipe":                                    wipeInBrowser,
		"delete with the keyboard":                deleteWithKeyboard,
		"groups without the setting page":         withoutSetting,
		"under every prefix":                      underEveryPrefix,
		"with a password":                         withPassword,
		"pages of other origins":                  otherOrigins,
		"the stream survives a restart":           streamSurvivesRestart,
		"a hidden tab closes its stream":          hiddenTab,
		"one viewer too many":                     tooManyViewers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, b)
		})
	}
}

// adminAPI are the settings that turn groups on, with all that the page can do.
const adminAPI = "receivers::pushgateway::groups::admin_api: true"

// startPage starts a receiver with its page and settings.
func startPage(t *testing.T, set ...string) *collector {
	t.Helper()
	return startCollector(t, settings{config: "testdata/page.yaml", set: set})
}

// eachMode starts a receiver as a proxy and one with groups.
func eachMode(t *testing.T, check func(t *testing.T, mode string, c *collector)) {
	t.Helper()
	for mode, set := range map[string][]string{"proxy": nil, "groups": {adminAPI}} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			check(t, mode, startPage(t, set...))
		})
	}
}

// pushTo pushes a body to a group, the path after /metrics/job/, or after /metrics/job if that is in base64. It must be taken.
func pushTo(t *testing.T, c *collector, group, body string) {
	t.Helper()
	if !strings.HasPrefix(group, "@") {
		group = "/" + group
	}
	status, answer := send(t, http.MethodPut, c.url+"/metrics/job"+group, body)
	require.Equal(t, http.StatusOK, status, "%s %s", group, answer)
}

// usualPushes are what a page shows on a usual day, and some of an unusual one.
func usualPushes(t *testing.T, c *collector) {
	t.Helper()
	backup := "# HELP db_backup_last_completion_timestamp_seconds The timestamp of the last successful completion of a DB backup.\n" +
		"# TYPE db_backup_last_completion_timestamp_seconds gauge\ndb_backup_last_completion_timestamp_seconds 1.7953e9\n" +
		"# TYPE db_backup_rows gauge\n# HELP db_backup_rows Rows of each table.\n"
	for i, table := range []string{"customers", "invoices", "invoice_lines", "audit"} {
		backup += fmt.Sprintf("db_backup_rows{table=%q} %d\n", table, 1000*i*i+17)
	}
	for _, db := range []string{"customers", "billing", "reporting"} {
		pushTo(t, c, "db_backup/db/"+db, backup)
	}
	for i := range 12 {
		pushTo(t, c, fmt.Sprintf("nightly_report/instance/worker-%d.eu-central-1.example.com/environment/production", i), histogramBody)
	}
	pushTo(t, c, "invoice_run/region/eu/path@base64/L3Zhci9saWIvaW52b2ljZXMvMjAyNg", "invoices_total 1234\n")
	pushTo(t, c, url.PathEscape("مهمة النسخ الاحتياطي")+"/"+"instance/"+url.PathEscape("خادم ١"), "a 1\n")
	pushTo(t, c, "deploy/reference/"+strings.Repeat("feature-very-long-branch-name-", 12), "a 1\n")
	pushTo(t, c, "ci/empty@base64/=/line/"+url.PathEscape("one\ntwo\u202ethree"), "a 1\n")
	for _, body := range []string{"rows{table=\"a\"} 1\nrows{table=\"a\"} 2\n", "rows 1 2 3\n", "rows abc\n"} {
		status, _ := send(t, http.MethodPost, c.url+"/metrics/job/billing/instance/batch-7", body)
		require.Equal(t, http.StatusBadRequest, status)
	}
}

const histogramBody = "# TYPE report_duration_seconds histogram\n# HELP report_duration_seconds How long a report took.\n" +
	"report_duration_seconds_bucket{le=\"1\"} 3\nreport_duration_seconds_bucket{le=\"5\"} 17\nreport_duration_seconds_bucket{le=\"30\"} 41\n" +
	"report_duration_seconds_bucket{le=\"+Inf\"} 42\nreport_duration_seconds_sum 231.5\nreport_duration_seconds_count 42\n" +
	"# TYPE report_last_success_timestamp_seconds gauge\nreport_last_success_timestamp_seconds 1.7953e9\n"

// everyView walks through the views by their links. Nothing may be on the console, nothing may be inaccessible, and nothing but a
// table may be wider than the window. _build/screenshots has what it looked like.
func everyView(t *testing.T, b *browser) {
	eachMode(t, func(t *testing.T, mode string, c *collector) {
		usualPushes(t, c)
		for _, theme := range []string{light, dark} {
			for _, width := range []int{wide, narrow} {
				page := b.open(t, c.url+"/", look{theme: theme, width: width})
				shot := func(view string) {
					page.Helper()
					page.assertAccessible()
					assert.LessOrEqual(t, value[int](page, "document.documentElement.scrollWidth"), width, view)
					page.screenshot(fmt.Sprintf("%s-%s-%s-%d", mode, view, theme, width))
				}
				page.await("document.title.startsWith('Live')")
				page.awaitText(".end", "Connected")
				usualPushes(t, c)
				page.awaitText(rows, "invoice_run")
				page.awaitText(rows, "400")
				shot("live")
				page.press("Jobs", "")
				page.awaitText(rows, "db_backup")
				shot("jobs")
				page.press("Refused", "")
				page.awaitText(rows, "batch-7")
				shot("refused")
				page.press("Status", "")
				page.awaitText("main", "limits::in_flight_bytes")
				page.awaitText(".panel", "ready")
				shot("status")
				if mode == "proxy" {
					assert.NotContains(t, page.texts("nav a"), "Groups")
					continue
				}
				page.press("Groups", "")
				page.awaitText(rows, "nightly_report")
				shot("groups")
				page.show("#/groups?group=metrics/job/nightly_report/environment/production/instance/worker-1.eu-central-1.example.com")
				page.awaitText(".family", "42 observed")
				page.awaitText(".family", "UTC+0") // The gauge that is a time.
				shot("group")
			}
		}
	})
}

// emptyViews are the first that somebody sees.
func emptyViews(t *testing.T, b *browser) {
	eachMode(t, func(t *testing.T, mode string, c *collector) {
		page := b.open(t, c.url+"/pushgateway/", look{})
		views := []string{"live", "jobs", "refused"}
		if mode == "groups" {
			views = append(views, "groups")
		}
		for _, view := range views {
			page.show("#/" + view)
			page.awaitText(".empty", "| curl --data-binary @- "+c.url+"/pushgateway/metrics/job/some_job")
			page.assertAccessible()
			page.screenshot(mode + "-" + view + "-empty")
		}
	})
}

// pushShowsInLive measures how long a push takes to the page.
func pushShowsInLive(t *testing.T, b *browser) {
	eachMode(t, func(t *testing.T, _ string, c *collector) {
		page := b.open(t, c.url+"/#/live", look{})
		page.awaitText(".end", "Connected")
		pushed := time.Now()
		pushTo(t, c, "nightly/instance/db-3", "a 1\nb{x=\"y\"} 2\n")
		page.awaitText(rows, "nightly")
		t.Logf("shown %v after the push began", time.Since(pushed))
		assert.Regexp(t, `(?s)\d\d:\d\d:\d\d\.\d{3}\s+PUT\s+job=nightly\s+instance=db-3\s+text\s+15 B\s+2\s+\S+ ms\s+✓\s+200 accepted`, page.texts(rows)[0])

		t.Run("values of a job", func(t *testing.T) {
			page.show("#/live?peek=nightly")
			page.awaitText(".end", "Connected")
			page.await("document.querySelectorAll('" + rows + "').length === 0")
			require.Eventually(t, func() bool {
				pushTo(t, c, "nightly/instance/db-3", "a 1\nb{x=\"y\"} 2.5\n")
				return strings.Contains(strings.Join(page.texts(".values"), "\n"), "2.5")
			}, dataTimeout, pollInterval)
		})
	})
}

// refusalShows compares what the page says with what the client was told.
func refusalShows(t *testing.T, b *browser) {
	eachMode(t, func(t *testing.T, _ string, c *collector) {
		page := b.open(t, c.url+"/#/live", look{})
		page.awaitText(".end", "Connected")
		status, answer := send(t, http.MethodPost, c.url+"/metrics/job/billing", "ok 1\nrows abc\n")
		require.Equal(t, http.StatusBadRequest, status)
		reason := strings.Join(strings.Fields(answer), " ")
		page.awaitText(rows, reason)
		assert.Contains(t, page.texts(rows)[0], "400")
		page.press("Why", "billing")
		page.awaitText(".details", reason)
		page.awaitText(".details", "From 127.0.0.1:")
		page.press("Less", "billing")
		page.await("!document.querySelector('.details')")

		page.press("Refused", "")
		page.awaitText(rows, reason)
		assert.Contains(t, page.texts(rows)[0], "400")
		page.filter("nothing like it")
		page.awaitText(".empty", "Nothing contains this")
	})
}

// hostileTexts are names and values that other pages have fallen for. Of each, this much is shown.
var hostileTexts = map[string]string{
	`<img src=x onerror="window.pwned=1">`:     `<img src=x onerror="window.pwned=1">`,
	`"><script>window.pwned=1</script>`:        `"><script>window.pwned=1</script>`,
	`javascript:window.pwned=1`:                `javascript:window.pwned=1`,
	`{{constructor.constructor("pwned=1")()}}`: `{{constructor.constructor("pwned=1")()}}`,
	"before\u202eafter\u2066\u200b\ufeff":      `before\u202eafter\u2066\u200b\ufeff`,
	"nul\x00escape\x1b[31m\x7f\u0085":          `nul\u0000escape\u001b[31m\u007f\u0085`,
	"line\nfeed\ttab\r":                        `line\nfeed\ttab\r`,
	"tag\U000e0041":                            `tag\u{e0041}`,
}

// base64Job is a job in a path, after "/metrics/job".
func base64Job(job string) string {
	return "@base64/" + base64.RawURLEncoding.EncodeToString([]byte(job))
}

// hostileTextStaysText pushes them wherever a push has text, and looks at every view.
func hostileTextStaysText(t *testing.T, b *browser) {
	c := startPage(t, adminAPI, "receivers::pushgateway::utf8_names: true")
	for text := range hostileTexts {
		name := model.EscapeName(text, model.ValueEncodingEscaping)
		escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(text)
		body := fmt.Sprintf("# HELP \"%[1]s\" %[2]s\n# TYPE \"%[1]s\" gauge\n{\"%[1]s\",\"own %[1]s\"=\"%[1]s\"} 1\n", escaped, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(text))
		pushTo(t, c, base64Job(text)+"/"+name+"@base64/"+base64.RawURLEncoding.EncodeToString([]byte(text)), body)
		status, _ := send(t, http.MethodPut, c.url+"/metrics/job"+base64Job(text), "a{b=\""+escaped+"\"} abc "+escaped+"\n")
		require.Equal(t, http.StatusBadRequest, status)
	}
	pushTo(t, c, "long", "a{b=\""+strings.Repeat("<b>long</b>", 100_000)+"\"} 1\n")

	page := b.open(t, c.url+"/#/live", look{})
	page.awaitText(".end", "Connected")
	see := func(selector string) {
		t.Helper()
		for _, shown := range hostileTexts {
			page.awaitText(selector, shown)
		}
	}
	for text := range hostileTexts {
		pushTo(t, c, base64Job(text)+"/again/1", "a 1\n")
	}
	see(rows)
	page.show("#/jobs")
	see(rows)
	page.show("#/refused")
	page.awaitText(rows, "400")
	see(rows)
	page.show("#/status")
	page.awaitText(".panel", "ready")
	page.show("#/groups?" + url.Values{"q": {"<img"}}.Encode())
	page.awaitRows(2)
	page.show("#/groups")
	page.awaitRows(2*len(hostileTexts) + 1)
	see(rows)
	value[bool](page, "[...document.querySelectorAll('.unfold')].forEach((e) => e.click()) ?? true")
	see(".family h2")
	see(".family .help")
	see(".family .labels")
	page.awaitText(".family", "more characters")
	assert.False(t, value[bool](page, "'pwned' in window"))
	assert.Zero(t, value[int](page, "document.querySelectorAll('main img, main script, main [href^=javascript]').length"))
}

// lateJob pushes often enough to have a usual gap, and then not.
func lateJob(t *testing.T, b *browser) {
	eachMode(t, func(t *testing.T, _ string, c *collector) {
		for range 3 {
			pushTo(t, c, "stopped", "a 1\n")
		}
		page := b.open(t, c.url+"/#/jobs", look{})
		page.awaitText(rows, "late")
		page.awaitText("main [role=status]", "1 late")
		require.Eventually(t, func() bool { // A push ends it.
			pushTo(t, c, "stopped", "a 1\n")
			return !strings.Contains(page.texts(rows)[0], "late")
		}, dataTimeout, pollInterval)
	})
}

// fullJobTable says what is missing.
func fullJobTable(t *testing.T, b *browser) {
	c := startPage(t, "receivers::pushgateway::page::jobs: 2")
	for i := range 5 {
		pushTo(t, c, fmt.Sprintf("job_%d", i), "a 1\n")
	}
	page := b.open(t, c.url+"/#/jobs", look{})
	page.awaitText("main", "3 newer jobs missing")
	page.awaitRows(2)
}

// themeAndLinkSurvive reloads a page that somebody has changed.
func themeAndLinkSurvive(t *testing.T, b *browser) {
	c := startPage(t, adminAPI)
	for i := range 3 {
		pushTo(t, c, fmt.Sprintf("nightly/instance/db-%d", i), "a 1\n")
	}
	page := b.open(t, c.url+"/", look{theme: light})
	page.press("Groups", "")
	page.filter("db-2")
	page.awaitRows(1)
	background := "getComputedStyle(document.body).backgroundColor"
	before := value[string](page, background)
	page.press("Theme: auto", "")
	page.press("Theme: light", "")
	page.await(background + " !== " + quoted(before))
	after := value[string](page, background)
	link := value[string](page, "location.href")
	assert.Contains(t, link, "#/groups?q=db-2")

	do(page, chromedp.Reload())
	page.awaitRows(1)
	assert.Equal(t, after, value[string](page, background))
	assert.Equal(t, "db-2", value[string](page, "document.querySelector('main input').value"))
	assert.Contains(t, page.texts("#theme"), "Theme: dark")
}
