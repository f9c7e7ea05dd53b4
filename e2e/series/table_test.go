// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const introduction = `# Compatibility

For operators who compare backends: this page lists the series that Prometheus stores differently than through a Pushgateway, and the reasons.

This page compares what a Prometheus server stores of a push through this receiver with what another one stores of the same
push through a Pushgateway 1.11.3 that it scrapes with ` + "`" + `honor_labels: true` + "`" + `. The pages are what real processes expose and what
client libraries and scripts push. All series are read back through the query API of both servers and compared by name, labels
and value, native histograms by count, sum and buckets.

Pages in text and OpenMetrics are scraped in the text format. Pages in protobuf are scraped with the buckets that the receiver
sends under its setting ` + "`" + `histograms` + "`" + `: the classic ones of a histogram that has both (` + "`" + `classic` + "`" + `, the default), the native ones
(` + "`" + `scrape_native_histograms` + "`" + `), or both (` + "`" + `always_scrape_classic_histograms` + "`" + ` too).
Pages with UTF-8 names are scraped in the text format, since Prometheus 3 asks for unescaped names in text alone.

This page is generated. ` + "`" + `make e2e` + "`" + ` repeats the comparison and fails where a number differs from those here, or where a series
is missing, is one too many or has another value without a reason among these:

- **respelled**: sent series have ` + "`" + `1` + "`" + ` and ` + "`" + `1000000` + "`" + ` in ` + "`" + `le` + "`" + ` and ` + "`" + `quantile` + "`" + `, where a scrape stores ` + "`" + `1e+06` + "`" + ` and one by
  Prometheus 3, or in protobuf, also ` + "`" + `1.0` + "`" + `. They are counted as the same.
- **escaped**: the exporter escapes names with underscores, ` + "`" + `http.method` + "`" + ` as ` + "`" + `http_method` + "`" + `. Prometheus 3 scrapes them as they are.
- **no ASCII letter**: the exporter escapes names and leaves out a metric whose name has no ASCII letter or digit.
- **push_failure_time_seconds**: nothing is stored here, so there is no group whose change could fail. Pushed in a body it is
  an ordinary metric.
- **_created**: a start timestamp in OpenMetrics, not a series.
- **without otel_scope_\***: these labels are the instrumentation scope, which these settings leave out of the series. Leave
  scope info on if your jobs push them.
- **OTLP cannot hold**: native gauge histograms and native histograms with fractional counts become classic buckets.
- **native**: a histogram that has only native buckets is sent as such. A scrape of classic buckets stores its ` + "`" + `_sum` + "`" + `, its
  ` + "`" + `_count` + "`" + ` and the bucket ` + "`" + `+Inf` + "`" + `.
- **refused with 400**: quoted names in text without ` + "`" + `utf8_names` + "`" + `.
- **refused with 503**: a Prometheus without native histograms answers 500 to a request that holds one, so the job is told to
  try again. Nothing of the push is stored.
- **label of underscores**: the remote-write exporter leaves out a series with a label whose name is nothing but underscores.
- **zero threshold**: Prometheus's OTLP endpoint gives every native histogram one of 1e-128. The populations are the same.

` + "`" + `push_time_seconds` + "`" + ` is compared by name and labels, since the pushes are not made in the same moment. What a scrape adds (` + "`" + `up` + "`" + `,
` + "`" + `scrape_*` + "`" + `) and the Pushgateway's own series are not part of a push. A ` + "`" + `target_info` + "`" + ` that nobody pushed would be one series too
many: none is made. Names in OpenMetrics pages have a prefix, since a Pushgateway reads their counters as untyped and refuses
them beside counters of the same names.
`

// table is the section of the document about one lane.
func table(l lane, pages []page, result map[string]comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\nWith [configs/%s](../configs/%s)", l.title, l.example, l.example)
	if l.config != "" {
		fmt.Fprintf(&b, ", and in the configuration of Prometheus:\n\n```yaml\n%s```\n\n", l.config)
	} else {
		fmt.Fprintf(&b, ", started with `--feature-gates %s`%s.\n\n", l.gates, l.further())
	}
	b.WriteString("| page | format | series through a Pushgateway | the same here | of them respelled | otherwise |\n")
	b.WriteString("|---|---|--:|--:|--:|---|\n")
	total := comparison{exceptions: map[string]int{}}
	for i := range pages {
		c := result[pages[i].job()]
		row(&b, pages[i].name, pages[i].format, c)
		total.add(c)
	}
	row(&b, "**all**", "", total)
	return b.String()
}

func (c *comparison) add(other comparison) {
	c.scraped += other.scraped
	c.same += other.same
	c.respelled += other.respelled
	c.differences = append(c.differences, other.differences...)
	for reason, n := range other.exceptions {
		c.exceptions[reason] += n
	}
}

func row(b *strings.Builder, name, format string, c comparison) {
	var otherwise []string
	for _, reason := range slices.Sorted(maps.Keys(c.exceptions)) {
		otherwise = append(otherwise, fmt.Sprintf("%d %s", c.exceptions[reason], strings.ReplaceAll(reason, "*", `\*`)))
	}
	if len(c.differences) > 0 {
		otherwise = append(otherwise, fmt.Sprintf("%d unexplained", len(c.differences)))
	}
	fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %s |\n", name, format, c.scraped, c.same, c.respelled, strings.Join(otherwise, ", "))
}
