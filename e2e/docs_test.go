// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages are the documents that a reader can meet, by their path from the root of the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/releases/*.md", "deploy/*.md"} {
		paths, err := filepath.Glob("../" + pattern)
		require.NoError(t, err)
		require.NotEmpty(t, paths, pattern)
		for _, path := range paths {
			found[strings.TrimPrefix(path, "../")] = readFile(t, path)
		}
	}
	return found
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile("(?m)^#+ (.+)$")
	fences   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	unlinked = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are those that GitHub gives to the headings of a page.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, heading := range headings.FindAllStringSubmatch(fences.ReplaceAllString(page, ""), -1) {
		text := links.ReplaceAllString(heading[1], "]")
		found["#"+strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(text), ""), " ", "-")] = true
	}
	return found
}

// TestLinksLeadSomewhere follows every link between the documents, to the file and to the heading.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for path, page := range all {
		for _, link := range links.FindAllStringSubmatch(fences.ReplaceAllString(page, ""), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			target, anchor, _ := strings.Cut(link[1], "#")
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
			}
			_, err := os.Stat(filepath.Join("..", to))
			assert.NoError(t, err, "%s: %s", path, link[1])
			if anchor != "" {
				require.Contains(t, all, to, "%s: %s", path, link[1])
				assert.Contains(t, anchors(all[to]), "#"+anchor, "%s: %s", path, link[1])
			}
		}
	}
}

// TestPagesSayWhomTheyAreFor looks at the head of each page of docs/ and deploy/: a title of its own, and then the reader.
func TestPagesSayWhomTheyAreFor(t *testing.T) {
	t.Parallel()
	titles := map[string]string{}
	index := readFile(t, "../docs/README.md")
	for path, page := range pages(t) {
		title, rest, _ := strings.Cut(page, "\n")
		assert.Empty(t, titles[title], "%s: the title of another page", path)
		titles[title] = path
		folder, name := filepath.Split(path)
		if folder == "docs/" || folder == "deploy/" {
			assert.True(t, strings.HasPrefix(rest, "\nFor "), path)
		}
		if folder == "docs/" && name != "README.md" {
			assert.Contains(t, index, "]("+name+")", "the map has it")
		}
	}
}

// TestReadmeListsEverySetting looks for each key of the receiver's own settings in the README's table.
func TestReadmeListsEverySetting(t *testing.T) {
	t.Parallel()
	keys := regexp.MustCompile("`mapstructure:\"([a-z0-9_]+)\"`").FindAllStringSubmatch(readFile(t, "../config.go")+readFile(t, "../config_aggregate.go"), -1)
	require.Greater(t, len(keys), 15)
	readme := readFile(t, "../README.md")
	for _, key := range keys {
		if key[1] != "limits" { // its keys are listed
			assert.Regexp(t, "(?m)^\\| `([a-z]+::)*"+key[1]+"` \\|", readme)
		}
	}
}

var memoryRow = regexp.MustCompile(`(?m)^\| ([0-9.]+) (MiB|GiB) \| ([0-9]+)MiB \| ([0-9]+) .*?\| ([0-9]+) .*?\| ([0-9]+) \| ([0-9]+) .*\|$`)

// TestMemoryTable holds each row of the table in docs/operating.md to the rule that stands below it.
func TestMemoryTable(t *testing.T) {
	t.Parallel()
	rows := memoryRow.FindAllStringSubmatch(readFile(t, "../docs/operating.md"), -1)
	require.Len(t, rows, 6)
	for _, row := range rows {
		var n [8]float64
		for i := range n {
			n[i], _ = strconv.ParseFloat(row[i], 64)
		}
		const mebibyte, process, perSeries = 1 << 20, 64 << 20, 3 << 10
		container := n[1] * mebibyte
		if row[2] == "GiB" {
			container *= 1024
		}
		assert.InDelta(t, 0.8*container, n[3]*mebibyte, mebibyte, "%s: GOMEMLIMIT", row[0])
		assert.LessOrEqual(t, 8*n[4]+process, 0.75*container, "%s: proxy", row[0])
		assert.LessOrEqual(t, 8*n[5]+process+perSeries*n[6], 0.75*container, "%s: groups", row[0])
		assert.GreaterOrEqual(t, n[7], 512*n[6], "%s: max_bytes", row[0])
		assert.GreaterOrEqual(t, n[5], 20.0*mebibyte, "%s: max_request_body_size", row[0])
	}
}
